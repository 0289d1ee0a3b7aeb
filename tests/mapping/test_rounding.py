"""Rounding real-valued tilings to valid ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mapping.spaces import arch, fanout, memory
from search.problems import PROBLEMS

from toolkit.arch import load_arch
from toolkit.mapping import MapSpace
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.sampling import random_tilings
from toolkit.search.gradient.descent import make_simplex
from toolkit.workload import gemm


def rounded(space: MapSpace, factors: list[list[float]]) -> list[list[int]]:
    found, valid = Rounding(space).round(np.log(np.array([factors])))
    assert valid.tolist() == [True]
    rows: list[list[int]] = found[0].tolist()
    return rows


def test_tiles_become_the_nearest_divisors() -> None:
    space = MapSpace(arch(memory("DRAM"), memory("Buffer"), memory("Reg")), gemm(12, 8, 30))
    found = rounded(space, [[2.4, 1.1, 1], [2.0, 1.9, 5], [2.5, 3.83, 6], [1, 1, 1]])
    assert found == [[2, 1, 1], [2, 2, 5], [3, 4, 6], [1, 1, 1]]


def test_meshes_hold() -> None:
    space = MapSpace(arch(memory("DRAM"), fanout("PEs", 6, "MK"), memory("Reg")), gemm(8, 8, 1))
    found = rounded(space, [[1.9, 4.1, 1], [4.2, 1.95, 1], [1, 1, 1], [1, 1, 1]])
    assert found[1] in ([4, 1, 1], [2, 2, 1])


def test_capacities_hold() -> None:
    space = MapSpace(arch(memory("DRAM"), memory("Buffer", 40)), gemm(8, 8, 8))
    ((m, k, n), _) = rounded(space, [[1, 1, 1], [8, 8, 8], [1, 1, 1]])[1:]
    assert m * k + k * n + m * n <= 40


@pytest.mark.parametrize("name", PROBLEMS)
def test_valid_tilings_stay(name: str) -> None:
    space = PROBLEMS[name]().space
    factors = random_tilings(space, 32, np.random.default_rng(0))
    found, valid = Rounding(space).round(np.log(factors.astype(np.float64)))
    assert valid.all()
    np.testing.assert_array_equal(found, factors)


@pytest.mark.parametrize("name", [*PROBLEMS, "large"])
def test_one_alone_is_rounded_as_among_others(name: str) -> None:
    # Single tilings are rounded in plain numbers, batches in arrays.
    large = MapSpace(load_arch("eyeriss"), gemm(3072, 1024, 4096), factors="ragged")
    space = large if name == "large" else PROBLEMS[name]().space
    rng = np.random.default_rng(0)
    logs = rng.uniform(0, 1, (40, *space.shape)) * np.log(space.sizes) * rng.uniform(0, 1)
    found, valid = Rounding(space).round(logs)
    for row, factors, fine in zip(logs, found, valid, strict=True):
        alone = Rounding(space).round(row[None])
        np.testing.assert_array_equal(alone[0][0], factors)
        assert alone[1].tolist() == [fine]


@pytest.mark.parametrize("name", PROBLEMS)
def test_most_points_of_the_simplex_have_a_valid_tiling_nearby(name: str) -> None:
    space = PROBLEMS[name]().space
    points = torch.tensor(np.random.default_rng(0).normal(0, 2, (64, *space.shape)))
    found, valid = Rounding(space).round(make_simplex(space).project(points).numpy())
    np.testing.assert_array_equal(valid, space.check_factors(found))
    assert valid.mean() > 0.7
    products = found.prod(axis=1)
    assert (np.where(space.ragged, products[valid] >= space.sizes, True)).all()
    assert (products == space.sizes)[:, ~space.ragged].all()
    assert (found >= space.lower).all()
    assert (found <= space.upper).all()
