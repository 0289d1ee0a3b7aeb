"""Heads of keys and values that several heads of the query share: no copy of them is made.

Exporters repeat them by Expand, Tile or Gather before a product. The product of all heads that
share a key is one with further rows, so that the copy is a view and each key is read once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.band import nearest_rectangle
from toolkit.workload.network.operators.products import contraction
from toolkit.workload.network.wiring import Wiring, with_input
from toolkit.workload.ready_made import batched_gemm, gemm

_COPIES = ("Expand", "Tile", "Gather", "Concat")


@dataclass(frozen=True)
class _Repeated:
    """A tensor that holds copies.

    Parameters
    ----------
    full : tuple of int
        Its shape with them.
    axis : int
        Along which they are.
    outer : int
        Positions of that axis outside of the copies: it has ``outer * copies * inner``.
    copies : int
        How many times it holds the same.
    """

    full: tuple[int, ...]
    axis: int
    outer: int
    copies: int

    @property
    def shape(self) -> tuple[int, ...]:
        """What is left if each is held once."""
        sizes = list(self.full)
        sizes[self.axis] //= self.copies
        return tuple(sizes)

    def reshaped(self, full: tuple[int, ...]) -> _Repeated | None:
        """The same under another shape; None if that tears copies apart."""
        before = math.prod(self.full[: self.axis]) * self.outer
        outside = 1
        for axis, size in enumerate(full):
            within = outside * size
            if within >= before * self.copies:
                whole = before % outside == 0 and within % (before * self.copies) == 0
                return _Repeated(full, axis, before // outside, self.copies) if whole else None
            outside = within
        return None

    def transposed(self, order: tuple[int, ...]) -> _Repeated:
        """The same with its axes in another order."""
        full = tuple(self.full[axis] for axis in order)
        return replace(self, full=full, axis=order.index(self.axis))


def share_heads(wiring: Wiring) -> None:
    """Turn copies that only products read into views, and their readers into what is left."""
    for layer in wiring.layers:
        repeated = _copy(layer)
        if repeated is None:
            continue
        once = replace(_shrunk(layer, repeated), inputs=layer.inputs[:1])
        changed = {layer.name: replace(once, cost_class="view", elements=0)}
        if _follow(wiring, layer.outputs[0], repeated, changed):
            for entry in changed.values():
                wiring.put(entry)


def _copy(layer: Layer) -> _Repeated | None:
    """What a layer repeats, if it does nothing else."""
    if layer.operator not in _COPIES or layer.cost_class != "movement":
        return None
    if len({tensor.name for tensor in layer.inputs}) != 1 or layer.in_place:
        return None
    before, after = layer.inputs[0].shape, layer.outputs[0].shape
    if len(before) != len(after):
        return None
    axes = [axis for axis, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    if len(axes) != 1 or len(after) < 4:
        return None
    (axis,) = axes
    copies, rest = divmod(after[axis], before[axis])
    # Rows of a table may be gathered in any order; heads are next to the batch.
    if rest or (layer.operator == "Gather" and axis != 1):
        return None
    outer = before[axis] if layer.operator == "Gather" else 1
    return _Repeated(after, axis, outer, copies)


def _shrunk(layer: Layer, repeated: _Repeated) -> Layer:
    outputs = (replace(layer.outputs[0], shape=repeated.shape), *layer.outputs[1:])
    return replace(layer, outputs=outputs)


def _follow(
    wiring: Wiring, tensor: TensorInfo, repeated: _Repeated, changed: dict[str, Layer]
) -> bool:
    """Rewrite all readers of a tensor; False if one of them needs the copies."""
    if tensor.name in wiring.outputs:
        return False
    small = replace(tensor, shape=repeated.shape)
    for reader in wiring.readers(tensor.name):
        reader = changed.get(reader.name, reader)
        inputs = with_input(reader, small)
        after: _Repeated | None = None
        if reader.workload is not None:
            product = _product(reader, tensor, repeated)
            if product is None:
                return False
            changed[reader.name] = replace(product, inputs=inputs)
            continue
        if reader.cost_class == "view":
            after = repeated.reshaped(reader.outputs[0].shape)
        elif reader.operator == "Transpose":
            after = repeated.transposed(_order(reader))
        elif reader.cost_class == "elementwise" and reader.outputs[0].shape == tensor.shape:
            after = repeated if _alike(reader, tensor, repeated) else None
        if after is None or len(reader.outputs) != 1:
            return False
        elements = math.prod(after.shape) if reader.elements else 0
        shrunk = replace(_shrunk(reader, after), inputs=inputs, elements=elements)
        changed[reader.name] = shrunk
        if not _follow(wiring, reader.outputs[0], after, changed):
            return False
    return True


def _order(layer: Layer) -> tuple[int, ...]:
    given: object = dict(layer.attributes).get("perm")
    if isinstance(given, tuple):
        return tuple(int(axis) for axis in given)
    return tuple(reversed(range(len(layer.inputs[0].shape))))


def _alike(layer: Layer, tensor: TensorInfo, repeated: _Repeated) -> bool:
    """Whether an operation does the same to all copies."""
    behind = len(repeated.full) - repeated.axis
    others = [t for t in layer.inputs if t.name != tensor.name]
    return all(
        len(other.shape) < behind or other.shape[-behind] == 1
        for other in (*others, *layer.weights)
    )


def _product(layer: Layer, tensor: TensorInfo, repeated: _Repeated) -> Layer | None:
    """A product of two activations, one of which has copies along an axis of the batch."""
    if len(layer.inputs) != 2 or layer.operator.rpartition(".")[2] not in (
        "MatMul",
        "FusedMatMul",
    ):
        return None
    if layer.repetitions != 1 or layer.inputs[0].name == layer.inputs[1].name:
        return None
    shapes = [t.shape if t.name != tensor.name else repeated.full for t in layer.inputs]
    rank = max(map(len, shapes))
    axis = repeated.axis + rank - len(repeated.full)
    if axis >= rank - 2 or min(map(len, shapes)) < 2:
        return None
    number = [t.name for t in layer.inputs].index(tensor.name)
    sizes: dict[str, int] = {}
    labels: list[tuple[str, ...]] = []
    for place, shape in enumerate(shapes):
        labelled = _labelled(layer, place, shape, rank)
        if axis in {name for name, _ in labelled.items() if isinstance(name, int)}:
            whole = labelled.pop(axis)
            copies = repeated.copies if whole > 1 else 1
            labelled[axis] = whole // copies
            if place != number:
                labelled["copies"] = copies
        labels.append(tuple(str(name) for name, size in labelled.items() if size > 1))
        for name, size in labelled.items():
            sizes[str(name)] = max(size, sizes.get(str(name), 1))
    output = tuple(name for name in sizes if name != "k")
    workload = contraction(labels[0], labels[1], output, sizes, weight_first=False)
    given = layer.workload
    if given is not None and given.macs < workload.macs:
        workload = _masked(layer, given, shapes, repeated.copies)
    return replace(layer, workload=workload)


def _masked(layer: Layer, given: Workload, shapes: list[tuple[int, ...]], copies: int) -> Workload:
    """A product of attention that leaves out masked pairs, for heads that share keys."""
    batch, heads, queries, _ = shapes[0]
    scores = bool(dict(layer.attributes).get("transB"))
    keys, size = shapes[1][2], shapes[1][3]
    pairs = given.macs // (batch * heads * size)
    groups = batch * heads // copies
    blocks, rows, attended = nearest_rectangle(groups, copies, queries, keys, pairs)
    m, k = (attended, size) if scores else (size, attended)
    n = rows * copies
    return batched_gemm(blocks, m, k, n) if blocks > 1 else gemm(m, k, n)


def _labelled(layer: Layer, place: int, shape: tuple[int, ...], rank: int) -> dict[int | str, int]:
    """Sizes of an operand's axes: those of the batch by number, the matrix's by letter."""
    attributes: Mapping[str, object] = dict(layer.attributes)
    matrix = ["m", "k"] if place == 0 else ["k", "n"]
    if attributes.get("transA" if place == 0 else "transB"):
        matrix.reverse()
    names = [*range(rank - len(shape), rank - 2), *matrix]
    return dict(zip(names, shape, strict=True))
