"""No size makes a number silently wrong: the cost model against an oracle in integers."""

from __future__ import annotations

import contextlib
import math
from fractions import Fraction

import numpy as np
import pytest
from examples import examples
from hypothesis import assume, example, given
from hypothesis import strategies as st
from oracle.exact_integers import ExactCost, TooWideError, exact_cost
from oracle.large import large_cases
from oracle.strategies import Case

from toolkit.arch.levels import Fanout
from toolkit.errors import InputError, PrecisionError
from toolkit.mapping import from_arrays, to_arrays
from toolkit.mapping.bounds import word_limit
from toolkit.model import (
    FACTORFLOW,
    STEADY,
    TIMELOOP,
    Conventions,
    Evaluation,
    batch_cost,
    evaluate,
    make_plan,
)
from toolkit.model.breakdown import check_magnitude
from toolkit.model.compiled import batch_totals
from toolkit.model.cost import access_counts, make_nest

from .nests import accesses, gemm, mapped, memory, run, workload

LIMIT = 2**53

KINDS = ("reads", "updates", "fills", "drains")

many = examples(40)


def evaluated(case: Case, conventions: Conventions = STEADY) -> Evaluation:
    arch, work, factors, order, bias_read = case
    mapping = from_arrays(factors, order, arch, work)
    return evaluate(mapping, arch, work, conventions=conventions, bias_read=bias_read)


def counted(result: Evaluation) -> dict[tuple[str, str, str], int]:
    return {
        (entry.level, entry.tensor, kind): getattr(entry, kind)
        for entry in result.accesses
        for kind in KINDS
    }


def oracle(case: Case) -> ExactCost:
    arch, work, factors, order, bias_read = case
    return exact_cost(arch, work, factors.tolist(), order.tolist(), bias_read)


def largest(case: Case, expected: ExactCost) -> int:
    """The largest number that has to be exact."""
    sizes = case[1].sizes
    spans = [
        1 + sum(t.coefficient * (sizes[t.dimension] - 1) for t in index)
        for tensor in case[1].tensors
        for index in tensor.indices
        if len(index) > 1
    ]
    counts = (*expected.accesses.values(), *expected.words.values())
    return max(expected.macs, *counts, *expected.instances.values(), *spans)


def enumerates(case: Case) -> bool:
    """Whether sums of three or more strided terms occur, by themselves or over instances."""
    selective = any(f.selective_multicast or f.selective_reduction for f in case[0].fanouts)
    sums = [index for tensor in case[1].tensors for index in tensor.indices]
    return any(len(index) > 2 or (len(index) == 2 and selective) for index in sums)


def close(value: float, expected: Fraction) -> bool:
    return abs(Fraction(value) - expected) <= Fraction(1, 10**12) * expected


@many
@given(large_cases())
def test_exact_or_refused(case: Case) -> None:
    try:
        expected = oracle(case)
    except TooWideError:
        with contextlib.suppress(PrecisionError):
            evaluated(case)
        return
    if largest(case, expected) > LIMIT:
        with pytest.raises(PrecisionError, match="that are exact|counted exactly up to"):
            evaluated(case)
        return
    try:
        result = evaluated(case)
    except PrecisionError as cause:
        assert enumerates(case) and "counted exactly up to" in str(cause)
        return
    assert counted(result) == expected.accesses
    assert {entry.level: entry.words for entry in result.memories} == expected.words
    assert {entry.level: entry.instances for entry in result.memories} == expected.instances
    assert result.macs == expected.macs
    assert close(result.energy_pj, expected.energy_pj)
    assert close(result.latency_cycles, expected.latency_cycles)
    assert close(result.utilization, expected.utilization)


@given(large_cases())
def test_totals_of_batches_are_never_nonsense(case: Case) -> None:
    """Rounded beyond 2^53, but never by more, and capacities are compared exactly."""
    assume(not enumerates(case))
    arch, work, factors, order, bias_read = case
    plan = make_plan(arch, work, STEADY, bias_read=bias_read)
    expected = oracle(case)
    totals = batch_totals(plan, factors[None], order[None], threads=1)
    assert close(totals.energy_pj[0], expected.energy_pj)
    assert close(totals.latency_cycles[0], expected.latency_cycles)
    assert close(totals.utilization[0], expected.utilization)
    if max(expected.words.values()) <= LIMIT:
        limits = {m.name: word_limit(m) for m in arch.memories}
        fits = [words <= (limits[name] or LIMIT) for name, words in expected.words.items()]
        assert totals.fits[0] == all(fits)


in_other_conventions = st.builds(
    Conventions.with_settings,
    st.sampled_from((FACTORFLOW, TIMELOOP)),
    free_drains=st.booleans(),
    overestimate_windows=st.booleans(),
)


def in_fractions(case: Case, conventions: Conventions) -> dict[tuple[str, str, str], Fraction]:
    """Count by the model's own formulas, but without rounding."""
    arch, work, factors, order, bias_read = case
    exact = np.vectorize(Fraction, otypes=[object])(factors)
    plan = make_plan(arch, work, conventions, bias_read=bias_read)
    table = access_counts(plan, make_nest(plan, exact[None], order[None]))
    return {
        (arch.levels[m].name, work.tensors[t].name, kind): getattr(entry, kind).item()
        for (m, t), entry in table.items()
        for kind in KINDS
    }


