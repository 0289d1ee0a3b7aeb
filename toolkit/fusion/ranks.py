"""Ranks: the dimensions of an operation that tiles may cut, outputs, weights and reductions alike.

An output axis that cuts the weights, a dimension that is summed over and an axis along which a
softmax or a normalisation runs are ranks, too, besides the axes of `toolkit.fusion.axes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.fusion.axes import channels_last, spread
from toolkit.fusion.reach import Reach
from toolkit.workload.kernel import Workload
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


_NORMALIZATIONS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")


def further_ranks(layer: Layer) -> tuple[Rank, ...]:
    """Ranks of an operation besides its open axes, in terms of its own inputs.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> from toolkit.workload.network.layer import TensorInfo
    >>> x, w, y = (TensorInfo(n, s, "int8") for n, s in
    ...            zip("xwy", ((4, 8), (8, 6), (4, 6)), strict=True))
    >>> product = Layer("p", "MatMul", "einsum", (x,), (w,), (y,), workload=gemm(6, 8, 4))
    >>> [(rank.size, rank.axis, rank.weights) for rank in further_ranks(product)]
    [(6, 1, True), (8, None, True)]
    """
    name = layer.operator.rpartition(".")[2]
    if not layer.outputs or not layer.inputs:
        return ()
    if name in ("Softmax", "LogSoftmax", *_NORMALIZATIONS):
        return _along(layer)
    if layer.cost_class != "einsum" or layer.workload is None:
        return ()
    if "gemm" in layer.workload.kernel and len(layer.inputs) == 2 and not layer.weights:
        return _product(layer)
    if "gemm" in layer.workload.kernel and len(layer.inputs) == 1:
        return _matrix_each(layer, layer.workload) or _projection(layer, layer.workload)
    if "conv" in layer.workload.kernel and layer.repetitions == 1 and len(layer.inputs) == 1:
        return _convolution(layer, layer.workload)
    return ()


def _along(layer: Layer) -> tuple[Rank, ...]:
    """The axis that an operator runs along, where that is the last one alone."""
    attributes: Mapping[str, object] = dict(layer.attributes)
    shape = layer.outputs[0].shape
    default = None if layer.operator.endswith("oftmax") else -1
    axis, last = attributes.get("axis", default), len(shape) - 1
    if not isinstance(axis, int) or axis not in (-1, last):
        return ()
    reads = tuple(
        Reach(last) if len(t.shape) == len(shape) and t.shape[last] == shape[last] else None
        for t in layer.inputs
    )
    return (Rank(shape[last], last, reads, recurrent=True),)


def _flag(layer: Layer, name: str) -> bool:
    return bool(dict(layer.attributes).get(name, 0))


def _product(layer: Layer) -> tuple[Rank, ...]:
    left, right = (tensor.shape for tensor in layer.inputs)
    if min(len(left), len(right)) < 2 or any(_flag(layer, f"transBatch{s}") for s in "AB"):
        return ()
    first = len(left) - (2 if _flag(layer, "transA") else 1)
    second = len(right) - (1 if _flag(layer, "transB") else 2)
    # Masked attention sums over fewer positions than there are.
    reads = (Reach(first), spread(second, right[second], left[first]))
    return (Rank(left[first], None, reads, dimension="K"),)


def _projection(layer: Layer, workload: Workload) -> tuple[Rank, ...]:
    """A product with weights: their columns, and what is summed over."""
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    if len(data) < 2 or layer.repetitions != 1 or "B" in workload.sizes:
        return ()
    columns, summed = workload.sizes["M"], workload.sizes["K"]
    axis = len(data) - (2 if _flag(layer, "transA") else 1)
    rows = tuple(size for i, size in enumerate(data) if i != axis)
    if data[axis] != summed or out != (*rows, columns):
        return ()
    return (
        Rank(columns, len(out) - 1, (None,), weights=True),
        Rank(summed, None, (Reach(axis),), weights=True, dimension="K"),
    )


def _matrix_each(layer: Layer, workload: Workload) -> tuple[Rank, ...]:
    """A matrix of weights for each of several inputs, such as experts.

    Which rows an expert reads is not known: all of them, where they are not its own already.
    """
    data, out, sizes = layer.inputs[0].shape, layer.outputs[0].shape, workload.sizes
    b, n, m, k = (sizes.get(d, 1) for d in ("B", "N", "M", "K"))
    turned = any(_flag(layer, name) for name in ("transA", "transB", "transBatchA", "transBatchB"))
    several = any(len(weight.shape) == 3 for weight in layer.weights)
    if not several or turned or layer.repetitions != 1 or out != (b, n, m) or data[-1] != k:
        return ()
    own = data == (b, n, k)
    return (
        Rank(b, 0, (Reach(0) if own else None,), weights=True),
        Rank(n, 1, (Reach(1) if own else None,)),
        Rank(m, 2, (None,), weights=True),
        Rank(k, None, (Reach(len(data) - 1),), weights=True, dimension="K"),
    )


def _convolution(layer: Layer, workload: Workload) -> tuple[Rank, ...]:
    data, out = layer.inputs[0].shape, layer.outputs[0].shape
    place = len(data) - 1 if channels_last(layer) else 1
    made, summed = workload.sizes.get("M"), workload.sizes.get("C")
    if made is None and summed == data[place] == out[place]:
        # One filter per channel.
        return (Rank(out[place], place, (Reach(place),), weights=True),)
    if summed != data[place] or made != out[place]:
        return ()
    return (
        Rank(out[place], place, (None,), weights=True),
        Rank(data[place], None, (Reach(place),), weights=True, dimension="C"),
    )
