from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import toolkit
from toolkit.cli.app import main
from toolkit.cli.explain import WIDTH, explain_report
from toolkit.cli.explain_record import explain_record
from toolkit.cli.problems import read_problem
from toolkit.model import conventions_named
from toolkit.search.explanation import explained
from toolkit.yaml_files import dump_yaml

DATA = Path(__file__).parents[1] / "data"
EYERISS_MAPPING = {
    "levels": [
        {"level": "DRAM", "factors": {"N": 16, "M": 2, "K": 4}, "order": ["N", "K", "M"]},
        {"level": "GlobalBuffer", "factors": {"N": 4}},
        {"level": "SACols", "factors": {"K": 4}},
        {"level": "SARows", "factors": {"M": 8}},
        {"level": "InRegister"},
        {"level": "WRegister", "factors": {"K": 4}},
        {"level": "OutRegister", "factors": {"M": 4}},
        {"level": "Compute"},
    ]
}
EYERISS = ("eyeriss", "64", "64", "64")


@pytest.fixture
def mapping_file(tmp_path: Path) -> str:
    path = tmp_path / "mapping.yaml"
    path.write_text(dump_yaml(EYERISS_MAPPING))
    return str(path)


def output(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    status = main(words)
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    return captured.out


@pytest.mark.parametrize(
    ("options", "name"),
    [((), "explain_eyeriss.txt"), (("--factors", "perfect"), "explain_eyeriss_perfect.txt")],
)
def test_report_matches_golden_file(
    capsys: pytest.CaptureFixture[str], mapping_file: str, options: tuple[str, ...], name: str
) -> None:
    """Written by `toolkit explain eyeriss 64 64 64` with the mapping above, and read by eye."""
    text = output(capsys, "explain", *EYERISS, mapping_file, *options)
    assert text == (DATA / name).read_text()
    assert max(map(len, text.splitlines())) <= WIDTH


BITS = """\
name: narrow
kernel: gemm
levels:
  - memory: DRAM
    capacity_words: unlimited
    access_energy_pj: 64
    bandwidth_words_per_cycle: 8
    word_bits: 16
  - memory: Buffer
    capacity_bytes: 160
    access_energy_pj: 2
    bandwidth_words_per_cycle: 8
    word_bits: 16
  - {compute: MAC, mac_energy_pj: {8: 0.2, 16: 0.7}}
"""


def test_bits_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """8 x 8 outputs in two halves of K, whose sums of 32 bits visit the DRAM in between."""
    arch, mapping = tmp_path / "narrow.yaml", tmp_path / "mapping.yaml"
    arch.write_text(BITS)
    levels = [
        {"level": "DRAM", "factors": {"K": 2, "M": 2}, "order": ["K", "M", "N"]},
        {"level": "Buffer", "factors": {"M": 4, "K": 2, "N": 4}},
        {"level": "MAC"},
    ]
    mapping.write_text(dump_yaml({"levels": levels}))
    given = (str(arch), "gemm:M=8,K=4,N=4,bits=8,sum_bits=32", str(mapping))
    text = output(capsys, "evaluate", *given)
    assert "M = 8, K = 4, N = 4, bits = 8, sum_bits = 32" in text
    # Tiles of 8 operands in half a word each, twice, and of 16 partial sums in two words each.
    assert "Buffer: input 4 + weight 4 + output 32 = 40 of 80 words" in text
    record = json.loads(output(capsys, "evaluate", *given, "--json"))
    rows = {(row["level"], row["tensor"]): row for row in record["accesses"]}
    row = rows["DRAM", "output"]
    assert (row["reads_total_values"], row["updates_total_values"]) == (32, 64)
    assert (row["bits"], row["sum_bits"]) == (8, 32)
    # 32 partial sums come and go in two words each; then 32 results leave in half a word each.
    assert row["moved_total_words"] == 32 * 2 + 32 * 2 + 32 / 2
    assert row["energy_total_pj"] == 64 * row["moved_total_words"]
    assert record["bits"] == {"bits": 8, "sum_bits": 32}
    mac = next(x for x in record["energies"] if x["level"] == "MAC")
    assert mac["access_energy_total_pj"] == pytest.approx(128 * 0.2)
    text = output(capsys, "explain", *given)
    words = " ".join(text.split())
    assert "updates: 64 values of 8 bits (partial sums 32) in 80 words" in words
    assert "reads: 32 values of 8 bits in 16 words" in words
    explained = json.loads(output(capsys, "explain", *given, "--json"))
    part = next(p for p in explained["energy"] if (p["level"], p["tensor"]) == ("DRAM", "output"))
    action = next(a for a in part["actions"] if a["kind"] == "updates")
    assert (action["bits"], action["sum_bits"], action["charged_total_words"]) == (8, 32, 80)


def test_json_has_every_number_with_its_unit(
    capsys: pytest.CaptureFixture[str], mapping_file: str
) -> None:
    text = output(capsys, "explain", *EYERISS, mapping_file, "--json")
    record = json.loads(text, parse_constant=pytest.fail)
    assert record["objective_unit"] == "pJ*cycles"
    parts = record["energy"]
    assert math.fsum(p["energy_total_pj"] for p in parts) == pytest.approx(
        record["energy_total_pj"]
    )
    assert math.fsum(p["share_percent"] for p in parts) == pytest.approx(100)
    weight = next(p for p in parts if (p["level"], p["tensor"]) == ("WRegister", "weight"))
    fills = next(a for a in weight["actions"] if a["kind"] == "fills")
    # W[m,k] enters 16 times, for every n at the DRAM, outside of k and m.
    assert (fills["total_words"], fills["times_each_word"]) == (16 * 64 * 64, 16)
    assert [(r["dimension"], r["times"]) for r in fills["repeated_by"]] == [("N", 16)]
    assert fills["repeated_by"][0]["outside_of"]["dimension"] == "K"
    cycles = record["cycles"]
    parts = (*cycles["idle_instances"], *cycles["waits"], *cycles["stalls"])
    lost = [x["lost_cycles_of_run"] for x in parts]
    whole = cycles["ideal_cycles_of_run"] + math.fsum(lost) + cycles["warm_up_cycles_of_run"]
    assert whole + cycles["rounding_cycles_of_run"] == pytest.approx(record["latency_cycles"])
    room = {use["level"]: use for use in record["limits"]["capacity"]}
    assert room["InRegister"]["used_words_per_instance"] == 4
    assert record["moves"]["improves"] is True
    best = record["moves"]["best"][0]
    change = 100 * (best["objective_value"] / record["objective_value"] - 1)
    assert best["objective_change_percent"] == pytest.approx(change)
    assert best["forbidden_by"] == []
    assert all(move["forbidden_by"] for move in record["moves"]["forbidden"])


def test_the_best_move_can_be_evaluated(
    capsys: pytest.CaptureFixture[str], mapping_file: str, tmp_path: Path
) -> None:
    record = json.loads(output(capsys, "explain", *EYERISS, mapping_file, "--json"))
    best = record["moves"]["best"][0]
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(best))
    result = json.loads(output(capsys, "evaluate", *EYERISS, str(moved), "--json"))
    assert result["energy_total_pj"] == pytest.approx(best["energy_total_pj"], rel=1e-9)
    assert result["latency_cycles"] == pytest.approx(best["latency_cycles"], rel=1e-9)


