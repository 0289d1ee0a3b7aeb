"""Words that a tile of a tensor takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray
from toolkit.workload.distinct import count_window, distinct_values
from toolkit.workload.kernel import Index, Tensor

Footprint = Literal["distinct", "stride_blind", "bounding"]
"""How to count a window: its distinct values, as if all strides and dilations were 1, or all
values from its first to its last."""


def check_footprint(rule: str) -> None:
    """Raise InputError unless `rule` names a way to count footprints."""
    if rule not in get_args(Footprint):
        raise InputError(
            f"{rule!r} is not a footprint rule; choose one of {', '.join(get_args(Footprint))}",
            key="footprint",
        )


def tensor_words(
    tensor: Tensor, extents: FloatArray, dimensions: tuple[str, ...], rule: Footprint
) -> FloatArray:
    """Count the words of a tensor's tile.

    Parameters
    ----------
    tensor : Tensor
        What is stored.
    extents : float64 array, shape (batch, dimensions)
        Tile extent along every dimension, at least 1.
    dimensions : tuple of str
        Names of the columns of `extents`.
    rule : {"distinct", "stride_blind", "bounding"}
        How to count a window.

    Returns
    -------
    float64 array, shape (batch,)
        Product over the tensor's indices of the values each takes; exact up to 2^53.

    Raises
    ------
    PrecisionError
        If a window is too wide to be counted by enumeration, or a stride is too large.
    """
    words = np.ones(len(extents))
    for index in tensor.indices:
        columns = [extents[:, dimensions.index(term.dimension)] for term in index]
        words *= _window(index, columns, rule)
    return words


def exact_tensor_words(
    tensor: Tensor, extents: Sequence[int], dimensions: tuple[str, ...], rule: Footprint
) -> int:
    """Count like `tensor_words`, one tile of any magnitude in integers.

    Raises
    ------
    PrecisionError
        If a window is too wide to be counted by enumeration.
    """
    words = 1
    for index in tensor.indices:
        lengths = [extents[dimensions.index(term.dimension)] for term in index]
        coefficients = [term.coefficient for term in index]
        if rule == "distinct":
            words *= count_window(lengths, coefficients)
            continue
        divisor = math.gcd(*coefficients)
        strides = [1 if rule == "stride_blind" else c // divisor for c in coefficients]
        words *= 1 + sum(c * (x - 1) for c, x in zip(strides, lengths, strict=True))
    return words


def _window(index: Index, columns: list[FloatArray], rule: Footprint) -> FloatArray:
    coefficients = [term.coefficient for term in index]
    if len(columns) == 1:
        return columns[0]
    if rule == "stride_blind" or len(set(coefficients)) == 1:
        # One less per further term at once, so that nothing on the way exceeds the result.
        return sum((column - 1 for column in columns[1:]), start=columns[0])
    if rule == "bounding":
        divisor = math.gcd(*coefficients)
        strides = np.array([c // divisor for c in coefficients], dtype=np.float64)
        return np.asarray(1 + strides @ (np.stack(columns) - 1), dtype=np.float64)
    if len(columns) == 2:
        return np.asarray(distinct_values(columns, coefficients), dtype=np.float64)
    # Three strided terms are counted one by one, so each combination only once.
    rows, where = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    counts = distinct_values(list(rows.T), coefficients)
    return np.asarray(counts, dtype=np.float64)[where.ravel()]
