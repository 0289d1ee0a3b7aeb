"""`toolkit sample`, and `toolkit map --start`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from toolkit.cli.app import main

PERFECT = ("--factors", "perfect")
WORDS = ("eyeriss", "12", "8", "6")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_report_with_quantiles_and_bars(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", *WORDS, "--count", "100", "--descend", "--prove", *PERFECT]) == 0
    shown = capsys.readouterr().out
    assert "drawn        100 mappings, seed 0, objective edp" in shown
    assert "J·cycle: proved optimal" in shown
    assert "descended" in shown
    bars = [line for line in shown.splitlines() if "#" in line]
    assert sum(int(line.split()[-1]) for line in bars) == 200


@pytest.mark.usefixtures("rendered")
def test_files_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra study is not installed")
    words = ["sample", *WORDS, "--count", "50", "--seed", "3", "--csv", "s.csv"]
    assert main([*words, "--picture", "s.png", "--save", "best.yaml", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader(Path("s.csv").read_text(encoding="utf-8").splitlines()))
    values = sorted(float(row["objective_value"]) for row in rows)
    assert len(values) == 50 == sum(record["histogram"]["counts"]["drawn"])
    quantiles = record["kinds"]["drawn"]["quantiles"]
    assert [quantiles[0]["objective_value"], quantiles[-1]["objective_value"]] == [
        values[0],
        values[-1],
    ]
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")
    assert main(["evaluate", *WORDS, "best.yaml", "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert evaluated["edp_pj_cycles"] == pytest.approx(record["best_value"], rel=1e-12)


@pytest.mark.usefixtures("rendered")
def test_a_report_has_the_histogram(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", *WORDS, "--count", "30", "--report", "s.html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["s.html"]
    page = Path("s.html").read_text(encoding="utf-8")
    for words in ("Random mappings</h3>", "The mapping</h3>", "Share of mappings within"):
        assert words in page


def test_a_start_alone_is_descended_from(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = ["map", *WORDS, "--strategy", "random", "--evaluations", "1", "--save", "start.yaml"]
    assert main([*drawn, "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    found = []
    for seed in ("0", "1"):
        assert main(["map", *WORDS, "--start", "start.yaml", "--seed", seed, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["mapping"] == found[1]["mapping"]
    assert found[0]["objective_value"] < before["objective_value"]
    assert found[0]["strategy"] == "basin"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", *WORDS, "--picture", "s.gif"], "--picture: expected a file named .png or"),
        (["sample", *WORDS, "--csv", "no/s.csv"], "--csv: 'no/s.csv' lies in no folder"),
        (["sample", *WORDS, "--seconds", "3"], "--seconds: given without --prove"),
        (["sample", *WORDS, "--prove", "--seconds", "0"], "--seconds: 0.0 is not a positive"),
        (["sample", *WORDS, "--count", "0"], "Invalid value for '--count'"),
        (["sample", *WORDS, "--objective", "energy,latency"], "--objective: energy,latency asks"),
        (["map", *WORDS, "--start", "none.yaml"], "none.yaml: no such file"),
        (["map", *WORDS, "--start", "x", "--strategy", "exact"], "--start: given with --strategy"),
    ],
)
def test_wrong_input(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert not Path("s.gif").exists()


def test_a_start_of_another_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", *WORDS, "--evaluations", "50", "--save", "start.yaml"]) == 0
    capsys.readouterr()
    assert main(["map", "eyeriss", "12", "8", "5", "--start", "start.yaml"]) == 2
    assert "start.yaml: " in capsys.readouterr().err
