"""Costs of the vector unit against hand counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

import toolkit
from toolkit.arch import Architecture, Compute, Fanout, Leakage, Memory, VectorUnit, arch_names
from toolkit.errors import ArchitectureError
from toolkit.model.conventions import TIMELOOP
from toolkit.model.vector_unit import Values, movement_cost, vector_cost, vector_unit_of


def memory(name: str, read: float, write: float, **options: object) -> Memory:
    return Memory(name, None, read, write, 4.0, 2.0, **options)


ARCH = Architecture(
    "three",
    (
        memory("DRAM", 100, 200),
        memory("Weights", 7, 8, bypasses=("input", "output")),
        memory("Buffer", 1, 2, bypasses=("weight",)),
        Fanout("Array", 4, ("M",)),
        memory("Register", 0.1, 0.1),
        Compute("MAC", 0.5),
    ),
)
UNIT = VectorUnit(8, 3.0, "Buffer")


def test_operands_pass_every_memory_that_holds_their_role() -> None:
    cost = vector_cost(
        ARCH, UNIT, 60, {"input": [Values(10)], "weight": [Values(4)], "output": [Values(20)]}
    )
    energies = {level.level: level.energy_pj for level in cost.levels}
    assert energies == {
        "DRAM": 10 * 100 + 4 * 100 + 20 * 200,
        "Weights": 4 * 8 + 4 * 7,
        "Buffer": 10 * 2 + 10 * 1 + 20 * 2 + 20 * 1,
        "VectorUnit": 60 * 3.0,
    }
    assert cost.energy_pj == sum(energies.values())
    assert (cost.dram_reads, cost.dram_writes) == (14, 20)
    # The slowest port: 10 fills and 20 updates of the buffer, two per cycle.
    assert (cost.latency_cycles, cost.operation_cycles) == (15.0, 7.5)


def test_lanes_limit_long_operations() -> None:
    assert (
        vector_cost(
            ARCH, UNIT, 800, {"input": [Values(10)], "output": [Values(10)]}
        ).latency_cycles
        == 100.0
    )


def test_one_port_serves_both_ways_where_conventions_say_so() -> None:
    cost = vector_cost(
        ARCH, UNIT, 0, {"input": [Values(10)], "output": [Values(21)]}, conventions=TIMELOOP
    )
    # 31 words in and 31 out of the buffer at six per cycle, in whole cycles.
    assert cost.latency_cycles == 11.0


def test_operations_on_what_passes_by_move_nothing() -> None:
    cost = vector_cost(ARCH, UNIT, 16, {})
    assert (cost.energy_pj, cost.latency_cycles, cost.dram_reads) == (48.0, 2.0, 0)


def test_instances_share_what_a_memory_inside_moves() -> None:
    inner = vector_cost(ARCH, replace(UNIT, memory="Register"), 0, {"input": [Values(64)]})
    outer = vector_cost(ARCH, replace(UNIT, memory="DRAM"), 0, {"input": [Values(64)]})
    assert inner.latency_cycles == 64 / 2  # The buffer is filled at two words per cycle.
    assert outer.latency_cycles == 64 / 4


def test_movement_reads_and_writes_the_outermost_memory() -> None:
    cost = movement_cost(ARCH, {"input": [Values(8)], "output": [Values(8)]})
    assert [(level.level, level.energy_pj) for level in cost.levels] == [("DRAM", 2400.0)]
    assert (cost.operations, cost.latency_cycles) == (0, 4.0)


def test_all_instances_leak_unless_they_are_gated() -> None:
    compute = replace(ARCH.compute, leakage_pj_per_cycle=2.0)
    leaking = replace(ARCH, levels=(*ARCH.levels[:-1], compute))
    cost = vector_cost(leaking, UNIT, 80, {})
    assert cost.energy_pj == 80 * 3.0 + 10 * 4 * 2.0
    gated = replace(ARCH.levels[3], power_gating=True)
    levels = (*ARCH.levels[:3], gated, ARCH.levels[4], compute)
    assert vector_cost(replace(ARCH, levels=levels), UNIT, 80, {}).energy_pj == 80 * 3.0
    for leakage in (Leakage("used"), Leakage(macs=False)):
        quiet = replace(leaking, leakage=leakage)
        assert vector_cost(quiet, UNIT, 80, {}).energy_pj == 80 * 3.0


def test_the_default_is_told_from_a_description() -> None:
    assert vector_unit_of(ARCH) == (VectorUnit(16, 0.5, "Buffer"), True)
    assert vector_unit_of(replace(ARCH, vector_unit=UNIT)) == (UNIT, False)


def test_a_unit_on_weights_alone_reads_inputs_from_where_they_are() -> None:
    first = memory("Weights", 7, 8, bypasses=("input", "output"))
    arch = Architecture("two", (first, memory("DRAM", 100, 200), Compute("MAC", 0.5)))
    cost = vector_cost(arch, VectorUnit(1, 0.0, "Weights"), 0, {"input": [Values(3)]})
    assert [(level.level, level.energy_pj) for level in cost.levels] == [("DRAM", 300.0)]


@pytest.mark.parametrize("name", arch_names())
def test_packaged_architectures_are_fed_by_a_memory_outside_of_the_array(name: str) -> None:
    arch = toolkit.load_arch(name)
    unit, assumed = vector_unit_of(arch)
    place = [level.name for level in arch.levels].index(unit.memory)
    assert assumed
    assert 0 < place < min(i for i, e in enumerate(arch.levels) if isinstance(e, Fanout))


def test_unknown_memories_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="three: vector_unit.memory: unknown memory 'X'"):
        replace(ARCH, vector_unit=VectorUnit(8, 3.0, "X"))


def test_narrow_values_pack_and_share_lanes() -> None:
    memories = [replace(m, word_bits=16) if isinstance(m, Memory) else m for m in ARCH.levels]
    arch = replace(ARCH, levels=tuple(memories))
    unit = replace(UNIT, lane_bits=32, energies_by_bits=((8, 0.5), (32, 3.0)))
    moved = {"input": [Values(10, 8)], "output": [Values(20, 8)]}
    narrow = vector_cost(arch, unit, 800, moved)
    words = {"input": [Values(10)], "output": [Values(20)]}
    plain = vector_cost(arch, unit, 800, words)
    assert (narrow.dram_reads, narrow.dram_writes) == (5, 10)
    assert (plain.dram_reads, plain.dram_writes) == (10, 20)
    assert narrow.operation_cycles == plain.operation_cycles / 4
    by_level = {e.level: e.energy_pj for e in narrow.levels}
    assert by_level["VectorUnit"] == 800 * 0.5
    assert by_level["DRAM"] == {e.level: e.energy_pj for e in plain.levels}["DRAM"] / 2


def test_values_that_pass_by_have_bits() -> None:
    unit = replace(UNIT, energies_by_bits=((8, 0.5), (32, 3.0)))
    energies = [vector_cost(ARCH, unit, 8, {}, bits=bits).energy_pj for bits in (8, 16, 64, None)]
    assert energies == [4.0, 24.0, 24.0, 24.0]
