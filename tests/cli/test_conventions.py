"""Switches of the conventions on the command line, in every command that counts costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workload.tiny_networks import model, node, value, weight

import toolkit
from toolkit.cli.app import main
from toolkit.cli.conventions import read_conventions
from toolkit.errors import InputError
from toolkit.model.conventions import switch_values, switched

GEMM = ("eyeriss", "8", "4", "2")
FEW = ("--evaluations", "50")
FREE = ("--switch", "free_drains=true", "--json")


def record(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(list(words)) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_commands_over_one_workload(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = record(capsys, "map", *GEMM, *FEW, "--save", "best.yaml", "--json")
    name = "exact+free_drains=true"
    for command in ("evaluate", "explain"):
        found = record(capsys, command, *GEMM, "best.yaml", *FREE)
        assert found["conventions"] == name
        assert found["energy_total_pj"] < plain["energy_total_pj"]  # type: ignore[operator]
    assert record(capsys, "map", *GEMM, *FEW, *FREE)["conventions"] == name
    perfect = ("--switch", "factors=perfect", "--json")
    assert record(capsys, "space", *GEMM, *perfect)["factors"] == "perfect"
    compared = record(capsys, "compare", *GEMM, "--strategies", "random", *FEW, *FREE)
    assert compared["problems"] == [f"gemm:M=8,K=4,N=2 on eyeriss, edp, {name}, ragged"]


@pytest.mark.parametrize("command", ["network", "networks"])
def test_commands_over_networks(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    proto = model([node("MatMul", "x w")], [value("x", [2, 4])], [weight("w", 4, 3)])
    path = tmp_path / "tiny.onnx"
    path.write_bytes(proto.SerializeToString())
    arch = ("eyeriss",) if command == "network" else ("--arch", "eyeriss")
    found = record(capsys, command, str(path), *arch, *FEW, "--no-cache", *FREE)
    assert found["conventions"] == "exact+free_drains=true"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["free_drain=true"], "did you mean 'free_drains'?); expected some of transfers, "),
        (["free_drains=maybe"], "--switch: free_drains is 'maybe'; expected true or false"),
        (["transfers=all"], "expected per_instance or persistent or sequential"),
        (["free_drains"], "--switch: expected NAME=VALUE, such as free_drains=true, got 'free_d"),
        (["name=mine"], "--switch: unknown switch 'name'; expected some of transfers, "),
        (["factors=ragged", "factors=perfect"], "--switch: 'factors' is given twice"),
        (["transfers=sequential"], "exact+transfers=sequential count whole tiles only"),
    ],
)
def test_wrong_switches(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [part for word in words for part in ("--switch", word)]
    assert main(["map", *GEMM, *FEW, *given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_all_names_stand_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        read_conventions("exact", ["all=true"])
    assert all(name in str(caught.value) for name in switch_values())


def test_what_changes_nothing_has_the_same_name() -> None:
    assert read_conventions("exact", ["free_drains=false"]) == toolkit.EXACT
    turned = {"zero_fills": True, "free_drains": True}
    assert switched(toolkit.EXACT, turned).name == "exact+zero_fills=true+free_drains=true"


@pytest.mark.parametrize(
    ("base", "switch"),
    [
        ("factorflow", "seeds_all=false"),
        ("steady", "transfers=sequential"),
        ("timeloop", "seeds_all=false"),
        ("timeloop-4", "zero_fills=true"),
        ("exact", "shares_at_lanes=false"),
    ],
)
def test_proofs_follow_switches(base: str, switch: str) -> None:
    """The first two once had bounds above what mappings cost."""
    conventions = read_conventions(base, [switch])
    arch = toolkit.load_arch("eyeriss-conv")
    work = toolkit.conv2d(2, 2, 3, 1, 2, 1, stride=2)
    problem = toolkit.make_problem(arch, work, conventions=conventions, factors="perfect")
    proved = toolkit.search_mappings(problem, "exact")
    every = toolkit.search_mappings(problem, "exhaustive")
    assert proved.proved
    assert proved.objective == pytest.approx(every.objective, rel=1e-12)
