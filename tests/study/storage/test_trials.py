"""Notes, plots and parameters of recorded studies, as optuna-dashboard reads them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from wsgiref.util import setup_testing_defaults

import optuna
import plotly.io
import pytest
from optuna.storages import InMemoryStorage
from study.runs import BUDGET, outcome, problem

from toolkit.mapping.mapping import to_arrays
from toolkit.search import Budget, FrontPoint
from toolkit.study.compare.comparison import execute
from toolkit.study.storage.recording import record, recorded_outcomes
from toolkit.study.storage.runs import Outcome, Run
from toolkit.study.storage.trials import CONVERGENCE, ENERGY, note

dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")


def recorded(made: Outcome) -> optuna.Study:
    storage = InMemoryStorage()
    record(storage, made)
    return optuna.load_study(study_name=None, storage=storage)


def plots(study: optuna.Study) -> dict[str, dict[str, object]]:
    from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

    attributes = study._storage.get_study_system_attrs(study._study_id)
    return {
        name: plotly.io.from_json(text).to_dict()
        for name, text in get_plotly_graph_objects(attributes).items()
    }


@pytest.fixture(scope="module")
def found() -> Outcome:
    return execute(Run(problem(bias_read=True), "greedy", 3, Budget(120, 60.0)))


def test_the_dashboard_reads_the_note(found: Outcome) -> None:
    text = dashboard.get_note(recorded(found))
    for words in (
        "# gemm12 on tiny",
        "| workload | gemm: M = 12, K = 6, N = 4 |",
        "| conventions | exact, bias read |",
        "| strategy | greedy, seed 3 |",
        "| budget | 120 evaluations and 60.0 seconds |",
        f"| objective | **edp {found.objective * 1e-12:.6g} J·cycle** |",
        f"| energy, total | {found.energy_pj:.6g} pJ |",
        f"| effort | 120 evaluations ({found.invalid} invalid",
        "```text\nDRAM: ",
        "| level | energy (pJ) | share (%) |\n| --- | --- | --- |\n| DRAM | ",
        "Evaluations that improved nothing are counted, not recorded.",
    ):
        assert words in text


def test_a_note_can_be_changed_in_the_dashboard(found: Outcome) -> None:
    study = recorded(found)
    dashboard.save_note(study, "mine " * 1000)
    assert dashboard.get_note(study) == "mine " * 1000
    dashboard.save_note(study, "short")
    assert dashboard.get_note(study) == "short"


def test_shares_of_energy_add_up(found: Outcome) -> None:
    text = dashboard.get_note(recorded(found))
    table = text.split("share (%) |\n| --- | --- | --- |\n")[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()]
    assert sum(float(row[1]) for row in cells) == pytest.approx(found.energy_pj, rel=1e-5)
    assert sum(float(row[2]) for row in cells) == pytest.approx(100, abs=0.05)


def test_the_dashboard_reads_the_plots(found: Outcome) -> None:
    drawn = plots(recorded(found))
    assert set(drawn) == {CONVERGENCE, ENERGY}
    (line,) = drawn[CONVERGENCE]["data"]
    assert line["y"][-1] == found.objective / 1e3
    assert drawn[CONVERGENCE]["layout"]["yaxis"]["title"]["text"] == "edp (nJ·cycle)"
    assert (line["x"][0], line["x"][-1]) == (found.trace[0].evaluations, 120)
    bars = drawn[ENERGY]["data"]
    assert sum(sum(bar["x"]) for bar in bars) == pytest.approx(found.energy_pj / 1e3)
    assert drawn[ENERGY]["layout"]["xaxis"]["title"]["text"] == "energy (nJ), all instances"
    assert bars[0]["y"] == ["DRAM", "Buffer", "Reg", "MAC"]


def test_bounds_are_told() -> None:
    within = "within 25 % of the best possible; bound 8e-11 J·cycle, 20 % below"
    for bound, words in ((100.0, "proved optimal"), (80.0, within)):
        made = outcome(Run(problem(), "exact", 0, BUDGET), 100.0, bound=bound)
        assert f"| status | {words} |" in note(made, None, "")
    made = outcome(Run(problem(), "greedy", 0, BUDGET), 100.0)
    assert "| status |" not in note(made, None, "")
    assert "| status | stopped; no bound known |" in note(replace(made, stopped=True), None, "")


def test_a_run_that_found_nothing_says_why() -> None:
    made = replace(outcome(Run(problem(), "random", 0, BUDGET)), error="no *valid* mapping")
    study = recorded(made)
    assert "## Nothing found\n\nno \\*valid\\* mapping\n" in dashboard.get_note(study)
    assert plots(study) == {}


def test_names_from_files_are_not_markup() -> None:
    named = problem()
    workload = replace(named.workload, name="a|b <img src=x> [c](d)")
    made = outcome(Run(replace(named, workload=workload), "random", 0, BUDGET), 1.0)
    heading = note(made, None, "").splitlines()[0]
    assert heading == "# a\\|b \\<img src=x\\> \\[c\\]\\(d\\) on tiny"


# Times and values


def test_trials_last_from_one_improvement_to_the_next(found: Outcome) -> None:
    trials = recorded(found).get_trials()
    starts, ends = zip(*((t.datetime_start, t.datetime_complete) for t in trials), strict=True)
    assert starts[1:] == ends[:-1]
    for end, point in zip(ends, found.trace, strict=True):
        assert (end - starts[0]).total_seconds() == pytest.approx(point.seconds, abs=2e-6)
    assert 0 <= (datetime.now() - starts[0]).total_seconds() - found.seconds < 60


def test_values_have_a_unit_that_suits_the_best_and_come_back_whole(found: Outcome) -> None:
    study = recorded(found)
    assert study.metric_names == ["edp (nJ·cycle)"]
    assert 1 <= study.best_value < 1000
    assert study.best_value == found.objective / 1e3
    (again,) = recorded_outcomes(study._storage, [found.run])
    assert again == found


# Parameters


def test_trials_of_a_trace_have_tile_factors_as_parameters(found: Outcome) -> None:
    trials = recorded(found).get_trials()
    levels = [level.name for level in found.run.problem.arch.levels]
    assert found.mapping is not None
    best, _ = to_arrays(found.mapping, found.run.problem.arch, found.run.problem.workload)
    for trial, point in zip(trials, found.trace, strict=True):
        for name, factor in trial.params.items():
            level, dimension = name.split()
            assert factor == point.factors[levels.index(level)]["MKN".index(dimension)]
        assert math.prod(trial.params.values()) == math.prod(map(math.prod, point.factors))
    assert found.trace[-1].factors == tuple(map(tuple, best.tolist()))


def test_trials_without_tile_factors_have_their_evaluations_as_parameter(found: Outcome) -> None:
    trace = tuple(replace(point, factors=()) for point in found.trace)
    trials = recorded(replace(found, trace=trace)).get_trials()
    assert [t.params for t in trials] == [{"evaluations": p.evaluations} for p in found.trace]


@pytest.fixture(scope="module")
def front() -> Outcome:
    """Two mappings with invented costs, neither better in both."""
    run = Run(problem(objective="energy,latency", factors="perfect"), "random", 1, BUDGET)
    first, other = (execute(replace(run, seed=seed)) for seed in (1, 2))
    assert None not in (first.mapping, other.mapping)
    assert first.mapping != other.mapping
    points = FrontPoint(1.0, 2.0, first.mapping), FrontPoint(2.0, 1.0, other.mapping)
    return replace(first, front=points, energy_pj=1.0, latency_cycles=2.0)


def test_trials_of_a_front_have_tile_factors_as_parameters(front: Outcome) -> None:
    trials = recorded(front).get_trials()
    assert [trial.values for trial in trials] == [[1.0, 2.0], [2.0, 1.0]]
    for trial in trials:
        sizes = dict.fromkeys("MKN", 1)
        for name, factor in trial.params.items():
            sizes[name.split()[1]] *= factor
        assert sizes == {"M": 12, "K": 6, "N": 4}


@pytest.mark.parametrize("which", ["found", "front"])
def test_the_dashboard_finds_importances(which: str, request: pytest.FixtureRequest) -> None:
    study = recorded(request.getfixturevalue(which))
    assert len(study.get_trials()) > 1
    environment = {"PATH_INFO": f"/api/studies/{study._study_id}/param_importances"}
    setup_testing_defaults(environment)
    status: list[str] = []
    answer = dashboard.wsgi(study._storage)(environment, lambda line, *_: status.append(line))
    assert status == ["200 OK"], b"".join(answer)
