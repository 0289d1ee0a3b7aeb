"""`--report` and `--out` of all commands, and `toolkit show --picture`."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli.test_app import Outcome
from cli.tiny import tiny_network

from toolkit.cli.app import main
from toolkit.cli.output import Fact, aligned, table
from toolkit.cli.report import sections_of
from toolkit.study.pictures.page import Code, Facts, Table, Words

for _package in ("matplotlib", "plotly"):
    pytest.importorskip(_package, reason="the extra study is not installed")

GEMM = ("eyeriss", "12", "8", "4")
FEW = ("--evaluations", "50", "--no-cache")
TINY = "tiny.onnx"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    Path(TINY).write_bytes(tiny_network())

    def call(*words: str) -> Outcome:
        status = main(words)
        return Outcome(status, *capsys.readouterr())

    return call


def page(path: str = "page.html") -> str:
    """The text of a report, which is small and loads nothing."""
    text = Path(path).read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    assert not re.search(r"(src|href)=['\"]https?:", text)
    return text


def titles(text: str) -> list[str]:
    return re.findall(r"<h3>([^<]*)</h3>", text)


MAPPED = ["The machine: eyeriss", "The mapping", "Where energy and cycles go"]


@pytest.mark.usefixtures("rendered")
def test_map_reports_all_that_it_prints(run: Any) -> None:
    found = run("map", *GEMM, "--strategy", "exact", "--report", "page.html", "--out", "pictures")
    assert found.status == 0 and "Written to .: page.html" in found.out
    text = page()
    assert titles(text) == [*MAPPED, "Its place among all mappings"]
    for words in ("proved optimal", "Loop nest", "Accesses", "<dt>energy</dt>"):
        assert words in text
    names = {path.name for path in Path("pictures").iterdir()}
    kinds = ("machine", "mapping", "costs", "space")
    assert names == {f"{name}.{kind}" for name in kinds for kind in ("png", "svg")}


def test_evaluate_and_explain_report_a_mapping(run: Any) -> None:
    run("map", *GEMM, "--save", "best.yaml")
    for command, words in (("evaluate", "Where space and time go"), ("explain", "What binds")):
        found = run(command, *GEMM, "best.yaml", "--report", "page.html", "--json")
        assert json.loads(found.out)["files"] == ["page.html"]
        assert titles(page()) == MAPPED and words in page()


def test_spaces_and_least_hardware_are_drawn(run: Any) -> None:
    assert run("space", *GEMM, "--report", "page.html").status == 0
    assert titles(page()) == ["Among all mappings", MAPPED[0]] and "loop orders" in page()
    least = run("minimal-hardware", TINY, "gemmini-ws", *FEW, "--report", "page.html")
    assert least.status == 0
    assert titles(page()) == ["Both machines, to scale", "As given", "The least"]


def test_compare_reports_every_problem(run: Any) -> None:
    words = ("--strategies", "random,greedy", "--evaluations", "50", "--seeds", "1")
    found = run("compare", *GEMM, *words, "--report", "page.html")
    assert found.status == 0
    assert titles(page()) == [
        "The machine: eyeriss",
        "How fast strategies converge",
        "Among all mappings",
        *MAPPED[1:],
    ]


def test_networks_and_fusion_report(run: Any) -> None:
    asked = ("network", TINY, "eyeriss-conv", *FEW, "--report", "page.html")
    machine = "The machine: eyeriss-conv"
    assert run(*asked).status == 0
    assert titles(page()) == [machine, "Roofline", "Layer by layer", "The graph of layers"]
    assert "Where the energy goes" in page()
    assert run(*asked, "--fusion", "exact").status == 0
    assert titles(page()) == ["Fused groups", "What the largest groups keep on chip", machine]
    assert "From layers on their own to fused groups" in page()
    archs = ("--arch", "eyeriss-conv", "--arch", "simba-conv")
    assert run("networks", TINY, *archs, *FEW, "--report", "page.html").status == 0
    assert titles(page()) == ["Networks and architectures", machine, "The machine: simba-conv"]


@pytest.mark.parametrize(
    "words",
    [
        ("map", *GEMM),
        ("compare", *GEMM),
        ("network", "resnet18", "eyeriss-conv"),
        ("networks", "resnet18", "--arch", "eyeriss-conv"),
        ("codesign", "resnet18", "--template", "gemmini-ws"),
        ("minimal-hardware", TINY, "gemmini-ws"),
        ("space", *GEMM),
        ("sample", *GEMM),
        ("evaluate", *GEMM, TINY),
        ("explain", *GEMM, TINY),
        ("show", "arch", "eyeriss"),
    ],
)
def test_what_is_missing_is_said_before_the_work(
    run: Any, monkeypatch: Any, words: tuple[str, ...]
) -> None:
    find = importlib.util.find_spec
    for module in ("toolkit.study.pictures.canvas", "toolkit.study.storage.files"):
        monkeypatch.setattr(
            f"{module}.find_spec", lambda name: None if name == "matplotlib" else find(name)
        )
    monkeypatch.setattr(
        "toolkit.search_mappings", lambda *_: pytest.fail("searched"), raising=False
    )
    asked = ("--picture", "a.svg") if words[0] == "show" else ("--report", "page.html")
    found = run(*words, *asked)
    assert found.status == 2 and found.out == ""
    assert found.err == (
        "toolkit: a picture needs Matplotlib, which is not installed; "
        "pip install 'accel-search-toolkit[study]'\n"
    )
    assert [path.name for path in Path().iterdir()] == [TINY]


def test_folders_without_pictures_are_announced(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("toolkit.study.storage.files.find_spec", lambda name: None)
    found = run("networks", TINY, "--arch", "eyeriss-conv", *FEW, "--out", "results")
    assert found.status == 0
    first, second, third, *work = found.err.splitlines()
    assert "pyarrow" in first and "Matplotlib" in second and "plotly" in third
    assert all(line.endswith("; results goes without") for line in (first, second, third))
    assert work and "results goes without" not in "".join(work)


@pytest.mark.parametrize("command", ["map", "compare"])
def test_reports_that_cannot_be_written_are_refused_before_the_work(
    run: Any, command: str
) -> None:
    found = run(command, *GEMM, "--report", "none/page.html")
    assert (found.status, found.out) == (2, "")
    assert "--report" in found.err and "lies in no folder" in found.err


@pytest.mark.usefixtures("rendered")
def test_show_draws_machines(run: Any) -> None:
    drawn = run("show", "arch", "gemmini-ws", "--picture", "a.svg", "--node", "45")
    assert drawn.status == 0 and drawn.out.startswith("name: gemmini-ws")
    assert Path("a.svg").read_text().lstrip().startswith("<?xml")
    assert run("show", "arch", "eyeriss", "--picture", "b.png").status == 0
    assert Path("b.png").read_bytes().startswith(b"\x89PNG")
    for words, reason in (
        (("arch", "eyeriss", "--picture", "a.gif"), "expected a file named .png or .svg"),
        (("workload", "bert-large/KQV", "--picture", "a.svg"), "expected arch, got workload"),
        (("arch", "eyeriss", "--node", "45"), "means nothing without --picture"),
    ):
        found = run("show", *words)
        assert (found.status, found.out) == (2, "") and reason in found.err


def test_what_is_printed_becomes_parts() -> None:
    facts = aligned([("energy", "1 pJ"), ("latency", "2 cycles")])
    assert all(isinstance(fact, Fact) for fact in facts)
    assert facts[0] == "  energy   1 pJ"
    rows = table(("level", "pJ"), [("DRAM", "1")])
    lead, second, third = sections_of(
        [
            "what",
            *facts,
            "",
            "A table",
            rows,
            "",
            "said of it",
            "Lines",
            "  one\n  two\n",
            "  three",
        ]
    )
    assert lead.parts == (
        Words("what"),
        Facts((("energy", "1 pJ"), ("latency", "2 cycles"))),
    )
    assert second.title == "A table"
    assert second.parts == (
        Table(("level", "pJ"), (("DRAM", "1"),), (True, False)),
        Words("said of it"),
    )
    assert (third.title, third.parts) == ("Lines", (Code("  one\n  two\n  three"),))
