"""Nests whose last tiles are smaller: against counts done by hand, and against definitions."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from toolkit.arch.levels import Compute, Memory
from toolkit.errors import MappingError
from toolkit.workload.kernel import Tensor

from .by_hand import BUFFER, DRAM, LANES, Step, conv, fanout, gemm, memory, run, workload
from .machine import Link, MachineError, Port
from .nest import Loop, Nest, Value, build_nest
from .simulator import Traffic, simulate
from .strategies import RaggedCase, ragged_cases

REGISTER = memory("register")
ALONE = replace(LANES, multicast=False, reduction=False)


@pytest.mark.parametrize(("lanes", "reads"), [(LANES, 3), (ALONE, 5)])
def test_five_rows_on_two_lanes(lanes: Compute, reads: int) -> None:
    """Three steps of 2, 2 and 1 lanes; lanes that share fetch In once per step."""
    result = run(gemm(5, 1, 1), (DRAM, {"m": 3}), (lanes, {"m": 2}))
    assert (result.temporal_steps, result.macs) == (3, 5)
    assert result.traffic("dram", "W") == Traffic(reads=5, occupancy=5)
    assert result.traffic("dram", "In") == Traffic(reads=reads, occupancy=1)
    assert result.traffic("dram", "Out") == Traffic(updates=5, occupancy=5)


@pytest.mark.parametrize(("lanes", "reads", "updates"), [(LANES, 2, 3), (ALONE, 2, 5)])
def test_five_summands_on_two_lanes(lanes: Compute, reads: int, updates: int) -> None:
    """One sum: both lanes begin it at zero, then one of them goes on at each of two steps."""
    result = run(gemm(1, 5, 1), (DRAM, {"k": 3}), (lanes, {"k": 2}))
    assert result.traffic("dram", "Out") == Traffic(reads, 0, updates, 0, occupancy=1)


def test_two_buffers_of_three_and_two_rows() -> None:
    """Instance 0 has rows 0 to 2, instance 1 rows 3 and 4; In goes to both at once."""
    result = run(gemm(5, 1, 1), (DRAM, {}), (fanout(), {"m": 2}), (BUFFER, {"m": 3}))
    assert result.temporal_steps == 3
    assert result.traffic("dram", "W").reads == 5
    assert result.traffic("buffer", "W") == Traffic(reads=5, fills=5, occupancy=3)
    assert result.busiest("buffer", "W") == Traffic(reads=3, fills=3, occupancy=3)
    assert result.traffic("dram", "In").reads == 1
    assert result.traffic("buffer", "In") == Traffic(reads=5, fills=2, occupancy=1)
    assert result.busiest("buffer", "In") == Traffic(reads=3, fills=1, occupancy=1)
    assert result.traffic("buffer", "Out") == Traffic(updates=5, drains=5, occupancy=3)
    assert result.busiest("buffer", "Out") == Traffic(updates=3, drains=3, occupancy=3)
    assert result.busiest("dram", "Out") == result.traffic("dram", "Out")


def test_an_instance_may_never_have_work() -> None:
    """Eleven rows on 3 x 4 lanes: one step, one lane idle."""
    result = run(gemm(11, 1, 1), (DRAM, {}), (fanout(), {"m": 3}), (LANES, {"m": 4}))
    assert (result.temporal_steps, result.macs) == (1, 11)
    assert result.traffic("dram", "W").reads == 11
    assert result.traffic("dram", "In").reads == 1


@pytest.mark.parametrize(("inside", "steps"), [(9, 25), (10, 21)])
def test_steps_are_those_of_the_first_lane(inside: int, steps: int) -> None:
    """Of 61 rows on 3 lanes, 54 or 60 are done in two rounds; 9 + 9 + 7 or 10 + 10 + 1 steps."""
    result = run(gemm(61, 1, 1), (DRAM, {"m": 3}), (fanout(), {"m": 3}), (BUFFER, {"m": inside}))
    assert (result.temporal_steps, result.macs) == (steps, 61)


def test_a_loop_clipped_to_one_iteration_moves_again() -> None:
    """Rows {0,1}, {2,3}, {4}: each row enters the register twice, as n turns outside; 4 as well.

    In stays while the clipped loop m turns inside it, so it enters twice per tile of rows.
    """
    result = run(gemm(5, 1, 2), (DRAM, {"m": 3}), (BUFFER, {"n": 2, "m": 2}), (REGISTER, {}))
    assert result.traffic("dram", "W").reads == 5
    assert result.traffic("buffer", "W") == Traffic(reads=10, fills=5, occupancy=2)
    assert result.traffic("register", "W").fills == 10
    assert result.traffic("buffer", "In") == Traffic(reads=6, fills=2, occupancy=2)
    assert result.traffic("buffer", "Out") == Traffic(updates=10, drains=10, occupancy=4)


def test_clipped_outputs_are_read_again() -> None:
    """Each of five rows is new at the first turn of k and read at the second."""
    result = run(gemm(5, 2, 1), (DRAM, {"k": 2, "m": 3}), (BUFFER, {"m": 2}))
    assert result.traffic("dram", "Out") == Traffic(reads=5, updates=10, occupancy=5)
    assert result.traffic("buffer", "Out") == Traffic(5, 5, 10, 10, occupancy=2)


def test_an_idle_instance_keeps_its_tile_until_the_next_enters() -> None:
    """Instances sum k = {0,1,2} and {3,4}; k turns inside Out, whose sums leave together."""
    result = run(gemm(2, 5, 1), (DRAM, {"m": 2, "k": 3}), (fanout(), {"k": 2}), (BUFFER, {}))
    assert result.temporal_steps == 6
    assert result.traffic("dram", "Out") == Traffic(updates=2, occupancy=2)
    assert result.traffic("buffer", "Out").drains == 4
    assert result.traffic("buffer", "Out").updates == 10
    assert result.busiest("buffer", "Out").updates == 6


@pytest.mark.parametrize(
    ("steps", "key"),
    [
        (((DRAM, {"m": 2}), (BUFFER, {"m": 2})), "reaches 4 of 5"),
        (((DRAM, {"m": 4}), (BUFFER, {"m": 2})), "4 times 2 is more"),
        (((DRAM, {}), (BUFFER, {"m": 6})), "6 times 1 is more"),
        (((DRAM, {}), (BUFFER, {"m": 5, "n": 2})), "2 times 1 is more"),
        (((DRAM, {}), (fanout(), {"m": 2}), (BUFFER, {"m": 5})), "2 times 5 is more"),
    ],
)
def test_malformed_factors_are_refused(steps: tuple[Step, ...], key: str) -> None:
    with pytest.raises(MappingError, match=key):
        run(gemm(5, 1, 1), *steps)


def test_the_last_iteration_may_be_nearly_empty() -> None:
    """Twice four rows for five: four, then one."""
    result = run(gemm(5, 1, 1), (DRAM, {"m": 2}), (BUFFER, {"m": 4}))
    assert result.temporal_steps == 5
    assert result.traffic("buffer", "W") == Traffic(reads=5, fills=5, occupancy=4)


@pytest.mark.parametrize(
    ("window", "kept", "whole"),
    [
        ("p+r", 4 + 2 + 1, 4 + 4 + 3),  # {0..3}, {2..5}, {4,5,6}
        ("2p+r", 5 + 4 + 2, 5 + 5 + 3),  # {0..4}, {4..8}, {8,9,10}
        ("p+2r", 6 + 2 + 1, 6 + 6 + 3),  # {0..5}, {2..7}, {4,6,8}
        ("3p+r", 6 + 6 + 3, 6 + 6 + 3),  # {0..5}, {6..11}, {12,13,14}
    ],
)
def test_clipped_windows(window: str, kept: int, whole: int) -> None:
    """Five outputs of three taps, two outputs at a time; loop m inside p may forbid overlaps."""
    for multiple_reuses, reads in ((True, kept), (False, whole)):
        dram = memory("dram", multiple_reuses=multiple_reuses)
        work = conv(5, 3, window, m=2)
        result = run(work, (dram, {"p": 3, "m": 2}), (BUFFER, {"p": 2, "r": 3}))
        assert result.traffic("dram", "In").reads == reads
        assert result.traffic("buffer", "In").fills == reads


def test_clipped_taps() -> None:
    """Taps {0,1,2} and {3,4}, for each of two outputs; the window that wraps is lost."""
    result = run(conv(2, 5, "p+r"), (DRAM, {"p": 2, "r": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == 3 + 2 + 3 + 2
    assert result.traffic("dram", "W").reads == 10


@pytest.mark.parametrize(("selective", "reads"), [(False, 9), (True, 7)])
def test_clipped_windows_side_by_side(selective: bool, reads: int) -> None:
    """{0,1,2} beside {1,2,3}, then {2,3,4} alone: a union is 4 values and 3."""
    mesh = fanout(selective=selective)
    result = run(conv(3, 3, "p+r"), (DRAM, {"p": 2}), (mesh, {"p": 2}), (BUFFER, {"r": 3}))
    assert result.traffic("dram", "In").reads == reads
    assert result.traffic("buffer", "In") == Traffic(reads=9, fills=9, occupancy=3)
    assert result.busiest("buffer", "In") == Traffic(reads=6, fills=6, occupancy=3)


def test_clipped_output_that_is_a_sum() -> None:
    """``Out[p+r]``, tiles {0..3}, {2..5}, {4,5,6}: 2 + 2 + 3 values leave, twice; c revisits."""
    work = workload({"c": 2, "p": 5, "r": 3}, "p+r", "c,r", "c,p")
    result = run(work, (DRAM, {"c": 2, "p": 3}), (BUFFER, {"p": 2, "r": 3}))
    assert result.traffic("dram", "Out") == Traffic(reads=7, updates=14, occupancy=7)
    assert result.traffic("buffer", "Out").drains == 14
    assert result.traffic("buffer", "Out").occupancy == 4


def test_three_groups_on_two_instances() -> None:
    """Groups 0 and 1, then 2 alone, of 2 outputs, 2 taps and so 3 inputs each."""
    work = workload({"g": 3, "p": 2, "r": 2}, "g,p", "g,r", "g,p+r")
    result = run(work, (DRAM, {"g": 2}), (fanout(), {"g": 2}), (BUFFER, {"p": 2, "r": 2}))
    assert (result.temporal_steps, result.macs) == (8, 12)
    reads = [result.traffic("dram", name).reads for name in ("In", "W", "Out")]
    assert reads == [9, 6, 0]
    assert result.traffic("dram", "Out").updates == 6
    assert result.traffic("buffer", "In").fills == 9
    assert result.busiest("buffer", "In").fills == 6


@pytest.mark.parametrize(
    ("holds", "reads"), [(("xxx", "xxx", "xxx"), 2), (("xxx", "x.x", "xxx"), 4)]
)
@pytest.mark.parametrize("bypasses", [(), ("weight",)])
def test_chosen_holders(bypasses: tuple[str, ...], holds: tuple[str, ...], reads: int) -> None:
    """Loop n (2) over m (2): W's two values are read again unless glb is chosen to hold both."""
    glb = memory("glb", bypasses=bypasses)
    steps: list[Step] = [(DRAM, {"n": 2}), (glb, {"m": 2}), (BUFFER, {})]
    result = run(gemm(2, 1, 2), *steps, holds=list(holds))
    assert result.traffic("dram", "W").reads == reads
    assert result.traffic("buffer", "W").fills == 4
    assert ("W" in result.memories["glb"].tensors) == (reads == 2)


