"""Every switch of the conventions in a case where it changes a number."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from toolkit.arch.levels import Compute
from toolkit.errors import InputError
from toolkit.model import (
    CONVENTIONS,
    EXACT,
    FACTORFLOW,
    STEADY,
    TIMELOOP,
    TIMELOOP_4,
    Conventions,
    Evaluation,
    TensorAccesses,
    conventions_named,
)
from toolkit.workload.kernel import Workload

from .nests import Step, accesses, conv, fanout, gemm, memory, run, workload

DRAM = memory("dram")
BUFFER = memory("buffer")

SCATTER = workload({"p": 2, "r": 3}, "p+r", "r", "p")
"""``Out[p+r] += W[r] * In[p]``: an output that is a window."""


def both(
    switch: str, value: object, work: Workload, *steps: Step, base: Conventions = STEADY
) -> tuple[Evaluation, Evaluation]:
    """Evaluate under `base` and under the same set with one switch turned."""
    turned = replace(base, **{switch: value})  # type: ignore[arg-type]
    return run(work, *steps, conventions=base), run(work, *steps, conventions=turned)


def compared(
    pair: tuple[Evaluation, Evaluation], level: str, tensor: str
) -> tuple[TensorAccesses, TensorAccesses]:
    """Return the accesses of one tensor at one memory in both evaluations."""
    return accesses(pair[0], level, tensor), accesses(pair[1], level, tensor)


def test_lanes_hold_nothing_between_steps() -> None:
    """W is one value and four steps n use it, past a buffer that bypasses it.

    The MAC fetches it 4 times; ``sequential`` lets it stay through the DRAM's loop: 1.
    """
    steps: tuple[Step, ...] = (DRAM, {"n": 4}), (memory("buffer", "W"), {})
    exact, turned = compared(both("transfers", "sequential", gemm(1, 1, 4), *steps), "dram", "W")
    assert (exact.reads, turned.reads) == (4, 1)


def test_fills_are_counted_where_they_arrive() -> None:
    """Two rows m each need the one value of In, and the fanout cannot multicast.

    It is read twice and fills two buffers; ``sequential`` multiplies the 2 reads by 2 rows: 4.
    """
    steps: tuple[Step, ...] = (DRAM, {}), (fanout(2, multicast=False), {"m": 2}), (BUFFER, {})
    pair = both("transfers", "sequential", gemm(2, 1, 1), *steps)
    assert [a.reads for a in compared(pair, "dram", "In")] == [2, 2]
    assert [a.fills for a in compared(pair, "buffer", "In")] == [2, 4]


def test_outputs_leave_through_the_reduction_network() -> None:
    """Two instances p hold {0,1,2} and {1,2,3} of ``Out[p+r]``.

    Summed on the way their union leaves, 4 values. FactorFlow asks for selective *multicast*,
    which is not there: 2 * 3.
    """
    mesh = fanout(2, selective_reduction=True)
    steps: tuple[Step, ...] = (DRAM, {}), (mesh, {"p": 2}), (BUFFER, {"r": 3})
    pair = both("reduction_for_writes", True, SCATTER, *steps, base=FACTORFLOW)
    assert [a.updates for a in compared(pair, "dram", "Out")] == [6, 4]
    assert accesses(run(SCATTER, *steps), "dram", "Out").updates == 4


def test_no_selective_multicast_without_multicast() -> None:
    """Two instances p need {0,1,2} and {1,2,3}: 2 * 3 values one by one, or a union of 4."""
    mesh = fanout(2, multicast=False, selective_multicast=True)
    steps: tuple[Step, ...] = (DRAM, {}), (mesh, {"p": 2}), (BUFFER, {"r": 3})
    pair = both("selective_needs_multicast", False, conv(2, 3, "p+r"), *steps)
    assert [a.reads for a in compared(pair, "dram", "In")] == [6, 4]


def test_a_bypassing_outermost_memory_is_free() -> None:
    """Only the buffer holds the two values of W.

    FactorFlow charges the DRAM for sending them, as it and the next memory bypass them.
    """
    steps: tuple[Step, ...] = (
        (memory("dram", "W"), {"m": 2}),
        (memory("glb", "W"), {}),
        (BUFFER, {}),
    )
    exact, turned = both("charge_bypassing_outermost", True, gemm(2, 1, 1), *steps)
    assert [a.tensor for a in exact.accesses if a.level == "dram"] == ["In", "Out"]
    assert accesses(turned, "dram", "W").reads == 2


def test_windows_keep_what_the_preceding_tile_holds() -> None:
    """Four outputs of three taps, ``p + 2r``: {0,2,4}, {1,3,5}, {2,4,6}, {3,5,7}.

    Neighbours share nothing: 4 * 3. All four together are {0..7}: 8.
    """
    steps: tuple[Step, ...] = (DRAM, {"p": 4}), (BUFFER, {"r": 3})
    pair = both("pairwise_windows", False, conv(4, 3, "p+2r"), *steps)
    assert [a.reads for a in compared(pair, "dram", "In")] == [12, 8]


def test_strided_footprint() -> None:
    """``3p + r``, 4 outputs and 2 taps: In is {0,1,3,4,6,7,9,10}, W 2, Out 4: 14 words.

    With unit strides In would be {0..4}: 11, and fit into 13.
    """
    steps: tuple[Step, ...] = (memory("dram", words=13), {"p": 4, "r": 2}), (BUFFER, {})
    exact, turned = both("window_footprint", "stride_blind", conv(4, 2, "3p+r"), *steps)
    assert (exact.memories[0].words, turned.memories[0].words) == (14, 11)
    assert exact.violations == ("dram: footprint 14 words > 13 usable",)
    assert turned.valid


def test_leakage_until_the_end() -> None:
    """The DRAM sends 4 In and 1 W at half a word per cycle: 10 cycles for 4 MACs.

    Buffer and MAC leak 1 pJ per cycle, 10 each; otherwise the buffer for the 4 cycles that
    itself is busy, and the MAC for one step.
    """
    slow = memory("dram", read_bandwidth=0.5)
    mac = Compute("mac", mac_energy_pj=1.0, leakage_pj_per_cycle=1.0)
    steps: tuple[Step, ...] = (
        (slow, {"n": 2}),
        (memory("buffer", leakage=1.0), {"n": 2}),
        (mac, {}),
    )
    exact, turned = both("leakage_until_end", False, gemm(1, 1, 4), *steps)
    assert exact.latency_cycles == turned.latency_cycles == 10
    assert [e.leakage_pj for e in exact.energies] == [0, 10, 10]
    assert [e.leakage_pj for e in turned.energies] == [0, 4, 1]


def test_pe_to_pe_warm_up() -> None:
    """Four steps, and three hops to the last of four rows: 7 cycles."""
    steps: tuple[Step, ...] = (DRAM, {"n": 4}), (fanout(4, pe_to_pe=True), {"m": 4})
    exact, turned = both("pe_to_pe_warm_up", False, gemm(4, 1, 4), *steps)
    assert (exact.latency_cycles, turned.latency_cycles) == (7, 4)


def test_flops_count_strides() -> None:
    """12 MACs are 24 FLOPs; with stride 2 and dilation 3 multiplied in 144."""
    steps: tuple[Step, ...] = (DRAM, {"p": 4, "r": 3}), (BUFFER, {})
    exact, turned = both("flops_count_coefficients", True, conv(4, 3, "2p+3r"), *steps)
    assert (exact.flops, turned.flops) == (24, 144)
    assert turned.utilized_flops_per_edp == 6 * exact.utilized_flops_per_edp


def test_free_drains() -> None:
    """Two outputs drain from the buffer at 5 pJ each; the DRAM receives them anyway."""
    steps: tuple[Step, ...] = (DRAM, {"m": 2}), (memory("buffer", read_pj=5.0), {})
    exact, turned = both("free_drains", True, gemm(2, 1, 1), *steps)
    assert [a.drains for a in compared((exact, turned), "buffer", "Out")] == [2, 0]
    assert [a.updates for a in compared((exact, turned), "dram", "Out")] == [2, 2]
    assert exact.energy_pj - turned.energy_pj == 10


def test_overestimated_windows() -> None:
    """``3p + r``, two outputs of two taps: {0,1,3,4}, or all of {0..4}."""
    steps: tuple[Step, ...] = (DRAM, {}), (BUFFER, {"p": 2, "r": 2})
    pair = both("overestimate_windows", True, conv(2, 2, "3p+r"), *steps)
    assert [a.reads for a in compared(pair, "dram", "In")] == [4, 5]


def test_tiles_persist_until_a_loop_moves_them() -> None:
    """W is one value, and six steps n use it, three of them loops outside the buffer.

    The buffer sends it to the register for each of the three; ``persistent``: once.
    """
    steps: tuple[Step, ...] = (
        (DRAM, {"n": 3}),
        (BUFFER, {"n": 2}),
        (memory("register", "In", "Out"), {}),
    )
    pair = compared(both("transfers", "persistent", gemm(1, 1, 6), *steps), "buffer", "W")
    assert [a.reads for a in pair] == [3, 1]


def test_single_reuse() -> None:
    """Windows {0,1,2} to {3,4,5} serve two channels m each before the next one.

    They slide although they also stay: 6 values; with one reuse each is read whole: 4 * 3.
    """
    steps: tuple[Step, ...] = (DRAM, {"p": 4, "m": 2}), (BUFFER, {"r": 3})
    pair = both("single_reuse", True, conv(4, 3, "p+r", m=2), *steps)
    assert [a.reads for a in compared(pair, "dram", "In")] == [6, 12]


def test_bounding_footprint() -> None:
    """``3p + r``, 4 outputs and 2 taps: 8 values of {0..10}, W 2, Out 4."""
    steps: tuple[Step, ...] = (DRAM, {"p": 4, "r": 2}), (BUFFER, {})
    pair = both("window_footprint", "bounding", conv(4, 2, "3p+r"), *steps)
    assert [result.memories[0].words for result in pair] == [14, 17]


def test_bounding_windows_bring_no_gaps_from_outside() -> None:
    """``5p + 2r``, 2 taps: {0,2}, {5,7}, ... are 3 words each with their gap, not 3 + 3 * 5."""
    steps: tuple[Step, ...] = (DRAM, {"p": 4}), (BUFFER, {"r": 2})
    pair = both("overestimate_windows", True, conv(4, 2, "5p+2r"), *steps)
    assert [a.reads for a in compared(pair, "dram", "In")] == [8, 12]


def test_shared_ports() -> None:
    """The DRAM sends 4 In and 1 W and receives 4 Out, a word per cycle and direction.

    5 cycles; a port of both bandwidths moves the 9 words in 4.5.
    """
    slow = memory("dram", read_bandwidth=1.0, write_bandwidth=1.0)
    steps: tuple[Step, ...] = (slow, {"n": 4}), (BUFFER, {})
    exact, turned = both("shared_ports", True, gemm(1, 1, 4), *steps)
    assert (exact.latency_cycles, turned.latency_cycles) == (5, 4.5)
    (port,) = turned.memories[0].ports
    figures = port.busy_cycles, port.port.bandwidth, port.needed_bandwidth
    assert figures == (4.5, 2, 9 / 4)


def test_zero_fills() -> None:
    """Two outputs start in the buffer: two zeros are written there, none is read outside."""
    steps: tuple[Step, ...] = (DRAM, {"n": 2}), (BUFFER, {})
    pair = both("zero_fills", True, gemm(1, 1, 2), *steps)
    assert [a.fills for a in compared(pair, "buffer", "Out")] == [0, 2]
    assert [a.reads for a in compared(pair, "dram", "Out")] == [0, 0]


def test_seeds_all() -> None:
    """Two lanes' buffers sum up four k, two at a time: the old sum goes to one, or to both."""
    steps: tuple[Step, ...] = (DRAM, {"k": 2, "m": 2}), (fanout(2), {"k": 2}), (BUFFER, {})
    pair = both("seeds_all", True, gemm(2, 4, 1), *steps)
    assert [a.reads for a in compared(pair, "dram", "Out")] == [2, 2]
    assert [a.fills for a in compared(pair, "buffer", "Out")] == [2, 4]
    assert [a.reads for a in compared(pair, "buffer", "Out")] == [2, 4]
    assert [a.drains for a in compared(pair, "buffer", "Out")] == [8, 8]


