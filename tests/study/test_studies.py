"""The study scripts as a user runs them, on the samples."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from toolkit.model.correction import latency_correction, read_correction

from .rows import FIRESIM, ROW, TIMELOOP, write_rows

STUDIES = Path(__file__).parents[2] / "studies"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object) -> int:
    """Run a script as the main program; return its exit status."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(STUDIES / script), run_name="__main__")
    return int(exit_.value.code or 0)


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


def test_validation_of_a_wrong_row_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.csv", ROW | {"prob.K": "nan"})
    assert run(monkeypatch, "validate_model.py", path, FIRESIM) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"validate_model: {path}: line 2: prob.K: expected an integer")


def test_the_correction_can_be_fitted_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written = tmp_path / "fit.yaml"
    script = "fit_latency_correction.py"
    assert run(monkeypatch, script, FIRESIM, "--out", written) == 0
    assert "corrected    spearman" in capsys.readouterr().out
    found = read_correction(written.read_bytes(), "fit.yaml").file
    shipped = latency_correction("gemmini-rtl").file
    assert found.fitted_to.rows == 264
    assert found.cycles_per["tile"] == pytest.approx(shipped.cycles_per["tile"], rel=0.3)
    assert run(monkeypatch, script, TIMELOOP) == 2
    assert "target.gemmini_cycle: this column is missing" in capsys.readouterr().err
