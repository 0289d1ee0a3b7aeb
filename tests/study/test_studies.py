"""The study scripts as a user runs them, on the samples."""

from __future__ import annotations

import io
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest
from examples import some
from study.rows import FIRESIM, ROW, TIMELOOP, write_rows

from toolkit.model.correction import latency_correction, read_correction

STUDIES = Path(__file__).parents[2] / "studies"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object) -> int:
    """Run a script as the main program; return its exit status."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(STUDIES / script), run_name="__main__")
    return int(exit_.value.code or 0)


@pytest.mark.usefixtures("unrendered")
def test_validation_prints_tables_and_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "validate_model.py", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    for words in (
        "Latency, total, cycles: computed against Timeloop",
        "Energy, total, µJ: computed against Timeloop",
        "against RTL simulation",
        "DOSA's roofline",
        "latency corrected by gemmini-rtl",
        "convolution, 3x3, output not square",
    ):
        assert words in printed
    names = {
        f"{what}.{kind}"
        for what in ("timeloop_latency", "timeloop_energy", "rtl_latency")
        for kind in ("html", "png")
    }
    assert {file.name for file in tmp_path.iterdir()} == names


@cache
def ordering(*options: str) -> dict[str, dict[str, list[float]]]:
    """What the study of orders prints, by kind of layer and way of rating."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(printed):
        assert run(patched, "rtl_ordering.py", FIRESIM, *options) == 0
    return figures(printed.getvalue())


def test_facts_of_the_machine_order_mappings() -> None:
    rated = ordering("--by-kind")["all"]
    assert (
        rated["+ nor do accumulator and registers"][1] > rated["one port (gemmini-ws)"][1] + 0.03
    )
    assert rated["as its library runs"][1:3] > rated["gemmini-rtl"][1:3]
    assert rated["as its library runs, all is hidden"][4] == 0


def figures(printed: str) -> dict[str, dict[str, list[float]]]:
    """By kind of layer and way of rating: pairs, right, regret, worst regret, faster, error."""
    tables = [table.splitlines() for table in printed.strip().split("\n\n")]
    return {
        kind: {row[:35].strip(): [float(x) for x in row[35:].split()] for row in rows}
        for kind, _, *rows in tables
    }


def test_facts_of_the_machine_are_told_by_kind_of_layer() -> None:
    found = ordering("--by-kind")
    assert {"all", "convolution, 2x2", "matrix-vector product"} < set(found)
    assert {"matrix product", "one channel, as in depthwise"} < set(found)
    pairs = {kind: rated["gemmini-rtl"][0] for kind, rated in found.items()}
    assert sum(pairs.values()) == 2 * pairs["all"]


def test_pairs_may_be_of_one_array() -> None:
    same = ordering("--same-array")
    assert list(same) == ["all"]
    rated = [found["all"]["fitted"] for found in (ordering("--by-kind"), same)]
    assert 0 < rated[1][0] < rated[0][0]
    assert rated[1][4:] == rated[0][4:]


def test_validation_of_a_wrong_row_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.csv", ROW | {"prob.K": "nan"})
    assert run(monkeypatch, "validate_model.py", path, FIRESIM) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"validate_model: {path}: line 2: prob.K: expected an integer")


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("resnet_fusion.py", ("none.onnx",), "none.onnx: no such file"),
        ("resnet_fusion.py", ("none.onnx", "x"), "argument layers: 'x' is not an integer from 1"),
        ("resnet18_layers.py", ("none.onnx", "out"), "none.onnx: no such file"),
        ("resnet18_codesign.py", ("0",), "argument samples: '0' is not an integer from 1"),
        ("resnet18_codesign.py", ("1", "1", "/dev/null"), "/dev/null: cannot be created: File"),
        ("map_bert_large.py", ("x",), "argument evaluations: 'x' is not an integer from 1"),
        ("compare_encodings.py", ("9", "0"), "argument seeds: '0' is not an integer from 1"),
        ("compare_strategies.py", ("--seeds", "x"), "argument --seeds: invalid int value: 'x'"),
        ("compare_strategies.py", ("--strategies", "gredy"), "strategies: unknown strategy"),
        ("fit_latency_correction.py", ("none.csv",), "none.csv: cannot be read"),
        ("eyeriss_chip.py", ("0",), "argument evaluations: '0' is not an integer from 1"),
        ("timeloop_exercises.py", ("--conventions", "x"), "unknown conventions 'x'"),
        ("benchmarks/codesign.py", ("--templates", "none"), "unknown architecture 'none'"),
        ("benchmarks/exact_mapper.py", ("--only", "none"), "--only: no pair contains 'none'"),
        ("benchmarks/exact_mapper.py", ("--conventions", "x"), "unknown conventions 'x'"),
        ("benchmarks/fusion.py", ("--arch", "none"), "unknown architecture 'none'"),
        ("benchmarks/fusion_bounds.py", ("--group-length", "0"), "expected at least 1, got 0"),
        ("benchmarks/fusion_peer.py", ("--strategy", "none"), "unknown strategy 'none'"),
        ("benchmarks/gradient_speed.py", ("--device", "none"), "--device: Expected one of cpu"),
        ("benchmarks/greedy_vs_factorflow.py", ("--only", "none"), "--only: no pair contains"),
        ("benchmarks/model_speed.py", ("--runs", "0"), "argument --runs: '0' is not"),
        ("benchmarks/startup.py", ("--runs", "0"), "argument --runs: '0' is not"),
        ("benchmarks/strategy_gaps.py", ("--strategies", "random"), "--strategies: '' is not"),
        ("benchmarks/strategy_gaps.py", ("--strategies", "randm=9"), "did you mean 'random'"),
    ],
)
def test_wrong_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    script: str,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, script, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{Path(script).stem}: ")
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


