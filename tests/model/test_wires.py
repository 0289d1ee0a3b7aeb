"""Words that cross fanouts: how many, what they cost, and how long others wait for them."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from oracle.arrays import array_of
from oracle.ports import KINDS, least_cycles
from oracle.simulator import Simulation, simulate
from oracle.strategies import Case, cases, ragged_cases, wired, with_drawn_bits

from toolkit.arch import Fanout, Wires
from toolkit.arch.wires import energies_over_hops
from toolkit.errors import ArchitectureError
from toolkit.mapping.ragged import lie_apart
from toolkit.model import (
    FACTORFLOW,
    STEADY,
    TIMELOOP,
    Conventions,
    Evaluation,
    batch_cost,
    make_plan,
)
from toolkit.model.compiled import batch_totals
from toolkit.model.cost import BatchCost
from toolkit.model.totals import wire_energy_pj
from toolkit.model.words import cycle_parts, energy_parts
from toolkit.workload.kernel import Workload

from .nests import Step, fanout, gemm, memory, run
from .test_executed_nest import hops_of_tiles, with_holders

DRAM, REGISTER = memory("dram"), memory("register")

many = examples(50)


@st.composite
def wired_cases(draw: st.DrawFn) -> Case:
    arch, workload, factors, order, bias_read = draw(cases())
    return draw(wired(arch)), workload, factors, order, bias_read


@st.composite
def ragged_wired_cases(draw: st.DrawFn) -> Case:
    arch, workload, factors, order, bias_read, holds = draw(ragged_cases())
    arch = draw(wired(with_holders(arch, workload, holds)))
    return arch, workload, factors, order, bias_read


def counts(case: Case) -> bool:
    """Whether windows that lie apart are not cut off: those are known to be counted too high."""
    arch, workload, factors, _, _ = case
    cut = factors.prod(axis=0) != list(workload.sizes.values())
    apart = lie_apart(arch, workload)
    return not any(c and d in apart for c, d in zip(cut, workload.dimensions, strict=True))


either = st.one_of(wired_cases(), ragged_wired_cases().filter(counts))


def costed(case: Case) -> BatchCost:
    arch, workload, factors, order, bias_read = case
    plan = make_plan(arch, workload, STEADY, bias_read=bias_read)
    return batch_cost(plan, factors[None].astype(np.float64), order[None])


def wires_of(case: Case) -> list[tuple[int, Fanout, Wires]]:
    levels = enumerate(case[0].levels)
    return [(i, x, x.wires) for i, x in levels if isinstance(x, Fanout) and x.wires is not None]


def outside_of_all_holders(case: Case, result: Simulation, tensor: str, level: int) -> bool:
    return (tensor, level) not in result.inwards and (tensor, level) not in result.outwards


@many
@given(either)
def test_every_crossing_happens(case: Case) -> None:
    result, cost = simulate(*case), costed(case)
    for i, _, _ in wires_of(case):
        for t, tensor in enumerate(case[1].tensors):
            moved, own = cost.nest.moved[i, t], cost.nest.busiest[i, t]
            for place, kinds in ((i, ("reads", "updates")), (i + 1, ("fills", "drains"))):
                ways = (result.inwards, result.outwards)
                for kind, way in zip(kinds, ways, strict=True):
                    by_owner = way.get((tensor.name, place), {})
                    assert getattr(moved, kind).item() == sum(by_owner.values())
                    if place == i:
                        busiest = max(by_owner.values(), default=0)
                        assert getattr(own, kind).item() == busiest


def wire_energy(case: Case, result: Simulation, workload: Workload) -> Fraction:
    """Energy of all words on wires: by unicast unless instances differ in other dimensions.

    An old sum goes to one instance alone.
    """
    energy = Fraction(0)
    for i, level, wires in wires_of(case):
        for tensor in workload.tensors:
            copies = math.prod(
                int(factor)
                for factor, d in zip(case[2][i], workload.dimensions, strict=True)
                if d not in tensor.dimensions
            )
            inwards = outwards = wires.unicast_energy_pj
            if copies > 1 and level.multicast and tensor.role != "output":
                inwards = wires.multicast_energy_pj
            if copies > 1 and level.reduction:
                outwards = wires.reduction_energy_pj
            delivered = sum(result.inwards.get((tensor.name, i + 1), {}).values())
            collected = sum(result.outwards.get((tensor.name, i + 1), {}).values())
            energy += delivered * Fraction(inwards) + collected * Fraction(outwards)
    return energy


@given(either)
def test_energy_is_that_of_the_words_delivered_and_collected(case: Case) -> None:
    arch, workload, *rest = case
    bare = replace(
        arch,
        levels=tuple(replace(x, wires=None) if isinstance(x, Fanout) else x for x in arch.levels),
    )
    free = replace(
        arch,
        levels=tuple(
            replace(x, wires=replace(x.wires, read_bandwidth=math.inf, write_bandwidth=math.inf))
            if isinstance(x, Fanout) and x.wires is not None
            else x
            for x in arch.levels
        ),
    )
    expected = float(wire_energy(case, simulate(*case), workload))
    without, with_wires = costed((bare, workload, *rest)), costed((free, workload, *rest))
    assert with_wires.latency_cycles.item() == without.latency_cycles.item()
    added = with_wires.energy_pj.item() - without.energy_pj.item()
    assert added == pytest.approx(expected, rel=1e-9, abs=1e-12 * without.energy_pj.item())


@given(either)
def test_the_slowest_network_or_port_decides(case: Case) -> None:
    arch, workload, factors, _, _ = case
    result, array = simulate(*case), array_of(arch, workload, factors.tolist())
    slowest = result.temporal_steps * arch.compute.cycles + hops_of_tiles(array, result)
    for level in arch.memories:
        traffic = result.memories[level.name].busiest.values()
        moved = {kind: sum(getattr(t, kind) for t in traffic) for kind in KINDS}
        slowest = max(slowest, float(least_cycles(level, moved)))
    for i, _, wires in wires_of(case):
        for way, bandwidth in (
            (result.inwards, wires.read_bandwidth),
            (result.outwards, wires.write_bandwidth),
        ):
            of_tensors = [way.get((t.name, i), {}) for t in workload.tensors]
            busiest = sum(max(by_owner.values(), default=0) for by_owner in of_tensors)
            slowest = max(slowest, busiest / bandwidth)
    expected = slowest + (0 if array.stays else array.cycles)
    assert costed(case).latency_cycles.item() == pytest.approx(expected, rel=1e-12)


@many
@given(either, st.data())
def test_words_on_wires_follow_bits(case: Case, data: st.DataObject) -> None:
    """What crosses is the same; of a value of so many bits as many words as these fill."""
    arch, workload, *rest = case
    bits_case = *data.draw(with_drawn_bits(arch, workload)), *rest
    plain, cost = costed(case), costed(bits_case)
    for i, _, wires in wires_of(case):
        expected = 0.0
        for t, tensor in enumerate(bits_case[1].tensors):
            bits = tensor.sum_bits or tensor.bits
            words = 1.0 if None in (bits, wires.word_bits) else bits / wires.word_bits
            for table in ("moved", "busiest"):
                moved, values = getattr(cost.nest, table)[i, t], getattr(plain.nest, table)[i, t]
                for kind in ("reads", "updates", "fills", "drains"):
                    assert getattr(moved, kind) == pytest.approx(getattr(values, kind) * words)
            expected += words * float(wire_energy_pj(plain.tables, plain.nest, i, t)[0])
        assert cost.nest.levels[i].energy_pj.item() == pytest.approx(expected, rel=1e-9)
    totals = batch_totals(cost.plan, rest[0][None], rest[1][None])
    assert totals.energy_pj.item() == pytest.approx(cost.energy_pj.item(), rel=1e-12)
    assert totals.latency_cycles.item() == pytest.approx(cost.latency_cycles.item(), rel=1e-12)


@many
@given(either)
def test_kernels_count_the_same(case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    cost = costed(case)
    plan = make_plan(arch, workload, STEADY, bias_read=bias_read)
    totals = batch_totals(plan, factors[None], order[None])
    assert totals.energy_pj.tolist() == cost.energy_pj.tolist()
    assert totals.latency_cycles.tolist() == cost.latency_cycles.tolist()


@given(wired_cases())
def test_torch_counts_the_same(case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    cost, plan = costed(case), make_plan(arch, workload, STEADY, bias_read=bias_read)
    on_torch = batch_cost(
        plan, torch.tensor(factors[None], dtype=torch.float64), torch.tensor(order[None])
    )
    assert on_torch.energy_pj.item() == pytest.approx(cost.energy_pj.item(), rel=1e-12)
    assert on_torch.latency_cycles.item() == pytest.approx(cost.latency_cycles.item(), rel=1e-12)


# By hand


def columns(bandwidth: float = math.inf, *, shares: bool = True) -> Fanout:
    """Four columns in a row: 5 pJ alone, 2 pJ for each of several, 3 pJ into a sum."""
    wires = Wires(5.0, 2.0, 3.0, bandwidth, bandwidth)
    return replace(fanout(4), multicast=shares, reduction=shares, wires=wires)


def on_columns(level: Fanout, unrolled: str) -> Evaluation:
    """Four MACs of a GEMM m = k = 2 and n = 1: two columns, two steps."""
    other = "k" if unrolled == "m" else "m"
    steps: tuple[Step, ...] = ((DRAM, {other: 2}), (level, {unrolled: 2}), (REGISTER, {}))
    return run(gemm(2, 2, 1), *steps)


def test_a_multicast_counts_for_each_column() -> None:
    """M over the columns: 2 inputs for both, 4 weights, 2 outputs twice and back once."""
    result = on_columns(columns(), "m")
    rows = {c.tensor: c for c in result.networks[0].crossings}
    assert (rows["In"].sent, rows["In"].delivered, rows["In"].energy_pj) == (2, 4, 8)
    assert (rows["W"].sent, rows["W"].delivered, rows["W"].energy_pj) == (4, 4, 20)
    out = rows["Out"]
    assert (out.sent, out.delivered, out.collected, out.returned) == (0, 0, 2, 2)
    assert out.energy_pj == 10
    (energy,) = [entry for entry in result.energies if entry.level == result.networks[0].level]
    assert (energy.access_pj, energy.leakage_pj) == (38, 0)
    parts = [p for p in energy_parts(result) if p.what == "network"]
    assert sorted(p.energy_pj for p in parts) == [8, 10, 20]
    assert math.fsum(p.energy_pj for p in energy_parts(result)) == result.energy_pj
    assert result.network_table()["delivered_total_words"].tolist() == [4, 4, 0]
    assert [row["level"] for row in result.to_dict()["networks"]] == [energy.level] * 3


def test_a_reduction_counts_for_each_column() -> None:
    """K over the columns: 2 inputs and 4 weights for one each; 2 sums of two columns."""
    rows = {c.tensor: c for c in on_columns(columns(), "k").networks[0].crossings}
    assert (rows["In"].sent, rows["In"].delivered, rows["In"].energy_pj) == (2, 2, 10)
    out = rows["Out"]
    assert (out.collected, out.returned, out.energy_pj) == (4, 2, 12)


@pytest.mark.parametrize(
    ("conventions", "old"), [(STEADY, (2, 2, 10)), (replace(STEADY, seeds_all=True), (2, 4, 8))]
)
def test_an_old_sum_goes_to_one_column(
    conventions: Conventions, old: tuple[int, int, float]
) -> None:
    """K over two columns and over two turns outside of m: 2 sums are read again, for 1 or 2."""
    steps: tuple[Step, ...] = ((DRAM, {"k": 2, "m": 2}), (columns(), {"k": 2}), (REGISTER, {}))
    result = run(gemm(2, 4, 1), *steps, conventions=conventions)
    out = {c.tensor: c for c in result.networks[0].crossings}["Out"]
    assert (out.collected, out.returned) == (8, 4)
    assert (out.sent, out.delivered, out.energy_pj - 8 * 3) == old


def test_without_multicast_and_reduction_all_words_go_alone() -> None:
    alone = columns(shares=False)
    rows = {c.tensor: c for c in on_columns(alone, "m").networks[0].crossings}
    assert (rows["In"].sent, rows["In"].delivered, rows["In"].energy_pj) == (4, 4, 20)
    out = {c.tensor: c for c in on_columns(alone, "k").networks[0].crossings}["Out"]
    assert (out.collected, out.returned, out.energy_pj) == (4, 4, 20)


def test_a_narrow_network_stalls() -> None:
    """Inwards 2 inputs and 4 weights at half a word per cycle: 12 cycles for two steps."""
    result = on_columns(columns(0.5), "m")
    assert result.latency_cycles == 12
    name = result.networks[0].level
    assert result.bottleneck == (
        f"{name} network inwards: reads need 3 words per cycle and instance, 0.5 available"
    )
    parts = cycle_parts(result)
    assert [(s.level, s.port, s.cycles) for s in parts.stalls] == [(name, "network inwards", 10)]
    table = result.port_table().set_index(["level", "port"])
    assert table.loc[(name, "network outwards"), "busy_cycles_per_instance"] == 4


def test_hops() -> None:
    assert energies_over_hops(2.0, 1) == (2, 2, 2)
    assert energies_over_hops(2.0, 4) == (5, 2, 2)


@pytest.mark.parametrize(
    ("wires", "message"),
    [
        (Wires(-1.0), "wires.unicast_energy_pj: .* expected 0 or more"),
        (Wires(read_bandwidth=0.0), "wires.read_bandwidth: .* expected more than 0"),
        (Wires(reduction_energy_pj=math.nan), "wires.reduction_energy_pj"),
    ],
)
def test_impossible_wires(wires: Wires, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        on_columns(replace(columns(), wires=wires), "m")


def test_only_transfers_per_instance_cross_fanouts() -> None:
    steps: tuple[Step, ...] = ((DRAM, {"k": 2}), (columns(), {"m": 2}), (REGISTER, {}))
    with pytest.raises(ArchitectureError, match="conventions factorflow do not say what crosses"):
        run(gemm(2, 2, 1), *steps, conventions=FACTORFLOW)
    plain = run(gemm(2, 2, 1), *steps, conventions=TIMELOOP)
    assert {c.tensor: c.delivered for c in plain.networks[0].crossings} == {
        "In": 4,
        "W": 4,
        "Out": 0,
    }
