"""Can the numbers be trusted? The cost model beside Timeloop and beside RTL simulations.

Costs the mappings of DOSA's published files (Hong et al., MICRO 2023) under every set of
conventions, prints how well latency and energy agree, and draws both.

    python studies/validate_model.py [TIMELOOP.csv.gz FIRESIM.csv.gz] [--out FOLDER]

Without files it takes the samples in tests/data.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import toolkit
from toolkit.model.correction import latency_correction
from toolkit.study.fidelity import agreement_by_kind, agreement_table, read_published, validation
from toolkit.study.pictures import agreement as pictures
from toolkit.study.script import Arguments, run_script

DATA = Path(__file__).parents[1] / "tests" / "data"
PJ_PER_UJ = 1e6
RTL = "target.gemmini_cycle"


def beside_timeloop(path: Path, out: Path | None) -> None:
    results = read_published(path)
    costs = {n: validation.published_totals(results, c) for n, c in toolkit.CONVENTIONS.items()}
    cycles = {name: cost.latency_cycles for name, cost in costs.items()}
    energy = {name: cost.energy_pj / PJ_PER_UJ for name, cost in costs.items()}
    for what, unit, computed in (("latency", "cycles", cycles), ("energy", "µJ", energy)):
        measured = results.measured["target.cycle" if what == "latency" else "target.energy"]
        print(f"\n{what.capitalize()}, total, {unit}: computed against Timeloop")
        print(agreement_table(computed, measured).round(4).to_string())
        errors = np.abs(computed["timeloop"] / measured - 1)
        for row in np.argsort(errors, kind="stable")[::-1][:3]:
            where = f"line {results.lines[row]}: {results.mappings[row]}"
            print(f"  timeloop is off by {errors[row]:.2%} in {where}")
        if out is not None:
            given = (what, unit, "Timeloop", measured, computed, results.mappings)
            pictures.write(out, f"timeloop_{what}", pictures.comparison(*given))


def beside_rtl(path: Path, out: Path | None) -> None:
    results, correction = read_published(path, [RTL]), latency_correction("gemmini-rtl")
    costs = {n: validation.published_totals(results, c) for n, c in toolkit.CONVENTIONS.items()}
    cycles = {name: cost.latency_cycles for name, cost in costs.items()}
    cycles["DOSA's roofline"] = validation.dosa_roofline_cycles(results)
    cycles["gemmini-rtl"] = validation.corrected_cycles(results, correction)
    print("\nLatency, total, cycles: computed against RTL simulation (gemmini-rtl: fitted to it)")
    print(agreement_table(cycles, results.measured[RTL]).round(4).to_string())
    print(*correction.provenance, "", sep="\n")
    shown = {name: cycles[name] for name in ("timeloop", "gemmini-rtl")}
    kinds = [validation.layer_kind(workload) for workload in results.workloads]
    print(agreement_by_kind(kinds, shown, results.measured[RTL]).round(3).to_string())
    if out is not None:
        given = ("latency", "cycles", "RTL simulation", results.measured[RTL], shown)
        pictures.write(out, "rtl_latency", pictures.comparison(*given, results.mappings))


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("timeloop", nargs="?", type=Path, default=DATA / "timeloop_sample.csv.gz")
    parser.add_argument("firesim", nargs="?", type=Path, default=DATA / "firesim_sample.csv.gz")
    parser.add_argument("--out", type=Path, help="folder for pictures; without it, none are drawn")
    given = parser.parse_args()
    beside_timeloop(given.timeloop, given.out)
    beside_rtl(given.firesim, given.out)


if __name__ == "__main__":
    run_script(main)
