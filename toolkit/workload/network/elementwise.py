"""Elementwise layers that are applied to what the layer before them makes, on its way out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer
from toolkit.workload.network.precision import SUM_BITS, typed


def fold_elementwise(
    graph: LayerGraph, operand_bits: int | None = None, accumulator_bits: int | None = None
) -> LayerGraph:
    """Fold elementwise layers of one activation into the layer that makes it.

    Only where nobody else reads what that layer makes, and shapes are equal: then results need
    not go to memory and back between the two. A layer keeps its name and its workload, whose
    output has the bits of what is made in the end. A machine with operands of so many bits reads
    wider floats in its words (`toolkit.workload.network.precision.value_bits`), and adds up in
    its accumulators, unless the user says how.

    Examples
    --------
    >>> from toolkit.workload.network.layer import TensorInfo
    >>> x, y, z = (TensorInfo(name, (1, 8), "int8") for name in "xyz")
    >>> chain = [Layer("a", "MaxPool", "window", (x,), (), (y,)),
    ...          Layer("b", "Relu", "elementwise", (y,), (), (z,))]
    >>> (layer,) = fold_elementwise(LayerGraph.from_layers(chain, outputs=(z,))).layers
    >>> layer.name, layer.operators
    ('a', 'MaxPool + Relu')
    """
    readers = Counter(t.name for layer in graph.layers for t in {*layer.inputs})
    readers.update(tensor.name for tensor in graph.outputs)
    found: dict[str, Layer] = {}
    makers: dict[str, str] = {}
    constant: set[str] = set()
    for layer in graph.layers:
        varying = {t.name: t for t in layer.inputs if t.name not in constant}
        # A single number, such as a scale that depends on data, passes with the operation.
        inputs = {name: t for name, t in varying.items() if t.elements > 1} or varying
        if not inputs and layer.workload is None:
            constant |= {tensor.name for tensor in layer.outputs}
        name = layer.name
        if layer.cost_class == "elementwise" and len(inputs) == len(layer.outputs) == 1:
            (source,) = inputs.values()
            before = found.get(makers.get(source.name, ""))
            if before is not None and _takes(before, source.shape, layer, readers):
                name = before.name
                layer = replace(before, outputs=layer.outputs, folded=(*before.folded, layer))
        found[name] = layer
        makers.update((tensor.name, name) for tensor in layer.outputs)
    layers = list(found.values())
    if graph.precision is not None:
        sums = graph.precision.sum or accumulator_bits or SUM_BITS
        layers = [typed(layer, sums, operand_bits) for layer in layers]
    return LayerGraph.from_layers(
        layers,
        name=graph.graph.get("name", ""),
        inputs=graph.inputs,
        outputs=graph.outputs,
        warnings=graph.warnings,
        precision=graph.precision,
    )


def _takes(before: Layer, shape: tuple[int, ...], layer: Layer, readers: Counter[str]) -> bool:
    """Whether a layer hands on one tensor, and only to this elementwise layer."""
    if before.cost_class == "view" or before.in_place or readers[before.outputs[0].name] != 1:
        return False
    alone = all(not readers[tensor.name] for tensor in before.outputs[1:])
    return alone and layer.outputs[0].shape == shape
