from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import toolkit
from toolkit.cli.app import main

CONV = "conv:M=64,P=112,Q=112,C=3,R=7,S=7,stride=2"
COMPACT = "L3[WIO] P28 Q56 K8 S7 - L2[WI] N1 K4X - L1[O] K2 R7 Q2 C3X - L0[W] P4\n"


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str) -> tuple[int, str, str]:
        status = main(words)
        return status, *capsys.readouterr()

    return call


def save_best(run: Any, name: str = "zigzag") -> None:
    """Save a mapping that a format has words for: ZigZag cuts no tile off."""
    words = ("--strategy", "random", "--evaluations", "50", "--save", "best.yaml")
    factors = ("--factors", "perfect") if name == "zigzag" else ()
    assert run("map", "eyeriss", "bert-large/KQV", *words, *factors)[0] == 0


@pytest.mark.parametrize("name", list(toolkit.MAPPING_FORMATS))
def test_exported_mappings_cost_the_same(run: Any, name: str) -> None:
    save_best(run, name)
    problem = ("eyeriss", "bert-large/KQV")
    status, text, err = run("export", *problem, "best.yaml", "--format", name)
    assert (status, err) == (0, "")
    Path("peer.txt").write_text(text)
    _, expected, _ = run("evaluate", *problem, "best.yaml", "--json")
    for given in ("auto", name):
        _, found, _ = run("evaluate", *problem, "peer.txt", "--format", given, "--json")
        costs = [json.loads(out)["edp_pj_cycles"] for out in (expected, found)]
        assert costs[0] == costs[1]


def test_published_map_is_evaluated(run: Any) -> None:
    Path("a.map").write_text(COMPACT)
    record = json.loads(run("evaluate", "gemmini-ws", CONV, "a.map", "--steady", "--json")[1])
    assert record["latency_cycles"] == 9834496
    levels = {level["level"]: level["factors"] for level in record["mapping"]["levels"]}
    assert levels["Columns"] == {"M": 4}


@pytest.mark.parametrize("name", list(toolkit.MAPPING_FORMATS))
def test_saved_export_is_what_would_be_printed(run: Any, name: str) -> None:
    Path("a.map").write_text(COMPACT)
    words = ("export", "gemmini-ws", CONV, "a.map", "--format", name)
    _, printed, _ = run(*words)
    assert run(*words, "--save", "out.yaml") == (0, "", "")
    assert Path("out.yaml").read_text() == printed
    record = json.loads(run(*words, "--json")[1])
    assert record == {"arch": "gemmini-ws", "workload": CONV, "format": name, "text": printed}


def test_own_format_is_json_in_a_json_file(run: Any) -> None:
    Path("a.map").write_text(COMPACT)
    run("export", "gemmini-ws", CONV, "a.map", "--format", "toolkit", "--save", "out.json")
    assert json.loads(Path("out.json").read_text())["levels"][0]["level"] == "DRAM"


WRONG = {
    "unknown format": (COMPACT, ("--format", "timelop"), "--format: unknown format 'timelop'"),
    "other format": (COMPACT, ("--format", "toolkit"), "a.map: expected a mapping, got"),
    "products": (COMPACT.replace("P4", "P5"), (), "a.map: line 1: factors of P multiply to 140"),
    "mesh": (COMPACT.replace("P4", "P4 K1").replace("C3X", "R3X"), (), "line 1: L1[O]: spatial"),
    "dimension": (COMPACT.replace("Q2", "Y2"), (), "line 1: L1[O] Y2: unknown dimension 'Y'"),
    "level": (COMPACT.replace("L1", "L7"), (), "a.map: line 1: levels"),
    "empty": ("", (), "a.map: expected a mapping, got nothing"),
    "empty for a peer": ("", ("--format", "zigzag"), "a.map: line 1: expected a list of entries"),
    "binary": ("\x00\x01\x02", (), "a.map: not valid YAML"),
    "tile too large": (
        "L3[WIO] P28 S7 - L2[WI] K4X - L1[O] K16 R7 Q112 C3X - L0[W] P4",
        (),
        "Accumulator: footprint 7168 words > 1024 usable",
    ),
}


@pytest.mark.parametrize("name", list(toolkit.MAPPING_FORMATS))
def test_mappings_of_a_named_format_are_explained(run: Any, name: str) -> None:
    save_best(run, name)
    problem = ("eyeriss", "bert-large/KQV")
    run("export", *problem, "best.yaml", "--format", name, "--save", "exported.map")
    explained = run("explain", *problem, "exported.map", "--format", name)
    assert explained == run("explain", *problem, "best.yaml")
    assert explained[0] == 0


@pytest.mark.parametrize("command", ["evaluate", "explain"])
@pytest.mark.parametrize("case", WRONG)
def test_wrong_maps_give_one_message(run: Any, case: str, command: str) -> None:
    text, options, expected = WRONG[case]
    Path("a.map").write_text(text)
    status, out, err = run(command, "gemmini-ws", CONV, "a.map", *options)
    assert (status, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


def test_wrong_maps_are_not_exported(run: Any) -> None:
    Path("a.map").write_text(COMPACT.replace("P4", "P5"))
    status, out, err = run("export", "gemmini-ws", CONV, "a.map", "--format", "zigzag")
    assert (status, out) == (2, "")
    assert "a.map: line 1: factors of P multiply to 140 but P is 112" in err
    status, out, err = run("export", "gemmini-ws", CONV, "a.map")
    assert (status, out) == (2, "")
    assert "--format" in err


def test_not_text(run: Any) -> None:
    Path("a.map").write_bytes(b"\xff\xfe\x00")
    status, out, err = run("evaluate", "gemmini-ws", CONV, "a.map")
    assert (status, out) == (2, "")
    assert "a.map: not UTF-8 text: byte 0xff at offset 0" in err


def test_export_does_not_overwrite_with_nothing(run: Any) -> None:
    Path("a.map").write_text("L0[W] K")
    Path("out.yaml").write_text("precious\n")
    words = ("export", "gemmini-ws", CONV, "a.map", "--format", "zigzag", "--save", "out.yaml")
    assert run(*words)[0] == 2
    assert Path("out.yaml").read_text() == "precious\n"


def test_zigzag_takes_no_tiles_that_are_cut_off(run: Any) -> None:
    save_best(run, "toolkit")
    words = ("export", "eyeriss", "bert-large/KQV", "best.yaml", "--format", "zigzag")
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert "ZigZag cuts no tile off" in err and "mappings of perfect factors can" in err


def test_examples_of_the_help_work(run: Any) -> None:
    save_best(run)
    text = run("export", "--help")[1]
    examples = [line.strip(" │\n") for line in text.splitlines() if "toolkit export" in line]
    commands = [line.split()[1:] for line in examples if "ARCH" not in line]
    assert len(commands) == 2
    for words in commands:
        assert run(*words)[0] == 0
    assert Path("zigzag.yaml").is_file()
