"""Reports: parts, the one look, and pages that need nothing else."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from study.pictures.clear import assert_clear

import toolkit
from toolkit.study.pictures.canvas import Drawing, canvas, svg_text
from toolkit.study.pictures.look import (
    MATPLOTLIB,
    drawn,
    heading_lines,
    level_colors,
    lighter,
    tensor_colors,
)
from toolkit.study.pictures.page import (
    Code,
    Facts,
    Section,
    Table,
    Words,
    compact,
    write_report_page,
)


@pytest.mark.parametrize(("second", "clear"), [((0.1, 0.2), True), ((0.15, 0.5), False)])
def test_cramped_and_cut_text_is_found(second: tuple[float, float], clear: bool) -> None:
    figure = labelled("abc")
    figure.text(*second, "def")
    with nullcontext() if clear else pytest.raises(AssertionError, match="abc"):
        assert_clear(figure)
    figure.text(0.95, 0.9, "beyond the edge")
    with pytest.raises(AssertionError, match="beyond|abc"):
        assert_clear(figure)


@drawn
def labelled(text: str) -> Figure:
    figure = canvas(3, 1)
    figure.text(0.1, 0.5, text)
    return figure


def drawing(text: str) -> Drawing:
    return Drawing("a", f"{text} drawn", "some <words>", labelled(text))


def test_a_page_holds_its_parts_and_loads_nothing(tmp_path: Path) -> None:
    sections = (
        Section("", (Words("lead & more"), Facts((("energy", "1 < 2"),)))),
        Section("Tables", (Table(("name", "n"), (("a,b", "1"),), (True, False)), Code("  x\n y"))),
        Section("Pictures", (drawing("abc"), drawing("cab"))),
    )
    text = write_report_page(tmp_path / "page.html", "A <title>", sections).read_text()
    for found in (
        "A &lt;title&gt;",
        "lead &amp; more",
        "<dd>1 &lt; 2</dd>",
        "a,<wbr>b",
        "  x\n y",
    ):
        assert found in text
    assert text.count("<svg") == 2 and text.count("class='drawn'") == 1
    assert "some &lt;words&gt;" in text and "viewport" in text
    assert not re.search(r"(src|href)=['\"]https?:", text) and "<script" not in text
    # Letters are defined once, however often pictures write them.
    letters = re.findall(r'<path id="(Sans-[^"]*)"', text)
    assert len(letters) == len(set(letters)) == 3
    assert set(re.findall(r'href="#(Sans-[^"]*)"', text)) == set(letters)


def test_what_is_left_out_is_not_seen() -> None:
    svg = svg_text(labelled("abc"))
    short = compact(svg, set())
    assert len(short) < len(svg)
    assert "<metadata" not in short and "<!--" not in short
    # Places are rounded, scales are not.
    assert re.findall(r"scale\([^)]*\)", short) == re.findall(r"scale\([^)]*\)", svg)


def test_a_picture_that_is_large_as_svg_is_a_png(tmp_path: Path) -> None:
    figure = canvas(2, 2)
    axes = figure.subplots()
    axes.plot([i % 7 for i in range(20_000)], [i % 11 for i in range(20_000)], "o")
    sections = (Section("", (Drawing("a", "many", "", figure),)),)
    text = write_report_page(tmp_path / "a.html", "many", sections).read_text()
    assert "data:image/png;base64," in text and "<svg" not in text


def test_what_is_wide_has_a_narrow_one_beside_it(tmp_path: Path) -> None:
    def narrow() -> Figure:
        return labelled("cab")

    wide = Drawing("a", "both", "", labelled("abc"), narrow)
    text = write_report_page(tmp_path / "a.html", "a", (Section("", (wide,)),)).read_text()
    assert text.count("<svg") == 2
    broad, slim = text.split("<div class='slim'>")
    assert "<div class='broad'>" in broad
    # A browser does not look for what is defined in a picture that is not shown.
    defined = [
        set(re.findall(r'id="(?!Sans|text|fig|patch)([^"]+)"', part)) for part in (broad, slim)
    ]
    assert not defined[0] & defined[1]


def test_the_look_does_not_leak() -> None:
    before = mpl.rcParams.copy()
    assert labelled("a").texts[0].get_fontfamily() == [MATPLOTLIB["font.family"]]
    assert mpl.rcParams.copy() == before

    @drawn
    def fails() -> None:
        raise ValueError("half drawn")

    with pytest.raises(ValueError, match="half drawn"):
        fails()
    assert mpl.rcParams.copy() == before


def test_colours_tell_tensors_and_levels_apart() -> None:
    for workload in (toolkit.gemm(4, 4, 4), toolkit.load_workload("resnet18/L1")):
        colors = tensor_colors(workload)
        assert len(set(colors.values())) == len(workload.tensors)
        assert colors[workload.output.name] == "#009e73"
    levels = level_colors(toolkit.load_arch("simba"), ["Wires"])
    assert len(set(levels.values())) == len(levels) == 9
    assert lighter("#000000", 1.0) == "#ffffff"
    assert heading_lines("word " * 20, 4.0)[0] != "word " * 20
