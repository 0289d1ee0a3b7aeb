"""`--bypass` of all commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome

from toolkit.arch import Architecture, Compute, Fanout, Memory, arch_to_yaml
from toolkit.cli.app import main

MODELS = Path(__file__).parent.parent / "data" / "networks"
BERT = (str(MODELS / "bert_layer.onnx"), "--dim", "batch=1", "--dim", "seq=4")
FEW = ("--evaluations", "500")

DRAM = Memory("DRAM", None, 64.0, 64.0, 16.0, 16.0)
BUFFER = Memory("Buffer", 64, 50.0, 50.0, 16.0, 16.0)
PLAIN = Architecture(
    "plain", (DRAM, BUFFER, Fanout("Rows", 8, ("M",)), Compute("MAC", mac_energy_pj=0.2))
)
"""A machine whose buffer costs nearly as much as what is outside."""
PERMITTING = Architecture(
    "permitting", (DRAM, replace(BUFFER, may_bypass=("weight",)), *PLAIN.levels[2:])
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    for arch in (PLAIN, PERMITTING):
        (tmp_path / f"{arch.name}.yaml").write_text(arch_to_yaml(arch))

    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


def test_map_chooses_what_it_may(run: Any) -> None:
    problem = ("8", "6", "4", "--json", "--strategy", "exact")
    costs = {
        (arch, rule): json.loads(run("map", f"{arch}.yaml", *problem, *rule).out)
        for arch in ("plain", "permitting")
        for rule in ((), ("--bypass", "fixed"), ("--bypass", "free"))
    }
    value = {key: record["objective_value"] for key, record in costs.items()}
    choices = {key: record["bypass_choices"] for key, record in costs.items()}
    fixed, free = ("--bypass", "fixed"), ("--bypass", "free")
    assert all(record["proved"] for record in costs.values())
    assert value["plain", ()] == value["plain", fixed] == value["permitting", fixed]
    assert value["plain", free] == value["permitting", free]
    assert value["plain", free] < value["permitting", ()] < value["plain", ()]
    assert [choices["permitting", rule] for rule in ((), fixed, free)] == [2, 1, 8]


def test_a_mapping_that_chooses_comes_back(run: Any) -> None:
    found = run("map", "plain.yaml", "8", "6", "4", "--bypass", "free", "--save", "best.yaml")
    assert found.status == 0
    assert "bypasses chosen" in found.out and "leaves out" in found.out
    mapped = ("plain.yaml", "8", "6", "4", "best.yaml")
    record = json.loads(run("evaluate", *mapped, "--bypass", "free", "--json").out)
    assert record["valid"]
    explained = run("explain", *mapped, "--bypass", "free")
    assert explained.status == 0
    exported = run("export", *mapped, "--bypass", "free", "--format", "timeloop")
    assert "bypass" in exported.out
    refused = run("evaluate", *mapped)
    assert refused.status == 2 and refused.out == ""
    assert "best.yaml: Buffer.bypasses: Buffer cannot leave out" in refused.err


def test_explain_tries_bypasses(run: Any) -> None:
    run("map", "plain.yaml", "8", "6", "4", "--strategy", "exact", "--save", "fixed.yaml")
    explained = json.loads(
        run("explain", "plain.yaml", "8", "6", "4", "fixed.yaml", "--bypass", "free", "--json").out
    )
    kinds = {move["kind"] for move in explained["moves"]["best"]}
    assert kinds == {"bypass"}
    text = run("explain", "plain.yaml", "8", "6", "4", "fixed.yaml", "--bypass", "free").out
    assert "Buffer no longer holds" in text
    assert "no longer holds" not in run("explain", "plain.yaml", "8", "6", "4", "fixed.yaml").out


def test_space_counts_choices(run: Any) -> None:
    plain = json.loads(run("space", "plain.yaml", "8", "6", "4", "--json").out)
    free = json.loads(run("space", "plain.yaml", "8", "6", "4", "--bypass", "free", "--json").out)
    assert (plain["bypass_choices"], free["bypass_choices"]) == (1, 8)
    assert free["tilings"] > 7 * plain["tilings"]
    assert (
        "3 tensors of memories may be left out: 8 choices"
        in run("space", "plain.yaml", "8", "6", "4", "--bypass", "free").out
    )


def test_compare_and_network_choose(run: Any) -> None:
    values = {}
    for rule in ("fixed", "free"):
        compared = run(
            "compare", "plain.yaml", "gemm:M=8,K=6,N=4", "--strategies", "greedy,random", *FEW,
            "--seeds", "1", "--bypass", rule, "--storage", f"{rule}.db", "--json",
        )  # fmt: skip
        assert compared.status == 0
        mapped = run("network", *BERT[:1], "plain.yaml", *BERT[1:], *FEW, "--no-cache", "--json",
                     "--bypass", rule, "--jobs", "1")  # fmt: skip
        assert mapped.status == 0
        values[rule] = json.loads(mapped.out)["totals"]["energy_total_pj"]
    assert values["free"] < values["fixed"]


def test_codesign_takes_it(run: Any) -> None:
    words = (
        "codesign", BERT[0], "--template", "gemmini-ws", *BERT[1:], *FEW, "--strategies", "random",
        "--samples", "1", "--range", "side=8", "--jobs", "1", "--no-cache",
    )  # fmt: skip
    assert "free bypasses" in run(*words, "--bypass", "free").out


@pytest.mark.parametrize(
    "words",
    [
        ("map", "plain.yaml", "8", "6", "4"),
        ("space", "plain.yaml", "8", "6", "4"),
        ("compare", "plain.yaml", "gemm:M=8,K=6,N=4"),
        ("network", BERT[0], "plain.yaml", *BERT[1:]),
        ("codesign", BERT[0], "--template", "gemmini-ws", *BERT[1:]),
        ("explain", "plain.yaml", "8", "6", "4", "none.yaml"),
        ("evaluate", "plain.yaml", "8", "6", "4", "none.yaml"),
    ],
    ids=lambda words: str(words[0]),
)
def test_unknown_rules_are_refused(run: Any, words: tuple[str, ...]) -> None:
    outcome = run(*words, "--bypass", "all")
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert "'all' says nothing of bypasses; expected one of permitted, free, fixed" in line
    assert "--bypass" in line
