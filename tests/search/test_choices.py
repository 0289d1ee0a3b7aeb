"""Bypasses that searches choose: against brute force, by every strategy, and the way back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from examples import some
from search import brute

from toolkit.arch import load_arch
from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.errors import InputError, MappingError, ToolkitError
from toolkit.mapping import arch_with_holds, chosen_holds, space_size, with_bypass_rule
from toolkit.mapping.space import Factors
from toolkit.model import EXACT, FACTORFLOW, TIMELOOP_4, Conventions, evaluate
from toolkit.search import STRATEGIES, Budget, Evaluator, Problem, SearchResult, make_problem
from toolkit.search.chosen_evaluator import ChosenEvaluator
from toolkit.search.chosen_mappings import check_mappings, fitted, sample_mappings
from toolkit.search.moves import move_space
from toolkit.search.registry import search_mappings
from toolkit.search.space_size import problem_size
from toolkit.workload import conv1d, gemm, with_bits
from toolkit.workload.kernel import Workload

ROLES = ("input", "weight", "output")


def machine(
    buffer: int = 40, registers: int = 3, may: tuple[tuple[str, ...], ...] = (ROLES, ROLES)
) -> Architecture:
    """A machine whose memories have little room, and energies for which bypasses pay."""
    return Architecture(
        "choosing",
        (
            Memory("DRAM", None, 64.0, 64.0, 4.0, 4.0),
            Memory("Buffer", buffer, 30.0, 30.0, 4.0, 4.0, may_bypass=may[0]),
            Fanout("PEs", 4, ("M", "K")),
            Memory("Registers", registers, 2.0, 2.0, 4.0, 4.0, may_bypass=may[1]),
            Compute("MAC", mac_energy_pj=0.3),
        ),
    )


WORKLOAD = gemm(12, 8, 6)


@cache
def proved() -> SearchResult:
    """The optimum of the machine with its choices."""
    return search_mappings(make_problem(machine(), WORKLOAD), "exact")


SEEDS = (0, 1, 9, 4, 10, 5, 2, 3, 6, 7, 8, 11)
"""Of machines that are drawn; from 9 on their values have bits."""


def random_machine(rng: np.random.Generator) -> Architecture:
    levels: list[Level] = []
    for i in range(int(rng.integers(2, 4))):
        energies, bandwidths = rng.uniform(0.1, 60.0, 2), rng.uniform(0.5, 8.0, 2)
        bypasses = tuple(r for r in ROLES if rng.random() < 0.15)
        free = tuple(r for r in ROLES if rng.random() < 0.6 and r not in bypasses)
        levels.append(
            Memory(
                f"Memory{i}",
                int(rng.integers(2, 30)) if i else None,
                float(energies[0]),
                float(energies[1]),
                float(bandwidths[0]),
                float(bandwidths[1]),
                bypasses=bypasses,
                may_bypass=free if i else (),
            )
        )
    fanout = Fanout("PEs", int(rng.integers(2, 5)), tuple(rng.permutation(["M", "K", "N"])[:2]))
    levels.insert(int(rng.integers(1, len(levels) + 1)), fanout)
    return Architecture("random", (*levels, Compute("MAC", mac_energy_pj=0.3)))


def with_random_bits(
    rng: np.random.Generator, arch: Architecture, workload: Workload
) -> tuple[Architecture, Workload]:
    levels = [
        replace(x, word_bits=int(rng.choice([4, 8, 16]))) if isinstance(x, Memory) else x
        for x in arch.levels
    ]
    bits = int(rng.choice([2, 4, 8]))
    sums = bits + int(rng.choice([2, 8, 16]))
    return replace(arch, levels=tuple(levels)), with_bits(workload, bits, sum_bits=sums)


def every_choice(arch: Architecture) -> Iterator[Architecture]:
    """The architecture with everything that its memories may leave out left out, or not."""
    memories = [(i, x) for i, x in enumerate(arch.levels) if isinstance(x, Memory)]
    free = [(i, role) for i, memory in memories for role in memory.may_bypass]
    for left in itertools.product((False, True), repeat=len(free)):
        out = [pair for pair, chosen in zip(free, left, strict=True) if chosen]
        levels = list(arch.levels)
        for i, memory in memories:
            roles = (*memory.bypasses, *(role for j, role in out if j == i))
            levels[i] = replace(memory, bypasses=roles, may_bypass=())
        yield Architecture(arch.name, tuple(levels))


def brute_optimum(problem: Problem, arch: Architecture, workload: Workload) -> float:
    """Lowest objective value over every choice, each stated as a problem of its own."""
    best = math.inf
    for chosen in every_choice(arch):
        try:
            one = make_problem(
                chosen,
                workload,
                objective=problem.objective,
                conventions=problem.conventions,
                factors=problem.factors,
            )
        except ToolkitError:
            continue
        best = min(best, brute.optimum(one))
    return best


def cost_of(result: SearchResult) -> float:
    """Objective value of a result's mapping, evaluated from scratch."""
    asked = result.problem
    cost = evaluate(result.mapping, asked.arch, asked.workload, conventions=asked.conventions)
    assert cost.violations == ()
    return float(asked.objective.value(cost.energy_pj, cost.latency_cycles, cost.utilization))


