"""The exact mapper where every fanout has wires, against whole map spaces."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from search import test_exact, test_exact_ragged, test_exact_relaxed
from search.drawn import Dice
from search.drawn_wide import draw_wide

from toolkit import load_arch
from toolkit.arch import Architecture, Fanout, Level, Memory, Wires
from toolkit.errors import ToolkitError
from toolkit.model import EXACT, TIMELOOP, Conventions
from toolkit.search import Budget, Problem, make_problem, search_mappings
from toolkit.search.exact.decomposition import decomposes
from toolkit.workload import conv2d, gemm

few = examples(30)


def wired(arch: Architecture, seed: int) -> Architecture:
    """Draw wires for every fanout."""
    dice = Dice(seed)
    levels: list[Level] = []
    for level in arch.levels:
        if isinstance(level, Fanout):
            limited = [dice.figure(0.1, 8) if dice.chance(0.7) else math.inf for _ in range(2)]
            energies = [dice.figure(0.1, 30) for _ in range(3)]
            level = replace(level, wires=Wires(*energies, *limited))
        levels.append(level)
    return replace(arch, levels=tuple(levels))


def waiting(arch: Architecture, dice: Dice) -> Architecture:
    """Draw what memories hide of what they get and send."""
    levels = [
        replace(level, overlap=("always", "double-buffered", "never")[dice.one_of(0, 1, 2)])
        if isinstance(level, Memory)
        else level
        for level in arch.levels
    ]
    return replace(arch, levels=tuple(levels))


def draw_wired(
    seed: int, conventions: Conventions = EXACT, *, waits: bool = False
) -> Problem | None:
    """Draw a problem with at least one fanout, all of which have wires."""
    drawn = draw_wide(seed)
    if drawn is None or not drawn.arch.fanouts:
        return None
    arch, dice = wired(drawn.arch, seed), Dice(seed + 7 * 10**7)
    if waits:
        arch = waiting(arch, dice)
        conventions = replace(conventions, first_and_last=dice.chance(0.6))
    try:
        return make_problem(
            arch,
            drawn.workload,
            objective=drawn.objective,
            conventions=conventions,
            bias_read=drawn.bias_read,
            factors="perfect",
        )
    except ToolkitError:
        return None


@few
@given(st.integers(0, 10**6))
def test_optimum_of_drawn_problems(seed: int) -> None:
    problem = draw_wired(seed)
    if problem is not None and test_exact.is_small(problem):
        test_exact.check_optimum(problem)


@few
@given(st.integers(0, 10**6))
def test_optimum_of_drawn_ragged_problems(seed: int) -> None:
    problem = test_exact_ragged.ragged(draw_wired(seed), 20_000)
    if problem is not None:
        test_exact_ragged.check_optimum(problem)


COUNTED = (
    TIMELOOP,
    replace(EXACT, zero_fills=True, seeds_all=True),
    replace(EXACT, whole_wordlines=True, seeds_all=True),
    replace(EXACT, whole_wordlines=True),
)
"""Memories count what wires do not: zeros, and words beside those that are wanted."""


@few
@example(1115, COUNTED[1])
@example(1309, COUNTED[2])
@given(st.integers(0, 10**6), st.sampled_from(COUNTED))
def test_optimum_where_wires_pass_less_than_memories_move(
    seed: int, conventions: Conventions
) -> None:
    problem = draw_wired(seed, conventions)
    if problem is not None and test_exact.is_small(problem):
        test_exact.check_optimum(problem)


@few
@example(1815)
@given(st.integers(0, 10**6))
def test_optimum_where_lanes_wait(seed: int) -> None:
    problem = draw_wired(seed, waits=True)
    if problem is None:
        return
    if test_exact.is_small(problem):
        test_exact.check_optimum(problem)
    if decomposes(problem):
        test_exact_relaxed.check_bounds(problem, 30, 3, seed)
    ragged = test_exact_ragged.ragged(problem, 6000, problem.conventions)
    if ragged is not None:
        test_exact_ragged.check_optimum(ragged)


def test_words_between_two_fanouts_have_accounts_of_their_own() -> None:
    """What reaches the rows is neither what the buffer sends nor what the registers receive."""
    problem = make_problem(wired(load_arch("eyeriss"), 0), gemm(64, 64, 64), factors="perfect")
    crossings = [
        transfer.places
        for tensor in problem.plan.tensors
        for transfer in tensor.transfers
        if len(transfer.reading) > 1
    ]
    assert all(len(places) == 4 for places in crossings)
    assert len(crossings) == 3


@pytest.mark.parametrize(
    ("arch", "workload"),
    [
        ("eyeriss", gemm(6, 8, 5)),
        ("simba", gemm(4, 5, 3)),
        ("gemmini-conv", conv2d(16, 16, 14, 14, 3, 3)),
    ],
)
def test_nothing_beats_it_on_packaged_machines(arch: str, workload: object) -> None:
    problem = make_problem(wired(load_arch(arch), 3), workload)  # type: ignore[arg-type]
    proved = search_mappings(problem, "exact", budget=Budget(seconds=120))
    assert proved.proved
    for strategy in ("greedy", "anneal"):
        other = search_mappings(problem, strategy, budget=Budget(evaluations=5_000))
        assert other.objective >= proved.objective * (1 - 1e-9)
