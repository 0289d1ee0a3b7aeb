"""What the vectors of SciPy's optimisers mean."""

from __future__ import annotations

import numpy as np
import pytest
from examples import examples
from mapping.spaces import arch, memory
from search.problems import PROBLEMS

from toolkit.mapping import neighbours, sample
from toolkit.search import make_problem
from toolkit.search.scipy_optimisers.vectors import local_vectors
from toolkit.workload import gemm

each_problem = pytest.mark.parametrize("name", PROBLEMS)
few = examples(20)


@each_problem
def test_vectors_and_mappings_are_the_same(name: str) -> None:
    problem = PROBLEMS[name]()
    space = problem.space
    factors, order = sample(space, 20, np.random.default_rng(0))
    vectors = local_vectors(space, list(zip(factors, order, strict=True)))
    rows = np.array([vectors.encode(f, o) for f, o in zip(factors, order, strict=True)])
    again, orders = vectors.decode(rows + 0.3)
    np.testing.assert_array_equal(again, factors)
    np.testing.assert_array_equal(orders[:, space.memory_levels], order[:, space.memory_levels])


@each_problem
def test_moves_lead_to_the_neighbours(name: str) -> None:
    space = PROBLEMS[name]().space
    vectors = local_vectors(space)
    factors, order = sample(space, 1, np.random.default_rng(1))
    near, _ = vectors.decode(vectors.neighbours(vectors.encode(factors[0], order[0])))
    expected = neighbours(space, factors[0])
    assert sorted(near.tolist()) == sorted(expected.tolist())


def test_reorderings_try_every_other_order() -> None:
    space = make_problem(arch(memory("DRAM"), memory("Reg", 8)), gemm(4, 2, 2)).space
    vectors = local_vectors(space)
    start = vectors.encode(np.array([[4, 2, 2], [1, 1, 1], [1, 1, 1]]), np.tile([2, 1, 0], (3, 1)))
    assert vectors.decode(start[None])[1][0, 0].tolist() in vectors.orders[0].tolist()
    assert len(vectors.reorderings(start, 0)) == 2
    assert len(vectors.reorderings(start, 1)) == 0
