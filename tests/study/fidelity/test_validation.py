"""The cost model beside published results: the samples as a regression test."""

from __future__ import annotations

from pathlib import Path

from study.rows import FIRESIM, ROW, TIMELOOP, write_rows

from toolkit.model import TIMELOOP as CONVENTIONS
from toolkit.model.correction import latency_correction
from toolkit.study.fidelity import agreement, read_published
from toolkit.study.fidelity.validation import (
    corrected_cycles,
    dosa_roofline_cycles,
    layer_kind,
    published_totals,
)
from toolkit.workload import conv2d


def test_timeloop_is_met_within_a_percent() -> None:
    results = read_published(TIMELOOP)
    totals = published_totals(results, CONVENTIONS)
    latency = agreement(totals.latency_cycles, results.measured["target.cycle"])
    energy = agreement(totals.energy_pj * 1e-6, results.measured["target.energy"])
    assert latency.within >= 0.98
    assert energy.within >= 0.97
    assert totals.fits.all()


def test_the_correction_ranks_rtl_runs_better() -> None:
    results = read_published(FIRESIM, ["target.gemmini_cycle"])
    cycles = results.measured["target.gemmini_cycle"]
    plain = agreement(published_totals(results, CONVENTIONS).latency_cycles, cycles)
    corrected = agreement(corrected_cycles(results, latency_correction("gemmini-rtl")), cycles)
    assert corrected.spearman > 0.95 > 0.9 > plain.spearman
    assert corrected.kendall > plain.kendall + 0.15


def test_dosas_roofline_is_the_longest_bound(tmp_path: Path) -> None:
    """A product of an 8 x 8 matrix and a vector at once: DRAM moves 8 + 64 + 8 words, 8 a cycle.

    The array needs 1 cycle, the scratchpad (72 filled, 72 read, 16 a cycle) 9. The other layer
    needs 4608 MACs / (4 columns x 4 rows) = 288 cycles, more than any memory.
    """
    vector = dict.fromkeys(("prob.P", "prob.Q", "prob.R", "prob.S"), "1") | {"prob.C": "8"}
    at_once = "L3[WIO] N1 - L2[WI] K8X - L1[O] C8X - L0[W] N1"
    rows = (ROW | vector | {"mapping.mapping": at_once}, ROW)
    results = read_published(write_rows(tmp_path / "rows.csv", *rows))
    assert dosa_roofline_cycles(results).tolist() == [10, 288]


def test_kinds_of_layers() -> None:
    assert layer_kind(conv2d(8, 8, 1, 1, 1, 1)) == "matrix-vector product"
    assert layer_kind(conv2d(8, 8, 4, 1, 1, 1)) == "matrix product"
    assert layer_kind(conv2d(8, 8, 4, 2, 3, 3)) == "convolution, 3x3, output not square"
