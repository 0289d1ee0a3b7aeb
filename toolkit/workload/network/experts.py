"""Mixtures of experts in graphs: products with weights that are gathered, and masked products.

Exporters gather a matrix for every token and expert it goes to, or run all experts on all tokens
and weigh what they make with scores that TopK left, zero elsewhere. A machine reads the weights of
the experts that run, once, and gives each its share of the tokens (`expert_shares`); experts with
one token less are a layer of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.experts import Share, expert_shares
from toolkit.workload.network.wiring import Use, Wiring, with_input

_GATHERS = ("Gather", "GatherND")
_COPIES = ("Tile", "Expand", "Concat")


def run_chosen_experts(wiring: Wiring, chosen: int | None) -> None:
    """Let products run the experts that a router chooses.

    Parameters
    ----------
    chosen : int or None
        Experts per token, whatever the file says.
    """
    for layer in wiring.layers:
        if layer.operator in _GATHERS and layer.cost_class == "movement":
            _run_gathered(wiring, layer, chosen)
    for layer in wiring.layers:
        if layer.operator == "TopK" and len(layer.outputs) == 2:
            _run_masked(wiring, layer, chosen)


def _run_gathered(wiring: Wiring, gather: Layer, chosen: int | None) -> None:
    """Read the weights of experts where they are, for all tokens that go there."""
    if len(gather.inputs) != 1 or not gather.weights or len(gather.weights[0].shape) < 3:
        return
    if dict(gather.attributes).get("axis", 0) != 0:
        return
    weight, indices = gather.weights[0], gather.inputs[0]
    router = _router_of(wiring, indices)
    uses = list(wiring.uses(gather.outputs[0]))
    if not uses or not all(use.of_two_activations for use in uses):
        return
    if indices.elements == 1 and router is None:
        _read_one(wiring, gather, uses)
        return
    if router is None:
        return
    experts, matrix = weight.shape[0], math.prod(weight.shape[1:])
    given = router.outputs[1].shape[-1]
    assignments = indices.elements // given * min(chosen or given, experts)
    rewritten = []
    for use in uses:
        product = use.reader
        if product is None or product.macs != indices.elements * matrix:
            return
        rows = product.outputs[0].elements // indices.elements
        workload = Share(experts, 1).product(rows, matrix // rows)
        rewritten.append(replace(_reading(product, use, gather, weight), workload=workload))
    spread = _Spread(experts, assignments)
    for product in rewritten:
        _put_shares(wiring, product, spread)
    _drop_views(wiring, gather)


def _read_one(wiring: Wiring, gather: Layer, uses: Sequence[Use]) -> None:
    """Read one matrix of several where it is: that of the expert whose turn it is."""
    weight = gather.weights[0]
    for use in uses:
        if use.reader is not None:
            wiring.put(_reading(use.reader, use, gather, replace(weight, shape=weight.shape[1:])))
    _drop_views(wiring, gather)


def _reading(product: Layer, use: Use, gather: Layer, weight: TensorInfo) -> Layer:
    """A product that reads weights instead of what was gathered of them."""
    return replace(
        product,
        inputs=tuple(t for t in product.inputs if t.name != use.tensor.name),
        weights=(weight, *product.weights),
        parameters=(*product.parameters, *gather.parameters),
    )


def _put_shares(wiring: Wiring, product: Layer, spread: _Spread) -> None:
    """Run a product with all experts as one with those that run, and one with fewer tokens."""
    workload = product.workload
    assert workload is not None
    first, *others = (
        replace(
            product,
            workload=share.product(workload.sizes["M"], workload.sizes["K"]),
            weights=spread.constants(product, share),
        )
        for share in expert_shares(spread.assignments, spread.experts)
    )
    wiring.put(first)
    for rest in others:
        output = rest.outputs[0]
        name, made = f"{rest.name}/rest", replace(output, name=f"{output.name}/rest")
        wiring.add_after(first.name, replace(rest, name=name, outputs=(made,)))


def _drop_views(wiring: Wiring, layer: Layer) -> None:
    """Remove a layer, and the views of what it makes."""
    for made in layer.outputs:
        for reader in wiring.readers(made.name):
            if reader.cost_class == "view":
                _drop_views(wiring, reader)
    wiring.drop(layer)


def _router_of(wiring: Wiring, tensor: TensorInfo) -> Layer | None:
    """The TopK whose choices are in a tensor of indices."""
    layer = wiring.maker(tensor.name)
    while layer is not None and layer.operator != "TopK":
        if layer.workload is not None or not layer.inputs:
            return None
        layer = wiring.maker(layer.inputs[0].name)
    return layer


@dataclass(frozen=True)
class _Spread:
    """Tensors of all experts, and what is left of them.

    Parameters
    ----------
    experts : int
        In the graph.
    assignments : int
        Tokens that they get together.
    tokens : int
        That the graph gives to each; 0 if it gathers.
    """

    experts: int
    assignments: int
    tokens: int = 0

    def shrunk(self, tensor: TensorInfo) -> TensorInfo | None:
        """What is left of a tensor with axes of experts and tokens, or both in one; None if not.

        It has all tokens of all experts along one axis.
        """
        shape = tensor.shape
        for first, size in enumerate(shape):
            for last in range(first + 1, len(shape)) if size == self.experts else ():
                if math.prod(shape[first + 1 : last + 1]) == self.tokens:
                    inner = ((1,) * (last - first)) + (self.assignments,)
                    return replace(tensor, shape=(*shape[:first], *inner, *shape[last + 1 :]))
        together = self.experts * self.tokens
        if together not in shape:
            return None
        first = shape.index(together)
        return replace(tensor, shape=(*shape[:first], self.assignments, *shape[first + 1 :]))

    def constants(self, layer: Layer, share: Share | None = None) -> tuple[TensorInfo, ...]:
        """Weights and biases of the experts that run, or of some of them."""
        running = share.experts if share else min(self.assignments, self.experts)
        return tuple(
            replace(t, shape=(running, *t.shape[1:]))
            if len(t.shape) > 1 and t.shape[0] == self.experts
            else t
            for t in layer.weights
        )


def _run_masked(wiring: Wiring, router: Layer, chosen: int | None) -> None:
    """Leave out of products with all experts what the scores of a router mask."""
    experts, given = router.inputs[0].shape[-1], router.outputs[1].shape[-1]
    tokens = router.inputs[0].elements // experts
    assignments = tokens * min(chosen or given, experts)
    spread = _Spread(experts, assignments, tokens)
    if experts < 2 or tokens * experts == assignments:
        return
    scores, weighed = _weighed(wiring, router, spread)
    for tensor in weighed:
        for total in list(_sums(wiring, tensor, spread)):
            _shrink(wiring, total, spread, scores)


def _weighed(wiring: Wiring, router: Layer, spread: _Spread) -> tuple[set[str], list[TensorInfo]]:
    """Tensors with a router's scores, and products of these with something of all experts."""
    scores, weighed = {tensor.name for tensor in router.outputs}, []
    for layer in wiring.layers:
        others = [tensor for tensor in layer.inputs if tensor.name not in scores]
        if len(others) == len(layer.inputs) or layer.workload is not None:
            continue
        if layer.operator == "Mul" and len(others) == 1 and spread.shrunk(others[0]):
            weighed.append(layer.outputs[0])
        else:
            scores.update(tensor.name for tensor in layer.outputs)
    return scores, weighed


