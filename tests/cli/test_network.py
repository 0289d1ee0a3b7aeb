"""`toolkit network` as a user runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cli.test_app import Outcome
from workload.tiny_networks import model, node, value, write

import toolkit
from toolkit.cli.app import main
from toolkit.cli.network_options import read_dims
from toolkit.errors import InputError

ROOT = Path(toolkit.__file__).parent.parent
MODELS = Path(__file__).parent.parent / "data" / "networks"
BERT = (str(MODELS / "bert_layer.onnx"), "eyeriss", "--dim", "batch=1", "--dim", "seq=16")
FEW = ("--evaluations", "100", "--jobs", "1")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Outcome:
        status = main(("network", *words))
        return Outcome(status, *capsys.readouterr())

    return call


def test_layers_totals_and_what_was_assumed(run: Any) -> None:
    outcome = run(*BERT, *FEW, "--no-cache")
    assert outcome.status == 0
    for words in (
        "bert_layer on eyeriss, 24 layers",
        "views cost nothing",
        "MatMul",
        "Softmax",
        "113,639,424 in 8 layers",
        "16 lanes, 0.21 pJ per operation, fed by GlobalBuffer (assumed: the architecture",
        "objective edp, exact conventions: 5 workloads searched",
        "Where the energy goes",
        "VectorUnit",
    ):
        assert words in outcome.out
    lines = outcome.err.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("1/5 ")
    assert lines[-1].endswith("evaluations")


def test_the_same_command_reads_back(run: Any, tmp_path: Path) -> None:
    words = (*BERT, *FEW, "--cache", str(tmp_path / "kept"), "--json")
    first, again = run(*words).record, run(*words)
    assert again.err == ""
    assert first["status"] == again.record["status"] == "8 stopped"
    assert again.record["totals"] == first["totals"]
    assert (first["searches"], again.record["cached_searches"]) == (5, 5)
    assert again.record["vector_unit"]["assumed"] is True
    layer = next(row for row in first["layers"] if row["class"] == "einsum")
    assert (layer["lowering"], layer["macs"]) == ("direct", 16 * 768 * 768)
    assert layer["mapping"]["levels"][0]["level"] == "DRAM"


def test_a_network_by_name_needs_no_file(run: Any) -> None:
    record = run("resnet18", "gemmini-ws", *FEW, "--no-cache", "--json").record
    assert (record["network"], record["totals"]["macs"]) == ("resnet18", 1_814_073_344)
    words = ("gpt2:int4", "eyeriss", *FEW, "--no-cache", "--json", "--dim", "past=15")
    assert run(*words).record["network"] == "gpt2:int4"
    wrong = run("resnet19", "eyeriss")
    assert (wrong.status, wrong.out, wrong.err.count("\n")) == (2, "", 1)
    assert "did you mean 'resnet18'?" in wrong.err


def test_tables_and_pictures_go_to_a_folder(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "new"
    record = run(*BERT, *FEW, "--no-cache", "--out", str(out), "--json").record
    names = {path.name for path in out.iterdir()}
    assert {str(out / name) for name in names} == set(record["files"])
    assert {"layers.csv", "totals.csv", "levels.csv"} <= names
    assert {"roofline.png", "roofline.html", "graph.png", "graph.html"} <= names
    layers = pd.read_csv(out / "layers.csv")
    assert layers["energy_total_pj"].sum() == pytest.approx(record["totals"]["energy_total_pj"])


def test_what_is_known_of_the_mappings_is_said(run: Any, tmp_path: Path) -> None:
    words = (*BERT, "--strategy", "exact", "--evaluations", "3", "--jobs", "1")
    words += ("--cache", str(tmp_path / "kept"))
    out = run(*words).out
    assert re.search(r"mappings +8 within \S+ % of the best possible, each layer on its own", out)
    assert re.search(r"\(\d+ evaluations: mappings costed in full; bounds cover the rest\)", out)
    record = run(*words, "--json").record
    known = [row for row in record["layers"] if row["status"]]
    assert len(known) == 8
    assert max(row["within_fraction"] for row in known) > 0
    assert all(row["within_fraction"] is None for row in record["layers"] if not row["status"])
    # Proofs over whole tiles take less time.
    words = (*BERT, "--strategy", "exact", "--factors", "perfect", "--jobs", "1", "--no-cache")
    proved = run(*words, "--json").record
    assert proved["status"] == "8 proved optimal"


def test_dimensions_of_the_other_family_are_lowered_and_reported(run: Any) -> None:
    words = (str(MODELS / "resnet18.onnx"), "simba", "--evaluations", "20", "--jobs", "1")
    outcome = run(*words, "--no-cache")
    assert "im2col" in outcome.out
    assert "the input is laid out 11.7 times" in outcome.out


def fails(run: Any, *words: str) -> str:
    outcome = run(*words)
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    return line.removeprefix("toolkit: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (BERT[:2], "sizes of dynamic dimensions are not given: batch, seq"),
        ((*BERT[:2], "--dim", "batch"), "--dim: expected NAME=SIZE, got 'batch'"),
        ((*BERT, "--dim", "seq=17"), "--dim: 'seq' is given twice"),
        ((*BERT, "--unknown", "guess"), "expected one of error, free, elementwise, got 'guess'"),
        ((*BERT, "--strategy", "gredy", "--no-cache"), "--strategy: unknown strategy 'gredy'"),
        ((*BERT, "--objective", "speed"), "--objective: unknown objective 'speed'"),
        ((*BERT, "--conventions", "mine"), "--conventions: unknown conventions 'mine'"),
        ((*BERT, "--seconds", "0"), "--seconds: 0.0 is not a positive number"),
        ((*BERT, "--cache", "x", "--no-cache"), "--cache: given with --no-cache"),
        (("missing.onnx", "eyeriss"), "missing.onnx: "),
        ((BERT[0], "eyerist"), "unknown architecture 'eyerist' (did you mean 'eyeriss'?)"),
    ],
)
def test_wrong_input_is_one_message(run: Any, words: tuple[str, ...], message: str) -> None:
    assert message in fails(run, *words)


def test_what_does_not_fit_names_the_layer(run: Any) -> None:
    words = (str(MODELS / "resnet18.onnx"), "gemmini", "--no-pad", "--no-cache")
    words += ("--factors", "perfect")
    message = fails(run, *words, *FEW)
    assert message.startswith("resnet18: layer 'Conv_t6' (Conv): gemmini: gemm:M=64,K=147,")
    assert "SACols requires K == 16" in message


def test_a_folder_that_is_a_file_is_refused_before_the_search(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file: cannot be created" in fails(run, *BERT, *FEW, "--out", "file")


def test_dims_are_read() -> None:
    assert read_dims(["a=b=3"]) == {"a=b": 3}
    for word in ("=3", "a=", "a=-1", "a=1.5", "a=1e3", "a", "a=\u0663"):
        with pytest.raises(InputError, match="expected NAME=SIZE"):
            read_dims([word])


def test_reading_back_loads_no_search(tmp_path: Path) -> None:
    code = (
        "import sys; from toolkit.cli.app import main; "
        f"main(['network', {BERT[0]!r}, 'eyeriss', '--dim', 'batch=1', '--dim', 'seq=16', "
        f"'--evaluations', '100', '--jobs', '1', '--cache', {str(tmp_path)!r}]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    for _ in range(2):
        process = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
        )
    assert not set(process.stderr.split()) & {"numba", "pandas", "torch", "optuna", "matplotlib"}


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("weight=4,weight=8", "--bits: 'weight' is given twice"),
        ("four", "--bits: expected file, word, a number, or some of weight=N,activation=N,sum=N"),
        ("weights=4", "bits: unknown key 'weights'; expected some of weight, activation, sum"),
        ("0", "bits['weight']: 0 is not an integer from 1"),
    ],
)
def test_bits_that_are_none_are_refused(run: Any, bits: str, message: str) -> None:
    outcome = run(*BERT, "--bits", bits)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err


def test_bits_of_the_user_halve_the_words(run: Any) -> None:
    words = {}
    for bits in ("word", "16,sum=16", "8,sum=16"):
        outcome = run(*BERT, *FEW, "--no-cache", "--bits", bits, "--json")
        words[bits] = json.loads(outcome.out)["totals"]
    assert words["16,sum=16"]["dram_read_words"] == words["word"]["dram_read_words"]
    assert words["8,sum=16"]["dram_bytes"] < 0.6 * words["16,sum=16"]["dram_bytes"]


def test_the_vector_unit_beside_the_array_is_not_for_fused_layers(run: Any) -> None:
    outcome = run(*BERT, "--fusion", "none", "--overlap-vector")
    assert outcome.status == 2
    assert "--overlap-vector: given with --fusion" in outcome.err
    beside = run(*BERT, *FEW, "--no-cache", "--overlap-vector")
    assert "the vector unit beside the array (" in beside.out


def test_caches_of_keys_grow_in_place_or_are_copied(run: Any, tmp_path: Path) -> None:
    single = node("Attention", "q k v - pk pv", "y pk2 pv2")
    inputs = [value(name, [1, 4, 1, 16]) for name in "qkv"]
    inputs += [value(name, [1, 4, "past", 16]) for name in ("pk", "pv")]
    proto = model([single], inputs, outputs=["y", "pk2", "pv2"], opset=23)
    words = (str(write(tmp_path, proto)), "eyeriss", "--dim", "past=99", *FEW, "--json")
    written = {}
    for option in ((), ("--kv-cache", "copied"), ("--cache", "copied"), ("--cache", "in-place")):
        layers = run(*words, *option).record["layers"]
        (cache,) = [layer for layer in layers if layer["layer"].endswith("/cache")]
        written[option] = cache["dram_write_words"]
    token = 2 * 4 * 16
    assert list(written.values()) == [token, 100 * token, 100 * token, token]
    assert not (tmp_path / "copied").exists()
    refused = run(*words, "--kv-cache", "moved")
    assert (refused.status, "expected one of in-place, copied" in refused.err) == (2, True)


LLAMA = ("llama3.2-1b:int4", "eyeriss", "--evaluations", "50", "--no-cache", "--jobs", "1")


def test_serving(run: Any, tmp_path: Path) -> None:
    written = ("--out", "made", "--report", "page.html")
    outcome = run(*LLAMA, "--prefill", "64", "--decode", "8", "--batch", "2", *written)
    assert outcome.status == 0
    page = (tmp_path / "page.html").read_text()
    assert "What a token costs" in page and "of 2 sequences" in page and len(page) < 1_000_000
    for words in (
        "llama3.2-1b:int4 on eyeriss: 64 tokens of prompt, 8 made, 2 at a time",
        "as the context grows, mapped at 5 lengths and interpolated between",
        "per joule, of 2 sequences",
        "32.77 kB per token",
    ):
        assert words in outcome.out
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert {"serving.csv", "totals.csv", "serving.png", "serving.html"} <= names
    table = pd.read_csv(tmp_path / "made" / "serving.csv")
    assert list(table["context"]) == [0, 64, 66, 68, 69, 71]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--decode", "8"), "--decode: given without --prefill; expected both"),
        (("--prefill", "8", "--fusion", "none"), "--prefill: given with --fusion"),
        (
            ("--prefill", "8", "--dim", "past=lots"),
            "dims['past']: expected a size, or one of batch",
        ),
    ],
)
def test_serving_is_asked_for_as_a_whole(run: Any, words: tuple[str, ...], message: str) -> None:
    outcome = run(*LLAMA, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