SCRIPTS = sorted(
    str(path.relative_to(STUDIES))
    for path in (*STUDIES.glob("*.py"), *STUDIES.glob("benchmarks/*.py"))
    if "Arguments(__doc__)" in path.read_text(encoding="utf-8")
    and path.stem != "codesign_exact"  # It imports codesign.py beside it, as tests do another.
)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_says_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str
) -> None:
    assert run(monkeypatch, script, "--help") == 0
    first = (STUDIES / script).read_text(encoding="utf-8").partition("\n")[0].strip('"')
    assert first in " ".join(capsys.readouterr().out.split())


def test_tables_of_others_have_commands() -> None:
    page = (STUDIES.parent / "docs" / "reproducing.md").read_text(encoding="utf-8")
    table, commands = page.split("## The commands")
    scripts = re.findall(r"\| `(\w+\.py)` \|", table)
    assert len(scripts) >= 12
    assert sorted(scripts) == sorted(re.findall(r"/(\w+\.py)", commands.partition("```\n\n")[0]))


WRONG_SIZES = [
    ("export.py", "o", "none"),
    ("llama.py", "o.onnx", "--layers", "0"),
    ("resnet.py", "o.onnx", "--width", "x"),
    ("vit.py", "o.onnx", "--precision", "int3"),
]


@pytest.mark.parametrize("words", WRONG_SIZES)
def test_networks_are_not_exported_on_wrong_input(tmp_path: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, STUDIES / "networks" / words[0], *words[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert f"{words[0]}: error: argument " in done.stderr


def test_the_correction_can_be_fitted_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written = tmp_path / "fit.yaml"
    script = "fit_latency_correction.py"
    assert run(monkeypatch, script, FIRESIM, "--out", written) == 0
    assert "On layers and array widths left out of the fit" in capsys.readouterr().out
    found = read_correction(written.read_bytes(), "fit.yaml").file
    shipped = latency_correction("gemmini-rtl").file
    assert found.fitted_to.rows == 264
    for name in ("product_tile", "convolution_tile", "beat"):
        assert found.cycles_per[name] == pytest.approx(shipped.cycles_per[name], rel=0.3)
    assert run(monkeypatch, script, TIMELOOP) == 2
    assert "target.gemmini_cycle: this column is missing" in capsys.readouterr().err


DIFFERENT = {"simba-like": ("27 of 27", "13 of 14"), "interface-2024": ("17 of 18", "5 of 6")}
"""Words and energies: registers in clusters, and inputs that lanes keep (see the page)."""


def test_todays_timeloop_is_met_and_its_mappings_are_held_against_the_optimum(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only = some(("simba", "01-", ""), 2)  # All proofs take some 20 s.
    runs = []
    for part in only:
        assert run(monkeypatch, "timeloop_exercises.py", "--prove", part) == 0
        runs.append(capsys.readouterr().out.split("\n\n"))
    distances = "\n".join(found for _, found, _ in runs)
    rows = runs[0][0].splitlines()[1:]
    assert len(rows) == 20
    for row in rows:
        name, words, of_words, cycles, theirs, energies, of_energies = re.fullmatch(
            r"(\S+) +(\d+) of (\d+) +(\d+) +(\d+) +(\d+) of (\d+) .*", row
        ).groups()  # type: ignore[union-attr]
        assert cycles == theirs
        equal = (f"{words} of {of_words}", f"{energies} of {of_energies}")
        expected = (f"{of_words} of {of_words}", f"{of_energies} of {of_energies}")
        assert equal == DIFFERENT.get(name, expected)
    assert distances.count("proved optimal") == (3 if len(only) == 2 else 23)
    times = dict(re.findall(r"^(\S+) .*kept +(\S+) ", distances, flags=re.MULTILINE))
    assert all(float(value) >= 1 for value in times.values())
    assert (times["01-ws"], times["simba-like"]) == ("1.000", "2.638")
    assert times.get("04-kp", "1.848") == "1.848"


def test_the_eyeriss_chip_is_met(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "eyeriss_chip.py", 20_000) == 0
    printed = capsys.readouterr().out
    rates: list[dict[str, list[float]]] = []
    for network in printed.split("\n\n")[:2]:
        rows = re.findall(r"^(measured|as the chip|freely) +(.*)$", network, flags=re.MULTILINE)
        rates.append({way: [float(x) for x in row.split()] for way, row in rows})
    for found in rates:
        for column in (0, 3):  # Frames per second, DRAM accesses in run-length code.
            assert found["as the chip"][column] == pytest.approx(found["measured"][column], 0.25)
        assert found["freely"][0] > found["as the chip"][0]
    assert [found["measured"][1] for found in rates] == [278.3, 235.8]
    # What is left of the power is the same per cycle, whatever the chip runs.
    left = [float(x) for x in re.findall(r"(\S+) pJ per element and cycle", printed)]
    assert left == pytest.approx([4.7, 4.7], rel=0.1)


def test_fewer_bits_cost_less(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = str(STUDIES / "quantized_networks.py")
    monkeypatch.setattr(sys, "argv", [script, "resnet18", "resnet18:int8", "--evaluations", "50"])
    runpy.run_path(script, run_name="__main__")
    rows = [re.split(r" {2,}", line) for line in capsys.readouterr().out.splitlines()[2:]]
    found = {name: [float(word) for word in figures] for name, *figures in rows}
    whole, quantized = found["resnet18, own bits"], found["resnet18:int8, own bits"]
    # On words of 16 bits a half, on words of 32 bits a quarter, and what does not shrink.
    assert quantized[0] < 0.6 * whole[0]
    assert quantized[1] < 0.4 * whole[1]
