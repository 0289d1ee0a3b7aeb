"""Tiles in words: which tensor is cut, along which of its axes, into how large parts."""

from __future__ import annotations

from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.tile.group_plan import GroupPlan, extent_of

_IMAGES = {3: ("columns",), 4: ("rows", "columns"), 5: ("planes", "rows", "columns")}
"""Axes after batch and channels, by the rank of a tensor of images."""


def tile_text(plan: GroupPlan, graph: FoldedGraph) -> str:
    """Say what a tile is, and whether it is held once, without a second buffer; empty if whole.

    Examples
    --------
    >>> from toolkit.fusion import Assumptions, best_plan, fold
    >>> from toolkit.fusion.groups import GroupView
    >>> from toolkit.workload.network import Layer, LayerGraph, TensorInfo
    >>> x, y, z = (TensorInfo(name, (8, 64), "int8") for name in "xyz")
    >>> layers = [Layer("a", "Add", "elementwise", (x, x), (), (y,)),
    ...           Layer("b", "Add", "elementwise", (y, x), (), (z,))]
    >>> graph = fold(LayerGraph.from_layers(layers, inputs=(x,), outputs=(z,)))
    >>> view = GroupView(graph, frozenset(graph.names))
    >>> tile_text(best_plan(view, Assumptions(400, loops=1)), graph)
    'z: rows 1/8'
    """
    texts: dict[str, list[str]] = {}
    for name, axis, size in plan.tile:
        text = f"(axis {axis}) {size}"
        maker = graph.makers.get(name)
        if maker is not None:
            layer = graph.layer_of(maker)
            name_of_axis = f"sum over {axis}" if isinstance(axis, str) else axis_name(layer, axis)
            text = f"{name_of_axis} {size}/{extent_of(layer, axis)}"
        texts.setdefault(name, []).append(text)
    words = [f"{name}: {', '.join(cut)}" for name, cut in texts.items()]
    return "; ".join(words if plan.double_buffered or not words else [*words, "held once"])


def axis_name(layer: FoldedLayer, axis: int) -> str:
    """Name an axis of the output of a layer.

    Images have a batch, channels, rows and columns; the last two axes of other tensors are rows
    and columns, and those before have numbers, as their meaning is the network's.
    """
    rank = len(layer.output.shape)
    workload = layer.layer.workload
    kernel = workload.kernel if workload is not None else ""
    if ("conv" in kernel or layer.layer.cost_class == "window") and rank in _IMAGES:
        if layer.layer.operator.rpartition(".")[2].startswith("Nhwc"):
            return ("batch", *_IMAGES[rank], "channels")[axis]
        return ("batch", "channels", *_IMAGES[rank])[axis]
    if rank >= 2 and axis >= rank - 2:
        return ("rows", "columns")[axis - rank + 2]
    return f"(axis {axis})"