def test_whole_wordlines() -> None:
    """4 In, 1 W and 4 Out at 1 pJ; in wordlines of four words the W costs 4 pJ.

    The counts stay.
    """
    wide = replace(DRAM, values_per_wordline=4)
    steps: tuple[Step, ...] = (wide, {"n": 4}), (BUFFER, {})
    pair = both("whole_wordlines", True, gemm(1, 1, 4), *steps)
    assert [result.energies[0].access_pj for result in pair] == [9, 12]
    exact, turned = compared(pair, "dram", "W")
    assert (exact.reads, turned.reads) == (1, 1)
    assert (exact.energy_pj, turned.energy_pj) == (1, 4)


def test_only_used_memories_leak() -> None:
    """One of four buffers works, and no multiply-accumulate leaks."""
    mac = Compute("mac", mac_energy_pj=1.0, leakage_pj_per_cycle=1.0)
    steps = (DRAM, {"n": 4}), (fanout(4), {}), (memory("buffer", leakage=1.0), {}), (mac, {})
    exact, turned = both("only_used_memories_leak", True, gemm(1, 1, 4), *steps)
    assert [e.leakage_pj for e in exact.energies] == [0, 16, 16]
    assert [e.leakage_pj for e in turned.energies] == [0, 4, 0]


def test_whole_cycles() -> None:
    """5 words at 0.9 per cycle take 5.6 cycles, and 4 at 1 per cycle 4 and no more."""
    slow = memory("dram", read_bandwidth=0.9)
    pair = both("whole_cycles", True, gemm(1, 1, 4), (slow, {"n": 4}), (BUFFER, {}))
    assert [result.latency_cycles for result in pair] == [5 / 0.9, 6]
    pair = both("whole_cycles", True, gemm(1, 1, 4), (DRAM, {"n": 4}), (BUFFER, {}))
    assert [result.latency_cycles for result in pair] == [4, 4]


