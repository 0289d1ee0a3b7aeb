"""`--factors` and `--pad` of all commands, and mappings that break the rules of ragged tiles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome
from workload.tiny_networks import model, node, value, write

import toolkit
from toolkit.arch import Architecture, Compute, Fanout, Memory, arch_to_yaml
from toolkit.cli.app import main
from toolkit.cli.problems import read_pad
from toolkit.yaml_files import dump_yaml

MODELS = Path(__file__).parent.parent / "data" / "networks"
BERT = (str(MODELS / "bert_layer.onnx"), "--dim", "batch=1", "--dim", "seq=13")
FEW = ("--evaluations", "300")

ARRAY = Architecture(
    "array",
    (
        Memory("DRAM", None, 64.0, 64.0, 16.0, 16.0),
        Fanout("Rows", 8, ("M",)),
        Fanout("Columns", 8, ("N",)),
        Memory("Registers", 64, 0.1, 0.1, 64.0, 64.0),
        Compute("MAC", mac_energy_pj=0.2),
    ),
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "array.yaml").write_text(arch_to_yaml(ARRAY))

    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


def mapping(path: Path, factors: dict[str, dict[str, int]]) -> str:
    levels = [
        {"level": level.name, "factors": factors.get(level.name, {})} for level in ARRAY.levels
    ]
    path.write_text(dump_yaml({"levels": levels}))
    return str(path)


def refused(outcome: Outcome) -> str:
    """The one line of a refusal."""
    assert (outcome.status, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    return line


# One problem


def test_ragged_factors_use_lanes_that_perfect_ones_cannot(run: Any) -> None:
    words = ("map", "array.yaml", "8", "4", "23", *FEW, "--json")
    perfect = run(*words, "--factors", "perfect").record
    ragged = run(*words, "--factors", "ragged").record
    assert (perfect["factors"], ragged["factors"]) == ("perfect", "ragged")
    assert ragged["latency_cycles"] < perfect["latency_cycles"] / 4
    assert ragged["sizes"] == perfect["sizes"] == {"M": 8, "K": 4, "N": 23}
    (note,) = perfect["notes"]
    assert note.startswith("less than half of the lanes work: Columns uses 1 of 8 instances: ")
    assert "N = 23 has no factor from 2 to 8; ragged factors (--factors ragged)" in note
    assert ragged["notes"] == []


def test_what_was_searched_is_said(run: Any) -> None:
    words = ("map", "array.yaml", "8", "4", "23", *FEW)
    assert "seed 0, ragged factors\n" in run(*words, "--factors", "ragged").out
    assert "ragged factors\n" not in run(*words, "--factors", "perfect").out


def test_a_ragged_mapping_is_evaluated_and_explained(run: Any) -> None:
    enough = ("--evaluations", "20000")
    run("map", "array.yaml", "8", "4", "23", *enough, "--factors", "ragged", "--save", "m.yaml")
    words = ("array.yaml", "8", "4", "23", "m.yaml")
    evaluated = run("evaluate", *words, "--json").record
    assert evaluated["valid"]
    explained = run("explain", *words, "--json").record
    cycles = explained["cycles"]
    (cut,) = cycles["cut_off_tiles"]
    assert (cut["dimension"], cut["levels"], cut["size"]) == ("N", ["Columns"], 23)
    assert 24 in cut["whole_sizes"]
    parts = [cycles["ideal_cycles_of_run"], cycles["warm_up_cycles_of_run"]]
    for key in ("idle_instances", "cut_off_tiles", "waits", "stalls"):
        parts += [part["lost_cycles_of_run"] for part in cycles[key]]
    assert sum(parts) == pytest.approx(explained["latency_cycles"])
    text = " ".join(run("explain", *words).out.split())
    assert re.search(r"last tiles: Columns unrolls N = 23 in tiles of \d+", text)


def test_suggestions_are_ragged_where_that_is_asked(run: Any, tmp_path: Path) -> None:
    path = mapping(tmp_path / "m.yaml", {"DRAM": {"N": 23}, "Rows": {"M": 8}})
    words = ("explain", "array.yaml", "8", "1", "23", path, "--json")
    ragged = run(*words, "--factors", "ragged").record["moves"]
    perfect = run(*words, "--factors", "perfect").record["moves"]
    assert ragged["tried"] > perfect["tried"]
    best = ragged["best"][0]
    assert best["text"].startswith("iterate N ") and " at Columns" in best["text"]
    assert best["latency_change_percent"] < -40
    # What a suggestion leads to costs what it says.
    (tmp_path / "better.yaml").write_text(dump_yaml(best["mapping"]))
    better = run("evaluate", "array.yaml", "8", "1", "23", "better.yaml", "--json").record
    assert better["latency_cycles"] == best["latency_cycles"]


def test_padding_is_chosen_and_the_mapping_says_it(run: Any) -> None:
    words = ("array.yaml", "8", "4", "23")
    found = run("map", *words, *FEW, "--pad", "M,N", "--save", "m.yaml", "--json").record
    assert (found["factors"], found["sizes"]) == ("perfect", {"M": 8, "K": 4, "N": 24})
    assert found["notes"][0].startswith("padded N from 23 to 24: EDP ")
    for pad in ("all", "N", "M,N"):
        again = run("evaluate", *words, "m.yaml", "--pad", pad, "--json").record
        assert again["edp_pj_cycles"] == found["edp_pj_cycles"]
        assert again["notes"] == [
            "padded N from 23 to 24, as its factors: 4.35 % more multiply-accumulates"
        ]
    assert run("export", *words, "m.yaml", "--pad", "all", "--format", "toolkit").status == 0
    # Of a size that is not padded, the same factors cut the last tile off.
    cut = run("evaluate", *words, "m.yaml", "--pad", "M", "--json").record
    assert cut["macs"] == 8 * 4 * 23


def test_dimensions_are_read_from_lists_and_repetitions() -> None:
    assert read_pad([]) == ()
    assert read_pad(["M", "N, K"]) == ("M", "N", "K")
    assert read_pad(["M", "N,all"]) == "all"


@pytest.mark.parametrize("command", ["map", "space", "compare"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--factors", "odd"), "--factors: 'odd' says nothing of factors"),
        (
            ("--factors", "ragged", "--conventions", "factorflow"),
            "--factors: the conventions factorflow count whole tiles only; expected perfect",
        ),
        (("--factors", "ragged", "--pad", "N"), "--pad: sizes are padded for whole tiles, but"),
        (("--pad", "Q"), "--pad: unknown dimension 'Q'; expected 'all' or some of M, K, N"),
    ],
)
def test_what_cannot_be_is_one_message(
    run: Any, command: str, options: tuple[str, ...], message: str
) -> None:
    line = refused(run(command, "array.yaml", "8", "4", "23", *options))
    assert line.startswith(f"toolkit: {message}")


def test_a_space_says_which_factors_it_counts(run: Any) -> None:
    words = ("space", "array.yaml", "8", "4", "23")
    perfect, ragged = (
        run(*words, "--factors", rule, "--json").record for rule in ("perfect", "ragged")
    )
    assert (perfect["factors"], ragged["factors"]) == ("perfect", "ragged")
    assert ragged["tilings"] > 5 * perfect["tilings"]
    assert "ragged: those of a dimension reach its size" in run(*words, "--factors", "ragged").out
    large = run("space", "array.yaml", "8", "4", "100000", "--factors", "ragged").out
    assert "N = 100,000: of tiles, those up to 4,096" in large
    whole = run("space", "array.yaml", "8", "4", "100000", "--factors", "perfect").out
    assert "100,000: of tiles" not in whole


# Mappings that are none


@pytest.mark.parametrize(
    ("factors", "key", "message"),
    [
        ({"DRAM": {"M": 2}, "Rows": {"M": 3}}, "M", "factors of M multiply to 6 but M is 7"),
        (
            {"DRAM": {"M": 4}, "Rows": {"M": 3}},
            "M",
            "DRAM iterates 4 times over M in tiles of 3, but 3 times reach its 7",
        ),
        (
            {"DRAM": {"M": 7}, "Registers": {"N": 2}},
            "N",
            "Registers iterates 2 times over N in tiles of 1, but 1 times reach its 1",
        ),
    ],
)
def test_factors_that_miss_or_overshoot_a_size_are_one_message(
    run: Any, tmp_path: Path, factors: dict[str, dict[str, int]], key: str, message: str
) -> None:
    path = mapping(tmp_path / "bad.yaml", factors)
    for command in ("evaluate", "explain"):
        line = refused(run(command, "array.yaml", "7", "1", "1", path))
        assert line.startswith(f"toolkit: {path}: factors.{key}: not a valid mapping of ")
        assert message in line


def test_sequential_conventions_count_whole_tiles_only(run: Any, tmp_path: Path) -> None:
    path = mapping(tmp_path / "ragged.yaml", {"DRAM": {"M": 3}, "Rows": {"M": 3}})
    assert run("evaluate", "array.yaml", "7", "1", "1", path).status == 0
    words = ("evaluate", "array.yaml", "7", "1", "1", path, "--conventions", "factorflow")
    assert "factors.M: " in refused(run(*words))


# Many problems


def test_comparisons_keep_ragged_perfect_and_padded_runs_apart(run: Any) -> None:
    words = ("compare", "array.yaml", "8", "4", "23", *FEW, "--strategies", "greedy", "--seeds")
    options = (("--factors", "perfect"), ("--factors", "ragged"), ("--pad", "N"))
    names = [name for o in options for name in run(*words, "1", *o, "--json").record["problems"]]
    base = "gemm:M=8,K=4,N=23 on array, edp, exact"
    assert names == [base, f"{base}, ragged", f"{base}, N padded from 23 to 24"]
    # All three are in one storage, and each goes on from its own runs.
    for option in options:
        assert "(read back)" in run(*words, "1", *option).err


def test_networks_are_mapped_with_ragged_or_padded_tiles(run: Any, tmp_path: Path) -> None:
    words = ("network", *BERT[:1], "array.yaml", *BERT[1:], *FEW, "--cache", "kept", "--jobs", "1")
    found = {
        options: run(*words, *options, "--json").record
        for options in (("--factors", "perfect"), ("--factors", "ragged"), ("--pad", "N"))
    }
    perfect, ragged, padded = found.values()
    assert [record["factors"] for record in found.values()] == ["perfect", "ragged", "perfect"]
    # Nothing that one kept is taken for the other's.
    assert all(record["cached_searches"] == 0 for record in found.values())
    cycles = [record["totals"]["latency_cycles"] for record in (perfect, ragged, padded)]
    assert cycles[1] < cycles[0] and cycles[2] < cycles[0]
    again = run(*words, "--factors", "ragged", "--json").record
    assert again["searches"] == 0 and again["totals"] == ragged["totals"]
    notes = json.dumps(padded["layers"])
    assert "padded N from 13 to 14" in notes or "padded N from 13 to 16" in notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--pad", "N", "--no-pad"), "--pad: given with --no-pad; expected one of them"),
        (("--pad", "N", "--fusion", "greedy"), "--pad: not with --fusion or --group"),
        (("--pad", "Z"), "--pad: unknown dimension 'Z'; expected 'all' or some of "),
        (("--pad", "N", "--factors", "ragged"), "--pad: sizes are padded for whole tiles"),
        (
            ("--factors", "ragged", "--conventions", "factorflow"),
            "--factors: the conventions factorflow count whole tiles only",
        ),
    ],
)
def test_networks_refuse_what_cannot_be(run: Any, options: tuple[str, ...], message: str) -> None:
    line = refused(run("network", BERT[0], "array.yaml", *BERT[1:], *options))
    assert line.startswith(f"toolkit: {message}")


SMALL = (
    *("--template", "gemmini-ws", "--range", "side=8,16", "--strategies", "random"),
    *("--samples", "2", "--jobs", "1", "--evaluations", "100", "--no-cache", "--json"),
)


def test_codesign_keeps_ragged_and_perfect_jobs_apart(run: Any) -> None:
    words = ("codesign", *BERT, *SMALL)
    perfect = run(*words, "--factors", "perfect").record["best"]
    line = refused(run(*words, "--factors", "ragged"))
    assert "holds another job (factors differ)" in line
    ragged = run(*words, "--factors", "ragged", "--name", "ragged").record["best"]
    assert ragged["energy_pj"] != perfect["energy_pj"]


def test_codesign_pads_on_every_point(run: Any, tmp_path: Path) -> None:
    product = model([node("MatMul", "x w", "y")], [value("x", [13, 16]), value("w", [16, 16])])
    outcome = run("codesign", str(write(tmp_path, product)), *SMALL[:-1], "--pad", "P")
    assert outcome.status == 0
    assert "padded P" in outcome.out
    line = refused(run("codesign", *BERT, *SMALL, "--pad", "P", "--fusion", "greedy"))
    assert line.startswith("toolkit: --pad: not with fusion greedy")


def test_the_default_is_what_the_conventions_say(run: Any) -> None:
    for name, conventions in toolkit.CONVENTIONS.items():
        words = ("map", "array.yaml", "8", "4", "2", *FEW, "--conventions", name, "--json")
        assert run(*words).record["factors"] == conventions.factors


def test_a_ragged_proof_counts_ragged_tilings(run: Any) -> None:
    words = ("eyeriss", "7", "5", "3", "--strategy", "exact", "--factors", "ragged")
    record = run("map", *words, "--json").record
    assert record["certificate"]["unfinished"] == 0
    assert "tilings_covered" not in record["certificate"]
    out = run("map", *words).out
    size = toolkit.space_size(
        toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(7, 5, 3)).space
    )
    tilings = f"{size.tilings:,} tilings × {size.orders:,} loop orders"
    assert "proved optimal" in out and tilings in out