@given(large_cases(), in_other_conventions)
def test_other_conventions_are_exact_or_refused(case: Case, conventions: Conventions) -> None:
    try:
        counts = counted(evaluated(case, conventions))
    except PrecisionError:
        return
    expected = {key: n for key, n in in_fractions(case, conventions).items() if n}
    assert {key: n for key, n in counts.items() if n} == expected


@pytest.mark.parametrize("m", range(8928001, 8928021, 2))
def test_a_count_that_passes_the_limit_on_its_way(m: int) -> None:
    """FactorFlow counts the copies of a fanout without multicast twice where it is bypassed."""
    lanes = Fanout("lanes", 7, ("k",), multicast=False)
    n = 8928003
    result = run(
        gemm(m, 21, n),
        (memory("dram"), {"k": 3, "m": m, "n": n}),
        (lanes, {"k": 7}),
        (memory("buffer", "output"), {}),
        conventions=FACTORFLOW,
    )
    copied = 7 * 21 * m * n
    assert copied > LIMIT
    assert accesses(result, "dram", "Out").reads == copied - copied // 3


def test_a_footprint_just_beyond_the_limit() -> None:
    """One tensor of 2^53 words and two of one word, which floats drop."""
    sizes = {"m": 2**27, "k": 2**26}
    with pytest.raises(PrecisionError, match=f"footprint at dram number {LIMIT + 2}, more"):
        run(workload(sizes, "", "", "m,k"), (memory("dram"), {}), (memory("buffer"), sizes))


sides = st.tuples(*[st.sampled_from((1, 2, 3, 5, 6, 7, 9, 10, 12))] * 6)


@given(sides)
@example((9, 7, 6, 2, 1, 2))
def test_a_port_that_just_keeps_up_does_not_stall(sides: tuple[int, ...]) -> None:
    outer = dict(zip("kmn", sides[:3], strict=True))
    inner = dict(zip("kmn", sides[3:], strict=True))
    sizes = {d: outer[d] * inner[d] * (3 if d == "k" else 1) for d in "mkn"}

    def nest(bandwidth: float) -> Evaluation:
        buffer = memory("buffer", read_bandwidth=bandwidth)
        steps = ((memory("dram"), outer), (buffer, inner), (memory("register"), {"k": 3}))
        return run(gemm(**sizes), *steps)

    moved = [entry for entry in nest(1.0).accesses if entry.level == "buffer"]
    words = sum(entry.reads + entry.drains for entry in moved)
    result = nest(words / math.prod(sizes.values()))
    assert result.memories[1].stall_cycles == 0
    assert result.bottleneck == "mac: no memory stalls"


def test_multiply_accumulates_beyond_the_limit_whose_counts_are_small() -> None:
    """2^31 lanes that share all operands and sum up their outputs."""
    sizes = {"m": 2**31, "k": 2**23}
    with pytest.raises(PrecisionError, match=f"the multiply-accumulates number {2**54}, more"):
        run(
            workload(sizes, "k", "k", "k"),
            (memory("dram"), {"k": 2**23}),
            (Fanout("lanes", 2**31, ("m",)), {"m": 2**31}),
        )


def test_numbers_too_long_for_a_message() -> None:
    with pytest.raises(PrecisionError, match="multiply-accumulates number about 10\\^5000, more"):
        check_magnitude(gemm(10**5000, 1, 1))


def test_machine_integers_are_refused() -> None:
    """They would wrap around."""
    mapping, arch, work = mapped(gemm(4, 4, 4), (memory("dram"), {"m": 4, "k": 4, "n": 4}))
    factors, order = to_arrays(mapping, arch, work)
    with pytest.raises(InputError, match="factors of type int64; expected floating point"):
        batch_cost(make_plan(arch, work, STEADY), factors[None], order[None])


def test_whole_cycles_beyond_two_to_the_40() -> None:
    sizes = dict.fromkeys("mkn", 2**15)
    mapping, arch, work = mapped(gemm(**sizes), (memory("dram"), sizes))
    assert evaluate(mapping, arch, work, conventions=TIMELOOP).latency_cycles == 2**45
    factors, order = to_arrays(mapping, arch, work)
    totals = batch_totals(make_plan(arch, work, TIMELOOP), factors[None], order[None])
    assert totals.latency_cycles.tolist() == [2**45]


def test_a_window_without_strides_is_never_enumerated() -> None:
    sizes = {"p": 2**31, "q": 1, "r": 4, "s": 3}
    mapping, arch, work = mapped(
        workload(sizes, "p", "r", "p+r+s,q"), (memory("dram"), {"p": 2**31, "r": 4, "s": 3})
    )
    factors, order = to_arrays(mapping, arch, work)
    totals = batch_totals(make_plan(arch, work, STEADY), factors[None], order[None])
    assert totals.energy_pj == evaluate(mapping, arch, work).energy_pj


def test_capacities_beyond_the_limit_are_compared_safely() -> None:
    """A footprint of 2^53 + 2 words, which floats round to the capacity."""
    sizes = {"m": 2**27, "k": 2**26}
    mapping, arch, work = mapped(
        workload(sizes, "", "", "m,k"), (memory("dram"), {}), (memory("l1", words=LIMIT), sizes)
    )
    factors, order = to_arrays(mapping, arch, work)
    totals = batch_totals(make_plan(arch, work, STEADY), factors[None], order[None])
    assert totals.fits.tolist() == [False]
