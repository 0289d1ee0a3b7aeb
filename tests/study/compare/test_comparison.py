"""Running strategies side by side, recording every run, and going on after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from study.runs import BUDGET, SMALL, facts, problem

from toolkit.errors import BoundError, InputError
from toolkit.mapping.sampling import sample
from toolkit.model.evaluate import evaluate
from toolkit.search import STRATEGIES, Budget, Entry, Evaluator, Objective
from toolkit.study.compare.comparison import Progress, compare, execute, thinned
from toolkit.study.storage.opening import connect, open_storage
from toolkit.study.storage.recording import BREAKDOWN, FINISHED, record, recorded_outcomes
from toolkit.study.storage.runs import Comparison, Run, problem_name

ROOT = Path(__file__).parents[3]
STRATEGY_NAMES = ("greedy", "anneal", "random")
ARGUMENTS = ([problem(), problem(8)], STRATEGY_NAMES, BUDGET, 2)


def nothing(evaluator: Evaluator, seed: int) -> None:
    """A strategy that only tries to put everything into the registers, which are too small."""
    space = evaluator.problem.space
    factors, orders = sample(space, 1, np.random.default_rng(seed))
    factors[:] = 1
    factors[0, [level.name for level in SMALL.levels].index("Reg")] = space.sizes
    evaluator.evaluate(factors, orders)


def refuses(evaluator: Evaluator, seed: int) -> None:
    raise InputError("too large a space")


def interrupted(evaluator: Evaluator, seed: int) -> None:
    raise KeyboardInterrupt


def boasts(evaluator: Evaluator, seed: int) -> float:
    """A strategy that claims nothing to be better than twice what it found."""
    evaluator.evaluate(*sample(evaluator.problem.space, 1, np.random.default_rng(seed)))
    return 2 * evaluator.best_objective


@pytest.fixture
def odd_strategies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nothing", "refuses", "interrupted", "boasts"):
        monkeypatch.setitem(STRATEGIES, name, Entry(f"{__name__}:{name}", "Odd."))


@pytest.fixture(scope="module")
def fresh() -> Comparison:
    return compare(*ARGUMENTS)


def studies(path: Path) -> dict[str, optuna.Study]:
    storage = connect(path)
    names = optuna.get_all_study_names(storage)
    assert len(set(names)) == len(names)
    return {name: optuna.load_study(study_name=name, storage=storage) for name in names}


def test_there_is_one_outcome_per_problem_strategy_and_seed(fresh: Comparison) -> None:
    keys = [(o.run.problem.workload.name, o.run.strategy, o.run.seed) for o in fresh.outcomes]
    assert keys == [(p, s, k) for p in ("gemm12", "gemm8") for s in STRATEGY_NAMES for k in (0, 1)]
    assert all(o.evaluations == BUDGET.evaluations for o in fresh.outcomes)


def test_results_do_not_depend_on_the_number_of_jobs(fresh: Comparison, tmp_path: Path) -> None:
    parallel = compare(*ARGUMENTS, jobs=2, storage=tmp_path / "a.journal")
    assert list(map(facts, parallel.outcomes)) == list(map(facts, fresh.outcomes))
    assert all(o.run.problem in fresh.problems for o in parallel.outcomes)


def test_a_function_as_objective_can_be_compared_but_not_recorded(tmp_path: Path) -> None:
    asked = ([problem(objective=lambda e, t, u: e + t)], ["random", "greedy"], BUDGET, 1)
    assert compare(*asked, jobs=2).outcomes[0].objective > 0
    with pytest.raises(InputError, match="Python function, which a storage cannot hold"):
        compare(*asked, storage=tmp_path / "a.journal")


@pytest.mark.parametrize("name", ["a.journal", "a.db"])
@pytest.mark.parametrize("objective", ["edp", "energy,latency", "energy*latency^2"])
def test_what_is_recorded_is_read_back(tmp_path: Path, name: str, objective: str) -> None:
    asked = ([problem(objective=objective)], ["random", "greedy"], BUDGET, 2)
    seen: list[Progress] = []
    first = compare(*asked, storage=tmp_path / name)
    again = compare(*asked, storage=tmp_path / name, on_run=seen.append)
    assert again == first
    assert [(p.done, p.total, p.resumed) for p in seen] == [(i, 4, True) for i in (1, 2, 3, 4)]


def test_more_strategies_and_seeds_add_to_what_there_is(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.journal", list[Progress]()
    first = compare([problem()], ["random"], BUDGET, 1, storage=path)
    more = compare([problem()], ["anneal", "random"], BUDGET, 2, storage=path, on_run=seen.append)
    assert [p.resumed for p in seen] == [True, False, False, False]
    assert more.outcomes[2] == first.outcomes[0]
    assert len(studies(path)) == 4


def test_a_study_says_what_was_asked_and_what_came_out(tmp_path: Path) -> None:
    (outcome,) = compare([problem()], ["greedy"], BUDGET, [7], storage=tmp_path / "a").outcomes
    ((name, study),) = studies(tmp_path / "a").items()
    attributes = study.user_attrs
    assert name == outcome.run.name == "gemm12 on tiny, edp, exact, ragged: greedy, seed 7"
    assert study.metric_names == ["edp (nJ·cycle)"]
    assert attributes["problem"]["budget"] == {"evaluations": 120, "seconds": None}
    assert "name: gemm12" in attributes["problem"]["workload"]
    assert "capacity_words: 64" in attributes["problem"]["arch"]
    assert attributes["problem"]["conventions"]["name"] == "exact"
    assert (attributes["strategy"], attributes["seed"]) == ("greedy", 7)
    assert attributes["best"] == f"{outcome.objective * 1e-3:.6g} nJ·cycle"
    assert attributes["versions"]["optuna"] == optuna.__version__
    assert "not recorded" in attributes["recorded"]
    assert study.best_value == outcome.objective / 1e3
    assert [t.user_attrs["evaluations"] for t in study.trials] == [
        point.evaluations for point in outcome.trace
    ]
    assert outcome.mapping is not None
    evaluation = evaluate(outcome.mapping, SMALL, outcome.run.problem.workload).to_dict()
    best = study.best_trial.user_attrs
    assert {"mapping": best["mapping"], **best[BREAKDOWN]} == evaluation
    assert "DRAM" in best["loop_nest"]


def test_every_trial_counts_as_feasible_for_optuna_and_for_its_dashboard(tmp_path: Path) -> None:
    compare([problem()], ["greedy"], BUDGET, 1, storage=tmp_path / "a")
    for study in studies(tmp_path / "a").values():
        for trial in study.trials:
            assert trial.system_attrs["constraints"] == [0.0]
            assert trial.constraints["broken rules"] == 0.0


def test_a_front_becomes_a_study_of_two_values(tmp_path: Path) -> None:
    asked = problem(objective="energy,latency")
    (outcome,) = compare([asked], ["random"], BUDGET, 1, storage=tmp_path / "a").outcomes
    (study,) = studies(tmp_path / "a").values()
    assert study.metric_names == ["energy (nJ)", "latency (cycles)"]
    points = [[point.energy_pj / 1e3, point.latency_cycles] for point in outcome.front]
    assert [t.values for t in study.trials if t.user_attrs["on_front"]] == points
    assert sorted(t.values for t in study.best_trials) == points
    assert sum(BREAKDOWN in t.user_attrs for t in study.trials) == 1


def test_long_traces_are_thinned(fresh: Comparison) -> None:
    (point, *_) = fresh.outcomes[0].trace
    trace = [replace(point, evaluations=i) for i in range(1203)]
    kept = thinned(trace)
    assert len(kept) == 500
    assert (kept[0], kept[-1]) == (trace[0], trace[-1])


def test_long_names_fit_into_a_database(tmp_path: Path) -> None:
    workloads = [replace(problem().workload, name=f"{'x' * 490}{end}") for end in "ab"]
    asked = [replace(problem(), workload=workload) for workload in workloads]
    compare(asked, ["random"], BUDGET, 1, storage=tmp_path / "a.db")
    assert all(len(name) < 512 for name in studies(tmp_path / "a.db"))
    assert len(studies(tmp_path / "a.db")) == 2


# Runs that find nothing, and interruptions


@pytest.mark.usefixtures("odd_strategies")
def test_runs_that_find_nothing_are_outcomes_and_are_not_repeated(tmp_path: Path) -> None:
    asked = ([problem()], ["nothing", "refuses", "random"], BUDGET, 1)
    first = compare(*asked, storage=tmp_path / "a")
    errors = [outcome.error for outcome in first.outcomes]
    assert "no valid mapping" in errors[0]
    assert errors[1:] == ["too large a space", ""]
    seen: list[Progress] = []
    again = compare(*asked, storage=tmp_path / "a", on_run=seen.append)
    assert list(map(facts, again.outcomes)) == list(map(facts, first.outcomes))
    assert all(progress.resumed for progress in seen)


@pytest.mark.usefixtures("odd_strategies")
def test_an_interruption_keeps_what_is_done(tmp_path: Path) -> None:
    asked = ([problem()], ["random", "interrupted"], BUDGET, 1)
    with pytest.raises(KeyboardInterrupt):
        compare(*asked, storage=tmp_path / "a")
    assert [s.user_attrs[FINISHED] for s in studies(tmp_path / "a").values()] == [True]


# Killed processes

CHILD = """
import sys
from study.compare.test_comparison import ARGUMENTS
from toolkit.study.compare.comparison import compare
compare(*ARGUMENTS, storage=sys.argv[1], jobs=int(sys.argv[2]),
        on_run=lambda progress: print(progress.outcome.run.name, flush=True))
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_comparison_goes_on(tmp_path: Path, fresh: Comparison, jobs: str) -> None:
    path = tmp_path / "a.journal"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), jobs],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert child.stdout is not None
    announced = [child.stdout.readline().strip() for _ in range(3)]
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    before = {n: s for n, s in studies(path).items() if s.user_attrs.get(FINISHED)}
    assert set(announced) <= set(before) < {o.run.name for o in fresh.outcomes}

    seen: list[Progress] = []
    resumed = compare(*ARGUMENTS, storage=path, on_run=seen.append)
    assert {p.outcome.run.name for p in seen if p.resumed} == set(before)
    assert list(map(facts, resumed.outcomes)) == list(map(facts, fresh.outcomes))
    after = studies(path)
    assert set(after) == {outcome.run.name for outcome in fresh.outcomes}
    assert all(study.user_attrs[FINISHED] for study in after.values())
    for name, study in before.items():
        assert after[name].user_attrs == study.user_attrs
        assert after[name].trials == study.trials


