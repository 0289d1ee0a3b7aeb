"""Logarithms of factors on their simplex."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from search.problems import PROBLEMS

from toolkit.mapping.sampling import random_tilings
from toolkit.search.gradient.descent import Simplex, make_simplex


def simplex(lower: list[float], upper: list[float], total: float) -> Simplex:
    """One dimension over some levels."""

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64)[:, None]

    return Simplex(column(lower), column(upper), torch.tensor([total], dtype=torch.float64))


def projected(where: Simplex, logs: list[float]) -> list[float]:
    point = torch.tensor(logs, dtype=torch.float64)[None, :, None]
    values: list[float] = where.project(point)[0, :, 0].tolist()
    return values


def test_what_exceeds_the_sum_is_taken_from_all_levels_alike() -> None:
    found = projected(simplex([0, 0, 0], [9, 9, 9], 6), [3, 2, 4])
    assert found == pytest.approx([2, 1, 3])


def test_factors_become_exactly_one() -> None:
    found = projected(simplex([0, 0, 0], [9, 9, 9], 6), [5, -2, 4])
    assert found[1] == 0.0
    assert found == pytest.approx([3.5, 0, 2.5])


def test_bounds_hold() -> None:
    assert projected(simplex([0, 1, 0], [1, 9, 9], 6), [5, -5, 4]) == pytest.approx([1, 1, 4])


@given(
    levels=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(0.01, 30),
)
def test_projection_is_the_nearest_point(levels: int, seed: int, scale: float) -> None:
    """No feasible point lies on the far side of the plane through the projection."""
    rng = np.random.default_rng(seed)
    lower = rng.uniform(0, 1, levels)
    upper = lower + rng.uniform(0, 4, levels) * rng.integers(0, 2, levels)
    feasible = rng.uniform(lower, upper)
    where = simplex(lower.tolist(), upper.tolist(), feasible.sum())
    logs = rng.normal(0, scale, levels)
    nearest = np.array(projected(where, logs.tolist()))
    assert (nearest >= lower - 1e-12).all()
    assert (nearest <= upper + 1e-12).all()
    assert nearest.sum() == pytest.approx(feasible.sum(), abs=1e-9)
    assert (logs - nearest) @ (feasible - nearest) <= 1e-7 * (1 + scale)


@pytest.mark.parametrize("name", PROBLEMS)
def test_mappings_stay_where_they_are(name: str) -> None:
    space = PROBLEMS[name]().space
    factors = random_tilings(space, 8, np.random.default_rng(0))
    logs = torch.tensor(np.log(factors.astype(np.float64)))
    np.testing.assert_allclose(make_simplex(space).project(logs), logs, atol=1e-9)


def test_gradients_along_the_simplex_keep_the_sum() -> None:
    where = simplex([0, 2, 0], [9, 2, 9], 6)
    along = where.along(torch.tensor([3.0, 7.0, 1.0], dtype=torch.float64)[None, :, None])
    assert along[0, :, 0].tolist() == [1.0, 0.0, -1.0]
