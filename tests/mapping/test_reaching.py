"""Factors that reach sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.mapping import MapSpace
from toolkit.mapping.reaching import closing_levels, reached, roomiest
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.sampling import _anchor, _RaggedRepair, random_tilings
from toolkit.mapping.space import idle_from

from .spaces import EYERISS, arch, fanout, gemm, memory


@given(
    st.integers(1, 2**52),
    st.lists(st.integers(1, 2**30), min_size=2, max_size=5),
    st.integers(0, 4),
)
def test_one_level_makes_up_for_all_others(size: int, factors: list[int], closing: int) -> None:
    closing = closing % len(factors)
    (found,) = reached(np.array([factors]), size, closing).tolist()
    product = int(np.prod([np.float64(f) for f in found]))
    assert product >= size
    assert product == size or idle_from(np.array([found])[:, :, None])[0, 0] < size
    kept = [f for i, f in enumerate(factors) if i != closing]
    assert all(new <= old for new, old in zip(found[:closing], kept, strict=False))
    assert reached(np.array([found]), size, closing).tolist() == [found]


def test_each_row_has_its_own_size_and_level() -> None:
    columns = np.array([[9, 2, 3], [2, 9, 3], [5, 7, 8]])
    found = reached(columns, np.array([20, 20, 6]), np.array([0, 1, 2]))
    assert found.tolist() == [[4, 2, 3], [2, 4, 3], [1, 6, 1]]


def test_outer_lower_bounds_leave_less_room() -> None:
    """Three tiles outside are needed: the last of them begins below 11 if they hold at most 5."""
    space = MapSpace(
        arch(memory("DRAM"), memory("Buffer", None, "M >= 3"), memory("Reg")),
        gemm(11, 1, 1),
        factors="ragged",
    )
    assert roomiest(space)[2, 0] == 5
    assert roomiest(space)[1, 0] > 11
    table = space.lattices[0].table()
    assert table[:, 2:].prod(axis=1).max() == 5


def test_the_outermost_open_level_closes() -> None:
    levels = arch(memory("DRAM", None, "M == 2"), memory("Buffer", None, "K == 1"), memory("Reg"))
    space = MapSpace(levels, gemm(7, 5, 1), factors="ragged")
    assert closing_levels(space)[:2].tolist() == [1, 0]


RAGGED = MapSpace(EYERISS, gemm(127, 251, 509), factors="ragged")


def test_rounding_fills_what_fits() -> None:
    """All columns are taken, and registers hold as much as they can."""
    wanted = np.tile(np.log(RAGGED.sizes), (1, RAGGED.shape[0], 1))
    (factors,), valid = Rounding(RAGGED).near(wanted)
    assert valid.tolist() == [True]
    assert factors[2].prod() == 14
    assert factors[5:].prod(axis=0).tolist() == [32, 12, 1]


@pytest.mark.parametrize("rule", ["M >= 3", "M == 5", "M <= 2"])
def test_rounding_keeps_bounds(rule: str) -> None:
    space = MapSpace(
        arch(memory("DRAM", None, "K <= 2"), memory("Buffer", 120, rule), fanout("PEs", 6, "MK")),
        gemm(23, 19, 7),
        factors="ragged",
    )
    rng = np.random.default_rng(0)
    wanted = np.cumsum(rng.random((200, 4, 3)), axis=1)[:, ::-1]
    factors, valid = Rounding(space).near(wanted)
    assert valid.mean() > 0.9
    assert len(np.unique(factors[valid], axis=0)) > 5


def test_repaired_samples_are_varied() -> None:
    tight = [memory(f"L{i}", 40) for i in range(4)]
    space = MapSpace(arch(memory("DRAM"), *tight), gemm(509, 251, 127), factors="ragged")
    rng = np.random.default_rng(9)
    factors = random_tilings(space, 2000, rng)
    assert space.check_factors(factors).all()
    assert len(np.unique(factors, axis=0)) > 1000
    repair = _RaggedRepair(space, _anchor(space, factors, []))
    broken = np.ones((500, *space.shape), dtype=np.int64)
    broken[:, 1:4] = rng.integers(1, 8, (500, 3, 3))
    for d, size in enumerate(space.sizes.tolist()):
        broken[:, :, d] = reached(broken[:, :, d], size, 0)
    repaired = repair.apply(broken, rng)
    assert space.check_factors(repaired).all()
    assert len(np.unique(repaired, axis=0)) > 150
    assert (repaired[:, 1:].prod(axis=1) > 1).mean() > 0.5
