"""Folding a network: what layers read and make, once views and moves of data are theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from toolkit.errors import WorkloadError
from toolkit.fusion.axes import NO_LINKS, axis_rule
from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.ranks import Rank, further_ranks
from toolkit.fusion.reach import Links, Reach
from toolkit.mapping.bounds import whole_tensor_values
from toolkit.workload.network.elementwise import fold_elementwise
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.precision import without_bits


def fold(graph: LayerGraph) -> FoldedGraph:
    """Fold elementwise operators with one activation into the layer that makes it.

    See `fold_elementwise`. Views (reshapes, casts, tensors side by side) vanish: their readers
    read what they show. Layers without a workload that depend on constants alone are left out.
    Where bits come from the types of tensors, they are left out, too: fusion counts a word for
    every value.

    Raises
    ------
    WorkloadError
        If nothing is left, or a layer makes several tensors that are read.

    Examples
    --------
    >>> x, y, z = (TensorInfo(name, (1, 8), "int8") for name in "xyz")
    >>> chain = [Layer("a", "Clip", "elementwise", (x,), (), (y,)),
    ...          Layer("b", "Relu", "elementwise", (y,), (), (z,))]
    >>> fold(LayerGraph.from_layers(chain, inputs=(x,), outputs=(z,))).layer_of("a").operators
    ('Clip', 'Relu')
    """
    return _Folding(fold_elementwise(graph), typed=graph.precision is not None).run()


@dataclass(frozen=True)
class _View:
    """Another name for (part of) a tensor, and where the axes of the view are in it."""

    tensor: TensorInfo
    links: Links | None = None


class _Folding:
    def __init__(self, graph: LayerGraph, *, typed: bool) -> None:
        self.graph = graph
        self.typed = typed
        self.views: dict[str, tuple[_View, ...]] = {}
        self.made: dict[str, FoldedLayer] = {}
        self.readers = _readers(graph)
        self.constants: set[str] = set()
        self.written: set[str] = set()

    def run(self) -> FoldedGraph:
        for layer in self.graph.layers:
            self._take(layer)
        outputs = frozenset(
            view.tensor.name
            for tensor in self.graph.outputs
            for view in self._seen(tensor.name, tensor)
        )
        return _connect(self.graph, list(self.made.values()), outputs | self.written)

    def _take(self, layer: Layer) -> None:
        inputs = [t for t in layer.inputs if t.name not in self.constants]
        if not inputs and layer.workload is None:
            self.constants |= {tensor.name for tensor in layer.outputs}
        elif layer.cost_class == "view" and layer.operator == "Concat":
            self._side_by_side(layer)
        elif layer.cost_class == "view":
            self._view(layer, inputs[0])
        elif layer.in_place:
            self._update(layer)
        else:
            self._add(layer, inputs)

    def _seen(self, name: str, tensor: TensorInfo) -> tuple[_View, ...]:
        """What is shown under a name: one tensor, or several side by side."""
        return self.views.get(name, (_View(tensor),))

    def _view(self, layer: Layer, source: TensorInfo) -> None:
        own = axis_rule(layer).links[layer.inputs.index(source)]
        shown = self._seen(source.name, source)
        for tensor in layer.outputs:
            self.views[tensor.name] = tuple(
                _View(view.tensor, _composed(own, view.links)) for view in shown
            )

    def _side_by_side(self, layer: Layer) -> None:
        rule = axis_rule(layer)
        views: dict[str, _View] = {}
        for source, own in zip(layer.inputs, rule.links, strict=True):
            for view in self._seen(source.name, source):
                views[view.tensor.name] = _View(view.tensor, _composed(own, view.links))
        self.views[layer.outputs[0].name] = tuple(views.values())

    def _update(self, layer: Layer) -> None:
        """Write some words of a tensor that stays where it is, and is read from there."""
        written = TensorInfo(f"{layer.name}/written", (layer.elements,), layer.dtype)
        inputs = {
            seen.name: seen
            for tensor in updates_of(layer)
            for seen in (view.tensor for view in self._seen(tensor.name, tensor))
        }
        self.made[written.name] = FoldedLayer(
            layer.name, (layer,), tuple(inputs.values()), written, 0
        )
        self.written.add(written.name)

    def _add(self, layer: Layer, inputs: Sequence[TensorInfo]) -> None:
        outputs = [t for t in layer.outputs if self.readers[t.name]] or list(layer.outputs)
        seen = [(layer.inputs.index(t), view) for t in inputs for view in self._seen(t.name, t)]
        tensors = {view.tensor.name: view.tensor for _, view in seen}
        output = _joined(outputs)
        ranks = _ranks(layer, seen) if len(outputs) == 1 else ()
        first = replace(without_bits(layer) if self.typed else layer, folded=())
        self.made[output.name] = FoldedLayer(
            layer.name,
            (first, *layer.folded),
            tuple(tensors.values()),
            output,
            _weight_words(layer),
            ranks,
        )
        if len(outputs) > 1:
            self.views |= {tensor.name: (_View(output, {}),) for tensor in outputs}


def updates_of(layer: Layer) -> tuple[TensorInfo, ...]:
    """What is written into a tensor that stays in place, and where, without that tensor."""
    kept = len(layer.inputs) // 2 if layer.operator == "Concat" else 1
    return layer.inputs[kept:]


def _joined(outputs: Sequence[TensorInfo]) -> TensorInfo:
    """Several outputs as one tensor, which is moved and kept as a whole."""
    if len(outputs) == 1:
        return outputs[0]
    elements = sum(tensor.elements for tensor in outputs)
    return TensorInfo(f"{outputs[0].name}/all", (elements,), outputs[0].dtype)


def _readers(graph: LayerGraph) -> dict[str, int]:
    readers = {t.name: 0 for layer in graph.layers for t in (*layer.inputs, *layer.outputs)}
    for layer in graph.layers:
        for name in {tensor.name for tensor in layer.inputs}:
            readers[name] += 1
    for tensor in graph.outputs:
        readers[tensor.name] = readers.get(tensor.name, 0) + 1
    return readers


def _composed(links: Links, shown: Links | None) -> Links:
    """Links to a view, as links to what it shows."""
    if shown is None:
        return links
    return {
        axis: _through(reach, shown[reach.axis])
        for axis, reach in links.items()
        if reach.axis in shown and 1 in (shown[reach.axis].share, reach.stride * reach.extent)
    }


def _through(reach: Reach, shown: Reach) -> Reach:
    """What a position needs of a tensor, a view of which it reads."""
    return Reach(
        shown.axis,
        reach.stride * shown.stride,
        (reach.extent - 1) * shown.stride + shown.extent,
        reach.pad * shown.stride + shown.pad,
        reach.share * shown.share,
    )


def _ranks(layer: Layer, seen: Sequence[tuple[int, _View]]) -> tuple[Rank, ...]:
    """All ranks of a layer, in terms of what its views show.

    Not those along which tensors lie side by side: their parts have no tiles in common.
    """
    rule, further = axis_rule(layer), further_ranks(layer)
    known = {rank.axis for rank in further}
    found = [
        Rank(size, axis, tuple(entry.get(axis) for entry in rule.links))
        for axis, size in enumerate(layer.outputs[0].shape)
        if axis in rule.open_axes and axis not in known
    ]
    return tuple(
        replace(rank, reads=_seen_reads(rank.reads, seen))
        for rank in (*found, *further)
        if rank.size > 1 and not _runs_across(rank, seen)
    )


def _runs_across(rank: Rank, seen: Sequence[tuple[int, _View]]) -> bool:
    """Whether a rank runs through several tensors, one after the other."""
    shown = Counter(number for number, _ in seen)
    return any(
        shown[number] > 1 and reach is not None and not _composed({0: reach}, view.links)
        for number, view in seen
        for reach in (rank.reads[number],)
    )


def _seen_reads(
    reads: Sequence[Reach | None], seen: Sequence[tuple[int, _View]]
) -> tuple[Reach | None, ...]:
    """What a rank reads of each tensor that is shown, those that are read twice once."""
    merged: dict[str, Links] = {}
    for number, view in seen:
        reach = reads[number]
        links = {} if reach is None else _composed({0: reach}, view.links)
        merged[view.tensor.name] = _merged(merged.get(view.tensor.name), links)
    return tuple(links.get(0) for links in merged.values())


def _merged(first: Links | None, second: Links) -> Links:
    """Links of a tensor that is read twice: where both agree, and all of it otherwise."""
    if first is None:
        return second
    return {a: r for a, r in first.items() if second.get(a) == r} or NO_LINKS


def _weight_words(layer: Layer) -> int:
    if layer.workload is None or not layer.weights:
        return 0
    sizes = [
        whole_tensor_values(layer.workload, t)
        for t in layer.workload.tensors
        if t.role == "weight"
    ]
    # Repetitions share the weights, except those over the groups of a convolution.
    return min(sum(sizes) * layer.repetitions, layer.weight_elements)


def _connect(
    graph: LayerGraph, layers: Iterable[FoldedLayer], outputs: frozenset[str]
) -> FoldedGraph:
    folded = FoldedGraph(name=graph.graph.get("name", ""), outputs=outputs)
    makers: dict[str, str] = {}
    order = {layer.name: i for i, layer in enumerate(graph.layers)}
    for layer in sorted(layers, key=lambda entry: order[entry.name]):
        folded.add_node(layer.name, layer=layer, position=order[layer.name])
        makers[layer.output.name] = layer.name
        for tensor in layer.inputs:
            if tensor.name in makers:
                folded.add_edge(makers[tensor.name], layer.name, tensor=tensor.name)
    if not folded:
        raise WorkloadError("has no layers to fuse", source=graph.graph.get("name") or None)
    return folded
