"""What valid mappings keep, as SciPy states it: bounds, linear and nonlinear constraints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, NonlinearConstraint

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.ragged import idle_from
from toolkit.mapping.space import MapSpace
from toolkit.search.scipy_optimisers.chosen import FlippingBox, FlippingVectors
from toolkit.search.scipy_optimisers.functions import Limits
from toolkit.search.scipy_optimisers.relaxed import Relaxed
from toolkit.search.scipy_optimisers.vectors import ExponentVectors, FactorVectors, LocalVectors

_SLACK = 1e-9
"""Binary logarithms that are equal differ by less."""


def limits_of(vectors: Relaxed | FlippingBox | LocalVectors | FlippingVectors) -> Limits:
    """Tell the limits of the variables."""
    if isinstance(vectors, Relaxed | FlippingBox):
        return Limits(vectors.low, vectors.high, vectors.integral.astype(np.int64))
    pairs = len(vectors.problem.choices.pairs) if isinstance(vectors, FlippingVectors) else 0
    plain = vectors.plain if isinstance(vectors, FlippingVectors) else vectors
    space = plain.space
    if isinstance(plain, ExponentVectors):
        low, high = np.zeros(plain.width), _most(plain)
    else:
        assert isinstance(plain, FactorVectors)
        low = space.lower.ravel()[plain.free].astype(np.float64)
        high = np.minimum(space.upper, space.sizes).ravel()[plain.free].astype(np.float64)
    low = np.concatenate([low, np.zeros(len(plain.orders) + pairs)])
    high = np.concatenate([high, plain.order_counts - 1.0, np.ones(pairs)])
    return Limits(low, high, np.ones(len(low), dtype=np.int64))


def _most(vectors: ExponentVectors) -> FloatArray:
    """How often each prime divides its dimension, once per level."""
    counts = [dict(vectors.space.primes[d])[p] for d, p in vectors.primes]
    return np.repeat(np.array(counts, dtype=np.float64), vectors.space.shape[0])


def constraints_of(
    vectors: Relaxed | FlippingBox | LocalVectors | FlippingVectors,
) -> tuple[LinearConstraint | NonlinearConstraint, ...]:
    """List what valid mappings keep beside the limits of variables.

    Where bypasses are chosen, capacities are those of the choice that leaves out least.
    """
    if isinstance(vectors, Relaxed | FlippingBox):
        return ()
    flipping = isinstance(vectors, FlippingVectors)
    plain = vectors.plain if isinstance(vectors, FlippingVectors) else vectors
    more = len(vectors.problem.choices.pairs) if flipping else 0  # type: ignore[union-attr]
    if isinstance(plain, ExponentVectors):
        return _linear(plain, more), *_capacities(plain)
    assert isinstance(plain, FactorVectors)
    return *_ragged(plain), *_capacities(plain)


def lane_weights(vectors: object) -> FloatArray:
    """Weights that sum up to the binary logarithm of all instances at work.

    Raises
    ------
    InputError
        If variables are no exponents.
    """
    plain = vectors.plain if isinstance(vectors, FlippingVectors) else vectors
    if not isinstance(plain, ExponentVectors):
        raise InputError(
            "linear programs need exponents; expected perfect factors and encoding='moves'",
            key="encoding",
        )
    weights = np.zeros(len(limits_of(vectors).low))  # type: ignore[arg-type]
    for row in _logs(plain)[plain.space.spatial_levels]:
        weights[: plain.width] += row.sum(axis=0)
    return weights


def _logs(vectors: ExponentVectors) -> FloatArray:
    """Weights [levels, dimensions, width] that give binary logarithms of factors."""
    levels, dimensions = vectors.space.shape
    logs = np.zeros((levels, dimensions, vectors.width))
    for group, (d, p) in enumerate(vectors.primes):
        for level in range(levels):
            logs[level, d, group * levels + level] = np.log2(p)
    return logs


def _linear(vectors: ExponentVectors, more: int) -> LinearConstraint:
    """Products, bounds of factors, and meshes; rows over the exponents alone."""
    space, logs = vectors.space, _logs(vectors)
    levels = space.shape[0]
    rows: list[FloatArray] = []
    low: list[float] = []
    high: list[float] = []
    for group, most in enumerate(_most(vectors)[::levels].tolist()):
        row = np.zeros(vectors.width)
        row[group * levels : (group + 1) * levels] = 1
        rows.append(row)
        low.append(most)
        high.append(most)
    for level, d in np.argwhere((space.lower > 1) | (space.upper < space.sizes)).tolist():
        rows.append(logs[level, d])
        low.append(float(np.log2(space.lower[level, d])) - _SLACK)
        high.append(float(np.log2(space.upper[level, d])) + _SLACK)
    for level in space.spatial_levels.tolist():
        rows.append(logs[level].sum(axis=0))
        low.append(0.0)
        high.append(float(np.log2(space.mesh[level])) + _SLACK)
    matrix = np.pad(np.array(rows), ((0, 0), (0, len(vectors.orders) + more)))
    return LinearConstraint(matrix, np.array(low), np.array(high))


def _columns(vectors: LocalVectors, x: NDArray[np.float64]) -> IntArray:
    """Factors [batch, levels, dimensions] of vectors [variables] or [variables, batch]."""
    rows = np.atleast_2d(np.asarray(x, dtype=np.float64).T)
    limits = limits_of(vectors)
    given = np.clip(rows[:, : len(limits.low)], limits.low, limits.high)
    return vectors.decode(given)[0]


def _as_given(values: FloatArray, x: NDArray[np.float64]) -> FloatArray:
    """Values [batch, parts] in the shape that SciPy wants: [parts] or [parts, batch]."""
    return values[0] if np.ndim(x) == 1 else values.T


def _capacities(vectors: LocalVectors) -> tuple[NonlinearConstraint, ...]:
    """Binary logarithms of words, for those memories that can be too small."""
    space: MapSpace = vectors.space
    binding = np.flatnonzero(space.binding)
    if not len(binding):
        return ()

    def words(x: NDArray[np.float64]) -> FloatArray:
        footprints = space.footprints(_columns(vectors, x))[:, binding]
        return _as_given(np.log2(np.maximum(footprints, 1.0)), x)

    limits = np.log2(space.capacity[binding]) + _SLACK
    return (NonlinearConstraint(words, -np.inf, limits),)


def _ragged(vectors: FactorVectors) -> tuple[NonlinearConstraint, ...]:
    """Products that reach the sizes without idle iterations, and meshes."""
    space = vectors.space
    sizes = space.sizes.astype(np.float64)

    def products(x: NDArray[np.float64]) -> FloatArray:
        factors = _columns(vectors, x)
        reach = factors.astype(np.float64).prod(axis=1)
        return _as_given(np.concatenate([reach, idle_from(factors)], axis=1), x)

    def lanes(x: NDArray[np.float64]) -> FloatArray:
        used = _columns(vectors, x)[:, space.spatial_levels].astype(np.float64).prod(axis=2)
        return _as_given(used, x)

    open_ended = np.where(space.ragged, np.inf, sizes)
    idle = np.where(space.ragged, sizes - 1, np.inf)
    return (
        NonlinearConstraint(
            products,
            np.concatenate([sizes, np.full(len(sizes), -np.inf)]),
            np.concatenate([open_ended, idle]),
        ),
        NonlinearConstraint(lanes, 0.0, space.mesh[space.spatial_levels].astype(np.float64)),
    )
