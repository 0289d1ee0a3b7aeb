"""What Optuna's strategies promise beyond the contract of all strategies."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import optuna
import pytest
from search.problems import PROBLEMS

from toolkit.arch import load_arch
from toolkit.errors import InputError
from toolkit.mapping.mapping import to_arrays
from toolkit.search import Budget, Problem, make_problem, search_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.front import nondominated
from toolkit.search.optuna_samplers.chosen import problem_coding
from toolkit.search.optuna_samplers.driver import drive
from toolkit.search.optuna_samplers.mapping_objective import MappingObjective
from toolkit.search.optuna_samplers.samplers import SAMPLERS
from toolkit.workload import gemm

GUIDED = ["tpe", "nsga2"]
ALL = [*GUIDED, "qmc"]

each = pytest.mark.parametrize("name", ALL)
each_guided = pytest.mark.parametrize("name", GUIDED)


@cache
def problem(name: str, objective: str = "edp") -> Problem:
    asked = PROBLEMS[name]()
    return make_problem(
        asked.arch, asked.workload, objective=objective, conventions=asked.conventions
    )


def run(name: str, asked: Problem, evaluations: int, seed: int = 0) -> Evaluator:
    evaluator = Evaluator(asked, Budget(evaluations=evaluations))
    SAMPLERS[name](evaluator, seed)
    return evaluator


@each
@pytest.mark.parametrize("where", ["simba", "lower_bounds", "lanes", "large_prime"])
def test_every_trial_is_valid(name: str, where: str) -> None:
    evaluator = run(name, problem(where), 70)
    assert evaluator.evaluations == 70
    assert evaluator.invalid == 0


@each_guided
def test_better_than_random(name: str) -> None:
    asked = make_problem(load_arch("simba"), gemm(256, 192, 512))
    # TPE learns sooner than populations do, and takes longer for each.
    count = 120 if name == "tpe" else 200
    budget = Budget(evaluations=count)
    drawn = [search_mappings(asked, "random", budget=budget, seed=s).objective for s in range(5)]
    found = [run(name, asked, count, seed=s).best_objective for s in range(3)]
    assert np.median(found) < np.median(drawn)


@each
def test_a_limit_is_asked_for(name: str) -> None:
    with pytest.raises(InputError, match=name) as caught:
        SAMPLERS[name](Evaluator(problem("eyeriss"), Budget()), 0)
    assert caught.value.key == "budget"


@each
@pytest.mark.parametrize("where", ["only_one", "one_dimension", "ones"])
def test_small_spaces(name: str, where: str) -> None:
    assert run(name, problem(where), 60).best is not None


@each
def test_no_setting_of_optuna_changes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity(), list(warnings.filters)
    run(name, problem("eyeriss"), 60)
    assert (optuna.logging.get_verbosity(), list(warnings.filters)) == before
    assert capsys.readouterr() == ("", "")


@each
def test_warm_starts_come_first(name: str) -> None:
    asked = problem("strided")
    good = search_mappings(asked, "greedy", budget=Budget(evaluations=3000)).mapping
    factors, order = to_arrays(good, asked.arch, asked.workload)
    evaluator = Evaluator(asked, Budget(evaluations=1), warm_starts=[(factors, order)])
    SAMPLERS[name](evaluator, 0)
    assert evaluator.best is not None
    np.testing.assert_array_equal(evaluator.best[0], factors)
    assert evaluator.best_objective == pytest.approx(
        search_mappings(asked, "greedy", budget=Budget(evaluations=3000)).objective, rel=1e-12
    )


@each_guided
def test_fronts(name: str) -> None:
    asked = problem("eyeriss", "energy,latency")
    evaluator = run(name, asked, 120)
    assert evaluator.front is not None
    costs = evaluator.front.costs
    assert len(costs) > 1
    assert len(nondominated(costs)) == len(costs)


@each
def test_functions_may_be_negative_or_infinite(name: str) -> None:
    asked = PROBLEMS["eyeriss"]()

    def saved(energy: np.ndarray, latency: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.where(latency > np.median(latency), np.inf, energy - 1e12)

    spoilt = make_problem(asked.arch, asked.workload, objective=saved)
    evaluator = run(name, spoilt, 120)
    assert evaluator.evaluations == 120
    assert -1e12 < evaluator.best_objective < 0


@each_guided
def test_invalid_trials_are_told_as_constraints(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    studies = []
    create = optuna.create_study
    monkeypatch.setattr(
        optuna, "create_study", lambda **given: studies.append(create(**given)) or studies[-1]
    )
    asked = problem("simba")
    evaluator = Evaluator(asked, Budget(evaluations=120))
    objective = MappingObjective(evaluator, problem_coding(asked, repaired=False))
    drive(objective, SAMPLERS[name].make, 0, batch=10)
    assert 0 < evaluator.invalid < 120
    trials = studies[0].get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    broken = [t for t in trials if any(excess > 0 for excess in t.constraints.values())]
    assert len(broken) == evaluator.invalid
    assert all(np.isfinite(t.values).all() for t in trials)


def test_a_new_study_remembers_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    studies = []
    create = optuna.create_study
    monkeypatch.setattr(
        optuna, "create_study", lambda **given: studies.append(create(**given)) or studies[-1]
    )
    evaluator = Evaluator(problem("simba"), Budget(evaluations=70))
    objective = MappingObjective(evaluator, problem_coding(evaluator.problem))
    starts = objective.coding.starts(10, (), 0)
    drive(objective, SAMPLERS["tpe"].make, 0, starts, memory=(40, 15))
    assert [len(study.trials) for study in studies] == [40, 40, 15 + 5]
    assert evaluator.evaluations == 70
    assert studies[1].trials[0].value == pytest.approx(studies[0].best_value)
