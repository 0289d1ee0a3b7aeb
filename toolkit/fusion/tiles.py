"""A part of a layer as a workload of its own."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from toolkit.fusion.folded import FoldedLayer
from toolkit.workload.kernel import Workload

Part = tuple[tuple[int, int], ...]
"""Sizes by output axis; axes left out are whole."""

_CONV_POSITIONS = {3: ("P",), 4: ("P", "Q"), 5: ("O", "P", "Q")}


def share_of(layer: FoldedLayer, part: Part) -> float:
    """The part of the output, as a fraction of it."""
    shape = layer.output.shape
    return prod(size / shape[axis] for axis, size in part)


def tile_workload(layer: FoldedLayer, part: Part) -> Workload | None:
    """The workload of a part of a layer's output; None if the layer has no workload.

    Examples
    --------
    >>> from toolkit.fusion.folded import fold
    >>> from toolkit.workload import conv2d
    >>> from toolkit.workload.network import Layer, LayerGraph, TensorInfo
    >>> x, y = TensorInfo("x", (1, 4, 8, 8), "int8"), TensorInfo("y", (1, 2, 8, 8), "int8")
    >>> conv = Layer("c", "Conv", "einsum", (x,), (), (y,), workload=conv2d(2, 4, 8, 8, 1, 1))
    >>> graph = fold(LayerGraph.from_layers([conv], inputs=[x], outputs=[y]))
    >>> tile_workload(graph.layer_of("c"), ((2, 3),)).name
    'conv:M=2,P=3,Q=8,C=4,R=1,S=1'
    """
    workload = layer.layer.workload
    if workload is None or not part:
        return workload
    sizes = dict(workload.sizes)
    for axis, size in part:
        dimension = _dimension(layer, workload, axis)
        # Rows of several sequences are one dimension of the workload.
        sizes[dimension] = -(-sizes[dimension] * size // layer.output.shape[axis])
    name = workload.name
    for dimension, size in sizes.items():
        name = name.replace(f"{dimension}={workload.sizes[dimension]}", f"{dimension}={size}", 1)
    return replace(workload, name=name, sizes=sizes)


def _dimension(layer: FoldedLayer, workload: Workload, axis: int) -> str:
    rank = len(layer.output.shape)
    if "conv" in workload.kernel:
        if axis == 0:
            return "N"
        return _CONV_POSITIONS[rank][axis - 2]
    if len(layer.inputs) > 1 and axis == rank - 1:
        return "M"
    if axis < rank - 2 and len(layer.inputs) > 1:
        # Where only one operand has the axis, the other is broadcast along it.
        first, second = (axis in links for links in layer.links[:2])
        if first and second:
            return "B"
        return "N" if first else "M"
    return "N"
