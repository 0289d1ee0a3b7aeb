"""`--estimates`: a user's own figures in the place of an architecture's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome

from toolkit.cli.app import main

MODELS = Path(__file__).parent.parent / "data" / "networks"
BERT = (str(MODELS / "bert_layer.onnx"), "--dim", "batch=1", "--dim", "seq=16")

ERT = """\
ERT:
  version: '0.4'
  tables:
    - name: system.DRAM
      actions:
        - {name: read, arguments: {}, energy: 1000}
        - {name: write, arguments: {}, energy: 2000}
"""
ART = "ART: {version: '0.4', tables: [{name: system.GlobalBuffer, area: 1234.5}]}\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.fixture
def tables(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "ERT.yaml").write_text(ERT)
    (tmp_path / "ART.yaml").write_text(ART)
    return ("--estimates", str(tmp_path / "ERT.yaml"), "--estimates", str(tmp_path / "ART.yaml"))


def test_a_mapping_costs_what_the_tables_say(
    run: Any, tmp_path: Path, tables: tuple[str, ...]
) -> None:
    saved, problem = str(tmp_path / "best.yaml"), ("eyeriss", "64", "64", "16")
    few = ("--evaluations", "200", "--factors", "perfect", "--json")
    mapped = run("map", *problem, *tables, "--save", saved, *few).record
    found = run("evaluate", *problem, saved, *tables, "--json").record
    assert found["energy_total_pj"] == pytest.approx(mapped["energy_total_pj"])
    ours = run("evaluate", *problem, saved, "--json").record
    dram = [
        next(e["energy_total_pj"] for e in each["energies"] if e["level"] == "DRAM")
        for each in (found, ours)
    ]
    # All of the words cost 64 pJ in the file; now it is 1000 read and 2000 written.
    words = dram[1] / 64
    assert 1000 * words <= dram[0] <= 2000 * words
    assert found["energy_total_pj"] - dram[0] == pytest.approx(ours["energy_total_pj"] - dram[1])
    explained = run("explain", *problem, saved, *tables, "--json").record
    assert explained["energy_total_pj"] == pytest.approx(found["energy_total_pj"])


def test_a_network_costs_what_the_tables_say(run: Any, tables: tuple[str, ...]) -> None:
    words = ("network", BERT[0], "eyeriss", *BERT[1:], "--evaluations", "50", "--no-cache")
    ours, found = (run(*words, *more, "--json").record for more in ((), tables))
    assert found["totals"]["energy_total_pj"] > 2 * ours["totals"]["energy_total_pj"]


@pytest.mark.parametrize("command", ["map", "evaluate", "network"])
def test_tables_that_say_nothing_of_a_level(run: Any, tmp_path: Path, command: str) -> None:
    (tmp_path / "ERT.yaml").write_text(ERT.replace("DRAM", "Flash"))
    words = {
        "map": ("eyeriss", "64", "64", "16"),
        "evaluate": ("eyeriss", "64", "64", "16", "none.yaml"),
        "network": (BERT[0], "eyeriss", *BERT[1:]),
    }[command]
    outcome = run(command, *words, "--estimates", str(tmp_path / "ERT.yaml"))
    assert (outcome.status, outcome.out) == (2, "")
    assert "estimates are for flash; expected some for DRAM, GlobalBuffer" in outcome.err
    missing = run(command, *words, "--estimates", "none.yaml")
    assert (missing.status, missing.out) == (2, "")
    assert "none.yaml" in missing.err
