"""Bursts of the outermost memory, against the addresses that tiles have, in all forms."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle.bursts import Nest, Touched, touched_bits
from oracle.strategies import Case, cases, ragged_cases, with_drawn_bits

from toolkit.arch import Architecture, Memory
from toolkit.arch.layout import bursts_of, inside_out
from toolkit.arch.levels import Layout
from toolkit.arch.packing import sum_bits
from toolkit.errors import ArchitectureError, DoesNotFitError
from toolkit.mapping.mapping import from_arrays
from toolkit.model import EXACT, FACTORFLOW, TIMELOOP, BatchCost, batch_cost, evaluate, make_plan
from toolkit.model.compiled import batch_totals
from toolkit.model.words import energy_parts
from toolkit.workload import Tensor, Workload, conv2d, gemm, with_bits

from .nests import MAC, fanout, mapped, memory, workload
from .test_executed_nest import with_holders

many = examples(50)


def in_bursts(arch: Architecture, burst_words: int, layout: Layout) -> Architecture:
    outermost = replace(arch.memories[0], burst_words=burst_words, layout=layout)
    return replace(arch, levels=(outermost, *arch.levels[1:]))


@st.composite
def with_bursts(draw: st.DrawFn, arch: Architecture, workload: Workload) -> Architecture:
    """Draw bursts, and the layout that the workload has or another one."""
    layout = Layout()
    if draw(st.booleans()):
        roles = [tuple(draw(st.permutations(workload.dimensions))) for _ in range(3)]
        layout = Layout(*roles)
    words = draw(st.sampled_from((2, 3, 4, 6, 8, 16)))
    return in_bursts(arch, words, layout)


@st.composite
def burst_cases(draw: st.DrawFn, *, bits: bool = False) -> Case:
    arch, work, *rest = draw(cases())
    if bits:
        arch, work = draw(with_drawn_bits(arch, work))
        widths = [sum_bits(tensor) or 0 for tensor in work.tensors]
        assume(max(widths, default=0) <= 2 * (arch.memories[0].word_bits or 64))
    return draw(with_bursts(arch, work)), work, *rest


@st.composite
def ragged_burst_cases(draw: st.DrawFn) -> Case:
    arch, work, factors, order, bias_read, holds = draw(ragged_cases())
    arch = draw(with_bursts(with_holders(arch, work, holds), work))
    return arch, work, factors, order, bias_read


STEADY = replace(EXACT, first_and_last=False)


def costed(case: Case) -> BatchCost:
    arch, work, factors, order, bias_read = case
    plan = make_plan(arch, work, STEADY, bias_read=bias_read)
    return batch_cost(plan, factors[None].astype(np.float64), order[None])


def shares(case: Case) -> list[tuple[Tensor, float, Touched, int]]:
    """Words touched by words used of every tensor, what addresses say, and units of a burst."""
    arch, work, factors, order, _ = case
    cost, found = costed(case), list[tuple[Tensor, float, Touched, int]]()
    if cost.used is None:
        return []  # It supplies nothing.
    for t, tensor in enumerate(work.tensors):
        nest = Nest(arch, work, tensor, factors, order)
        if not nest.is_supplied:
            continue
        kind = "updates" if tensor.role == "output" else "reads"
        share = getattr(cost.nest.moved[0, t], kind) / getattr(cost.used[0, t], kind)
        bursts = bursts_of(arch, tensor)
        layout = list(inside_out(arch.memories[0], tensor))
        touched = touched_bits(nest, layout, bursts.value_units, bursts.burst_units)
        found.append((tensor, share.item(), touched, bursts.burst_units))
    return found


def leaves_gaps(tensor: Tensor) -> bool:
    """Whether windows may step over values, whose bursts are not all touched."""
    return any(len(i) > 1 and any(t.coefficient > 1 for t in i) for i in tensor.indices)


@many
@given(burst_cases())
def test_tiles_touch_the_bursts_that_their_addresses_lie_in(case: Case) -> None:
    for tensor, share, touched, burst in shares(case):
        wanted = float(touched.average / touched.moved)
        if leaves_gaps(tensor):
            assert wanted / 2 <= share <= 2 * wanted
        else:
            assert share == pytest.approx(wanted, rel=1e-9)
            # As if the tensor began anywhere, where in fact it begins with a burst.
            assert abs(share * touched.moved - touched.actual) <= touched.runs * burst


@many
@given(ragged_burst_cases())
def test_cut_off_tiles_are_less_than_a_burst_off(case: Case) -> None:
    for tensor, share, touched, burst in shares(case):
        if all(len(index) < 2 for index in tensor.indices):
            off = abs(share * touched.moved - float(touched.average))
            assert off <= touched.runs * burst * (1 + 1e-9)


@pytest.mark.parametrize(
    ("rows", "row", "tile", "burst"), [(64, 12, 4, 8), (32, 10, 4, 8), (96, 7, 3, 6), (8, 9, 9, 4)]
)
def test_many_rows_touch_what_the_closed_form_says(
    rows: int, row: int, tile: int, burst: int
) -> None:
    """Every residue occurs equally often: ``pieces * (b - g) + n`` words for each row."""
    turns = -(-row // tile)
    steps = (memory("dram"), {"m": rows, "k": turns}), (memory("buffer"), {"k": tile})
    mapping, arch, work = mapped(gemm_named(rows, row), *steps)
    found = evaluate(mapping, in_bursts(arch, burst, Layout()), work)
    pieces = [
        range(m * row + k, m * row + min(k + tile, row))
        for m in range(rows)
        for k in range(0, row, tile)
    ]
    touched = sum(len({address // burst for address in piece}) for piece in pieces) * burst
    weights = next(x for x in found.accesses if x.tensor == "W" and x.level == "dram")
    assert weights.fetched_words == pytest.approx(touched)


def gemm_named(m: int, k: int) -> Workload:
    return workload({"m": m, "k": k, "n": 1}, "m,n", "m,k", "k,n")


def test_a_whole_tensor_is_one_run() -> None:
    steps = (memory("dram"), {}), (memory("buffer"), {"m": 5, "k": 7})
    mapping, arch, work = mapped(gemm_named(5, 7), *steps)
    found = evaluate(mapping, in_bursts(arch, 16, Layout()), work)
    fetched = {x.tensor: x.fetched_words for x in found.accesses if x.level == "dram"}
    assert fetched == {"W": 48, "In": 16, "Out": 16}


def test_instances_right_outside_of_the_child_get_adjacent_values() -> None:
    def touched(inside: dict[str, int], outside: dict[str, int]) -> float | None:
        steps = (
            (memory("dram"), {"m": 16, **outside}),
            (fanout(4), {"k": 4}),
            (memory("buffer"), inside),
        )
        mapping, arch, work = mapped(gemm_named(16, 16), *steps)
        found = evaluate(mapping, in_bursts(arch, 16, Layout()), work)
        return next(x.fetched_words for x in found.accesses if x.tensor == "W")

    assert touched({"k": 4}, {}) == 256
    assert touched({"k": 1}, {"k": 4}) == 16 * 4 * 16


@many
@given(burst_cases(bits=True))
def test_values_become_words_first(case: Case) -> None:
    """A burst has so many words of the memory, whatever bits a value has."""
    for tensor, share, touched, burst in shares(case):
        if tensor.sum_bits in (None, tensor.bits) and not leaves_gaps(tensor):
            assert share == pytest.approx(float(touched.average / touched.moved), rel=1e-9)
            assert share * touched.moved >= burst * touched.runs * (1 - 1e-9)


def test_complete_outputs_touch_fewer_bursts_than_partial_sums() -> None:
    """Each visit but the last writes 32 bits of a sum, the last one 8 of a result."""
    steps = (memory("dram"), {"m": 64, "k": 3, "n": 2}), (memory("buffer"), {"n": 2})
    mapping, arch, plain = mapped(workload({"m": 64, "k": 3, "n": 4}, "m,n", "m,k", "k,n"), *steps)
    order = ("k", "m", "n")
    mapping = replace(
        mapping, levels=(replace(mapping.levels[0], order=order), *mapping.levels[1:])
    )
    arch = in_bursts(arch, 8, Layout())
    arch = replace(arch, levels=(replace(arch.memories[0], word_bits=8), *arch.levels[1:]))
    work = with_bits(plain, output_bits=8, sum_bits=32)
    out = next(
        x
        for x in evaluate(mapping, arch, work).accesses
        if x.tensor == "Out" and x.level == "dram"
    )
    # Pieces of two sums, 8 bytes, fill a burst; two results are 2 of 8 bytes.
    sums, results = 2 * 256 * 4, 128 * 8
    assert out.fetched_words == sums + results + sums  # Sums come back as often as they leave.
    assert out.words == 2 * 256 * 4 + 256 + 2 * 256 * 4


@given(burst_cases(bits=True))
def test_one_word_at_a_time_changes_nothing(case: Case) -> None:
    arch, *rest = case
    single = in_bursts(arch, 1, arch.memories[0].layout)
    bare = in_bursts(arch, 1, Layout())
    assume(all((sum_bits(t) or 0) <= (arch.memories[0].word_bits or 64) for t in case[1].tensors))
    for name in ("energy_pj", "latency_cycles"):
        assert getattr(costed((single, *rest)), name) == getattr(costed((bare, *rest)), name)


waits = st.sampled_from(("always", "double-buffered", "never"))


@many
@given(st.one_of(burst_cases(bits=True), ragged_burst_cases()), st.booleans(), st.data())
def test_all_forms_agree(case: Case, first_and_last: bool, data: st.DataObject) -> None:
    arch, work, factors, order, bias_read = case
    levels = tuple(
        replace(x, overlap=data.draw(waits)) if isinstance(x, Memory) else x for x in arch.levels
    )
    conventions = replace(EXACT, first_and_last=first_and_last)
    plan = make_plan(replace(arch, levels=levels), work, conventions, bias_read=bias_read)
    expected = batch_cost(plan, factors[None].astype(np.float64), order[None])
    got = batch_totals(plan, factors[None], order[None])
    assert got.energy_pj == pytest.approx(expected.energy_pj, rel=1e-12)
    assert got.latency_cycles == pytest.approx(expected.latency_cycles, rel=1e-12)
    if factors.prod(axis=0).tolist() == list(work.sizes.values()):
        batch = torch.tensor(factors[None], dtype=torch.float64), torch.tensor(order[None])
        other = batch_cost(plan, *batch)
        assert other.energy_pj.item() == pytest.approx(expected.energy_pj.item(), rel=1e-12)
        assert other.latency_cycles.item() == pytest.approx(
            expected.latency_cycles.item(), rel=1e-12
        )


@given(burst_cases())
def test_energy_and_ports_pay_for_every_word_touched(case: Case) -> None:
    arch, work, *rest = case
    outermost = replace(
        arch.memories[0], ports=(), read_bandwidth=1e-3, write_bandwidth=1e-3, shared_port=True
    )
    arch = replace(arch, levels=(outermost, *arch.levels[1:]))
    cost, bare = costed((arch, work, *rest)), costed((in_bursts(arch, 1, Layout()), work, *rest))
    assert cost.used is not None
    extra = {
        kind: sum(
            getattr(cost.nest.moved[0, t], kind).item() - getattr(cost.used[0, t], kind).item()
            for t in range(len(work.tensors))
        )
        for kind in ("reads", "updates")
    }
    cycles = (extra["reads"] + extra["updates"]) / 2e-3
    found = cost.latency_cycles.item() - bare.latency_cycles.item()
    assert found == pytest.approx(cycles, rel=1e-6, abs=1e-6 * bare.latency_cycles.item())
    own = cost.nest.levels[0].energy_pj.item() - bare.nest.levels[0].energy_pj.item()
    energy = extra["reads"] * Fraction(outermost.read_energy_pj)
    energy += extra["updates"] * Fraction(outermost.write_energy_pj)
    assert own == pytest.approx(float(energy), rel=1e-9, abs=1e-9)


@given(burst_cases(bits=True))
def test_what_explains_the_energy_adds_up(case: Case) -> None:
    arch, work, factors, order, bias_read = case
    mapping = from_arrays(factors, order, arch, work)
    found = evaluate(mapping, arch, work, conventions=STEADY, bias_read=bias_read)
    assert found.energy_pj == pytest.approx(costed(case).energy_pj.item(), rel=1e-12)
    parts = energy_parts(found)
    assert sum(part.energy_pj for part in parts) == pytest.approx(found.energy_pj, rel=1e-9)
    for part in parts:
        own = sum(action.energy_pj for action in part.actions)
        assert not part.actions or own == pytest.approx(part.energy_pj, rel=1e-9)
        for action in part.actions:
            wanted = action.movement.wanted_words
            has_bursts = part.level == arch.memories[0].name
            assert (wanted is not None) == has_bursts
            assert wanted is None or wanted <= action.movement.charged_words * (1 + 1e-9)


def test_first_and_last_tiles_wait_for_whole_bursts() -> None:
    """A run of four starts or ends a burst of eight; one output takes a burst of its own."""
    dram = memory("dram", read_bandwidth=2.0, write_bandwidth=4.0)
    steps = (dram, {"m": 64, "k": 3}), (memory("buffer"), {"k": 4})
    mapping, arch, work = mapped(gemm_named(64, 12), *steps)
    conventions = replace(EXACT, first_and_last=True)

    def waits(burst_words: int) -> tuple[float, float]:
        machine = in_bursts(arch, burst_words, Layout())
        _, buffer = evaluate(mapping, machine, work, conventions=conventions).memories
        return buffer.fill_cycles, buffer.drain_cycles

    assert waits(1) == ((4 + 4) / 2, 1 / 4)
    assert waits(8) == ((8 + 8) / 2, 8 / 4)


def test_relaxed_factors_have_gradients() -> None:
    steps = (memory("dram"), {"m": 4, "k": 4}), (memory("buffer"), {"m": 2, "k": 4})
    mapping, arch, work = mapped(gemm_named(8, 16), *steps)
    factors = torch.tensor(
        [[[level.factor(d) * 1.1 for d in work.dimensions] for level in mapping.levels]],
        dtype=torch.float64,
        requires_grad=True,
    )
    order = torch.arange(3).repeat(1, len(arch.levels), 1)
    plan = make_plan(in_bursts(arch, 8, Layout()), work, EXACT)
    batch_cost(plan, factors, order).energy_pj.sum().backward()
    assert factors.grad is not None
    assert torch.isfinite(factors.grad).all()
    assert (factors.grad != 0).any()


def test_an_axis_stands_where_its_first_dimension_is_named() -> None:
    window = conv2d(4, 4, 4, 4, 3, 3).tensors[0]
    assert window.role == "input"
    order = ("S", "C", "P", "Q")
    dram = replace(memory("dram"), layout=Layout(order, order, order))
    by_name = [{t.dimension for t in window.indices[axis]} for axis in inside_out(dram, window)]
    assert by_name == [{"P", "R"}, {"C"}, {"Q", "S"}]


@given(burst_cases(), st.data())
def test_wordlines_by_key_are_those_of_the_convention(case: Case, data: st.DataObject) -> None:
    arch, work, factors, order, bias_read = case
    lines = tuple(
        replace(x, values_per_wordline=data.draw(st.integers(1, 5)))
        if isinstance(x, Memory)
        else x
        for x in arch.levels
    )
    keyed = tuple(replace(x, whole_wordlines=True) if isinstance(x, Memory) else x for x in lines)
    batch = factors[None].astype(np.float64), order[None]
    for levels, conventions in ((lines, replace(EXACT, whole_wordlines=True)), (keyed, EXACT)):
        plan = make_plan(replace(arch, levels=levels), work, conventions, bias_read=bias_read)
        energy = batch_cost(plan, *batch).energy_pj
        assert batch_totals(plan, factors[None], order[None]).energy_pj == pytest.approx(energy)
        if levels is lines:
            wanted = energy
    assert energy == wanted


def test_wordlines_of_one_memory_leave_the_others_alone() -> None:
    steps = (memory("dram"), {"k": 2}), (memory("buffer"), {"m": 3, "k": 5})
    mapping, arch, work = mapped(gemm_named(3, 10), *steps)
    line = replace(arch.memories[1], values_per_wordline=7, whole_wordlines=True)
    arch = replace(arch, levels=(arch.levels[0], line, *arch.levels[2:]))
    found = {(x.level, x.tensor): x for x in evaluate(mapping, arch, work).accesses}
    weights = found["buffer", "W"]
    assert (weights.fills, weights.reads, weights.energy_pj) == (30, 30, 35 + 35)
    assert found["dram", "W"].energy_pj == 30


def machine(**keys: object) -> Architecture:
    outermost = replace(memory("DRAM"), **keys)  # type: ignore[arg-type]
    return Architecture("machine", (outermost, memory("Buffer"), MAC))


def order(*names: str) -> Layout:
    return Layout(names, names, names)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (machine(layout=order("M", "K", "Z")), r"levels\[0\].layout: unknown dimension 'Z'"),
        (machine(layout=order("M", "K")), "does not say where N of "),
        (machine(burst_words=0), r"levels\[0\].burst_words: DRAM has burst_words 0"),
        (
            machine(burst_words=2, word_bits=8),
            "bursts of 2 words, narrower than a value of .* (32 bits)",
        ),
    ],
)
def test_what_no_tensor_can_have_is_refused(arch: Architecture, message: str) -> None:
    work = with_bits(gemm(4, 4, 4), output_bits=8, sum_bits=32)
    with pytest.raises(
        (ArchitectureError, DoesNotFitError), match=message.replace("(32 bits)", r"\(32 bits\)")
    ):
        make_plan(arch, work, EXACT)


def test_only_the_outermost_memory_has_a_layout() -> None:
    inner = replace(memory("Buffer"), burst_words=4)
    with pytest.raises(ArchitectureError, match=r"levels\[1\].burst_words: .*only the outermost"):
        Architecture("machine", (memory("DRAM"), inner, MAC))


def test_sequential_transfers_do_not_say_what_is_sent_at_once() -> None:
    with pytest.raises(ArchitectureError, match=r"burst_words: .* conventions factorflow"):
        make_plan(machine(burst_words=4), gemm(4, 4, 4), FACTORFLOW)
    make_plan(machine(burst_words=4), gemm(4, 4, 4), TIMELOOP)
