"""The simulator against what must hold for any machine."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Level, Memory
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Tensor

from .simulator import simulate
from .strategies import Case, cases

many = examples(40)


def holders(arch: Architecture, tensor: Tensor) -> list[int]:
    """Levels that hold `tensor`, outermost first."""
    return [i for i, m in enumerate(arch.levels) if isinstance(m, Memory) and holds(m, tensor)]


def spatial(case: Case, outside: int, inside: int) -> int:
    """Instances of level `inside` per instance of level `outside`."""
    arch, _, factors, _, _ = case
    levels = range(outside + 1, inside)
    return math.prod(
        int(factors[i].prod()) for i in levels if not isinstance(arch.levels[i], Memory)
    )


def with_level(case: Case, position: int, level: Level) -> Case:
    """Insert a level without loops."""
    arch, workload, factors, order, bias_read = case
    levels = (*arch.levels[:position], level, *arch.levels[position:])
    identity = np.arange(factors.shape[1])
    return (
        replace(arch, levels=levels),
        workload,
        np.insert(factors, position, 1, axis=0),
        np.insert(order, position, identity, axis=0),
        bias_read,
    )


def with_fanouts(case: Case, change: Callable[[Fanout], Fanout]) -> Case:
    """Change every fanout."""
    arch, workload, factors, order, bias_read = case
    levels = tuple(change(level) if isinstance(level, Fanout) else level for level in arch.levels)
    return replace(arch, levels=levels), workload, factors, order, bias_read


IDLE = Fanout("idle", 1, (), multicast=False, reduction=False)
BYSTANDER = Memory("bystander", None, 1.0, 1.0, 1.0, 1.0, bypasses=("input", "weight", "output"))


@many
@given(cases())
def test_every_step_keeps_every_lane_busy(case: Case) -> None:
    """All MACs happen, as many at once as there are lanes."""
    arch, workload, _, _, _ = case
    result = simulate(*case)
    lanes = spatial(case, 0, len(arch.levels))
    assert result.macs == workload.macs == result.temporal_steps * lanes


@many
@given(cases())
def test_every_value_reaches_the_lanes(case: Case) -> None:
    """The lanes use the values that the sizes span; every supplier moves each at least once."""
    arch, workload, _, _, _ = case
    result = simulate(*case)
    for tensor in workload.tensors:
        points = itertools.product(*(range(workload.sizes[d]) for d in tensor.dimensions))
        spanned = set()
        for point in points:
            at = dict(zip(tensor.dimensions, point, strict=True))
            spanned.add(
                tuple(sum(t.coefficient * at[t.dimension] for t in i) for i in tensor.indices)
            )
        assert result.used[tensor.name] == spanned
        for level in holders(arch, tensor):
            traffic = result.traffic(arch.levels[level].name, tensor.name)
            moved = traffic.updates if tensor.role == "output" else traffic.reads
            assert moved >= len(spanned)
            assert traffic.occupancy <= len(spanned)


@many
@given(cases())
def test_what_one_holder_sends_the_next_receives(case: Case) -> None:
    """Sharing makes fewer reads than fills and fewer updates than drains, at most mesh-fold."""
    arch, workload, _, _, _ = case
    result = simulate(*case)
    for tensor in workload.tensors:
        for parent, child in itertools.pairwise(holders(arch, tensor)):
            outer = result.traffic(arch.levels[parent].name, tensor.name)
            inner = result.traffic(arch.levels[child].name, tensor.name)
            mesh = spatial(case, parent, child)
            assert outer.reads <= inner.fills <= outer.reads * mesh
            assert outer.updates <= inner.drains <= outer.updates * mesh


@many
@given(cases())
def test_lanes_take_one_value_per_mac(case: Case) -> None:
    """If nothing below the innermost holder shares, its reads and updates are the MACs."""
    arch, workload, factors, order, bias_read = case
    alone = replace(arch.compute, multicast=False, reduction=False)
    arch = replace(arch, levels=(*arch.levels[:-1], alone))
    result = simulate(arch, workload, factors, order, bias_read)
    for tensor in workload.tensors:
        innermost = holders(arch, tensor)[-1]
        traffic = result.traffic(arch.levels[innermost].name, tensor.name)
        shares = any(isinstance(level, Fanout) for level in arch.levels[innermost:])
        moved = traffic.updates if tensor.role == "output" else traffic.reads
        assert moved <= result.macs
        assert shares or moved == result.macs
        if tensor.role == "output" and bias_read and not shares:
            begun = traffic.drains - traffic.fills  # Instances that do not go on with old sums.
            others = [d not in tensor.dimensions for d in workload.dimensions]
            lanes = factors[-1, others].prod()
            assert traffic.reads == result.macs / lanes - begun


@many
@given(cases())
def test_every_output_that_enters_leaves(case: Case) -> None:
    """Without biases some values start from zero instead of being filled."""
    arch, workload, factors, order, _ = case
    name = workload.output.name
    read, unread = (simulate(arch, workload, factors, order, bias) for bias in (True, False))
    for level in holders(arch, workload.output)[1:]:
        memory = arch.levels[level].name
        with_bias, without = read.traffic(memory, name), unread.traffic(memory, name)
        assert without.fills <= with_bias.fills <= with_bias.drains == without.drains
        from_zero = without.drains - without.fills
        assert len(read.used[name]) <= from_zero <= without.drains


@many
@given(cases(), st.data())
def test_an_idle_level_changes_nothing(case: Case, data: st.DataObject) -> None:
    """A fanout of one instance, or a memory without loops that holds nothing, is not there."""
    levels = case[0].levels
    idle = BYSTANDER if data.draw(st.booleans()) else IDLE
    position = data.draw(st.integers(1, len(levels) - 1))
    expected, result = simulate(*case), simulate(*with_level(case, position, idle))
    assert {m: r for m, r in result.memories.items() if m != idle.name} == expected.memories


@many
@given(cases(), st.data())
def test_inner_loops_may_move_to_a_memory_that_holds_nothing(
    case: Case, data: st.DataObject
) -> None:
    """A supplier's loops and those of the bypassing memory inside it are one odometer."""
    levels = case[0].levels
    memory = data.draw(st.sampled_from([i for i, m in enumerate(levels) if isinstance(m, Memory)]))
    arch, workload, factors, order, bias_read = with_level(case, memory + 1, BYSTANDER)
    stay = data.draw(st.integers(0, order.shape[1]))
    moving = order[memory, stay:]
    factors[memory + 1, moving] = factors[memory, moving]
    factors[memory, moving] = 1
    order[memory + 1] = order[memory]
    result = simulate(arch, workload, factors, order, bias_read)
    expected = simulate(*case)
    assert {m: r for m, r in result.memories.items() if m != BYSTANDER.name} == expected.memories