@pytest.mark.parametrize("fraction", [i / 9 for i in range(1, 9)])
def test_a_journal_cut_anywhere_goes_on(tmp_path: Path, fraction: float) -> None:
    path, asked = tmp_path / "a.journal", ([problem()], ["random", "greedy"], BUDGET, 2)
    whole = compare(*asked, storage=path)
    data = path.read_bytes()
    path.write_bytes(data[: int(fraction * len(data))])
    again = compare(*asked, storage=path)
    assert list(map(facts, again.outcomes)) == list(map(facts, whole.outcomes))
    found = studies(path)
    assert len(found) == 4
    assert all(study.user_attrs[FINISHED] for study in found.values())
    assert {n: len(s.trials) for n, s in found.items()} == {
        outcome.run.name: len(outcome.trace) for outcome in whole.outcomes
    }


def test_half_of_a_study_is_replaced(tmp_path: Path) -> None:
    run = Run(problem(), "random", 0, BUDGET)
    outcome = execute(run)
    with open_storage(tmp_path / "a.db") as storage:
        record(storage, outcome)
        (study,) = studies(tmp_path / "a.db").values()
        study.set_user_attr(FINISHED, None)
        assert recorded_outcomes(storage, [run]) == []
        record(storage, outcome)
        assert recorded_outcomes(storage, [run]) == [outcome]


