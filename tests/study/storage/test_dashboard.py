"""optuna-dashboard on recorded comparisons: what it listens on, and what a browser shows."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codesign.jobs import small_job
from study.browser import visit
from study.runs import BUDGET, problem

from toolkit.errors import InputError, MissingPackageError
from toolkit.search import Budget, Problem
from toolkit.study.compare.comparison import compare
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.storage.dashboard import open_dashboard

SINGLE, FRONT = problem(), problem(objective="energy,latency")


def record(path: Path, *problems: Problem) -> Path:
    for asked in problems:
        compare([asked], ["random", "greedy"], BUDGET, 2, storage=path)
    return path


DRAWN = """id => {
  const plot = document.getElementById(id);
  return plot && plot.data && plot.data.length
    ? plot.data.map(t => ({
        name: t.name || "", x: [...t.x], y: [...t.y], base: t.base && [...t.base].map(Number)
      }))
    : null;
}"""


def drawn(page: Any, plot: str) -> list[dict[str, Any]]:
    """What a plot of the dashboard shows, once it does."""
    page.wait_for_function(f"id => ({DRAWN})(id) !== null", arg=plot)
    found: list[dict[str, Any]] = page.evaluate(DRAWN, plot)
    return found


@contextmanager
def served(path: Path) -> Iterator[str]:
    with open_dashboard(path, port=0) as dashboard:
        thread = threading.Thread(target=dashboard.server.serve_forever)
        thread.start()
        try:
            yield dashboard.url
        finally:
            dashboard.server.shutdown()
            thread.join()


def test_a_browser_shows_studies_notes_and_values(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    path = record(tmp_path / "a.journal", SINGLE, FRONT)
    with served(path) as url, visit(url) as seen:
        page = seen.page
        for asked in ("edp", "energy,latency"):
            page.wait_for_selector(f"text=gemm12 on tiny, {asked}, exact, ragged: greedy, seed 1")
        page.click("text=gemm12 on tiny, edp, exact, ragged: greedy, seed 1")
        # Its values, and the plots that the study brought along.
        page.wait_for_selector("text=Best Trial")
        for words in ("edp (nJ·cycle)", "Best value over evaluations", "Where the energy goes"):
            page.wait_for_selector(f"text={words}")
        page.click("a[href$='/note']")
        page.wait_for_selector("text=Best loop nest")
        note = page.inner_text("body")
        for words in ("greedy, seed 1", "J·cycle", "for m in 0..", "share (%)", "not recorded"):
            assert words in note
        page.click("a[href$='/trials']")
        page.wait_for_selector("text=evaluations")

        page.click("a[href='/dashboard/'] >> nth=0")
        page.click("text=gemm12 on tiny, energy,latency, exact, ragged: random, seed 0")
        for words in ("Pareto Front", "energy (nJ)", "latency (cycles)", "Best Trial"):
            page.wait_for_selector(f"text={words}")
        assert seen.errors == []
        assert all(request.startswith((url, "data:", "blob:")) for request in seen.requests)


def test_timelines_importances_and_slices_mean_something(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    path = tmp_path / "a.journal"
    (run,) = compare([problem(16)], ["greedy"], Budget(5_000), 1, storage=path).outcomes
    found = compare_hardware(
        small_job(), ["random"], storage=str(path), samples=12, jobs=1, cache=False
    )
    with served(path) as url, visit(url) as seen:
        page = seen.page
        page.click("text=greedy, seed 0")
        (bars,) = drawn(page, "graph-timeline")
        page.goto(url)
        page.click("text=random/0")
        (importances,) = drawn(page, "graph-hyperparameter-importances")
        told = page.inner_text("body")
        page.click("a[href$='/analytics']")
        (points,) = (part for part in drawn(page, "plot-slice") if part["x"])

    # In milliseconds, which cut both ends.
    times = zip(bars["base"], bars["x"], strict=True)
    ends = [begin + length - bars["base"][0] for begin, length in times]
    assert ends == pytest.approx([1e3 * point.seconds for point in run.trace], abs=2.5)
    # With the number of multipliers, latency falls to less than half: of all sizes it counts most.
    assert importances["y"][-1] == "log2 side" and len(importances["y"]) == 3
    assert sum(importances["x"]) == pytest.approx(1)
    # What a study is and what it found is read without any of its JSON.
    assert "pair on gemmini-ws: edp by random, seed 0" in told
    assert "mm²: side=" in told and told.index("mm²: side=") < told.index("description: Gemmini")
    table = found.sample_table()
    assert points["x"] == pytest.approx(np.log2(table["accumulator_words"]))
    assert points["y"] == pytest.approx(np.log10(table["edp_pj_cycles"]))


def test_what_is_recorded_meanwhile_is_shown(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    from urllib.request import urlopen

    path = record(tmp_path / "a.journal", SINGLE)
    with served(path) as url:
        before = urlopen(f"{url}api/studies").read()
        record(path, problem(8))
        after = urlopen(f"{url}api/studies").read()
    assert (before.count(b"gemm8 on"), after.count(b'"study_name": "gemm8 on')) == (0, 4)


def test_how_many_studies_there_are(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    with open_dashboard(record(tmp_path / "a", SINGLE), port=0) as dashboard:
        assert dashboard.studies == 4
        assert dashboard.url == f"http://127.0.0.1:{dashboard.server.server_address[1]}/"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    path = record(tmp_path / "a", SINGLE)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = f"port: cannot listen on port {port} .*in use; choose another port, or 0"
        with pytest.raises(InputError, match=message), open_dashboard(path, port=port):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": "nowhere.invalid"}, "host: cannot listen on port 0 of 'nowhere.invalid'"),
        ({"host": "192.0.2.1"}, "host: cannot listen on port 0 of '192.0.2.1'"),
        ({"host": "a..b"}, "host: cannot listen"),
        ({"port": -1}, "port: -1 is not an integer from 0 to 65535"),
        ({"port": 65536}, "port: 65536 is not"),
    ],
)
def test_places_that_cannot_be_listened_on(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    path = record(tmp_path / "a", SINGLE)
    with pytest.raises(InputError, match=message), open_dashboard(path, **{"port": 0, **options}):
        pass


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.journal", "storage: .*none.journal does not exist; toolkit compare writes"),
        ("none.db", "does not exist"),
        (".", "is not a regular file"),
        ("text", "neither a journal nor a database of Optuna"),
    ],
)
def test_what_is_no_storage_is_left_alone(tmp_path: Path, name: str, message: str) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    (tmp_path / "text").write_text("text")
    with pytest.raises(InputError, match=message), open_dashboard(tmp_path / name, port=0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    message = r"needs optuna_dashboard, which is not installed; pip install .*\[dashboard\]"
    with pytest.raises(MissingPackageError, match=message), open_dashboard(tmp_path / "a"):
        pass
