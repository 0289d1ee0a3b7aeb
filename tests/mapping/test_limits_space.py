"""Map spaces of any size: exact or refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.exact_integers import TooWideError, exact_cost
from oracle.large import large_cases
from oracle.strategies import Case

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Memory
from toolkit.errors import ArchitectureError, PrecisionError, WorkloadError
from toolkit.mapping import (
    LevelMapping,
    Mapping,
    MapSpace,
    from_arrays,
    neighbours,
    render,
    sample,
    space_size,
    violations,
)
from toolkit.mapping.bounds import word_limit
from toolkit.workload.kernel import Tensor, Term, Workload

from .spaces import arch, conv1d, fanout, gemm, memory

EXACT = 2**53


def usable(size: Memory) -> int | float:
    return math.inf if (limit := word_limit(size)) is None else limit


def tightened(case: Case, slack: int) -> tuple[Architecture, dict[str, int]]:
    """Give every memory `slack` words more than its tiles take."""
    design, work, factors, order, bias_read = case
    words = exact_cost(design, work, factors.tolist(), order.tolist(), bias_read).words
    levels = tuple(
        replace(level, capacity_words=max(1, words[level.name] + slack), multiple_buffering=1.0)
        if isinstance(level, Memory) and words[level.name] < 2**62
        else level
        if isinstance(level, Memory)
        else replace(level, mesh=EXACT - 1, dimensions=work.dimensions)
        for level in design.levels
    )
    return replace(design, levels=levels), words


def is_valid(design: Architecture, work: Workload, words: dict[str, int], case: Case) -> bool:
    """Check one mapping with integers alone; the products are right by construction."""
    for level, row in zip(design.levels, case[2].tolist(), strict=True):
        if isinstance(level, Memory):
            if words[level.name] > usable(level):
                return False
        elif math.prod(row) > level.mesh or any(
            f > 1 and d not in level.dimensions for d, f in zip(work.sizes, row, strict=True)
        ):
            return False
    return True


@given(large_cases(), st.sampled_from((-1, 0, 1)))
def test_capacities_are_compared_exactly(case: Case, slack: int) -> None:
    try:
        design, words = tightened(case, slack)
        space = MapSpace(design, case[1])
        valid = space.check(case[2][None], case[3][None])[0]
        found = violations(space, from_arrays(case[2], case[3], design, case[1]))
    except (TooWideError, PrecisionError):
        return
    assert valid == is_valid(design, case[1], words, case)
    assert valid == (not found)
    held = [words[m.name] for m in design.memories]
    counted = space.footprints(case[2][None])[0]
    assert counted == pytest.approx(held, rel=1e-12)
    assert [n for n in counted if n < EXACT] == [n for n in held if n < EXACT]


@given(large_cases(), st.integers(0, 9))
def test_samples_and_neighbours_multiply_exactly(case: Case, seed: int) -> None:
    design, work = case[0], case[1]
    unlimited = tuple(
        replace(level, capacity_words=None)
        if isinstance(level, Memory)
        else replace(level, mesh=2**31)
        for level in design.levels
    )
    space = MapSpace(replace(design, levels=unlimited), work)
    factors, _ = sample(space, 2, np.random.default_rng(seed))
    for tiling in (*factors.tolist(), *neighbours(space, factors[0]).tolist()):
        assert tuple(map(math.prod, zip(*tiling, strict=True))) == tuple(work.sizes.values())


def test_a_space_of_twelve_levels_and_ten_dimensions_is_counted_exactly() -> None:
    names = "ABCDEFGHIJ"
    axes = tuple((Term(d),) for d in names)
    roles = (("In", "input"), ("W", "weight"), ("Out", "output"))
    tensors = tuple(Tensor(name, role, axes[i::3]) for i, (name, role) in enumerate(roles))  # type: ignore[arg-type]
    work = Workload("wide", "contraction", dict.fromkeys(names, 2**31), tensors)
    space = MapSpace(arch(*(memory(f"L{i}") for i in range(12))), work)
    size = space_size(space)
    assert size.tilings_exact
    assert size.tilings == math.comb(31 + 11, 11) ** 10 > 2**300


def test_an_error_beyond_floats_is_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.mapping.counting.SAMPLES", 1)
    names = [f"D{i}" for i in range(34)]
    roles = (("In", "input"), ("W", "weight"), ("Out", "output"))
    tensors = tuple(
        Tensor(name, role, tuple((Term(d),) for d in names[i::3]))  # type: ignore[arg-type]
        for i, (name, role) in enumerate(roles)
    )
    work = Workload("wide", "contraction", dict.fromkeys(names, 2**31), tensors)
    levels = [
        replace(memory(f"L{i}", 2**61 if i == 5 else None), loop_order=tuple(names))
        for i in range(12)
    ]
    size = space_size(MapSpace(arch(*levels), work), effort=1)
    assert not size.tilings_exact
    assert size.standard_error == math.inf


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (arch(memory("DRAM"), fanout("PEs", 2**53, "M")), "mesh 9007199254740992 of PEs"),
        (arch(memory("DRAM"), fanout("PEs", 10**99, "M")), "mesh about 10\\^99 of PEs"),
        (Architecture("a", (memory("DRAM"), Compute("MAC", 1.0, mesh=2**64))), "mesh 184467"),
        (arch(memory("DRAM", 2**63)), "capacity 9223372036854775808 of DRAM"),
    ],
)
def test_limits_that_cannot_be_compared_are_refused(design: Architecture, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        MapSpace(design, gemm(4, 4, 4))


def test_a_coefficient_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(WorkloadError, match="coefficient 9007199254740992 of R is not between"):
        MapSpace(arch(memory("DRAM")), conv1d(1, 4, 1, 1, EXACT))


def test_a_size_too_long_for_a_message() -> None:
    with pytest.raises(WorkloadError, match="size about 10\\^5000 is not between"):
        MapSpace(arch(memory("DRAM")), gemm(10**5000, 1, 1))


@pytest.mark.parametrize("spare", [-2, -1, 0, 1])
def test_a_footprint_that_floats_round_to_the_capacity(spare: int) -> None:
    """One tensor of 2^53 words and two of one word, which floats drop."""
    axes = ((Term("M"),), (Term("K"),))
    tensors = (Tensor("In", "input", axes), Tensor("W", "weight", ()), Tensor("Out", "output", ()))
    work = Workload("sum", "sum", {"M": 2**27, "K": 2**26}, tensors)
    space = MapSpace(arch(memory("DRAM"), memory("L1", EXACT + 2 + spare)), work)
    factors = np.ones((3, 2), dtype=np.int64)
    factors[1] = 2**27, 2**26
    assert space.check_factors(factors[None])[0] == (spare >= 0)


def test_a_window_of_three_terms_near_the_limit() -> None:
    axes = (tuple(Term(d) for d in "PRS"),)
    tensors = (Tensor("In", "input", axes), Tensor("Out", "output", ((Term("P"),),)))
    work = Workload("window", "window", {"P": EXACT - 1, "R": 1, "S": 1}, tensors)
    space = MapSpace(arch(memory("DRAM"), memory("L1", EXACT - 2, bypasses=("output",))), work)
    factors = np.ones((3, 3), dtype=np.int64)
    factors[1, 0] = EXACT - 1
    assert space.footprints(factors[None]).tolist() == [[2.0 * (EXACT - 1), EXACT - 1]]
    assert not space.check_factors(factors[None])[0]


def test_a_mesh_just_below_the_limit() -> None:
    """2^53 instances on one fewer: as floats, products this large need a limit below 2^53."""
    space = MapSpace(arch(memory("DRAM"), fanout("PEs", EXACT - 1, "MK")), gemm(2**27, 2**26, 1))
    factors = np.ones((3, 3), dtype=np.int64)
    factors[1, :2] = 2**27, 2**26
    assert not space.check_factors(factors[None])[0]


def test_nests_are_written_in_integers() -> None:
    size = EXACT - 1
    mapping = Mapping((LevelMapping("DRAM", (("M", size), ("K", size))), LevelMapping("MAC", ())))
    text = render(mapping, arch(memory("DRAM")), gemm(size, size, 1))
    assert f"W {size * size:,} + Out {size:,} = {size * (size + 2):,} of unlimited" in text


def test_a_mapping_beyond_floats() -> None:
    """Factors of a mapping that is not valid may multiply to anything."""
    levels = [memory(f"L{i}", 100 if i else None) for i in range(30)]
    design = arch(*levels)
    mapping = Mapping(
        (*(LevelMapping(m.name, (("M", 2**62),)) for m in levels), LevelMapping("MAC", ()))
    )
    found = violations(MapSpace(design, gemm(4, 4, 4)), mapping)
    assert f"factors of M multiply to {2**1860} but M is 4" in found
    assert f"L29: footprint {2**63 + 1} words > 100 usable" in found
    assert f"{2**1860:,}" in render(mapping, design, gemm(4, 4, 4))