CASES = {
    "gemm": ("gemmini", "gemm:M=64,K=128,N=96"),
    "strided conv": ("simba-conv", "conv:M=16,C=8,P=14,Q=14,R=3,S=3,stride=2"),
    "depthwise conv": ("eyeriss-conv", "depthwise-conv:C=16,P=14,Q=14,R=3,S=3"),
    "ones": ("simba", "gemm:M=1,K=1,N=1"),
}


OBJECTIVES = ("edp", "latency", "energy", "edp_per_utilization")


@pytest.mark.parametrize("conventions", list(toolkit.CONVENTIONS))
@pytest.mark.parametrize("case", CASES)
def test_every_kernel_under_every_convention(case: str, conventions: str) -> None:
    # Each with each, in turn.
    place = list(CASES).index(case) + list(toolkit.CONVENTIONS).index(conventions)
    objective = OBJECTIVES[place % len(OBJECTIVES)]
    arch, workload = CASES[case]
    problem = read_problem(
        arch, (workload,), objective, conventions_named(conventions), ("all",), False
    )
    budget = toolkit.Budget(evaluations=50)
    mapping = toolkit.search_mappings(problem, "random", budget=budget, seed=1).mapping
    explanation = explained(problem, mapping, problem.factors)
    nest = toolkit.render(mapping, problem.arch, problem.workload)
    lines = explain_report(explanation)
    texts = [line for line in lines if isinstance(line, str) and "output[" not in line]
    assert nest and len(texts) > 20
    assert max(map(len, texts)) <= WIDTH
    assert json.dumps(explain_record(explanation), allow_nan=False)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("explain",), "Missing argument"),
        (("explain", *EYERISS, "missing.yaml"), "missing.yaml: no such file"),
        (("explain", *EYERISS, "bad.yaml"), "InRegister: factor 64 of K breaks"),
        (("explain", *EYERISS, "bad.yaml", "--objective", "x"), "expected one of edp"),
    ],
)
def test_wrong_input_is_told(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    bad: dict[str, Any] = {"levels": [{"level": e["level"]} for e in EYERISS_MAPPING["levels"]]}
    bad["levels"][0]["factors"] = {"M": 64, "N": 64}
    bad["levels"][4]["factors"] = {"K": 64}
    Path("bad.yaml").write_text(dump_yaml(bad))
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err
