"""The loss of real-valued tilings: its values, its penalties and its gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from search.problems import PROBLEMS

from toolkit.arch import load_arch
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.sampling import sample
from toolkit.model import CONVENTIONS, EXACT, FACTORFLOW, batch_cost
from toolkit.search import Problem, make_problem
from toolkit.search.gradient.loss import StraightThrough, excess, log_objective
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
    problem = PROBLEMS["strided"]()
    problem = make_problem(problem.arch, problem.workload, conventions=CONVENTIONS[conventions])
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
