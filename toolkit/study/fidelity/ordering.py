"""How well a model orders the mappings of one layer, beside measurements.

Correlations over all rows mostly say that large layers take long. A mapper asks: of two mappings
of the same layer on the same hardware, which is faster, and how good is the one rated best?
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray

APART = 0.02
"""Relative difference from which on two measurements tell which mapping is faster."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """How a model orders mappings within layers.

    Parameters
    ----------
    pairs : int
        Pairs of mappings of one layer whose measurements differ by more than `APART`.
    right : float
        Fraction of them that the model orders as measured; equal values count half.
    regret, worst_regret : float
        Measured cycles of the mapping that the model rates best over those of the fastest one:
        geometric mean over the layers, and the largest. Where several are rated best, their mean.
    faster : float
        Fraction of all rows that are measured more than 1 % faster than the model says.
    median_error : float
        Median of the absolute relative errors over all rows.
    """

    pairs: int
    right: float
    regret: float
    worst_regret: float
    faster: float
    median_error: float


def ordering(layers: Iterable[IntArray], computed: FloatArray, measured: FloatArray) -> Ordering:
    """Compare how two columns order the mappings of every layer.

    Parameters
    ----------
    layers : iterable of int arrays
        Rows of each layer.
    computed, measured : float arrays, shape (rows,)
        Cycles, above zero.

    Raises
    ------
    InputError
        If no layer has two mappings whose measurements differ.

    Examples
    --------
    >>> import numpy as np
    >>> found = ordering([np.arange(3)], np.array([1.0, 2.0, 3.0]), np.array([4.0, 8.0, 6.0]))
    >>> (found.pairs, round(found.right, 3), found.regret)
    (3, 0.667, 1.0)
    """
    found = _ordered(layers, computed, measured)
    if not found.pairs:
        raise InputError("no two mappings of one layer differ in what was measured")
    return found


def ordering_by_kind(
    kinds: Sequence[str], layers: Iterable[IntArray], computed: FloatArray, measured: FloatArray
) -> dict[str, Ordering]:
    """Compare how two columns order the mappings of the layers of each kind.

    Parameters
    ----------
    kinds : sequence of str, one per row
        What kind of layer each row is of, such as `toolkit.study.fidelity.layer_kind` names it.
    layers, computed, measured
        As for `ordering`.

    Returns
    -------
    dict of str to Ordering
        By kind, sorted; ``right`` is NaN where no two mappings of one layer differ.
    """
    of_row, of_layer = np.asarray(kinds), list(layers)
    found = {}
    for kind in sorted(set(kinds)):
        chosen = np.flatnonzero(of_row == kind)
        inside = [np.searchsorted(chosen, rows) for rows in of_layer if of_row[rows[0]] == kind]
        found[kind] = _ordered(inside, computed[chosen], measured[chosen])
    return found


def _ordered(layers: Iterable[IntArray], computed: FloatArray, measured: FloatArray) -> Ordering:
    pairs, right, regrets = 0, 0.0, []
    for rows in layers:
        theirs, ours = measured[rows], computed[rows]
        i, j = np.triu_indices(len(rows), 1)
        apart = np.abs(theirs[i] - theirs[j]) > APART * np.minimum(theirs[i], theirs[j])
        i, j = i[apart], j[apart]
        slower, rated = np.sign(theirs[i] - theirs[j]), np.sign(ours[i] - ours[j])
        pairs += len(i)
        right += float((slower == rated).sum() + 0.5 * (rated == 0).sum())
        regrets.append(float(theirs[ours == ours.min()].mean() / theirs.min()))
    return Ordering(
        pairs,
        right / pairs if pairs else float("nan"),
        float(np.exp(np.mean(np.log(regrets)))),
        max(regrets),
        float((measured < 0.99 * computed).mean()),
        float(np.median(np.abs(computed / measured - 1))),
    )