@pytest.mark.parametrize("holds", [["x.x", "x.x"], ["xxx"], ["xx", "xx"]])
def test_chosen_holders_that_are_none(holds: list[str]) -> None:
    with pytest.raises(MappingError, match="holds"):
        run(gemm(2, 1, 2), (DRAM, {"m": 2, "n": 2}), (BUFFER, {}), holds=holds)


def overwrite(link: Link, leaving: dict[Value, int], port: Port) -> None:
    port.source.values |= leaving


def copy(link: Link, entering: frozenset[Value], port: Port) -> dict[Value, int]:
    return {value: port.source.values[value] for value in entering}


@pytest.mark.parametrize(("part", "broken"), [("_deliver", overwrite), ("_take", copy)])
def test_wrong_sums_are_found(monkeypatch: pytest.MonkeyPatch, part: str, broken: object) -> None:
    """A sum that the last of two lanes overwrites, or that stays where it is continued from."""
    steps: list[Step] = [(DRAM, {"k": 3}), (LANES, {"k": 2})]
    run(gemm(1, 5, 1), *steps)
    monkeypatch.setattr(Link, part, broken)
    with pytest.raises(MachineError, match=r"output \(0, 0\) is \d+, expected \d+"):
        run(gemm(1, 5, 1), *steps)