def differing(conventions: Conventions) -> set[str]:
    """Name the switches that a set turns, from `EXACT`."""
    names = {f.name for f in fields(Conventions)} - {"name"}
    return {name for name in names if getattr(EXACT, name) != getattr(conventions, name)}


def test_timeloop_turns_these_switches() -> None:
    """Each has a case above or with the waits, but for the factors: they are what searches try."""
    assert differing(TIMELOOP) == {
        "factors",
        "transfers",
        "single_reuse",
        "window_footprint",
        "shared_ports",
        "zero_fills",
        "seeds_all",
        "first_and_last",
        "whole_wordlines",
        "whole_cycles",
        "free_drains",
        "overestimate_windows",
    }


def test_steady_turns_one() -> None:
    assert differing(STEADY) == {"first_and_last"}


def test_todays_timeloop_turns_two_more() -> None:
    turned = differing(TIMELOOP) ^ differing(TIMELOOP_4)
    assert turned == {"zero_fills", "only_used_memories_leak"}
    assert TIMELOOP_4.only_used_memories_leak


def test_factorflow_turns_these_switches() -> None:
    """Each has a case above or beside the waits, but for the factors; two settings stay off."""
    assert differing(FACTORFLOW) == {
        "factors",
        "transfers",
        "reduction_for_writes",
        "selective_needs_multicast",
        "charge_bypassing_outermost",
        "shares_at_lanes",
        "pairwise_windows",
        "window_footprint",
        "seeds_all",
        "first_and_last",
        "leakage_until_end",
        "pe_to_pe_warm_up",
        "flops_count_coefficients",
    }


def test_conventions_by_name() -> None:
    sets = [EXACT, STEADY, FACTORFLOW, TIMELOOP, TIMELOOP_4]
    assert [conventions_named(name) for name in CONVENTIONS] == sets
    with pytest.raises(InputError, match="unknown conventions 'maestro'; expected one of exact"):
        conventions_named("maestro")