# Wrong input


def test_another_problem_of_the_same_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    compare([problem()], ["random"], BUDGET, 1, storage=path)
    before = path.read_bytes()
    other = replace(problem(), workload=replace(problem(8).workload, name="gemm12"))
    wrong = [
        ([problem()], Budget(evaluations=7), "evaluations = 120 there, but evaluations = 7"),
        ([problem(8), other], BUDGET, r"workload is .*M: 12.* there, but .*M: 8.* was asked"),
        (
            [replace(problem(), objective=Objective("edp", (1.0, 2.0, 0.0)))],
            BUDGET,
            r"powers = \[1.0, 1.0, 0.0\] there, but powers = \[1.0, 2.0, 0.0\] was asked",
        ),
    ]
    for problems, budget, message in wrong:
        with pytest.raises(InputError, match=message) as caught:
            compare(problems, ["random"], budget, 1, storage=path)
        assert "study 'gemm12 on tiny, edp, exact, ragged: random, seed 0'" in str(caught.value)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == before


def test_somebody_elses_study_is_left_alone(tmp_path: Path) -> None:
    storage, run = connect(tmp_path / "a"), Run(problem(), "random", 0, BUDGET)
    study = optuna.create_study(storage=storage, study_name=run.name)
    study.add_trial(optuna.create_trial(value=1.0))
    with pytest.raises(InputError, match="trials that are not of this toolkit"):
        compare([problem()], ["random"], BUDGET, 1, storage=tmp_path / "a")
    assert len(studies(tmp_path / "a")[run.name].trials) == 1