def test_a_sum_that_would_be_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Link, "_starts_from_zero", lambda link, *_: link.is_output)
    with pytest.raises(MachineError, match="has sums"):
        run(gemm(1, 5, 1), (DRAM, {"k": 5}), (BUFFER, {}))


@given(ragged_cases())
def test_results_are_right_at_all_steps_that_have_work(case: RaggedCase) -> None:
    """The simulator compares the numbers; steps are the temporal counters that begin inside."""
    arch, work, factors, _, _, _ = case
    result = simulate(*case)
    steps = 1
    for d, size in enumerate(work.sizes.values()):
        inside = [math.prod(factors[i + 1 :, d].tolist()) for i in range(len(factors))]
        turning = [
            range(0, inside[i] * int(factors[i, d]), inside[i])
            for i, level in enumerate(arch.levels)
            if isinstance(level, Memory)
        ]
        steps *= sum(sum(at) < size for at in itertools.product(*turning))
    assert (result.macs, result.temporal_steps) == (work.macs, steps)


@given(ragged_cases())
def test_the_first_instance_is_the_busiest(case: RaggedCase) -> None:
    for report in simulate(*case).memories.values():
        assert report.first == report.busiest
        for name, total in report.tensors.items():
            most = report.busiest[name]
            assert most.fills <= total.fills <= most.fills * report.active_instances
            assert most.updates <= total.updates <= most.updates * report.active_instances


