"""What long commands tell as they run: `--json-lines`, `--quiet`, progress on a terminal."""

from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome
from cli.tiny import tiny_network

import toolkit
from toolkit.cli import progress
from toolkit.cli.app import COMMANDS, Commands, main
from toolkit.cli.progress import Pace, Reporter, watched
from toolkit.cli.worker import HardwareTold
from toolkit.codesign.exact.front import FrontProgress
from toolkit.fusion import MappedModel
from toolkit.study.hardware.workers import BoxProgress

FEW = ("--evaluations", "50")
ALONE = ("--jobs", "1", "--no-cache")
SMALL = ("eyeriss", "64", "8", "4")
RANGES = ("--range", "side=8,16", "--range", "scratchpad_words=8192", "--range")
HARDWARE = ("codesign", "tiny.onnx", "--template", "gemmini-ws", *RANGES, "accumulator_words=256")
LONG = {
    "map": (("map", *SMALL, "--strategy", "greedy", *FEW), {"improvement"}),
    "sample": (
        ("sample", "eyeriss", "8", "4", "2", "--count", "20", "--prove"),
        {"drawn", "improvement"},
    ),
    "compare": (
        ("compare", *SMALL, "--strategies", "greedy,random", "--seeds", "1", *FEW),
        {"run"},
    ),
    "network": (("network", "tiny.onnx", "eyeriss-conv", *FEW, *ALONE), {"layer"}),
    "network --fusion": (
        ("network", "tiny.onnx", "eyeriss-conv", *FEW, *ALONE, "--fusion", "greedy"),
        {"part", "bound"},
    ),
    "networks": (
        ("networks", "tiny.onnx", "--arch", "eyeriss-conv", "--arch", "eyeriss", *FEW, *ALONE),
        {"layer"},
    ),
    "minimal-hardware": (
        ("minimal-hardware", "tiny.onnx", "gemmini-ws:side=16", *FEW, "--no-cache"),
        {"layer"},
    ),
    "codesign": (
        (*HARDWARE, *ALONE, *FEW, "--strategies", "random,exact", "--samples", "2"),
        {"point", "box"},
    ),
}
"""Commands that search, and the events that each tells of beside its result."""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    (tmp_path / "tiny.onnx").write_bytes(tiny_network())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toolkit.study.storage.files.has_pictures", lambda: False)
    # Up to 4 s for each layer.
    monkeypatch.setitem(MappedModel.__init__.__kwdefaults__, "proof_seconds", 0.01)

    def call(*words: str) -> Outcome:
        capsys.readouterr()
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.mark.parametrize("name", LONG)
def test_scripts_follow_line_by_line(run: Any, name: str) -> None:
    words, kinds = LONG[name]
    outcome = run(*words, "--json-lines", "--quiet")
    assert (outcome.status, outcome.err) == (0, "")
    *events, result = [
        json.loads(line, parse_constant=pytest.fail) for line in outcome.out.splitlines()
    ]
    assert {event["event"] for event in events} == kinds
    assert result.pop("event") == "result"
    whole = run(*words, "--json")
    assert whole.record.keys() == result.keys()
    for event in events:
        if "total" in event:
            assert 1 <= event["done"] <= event["total"]


def test_improvements_are_the_trace(run: Any) -> None:
    out = run(*LONG["map"][0], "--json-lines").out
    *events, result = [json.loads(line) for line in out.splitlines()]
    assert [{"event": "improvement", **point} for point in result["trace"]] == events
    assert events[-1]["objective_value"] == result["objective_value"]


def test_workers_tell_as_well(run: Any, tmp_path: Path) -> None:
    words = (*HARDWARE, *ALONE, *FEW, "--strategies", "random", "--samples", "1")
    assert run(*words, "--storage", "hw.journal", "--quiet").status == 0
    outcome = run("worker", "hw.journal", "--no-cache", "--json-lines", "-q")
    (result,) = [json.loads(line) for line in outcome.out.splitlines()]
    assert (outcome.err, result["event"], list(result["scored"].values())) == ("", "result", [0])


