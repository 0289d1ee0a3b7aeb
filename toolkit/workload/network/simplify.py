"""Layers that need not run: those nobody reads, and batch normalization after a convolution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from toolkit.workload.network.layer import Layer
from toolkit.workload.network.tensors import TensorInfo

_FOLDS_INTO = ("Conv", "ConvTranspose", "Gemm")


def remove_dead(layers: Sequence[Layer], outputs: Sequence[TensorInfo]) -> list[Layer]:
    """Keep the layers that some output depends on.

    Examples
    --------
    >>> x, y = TensorInfo("x", (1,), "int8"), TensorInfo("y", (1,), "int8")
    >>> relu = Layer("relu", "Relu", "elementwise", (), (), (x,))
    >>> dead = Layer("dead", "Relu", "elementwise", (x,), (), (y,))
    >>> [layer.name for layer in remove_dead([relu, dead], [x])]
    ['relu']
    """
    wanted = {tensor.name for tensor in outputs}
    kept = []
    for layer in reversed(layers):
        if any(tensor.name in wanted for tensor in layer.outputs):
            kept.append(layer)
            wanted |= {tensor.name for tensor in layer.inputs}
    return kept[::-1]


def fold_batch_norm(layers: Sequence[Layer], outputs: Sequence[TensorInfo]) -> list[Layer]:
    """Scale weights of convolutions and fully connected layers instead of their outputs.

    A batch normalization disappears where it alone reads the output of a layer with constant
    weights; that layer keeps its workload and gets a bias if it has none.
    """
    readers = Counter(tensor.name for layer in layers for tensor in layer.inputs)
    readers.update(tensor.name for tensor in outputs)
    makers = {tensor.name: layer.name for layer in layers for tensor in layer.outputs}
    by_name = {layer.name: layer for layer in layers}
    for norm in layers:
        if norm.operator != "BatchNormalization" or len(norm.inputs) != 1:
            continue
        source = by_name.get(makers.get(norm.inputs[0].name, ""))
        alone = readers[norm.inputs[0].name] == 1
        if source is None or source.operator not in _FOLDS_INTO or not alone:
            continue
        if source.weights and len(norm.weights) == 4:
            by_name[source.name] = _folded(source, norm)
            del by_name[norm.name]
            makers.update((tensor.name, source.name) for tensor in norm.outputs)
    return [by_name[layer.name] for layer in layers if layer.name in by_name]


def _folded(source: Layer, norm: Layer) -> Layer:
    has_bias = len(source.weights) > 1
    # A bias of zeros is a weight, but no parameter; it becomes one.
    learned = len(source.parameters) > 1
    shift = norm.weights[1]
    return replace(
        source,
        outputs=norm.outputs[:1],
        weights=source.weights if has_bias else (*source.weights, shift),
        parameters=source.parameters if learned else (*source.parameters, shift),
    )
