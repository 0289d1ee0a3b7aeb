"""`toolkit codesign` as a user runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import optuna
import pandas as pd
import pytest
from cli.test_app import Outcome
from cli.tiny import tiny_network
from search.network.test_serving import decoder

import toolkit
from toolkit.cli.app import main
from toolkit.codesign.scoring import Scorer
from toolkit.errors import DoesNotFitError
from toolkit.study.hardware.shared import open_shared

MODELS = Path(__file__).parent.parent / "data" / "networks"
BERT = (str(MODELS / "bert_layer.onnx"), "--dim", "batch=1", "--dim", "seq=16")
FEW = ("--evaluations", "100", "--samples", "4", "--jobs", "1", "--no-cache")
RANGES = ("--range", "side=8..32", "--range", "accumulator_words=64,256")
SMALL = ("--template", "gemmini-ws", *RANGES)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Outcome:
        status = main(("codesign", *words))
        return Outcome(status, *capsys.readouterr())

    return call


@pytest.mark.usefixtures("rendered")
def test_a_table_pictures_and_hardware_that_can_be_mapped(
    run: Any, tmp_path: Path, capsys: Any
) -> None:
    pytest.importorskip("torch")
    strategies = ("--strategies", "joint-gradient,random")
    outcome = run(*BERT, *SMALL, *FEW, *strategies, "--seeds", "2", "--area-budget", "2")
    assert outcome.status == 0
    for words in ("bert_layer on gemmini-ws", "area up to 2 mm²", "joint-gradient", "Best: "):
        assert words in outcome.out
    # A line for each point.
    assert len(outcome.err.splitlines()) == 2 * 2 * 4
    folder = tmp_path / "codesign"
    table = pd.read_csv(folder / "strategies.csv")
    assert list(table["strategy"]) == ["joint-gradient", "random"]
    assert (table["samples"] == 4).all() and (table["found"] == 2).all()
    samples = pd.read_csv(folder / "samples.csv")
    assert len(samples) == 16
    best = samples[samples["feasible"]]["edp_pj_cycles"].min()
    assert table["best_objective_value"].min() == pytest.approx(best * 1e-12)
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    assert "random" in (folder / "codesign.html").read_text()
    assert main(("map", str(folder / "hardware.yaml"), "64", "64", "16", "--evaluations", "10"))
    capsys.readouterr()
    workload = "conv:M=64,C=64,P=16,Q=1,R=1,S=1"
    words = ("map", str(folder / "hardware.yaml"), workload, "--evaluations", "100", "--json")
    assert main(words) == 0


def test_tables_rank_by_what_was_asked_and_have_a_column_of_it(run: Any, tmp_path: Path) -> None:
    words = (*BERT, *SMALL, *FEW, "--strategies", "fill-area,random", "--objective", "edap")
    limits = ("--area-budget", "2e6um2", "--power-budget", "5W", "--clock", "800MHz")
    outcome = run(*words, *limits, "--report", "page.html")
    assert outcome.status == 0
    page = (tmp_path / "page.html").read_text()
    assert "What each parameter does" in page and "EDAP" in page and len(page) < 1_000_000
    for text in ("EDAP", "J·cycle·mm²", "best baseline", "power", "up to", " W", "5 W"):
        assert text in outcome.out
    table = pd.read_csv(tmp_path / "codesign" / "strategies.csv").set_index("strategy")
    product = table["energy_pj"] * table["latency_cycles"] * table["area_um2"] * 1e-18
    assert table["objective_value"].to_numpy() == pytest.approx(product.to_numpy())
    assert set(table["objective_unit"]) == {"J·cycle·mm²"}
    best = table["objective_value"].min()
    assert table["best_baseline_ratio"].to_numpy() == pytest.approx(
        (best / table["objective_value"]).to_numpy()
    )
    assert set(table["best_baseline"]) == {table["objective_value"].idxmin()}
    # The best one comes first, whatever the order of the names.
    lines = [line for line in outcome.out.splitlines() if line.startswith(("fill", "random"))]
    assert lines[0].startswith(table["objective_value"].idxmin()[:4])
    samples = pd.read_csv(tmp_path / "codesign" / "samples.csv")
    feasible = samples[samples["feasible"]]
    assert feasible["objective_value"].min() == pytest.approx(best)
    assert "EDAP" in (tmp_path / "codesign" / "hardware.yaml").read_text()


def test_ranges_with_units_are_those_without(run: Any) -> None:
    plain = ("--range", "scratchpad_words=65536,131072", "--range", "dram_bandwidth=4,8")
    units = ("--range", "scratchpad_words=64KiB..128KiB", "--range", "dram_bandwidth=8..16GB/s")
    found = []
    for ranges, name in ((plain, "a"), (units, "b")):
        words = (*BERT, "--template", "gemmini-ws", *ranges, *FEW, "--strategies", "random")
        found.append(run(*words, "--clock", "2GHz", "--out", name, "--json").record["best"])
    assert found[0]["parameters"] == found[1]["parameters"]
    assert found[0]["energy_pj"] == found[1]["energy_pj"]


def test_an_interface_that_is_chosen_is_said(run: Any) -> None:
    words = (*BERT, *SMALL, *FEW, "--strategies", "random", "--range", "dram_bandwidth=4,8")
    assert "with interfaces to DRAM" in run(*words, "--out", "a").out
    out = run(*words, "--out", "b", "--dram-interface", "never").out
    assert "with interfaces to DRAM" not in out and "dram_bandwidth at no cost" in out


def test_the_same_command_reads_back(run: Any) -> None:
    words = (*BERT, *SMALL, *FEW, "--strategies", "random", "--json")
    first, again = run(*words), run(*words)
    assert len(first.err.splitlines()) == 4
    assert again.err == ""
    assert first.record == again.record
    more = run(*words, "--samples", "5")
    assert len(more.err.splitlines()) == 1


def test_networks_may_be_several_and_fused(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "tiny.onnx").write_bytes(tiny_network())
    words = ("tiny.onnx:2", "tiny.onnx", *SMALL, *FEW, "--fusion", "greedy", "--json")
    record = run(*words, "--strategies", "two-step").record
    assert record["title"] == "tiny + tiny on gemmini-ws"
    networks = record["best"]["networks"]
    assert len(networks) == 2
    assert record["best"]["energy_pj"] == pytest.approx(3 * networks[0]["energy_pj"])
    assert record["best"]["fused"]


def test_an_interrupted_search_tells_what_it_found_and_loses_nothing(
    run: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    words = (*BERT, *SMALL, *FEW, "--strategies", "random")
    score, calls = Scorer.score, []

    def interrupted(self: Scorer, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 4:  # the first one checks the template
            raise KeyboardInterrupt
        return score(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Scorer, "score", interrupted)
        told = run(*words, "--json")
    assert (told.status, told.record["interrupted"]) == (130, True)
    assert told.err.splitlines()[-1] == "toolkit: interrupted"
    (row,) = told.record["strategies"]
    assert row["samples"] == 2
    outcome = run(*words)
    assert outcome.status == 0 and "interrupted" not in outcome.out
    assert len(outcome.err.splitlines()) == 2
    with open_shared(str(tmp_path / "codesign" / "codesign.journal")) as storage:
        (study,) = optuna.get_all_study_summaries(storage)
        assert study.n_trials == 5


def test_a_search_that_is_interrupted_at_once_has_nothing_to_tell(
    run: Any, monkeypatch: Any
) -> None:
    score, calls = Scorer.score, []

    def interrupted(self: Scorer, *args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(self, *args, **kwargs)

    monkeypatch.setattr(Scorer, "score", interrupted)
    told = run(*BERT, *SMALL, *FEW, "--strategies", "random")
    assert (told.status, told.out) == (130, "")


def test_a_search_that_found_nothing_fails(run: Any, monkeypatch: Any) -> None:
    mapped, calls = Scorer.mapped, []

    def first(self: Scorer, parameters: Any) -> Any:
        calls.append(parameters)
        if len(calls) > 1:  # the first one checks the template
            raise DoesNotFitError("too small")
        return mapped(self, parameters)

    monkeypatch.setattr(Scorer, "mapped", first)
    outcome = run(*BERT, *SMALL, *FEW, "--strategies", "random")
    assert outcome.status == 1
    assert "no point within the budgets was found" in outcome.out
    calls.clear()
    again = run(*BERT, *SMALL, *FEW, "--strategies", "random", "--json")
    assert (again.status, again.record["best"]) == (1, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--range", "scratchpad_words=8,4"), "4 follows 8"),
        (("--range", "scratchpad_words=64..8"), "reversed"),
        (("--range", "sides=8"), "unknown parameter 'sides' (did you mean 'side'?)"),
        (("--area-budget", "0.001"), "the smallest area that would do is"),
        (("--power-budget", "0.001"), "the least power that would do is"),
        (("--area-budget", "-1"), "expected a positive number"),
        (("--area-budget", "2W"), "--area-budget: expected mm², got 2W: watts"),
        (("--power-budget", "much"), "--power-budget: expected a number, or one with a unit"),
        (("--clock", "1GB"), "--clock: expected hertz, got 1GB: bytes"),
        (("--clock", "0"), "clock_ghz: expected a number from 1e-06 to 1000"),
        (("--dram-interface", "often"), "expected one of chosen, always, never"),
        (("--range", "dram_bandwidth=8KiB"), "8KiB is bytes, but it is bandwidth_words_per_cycle"),
        (("--strategies", "tpee"), "--strategies: unknown strategy 'tpee'"),
        (("--strategies", "tpe,tpe"), "--strategies: tpe given twice"),
        (("--strategies", ","), "--strategies: expected at least one"),
        (("--objective", "speed"), "--objective: unknown objective 'speed'"),
        (("--energies", "mine"), "--energies: expected technology or template"),
        (("--estimates", "none.yaml"), "none.yaml"),
        (("--fusion", "all"), "unknown way to fuse 'all'"),
        (("--mapper", "greddy"), "mapper: unknown strategy 'greddy'"),
        (("--node", "1"), "expected a number from 3 to 90"),
        (("--storage", "postgresql://me:secret@127.0.0.1:1/none"), "cannot be used"),
        (("--storage", "no/such/folder"), "lies in no folder"),
        (("--template", "eyeriss"), "no parameter has a range"),
    ],
)
def test_bad_input(run: Any, words: tuple[str, ...], message: str) -> None:
    given = [*BERT, *FEW, "--strategies", "random", *SMALL[2:], *SMALL[:2], *words]
    if "--template" in words:
        del given[given.index("--range") : given.index("--range") + 4]
    outcome = run(*given)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert "secret" not in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_template_that_the_network_does_not_fit(run: Any, tmp_path: Path) -> None:
    text = toolkit.arch.files.arch_definition("gemmini-ws")
    tight = text.replace("[M == 1, C == 1, R == 1, S == 1]", "[M >= 99999]")
    assert tight != text
    (tmp_path / "tight.yaml").write_text(tight)
    outcome = run(*BERT, *FEW, "--template", "tight.yaml", "--strategies", "random")
    assert outcome.status == 2
    assert "does not run on the largest hardware" in outcome.err


def test_hardware_for_serving_within_a_bandwidth_of_dram(run: Any, tmp_path: Path) -> None:
    onnx.save(decoder("batch", "seq", "past"), tmp_path / "tiny.onnx")
    words = (
        "tiny.onnx",
        *SMALL,
        *FEW,
        "--strategies",
        "fill-area",
        "--range",
        "dram_bandwidth=2..32",
    )
    outcome = run(*words, "--prefill", "8", "--decode", "9", "--dram-budget", "8000MB/s")
    assert outcome.status == 0
    for text in ("prefill of 8", "token after 8", "token after 16", "DRAM up to 8 GB/s"):
        assert text in " ".join(outcome.out.split())
    samples = pd.read_csv(tmp_path / "codesign" / "samples.csv")
    assert samples["dram_bandwidth"].max() == 8
    outcome = run(*words, "--decode", "9")
    assert outcome.status == 2 and "--decode: given without --prefill" in outcome.err
    outcome = run(*words, "--dim", "past=seq")
    assert outcome.status == 2 and "expected a size without --prefill" in outcome.err
    outcome = run(*words, "--dram-budget", "1mm2")
    assert outcome.status == 2 and "--dram-budget: expected bytes per second" in outcome.err
