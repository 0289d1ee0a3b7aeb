"""Least costs of relaxed ways, against the costs of mappings that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from search.drawn import draw_problem
from search.drawn_wide import draw_wide

from toolkit import load_arch
from toolkit.errors import ToolkitError
from toolkit.mapping import sample
from toolkit.model import EXACT
from toolkit.search import Problem, make_problem
from toolkit.search.evaluator import checked_cost
from toolkit.search.exact.decomposition import decomposes
from toolkit.search.exact.grid import make_grid
from toolkit.search.exact.limits import LANES
from toolkit.search.exact.nest import Nest, window_plan
from toolkit.search.exact.relaxed import Mix, Relaxation
from toolkit.search.exact.spatial_factors import Spatial
from toolkit.workload import conv2d, gemm

TOLERANCE = 1e-9


def relaxation(problem: Problem, cells: int) -> Relaxation:
    ones = np.ones(problem.space.shape, dtype=np.int64)
    nest = Nest(problem, window_plan(problem), Spatial(problem, ones))
    return Relaxation(nest, make_grid(problem.space, cells))


def check_bounds(problem: Problem, cells: int, count: int, seed: int) -> None:
    factors, order = sample(problem.space, count, np.random.default_rng(seed))
    relaxed = relaxation(problem, cells)
    macs = problem.plan.arch.compute.mac_energy_pj * problem.workload.macs
    memories = list(problem.plan.memories)
    for own, loops in zip(factors, order, strict=True):
        pj, cycles, _ = checked_cost(problem, own, loops)
        spatial = own.copy()
        spatial[memories] = 1
        tables = relaxed.tables(spatial, through=True)
        assert macs + tables.least <= pj * (1 + TOLERANCE)
        # At the bottom of the innermost memory nothing is done yet, further out something is.
        least = tables.to_go[-1, 0, 0]  # Below 0 where visits save more than they cost.
        assert tables.through[-1].min() == pytest.approx(least)
        assert (tables.through.min(axis=1) >= least - abs(least) * TOLERANCE).all()
        for port in range(len(relaxed.limits)):
            assert relaxed.tables(spatial, port).least <= cycles * (1 + TOLERANCE)
        if not relaxed.limits or relaxed.limits[-1].port is not LANES:
            continue
        # Weights change with the case; lanes wait for what their steps leave of the latency.
        mix = Mix(1 / pj, (1 + seed % 5) / cycles)
        turns = np.ceil(problem.space.sizes / spatial.prod(axis=0)).prod()
        steps = float(turns * problem.plan.arch.compute.cycles)
        most = mix.energy * (pj - macs) + mix.cycles * (cycles - steps)
        least = relaxed.mixed(spatial, mix).least
        assert least <= most + TOLERANCE
        apart = mix.energy * tables.least
        apart += mix.cycles * relaxed.tables(spatial, len(relaxed.limits) - 1).least
        assert least >= apart - abs(apart) * TOLERANCE - TOLERANCE


@examples(40)
@given(
    st.integers(0, 10**6), st.sampled_from([1, 30, 4000]), st.sampled_from(["perfect", "ragged"])
)
def test_no_mapping_costs_less(seed: int, cells: int, factors: str) -> None:
    for draw in (draw_problem, draw_wide):
        drawn = draw(seed)
        if drawn is None:
            continue
        try:
            problem = make_problem(
                drawn.arch,
                drawn.workload,
                conventions=EXACT,
                bias_read=drawn.bias_read,
                factors=factors,
            )
            if decomposes(problem):
                check_bounds(problem, cells, 5, seed)
        except ToolkitError:
            continue


@pytest.mark.parametrize(
    ("arch", "workload"),
    [
        ("eyeriss", gemm(197, 768, 64)),
        ("simba", gemm(100, 90, 80)),
        ("simba-conv", conv2d(24, 20, 14, 14, 3, 3, stride=2)),
        ("gemmini-conv", conv2d(16, 16, 28, 28, 3, 3)),
    ],
)
def test_no_mapping_costs_less_on_packaged_machines(arch: str, workload: object) -> None:
    problem = make_problem(load_arch(arch), workload, factors="ragged")
    check_bounds(problem, 2000, 20, 0)


def test_finer_grids_bound_more_closely() -> None:
    problem = make_problem(load_arch("eyeriss"), gemm(197, 768, 64), factors="ragged")
    factors, _ = sample(problem.space, 10, np.random.default_rng(0))
    factors[:, list(problem.plan.memories)] = 1
    coarse, fine = relaxation(problem, 8), relaxation(problem, 8000)
    assert len(coarse.grid.least[0]) < len(fine.grid.least[0])
    pairs = [(coarse.tables(f).least, fine.tables(f).least) for f in factors]
    assert all(low <= high * (1 + TOLERANCE) for low, high in pairs)
    assert any(low < high * 0.99 for low, high in pairs)
