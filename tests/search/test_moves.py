"""The compiled moves against the map space, its neighbours and the batched model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mapping.spaces import arch, as_tiling, fanout, memory, spaces
from oracle.strategies import architectures, workloads
from search.brute import objectives
from search.problems import PROBLEMS

from toolkit.arch.architecture import Architecture
from toolkit.arch.files import load_arch
from toolkit.arch.levels import Compute, Memory
from toolkit.compilation import record_type
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping import neighbours, order_classes, sample, start_point
from toolkit.mapping.mapping import IntArray
from toolkit.model import EXACT, FACTORFLOW
from toolkit.search import OBJECTIVES, STRATEGIES, Budget, Problem, make_problem, search_mappings
from toolkit.search.compiled_descent import descend, improve_factors, improve_orders, kick
from toolkit.search.compiled_moves import (
    Move,
    MoveSpace,
    Walker,
    counted_value,
    keeps_bounds,
    make,
    undo,
)
from toolkit.search.greedy import fill_fanouts
from toolkit.search.moves import LocalSearch, first_orders, move_space, one_move_away
from toolkit.workload import Tensor, Term, Workload, gemm

MANY = 2**62

Tilings = set[tuple[tuple[int, ...], ...]]


@dataclass(frozen=True)
class Setting:
    """A problem with what its searches need, and one valid mapping of it.

    The functions are called as Python functions: the model alone is compiled.
    """

    problem: Problem
    search: LocalSearch
    moves: MoveSpace

    @property
    def walker(self) -> Walker:
        """The walker with fields by name."""
        walker = self.search.walker
        return walker._replace(state=self.search.state[0], costs=walker.costs.view(np.recarray))

    @property
    def evaluations(self) -> int:
        return int(self.search.state.evaluations[0])

    def value(self, factors: IntArray, order: IntArray) -> float:
        """Value of another mapping; leaves the walker where it was."""
        walker, counts = self.search.walker, self.search.state.copy()
        before = walker.factors.copy(), walker.order.copy()
        walker.factors[:], walker.order[:] = factors, order
        value = counted_value(self.walker)
        walker.factors[:], walker.order[:] = before
        self.search.state[:] = counts
        return float(value)

    @property
    def here(self) -> float:
        return self.value(self.walker.factors, self.walker.order)


def by_name(moves: MoveSpace) -> MoveSpace:
    """Moves with fields by name."""
    rows = np.ascontiguousarray(moves.moves).view(record_type(Move)).reshape(-1)
    return moves._replace(moves=rows.view(np.recarray))


@st.composite
def settings_drawn(draw: st.DrawFn) -> Setting:
    """Draw a tight tiny space, or an oracle architecture whose memories are made finite."""
    objective = draw(st.sampled_from(list(OBJECTIVES.values())))
    if draw(st.booleans()):
        space = draw(spaces())
        conventions = EXACT if space.footprint == "distinct" else FACTORFLOW
        problem = Problem(space.arch, space.workload, objective, conventions)
    else:
        workload = draw(workloads())
        drawn = draw(architectures(workload))
        words = st.one_of(st.none(), st.integers(len(workload.tensors), 100))
        levels = tuple(
            replace(level, capacity_words=draw(words)) if isinstance(level, Memory) else level
            for level in drawn.levels
        )
        conventions = draw(st.sampled_from((EXACT, FACTORFLOW)))
        problem = Problem(
            replace(drawn, levels=levels), workload, objective, conventions, draw(st.booleans())
        )
    seed = draw(st.integers(0, 2**32))
    try:
        factors, order = sample(problem.space, 1, np.random.default_rng(seed))
    except DoesNotFitError:
        assume(False)
    moves = move_space(problem.space)
    found = LocalSearch(problem.plan, moves, problem.objective.powers, seed)
    found.start(factors[0], order[0])
    return Setting(problem, found, by_name(moves))


@given(settings_drawn())
def test_moves_lead_to_the_neighbours(setting: Setting) -> None:
    factors, order = setting.walker.factors, setting.walker.order
    before = factors.copy()
    reached: list[tuple[tuple[int, ...], ...]] = []
    for k in range(len(setting.moves.moves)):
        if not make(setting.moves, setting.walker, k, 0):
            np.testing.assert_array_equal(factors, before)
            continue
        if not keeps_bounds(setting.moves, factors, k):
            undo(setting.moves, setting.walker, k, 0)
            continue
        fits = setting.problem.space.check_factors(factors[None])[0]
        got = setting.value(factors, order)
        if fits:
            reached.append(as_tiling(factors))
            expected = objectives(setting.problem, factors[None], order)[0]
            assert got == pytest.approx(expected, rel=1e-12)
        else:
            assert got == np.inf
        undo(setting.moves, setting.walker, k, 0)
        np.testing.assert_array_equal(factors, before)
    expected_tilings = {as_tiling(t) for t in neighbours(setting.problem.space, factors)}
    assert {*reached} - {as_tiling(before)} == expected_tilings


@given(settings_drawn())
def test_value_is_the_objective(setting: Setting) -> None:
    walker = setting.walker
    expected = objectives(setting.problem, walker.factors[None], walker.order)[0]
    assert setting.here == pytest.approx(expected, rel=1e-12)


@given(settings_drawn())
def test_best_move_is_taken(setting: Setting) -> None:
    walker, space = setting.walker, setting.problem.space
    around = neighbours(space, walker.factors)
    current = setting.here
    nearby = objectives(setting.problem, around, walker.order).min() if len(around) else np.inf
    reached = improve_factors(setting.moves, walker, current, MANY)
    assert reached == pytest.approx(min(current, nearby), rel=1e-11)
    assert setting.here == pytest.approx(reached, rel=1e-12)
    assert space.check_factors(walker.factors[None])[0]
    assert setting.evaluations >= len(around)


@given(settings_drawn())
def test_orders_improve_until_each_is_best(setting: Setting) -> None:
    walker, problem = setting.walker, setting.problem
    before = walker.factors.copy()
    start = current = setting.here
    for _ in range(20):
        last = current
        current = improve_orders(setting.moves, walker, current, MANY)
        if current == last:
            break
    assert current <= start
    assert setting.here == pytest.approx(current, rel=1e-12)
    np.testing.assert_array_equal(walker.factors, before)
    assert problem.space.check(walker.factors[None], walker.order[None])[0]
    for m in problem.space.memory_levels:
        for row in order_classes(problem.arch, int(m), problem.workload):
            other = walker.order.copy()
            other[m] = row
            assert setting.value(walker.factors, other) >= current * (1 - 1e-11)


@given(settings_drawn())
def test_a_descent_ends_where_nothing_helps(setting: Setting) -> None:
    walker, problem = setting.walker, setting.problem
    start = setting.here
    reached = descend(setting.moves, walker, MANY)
    assert reached <= start
    assert setting.here == pytest.approx(reached, rel=1e-12)
    assert problem.space.check(walker.factors[None], walker.order[None])[0]
    around = neighbours(problem.space, walker.factors)
    if len(around):
        assert objectives(problem, around, walker.order).min() >= reached * (1 - 1e-11)


@given(settings_drawn(), st.integers(0, 60))
def test_a_descent_stops_at_the_limit(setting: Setting, limit: int) -> None:
    walker = setting.walker
    reached = descend(setting.moves, walker, limit)
    assert setting.evaluations <= limit
    if limit == 0:
        assert reached == np.inf
    else:
        assert setting.here == pytest.approx(reached, rel=1e-12)


@given(settings_drawn(), st.integers(1, 12))
def test_kicks_leave_valid_mappings(setting: Setting, strength: int) -> None:
    walker, space = setting.walker, setting.problem.space
    assume(len(setting.moves.moves))
    for _ in range(10):
        with np.errstate(over="ignore"):  # Random numbers wrap around.
            kick(setting.moves, walker, strength)
        assert space.check(walker.factors[None], walker.order[None])[0]
    assert setting.evaluations == 0


@given(settings_drawn())
def test_fanouts_are_filled_with_valid_mappings(setting: Setting) -> None:
    space = setting.problem.space
    start = start_point(space)
    filled = fill_fanouts(space, start)
    assert space.check(filled[None], first_orders(setting.moves)[None])[0]
    spatial = space.spatial_levels
    assert (filled[spatial] >= start[spatial]).all()
    np.testing.assert_array_equal(
        np.delete(filled, [0, *spatial], axis=0), np.delete(start, [0, *spatial], axis=0)
    )


def test_fanouts_take_the_largest_product_that_fits() -> None:
    space = Problem(
        arch(memory("DRAM"), fanout("PEs", 10, "MK"), memory("Reg")), gemm(12, 5, 4)
    ).space
    assert fill_fanouts(space, start_point(space)).tolist() == [
        [2, 5, 4],
        [6, 1, 1],
        [1, 1, 1],
        [1, 1, 1],
    ]


def test_moves_skip_what_bounds_fix() -> None:
    space = Problem(
        arch(memory("DRAM"), memory("Buffer", None, "M == 2", "K <= 1"), memory("Reg")),
        gemm(4, 3, 1),
    ).space
    moves = move_space(space).moves.tolist()
    assert moves == [[0, 2, 0, 2], [0, 2, 2, 0], [1, 3, 0, 2], [1, 3, 2, 0]]


def test_a_cost_that_overflows_ends_the_search():
    slow = Memory("DRAM", None, 1.0, 1.0, 1e-320, 1e-320)
    arch = Architecture("slow", (slow, Memory("Reg", 64, 1.0, 1.0, 2.0, 2.0), Compute("MAC", 1.0)))
    with pytest.raises(DoesNotFitError, match="no valid mapping with a finite cost"):
        search_mappings(make_problem(arch, gemm(64, 64, 64)), "greedy")


@pytest.mark.parametrize("evaluations", [1.5, 2.0, True, "3"])
def test_evaluations_are_counted_in_integers(evaluations):
    with pytest.raises(InputError, match="is not an integer"):
        Budget(evaluations=evaluations)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_shortest_time_still_gives_a_mapping(strategy):
    problem = make_problem(arch(memory("DRAM"), memory("Reg", 64)), gemm(4, 4, 4))
    assert search_mappings(problem, strategy, budget=Budget(seconds=1e-9)).evaluations > 0


def test_wide_sums_are_enumerated_quickly():
    sums = ((Term("p", 4), Term("r", 3), Term("s", 2)),)
    out = Tensor("Out", "output", sums)
    workload = Workload("wide", "sum", {"p": 65537, "r": 360, "s": 4}, (out,))
    problem = make_problem(arch(memory("DRAM"), memory("Reg", 5000)), workload)
    # Quadratic enumeration would take minutes here.
    assert search_mappings(problem, "greedy", budget=Budget(evaluations=100)).evaluations <= 100


@pytest.mark.parametrize("strategy", ["greedy", "anneal", "evolution"])
def test_a_limit_of_seconds_that_does_not_bind_changes_nothing(strategy):
    problem = make_problem(load_arch("eyeriss"), gemm(64, 48, 96))
    for evaluations in (300, 20_000, 250_000 if strategy == "anneal" else 40_000):
        alone, limited = (
            search_mappings(
                problem, strategy, budget=Budget(evaluations=evaluations, seconds=seconds)
            )
            for seconds in (None, 1000.0)
        )
        assert limited.mapping == alone.mapping
        assert limited.evaluations == alone.evaluations


@pytest.mark.parametrize("name", PROBLEMS)
def test_one_move_away_are_the_neighbours_of_the_map_space(name: str) -> None:
    space = PROBLEMS[name]().space
    moves = move_space(space)
    ((factors,), (order,)) = sample(space, 1, np.random.default_rng(0))
    found, orders = one_move_away(space, moves, factors, order)
    moved = (found != factors).any(axis=(1, 2))
    valid = found[moved & space.check_factors(found)]
    expected = neighbours(space, factors)
    assert {x.tobytes() for x in valid} == {x.tobytes() for x in expected}
    assert len(valid) == len(expected)
    assert space.check(found[~moved], orders[~moved]).all()
