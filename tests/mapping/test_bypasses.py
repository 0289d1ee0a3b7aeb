"""Who holds what, as a mapping chooses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.errors import MappingError
from toolkit.mapping import (
    LevelMapping,
    Mapping,
    MapSpace,
    arch_with_holds,
    chosen_arch,
    chosen_holds,
    may_leave_out,
    violations,
    with_holds,
)
from toolkit.mapping.bypasses import held
from toolkit.workload.kernel import Tensor, Term, Workload

from .spaces import arch, fanout, gemm, memory

ARCH = arch(
    memory("DRAM"),
    memory("Buffer", 10, bypasses=("weight",), may_bypass=("In",)),
    fanout("PEs", 4, "M"),
    memory("Register", may_bypass=("output", "input")),
)
WORKLOAD = gemm(8, 4, 2)


def mapping(**bypasses: tuple[str, ...]) -> Mapping:
    factors = {"DRAM": (("M", 8), ("K", 4), ("N", 2))}
    return Mapping(
        tuple(
            LevelMapping(level.name, factors.get(level.name, ()), (), bypasses.get(level.name))
            for level in ARCH.levels
        )
    )


def test_a_mapping_that_chooses_nothing_leaves_the_architecture_as_it_is() -> None:
    assert chosen_arch(ARCH, WORKLOAD, mapping()) is ARCH
    # Said in other words, it is the same.
    assert chosen_arch(ARCH, WORKLOAD, mapping(DRAM=(), Buffer=("W",), Register=())) is ARCH


def test_choices_are_written_into_the_architecture() -> None:
    chosen = chosen_arch(ARCH, WORKLOAD, mapping(Buffer=("W", "In"), Register=("Out",)))
    assert [m.bypasses for m in chosen.memories] == [(), ("In", "W"), ("Out",)]
    assert [m.may_bypass for m in chosen.memories] == [(), (), ("output", "input")]
    assert chosen.levels[0] is ARCH.levels[0]
    # On what was chosen, the mapping chooses the same.
    again = chosen_arch(chosen, WORKLOAD, mapping(Buffer=("W", "In"), Register=("Out",)))
    assert again is chosen


def test_arrays_tell_what_may_be_chosen_and_what_is() -> None:
    # Columns: In, W, Out.
    assert held(ARCH, WORKLOAD).astype(int).tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    assert may_leave_out(ARCH, WORKLOAD).astype(int).tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 1]]
    holds = chosen_holds(mapping(Register=("Out",)), ARCH, WORKLOAD)
    assert holds.astype(int).tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 0]]


@given(st.lists(st.booleans(), min_size=3, max_size=3))
def test_arrays_and_mappings_say_the_same(cells: list[bool]) -> None:
    holds = held(ARCH, WORKLOAD)
    holds[may_leave_out(ARCH, WORKLOAD)] = cells
    found = with_holds(mapping(Register=("In",)), holds, ARCH, WORKLOAD)
    assert np.array_equal(chosen_holds(found, ARCH, WORKLOAD), holds)
    assert chosen_arch(ARCH, WORKLOAD, found) == arch_with_holds(ARCH, WORKLOAD, holds)
    same = [np.array_equal(a, b) for a, b in zip(holds, held(ARCH, WORKLOAD), strict=True)]
    memories = [found.levels[i] for i in (0, 1, 3)]
    assert [entry.bypasses is None for entry in memories] == same


@pytest.mark.parametrize(
    ("bypasses", "message"),
    [
        (
            {"Buffer": ("W", "Out")},
            "Buffer.bypasses: Buffer cannot leave out Out: tiny lets a mapping leave out In there",
        ),
        ({"DRAM": ("In",)}, "DRAM cannot leave out In: tiny lets a mapping leave out nothing"),
        ({"Buffer": ()}, "Buffer cannot hold W, which it bypasses in tiny"),
        (
            {"Register": ("Ou",)},
            "Register.bypasses: unknown tensor 'Ou' .did you mean 'Out'.*; small has In, W, Out",
        ),
        ({"Register": ("output",)}, "unknown tensor 'output'"),
        ({"PEs": ()}, "PEs.bypasses: PEs is not a memory, so it holds no tensor"),
        ({"MAC": ("In",)}, "MAC is not a memory"),
    ],
)
def test_what_is_not_permitted_is_refused(
    bypasses: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(MappingError, match=message):
        chosen_arch(ARCH, WORKLOAD, mapping(**bypasses))


def test_another_architecture_is_refused() -> None:
    with pytest.raises(MappingError, match="levels .* do not match those of tiny"):
        chosen_holds(Mapping(mapping().levels[1:]), ARCH, WORKLOAD)
    holds = np.zeros((3, 3), dtype=np.bool_)
    with pytest.raises(MappingError, match="DRAM cannot leave out In"):
        with_holds(mapping(), holds, ARCH, WORKLOAD)


def test_what_is_left_out_takes_no_room() -> None:
    whole = replace(mapping().levels[0], factors=(("M", 8), ("K", 4)))
    buffer = LevelMapping("Buffer", (("N", 2),))
    tight = Mapping((whole, buffer, *mapping().levels[2:]))
    space = MapSpace(arch(*ARCH.levels[:1], replace(ARCH.memories[1], capacity_words=2),
                          *ARCH.levels[2:-1]), WORKLOAD)  # fmt: skip
    assert violations(space, tight) == ("Buffer: footprint 4 words > 2 usable",)
    buffer = replace(buffer, bypasses=("In", "W"))
    assert violations(space, Mapping((whole, buffer, *tight.levels[2:]))) == ()


def test_a_tensor_called_like_the_role_of_another_is_not_confused() -> None:
    workload = Workload(
        "odd",
        "custom",
        {"M": 2},
        (
            Tensor("weight", "input", ((Term("M"),),)),
            Tensor("W", "weight", ((Term("M"),),)),
            Tensor("Out", "output", ((Term("M"),),)),
        ),
    )
    machine = Architecture(
        "tiny",
        (
            Memory("DRAM", None, 1, 1, 1, 1),
            Memory("Buffer", None, 1, 1, 1, 1, may_bypass=("input", "weight")),
            Fanout("PEs", 2, ("M",)),
            Compute("MAC", 1),
        ),
    )
    levels = tuple(
        LevelMapping(x.name, (), (), ("weight",) if x.name == "Buffer" else None)
        for x in machine.levels
    )
    with pytest.raises(MappingError, match="called by the role of another one"):
        chosen_arch(machine, workload, Mapping(levels))