@given(ragged_cases())
def test_chosen_holders_are_those_that_do_not_bypass(case: RaggedCase) -> None:
    arch, work, factors, order, bias_read, holds = case
    if holds is None:
        return
    rows = iter(holds)
    names = np.array([tensor.name for tensor in work.tensors])
    levels = tuple(
        replace(level, bypasses=tuple(names[~next(rows)])) if isinstance(level, Memory) else level
        for level in arch.levels
    )
    bypassing = simulate(replace(arch, levels=levels), work, factors, order, bias_read)
    assert simulate(*case) == bypassing


@given(ragged_cases())
def test_every_instance_gets_a_tile_for_every_turn(case: RaggedCase) -> None:
    """Fills (of outputs drains), no windows, added up as the rule says: turn by turn."""
    arch, work, factors, order, _, holds = case
    result = simulate(arch, work, factors, order, True, holds)
    nest = build_nest(arch, work, factors, order, True, holds)
    for tensor in work.tensors:
        if all(len(index) == 1 for index in tensor.indices):
            for parent, child in itertools.pairwise(nest.holders[tensor.name]):
                traffic = result.traffic(arch.levels[child].name, tensor.name)
                entered = traffic.drains if tensor.role == "output" else traffic.fills
                assert entered == entering(nest, tensor, parent, child)


def entering(nest: Nest, tensor: Tensor, parent: int, child: int) -> int:
    """Add up clipped tiles over all counters of the loops outside the transfer."""
    turning = [loop for loop in nest.temporal if loop.level < child]
    while turning and turning[-1].level >= parent and not indexes(turning[-1], tensor):
        turning.pop()
    outside = [*turning, *(loop for loop in nest.spatial if loop.level < child)]
    total = 0
    for counters in itertools.product(*(range(loop.factor) for loop in outside)):
        corner: Counter[str] = Counter()
        for loop, counter in zip(outside, counters, strict=True):
            corner[loop.dimension] += counter * loop.stride
        left = {d: size - corner[d] for d, size in nest.workload.sizes.items()}
        if all(rest > 0 for rest in left.values()):
            extents = nest.extents[child]
            total += math.prod(min(extents[d], left[d]) for d in tensor.dimensions)
    return total


def indexes(loop: Loop, tensor: Tensor) -> bool:
    return loop.dimension in tensor.dimensions