def sharing(fanout: Fanout) -> Fanout:
    """Let `fanout` share all it can."""
    return replace(
        fanout,
        multicast=True,
        reduction=True,
        selective_multicast=True,
        selective_reduction=True,
    )


@many
@given(cases())
def test_sharing_spares_the_supplier_alone(case: Case) -> None:
    """Networks that share all they can lessen reads and updates and leave fills and drains."""
    alone, together = simulate(*case), simulate(*with_fanouts(case, sharing))
    for name, report in alone.memories.items():
        for tensor, traffic in report.tensors.items():
            shared = together.traffic(name, tensor)
            assert shared.reads <= traffic.reads
            assert shared.updates <= traffic.updates
            assert (shared.fills, shared.drains) == (traffic.fills, traffic.drains)


@many
@given(cases(), st.data())
def test_loops_of_one_iteration_have_no_place(case: Case, data: st.DataObject) -> None:
    """Only the relative order of the loops that turn matters."""
    arch, workload, factors, order, bias_read = case
    shuffled: IntArray = order.copy()
    for i, row in enumerate(order):
        turning = [int(d) for d in row if factors[i, d] > 1]
        for d in (int(d) for d in row if factors[i, d] == 1):
            turning.insert(data.draw(st.integers(0, len(turning))), d)
        shuffled[i] = turning
    assert simulate(arch, workload, factors, shuffled, bias_read) == simulate(*case)
