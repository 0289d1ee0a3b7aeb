"""The ``exact`` conventions against a loop nest that is executed value by value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from oracle.arrays import Array, array_of
from oracle.ports import KINDS, least_cycles
from oracle.simulator import Simulation, Traffic, simulate
from oracle.strategies import Case, cases, ragged_cases

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.compilation import Block
from toolkit.mapping import from_arrays
from toolkit.mapping.explain import violations
from toolkit.mapping.kept import Seen
from toolkit.mapping.ragged import lie_apart
from toolkit.mapping.space import MapSpace
from toolkit.model import STEADY, BatchCost, batch_cost, make_plan
from toolkit.model.compiled import CompiledModel, batch_totals
from toolkit.workload.kernel import Tensor, Term, Workload

many = examples(50)


def with_holders(arch: Architecture, workload: Workload, holds: np.ndarray | None) -> Architecture:
    """Write who holds what into the architecture."""
    if holds is None:
        return arch
    rows = dict(zip((m.name for m in arch.memories), holds, strict=True))
    levels = tuple(
        replace(
            level,
            bypasses=tuple(
                t.name
                for t, held in zip(workload.tensors, rows[level.name], strict=True)
                if not held
            ),
        )
        if isinstance(level, Memory)
        else level
        for level in arch.levels
    )
    return replace(arch, levels=levels)


@st.composite
def ragged(draw: st.DrawFn) -> Case:
    arch, workload, factors, order, bias_read, holds = draw(ragged_cases())
    return with_holders(arch, workload, holds), workload, factors, order, bias_read


def counts(case: Case) -> bool:
    """Whether no window is shared among instances that lie apart where a tile is cut off."""
    arch, workload, factors, _, _ = case
    cut = factors.prod(axis=0) != list(workload.sizes.values())
    apart = lie_apart(arch, workload)
    return not any(c and d in apart for c, d in zip(cut, workload.dimensions, strict=True))


either = st.one_of(cases(), ragged().filter(counts))


def exact_cost(case: Case) -> BatchCost:
    arch, workload, factors, order, bias_read = case
    plan = make_plan(arch, workload, STEADY, bias_read=bias_read)
    return batch_cost(plan, factors[None].astype(np.float64), order[None])


def instances(arch: Architecture, factors: np.ndarray, level: int, *, powered: bool) -> int:
    """Instances of a level that work, or those that leak."""
    count = 1
    for outer, row in zip(arch.levels[:level], factors, strict=False):
        if isinstance(outer, Fanout):
            gated = outer.power_gating or arch.leakage.instances == "used"
            idle = powered and not gated
            count *= outer.mesh if idle else int(row.prod())
    return count


def words(tensors: Mapping[str, Traffic]) -> tuple[int, int]:
    """Words that a memory sends and receives."""
    traffic = tensors.values()
    return sum(t.reads + t.drains for t in traffic), sum(t.fills + t.updates for t in traffic)


def latency(case: Case, result: Simulation) -> float:
    """Cycles if all memories and the lanes work at the same time and the slowest decides."""
    arch, workload, factors, _, _ = case
    array = array_of(arch, workload, factors.tolist())
    slowest = result.temporal_steps * arch.compute.cycles + hops_of_tiles(array, result)
    for memory in arch.memories:
        traffic = result.memories[memory.name].busiest.values()
        moved = {kind: sum(getattr(t, kind) for t in traffic) for kind in KINDS}
        slowest = max(slowest, float(least_cycles(memory, moved)))
    return slowest + (0 if array.stays else array.cycles)


def hops_of_tiles(array: Array, result: Simulation) -> float:
    """Cycles in which a systolic array begins and ends the tiles of its first instance."""
    if not array.stays:
        return 0.0
    memory, tensor = array.stays
    first = result.memories[memory.name].first[tensor.name]
    words = first.drains if tensor.role == "output" else first.fills
    return words / first.occupancy * array.cycles


@many
@given(either)
def test_every_access_happens(case: Case) -> None:
    arch, workload, _, _, _ = case
    result, cost = simulate(*case), exact_cost(case)
    expected: dict[object, int] = {}
    got: dict[object, float] = {}
    for m, level in enumerate(arch.levels):
        if not isinstance(level, Memory):
            continue
        for t, tensor in enumerate(workload.tensors):
            for kind in KINDS:
                key = (level.name, tensor.name, kind)
                expected[key] = getattr(result.traffic(level.name, tensor.name), kind)
                got[key] = getattr(cost.accesses[m, t], kind).item()
        got[level.name] = cost.nest.levels[m].active.item()
        expected[level.name] = result.memories[level.name].active_instances
    assert got == expected


def held_words(result: Simulation, memory: Memory) -> int:
    """Words that one instance of a memory has held at once, or has had to keep."""
    return sum(t.occupancy for t in result.memories[memory.name].tensors.values())


def keeps_split_windows(space: MapSpace, m: int, factors: np.ndarray) -> bool:
    """Whether a memory keeps a window that fanouts outside of it split."""
    split = factors[: space.memory_levels[m]][~space.keeping.in_time[: space.memory_levels[m]]] > 1
    windows = space.keeping.in_windows[space.keeping.tensors[m]]
    return bool((windows & split.any(axis=0)).any())


@many
@given(either)
def test_footprints_are_the_values_held(case: Case) -> None:
    arch, workload, factors, _, _ = case
    result = simulate(*case)
    space = MapSpace(arch, workload, STEADY.window_footprint, "ragged")
    columns = [space.keeping.features(d, factors[None, :, d]) for d in range(factors.shape[1])]
    features = np.stack(columns, axis=3)  # One dimension at a time, as searches combine them.
    for m, words in enumerate(space.footprints(factors[None])[0].tolist()):
        tile, *seen = features[:, :, m]
        assert space.memory_words(m, tile, Seen(*seen)).item() == words
        assert space.needed_words(m, factors) == words
        held = held_words(result, arch.memories[m])
        assert words == held or (words > held and keeps_split_windows(space, m, factors))


def with_capacity(arch: Architecture, memory: Memory, words: int) -> Architecture:
    levels = tuple(
        replace(level, capacity_words=words) if level is memory else level for level in arch.levels
    )
    return replace(arch, levels=levels)


@many
@given(either, st.integers(0, 4), st.integers(-1, 1))
def test_what_is_valid_has_room_and_adds_up(case: Case, number: int, spare: int) -> None:
    """One memory has just enough words for what it has held, one more, or one too few."""
    arch, workload, factors, order, bias_read = case
    result, m = simulate(*case), number % len(arch.memories)
    words = held_words(result, arch.memories[m]) + spare
    if words < 1:
        return
    tight = with_capacity(arch, arch.memories[m], words)
    space = MapSpace(tight, workload, STEADY.window_footprint, "ragged")
    valid = bool(space.check_factors(factors[None])[0])
    split = bool((factors > 1)[space.keeping.unsummed].any())
    if valid:
        assert spare >= 0
        assert not result.apart
    else:
        assert spare < 0 or split or keeps_split_windows(space, m, factors)
    found = violations(space, from_arrays(factors, order, tight, workload))
    assert (found == ()) == valid
    plan = make_plan(tight, workload, STEADY, bias_read=bias_read)
    fits = batch_totals(plan, factors[None], order[None], threads=1).fits[0]
    assert fits == (valid or (split and not any("footprint" in text for text in found)))


@given(either)
def test_sums_end_apart_where_fanouts_split_what_nobody_adds(case: Case) -> None:
    arch, workload, factors, _, _ = case
    space = MapSpace(arch, workload, STEADY.window_footprint, "ragged")
    split = bool((factors > 1)[space.keeping.unsummed].any())
    apart = bool(simulate(*case).apart)
    assert apart <= split
    if all(len(index) == 1 for index in workload.output.indices):
        assert apart == split


@given(either)
def test_the_slowest_port_decides(case: Case) -> None:
    expected = latency(case, simulate(*case))
    assert exact_cost(case).latency_cycles.item() == pytest.approx(expected, rel=1e-12)


@given(either)
def test_compute_decides_if_memories_are_fast_enough(case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    fast = tuple(
        replace(level, read_bandwidth=math.inf, write_bandwidth=math.inf, ports=())
        if isinstance(level, Memory)
        else level
        for level in arch.levels
    )
    fast_case = replace(arch, levels=fast), workload, factors, order, bias_read
    cost = exact_cost(fast_case)
    expected = latency(fast_case, simulate(*case))
    assert cost.latency_cycles.item() == pytest.approx(expected, rel=1e-12)
    assert all(cost.nest.levels[m].stall_cycles.item() == 0 for m in cost.plan.memories)


@given(either)
def test_energy_is_what_moves_computes_and_leaks(case: Case) -> None:
    arch, workload, factors, _, _ = case
    result = simulate(*case)
    cycles = latency(case, result)
    expected = workload.macs * arch.compute.mac_energy_pj
    for i, level in enumerate(arch.levels):
        if isinstance(level, Fanout):
            continue
        powered = instances(arch, factors, i, powered=True)
        if isinstance(level, Memory) or arch.leakage.macs:
            expected += level.leakage_pj_per_cycle * powered * cycles
        if isinstance(level, Memory):
            out, into = words(result.memories[level.name].tensors)
            expected += level.read_energy_pj * out + level.write_energy_pj * into
    assert exact_cost(case).energy_pj.item() == pytest.approx(expected, rel=1e-12)


@many
@given(either)
def test_kernels_count_the_same(case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    cost = exact_cost(case)
    plan = make_plan(arch, workload, STEADY, bias_read=bias_read)
    totals = batch_totals(plan, factors[None], order[None])
    assert totals.energy_pj.tolist() == cost.energy_pj.tolist()
    assert totals.latency_cycles.tolist() == cost.latency_cycles.tolist()
    assert totals.utilization.tolist() == cost.utilization.tolist()


def beyond_the_sizes() -> Case:
    """Two sweeps of two tiles of two, over three iterations of an index with three strides."""
    outer, inner = (Memory(name, None, 1.0, 1.0, 1.0, 1.0) for name in ("outer", "inner"))
    window = tuple(Term(d, c) for d, c in (("b", 2), ("c", 1), ("e", 1)))
    workload = Workload(
        "strided",
        "random",
        {"b": 3, "c": 1, "e": 1},
        (
            Tensor("I", "input", (window,)),
            Tensor("O", "output", ((Term("b", 1),),)),
        ),
    )
    lanes = Compute("lanes", 1.0, mesh=2, dimensions=("b",))
    arch = Architecture("strided", (outer, inner, lanes))
    factors = np.array([[2, 1, 1], [1, 1, 1], [2, 1, 1]])
    return arch, workload, factors, np.array([[0, 1, 2]] * 3), False


@many
@example(beyond_the_sizes())
@given(either)
def test_kernels_stay_within_their_room(case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    model = CompiledModel(make_plan(arch, workload, STEADY, bias_read=bias_read))
    rooms = {
        name: (np.full(2 * array.nbytes, 165, dtype=np.uint8), array)
        for name, array in model.nest.arrays._asdict().items()
        if isinstance(array, np.ndarray) and name != "indexes"
    }
    inside = {
        name: room[: array.nbytes].view(array.dtype).reshape(array.shape)
        for name, (room, array) in rooms.items()
    }
    model.nest = Block(model.nest.arrays._replace(**inside))
    model.cost_batch(factors[None], order[None], np.empty((1, 4)))
    for room, array in rooms.values():
        assert (room[array.nbytes :] == 165).all()
