"""Bits of values and words against a nest that is executed, and the forms of the model alike."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle.arrays import array_of
from oracle.ports import KINDS, least_cycles
from oracle.simulator import Simulation, Traffic, simulate
from oracle.strategies import Case, cases, cases_with_bits, ragged_cases, with_drawn_bits

from toolkit.arch import Architecture, Compute, Memory
from toolkit.arch.architecture import holds
from toolkit.arch.packing import mac_energy_pj
from toolkit.errors import ArchitectureError, DoesNotFitError
from toolkit.mapping.ragged import lie_apart
from toolkit.mapping.space import MapSpace
from toolkit.model import (
    FACTORFLOW,
    STEADY,
    TIMELOOP,
    BatchCost,
    Conventions,
    batch_cost,
    make_plan,
)
from toolkit.model.compiled import batch_totals
from toolkit.workload import Tensor, gemm, with_bits

from .test_executed_nest import hops_of_tiles

many = examples(50)


@st.composite
def bit_cases(draw: st.DrawFn) -> Case:
    """Draw a case, perfect or ragged, whose values and words have bits."""
    if draw(st.booleans()):
        return draw(cases_with_bits())
    arch, workload, factors, order, bias_read, _ = draw(ragged_cases())
    cut = factors.prod(axis=0) != list(workload.sizes.values())
    apart = lie_apart(arch, workload)
    assume(not any(c and d in apart for c, d in zip(cut, workload.dimensions, strict=True)))
    return *draw(with_drawn_bits(arch, workload)), factors, order, bias_read


def cost_of(case: Case, conventions: Conventions = STEADY) -> BatchCost:
    arch, workload, factors, order, bias_read = case
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    return batch_cost(plan, factors[None].astype(np.float64), order[None])


def words(memory: Memory, bits: int | None) -> Fraction:
    """Words of one value."""
    if bits is None or memory.word_bits is None or not memory.packed:
        return Fraction(1)
    return Fraction(bits, memory.word_bits)


def is_complete(case: Case, level: int) -> bool:
    """Whether no instances of a level sum up the same outputs, nor tiles of what is inside."""
    arch, workload, factors, _, _ = case
    overlap = any(len(index) > 1 for index in workload.output.indices)
    first = next(
        i for i, x in enumerate(arch.levels) if isinstance(x, Memory) and holds(x, workload.output)
    )
    if overlap and level != first:
        return False
    alone = {i[0].dimension for i in workload.output.indices if len(i) == 1}
    summed = [d not in alone for d in workload.dimensions]
    return all(
        (factors[i, summed] == 1).all()
        for i in range(level)
        if not isinstance(arch.levels[i], Memory)
    )


def moved(
    case: Case, level: int, tensor: Tensor, traffic: Traffic, outputs: int
) -> dict[str, Fraction]:
    """Words that a memory moves of a tensor, by kind; `outputs` of them come complete."""
    memory = case[0].levels[level]
    assert isinstance(memory, Memory)
    most = words(memory, tensor.sum_bits or tensor.bits)
    less = (most - words(memory, tensor.bits)) * outputs * is_complete(case, level)
    overlap = any(len(index) > 1 for index in tensor.indices)
    return {
        "reads": traffic.reads * most,
        "fills": traffic.fills * most,
        "updates": traffic.updates * most - (less if traffic.updates else 0),
        "drains": traffic.drains * most - (less if traffic.drains and not overlap else 0),
    }


@many
@given(bit_cases())
def test_as_many_outputs_are_complete_as_there_are(case: Case) -> None:
    arch, workload, _, _, _ = case
    result, output = simulate(*case), workload.output
    outputs = len(result.used[output.name])
    for level, memory in enumerate(arch.levels):
        if isinstance(memory, Memory) and holds(memory, output) and is_complete(case, level):
            traffic = result.traffic(memory.name, output.name)
            overlap = any(len(index) > 1 for index in output.indices)
            if not overlap or traffic.drains == 0:
                assert traffic.received == outputs
            if traffic.drains and not overlap:
                assert traffic.sent == outputs


def energy(case: Case, result: Simulation) -> float:
    """Energy without leakage."""
    arch, workload, _, _, _ = case
    operands = [t.bits for t in workload.tensors if t.role != "output" and t.bits is not None]
    per_mac = [arch.compute.mac_energy_pj]
    if operands and arch.compute.energies_by_bits:
        per_mac = [pj for bits, pj in arch.compute.energies_by_bits if bits >= max(operands)]
    found = workload.macs * per_mac[0]
    for i, level in enumerate(arch.levels):
        if not isinstance(level, Memory):
            continue
        for tensor in workload.tensors:
            traffic = result.traffic(level.name, tensor.name)
            passed = moved(case, i, tensor, traffic, len(result.used[tensor.name]))
            found += level.read_energy_pj * float(passed["reads"] + passed["drains"])
            found += level.write_energy_pj * float(passed["fills"] + passed["updates"])
    return found


@many
@given(bit_cases())
def test_energy_is_of_words(case: Case) -> None:
    cost = cost_of(case)
    moving = sum(float(np.sum(x.energy_pj)) for x in cost.nest.levels if x.energy_pj is not None)
    assert moving == pytest.approx(energy(case, simulate(*case)), rel=1e-9)


@many
@given(bit_cases())
def test_the_slowest_port_moves_words(case: Case) -> None:
    arch, workload, factors, _, _ = case
    result = simulate(*case)
    array = array_of(arch, workload, factors.tolist())
    slowest = result.temporal_steps * arch.compute.cycles + hops_of_tiles(array, result)
    for i, level in enumerate(arch.levels):
        if not isinstance(level, Memory):
            continue
        passed = dict.fromkeys(KINDS, Fraction(0))
        for tensor in workload.tensors:
            first = result.memories[level.name].first.get(tensor.name, Traffic())
            complete = max(first.received, first.sent)
            for kind, count in moved(case, i, tensor, first, complete).items():
                passed[kind] += count
        slowest = max(slowest, float(least_cycles(level, passed)))
    slowest += 0 if array.stays else array.cycles
    assert cost_of(case).latency_cycles.item() == pytest.approx(slowest, rel=1e-9)


@many
@given(bit_cases(), st.integers(0, 4), st.integers(-1, 1))
def test_the_last_bit_needs_room(case: Case, number: int, spare: int) -> None:
    """One memory has just enough words for what it has held, one more, or one too few."""
    arch, workload, factors, order, bias_read = case
    result, m = simulate(*case), number % len(arch.memories)
    memory, outermost = arch.memories[m], m == 0
    held = sum(
        result.traffic(memory.name, t.name).occupancy
        * words(memory, t.bits if outermost else t.sum_bits or t.bits)
        for t in workload.tensors
    )
    needed = math.ceil(held)
    capacity = needed + spare
    if capacity < 1:
        return
    levels = [replace(x, capacity_words=capacity) if x is memory else x for x in arch.levels]
    tight = replace(arch, levels=tuple(levels))
    space = MapSpace(tight, workload, STEADY.window_footprint, "ragged")
    keeps_window = (space.keeping.in_windows[space.keeping.tensors[m]]).any()
    found = space.needed_words(m, factors)
    assert found == needed or (found > needed and keeps_window)
    assert space.footprints(factors[None])[0, m] == found
    plan = make_plan(tight, workload, STEADY, bias_read=bias_read)
    fits = batch_totals(plan, factors[None], order[None], threads=1).fits[0]
    assert fits == (found <= capacity)


@pytest.mark.parametrize("conventions", [STEADY, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
@many
@given(bit_cases())
def test_all_forms_cost_the_same(conventions: Conventions, case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    perfect = (factors.prod(axis=0) == list(workload.sizes.values())).all()
    if conventions is FACTORFLOW and not perfect:
        return
    cost = cost_of(case, conventions)
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    totals = batch_totals(plan, factors[None], order[None])
    assert totals.energy_pj.item() == pytest.approx(cost.energy_pj.item(), rel=1e-12)
    assert totals.latency_cycles.item() == pytest.approx(cost.latency_cycles.item(), rel=1e-12)
    if perfect:
        on_torch = batch_cost(
            plan, torch.tensor(factors[None], dtype=torch.float64), torch.tensor(order[None])
        )
        assert on_torch.energy_pj.item() == pytest.approx(cost.energy_pj.item(), rel=1e-12)
        latency = on_torch.latency_cycles.item()
        assert latency == pytest.approx(cost.latency_cycles.item(), rel=1e-12)
    assert cost.energy_pj.item() > 0


@pytest.mark.parametrize("conventions", [STEADY, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
@given(cases(), st.integers(1, 64))
def test_words_of_as_many_bits_change_nothing(
    conventions: Conventions, case: Case, bits: int
) -> None:
    arch, workload, *rest = case
    levels = [replace(x, word_bits=bits) if isinstance(x, Memory) else x for x in arch.levels]
    wide = replace(arch, levels=tuple(levels))
    expected = cost_of(case, conventions)
    narrow = with_bits(workload, bits)
    for other in ((wide, workload), (arch, narrow), (wide, narrow)):
        cost = cost_of((*other, *rest), conventions)
        assert cost.energy_pj.item() == expected.energy_pj.item()
        assert cost.latency_cycles.item() == expected.latency_cycles.item()


def chip(buffer: Memory, compute: Compute) -> Architecture:
    dram = Memory("DRAM", None, 100, 100, 1, 1, word_bits=8)
    return Architecture("chip", (dram, buffer, compute))


def test_narrow_words_that_are_not_packed_are_refused() -> None:
    buffer = Memory("Buffer", 64, 1, 1, 1, 1, word_bits=16, packed=False)
    arch = chip(buffer, Compute("MAC", 1.0))
    make_plan(arch, with_bits(gemm(2, 2, 2), 16), STEADY)
    message = (
        r"chip: levels\[1\]\.word_bits: Buffer has words of 16 bits that are not packed, too "
        r"narrow for partial sums of output \(32 bits\); expected at least as many, or packed"
    )
    with pytest.raises(DoesNotFitError, match=message):
        make_plan(arch, with_bits(gemm(2, 2, 2), 16, sum_bits=32), STEADY)


@pytest.mark.parametrize(
    ("bits", "pj"), [({}, 0.7), ({"bits": 8}, 0.2), ({"bits": 5}, 0.2), ({"weight_bits": 9}, 0.7)]
)
def test_energy_of_the_widest_operand(bits: dict[str, int], pj: float) -> None:
    compute = Compute("MAC", 0.7, energies_by_bits=((8, 0.2), (16, 0.7)))
    arch = chip(Memory("Buffer", 64, 1, 1, 1, 1), compute)
    assert mac_energy_pj(arch, with_bits(gemm(2, 2, 2), **bits)) == pj


def test_operands_that_are_too_wide_for_all_energies() -> None:
    compute = Compute("MAC", 0.7, energies_by_bits=((8, 0.2), (16, 0.7)))
    arch = chip(Memory("Buffer", 64, 1, 1, 1, 1), compute)
    message = r"chip: levels\[2\]\.mac_energy_pj: MAC has energies .* 8, 16 bits, .* have 32;"
    with pytest.raises(ArchitectureError, match=message):
        make_plan(arch, with_bits(gemm(2, 2, 2), 8, weight_bits=32), STEADY)
