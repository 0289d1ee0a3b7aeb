"""`toolkit compare` as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cli.test_app import Outcome

import toolkit
from toolkit.cli.app import main
from toolkit.cli.compare import default_strategies
from toolkit.cli.problems import read_problem
from toolkit.errors import InputError
from toolkit.model import EXACT
from toolkit.search import STRATEGIES, Entry, Evaluator

ROOT = Path(toolkit.__file__).parent.parent
SMALL = ("--strategies", "greedy,random", "--evaluations", "100", "--seeds", "2")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Outcome:
        status = main(("compare", *words))
        return Outcome(status, *capsys.readouterr())

    return call


def test_a_table_per_problem_and_ranks(run: Any, tmp_path: Path) -> None:
    outcome = run("eyeriss", "gemm:M=64,K=8,N=4", "gemm:M=8,K=64,N=4", *SMALL)
    assert outcome.status == 0
    for words in (
        "gemm:M=64,K=8,N=4 on eyeriss, edp, exact, ragged; best of this field: edp ",
        "J·cycle",
        "above best",
        "stopped: a limit ended one, and no bound is known",
        "within 1 %",
        "Best, median and worst over 2 seeds of at most 100 evaluations each",
        "Ranks over 2 problems",
        "no pair can come out significant",
        "Recorded in comparison.journal",
    ):
        assert words in outcome.out
    lines = outcome.err.splitlines()
    assert len(lines) == 8
    name = "gemm:M=64,K=8,N=4 on eyeriss, edp, exact, ragged"
    assert lines[0].startswith(f"1/8 {name}: greedy, seed 0: edp")
    assert (tmp_path / "comparison.journal").is_file()


def test_the_same_command_reads_back(run: Any) -> None:
    words = ("eyeriss", "64", "8", "4", *SMALL)
    first, again = run(*words), run(*words)
    assert again.out == first.out
    assert all(line.endswith("(read back)") for line in again.err.splitlines())
    assert "gemm:M=64,K=8,N=4" in first.out


def test_what_is_known_comes_back(run: Any, tmp_path: Path) -> None:
    words = ("eyeriss", "64", "8", "4", "--strategies", "exact,random", "--evaluations", "2")
    words += ("--seeds", "1", "--out", "new")
    first, again = run(*words, "--json"), run(*words, "--json")
    for outcome in (first, again):
        exact, random = outcome.record["runs"]
        share = exact["objective_value"] / exact["bound"] - 1
        assert exact["within_fraction"] == pytest.approx(share)
        assert exact["status"].startswith("within ")
        assert exact["status"].endswith(" % of the best possible")
        assert (random["status"], random["within_fraction"], random["stopped"]) == (
            "stopped",
            None,
            True,
        )
    out = run(*words).out
    assert "Evaluations of exact: mappings costed in full" in out
    text = (tmp_path / "new" / "report.html").read_text()
    for part in ("Evaluations of exact: mappings costed in full", "<td>stopped</td>"):
        assert part in text
    assert exact["status"].removesuffix(" of the best possible") in out
    assert f"<td>{exact['status'].removesuffix(' of the best possible')}</td>" in text


def test_json_has_no_infinities(run: Any) -> None:
    record = run(
        "eyeriss", "64", "8", "4", *SMALL, "--objective", "energy,latency", "--json"
    ).record
    assert record["budget"] == {"evaluations": 100, "seconds": None}
    assert (record["strategies"], record["seeds"]) == (["greedy", "random"], [0, 1])
    assert [row["strategy"] for row in record["summary"]] == ["greedy", "random"]
    assert len(record["runs"]) == 4
    assert all(0 < row["hypervolume"] <= 1 for row in record["runs"])
    assert record["significance"]["iman_davenport_p"] is None
    assert record["storage"] == "comparison.journal"


def test_tables_and_storage_go_to_a_folder(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "new"
    record = run("eyeriss", "64", "8", "4", *SMALL, "--out", str(out), "--json").record
    assert sorted(map(str, out.glob("*.*"))) == sorted([*record["files"], record["storage"]])
    names = {"runs", "summary", "ranks", "pairs", "traces"}
    assert {path.stem for path in out.glob("*.csv")} == names
    plot = "plot-gemm-M=64-K=8-N=4-on-eyeriss-edp-exact-ragged"
    assert {path.name for path in out.glob("plot-*")} == {f"{plot}.png", f"{plot}.svg"}
    assert "best of this field: edp" in (out / "report.html").read_text()
    assert record["not_written"] == []
    assert len(pd.read_parquet(out / "runs.parquet")) == 4


def test_without_plotly_and_matplotlib_there_are_tables(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("plotly.subplots", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, package, None)
    outcome = run("eyeriss", "64", "8", "4", *SMALL, "--out", "new")
    assert outcome.status == 0
    assert {path.suffix for path in Path("new").iterdir()} == {".csv", ".parquet", ".journal"}
    assert [line.partition(",")[0] for line in outcome.out.splitlines()[-2:]] == [
        "a picture needs plotly",
        "a picture needs Matplotlib",
    ]


@pytest.mark.parametrize(("strategies", "status"), [("exact", 1), ("exact,random", 0)])
def test_a_comparison_that_found_nothing_fails(
    run: Any, strategies: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(evaluator: object, seed: int) -> float:
        raise InputError("nothing is proved today", key="conventions")

    monkeypatch.setattr("toolkit.search.exact.exact", refuse)
    words = ("eyeriss", "64", "8", "4", "--evaluations", "50", "--seeds", "2")
    words += ("--strategies", strategies)
    for _ in ("fresh", "read back"):
        outcome = run(*words)
        assert outcome.status == status
        assert "exact: conventions: nothing is proved today" in outcome.out
    outcome = run(*words, "--json")
    assert outcome.status == status
    assert [bool(row["error"]) for row in outcome.record["runs"]][:2] == [True, True]


def test_five_strategies_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = read_problem("eyeriss", ["8", "8", "8"], "edp", EXACT, [], False)
    chosen = default_strategies(problem)
    assert len(chosen) == min(5, len(STRATEGIES))
    assert chosen[:2] == ["greedy", "anneal"]
    monkeypatch.setitem(STRATEGIES, "scipy", Entry("no_such_package:f", "Odd.", extra="none"))
    assert "scipy" not in default_strategies(problem)
    fronts = read_problem("eyeriss", ["8", "8", "8"], "energy,latency", EXACT, [], False)
    assert STRATEGIES[default_strategies(fronts)[0]].fronts


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--strategies", "greddy"), "--strategies: unknown strategy 'greddy' (did you mean"),
        (("--strategies", ""), "--strategies: unknown strategy ''"),
        (("--strategies", "random,random"), "--strategies: 'random' is given twice"),
        (("--objective", "speed"), "--objective: unknown objective 'speed'"),
        (("--conventions", "x"), "--conventions"),
        (("--evaluations", "0"), "evaluations"),
        (("--seconds", "0"), "--seconds: 0.0 is not a positive number"),
        (("--seconds", "nan"), "--seconds: nan"),
        (("--seeds", "0"), "seeds"),
        (("--jobs", "0"), "jobs"),
        (("--storage", "/proc/a"), "--storage: /proc/a cannot be used"),
        (("--storage", "."), "--storage: '.' is a folder"),
        (("--out", "/dev/null"), "/dev/null: cannot be created"),
        (("bert-large/KQ",), "bert-large/KQV"),
        (
            ("gemm:M=8,K=8,N=8",),
            "WORKLOAD: 'gemm:M=8,K=8,N=8 on eyeriss, edp, exact, ragged' is given",
        ),
    ],
)
def test_wrong_input(run: Any, words: tuple[str, ...], message: str) -> None:
    outcome = run("eyeriss", "gemm:M=8,K=8,N=8", *SMALL, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.startswith("toolkit: ")
    assert len(outcome.err.splitlines()) == 1


def test_another_budget_needs_another_storage(run: Any, tmp_path: Path) -> None:
    assert run("eyeriss", "64", "8", "4", *SMALL).status == 0
    before = (tmp_path / "comparison.journal").read_bytes()
    outcome = run("eyeriss", "64", "8", "4", *SMALL, "--evaluations", "99")
    assert outcome.status == 2
    assert "evaluations = 100 there, but evaluations = 99 was asked" in outcome.err
    assert (tmp_path / "comparison.journal").read_bytes() == before


def interrupted(evaluator: Evaluator, seed: int) -> None:
    raise KeyboardInterrupt


def test_interruption_says_what_is_kept(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES, "odd", Entry(f"{__name__}:interrupted", "Odd."))
    outcome = run("eyeriss", "64", "8", "4", *SMALL, "--strategies", "random,odd")
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err.splitlines()[-2:] == [
        "toolkit: 2 of 4 runs are kept in comparison.journal; the same command goes on",
        "toolkit: interrupted",
    ]


def test_interruption_of_a_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "toolkit", "compare", "eyeriss", "64", "64", "64"]
        + ["--strategies", "random,greedy,anneal", "--seconds", "60"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    # The kill comes once the storage exists: the first run is then under way, or about to be.
    while not (tmp_path / "comparison.journal").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "toolkit: interrupted"
