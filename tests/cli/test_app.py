from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import toolkit
from toolkit.arch import Architecture, Compute, Fanout, Memory, arch_to_yaml
from toolkit.cli.app import main
from toolkit.cli.problems import read_problem
from toolkit.cli.space import space_record, space_report
from toolkit.model import EXACT
from toolkit.search import Evaluator
from toolkit.workload import conv2d
from toolkit.yaml_files import dump_yaml, read_yaml

ROOT = Path(toolkit.__file__).parent.parent
DATA = Path(__file__).parents[1] / "data"
EYERISS = toolkit.arch_to_yaml(toolkit.load_arch("eyeriss"))
RANDOM = ("--strategy", "random", "--evaluations", "200")


class Outcome:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.out, parse_constant=pytest.fail)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


def process(*words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "toolkit", *words],
        cwd=cwd,
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
        **options,
    )


@pytest.mark.parametrize(
    ("words", "found"), [("toolkit ma", "map"), ("toolkit map --obj", "--objective")]
)
def test_shells_complete_commands_and_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, found: str
) -> None:
    monkeypatch.setenv("_TOOLKIT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    asked = process(cwd=tmp_path, stdout=subprocess.PIPE)
    assert (asked.stdout.split(), asked.stderr) == ([found], "")


# Finding mappings


def test_map_reports_figures_nest_and_tables(run: Any) -> None:
    outcome = run("map", "eyeriss", "bert-large/KQV", *RANDOM)
    assert (outcome.status, outcome.err) == (0, "")
    for words in (
        "bert-large/KQV (gemm: M = 3,072, K = 1,024, N = 4,096) on eyeriss",
        "EDP ",
        "J·cycle",
        "utilization",
        "bottleneck",
        "200 evaluations",
        "output[m, n] += input[k, n] * weight[m, k]",
        "in total",
        "MAC lanes)",
        "Loop nest (tiles and capacities in words per instance)",
        "Where the energy goes (total of all instances and the whole run)",
        "Where space and time go (per instance; ",
        "Accesses (words, total of all instances and the whole run)",
        "GlobalBuffer",
    ):
        assert words in outcome.out
    assert "\x1b" not in outcome.out


def test_map_without_options(run: Any) -> None:
    record = run("map", "eyeriss", "16", "8", "4", "--json").record
    assert (record["strategy"], record["conventions"], record["seed"]) == ("greedy", "exact", 0)


def test_map_json_fields(run: Any) -> None:
    words = ("--conventions", "factorflow", "--objective", "energy", "--seed", "7", "--json")
    record = run("map", "simba", "128", "768", "512", *RANDOM, *words).record
    kinds = {
        "strategy": str,
        "conventions": str,
        "factors": str,
        "objective": str,
        "objective_unit": str,
        "seed": int,
        "objective_value": float,
        "proved": bool,
        "status": str,
        "certificate": type(None),
        "evaluations": int,
        "invalid_evaluations": int,
        "duplicate_evaluations": int,
        "interrupted": bool,
        "search_seconds": float,
        "trace": list,
        "front": list,
        "arch": str,
        "workload": str,
        "kernel": str,
        "sizes": dict,
        "macs": int,
        "bypass_choices": int,
        "bias_read": bool,
        "mapping": dict,
        "valid": bool,
        "violations": list,
        "energy_total_pj": float,
        "latency_cycles": float,
        "edp_pj_cycles": float,
        "utilization_fraction": float,
        "bottleneck": str,
        "notes": list,
        "accesses": list,
        "memories": list,
        "ports": list,
        "networks": list,
        "energies": list,
    }
    assert {key: type(record[key]) for key in kinds} == kinds
    assert set(record) - set(kinds) == {
        "objective_bound",
        "within_fraction",
        "area_total_um2",
    }
    assert (record["status"], record["within_fraction"]) == ("stopped", None)
    assert (record["strategy"], record["objective"], record["seed"]) == ("random", "energy", 7)
    assert (record["conventions"], record["evaluations"]) == ("factorflow", 200)
    assert record["sizes"] == {"M": 128, "K": 768, "N": 512}
    assert record["objective_value"] == pytest.approx(record["energy_total_pj"])
    assert record["objective_unit"] == "pJ"
    assert record["edp_pj_cycles"] == record["energy_total_pj"] * record["latency_cycles"]
    last = record["trace"][-1]
    assert set(last) == {"evaluations", "seconds_since_start", "objective_value"}
    assert last["objective_value"] == pytest.approx(record["objective_value"], rel=1e-12)


def test_map_is_reproducible(run: Any) -> None:
    first, again, other = (
        run("map", "eyeriss", "64", "64", "64", *RANDOM, "--seed", seed, "--json").record
        for seed in ("1", "1", "2")
    )
    assert first["mapping"] == again["mapping"]
    assert first["mapping"] != other["mapping"]


@pytest.mark.parametrize(
    "words",
    [
        ("gemm:M=16,K=32,N=8",),
        ("16", "32", "8"),
        ("layer.yaml",),
    ],
)
def test_three_ways_to_name_a_workload(
    run: Any, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("layer.yaml").write_text("kernel: gemm\nsizes: {M: 16, K: 32, N: 8}\n")
    record = run("map", "eyeriss", *words, *RANDOM, "--json").record
    assert (record["kernel"], record["macs"]) == ("gemm", 4096)


def test_architecture_file(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(EYERISS.replace("name: eyeriss", "name: 'mine [red]:boom:'"))
    outcome = run("map", str(path), "8", "8", "8", *RANDOM)
    assert "on mine [red]:boom:, 512 MACs" in outcome.out


def test_padding(run: Any) -> None:
    words = ("map", "gemmini", "100", "100", "100", *RANDOM, "--json")
    assert run(*words, "--pad", "M", "--pad", "K").status == 2
    for pad in (("--pad", "all"), ("--pad", "M", "--pad", "K", "--pad", "N")):
        record = run(*words, *pad).record
        assert record["sizes"] == {"M": 112, "K": 112, "N": 112}
        assert any(note.startswith("padded M from 100 to 112") for note in record["notes"])


# Evaluating mappings


@pytest.mark.parametrize("name", ["best.yaml", "best.json"])
@pytest.mark.parametrize("conventions", ["exact", "factorflow"])
def test_saved_mapping_costs_the_same(
    run: Any, tmp_path: Path, name: str, conventions: str
) -> None:
    path = str(tmp_path / name)
    problem = ("eyeriss-conv", "resnet18/L5", "--conventions", conventions, "--bias-read")
    found = run("map", *problem, *RANDOM, "--save", path, "--json").record
    record = run("evaluate", *problem[:2], path, *problem[2:], "--json").record
    shared = set(record) & set(found)
    assert shared >= {"energy_total_pj", "latency_cycles", "mapping", "accesses", "memories"}
    assert {key: record[key] for key in shared} == {key: found[key] for key in shared}


def test_printed_json_can_be_evaluated(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "printed.json"
    found = run("map", "simba", "128", "768", "512", *RANDOM, "--json")
    path.write_text(found.out)
    outcome = run("evaluate", "simba", "128", "768", "512", str(path), "--json")
    assert outcome.record["energy_total_pj"] == found.record["energy_total_pj"]


def test_evaluate_reports_like_map(run: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "best.yaml")
    found = run("map", "eyeriss", "64", "64", "64", *RANDOM, "--save", path)
    outcome = run("evaluate", "eyeriss", "64", "64", "64", path)
    lines = [
        line
        for line in found.out.splitlines()
        if not line.startswith(("  search ", "  effort ", "  status "))
    ]
    assert outcome.out.splitlines() == lines


def test_evaluate_names_every_violation(run: Any, tmp_path: Path) -> None:
    levels = [{"level": level.name} for level in toolkit.load_arch("eyeriss").levels]
    levels[4]["factors"] = {"M": 2, "K": 32, "N": 8}
    path = tmp_path / "invalid.yaml"
    path.write_text(dump_yaml({"levels": levels}))
    outcome = run("evaluate", "eyeriss", "4", "32", "8", str(path))
    assert (outcome.status, outcome.out) == (2, "")
    for words in (
        "factors of M multiply to 2 but M is 4",
        "InRegister: factor 32 of K breaks the constraint K == 1",
        "InRegister: footprint 256 words > 24 usable",
    ):
        assert words in outcome.err


# Measuring, listing, showing


def test_space_of_a_small_problem(run: Any) -> None:
    record = run("space", "eyeriss", "2", "1", "1", "--json").record
    # M may go to DRAM, GlobalBuffer, SACols, SARows, OutRegister.
    assert (record["tilings"], record["tilings_exact"]) == (5, True)
    assert record["mappings"] == record["tilings"] * record["orders_per_tiling"]
    assert "tilings        5, " in run("space", "eyeriss", "2", "1", "1").out


def test_estimated_space_says_so() -> None:
    problem = read_problem("simba", ("128", "768", "512"), "edp", EXACT, (), False)
    size = toolkit.space_size(problem.space, effort=1)
    record = space_record(problem, size)
    assert record["tilings_exact"] is False
    assert record["tilings_standard_error"] > 0
    _, _, tilings, _, _, mappings = space_report(problem, size)
    assert " about " in tilings and "(standard error)" in tilings
    assert " about " in mappings


@pytest.mark.parametrize("kind", ["archs", "conventions"])
def test_list_matches_golden_file(run: Any, kind: str) -> None:
    assert run("list", kind).out == (DATA / f"list_{kind}.txt").read_text()


def test_list_strategies_says_what_they_do(run: Any) -> None:
    entries = run("list", "strategies", "--json").record["strategies"]
    assert [entry["name"] for entry in entries] == list(toolkit.STRATEGIES)
    assert all(entry["description"].endswith(".") for entry in entries)


def test_list_workloads(run: Any) -> None:
    lines = run("list", "workloads").out.splitlines()
    assert tuple(line.split()[0] for line in lines) == toolkit.workload_names()


def test_list_networks_says_how_large_they_are(run: Any, monkeypatch: Any) -> None:
    # Reading all of them takes seconds.
    monkeypatch.setattr("toolkit.load_network", lambda *_: pytest.fail("read"))
    lines = run("list", "networks").out.splitlines()
    assert tuple(line.split()[0] for line in lines) == toolkit.network_names()
    row = re.sub(r" +", " ", next(line for line in lines if line.startswith("resnet50 ")))
    assert row == (
        "resnet50 25,557,032 parameters 4,089,184,256 MACs batch=1 height=224 width=224 "
        "fp32, fp16, bf16, int8"
    )
    entries = run("list", "networks", "--json").record["networks"]
    assert tuple(entry["name"] for entry in entries) == toolkit.network_names()


@pytest.mark.parametrize("kind", ["archs", "workloads", "strategies", "conventions"])
def test_list_json_is_one_object(run: Any, kind: str) -> None:
    record = run("list", kind, "--json").record
    names = [line.split()[0] for line in run("list", kind).out.splitlines()]
    assert list(record) == [kind]
    if kind != "conventions":
        assert [entry["name"] for entry in record[kind]] == names


def test_shown_architecture_is_a_file(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "copy.yaml"
    path.write_text(run("show", "arch", "tpu-conv").out)
    assert toolkit.load_arch(path) == toolkit.load_arch("tpu-conv")
    record = run("show", "arch", "tpu-conv", "--json").record
    assert record == {"arch": read_yaml(path)}


def test_shown_workload_is_a_file(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "copy.yaml"
    path.write_text(run("show", "workload", "conv-benchmark/XIII").out)
    assert toolkit.load_workload(path) == toolkit.load_workload("conv-benchmark/XIII")


@pytest.mark.parametrize(
    "words", [(), ("map",), ("evaluate",), ("explain",), ("space",), ("list",), ("show",)]
)
def test_help_shows_examples(run: Any, words: tuple[str, ...]) -> None:
    outcome = run(*words, "--help")
    assert outcome.status == 0
    assert ("Examples:" in outcome.out) is bool(words)


def test_version(run: Any) -> None:
    assert run("--version").out == f"{toolkit.__version__}\n"


# Wrong input


def eyeriss_with(old: str, new: str) -> str:
    assert old in EYERISS
    return EYERISS.replace(old, new, 1)


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(8 * [f'*{before}'])}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
CHIP = """\
name: narrow
kernel: gemm
levels:
  - memory: DRAM
    capacity_words: unlimited
    access_energy_pj: 64
    bandwidth_words_per_cycle: 8
    word_bits: 16
  - memory: Buffer
    capacity_words: 64
    access_energy_pj: 2
    bandwidth_words_per_cycle: 8
    word_bits: 16
  - {compute: MAC, mac_energy_pj: {8: 0.2}}
"""
FILES = {
    "bomb.yaml": BOMB,
    "deep.yaml": "[" * 5000,
    "open.yaml": "name: [\n",
    "empty.yaml": "",
    "binary.yaml": "\x00\x01",
    "negative.yaml": eyeriss_with("mesh: 14", "mesh: -14"),
    "zero.yaml": "kernel: gemm\nsizes: {M: 0, K: 1, N: 1}\n",
    "infinite.yaml": eyeriss_with("mac_energy_pj: 0.21", "mac_energy_pj: .inf"),
    "nan.yaml": eyeriss_with("mac_energy_pj: 0.21", "mac_energy_pj: .nan"),
    "misspelt.yaml": eyeriss_with("bypasses: [weight]", "bypasses: [weigth]"),
    "unknown_key.yaml": eyeriss_with("mesh: 14", "mehs: 14"),
    "tight.yaml": eyeriss_with("capacity_words: 24", "capacity_words: 0"),
    "bytes.yaml": CHIP.replace("    word_bits: 16\n", "").replace(
        "capacity_words: 64", "capacity_bytes: 64"
    ),
    "seconds.yaml": CHIP.replace("bandwidth_words_per_cycle: 8", "bandwidth_gb_per_s: 8"),
    "narrow.yaml": CHIP.replace(
        "    word_bits: 16\n  - {comp", "    word_bits: 16\n    packed: false\n  - {comp"
    ),
    "levels.yaml": "levels: []\n",
    "factors.yaml": "levels: [{level: DRAM, factors: {M: 1.5}}]\n",
}
MAP = ("map", "eyeriss", "8", "8", "8")
WRONG = {
    "unknown architecture": ("map", "eyeris", "8", "8", "8", "did you mean 'eyeriss'?"),
    "unknown group": ("map", "eyeriss", "bert-larg/KQV", "did you mean bert-large/KQV"),
    "unknown member": ("map", "eyeriss", "bert-large/KQ", "bert-large/KQV"),
    "group": ("map", "eyeriss", "bert-large", "names a group"),
    "empty names": ("map", "", "", "unknown architecture ''"),
    "zero size": ("map", "eyeriss", "0", "8", "8", "M: expected an integer from 1"),
    "negative size": ("map", "--", "eyeriss", "8", "8", "-8", "N: expected a plain integer"),
    "negative first": ("map", "eyeriss", "-8", "8", "8", "-8 is negative; expected sizes from 1"),
    "name of a file": ("map", "tight", "8", "8", "8", "did you mean the file tight.yaml?"),
    "folder here": ("map", ".", "8", "8", "8", "unknown architecture '.' (a folder)"),
    "folder for a workload": ("map", "eyeriss", ".", "unknown workload '.' (a folder)"),
    "network": ("map", "eyeriss", "llama3-8b", "'llama3-8b' is a network, whose layers"),
    "network in int4": ("map", "eyeriss", "llama3-8b:int4", "'llama3-8b' is a network"),
    "fraction": ("map", "eyeriss", "8", "8.5", "8", "K: expected a plain integer"),
    "two sizes": ("map", "eyeriss", "8", "8", "three, six or ten integers (M K N"),
    "absurd size": ("map", "eyeriss", "8", "8", 30 * "9", "N: expected a plain integer"),
    "absurd product": ("map", "eyeriss", *3 * ("2147483648",), *RANDOM, "2^53"),
    "missing dimension": ("map", "eyeriss", "gemm:M=8,K=8", "missing N"),
    "nan size": ("map", "eyeriss", "gemm:M=8,K=8,N=nan", "N: expected a plain integer"),
    "no bits": ("map", "eyeriss", "gemm:M=8,K=8,N=8,bits=0", "bits: expected an integer from 1"),
    "half a bit": ("map", "eyeriss", "gemm:M=8,K=8,N=8,bits=.5", "bits: expected a plain integer"),
    "bytes of what": (
        "map",
        "bytes.yaml",
        "8",
        "8",
        "8",
        "bytes.yaml: levels[1]: capacity_bytes: expected word_bits with it",
    ),
    "seconds of what": (
        "map",
        "seconds.yaml",
        "8",
        "8",
        "8",
        "seconds.yaml: levels[0].bandwidth_gb_per_s: expected clock_mhz of the architecture",
    ),
    "narrow words": (
        "map",
        "narrow.yaml",
        "gemm:M=8,K=8,N=8,bits=8,sum_bits=32",
        "narrow: levels[1].word_bits: Buffer has words of 16 bits that are not packed",
    ),
    "wide operands": (
        "map",
        "narrow.yaml",
        "gemm:M=8,K=8,N=8,bits=16",
        "narrow: levels[2].mac_energy_pj: MAC has energies for operands of 8 bits",
    ),
    "wrong kernel": ("map", "eyeriss", "resnet18/L1", "is eyeriss-conv meant"),
    "does not fit": (
        "map",
        "gemmini",
        "100",
        "100",
        "100",
        "--factors",
        "perfect",
        "M to 112 and K to 112 and N to 112 would fit",
    ),
    "unknown strategy": (*MAP, "--strategy", "greddy", "did you mean 'greedy'"),
    "unknown objective": (*MAP, "--objective", "speed", "expected one of edp"),
    "unknown conventions": (*MAP, "--conventions", "x", "expected one of exact, steady,"),
    "unknown pad": (*MAP, "--pad", "Q", "unknown dimension 'Q'"),
    "no limit": (*MAP, "--strategy", "random", "needs a limit"),
    "no evaluations": (*MAP, "--evaluations", "0", "--evaluations"),
    "nan seconds": (*MAP, "--seconds", "nan", "seconds: nan is not a positive number"),
    "inf seconds": (*MAP, "--seconds", "inf", "seconds: inf is not a positive number"),
    "negative seconds": (*MAP, "--seconds", "-1", "seconds: -1.0 is not"),
    "text seconds": (*MAP, "--seconds", "x", "--seconds"),
    "negative seed": (*MAP, "--seed", "-1", "--seed"),
    "unknown option": (*MAP, "--sead", "1", "No such option"),
    "no arguments": ("map", "Missing argument 'ARCH'"),
    "unknown command": ("mapp", "No such command 'mapp'"),
    "unknown listing": ("list", "arch", "'archs'"),
    "unknown shown": ("show", "arch", "eyeris", "did you mean 'eyeriss'?"),
    "save nowhere": (*MAP, "--save", "missing/best.yaml", "lies in no folder"),
    "save onto a folder": (*MAP, "--save", ".", "'.' is a folder"),
    "save to nothing": (*MAP, "--save", "", "expected the name of a file"),
    "save to a device": (*MAP, "--save", "/dev/null", "--save: '/dev/null' is not a regular"),
    "seconds by its option": (*MAP, "--seconds", "0", "toolkit: --seconds: 0.0 is not"),
    "usage in one line": (*MAP, "--seed", "-1", "toolkit: Invalid value for '--seed'"),
    "save too long": (*MAP, "--save", 300 * "x", "too long"),
    "missing file": ("map", "missing.yaml", "8", "8", "8", "missing.yaml: no such file"),
    "folder": ("map", "folder.yaml", "8", "8", "8", "folder.yaml: is a directory"),
    "bomb": ("map", "bomb.yaml", "8", "8", "8", "anchors and aliases"),
    "bomb as workload": ("map", "eyeriss", "bomb.yaml", "anchors and aliases"),
    "bomb as mapping": ("evaluate", *MAP[1:], "bomb.yaml", "anchors and aliases"),
    "deep": ("map", "deep.yaml", "8", "8", "8", "nest"),
    "malformed": ("map", "open.yaml", "8", "8", "8", "open.yaml: not valid YAML: line 2"),
    "empty": ("map", "empty.yaml", "8", "8", "8", "empty.yaml: expected a mapping"),
    "binary": ("map", "eyeriss", "binary.yaml", "binary.yaml: not valid YAML"),
    "negative mesh": ("map", "negative.yaml", "8", "8", "8", "levels[2].mesh: expected"),
    "zero in a file": ("map", "eyeriss", "zero.yaml", "zero.yaml: sizes.M: expected at least 1"),
    "infinite energy": ("map", "infinite.yaml", "8", "8", "8", "mac_energy_pj: expected a fin"),
    "nan energy": ("map", "nan.yaml", "8", "8", "8", "mac_energy_pj: expected a fin"),
    "unknown bypass": ("map", "misspelt.yaml", "8", "8", "8", "did you mean 'weight'?"),
    "unknown key": ("map", "unknown_key.yaml", "8", "8", "8", "did you mean 'mesh'?"),
    "no capacity": ("map", "tight.yaml", "8", "8", "8", "capacity_words: expected"),
    "missing mapping": ("evaluate", *MAP[1:], "missing.yaml", "missing.yaml: no such file"),
    "no levels": ("evaluate", *MAP[1:], "levels.yaml", "missing DRAM, GlobalBuffer"),
    "not a mapping": ("evaluate", *MAP[1:], "zero.yaml", "kernel: unknown key"),
    "broken factor": ("evaluate", *MAP[1:], "factors.yaml", "levels[0].factors.M"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gives_one_message(
    run: Any, case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("folder.yaml").mkdir()
    before = sorted(tmp_path.iterdir())
    *words, expected = WRONG[case]
    outcome = run(*words)
    assert (outcome.status, outcome.out) == (2, "")
    assert expected in outcome.err
    assert "Traceback" not in outcome.err
    assert sorted(tmp_path.iterdir()) == before


def test_a_failed_search_leaves_the_saved_file_alone(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("precious\n")
    assert run(*MAP, "--strategy", "random", "--save", str(path)).status == 2
    assert path.read_text() == "precious\n"


def test_genuine_bugs_are_not_hidden(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit, "make_problem", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(*MAP)


def test_interruption(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolkit, "make_problem", interrupt)
    outcome = run(*MAP)
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "toolkit: interrupted\n")


# As a process


def test_process_from_another_folder(tmp_path: Path) -> None:
    words = ("map", "tpu", "maestro-blas/MB6", *RANDOM, "--json", "--save", "best.json")
    done = process(*words, cwd=tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, "")
    saved = json.loads((tmp_path / "best.json").read_text())
    assert saved == json.loads(done.stdout)["mapping"]
    assert [path.name for path in tmp_path.iterdir()] == ["best.json"]


def test_process_with_wrong_input(tmp_path: Path) -> None:
    done = process("map", "eyeriss", "nothing", cwd=tmp_path, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("toolkit: unknown workload 'nothing'")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="pipes differ")
@pytest.mark.parametrize("words", [("list", "workloads"), ("--help",)])
def test_closed_pipe_is_quiet(tmp_path: Path, words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = process(*words, cwd=tmp_path, stdout=closed)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("list", "archs"), "standard output: cannot be written: "),
        (("--version",), ""),
        (("show", "--help"), ""),
    ],
)
def test_full_disk_is_told(tmp_path: Path, words: tuple[str, ...], place: str) -> None:
    with open("/dev/full", "w") as full:
        done = process(*words, cwd=tmp_path, stdout=full)
    assert done.returncode == 2
    assert done.stderr == f"toolkit: {place}No space left on device\n"


def test_closed_output_is_quiet(tmp_path: Path) -> None:
    command = f"{sys.executable} -m toolkit list archs >&-"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(os.name != "posix", reason="shells differ")
def test_closed_messages_go_nowhere(tmp_path: Path) -> None:
    """As where a daemon starts it: progress is told to nobody, and results are as ever."""
    words = "sample eyeriss 4 4 4 --count 2 --json"
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m toolkit {words} 2>&-"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["kinds"]["drawn"]


@pytest.mark.parametrize("factors", ["perfect", "ragged"])
def test_fronts_are_listed(run: Any, factors: str) -> None:
    words = ("eyeriss", "6", "4", "8", "--objective", "energy,latency", "--strategy", "exact")
    words += ("--factors", factors)
    record = run("map", *words, "--json").record
    lines = run("map", *words).out.partition("all there are")[2].splitlines()
    assert len(lines[3:]) == len(record["front"]) >= 1
    assert ("tilings_covered" in record["certificate"]) is (factors == "perfect")


def test_an_unfinished_proof_does_not_count_what_it_left_out(run: Any, tmp_path: Path) -> None:
    """Counting alone would take hours: two fanouts unroll anything."""
    layer = conv2d(256, 240, 56, 56, 3, 3, n=4)
    fanouts = [Fanout(name, 64, layer.dimensions) for name in ("Rows", "Columns")]
    levels = (Memory("DRAM", None, 50, 50, 4, 4), *fanouts, Memory("Buffer", 4096, 5, 5, 16, 16))
    arch = Architecture("many", (*levels, Compute("MAC", 0.5)))
    (tmp_path / "many.yaml").write_text(arch_to_yaml(arch))
    words = (str(tmp_path / "many.yaml"), layer.name, "--strategy", "exact", "--seconds", "0.2")
    certificate = run("map", *words, "--json").record["certificate"]
    assert certificate["unfinished"] > 0
    assert "tilings_covered" not in certificate
    out = run("map", *words).out
    assert "best possible" in out and "unfinished" in out and "covers" not in out


@pytest.mark.parametrize(
    ("objective", "figure", "unit", "scale"),
    [
        ("edp", "EDP", "J·cycle", 1e12),
        ("energy", "energy", "mJ", 1e9),
        ("latency", "latency", "cycles", 1.0),
        ("energy*latency^2", "objective", "pJ*cycles^2", 1.0),
    ],
)
def test_a_bound_stands_in_the_unit_of_its_figure(
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
    objective: str,
    figure: str,
    unit: str,
    scale: float,
) -> None:
    """The clock ticks when it is read, so that every machine is stopped in the same place."""
    words = ("eyeriss", "bert-large/KQV", "--strategy", "exact", "--seconds", "0.3")
    words = ("map", *words, "--factors", "perfect", "--objective", objective)
    found = []
    for form in ((), ("--json",)):
        ticks = itertools.count()
        clock = property(lambda _, ticks=ticks: next(ticks) / 10)
        monkeypatch.setattr(Evaluator, "seconds", clock)
        found.append(run(*words, *form))
    record, out = found[1].record, found[0].out
    value, bound = record["objective_value"], record["objective_bound"]
    assert 0 < bound < value
    assert record["within_fraction"] == pytest.approx(value / bound - 1)
    number = r"[\d.,e+-]+"
    assert re.search(rf"^  {figure} .*{number} {re.escape(unit)}", out, re.MULTILINE)
    pattern = (
        rf"^  status +(within ({number}) % of the best possible); "
        rf"bound ({number}) {re.escape(unit)}.*, ({number}) % below$"
    )
    line = re.search(pattern, out, re.MULTILINE)
    assert line is not None
    within, shown, below = (float(text.replace(",", "")) for text in line.groups()[1:])
    assert line[1] == record["status"]
    assert within == pytest.approx(100 * (value / bound - 1), rel=0.01)
    assert below == pytest.approx(100 * (1 - bound / value), rel=0.01)
    assert shown * scale == pytest.approx(bound, rel=1e-5)
    assert re.search(r"effort .* \(mappings costed in full; bounds cover the rest\)\n", out)


def test_what_ended_without_a_proof_claims_nothing(run: Any) -> None:
    words = ("map", "eyeriss", "8", "4", "4")
    assert "  status" not in run(*words).out
    assert run(*words, "--json").record["status"] == ""
    assert "  status       stopped; no bound known\n" in run(*words, *RANDOM).out
    proved = run(*words, "--strategy", "exact").out
    assert "  status       proved optimal\n" in proved
    assert "mappings costed in full" in proved
