"""``toolkit network --fusion``: report, JSON, files and refusals."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from cli.tiny import tiny_network

from toolkit.cli.app import main

KINDS = ("png", "html")


@pytest.fixture
def model(tmp_path: Path) -> str:
    pytest.importorskip("onnx")
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    return str(path)


@pytest.fixture(autouse=True)
def short_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.fusion import MappedModel

    defaults = MappedModel.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "proof_seconds", 0.2)  # type: ignore[arg-type]


def run(*words: str) -> int:
    return main(["network", *words])


def test_json(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = (model, "eyeriss-conv", "--fusion", "exact", "--no-cache", "--evaluations", "200")
    assert run(*words, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    # Of mapped layers not all plans and mappings are looked at.
    assert not record["proved"]
    assert 0 < record["bound"] < record["value"]
    assert record["within_fraction"] == pytest.approx(record["value"] / record["bound"] - 1)
    assert [group["names"] for group in record["groups"]] == [["one", "two", "sum"]]
    assert record["totals"]["fused"]["dram_words"] < record["totals"]["unfused"]["dram_words"]
    assert record["boundaries"] == []


def test_report_of_one_group(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = (model, "eyeriss-conv", "--fusion", "exact", "--no-cache", "--evaluations", "200")
    assert run(*words) == 0
    text = capsys.readouterr().out
    assert "1 groups" in text
    assert "Why groups end" not in text


def test_limited_groups_come_with_a_bound(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = (model, "eyeriss-conv", "--fusion", "exact", "--no-cache", "--evaluations", "200")
    assert run(*words, "--group-length", "2") == 0
    pattern = (
        r"partition +best of the plans and mappings tried, in groups of up to 2 layers; "
        r"within \S+ % of the best possible; "
        r"bound \S+ J·cycle, \S+ % below\n"
    )
    assert re.search(pattern, capsys.readouterr().out)


def test_report_and_files(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = (model, "eyeriss-conv", "--fusion", "none", "--no-cache", "--evaluations", "200")
    assert run(*words, "--out", str(out)) == 0
    text = capsys.readouterr().out
    assert "fused at GlobalBuffer" in text
    assert "one -> two" in text
    assert (out / "fusion_groups.csv").exists()


@pytest.mark.parametrize("fusion", [(), ("--fusion", "none")])
def test_what_lacks_for_pictures_is_said(
    model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fusion: tuple[str, ...],
) -> None:
    for package in ("plotly", "pyarrow"):
        monkeypatch.setitem(sys.modules, package, None)
    out = tmp_path / "out"
    words = (model, "eyeriss-conv", "--no-cache", "--evaluations", "50", "--out", str(out))
    assert run(*words, *fusion) == 0
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert lines[0].startswith(f"Written to {out}: ")
    assert [line.partition(", which")[0] for line in lines[1:]] == [
        "Parquet needs pyarrow",
        "a picture needs plotly",
    ]
    assert run(*words, *fusion, "--json") == 0
    assert json.loads(capsys.readouterr().out)["not_written"] == lines[1:]
    assert {path.suffix for path in out.iterdir()} == {".csv"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--group", "one,sum"), "is not convex: 'two' must run between its layers"),
        (("--group", "one,two", "--group", "two,sum"), "'two' is in two groups"),
        (("--fusion", "magic"), "unknown fusion strategy 'magic'"),
        (("--fusion", "exact", "--fusion-level", "Buffer"), "no level 'Buffer'"),
        (("--fusion", "exact", "--objective", "edp_per_utilization"), "with --fusion"),
        (("--fusion", "exact", "--group", "one,two"), "--group: given with --fusion"),
        (("--group-length", "3"), "--group-length: means nothing without --fusion"),
        (("--group", "one,two", "--group-length", "3"), "--group-length: means nothing"),
        (("--prefetch",), "--prefetch: means nothing without --fusion or --group"),
        (
            ("--fusion", "none", "--prefetch", "--steady"),
            "prefetch: steady conventions take first loads and last stores for hidden already",
        ),
        (("--fusion-overhead-pj", "1"), "--fusion-overhead-pj: means nothing without --fusion"),
        (
            ("--fusion", "none", "--fusion-overhead-cycles", "-1"),
            "--fusion-overhead-cycles: expected a number from 0, got -1",
        ),
        (
            ("--fusion", "none", "--fusion-overhead-pj", "nan"),
            "--fusion-overhead-pj: expected a number from 0, got nan",
        ),
        (("--fusion-level", "DRAM"), "--fusion-level: means nothing without --fusion or --group"),
    ],
)
def test_refusals(
    model: str, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "eyeriss-conv", "--no-cache", "--evaluations", "200", *words) == 2
    assert message in capsys.readouterr().err


def test_what_fusion_counts_otherwise_is_a_step_with_its_amount(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (model, "eyeriss", "--no-cache", "--evaluations", "200", "--bits", "8")
    assert run(*words, "--json") == 0
    plain = json.loads(capsys.readouterr().out)["totals"]
    assert run(*words, "--fusion", "exact", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    first, *others = record["steps"]
    assert [step["step"] for step in (first, *others)] == ["alone", "words", "windows", "groups"]
    assert first["energy_pj"] == plain["energy_total_pj"]
    assert first["latency_cycles"] == plain["latency_cycles"]
    assert first["dram_words"] == plain["dram_read_words"] + plain["dram_write_words"]
    moved = sum(step["change"]["dram_words"] for step in others)
    assert first["dram_words"] + moved == record["totals"]["fused"]["dram_words"]
    assert run(*words, "--fusion", "exact") == 0
    text = capsys.readouterr().out
    assert "From layers on their own to fused groups" in text
    assert "every value takes a word" in text


@pytest.mark.parametrize("arch", ["eyeriss", "eyeriss-conv"])
def test_nothing_fused_is_what_the_plain_command_says(
    model: str, arch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (model, arch, "--no-cache", "--bits", "word", "--evaluations", "200", "--json")
    assert run(*words) == 0
    plain = json.loads(capsys.readouterr().out)["totals"]
    for fusion in ("none", "exact"):
        assert run(*words, "--fusion", fusion) == 0
        totals = json.loads(capsys.readouterr().out)["totals"]["unfused"]
        assert totals["energy_pj"] == plain["energy_total_pj"]
        assert totals["latency_cycles"] == plain["latency_cycles"]
        assert totals["edp_pj_cycles"] == plain["edp_pj_cycles"]
        assert totals["dram_words"] == plain["dram_read_words"] + plain["dram_write_words"]


def test_gradients_say_how_likely_and_how_far_from_the_best(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "out"
    words = (model, "eyeriss-conv", "--fusion", "gradient", "--no-cache", "--evaluations", "100")
    assert run(*words, "--out", str(out)) == 0
    text = capsys.readouterr().out
    assert re.search(r"against exact +the best partition\n", text)
    assert re.search(r"one -> two +\d+\.\d %", text.replace("%", " %"))
    assert (out / "fusion_chances.csv").read_text().startswith("source,target,tensor,shared,")
    assert run(*words, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [(c["source"], c["target"]) for c in record["chances"]] == [
        ("one", "two"),
        ("two", "sum"),
        ("one", "sum"),
    ]
    assert all(0 <= c["probability"] <= 1 for c in record["chances"])
    assert (record["exact_value"], record["above_exact"]) == (record["value"], 0.0)


def test_files_of_a_fused_network(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("plotly")
    out = tmp_path / "out"
    words = (model, "eyeriss-conv", "--fusion", "exact", "--no-cache", "--evaluations", "100")
    assert run(*words, "--out", str(out), "--json") == 0
    names = {Path(file).name for file in json.loads(capsys.readouterr().out)["files"]}
    pictures = {f"{what}.{kind}" for what in ("fusion", "fusion_timelines") for kind in KINDS}
    assert names >= pictures | {"fusion_groups.csv", "fusion_boundaries.csv"}


def test_dear_fusions_are_left_out(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = (model, "eyeriss-conv", "--fusion", "exact", "--no-cache", "--evaluations", "100")
    assert run(*words, "--json", "--fusion-overhead-pj", "1e12") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["overhead"] == {"energy_pj": 1e12, "cycles": 0.0}
    assert len(record["groups"]) == 3
    assert run(*words, "--fusion-overhead-pj", "10", "--fusion-overhead-cycles", "2") == 0
    assert re.search(r"fusion overhead +20 pJ \(unfused 0 pJ\)", capsys.readouterr().out)


def test_what_is_hidden_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    def weight(name: str) -> object:
        return helper.make_tensor(name, TensorProto.FLOAT, (2, 2, 3, 3), [0.5] * 36)

    value, sources = helper.make_tensor_value_info, {"a": "x", "b": "a", "c": "z"}
    nodes = [
        helper.make_node("Conv", [source, f"{name}w"], [name], name=name, pads=[1] * 4)
        for name, source in sources.items()
    ]
    nodes.append(helper.make_node("Add", ["b", "c"], ["y"], name="sum"))
    shape, kind = (1, 2, 8, 8), TensorProto.FLOAT
    inputs, outputs = ([value(name, kind, shape) for name in names] for names in ("xz", "y"))
    weights = [weight(f"{name}w") for name in sources]
    proto = helper.make_model(
        helper.make_graph(nodes, "branches", inputs, outputs, weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    path = tmp_path / "branches.onnx"
    path.write_bytes(proto.SerializeToString())
    words = (str(path), "eyeriss-conv", "--group", "a,b", "--group", "c,sum", "--no-cache")
    words = (*words, "--evaluations", "200", "--objective", "latency")
    assert run(*words, "--json") == 0
    apart = json.loads(capsys.readouterr().out)
    assert (apart["prefetch"], apart["hidden_cycles"]) == (False, 0)
    assert run(*words, "--prefetch", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    hidden = found["hidden_cycles"]
    assert found["prefetch"] and hidden > 0
    assert sum(group["hidden_cycles"] for group in found["groups"]) == hidden
    assert [group["early_words"] for group in found["groups"]] == [{}, {"z": 48}]
    latencies = [r["totals"]["fused"]["latency_cycles"] for r in (apart, found)]
    assert latencies[1] == pytest.approx(latencies[0] - hidden)
    assert found["value"] == pytest.approx(latencies[1])
    assert [step["step"] for step in found["steps"]][-1] == "prefetch"
    assert run(*words, "--prefetch") == 0
    text = capsys.readouterr().out
    assert re.search(rf"hidden by prefetch +{hidden:,.0f} cycles: 48 words come early", text)
