"""Of two mappings of one layer, which is faster? The cost model beside RTL simulations of Gemmini.

Costs the mappings of DOSA's published file (Hong et al., MICRO 2023; FireSim) with nothing fitted,
while one fact of the machine after the other is told: one port for reads and writes, first and
last tiles, operands that hop through the array, memories that hide nothing.

    python studies/rtl_ordering.py [FIRESIM.csv.gz]

Without a file it takes the sample in tests/data.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

import toolkit
from toolkit.arch import Architecture
from toolkit.study.fidelity import PublishedResults, ordering, read_published
from toolkit.study.fidelity.validation import published_totals
from toolkit.study.script import Arguments, run_script

DATA = Path(__file__).parents[1] / "tests" / "data"
RTL = "target.gemmini_cycle"
ARRAY = {"Columns": {"pe_to_pe": True}, "Rows": {"pe_to_pe": True}}
BUFFERS = ("DRAM", "Scratchpad", "Accumulator")
HIDES_NOTHING = {name: {"overlap": "never"} for name in ("Scratchpad", "Accumulator", "Register")}
STEADY = replace(toolkit.EXACT, first_and_last=False)
FILLED = replace(toolkit.EXACT, first_and_last=True)
CASES: dict[str, tuple[dict[str, dict[str, Any]], toolkit.Conventions]] = {
    "a read and a write port": ({name: {"shared_port": False} for name in BUFFERS}, STEADY),
    "one port (gemmini-ws)": ({}, STEADY),
    "+ first and last tiles": ({}, FILLED),
    "+ hops per stationary tile": (ARRAY, FILLED),
    "+ the scratchpad hides nothing": (ARRAY | {"Scratchpad": {"overlap": "never"}}, FILLED),
    "+ nor do accumulator and registers": (ARRAY | HIDES_NOTHING, FILLED),
    "timeloop": ({}, toolkit.TIMELOOP),
}


def told(results: PublishedResults, facts: dict[str, dict[str, Any]]) -> PublishedResults:
    """Write facts into the levels of the hardware that they are about."""

    def edited(arch: Architecture) -> Architecture:
        levels = (replace(x, **facts.get(x.name, {})) for x in arch.levels)
        return replace(arch, levels=tuple(levels))

    groups = (replace(group, arch=edited(group.arch)) for group in results.groups)
    return replace(results, groups=tuple(groups))


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("firesim", nargs="?", type=Path, default=DATA / "firesim_sample.csv.gz")
    results = read_published(parser.parse_args().firesim, [RTL])
    layers = [group.rows for group in results.groups]
    rows = {}
    for name, (facts, conventions) in CASES.items():
        cycles = published_totals(told(results, facts), conventions).latency_cycles
        rows[name] = asdict(ordering(layers, cycles, results.measured[RTL]))
    print(pd.DataFrame(rows).T.astype({"pairs": int}).round(3).to_string())


if __name__ == "__main__":
    run_script(main)
