"""Strategies over hardware side by side: tables, pictures, and the study script."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codesign.jobs import small_job

from toolkit.errors import InputError
from toolkit.search import Budget
from toolkit.search.network import LayerSearch
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.pictures.hardware import strategy_points

STUDIES = Path(__file__).parents[3] / "studies"


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any) -> HardwareComparison:
    return compare_hardware(
        small_job(area_budget_um2=6e5),
        ["tpe", "random"],
        storage=str(tmp_path_factory.mktemp("study") / "a.journal"),
        samples=5,
        seeds=3,
        jobs=1,
        cache=False,
    )


def test_the_row_of_a_strategy_is_its_median_seed(found: HardwareComparison) -> None:
    table = found.strategy_table().set_index("strategy")
    for strategy in ("tpe", "random"):
        edps = sorted(
            run.choice.edp_pj_cycles * 1e-12
            for run in found.runs
            if run.plan.strategy == strategy and run.choice is not None
        )
        row = table.loc[strategy]
        assert (
            row["best_objective_value"],
            row["objective_value"],
            row["worst_objective_value"],
        ) == (
            pytest.approx(edps[0]),
            pytest.approx(edps[1]),
            pytest.approx(edps[2]),
        )
        assert row["samples"] == 5
        assert row["area_um2"] <= 6e5
    assert table.loc["random", "baseline_ratio"] == 1.0


def test_choices_are_the_best_samples(found: HardwareComparison) -> None:
    for run in found.runs:
        assert run.choice is not None
        assert run.trace(found.job)[-1] == run.choice.edp_pj_cycles == found.value(run)
    assert found.best is not None
    assert found.value(found.best) == min(found.value(run) for run in found.runs)


def test_pictures_show_feasible_points_and_what_none_beats(found: HardwareComparison) -> None:
    for strategy in strategy_points(found):
        assert (strategy.points[:, 0] <= 0.6).all()
        assert len(strategy.points) == len(strategy.labels)
        beaten = (strategy.points[:, None] < strategy.front[None]).all(axis=2)
        assert not beaten.any()
        assert (np.diff(strategy.median) <= 0).all()
        assert (strategy.low <= strategy.median).all()
        assert (strategy.median <= strategy.high).all()


def test_nothing_is_found_where_nothing_is_feasible(tmp_path: Path) -> None:
    from toolkit.cli.codesign import write_codesign
    from toolkit.cli.codesign_report import codesign_record, codesign_report

    # TPE's own draws after the first ones may all exceed a budget; here none was drawn at all.
    job = small_job(area_budget_um2=6e5)
    empty = compare_hardware(
        job, ["random"], storage=str(tmp_path / "a.journal"), samples=1, jobs=1, cache=False
    )
    (run,) = empty.runs
    nothing = HardwareComparison(job, (type(run)(run.plan, (), None, 0.0, 0),))
    written = write_codesign(nothing, tmp_path)
    assert codesign_record(nothing, written)["best"] is None
    lines = [str(line) for line in codesign_report(nothing, written)]
    assert any("no point within the budgets" in line for line in lines)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strategies": []}, "strategies: expected at least one"),
        ({"seeds": 0}, "seeds: 0 is not an integer from 1"),
        ({"samples": 0}, "samples: 0 is not an integer from 1"),
    ],
)
def test_bad_plans(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"strategies": ["random"], "seeds": 1, "samples": 1, **changed}
    strategies = given.pop("strategies")
    with pytest.raises(InputError, match=message):
        compare_hardware(small_job(), strategies, storage=str(tmp_path / "a"), **given)


@pytest.mark.usefixtures("unrendered")
def test_the_study_script_runs(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    script = runpy.run_path(str(STUDIES / "resnet18_codesign.py"))
    monkeypatch.setitem(script["main"].__globals__, "STRATEGIES", ("random",))
    monkeypatch.setattr(sys, "argv", ["study", "1", "1", str(tmp_path)])
    script["main"]()
    assert "random" in capsys.readouterr().out
    assert (tmp_path / "hardware.yaml").exists()


def test_joint_or_two_step_bounds_what_can_be_saved(monkeypatch: Any, capsys: Any) -> None:
    script = runpy.run_path(str(STUDIES / "joint_or_two_step.py"))
    ranges = {"side": [4, 8], "scratchpad_words": [8192, 16384], "accumulator_words": [64, 256]}
    job = small_job(ranges=ranges, factors="perfect")
    inside = script["main"].__globals__
    monkeypatch.setitem(inside, "make_job", lambda *_: job)
    monkeypatch.setitem(inside, "SEARCH", LayerSearch("greedy", Budget(evaluations=100)))
    monkeypatch.setattr("toolkit.load_network", lambda *_, **__: job.networks[0].graph)
    areas = [point.area_um2 for point in script["points_of"](job, 1e9)]
    assert len(areas) == 8 and areas == sorted(areas)
    monkeypatch.setattr(sys, "argv", ["study", "pair", "1e3", "20"])
    script["main"]()
    printed = capsys.readouterr().out
    saved = float(re.search(r"no higher EDP: ([-+]\d+\.\d)%", printed)[1])
    most = float(re.search(r"saves more than (\d+\.\d)%", printed)[1])
    assert saved <= 0 and -saved <= most <= 100
