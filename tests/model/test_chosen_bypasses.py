"""Bypasses that a mapping chooses: as if the file said them, and as the executed nest counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from oracle.simulator import simulate
from oracle.strategies import RaggedCase, ragged_cases

import toolkit
from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.errors import ArchitectureError, MappingError
from toolkit.mapping import LevelMapping, Mapping, arch_with_holds, from_arrays, with_holds
from toolkit.mapping.space import lie_apart
from toolkit.model import FACTORFLOW


def permissive(arch: Architecture) -> Architecture:
    """Let every memory hold everything, and mappings leave out what they like."""
    levels = [
        replace(level, bypasses=(), may_bypass=("input", "weight", "output") if i else ())
        if isinstance(level, Memory)
        else level
        for i, level in enumerate(arch.levels)
    ]
    return replace(arch, levels=tuple(levels))


def countable(case: RaggedCase) -> bool:
    """Whether it chooses, and shares no window among instances apart where a tile is cut off."""
    arch, workload, factors, _, _, holds = case
    if holds is None:
        return False
    apart = lie_apart(arch_with_holds(permissive(arch), workload, holds), workload)
    cut = factors.prod(axis=0) != list(workload.sizes.values())
    return not any(c and d in apart for c, d in zip(cut, workload.dimensions, strict=True))


chosen = ragged_cases().filter(countable)


@given(chosen)
def test_a_choice_costs_what_the_file_would_say(case: RaggedCase) -> None:
    drawn, workload, factors, order, bias_read, holds = case
    arch = permissive(drawn)
    mapping = from_arrays(factors, order, arch, workload)
    chosen = with_holds(mapping, holds, arch, workload)
    found = toolkit.evaluate(chosen, arch, workload, bias_read=bias_read)
    fixed = arch_with_holds(arch, workload, holds)
    expected = toolkit.evaluate(mapping, fixed, workload, bias_read=bias_read)
    assert (found.accesses, found.memories) == (expected.accesses, expected.memories)
    assert (found.energies, found.latency_cycles) == (expected.energies, expected.latency_cycles)
    assert found.violations == expected.violations
    assert found.arch == fixed
    assert toolkit.evaluate(chosen, found.arch, workload, bias_read=bias_read) == found


@given(chosen)
def test_a_choice_is_what_the_executed_nest_counts(case: RaggedCase) -> None:
    drawn, workload, factors, order, bias_read, holds = case
    arch = permissive(drawn)
    mapping = with_holds(from_arrays(factors, order, arch, workload), holds, arch, workload)
    found = toolkit.evaluate(mapping, arch, workload, bias_read=bias_read)
    result = simulate(arch, workload, factors, order, bias_read, holds)
    got = {(x.level, x.tensor): (x.reads, x.fills, x.updates, x.drains) for x in found.accesses}
    expected = {
        (name, tensor): (x.reads, x.fills, x.updates, x.drains)
        for name, report in result.memories.items()
        for tensor, x in report.tensors.items()
    }
    assert got == expected
    words = [sum(x.occupancy for x in m.tensors.values()) for m in result.memories.values()]
    assert [use.words for use in found.memories] == words


TINY = toolkit.Architecture(
    "tiny",
    (
        toolkit.Memory("DRAM", None, 64, 64, 8, 8, bypasses=("output",)),
        toolkit.Memory("Buffer", 64, 1, 1, 8, 8, may_bypass=("output", "input")),
        toolkit.Compute("MAC", 1.0),
    ),
)
GEMM = toolkit.gemm(4, 4, 2)


def tiny(*bypasses: str) -> Mapping:
    dram = LevelMapping("DRAM", (("N", 2),), ("N", "M", "K"))
    buffer = LevelMapping("Buffer", (("M", 4), ("K", 4)), ("M", "K", "N"), bypasses)
    return Mapping((dram, buffer, LevelMapping("MAC", ())))


def test_a_tensor_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="no memory holds the tensor 'output'"):
        toolkit.evaluate(tiny("output"), TINY, GEMM)


def test_what_is_not_permitted_is_refused() -> None:
    with pytest.raises(MappingError, match="Buffer cannot leave out weight: tiny lets a mapping"):
        toolkit.evaluate(tiny("weight"), TINY, GEMM)


def test_conventions_count_choices_as_well() -> None:
    fixed = arch_with_holds(TINY, GEMM, np.array([[1, 1, 0], [0, 1, 1]], dtype=np.bool_))
    for conventions in (FACTORFLOW, toolkit.TIMELOOP):
        found = toolkit.evaluate(tiny("input"), TINY, GEMM, conventions=conventions)
        bare = Mapping(tuple(replace(x, bypasses=None) for x in tiny().levels))
        expected = toolkit.evaluate(bare, fixed, GEMM, conventions=conventions)
        assert found.accesses == expected.accesses
        assert found.energy_pj == expected.energy_pj


def test_a_record_tells_the_choice() -> None:
    record = toolkit.evaluate(tiny("input"), TINY, GEMM).to_dict()
    assert record["mapping"]["levels"][1]["bypasses"] == ["input"]
    assert [x["tensor"] for x in record["accesses"] if x["level"] == "Buffer"] == [
        "weight",
        "output",
    ]
