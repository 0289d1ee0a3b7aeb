"""The report and plots as files: complete, self-contained, and read by a browser."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs
from study.browser import visit
from study.runs import BUDGET, comparison, problem

from toolkit.errors import InputError, MissingPackageError
from toolkit.study.compare.comparison import compare
from toolkit.study.pictures.canvas import write_drawings
from toolkit.study.pictures.comparison import file_names, problem_drawings, problem_figure
from toolkit.study.pictures.curves import problem_plots
from toolkit.study.pictures.report import write_report
from toolkit.study.storage.runs import Comparison

ODD = comparison({"a": [[(300.0, 103.0), (100.0,)]], "b": [[(104.0,), ()]], "c": [[(), ()]]})
LEGEND = ["a", "b (1 of 2 runs found nothing)", "c (found nothing)"]
NONE = comparison({"a": [[()]]})
NEGATIVE = comparison({"a": [[(2.0, -3.0)]]})


@pytest.fixture(scope="module")
def fronts() -> Comparison:
    problems = [problem(m, objective="energy,latency") for m in (12, 8)]
    return compare(problems, ["random", "greedy"], BUDGET, 2)


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Make imports of a package fail, as where it is not installed."""
    importing = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.parametrize("made", [ODD, NONE, NEGATIVE], ids=["odd", "none", "negative"])
def test_all_plots_are_drawn_and_the_same_each_time(made: Comparison, tmp_path: Path) -> None:
    plots = problem_plots(made)
    files = write_drawings(problem_drawings(plots, ["a"]), tmp_path / "new")
    png, svg = (path.read_bytes() for path in files)
    assert [path.name for path in files] == ["plot-a.png", "plot-a.svg"]
    assert np.frombuffer(png[16:24], ">u4").tolist() == [2100, 750]
    assert b"<svg" in svg
    again = write_drawings(problem_drawings(plots, ["a"]), tmp_path / "again")
    assert [path.read_bytes() for path in again] == [png, svg]
    assert sorted(tmp_path.glob("new/*")) == sorted(files)


def test_plotly_draws_a_line_per_strategy_and_panel() -> None:
    (plot,) = problem_plots(ODD)
    traces = problem_figure(plot).data
    lines = [t for t in traces if t.fill is None and t.mode != "markers"]
    drawn = {(t.legendgroup, t.xaxis) for t in lines if len(t.x) > 1}
    # Half of b's runs found nothing, so that their median is none.
    assert drawn == {("a", "x"), ("a", "x2")}
    assert len(lines) == 6
    assert [t.name for t in traces if t.showlegend is not False] == LEGEND


def test_names_of_files_hold_no_separators() -> None:
    assert file_names(["../a b", "A-b", "é", ""]) == ["a-b", "A-b-2", "problem", "problem-2"]


def test_the_report_opens_in_a_browser_without_a_network(
    fronts: Comparison, tmp_path: Path
) -> None:
    path = write_report(tmp_path / "report.html", fronts)
    with visit(path.as_uri()) as seen:
        seen.page.wait_for_function("document.querySelectorAll('.main-svg').length >= 2")
        assert seen.errors == []
        assert seen.requests == [path.as_uri()]
        text = seen.page.inner_text("body")
        assert seen.page.locator(".js-plotly-plot").count() == 2
        assert seen.page.locator("table").count() == 4
        # The right panel holds energies of both strategies' fronts.
        assert seen.page.locator(".js-plotly-plot >> nth=0").locator(".points path").count() >= 4
        seen.page.goto(write_report(tmp_path / "odd.html", ODD).as_uri())
        seen.page.wait_for_selector(".legendtext")
        assert seen.page.locator(".legendtext").all_text_contents() == LEGEND
        assert seen.errors == []
    for words in (
        "2 strategies on 2 problems",
        "gemm12 on tiny, energy,latency, exact, ragged: best of this field: energy,latency",
        "Ranks over 2 problems",
        "volume",
        "energy, total (pJ)",
    ):
        assert words in text


def test_the_report_says_what_found_nothing(tmp_path: Path) -> None:
    page = write_report(tmp_path / "report.html", ODD).read_text()
    assert not re.findall("<script[^>]* src|<link", page.replace(get_plotlyjs(), ""))
    assert "gemm2 on tiny, edp, exact, ragged: c: nothing" in page
    assert page.count("</html>") == 1


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for package, write in (
        ("plotly", lambda: write_report(tmp_path / "a.html", ODD)),
        ("matplotlib", lambda: problem_drawings(problem_plots(ODD), ["a"])),
    ):
        with monkeypatch.context() as patch:
            without(patch, package)
            with pytest.raises(MissingPackageError, match=rf"(?i){package}.*\[study\]"):
                write()
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "plot-a.png").mkdir()
    with pytest.raises(InputError, match=r"plot-a\.png: is not a regular file"):
        write_drawings(problem_drawings(problem_plots(NONE), ["a"]), tmp_path)
    with pytest.raises(InputError, match="is not a regular file"):
        write_report(tmp_path, NONE)
