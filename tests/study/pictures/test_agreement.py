"""Pictures: the record that is drawn, and that both drawings can be opened anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import InputError
from toolkit.study.pictures.agreement import Comparison, comparison, write

MEASURED = [1.0, 10.0, 100.0]
LABELS = ("first", "second", "third")


def picture(*computed: float) -> Comparison:
    return comparison("latency", "cycles", "Timeloop", MEASURED, {"ours": computed}, LABELS)


def test_perfect_agreement_is_the_middle_bin() -> None:
    for record in (picture(*MEASURED), picture(1.0, 10.0, 900.0)):
        (series,) = record.series
        middle = len(series.counts) // 2
        target = 0 if record.percent else 1
        assert record.edges[middle] < target < record.edges[middle + 1]
        assert series.counts[middle] == (3 if record.percent else 2)


def test_every_row_is_in_a_bin() -> None:
    for record in (picture(1.0, 12.0, 60.0), picture(0.01, 10.0, 9000.0)):
        assert sum(record.series[0].counts) == 3


def test_small_errors_are_percent_and_large_ones_ratios() -> None:
    assert picture(1.0, 10.0, 140.0).percent
    assert not picture(1.0, 10.0, 160.0).percent


def test_legend_and_title_tell_the_numbers() -> None:
    record = picture(1.0, 10.0, 160.0)
    assert record.title == "Latency: computed against Timeloop, 3 rows"
    assert record.series[0].name.startswith("ours: 66.67 % within 1 %, 100.00 % within a factor")


def test_limits_hold_everything() -> None:
    low, high = picture(0.5, 10.0, 100.0).limits
    assert low < 0.5
    assert high > 100


def test_labels_must_match() -> None:
    with pytest.raises(InputError, match="a label for each of 3 rows"):
        comparison("latency", "cycles", "Timeloop", MEASURED, {"ours": MEASURED}, ("one",))


@pytest.mark.parametrize("computed", [(1.0, 10.0, 101.0), (1.0, 20.0, 3000.0)])
def test_both_drawings_stand_alone(computed: tuple[float, ...], tmp_path: Path) -> None:
    write(tmp_path / "new" / "folder", "latency", picture(*computed))
    png = (tmp_path / "new" / "folder" / "latency.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = np.frombuffer(png[16:24], ">u4").tolist()
    assert size == [1800, 900]
    page = (tmp_path / "new" / "folder" / "latency.html").read_text()
    assert "latency by Timeloop, total (cycles)" in page
    assert "<script src=" not in page
    assert len(page) > 1_000_000  # plotly itself is inside


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be made"):
        write(tmp_path / "file", "latency", picture(*MEASURED))
