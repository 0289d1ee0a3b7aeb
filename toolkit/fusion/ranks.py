"""Ranks: the dimensions of an operation that tiles may cut, outputs, weights and reductions alike.

An output axis that cuts the weights, a dimension that is summed over and an axis along which a
softmax or a normalisation runs are ranks, too, besides the axes of `toolkit.fusion.axes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.fusion.axes import Reach, channels_last
from toolkit.workload.network.layer import Layer


@dataclass(frozen=True, slots=True)
class Rank:
    """A dimension of an operation.

    Parameters
    ----------
    size : int
        Its positions.
    axis : int or None
        Of the output; None for one that is summed over.
    reads : tuple of Reach or None
        What a position needs of each input; None for an input that does not depend on it.
    weights : bool
        Whether tiles of it cut the weights.
    dimension : str
        Of the workload, where it is summed over.
    recurrent : bool
        Whether the operation runs along it: streamed, it keeps a state, and what was summed from
        its results is corrected.
    """

    size: int
    axis: int | None
    reads: tuple[Reach | None, ...]
    weights: bool = False
    dimension: str = ""
    recurrent: bool = False


@dataclass(frozen=True)
class Further:
    """Ranks of an operation besides its open axes, in terms of its own inputs.

    Parameters
    ----------
    columns : frozenset of int
        Output axes that cut the weights.
    recurrent : int or None
        Output axis that the operation runs along.
    reductions : tuple of Rank
        Dimensions that are summed over.
    """

    columns: frozenset[int] = frozenset()
    recurrent: int | None = None
    reductions: tuple[Rank, ...] = ()


_NORMALIZATIONS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")


def further_ranks(layer: Layer) -> Further:
    """Ranks that are no open axes.

    Examples
    --------
    >>> from toolkit.workload.network.layer import TensorInfo
    >>> x, w, y = (TensorInfo(n, s, "int8") for n, s in
    ...            zip("xwy", ((4, 8), (8, 6), (4, 6)), strict=True))
    >>> product = Layer("p", "MatMul", "einsum", (x,), (w,), (y,))
    >>> further_ranks(product).columns
    frozenset({1})
    >>> further_ranks(product).reductions[0].size
    8
    """
    name = layer.operator.rpartition(".")[2]
    if not layer.outputs or not layer.inputs:
        return Further()
    if name in ("Softmax", "LogSoftmax", *_NORMALIZATIONS):
        return Further(recurrent=_last_axis(layer))
    if layer.cost_class != "einsum" or layer.workload is None:
        return Further()
    if "gemm" in layer.workload.kernel and len(layer.inputs) == 2 and not layer.weights:
        return _product(layer)
    if "gemm" in layer.workload.kernel and len(layer.inputs) == 1:
        return _projection(layer)
    if "conv" in layer.workload.kernel and layer.repetitions == 1:
        return _convolution(layer)
    return Further()


def _last_axis(layer: Layer) -> int | None:
    """The axis that an operator runs along, where that is the last one alone."""
    attributes: Mapping[str, object] = dict(layer.attributes)
    rank = len(layer.outputs[0].shape)
    softmax = layer.operator.endswith("oftmax")
    axis = attributes.get("axis", None if softmax else -1)
    return rank - 1 if isinstance(axis, int) and axis in (-1, rank - 1) else None


def _flag(layer: Layer, name: str) -> bool:
    return bool(dict(layer.attributes).get(name, 0))


def _product(layer: Layer) -> Further:
    left, right = (tensor.shape for tensor in layer.inputs)
    if min(len(left), len(right)) < 2 or any(_flag(layer, f"transBatch{s}") for s in "AB"):
        return Further()
    first = len(left) - (2 if _flag(layer, "transA") else 1)
    second = len(right) - (1 if _flag(layer, "transB") else 2)
    if left[first] != right[second]:
        return Further()
    # Masked attention sums over fewer positions than there are.
    reads = (Reach(first), Reach(second))
    return Further(reductions=(Rank(left[first], None, reads, dimension="K"),))


def _projection(layer: Layer) -> Further:
    """A product with weights: their columns, and what is summed over."""
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    workload = layer.workload
    if workload is None or len(data) < 2 or layer.repetitions != 1 or "B" in workload.sizes:
        return Further()
    columns, summed = workload.sizes["M"], workload.sizes["K"]
    transposed = _flag(layer, "transA")
    axis = len(data) - (2 if transposed else 1)
    if data[axis] != summed or len(out) != len(data):
        return Further()
    last = len(out) - 1
    if out[last] != columns or out[:last] != tuple(
        size for i, size in enumerate(data) if i != axis
    ):
        return Further()
    reduction = Rank(summed, None, (Reach(axis),), weights=True, dimension="K")
    return Further(frozenset({last}), reductions=(reduction,))


def _convolution(layer: Layer) -> Further:
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    workload = layer.workload
    place = len(data) - 1 if channels_last(layer) else 1
    if workload is None or len(layer.inputs) != 1 or not {"M", "C"} <= set(workload.sizes):
        return Further()
    if workload.sizes["C"] != data[place] or workload.sizes["M"] != out[place]:
        return Further()
    reduction = Rank(data[place], None, (Reach(place),), weights=True, dimension="C")
    return Further(frozenset({place}), reductions=(reduction,))