def _sums(wiring: Wiring, tensor: TensorInfo, spread: _Spread) -> Iterator[Layer]:
    """Sums over all experts of what is made of a tensor."""
    for reader in wiring.readers(tensor.name):
        if spread.shrunk(tensor) and reader.operator == "ReduceSum":
            yield reader
        elif reader.workload is None or _is_of_experts(reader, spread):
            for made in reader.outputs:
                if spread.shrunk(made):
                    yield from _sums(wiring, made, spread)


def _is_of_experts(layer: Layer, spread: _Spread) -> bool:
    """Whether a product multiplies each expert's matrix with all tokens."""
    sizes = layer.workload.sizes if layer.workload is not None else {}
    alone = len(layer.inputs) == 1 and bool(layer.weights)
    return alone and (sizes.get("B"), sizes.get("N")) == (spread.experts, spread.tokens)


def _shrink(wiring: Wiring, total: Layer, spread: _Spread, scores: set[str]) -> None:
    """Rewrite a sum over all experts, and all that it sums."""
    made = total.inputs[0]
    small = spread.shrunk(made)
    back = _Back(wiring, spread, scores)
    if small is None or not back.shrink(made):
        return
    if all(layer.workload is None for layer in back.changed.values()):
        return
    for layer in back.changed.values():
        if layer.workload is None:
            wiring.put(layer)
        else:
            _put_shares(wiring, layer, spread)
    for layer in back.unread:
        wiring.drop_unread(layer)
    wiring.put(replace(total, inputs=with_input(total, small), elements=small.elements))


