"""The exact mapper where the outermost memory moves bursts, and where wordlines have a key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from search import test_exact, test_exact_ragged
from search.drawn import Dice
from search.drawn_wide import draw_wide

from toolkit import load_arch
from toolkit.arch import Architecture, Level, Memory
from toolkit.arch.levels import Layout
from toolkit.errors import InputError, ToolkitError
from toolkit.model import EXACT, FACTORFLOW, TIMELOOP, Conventions
from toolkit.search import Budget, Problem, make_problem, search_mappings
from toolkit.search.exact.decomposition import decomposes
from toolkit.workload import conv2d, gemm

few = examples(15)


def in_bursts(arch: Architecture, burst_words: int, layout: Layout) -> Architecture:
    outermost = replace(arch.memories[0], burst_words=burst_words, layout=layout)
    return replace(arch, levels=(outermost, *arch.levels[1:]))


def draw_bursts(
    seed: int, conventions: Conventions = EXACT, *, waits: bool = False
) -> Problem | None:
    """Draw a problem whose outermost memory moves bursts, in some layout."""
    drawn, dice = draw_wide(seed, conventions), Dice(seed + 8 * 10**7)
    if drawn is None:
        return None
    names, layout = list(drawn.workload.dimensions), Layout()
    dice.rng.shuffle(names)
    if dice.chance(0.6):
        layout = Layout(tuple(names), tuple(names[::-1]), tuple(names))
    arch = in_bursts(drawn.arch, dice.one_of(2, 3, 4, 8, 16, 32), layout)
    conventions = drawn.conventions
    if waits:
        arch = replace(arch, levels=tuple(_waiting(level, dice) for level in arch.levels))
        conventions = replace(conventions, first_and_last=dice.chance(0.6))
    return _again(drawn, arch, conventions)


def _waiting(level: Level, dice: Dice) -> Level:
    if not isinstance(level, Memory):
        return level
    return replace(level, overlap=("always", "double-buffered", "never")[dice.one_of(0, 1, 2)])


def _again(drawn: Problem, arch: Architecture, conventions: Conventions) -> Problem | None:
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
@given(st.integers(0, 10**6), st.sampled_from((EXACT, TIMELOOP)))
def test_optimum_of_drawn_problems(seed: int, conventions: Conventions) -> None:
    problem = draw_bursts(seed, conventions)
    if problem is not None and test_exact.is_small(problem):
        test_exact.check_optimum(problem)


@few
@given(st.integers(0, 10**6))
def test_optimum_where_lanes_wait(seed: int) -> None:
    problem = draw_bursts(seed, waits=True)
    if problem is not None and test_exact.is_small(problem, 3000):
        test_exact.check_optimum(problem)


@few
@given(st.integers(0, 10**6), st.booleans())
def test_optimum_of_drawn_ragged_problems(seed: int, waits: bool) -> None:
    drawn = draw_bursts(seed, waits=waits)
    if drawn is not None:
        problem = test_exact_ragged.ragged(drawn, 8000, drawn.conventions)
        if problem is not None:
            test_exact_ragged.check_optimum(problem)


def draw_wordlines(seed: int) -> Problem | None:
    """Draw a problem in which some memories, whatever they hold, are charged whole wordlines."""
    drawn, dice = draw_wide(seed, EXACT), Dice(seed + 9 * 10**7)
    if drawn is None:
        return None
    levels = tuple(
        replace(level, whole_wordlines=dice.chance(0.3)) if isinstance(level, Memory) else level
        for level in drawn.arch.levels
    )
    return _again(drawn, replace(drawn.arch, levels=levels), drawn.conventions)


@few
@given(st.integers(0, 10**6))
def test_optimum_where_some_memories_have_whole_wordlines(seed: int) -> None:
    problem = draw_wordlines(seed)
    if problem is not None and test_exact.is_small(problem, 2000):
        test_exact.check_optimum(problem)
    ragged = test_exact_ragged.ragged(problem, 4000)
    if ragged is not None:
        test_exact_ragged.check_optimum(ragged)


def test_wordlines_are_not_proved_where_words_add_up_first() -> None:
    arch = load_arch("eyeriss")
    buffer = replace(arch.memories[1], whole_wordlines=True, values_per_wordline=4)
    arch = replace(arch, levels=(arch.levels[0], buffer, *arch.levels[2:]))
    problem = make_problem(arch, gemm(60, 64, 48), conventions=FACTORFLOW)
    with pytest.raises(InputError, match=f"{buffer.name} has whole_wordlines with sequential"):
        search_mappings(problem, "exact", budget=Budget(seconds=1))


def test_problems_with_bursts_are_not_listed() -> None:
    drawn = [p for p in map(draw_bursts, range(200)) if p is not None]
    assert sum(decomposes(p) for p in drawn) > 0.8 * len(drawn)
    lines = [p for p in map(draw_wordlines, range(200)) if p is not None]
    rounding = [p for p in lines if p.plan.rounds_wordlines(p.plan.memories)]
    assert any(decomposes(p) for p in rounding)


NHWC = Layout(("P", "Q", "C"), ("M", "R", "S", "C"), ("P", "Q", "M"))


@pytest.mark.parametrize(
    ("arch", "workload", "layout"),
    [
        ("eyeriss", gemm(6, 8, 5), Layout()),
        ("simba", gemm(4, 6, 5), Layout()),
        ("eyeriss-conv", conv2d(16, 8, 13, 13, 3, 3), NHWC),
        ("gemmini-conv", conv2d(16, 16, 14, 14, 3, 3, stride=2), NHWC),
    ],
)
def test_nothing_beats_it_on_packaged_machines(
    arch: str, workload: object, layout: Layout
) -> None:
    machine = in_bursts(load_arch(arch), 32, layout)
    problem = make_problem(machine, workload)  # type: ignore[arg-type]
    proved = search_mappings(problem, "exact", budget=Budget(seconds=120))
    assert proved.proved
    for strategy in ("greedy", "anneal"):
        other = search_mappings(problem, strategy, budget=Budget(evaluations=5_000))
        assert other.objective >= proved.objective * (1 - 1e-9)
