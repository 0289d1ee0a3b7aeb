"""`toolkit minimal-hardware` as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome

import toolkit
from toolkit.cli.app import main

MODELS = Path(__file__).parent.parent / "data" / "networks"
BERT = (str(MODELS / "bert_layer.onnx"), "--dim", "batch=1", "--dim", "seq=16")
FEW = ("--evaluations", "100", "--no-cache")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(template: str, *words: str) -> Outcome:
        status = main(("minimal-hardware", BERT[0], template, *BERT[1:], *FEW, *words))
        return Outcome(status, *capsys.readouterr())

    return call


def test_mappings_run_on_the_least_hardware_and_not_on_less(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "least.yaml"
    record = run("gemmini-ws:side=32", "--save", str(file), "--json").record
    given, least = record["given"], record["least"]
    assert given["parameters"]["side"] == 32
    assert all(least["parameters"][n] <= value for n, value in given["parameters"].items())
    assert least["area_um2"] < given["area_um2"]
    levels = {level.name: level for level in toolkit.load_arch(file).levels}
    for need in record["requirements"]:
        level = levels[need["level"]]
        has = level.capacity_words if need["kind"] == "words" else level.mesh
        assert has is None or has >= need["amount"]
    # Sizes double: half of any would hold less than what is needed, or be slower.
    words = {need["level"]: need["amount"] for need in record["requirements"]}
    smallest = toolkit.load_template("gemmini-ws").ranges["scratchpad_words"].values[0]
    assert least["parameters"]["scratchpad_words"] in (
        smallest,
        1 << (words["Scratchpad"] - 1).bit_length(),
    )


def test_slower_hardware_is_no_larger(run: Any) -> None:
    kept, slower = (
        run("gemmini-ws:dram_bandwidth=32", "--range", "dram_bandwidth=4..32", *way, "--json")
        for way in ((), ("--slower",))
    )
    assert slower.record["least"]["area_um2"] <= kept.record["least"]["area_um2"]


def test_a_report_for_people(run: Any) -> None:
    out = run("gemmini-ws").out
    for words in ("Scratchpad", "scratchpad_words", "8192..4194304 doubling", "least", " W"):
        assert words in out


@pytest.mark.parametrize(
    ("template", "words", "message"),
    [
        ("gemmini-ws:side=33", (), "TEMPLATE: side=33 is not in the range 4..128 doubling"),
        ("gemmini-ws:sides=8", (), "unknown parameter 'sides' (did you mean 'side'?)"),
        ("eyeriss", (), "no parameter has a range"),
        ("nothing", (), "unknown architecture 'nothing'"),
        ("gemmini-ws", ("--range", "side=8KiB"), "it is no capacity"),
        ("gemmini-ws", ("--clock", "1GB"), "--clock: expected hertz, got 1GB: bytes"),
        ("gemmini-ws", ("--node", "1"), "expected a number from 3 to 90"),
        ("gemmini-ws", ("--save", "/no/such/place"), "--save"),
        ("gemmini-ws", ("--strategy", "greddy"), "unknown strategy 'greddy'"),
    ],
)
def test_bad_input(run: Any, template: str, words: tuple[str, ...], message: str) -> None:
    outcome = run(template, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1
