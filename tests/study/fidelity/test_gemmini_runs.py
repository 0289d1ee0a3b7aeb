"""Published rows on the machines that were simulated, and the bound that no simulation beats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from study.rows import FIRESIM, ROW, write_rows

import toolkit
from toolkit.arch import Architecture, Memory
from toolkit.model.gemmini_library import array_width
from toolkit.study.fidelity import PublishedResults, read_published, simulated
from toolkit.study.fidelity.validation import published_totals

COLUMN = "target.gemmini_cycle"
RESULTS = read_published(FIRESIM, [COLUMN])
HIDDEN = replace(toolkit.EXACT, first_and_last=False)


def test_rows_get_an_array_of_their_width() -> None:
    rows = simulated(RESULTS, by_library=False)
    assert sorted(np.concatenate([group.rows for group in rows.groups])) == list(range(264))
    sides = set()
    for group in rows.groups:
        side = group.arch.fanouts[0].mesh
        sides.add(side)
        assert (array_width(group.workload, group.factors) == side).all()
        assert group.arch.fanouts[1].mesh == side
        words = {memory.name: memory.capacity_words for memory in group.arch.memories}
        assert (words["Scratchpad"], words["Accumulator"]) == (1048576, 2048)
    assert sides == {4, 8, 16, 32, 64}


def test_mappings_stay_as_published_unless_the_library_runs_them(tmp_path: Path) -> None:
    results = read_published(write_rows(tmp_path / "rows.csv", ROW), ["target.cycle"])
    (given,) = results.groups
    (kept,) = simulated(results, by_library=False).groups
    assert (kept.factors == given.factors).all()
    assert (kept.order == given.order).all()
    (run,) = simulated(results, by_library=True).groups
    assert run.arch == kept.arch
    assert run.factors.prod(axis=(0, 1)).tolist() == given.factors.prod(axis=(0, 1)).tolist()
    assert "".join(run.workload.dimensions[i] for i in run.order[0, 0]) == "QPMSRC"


def all_hidden(results: PublishedResults) -> PublishedResults:
    def edited(arch: Architecture) -> Architecture:
        levels = (
            replace(x, overlap="always") if isinstance(x, Memory) else x for x in arch.levels
        )
        return replace(arch, levels=tuple(levels))

    return replace(
        results, groups=tuple(replace(group, arch=edited(group.arch)) for group in results.groups)
    )


def test_no_simulation_takes_less_than_the_model_that_hides_everything() -> None:
    bound = published_totals(all_hidden(simulated(RESULTS, by_library=True)), HIDDEN)
    measured = RESULTS.measured[COLUMN]
    assert bound.fits.all()
    assert (measured >= 0.99 * bound.latency_cycles).all()
    assert (measured / bound.latency_cycles).min() < 1.02
