"""Of two mappings of one layer, which is faster? The cost model beside RTL simulations of Gemmini.

Costs the mappings of DOSA's published file (Hong et al., MICRO 2023; FireSim) with nothing fitted,
while one fact of the machine after the other is told; at last with the latency fitted to it.

    python studies/rtl_ordering.py [FIRESIM.csv.gz] [--by-kind] [--same-array]

Without a file it takes the sample in tests/data.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

import toolkit
from toolkit.arch import Architecture
from toolkit.study.fidelity import PublishedResults, latency_fit, read_published, simulated
from toolkit.study.fidelity.validation import corrected_cycles, published_totals
from toolkit.study.script import Arguments, run_script

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "firesim_sample.csv.gz"
RTL = "target.gemmini_cycle"
STEADY, FILLED = toolkit.STEADY, toolkit.EXACT
NEVER = {"overlap": "never"}
TWO_PORTS = {name: {"shared_port": False} for name in ("DRAM", "Scratchpad", "Accumulator")}
HOPS: dict[str, dict[str, Any]] = {name: {"pe_to_pe": True} for name in ("Columns", "Rows")}
NOTHING = HOPS | {name: NEVER for name in ("Scratchpad", "Accumulator", "Register")}
HIDDEN = {name: {"overlap": "always"} for name in ("Scratchpad", "Accumulator")}
ON_WS = {
    "a read and a write port": (TWO_PORTS, STEADY),
    "one port (gemmini-ws)": ({}, STEADY),
    "+ first and last tiles": ({}, FILLED),
    "+ hops per stationary tile": (HOPS, FILLED),
    "+ the scratchpad hides nothing": (HOPS | {"Scratchpad": NEVER}, FILLED),
    "+ nor do accumulator and registers": (NOTHING, FILLED),
    "timeloop": ({}, toolkit.TIMELOOP),
}
ON_RTL = {", all is hidden": (HIDDEN, STEADY), "": ({}, FILLED), ", hops": (HOPS, FILLED)}


def told(results: PublishedResults, facts: dict[str, dict[str, Any]]) -> PublishedResults:
    """Write facts into the levels of the hardware that they are about."""

    def edited(arch: Architecture) -> Architecture:
        levels = (replace(x, **facts.get(x.name, {})) for x in arch.levels)
        return replace(arch, levels=tuple(levels))

    return replace(results, groups=tuple(replace(g, arch=edited(g.arch)) for g in results.groups))


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("firesim", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--by-kind", action="store_true", help="one table per kind of layer")
    parser.add_argument("--same-array", action="store_true", help="pairs on arrays of one width")
    given = parser.parse_args()
    results = read_published(given.firesim, [RTL])
    ways = {name: (results, *told_what) for name, told_what in ON_WS.items()}
    for name, by_library in (("gemmini-rtl", False), ("as its library runs", True)):
        rows = simulated(results, by_library=by_library)
        ways |= {f"{name}{way}": (rows, *told_what) for way, told_what in ON_RTL.items()}
    cycles = {
        name: published_totals(told(rows, facts), conventions).latency_cycles
        for name, (rows, facts, conventions) in ways.items()
    }
    cycles["fitted"] = corrected_cycles(results, toolkit.latency_correction("gemmini-rtl"))
    judged = simulated(results, by_library=False) if given.same_array else results
    rated = {name: latency_fit.rows_of(judged, RTL).ordered(c) for name, c in cycles.items()}
    for kind in next(iter(rated.values())) if given.by_kind else [latency_fit.ALL]:
        table = pd.DataFrame({name: asdict(found[kind]) for name, found in rated.items()}).T
        print(f"{kind}\n{table.astype({'pairs': int}).round(3).to_string()}\n")


if __name__ == "__main__":
    run_script(main)