@pytest.mark.parametrize("name", [*LONG, "worker"])
def test_one_form_of_json(run: Any, name: str) -> None:
    words = ("worker", "hw.journal") if name == "worker" else LONG[name][0]
    outcome = run(*words, "--json", "--json-lines")
    message = "toolkit: --json-lines: given with --json; expected one of them\n"
    assert (outcome.status, outcome.out, outcome.err) == (2, "", message)


def test_all_that_tell_can_be_quiet() -> None:
    options = {name: {o for p in Commands()[name].params for o in p.opts} for name in COMMANDS}
    long = {name.split()[0] for name in LONG} | {"worker"}
    assert {name for name in COMMANDS if "--json-lines" in options[name]} == long
    quiet = {name for name in COMMANDS if {"--quiet", "-q"} <= options[name]}
    assert quiet == {*long, "warm-up", "docs", "space"}


def test_warnings_and_errors_stay(run: Any) -> None:
    assert "unknown strategy" in run("map", *SMALL, "--strategy", "nothing", "-q").err


def test_numbers_that_json_lacks_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(lines=True).event("point", {"energy_total_pj": math.inf, "done": 1})
    assert json.loads(capsys.readouterr().out) == {
        "event": "point",
        "energy_total_pj": None,
        "done": 1,
    }


def test_people_read_how_far_a_proof_is(capsys: pytest.CaptureFixture[str]) -> None:
    told = HardwareTold(Reporter())
    for front in (
        FrontProgress(7, 0.25, 3, 4, 11.0),
        FrontProgress(9, 0.125, 5, 2, 12.0),  # Too soon after the first.
    ):
        told.box(BoxProgress("pair/exact/0", front, 42.0))
    line = "pair/exact/0: 3 boxes closed, 4 open, 7 trade-offs, others missed by 25 % at most"
    assert capsys.readouterr().err == f"{line}, about 42 s left\n"
    HardwareTold(Reporter()).box(
        BoxProgress("pair/exact/0", FrontProgress(7, math.inf, 3, 4, 11.0), None)
    )
    assert capsys.readouterr().err.endswith("4 open, 7 trade-offs\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_best_and_the_time_that_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", "200")
    problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    with watched(Reporter(), problem, "random", toolkit.Budget(seconds=600.0)) as improved:
        improved(toolkit.TracePoint(1200, 0.5, 3e12))
        time.sleep(0.3)
    told = terminal.getvalue()
    assert "random: edp 3 J·cycle after 1,200 evaluations, 0.5 s, about 10 min left" in told
    with Reporter(quiet=True).live(lambda: pytest.fail("asked")):
        time.sleep(0.1)
    assert terminal.getvalue() == told


def test_a_bar_has_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    monkeypatch.setattr(Pace, "left", lambda *given, read_back: 42.0)
    with Reporter().counted(None) as show:
        show(1, 3, "conv1")
        time.sleep(0.2)
    assert "1/3" in terminal.getvalue() and "about 42 s left, conv1" in terminal.getvalue()


def test_a_log_has_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.02)
    problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    budget = toolkit.Budget(evaluations=1_000_000)
    with watched(Reporter(), problem, "random", budget) as improved:
        improved(toolkit.TracePoint(1000, 1.0, 3e12))
        time.sleep(0.2)
    # The first may be said before the improvement.
    *others, last = capsys.readouterr().err.splitlines()
    assert last.endswith("after 1,000 evaluations, 1.0 s, about 17 min left")
    assert others


def test_the_pace_is_of_what_was_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace()
    assert pace.left(1, 10, read_back=True) is None
    now = 104.0
    assert pace.left(2, 10) == 8 * 4.0
    now = 106.0
    assert pace.left(4, 10) == 6 * 3.0