def test_a_second_comparison_waits_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    with open_storage(path), pytest.raises(InputError, match="another comparison writes to it"):
        compare([problem()], ["random"], BUDGET, 1, storage=path)
    assert compare([problem()], ["random"], BUDGET, 1, storage=path).outcomes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problems": []}, "problems: expected at least one"),
        (
            {"problems": [problem(), problem()]},
            "problems: 'gemm12 on tiny, edp, exact, ragged' is given",
        ),
        ({"strategies": ["greddy"]}, "strategies: .*did you mean 'greedy'"),
        ({"strategies": []}, "strategies: expected at least one"),
        ({"strategies": ["random", "random"]}, "strategies: 'random' is given twice"),
        ({"seeds": 0}, "seeds: expected at least one"),
        ({"seeds": [-1]}, "seeds: -1 is not an integer from 0"),
        ({"seeds": [0.5]}, "seeds: 0.5 is not"),
        ({"budget": Budget()}, "budget: expected a limit"),
        ({"jobs": 0}, "jobs: 0 is not"),
    ],
)
def test_wrong_input_ends_before_any_run(change: dict[str, object], message: str) -> None:
    given = {"problems": [problem()], "strategies": ["random"], "budget": BUDGET, "seeds": 1}
    with pytest.raises(InputError, match=message):
        compare(**{**given, **change}, on_run=pytest.fail)


def test_names_tell_problems_apart() -> None:
    names = {
        problem_name(p)
        for p in (problem(), problem(objective="energy"), problem(bias_read=True), problem(8))
    }
    assert len(names) == 4


@pytest.mark.usefixtures("odd_strategies")
def test_a_wrong_proof_is_told_with_the_mapping_that_refutes_it(tmp_path: Path) -> None:
    with pytest.raises(BoundError, match="boasts proved to be impossible(?s:.*)for "):
        compare([problem()], ["boasts", "greedy"], BUDGET, 1, storage=tmp_path / "a.journal")
    assert len(studies(tmp_path / "a.journal")) == 2


def test_the_exact_mapper_stands_every_comparison() -> None:
    compared = compare([problem()], ["exact", *STRATEGY_NAMES], Budget(evaluations=3_000), 2)
    assert compared.outcomes[0].proved