class _Back:
    """The way back from a sum to the tokens: layers of all experts, and what is left of them."""

    def __init__(self, wiring: Wiring, spread: _Spread, scores: set[str]) -> None:
        self._wiring, self._spread, self._scores = wiring, spread, scores
        self.changed: dict[str, Layer] = {}
        self.unread: list[Layer] = []

    def shrink(self, tensor: TensorInfo) -> bool:
        """Rewrite all that makes a tensor; False if something else is among it."""
        layer = self._wiring.maker(tensor.name)
        if layer is None or tensor.name in self._wiring.outputs:
            return False
        if layer.name in self.changed:
            return True
        outputs = [self._spread.shrunk(made) for made in layer.outputs]
        made = tuple(output for output in outputs if output is not None)
        if len(made) < len(outputs):
            return False
        elements = sum(output.elements for output in made) if layer.elements else 0
        layer = replace(layer, outputs=made, elements=elements)
        if layer.workload is not None:
            return self._product(layer)
        layer = replace(layer, weights=self._spread.constants(layer))
        if layer.operator in _COPIES and self._spread.shrunk(layer.inputs[0]) is None:
            # Tokens are read as often as they are sent somewhere.
            once = len({own.name for own in layer.inputs}) == 1
            view = replace(layer, inputs=layer.inputs[:1], cost_class="view", elements=0)
            self.changed[layer.name] = view
            return once
        self.changed[layer.name] = layer
        return all(self._input(layer.name, own) for own in layer.inputs)

    def _input(self, name: str, own: TensorInfo) -> bool:
        """Rewrite one operand of a layer that is rewritten."""
        small = self._spread.shrunk(own)
        if small is None or not (own.name in self._scores or self.shrink(own)):
            return False
        layer = self.changed[name]
        self.changed[name] = replace(layer, inputs=with_input(layer, small))
        return True

    def _product(self, layer: Layer) -> bool:
        """Rewrite a product of each expert's matrix with all tokens."""
        if not _is_of_experts(layer, self._spread) or layer.workload is None:
            return False
        self.changed[layer.name] = layer
        source, copies = self._wiring.maker(layer.inputs[0].name), list[Layer]()
        while source is not None and (source.cost_class == "view" or source.operator in _COPIES):
            copies.append(source)
            given = source.inputs[0]
            if given.elements == self._spread.tokens * layer.workload.sizes["K"]:
                # Tokens are read where they are, not repeated for every expert.
                self.changed[layer.name] = replace(layer, inputs=(given,))
                self.unread += copies
                return len({own.name for own in source.inputs}) == 1
            source = self._wiring.maker(given.name)
        return self._input(layer.name, layer.inputs[0])