@pytest.mark.parametrize("factors", ["perfect", "ragged"])
@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW, TIMELOOP_4], ids=lambda c: c.name)
@pytest.mark.parametrize("seed", some(SEEDS, 6))
def test_optimum_of_all_choices(seed: int, conventions: Conventions, factors: Factors) -> None:
    if factors == "ragged" and conventions is FACTORFLOW:
        pytest.skip("FactorFlow counts whole tiles only")
    rng = np.random.default_rng(seed)
    arch, workload = random_machine(rng), gemm(*rng.integers(1, 4, 3).tolist())
    if seed >= 9:
        arch, workload = with_random_bits(rng, arch, workload)
    objective = ("edp", "energy", "latency")[seed % 3]
    try:
        problem = make_problem(
            arch, workload, objective=objective, conventions=conventions, factors=factors
        )
    except ToolkitError:
        assert all(
            not _possible(one, workload, conventions, factors) for one in every_choice(arch)
        )
        return
    truth = brute_optimum(problem, arch, problem.workload)
    for strategy in ("exhaustive", "exact"):
        result = search_mappings(problem, strategy)
        assert result.objective == pytest.approx(truth, rel=1e-12)
        assert cost_of(result) == pytest.approx(truth, rel=1e-12)
        assert result.proved


def _possible(
    arch: Architecture, workload: Workload, conventions: Conventions, factors: Factors
) -> bool:
    try:
        make_problem(arch, workload, conventions=conventions, factors=factors)
    except ToolkitError:
        return False
    return True


@pytest.mark.parametrize("factors", ["perfect", "ragged"])
def test_optimum_of_a_convolution(factors: Factors) -> None:
    arch = machine(12, 4, (("input", "weight"), ("output",)))
    arch = replace(
        arch,
        levels=tuple(
            replace(x, dimensions=("M", "P")) if isinstance(x, Fanout) else x for x in arch.levels
        ),
    )
    workload = conv1d(2, 1, 3, 2, stride=1)
    problem = make_problem(arch, workload, factors=factors)
    truth = brute_optimum(problem, arch, problem.workload)
    assert search_mappings(problem, "exhaustive").objective == pytest.approx(truth, rel=1e-12)
    assert search_mappings(problem, "exact").objective == pytest.approx(truth, rel=1e-12)


