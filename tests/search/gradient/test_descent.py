"""The loss of real-valued tilings, its penalties and gradients, and factors on their simplex."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mapping.spaces import spaces
from search.problems import PROBLEMS

from toolkit.arch import load_arch
from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.sampling import random_tilings, sample
from toolkit.mapping.space import MapSpace
from toolkit.model import CONVENTIONS, EXACT, FACTORFLOW, batch_cost
from toolkit.search import Problem, make_problem
from toolkit.search.gradient.relaxed_cost import (
    StraightThrough,
    excess,
    log_objective,
    memory_words,
)
from toolkit.search.gradient.simplex import Simplex, make_simplex
from toolkit.workload import conv2d, gemm

POWERS = (1.0, 1.0, 0.0)


def loss(problem: Problem, logs: torch.Tensor, order: IntArray) -> torch.Tensor:
    factors = logs.exp()
    costs = log_objective(problem, POWERS, factors, torch.tensor(order))
    return costs + excess(problem.space, factors)


def start(problem: Problem, count: int) -> tuple[FloatArray, IntArray]:
    """Real-valued tilings of which every factor is above 1, and loop orders."""
    rng = np.random.default_rng(0)
    factors, order = sample(problem.space, count, rng)
    return np.log(factors) + rng.uniform(0.1, 0.4, factors.shape), order


def differences(problem: Problem, logs: FloatArray, order: IntArray, step: float) -> FloatArray:
    """Central differences of the loss by every logarithm."""
    places = logs[0].size
    shifts = np.eye(places).reshape(places, 1, *logs.shape[1:]) * step
    moved = np.concatenate([logs + shifts, logs - shifts]).reshape(-1, *logs.shape[1:])
    values = loss(problem, torch.tensor(moved), np.tile(order, (2 * places, 1, 1)))
    ends = values.numpy().reshape(2, places, len(logs))
    return np.asarray(((ends[0] - ends[1]) / (2 * step)).T.reshape(logs.shape))


@pytest.mark.parametrize(
    "problem",
    [
        make_problem(load_arch("eyeriss"), gemm(48, 64, 96)),
        make_problem(load_arch("simba"), gemm(32, 64, 48)),
        make_problem(load_arch("gemmini"), gemm(64, 64, 64), bias_read=True),
        make_problem(load_arch("gemmini-ws"), conv2d(16, 8, 14, 14, 3, 3)),
    ],
    ids=lambda problem: f"{problem.arch.name}-{problem.workload.kernel}",
)
def test_gradients_agree_with_finite_differences(problem: Problem) -> None:
    """But for the few that have a kink within reach: a maximum or a penalty that sets in."""
    logs, order = start(problem, 24)
    point = torch.tensor(logs, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(problem, point, order).sum(), point)
    wide = differences(problem, logs, order, 1e-4)
    narrow = differences(problem, logs, order, 1e-5)
    smooth = np.isclose(wide, narrow, rtol=1e-3, atol=1e-5)
    assert smooth.mean() > 0.95
    np.testing.assert_allclose(gradient[smooth], narrow[smooth], rtol=1e-3, atol=1e-5)


def test_gradients_pass_through_what_the_model_rounds() -> None:
    """FactorFlow's first visits are rounded up; over wide steps the counts grow as unrounded."""
    problem = make_problem(load_arch("eyeriss"), gemm(480, 640, 960), conventions=FACTORFLOW)
    logs, order = start(problem, 24)
    point = torch.tensor(logs, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(problem, point, order).sum(), point)
    wide = differences(problem, logs, order, 1e-3)
    smooth = np.isclose(wide, differences(problem, logs, order, 1e-2), rtol=0.02, atol=0.01)
    assert smooth.mean() > 0.8
    np.testing.assert_allclose(gradient[smooth], wide[smooth], rtol=0.05, atol=0.02)


