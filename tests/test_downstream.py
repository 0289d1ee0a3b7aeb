"""Functions of the top of the package, together, as users call them, and as the command does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from downstream import best_of, compared, refused, report

import toolkit
from toolkit.cli.app import COMMANDS, main
from toolkit.fusion import MappedModel


def test_a_users_program_runs(tmp_path: Path) -> None:
    results = best_of(["eyeriss", "simba"], 50)
    lines = report(results, tmp_path)
    assert [line.partition(":")[0] for line in lines] == ["eyeriss", "simba"]
    assert (tmp_path / "eyeriss.yaml").is_file()
    assert compared(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2)) == 2
    assert "eyeriss" in refused("eyeris")


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main([*words, "--json"]) == 0
    record: dict[str, object] = json.loads(capsys.readouterr().out)
    return record


LAYER = "gemm:M=16,K=8,N=4"


def test_map_is_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("map", "simba", LAYER, "--strategy", "random", "--evaluations", "200", "--seed", "3")
    record = printed(capsys, *words, "--bypass", "free", "--objective", "latency")
    found = toolkit.map(
        "simba",
        LAYER,
        "random",
        evaluations=200,
        seed=3,
        bypass="free",
        objective="latency",
    )
    assert record["latency_cycles"] == found.latency_cycles
    assert record["objective_value"] == found.objective


def test_explain_is_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    best = toolkit.map("eyeriss", LAYER, evaluations=100)
    file = tmp_path / "best.yaml"
    toolkit.write_mapping(file, best.mapping)
    record = printed(capsys, "explain", "eyeriss", LAYER, str(file))
    why = toolkit.explain(best.mapping, "eyeriss", LAYER)
    assert [part["level"] for part in record["energy"]] == [part.level for part in why.energy]
    assert record["cycles"]["latency_cycles"] == why.cycles.latency_cycles
    assert record["objective_value"] == why.advice.current.objective


def test_fuse_takes_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MappedModel.__init__.__kwdefaults__, "proof_seconds", 0.0)
    network = toolkit.NetworkByHand("two layers")
    network.add_layer("one", toolkit.conv2d(2, 2, 4, 4, 3, 3))
    network.add_layer("two", toolkit.conv2d(2, 2, 4, 4, 1, 1))
    network.add_edge("one", "two")
    quick = toolkit.LayerSearch("random", toolkit.Budget(evaluations=10))
    fused = toolkit.fuse(
        network.graph(), "eyeriss-conv", groups=[["one", "two"]], search=quick, cache=False
    )
    assert fused.partition == (frozenset({"one", "two"}),)


def test_searches_over_hardware_are_recorded_and_joined(tmp_path: Path) -> None:
    network = toolkit.NetworkByHand("one layer")
    network.add_layer("one", toolkit.conv2d(2, 2, 4, 4, 1, 1))
    storage = str(tmp_path / "designs.journal")
    settings = toolkit.JobSettings(mapper_evaluations=10, ranges={"side": [4, 8]})
    found = toolkit.search_hardware(
        [network.graph()],
        "gemmini-ws",
        ["random"],
        storage=storage,
        settings=settings,
        samples=2,
        jobs=1,
        cache=False,
    )
    assert found.best is not None
    assert toolkit.join_studies(storage, cache=False) == {"one layer on gemmini-ws/random/0": 0}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_of_its_function(name: str) -> None:
    function = getattr(toolkit, COMMANDS[name].function)
    # One that serves until it is stopped is called by another process.
    call = "=toolkit.serve_proxy," if name == "proxy" else f"{COMMANDS[name].function}("
    assert call in (function.__doc__ or "").partition("Examples")[2]