SLOW = {
    "gp": 25,
    "tpe": 150,
    "cmaes": 150,
    "nsga2": 150,
    "qmc": 150,
    "dual_annealing": 500,
    "scipy": 1_000,
}
"""Evaluations of strategies that take long for each."""


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_chooses(strategy: str) -> None:
    """What bypasses gain here is more than what any strategy misses."""
    budget = Budget(evaluations=SLOW.get(strategy, 3_000))
    if strategy in ("exhaustive", "exact"):
        budget = Budget()
    free = search_mappings(make_problem(machine(), WORKLOAD), strategy, budget=budget)
    fixed = search_mappings(
        make_problem(machine(), WORKLOAD, bypass="fixed"), strategy, budget=budget
    )
    assert free.objective < fixed.objective
    assert any(level.bypasses for level in free.mapping.levels)
    assert cost_of(free) == pytest.approx(free.objective, rel=1e-12)
    assert budget.evaluations is None or free.evaluations <= budget.evaluations
    if strategy == "gp":
        return  # It takes seconds, and its seed is looked at elsewhere.
    again = search_mappings(make_problem(machine(), WORKLOAD), strategy, budget=budget)
    assert again.mapping == free.mapping
    assert again.evaluations == free.evaluations


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_finds_what_only_bypasses_make_fit(strategy: str) -> None:
    """Registers of one word have no room for all three tensors."""
    arch = machine(registers=1)
    with pytest.raises(ToolkitError, match="Registers"):
        make_problem(arch, WORKLOAD, bypass="fixed")
    budget = Budget() if strategy in ("exhaustive", "exact") else Budget(evaluations=15)
    result = search_mappings(make_problem(arch, WORKLOAD), strategy, budget=budget)
    assert cost_of(result) == pytest.approx(result.objective, rel=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bypasses_alone_are_to_be_chosen(strategy: str) -> None:
    """One iteration of every dimension leaves no factor to move."""
    problem = make_problem(machine(), gemm(1, 1, 1))
    budget = Budget() if strategy in ("exhaustive", "exact", "greedy") else Budget(evaluations=15)
    result = search_mappings(problem, strategy, budget=budget)
    assert cost_of(result) == pytest.approx(result.objective, rel=1e-12)
    best = search_mappings(problem, "exhaustive").objective
    assert result.objective >= best * (1 - 1e-12)
    if strategy in ("greedy", "exact"):
        assert result.objective == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_starts_from_a_choice(strategy: str) -> None:
    problem, best = make_problem(machine(), WORKLOAD), proved()
    again = search_mappings(
        problem, strategy, budget=Budget(evaluations=3), warm_starts=[best.mapping]
    )
    assert again.objective <= best.objective * (1 + 1e-12)


@pytest.mark.parametrize("strategy", ["exhaustive", "evolution", "nsga2", "random", "exact"])
def test_fronts_have_choices(strategy: str) -> None:
    problem = make_problem(machine(), gemm(4, 4, 2), objective="energy,latency")
    budget = Budget() if strategy in ("exhaustive", "exact") else Budget(evaluations=500)
    result = search_mappings(problem, strategy, budget=budget)
    for point in result.front:
        cost = evaluate(point.mapping, problem.arch, problem.workload)
        assert cost.energy_pj == pytest.approx(point.energy_pj, rel=1e-12)
        assert cost.latency_cycles == pytest.approx(point.latency_cycles, rel=1e-12)
    if strategy == "exact":
        listed = search_mappings(problem, "exhaustive").front
        assert [p.energy_pj for p in result.front] == pytest.approx([p.energy_pj for p in listed])


def test_nothing_optional_is_fixed() -> None:
    """A file without the key gives what it did before there were choices."""
    arch = load_arch("eyeriss")
    results = [
        search_mappings(make_problem(arch, gemm(48, 32, 16), bypass=rule), "greedy")
        for rule in ("permitted", "fixed")
    ]
    assert results[0].trace[-1].objective == results[1].objective
    assert results[0].mapping == results[1].mapping
    assert results[0].evaluations == results[1].evaluations
    assert all(level.bypasses is None for level in results[0].mapping.levels)


def test_rules_of_bypasses() -> None:
    problem = make_problem(machine(may=(("input",), ())), WORKLOAD)
    assert problem.choices.names == (("Buffer", "input"),)
    assert not make_problem(machine(), WORKLOAD, bypass="fixed").choices
    free = make_problem(machine(may=((), ())), WORKLOAD, bypass="free").choices
    assert free.names == tuple(itertools.product(("Buffer", "Registers"), ROLES))
    with pytest.raises(InputError, match="bypass: 'all' says nothing of bypasses; expected one"):
        make_problem(machine(), WORKLOAD, bypass="all")  # type: ignore[arg-type]


def test_choices_are_numbered() -> None:
    problem = make_problem(machine(), WORKLOAD)
    choices = problem.choices
    assert choices.total == 64
    for choice in (0, 1, 13, 63):
        assert choices.number(choices.holds(choice)) == choice
    # An output that only registers hold would not fit as a whole; inputs come from outside.
    factors, order, numbers = sample_mappings(problem, 200, np.random.default_rng(0))
    assert len(np.unique(numbers)) > 4
    for f, o, number in zip(factors, order, numbers.tolist(), strict=True):
        mapping = choices.mapping(f, o, number)
        held = chosen_holds(mapping, problem.arch, WORKLOAD)
        assert choices.number(held) == number
        cost = evaluate(mapping, problem.arch, WORKLOAD)
        assert cost.valid


def test_a_choice_is_the_problem_of_the_architecture_that_makes_it() -> None:
    problem = make_problem(machine(), WORKLOAD)
    for choice in problem.choices.all():
        arch = arch_with_holds(problem.arch, WORKLOAD, problem.choices.holds(choice))
        own = make_problem(arch, WORKLOAD, bypass="fixed")
        assert problem.choices.problem_of(choice) == own


def test_nobody_holds_a_tensor() -> None:
    """A choice that leaves a tensor without a holder is none."""
    dram, *inner = machine().levels
    assert isinstance(dram, Memory)
    arch = Architecture("lost", (replace(dram, bypasses=("output",)), *inner))
    problem = make_problem(arch, gemm(2, 2, 2))
    buffer, registers = (
        1 << problem.choices.names.index((memory, "output")) for memory in ("Buffer", "Registers")
    )
    assert problem.choices.admits(buffer) or problem.choices.admits(registers)
    assert not problem.choices.admits(buffer | registers)
    mended = problem.choices.mended(np.array([buffer | registers]))
    assert problem.choices.admits(int(mended[0]))


def test_batches_mix_choices() -> None:
    problem = make_problem(machine(), WORKLOAD)
    factors, order, choice = sample_mappings(problem, 100, np.random.default_rng(1))
    evaluator = Evaluator(problem, Budget())
    values = evaluator.evaluate(factors, order, choice)
    for row in range(100):
        mapping = problem.choices.mapping(factors[row], order[row], int(choice[row]))
        cost = evaluate(mapping, problem.arch, WORKLOAD)
        assert values[row] == pytest.approx(cost.edp_pj_cycles, rel=1e-12)
    assert evaluator.evaluations == 100
    repeated = evaluator.duplicates
    evaluator.evaluate(factors, order, choice)
    assert evaluator.duplicates is not None and repeated is not None
    assert evaluator.duplicates == repeated + 100
    # The same loops with another choice are another mapping.
    other = problem.choices.mended(choice ^ 1)
    fresh = Evaluator(problem, Budget())
    fresh.evaluate(factors[:1], order[:1], choice[:1])
    fresh.evaluate(factors[:1], order[:1], other[:1])
    assert fresh.duplicates == 0


def test_an_evaluator_of_one_choice_spends_what_all_share() -> None:
    problem = make_problem(machine(), WORKLOAD)
    whole = Evaluator(problem, Budget(evaluations=150))
    part = ChosenEvaluator(whole, 5)
    space = problem.choices.problem_of(5).space
    rng = np.random.default_rng(0)
    factors, order, _ = sample_mappings(problem.choices.problem_of(5), 100, rng)
    assert space.check(factors, order).all()
    values = part.evaluate(factors, order)
    assert whole.evaluations == part.evaluations == 100
    assert whole.best_objective == values.min() and whole.best_choice == 5
    assert len(part.evaluate(factors, order)) == 50
    assert whole.exhausted and part.exhausted
    other = ChosenEvaluator(whole, 3)
    assert other.best is None and other.best_objective == values.min()


def test_tilings_are_made_to_fit() -> None:
    problem = make_problem(machine(), WORKLOAD)
    factors, _, choice = sample_mappings(problem, 300, np.random.default_rng(2))
    moves, space = move_space(problem.space), problem.space
    rows = np.flatnonzero(~check_mappings(problem, factors, np.zeros_like(choice)))
    assert len(rows) > 10
    made = [fitted(space, moves, factors[row]) for row in rows]
    fits = [tiling for tiling in made if tiling is not None]
    assert len(fits) > 0.9 * len(rows)
    assert space.check_factors(np.stack(fits)).all()


def test_space_size_is_the_sum_of_all_choices() -> None:
    arch = machine(may=(("input", "weight"), ("output",)))
    problem = make_problem(arch, WORKLOAD)
    size = problem_size(problem)
    each = [
        space_size(make_problem(one, WORKLOAD).space).tilings
        for one in every_choice(arch)
        if _possible(one, WORKLOAD, EXACT, "perfect")
    ]
    assert (size.tilings, size.tilings_exact) == (sum(each), True)
    assert problem_size(make_problem(arch, WORKLOAD, bypass="fixed")).tilings == each[0]


def test_a_proof_cut_short_bounds_all_choices() -> None:
    problem = make_problem(machine(), WORKLOAD)
    truth = search_mappings(problem, "exact")
    assert truth.proved
    for budget in (Budget(evaluations=1), Budget(evaluations=50), Budget(seconds=1e-6)):
        cut = search_mappings(problem, "exact", budget=budget)
        assert cut.bound is not None
        assert cut.bound <= truth.objective <= cut.objective * (1 + 1e-12)


def test_a_warm_start_may_not_leave_out_what_is_held() -> None:
    problem = make_problem(machine(), WORKLOAD)
    best = search_mappings(problem, "greedy", budget=Budget(evaluations=2_000))
    fixed = make_problem(machine(), WORKLOAD, bypass="fixed")
    with pytest.raises(MappingError, match="lets a mapping leave out nothing there"):
        search_mappings(fixed, "greedy", budget=Budget(evaluations=10), warm_starts=[best.mapping])


def test_free_bypass_pays_on_simba() -> None:
    """The optimum with bypasses as they are is 7.28e6 J·cycle; AccelForge's is 0.1922 of it."""
    problem = make_problem(load_arch("simba"), gemm(3072, 1024, 4096), bypass="free")
    for strategy in ("greedy", "anneal"):
        result = search_mappings(problem, strategy, budget=Budget(evaluations=100_000))
        assert result.objective < 0.1922 * 7.28073941177642e18
        assert cost_of(result) == pytest.approx(result.objective, rel=1e-12)


def test_what_is_permitted_is_written_into_the_architecture() -> None:
    opened = with_bypass_rule(machine(may=((), ())), "free")
    assert [m.may_bypass for m in opened.memories] == [(), ROLES, ROLES]
    assert with_bypass_rule(opened, "permitted") is opened
    assert with_bypass_rule(opened, "fixed") == machine(may=((), ()))
