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
        """A tensor with axes of experts and tokens behind each other; None if it has none.

        What is left has all tokens of all experts along the latter.
        """
        shape = tensor.shape
        for first, size in enumerate(shape):
            if size != self.experts:
                continue
            for last in range(first + 1, len(shape)):
                if math.prod(shape[first + 1 : last + 1]) == self.tokens:
                    inner = ((1,) * (last - first)) + (self.assignments,)
                    return replace(tensor, shape=(*shape[:first], *inner, *shape[last + 1 :]))
        return None

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
    for weighing, made in _weighed(wiring, router, spread):
        changed: dict[str, Layer] = {}
        dropped: list[Layer] = []
        if _shrink_back(wiring, made, spread, changed, dropped):
            for layer in changed.values():
                if layer.workload is None:
                    wiring.put(layer)
                else:
                    _put_shares(wiring, layer, spread)
            for layer in dropped:
                wiring.drop_unread(layer)
            _shrink_on(wiring, weighing, made, spread)


def _weighed(wiring: Wiring, router: Layer, spread: _Spread) -> Iterator[tuple[Layer, TensorInfo]]:
    """Products of what all experts make with scores that come from the router."""
    scores = {tensor.name for tensor in router.outputs}
    for layer in wiring.layers:
        own = [tensor for tensor in layer.inputs if tensor.name in scores]
        if not own or layer.workload is not None:
            continue
        others = [tensor for tensor in layer.inputs if tensor.name not in scores]
        if layer.operator == "Mul" and len(others) == 1 and spread.shrunk(others[0]):
            yield layer, others[0]
        else:
            scores.update(tensor.name for tensor in layer.outputs)


def _shrink_back(
    wiring: Wiring,
    tensor: TensorInfo,
    spread: _Spread,
    changed: dict[str, Layer],
    dropped: list[Layer],
) -> bool:
    """Rewrite all that makes a tensor of all experts; False if something else is among it."""
    layer = wiring.maker(tensor.name)
    if layer is None or tensor.name in wiring.outputs:
        return False
    if layer.name in changed:
        return True
    outputs = tuple(spread.shrunk(made) for made in layer.outputs)
    if any(made is None for made in outputs):
        return False
    made = tuple(tensor for tensor in outputs if tensor is not None)
    elements = sum(tensor.elements for tensor in made) if layer.elements else 0
    layer = replace(layer, outputs=made, elements=elements)
    if layer.workload is None:
        layer = replace(layer, weights=spread.constants(layer))
    else:
        product = _masked_product(wiring, layer, spread, dropped)
        if product is None:
            return False
        layer = product
    changed[layer.name] = layer
    for own in layer.inputs:
        small = spread.shrunk(own)
        if small is not None:
            if not _shrink_back(wiring, own, spread, changed, dropped):
                return False
            changed[layer.name] = replace(
                changed[layer.name], inputs=with_input(changed[layer.name], small)
            )
        elif layer.workload is None:
            return False
    return True


def _masked_product(
    wiring: Wiring, layer: Layer, spread: _Spread, dropped: list[Layer]
) -> Layer | None:
    """A product of each expert's matrix with all tokens, for those that run alone."""
    workload = layer.workload
    if workload is None or len(layer.inputs) != 1 or not layer.weights:
        return None
    if workload.sizes.get("B") != spread.experts or workload.sizes["N"] != spread.tokens:
        return None
    source = wiring.maker(layer.inputs[0].name)
    copies = []
    while source is not None and (source.cost_class == "view" or source.operator in _COPIES):
        copies.append(source)
        if len({tensor.name for tensor in source.inputs}) != 1:
            break
        given = source.inputs[0]
        if given.elements == spread.tokens * workload.sizes["K"]:
            # Tokens are read where they are, not repeated for every expert.
            dropped += copies
            return replace(layer, inputs=(given,))
        source = wiring.maker(given.name)
    return layer if spread.shrunk(layer.inputs[0]) else None


def _shrink_on(wiring: Wiring, layer: Layer, made: TensorInfo, spread: _Spread) -> None:
    """Rewrite the product with the scores, and what sums it over the experts."""
    layer = next(entry for entry in wiring.layers if entry.name == layer.name)
    small, output = spread.shrunk(made), spread.shrunk(layer.outputs[0])
    if small is None or output is None:
        return
    readers = [use.reader for use in wiring.uses(layer.outputs[0])]
    sums = [reader for reader in readers if reader and reader.operator.startswith("ReduceSum")]
    if len(sums) != len(readers):
        return
    inputs = with_input(layer, small)
    wiring.put(replace(layer, inputs=inputs, outputs=(output,), elements=output.elements))
    for reader in sums:
        shown = [spread.shrunk(tensor) or tensor for tensor in reader.inputs]
        elements = sum(tensor.elements for tensor in shown)
        wiring.put(replace(reader, inputs=tuple(shown), elements=elements))