def test_rounding_is_kept_and_its_gradient_is_one() -> None:
    point = torch.tensor([2.25, 3.0], requires_grad=True)
    with StraightThrough():
        up, down = torch.ceil(point), torch.floor(point)
    assert (up.tolist(), down.tolist()) == ([3, 3], [2, 3])
    assert torch.autograd.grad((up + 2 * down).sum(), point)[0].tolist() == [3, 3]


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("powers", [POWERS, (1.0, 0.0, 0.0), (1.0, 2.0, -1.0)])
def test_values_are_those_of_the_model(
    conventions: str, powers: tuple[float, float, float]
) -> None:
    """Of whole tiles: real factors that exceed a size are costed as if all of it were work."""
    problem, named = PROBLEMS["strided"](), CONVENTIONS[conventions]
    problem = make_problem(problem.arch, problem.workload, conventions=named, factors="perfect")
    factors, order = sample(problem.space, 16, np.random.default_rng(0))
    cost = batch_cost(problem.plan, factors.astype(np.float64), order)
    asked = replace(problem.objective, powers=powers)
    expected = np.log(asked.value(cost.energy_pj, cost.latency_cycles, cost.utilization))
    real = torch.tensor(factors, dtype=torch.float64)
    got = log_objective(problem, powers, real, torch.tensor(order))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("name", PROBLEMS)
def test_penalties_mark_what_does_not_fit(name: str) -> None:
    space = PROBLEMS[name]().space
    rng = np.random.default_rng(0)
    factors = np.stack([lattice.sample(64, rng) for lattice in space.bound_lattices], axis=2)
    penalties = excess(space, torch.tensor(factors, dtype=torch.float64))
    assert (penalties >= 0).all()
    np.testing.assert_array_equal(penalties.numpy() < 1e-12, space.check_factors(factors))


def test_costs_of_nothing_have_no_gradient_rather_than_an_infinite_one() -> None:
    arch = load_arch("eyeriss")
    free = tuple(
        replace(level, read_energy_pj=0.0, write_energy_pj=0.0)
        if hasattr(level, "read_energy_pj")
        else level
        for level in arch.levels
    )
    free = (*free[:-1], replace(free[-1], mac_energy_pj=0.0))
    problem = make_problem(replace(arch, levels=free), gemm(8, 8, 8), conventions=EXACT)
    factors, order = sample(problem.space, 4, np.random.default_rng(0))
    point = torch.tensor(factors, dtype=torch.float64, requires_grad=True)
    value = log_objective(problem, (1.0, 0.0, 0.0), point, torch.tensor(order))
    assert torch.isfinite(torch.autograd.grad(value.sum(), point)[0]).all()


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
    logs = np.log(factors.astype(np.float64))
    found = make_simplex(space).project(torch.tensor(logs)).numpy()
    whole = ~space.ragged
    np.testing.assert_allclose(found[:, :, whole], logs[:, :, whole], atol=1e-9)
    # What is cut off of ragged ones is left out.
    np.testing.assert_allclose(np.exp(found.sum(axis=1)), np.tile(space.sizes, (8, 1)))


def test_gradients_along_the_simplex_keep_the_sum() -> None:
    where = simplex([0, 2, 0], [9, 2, 9], 6)
    along = where.along(torch.tensor([3.0, 7.0, 1.0], dtype=torch.float64)[None, :, None])
    assert along[0, :, 0].tolist() == [1.0, 0.0, -1.0]


@given(spaces(), st.integers(0, 1000))
def test_penalised_words_are_those_that_have_to_fit(space: MapSpace, seed: int) -> None:
    try:
        factors = random_tilings(space, 3, np.random.default_rng(seed))
    except DoesNotFitError:
        return
    words = [
        memory_words(space, m, torch.tensor(factors, dtype=torch.float64)).numpy()
        for m in range(len(space.memory_levels))
    ]
    np.testing.assert_array_equal(np.stack(words, axis=1), space.footprints(factors))
