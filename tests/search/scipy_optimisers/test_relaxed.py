"""Every point of the relaxed map space is a mapping."""

from __future__ import annotations

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from mapping.spaces import arch, memory
from search.drawn import draw_problem
from search.problems import PROBLEMS

from toolkit.mapping import sample
from toolkit.search import make_problem
from toolkit.search.scipy_optimisers.relaxed import Divisors, relax
from toolkit.workload import gemm

each_problem = pytest.mark.parametrize("name", PROBLEMS)
few = examples(15)


@each_problem
def test_every_point_is_a_valid_mapping(name: str) -> None:
    space = PROBLEMS[name]().space
    box = relax(space)
    points = np.random.default_rng(0).uniform(box.low, box.high, (200, len(box.low)))
    points = np.concatenate([points, box.low[None], box.high[None]])
    assert space.check(*box.decode(points)).all()


@each_problem
def test_points_and_mappings_are_the_same(name: str) -> None:
    space = PROBLEMS[name]().space
    box = relax(space)
    factors, order = sample(space, 50, np.random.default_rng(0))
    for level in space.memory_levels:
        order[:, level] = box.orders[level, 0]
    points = box.encode(factors, order)
    assert ((points >= box.low) & (points <= box.high)).all()
    again, orders = box.decode(points)
    np.testing.assert_array_equal(again, factors)
    np.testing.assert_array_equal(orders[:, space.memory_levels], order[:, space.memory_levels])


@few
@given(st.integers(0, 10_000))
def test_points_of_drawn_problems_are_valid(seed: int) -> None:
    problem = draw_problem(seed)
    if problem is None:
        return
    box = relax(problem.space)
    points = np.random.default_rng(seed).uniform(box.low, box.high, (50, len(box.low)))
    assert problem.space.check(*box.decode(points)).all()


def test_too_large_tiles_shrink_evenly() -> None:
    """Eight of M and eight of K inside take 80 words; two of each take 8."""
    machine = arch(memory("DRAM"), memory("Buffer", 8))
    space = make_problem(machine, gemm(8, 8, 1), factors="perfect").space
    box = relax(space)
    wanted = np.where(box.places[:, 0] == 1, 1.0, -1.0)
    point = np.concatenate([wanted, np.zeros(2)])
    factors, _ = box.decode(point[None])
    assert factors[0, :2].tolist() == [[4, 4, 1], [2, 2, 1]]


@pytest.mark.parametrize("seed", range(4))
def test_extents_are_the_nearest_divisors_that_levels_may_lead_to(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = next(filter(None, map(draw_problem, range(10 * seed, 10 * seed + 10))))
    tiler = relax(problem.space).tiler
    assert isinstance(tiler, Divisors)
    levels, dimensions = problem.space.shape
    wanted = np.sort(rng.random((20, levels, dimensions)), axis=1)[:, ::-1]
    wanted = wanted * np.log2(problem.space.sizes)
    for row, factors in zip(wanted, tiler._factors(wanted), strict=True):
        for d, lattice in enumerate(problem.space.lattices):
            extent = int(problem.space.sizes[d])
            for level in range(levels):
                low, high = int(lattice.lower[level]), int(lattice.upper[level])
                inner = [
                    (abs(np.log2(e) - row[level, d]), e)
                    for e, there in zip(
                        lattice.extents.tolist(), lattice.reachable[level + 1], strict=True
                    )
                    if there and extent % e == 0 and low <= extent // e <= high
                ]
                assert factors[level, d] == extent // min(inner)[1]
                extent //= int(factors[level, d])
