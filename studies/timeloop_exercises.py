"""Does the model count as today's Timeloop, and how far from the best are Timeloop's mappings?

Costs the mappings of its public exercises beside what it printed, and proves the least EDP.

    python studies/timeloop_exercises.py [--conventions NAME] [--prove TEXT]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import toolkit
from toolkit.model.conventions import conventions_named
from toolkit.study.script import Arguments, run_script

DATA = Path(__file__).parents[1] / "tests" / "data" / "timeloop_exercises"
PRINTED_PJ = 0.02
"""Energies are printed to 0.01 pJ per tensor, so that sums may be off by as much."""


def beside_timeloop(run: Any, found: toolkit.Evaluation) -> dict[str, object]:
    """How many words and energies are those that Timeloop printed."""
    words = [
        getattr(a, kind) == count
        for a in found.accesses
        for kind, count in run["words"][a.level][a.tensor].items()
    ]
    energies = [
        (getattr(e, f"{what}_pj"), run["energy_pj"][e.level][what])
        for e in found.energies
        for what in ("access", "leakage")
    ]
    near = [abs(ours - theirs) <= PRINTED_PJ for ours, theirs in energies]
    return {
        "words equal": f"{sum(words)} of {len(words)}",
        "cycles": int(found.latency_cycles),
        "Timeloop's": run["cycles"],
        "energies equal": f"{sum(near)} of {len(near)}",
        "energy, µJ": found.energy_pj / 1e6,
        "off by": f"{found.energy_pj / sum(theirs for _, theirs in energies) - 1:+.2%}",
    }


def beside_the_best(run: Any, found: toolkit.Evaluation, best: Any) -> dict[str, object]:
    """How many times the costs of the mapping of least EDP a mapping takes."""
    return {
        "minimised by Timeloop": run["minimised"] or "(by hand)",
        "constraints": "kept" if found.valid else "not kept",
        "EDP": f"{found.edp_pj_cycles / best.objective:.3f}",
        "energy": f"{found.energy_pj / best.energy_pj:.3f}",
        "cycles": f"{found.latency_cycles / best.latency_cycles:.3f}",
        "status of the best": best.status,
    }


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--conventions", default="timeloop-4", help="how costs are counted")
    parser.add_argument("--prove", default="", help="only for exercises with this in their names")
    given = parser.parse_args()
    conventions = conventions_named(given.conventions)
    counted, distances = {}, {}
    for name, run in yaml.safe_load((DATA / "results.yaml").read_text(encoding="utf-8")).items():
        arch = toolkit.load_arch(DATA / f"{name}.arch.yaml")
        work = toolkit.load_workload(DATA / f"{name}.workload.yaml")
        mapping = toolkit.read_mapping(DATA / f"{name}.mapping.yaml", arch, work)
        found = toolkit.evaluate(mapping, arch, work, conventions=conventions)
        counted[name] = beside_timeloop(run, found)
        if given.prove not in name:
            continue
        problem = toolkit.make_problem(arch, work, conventions=conventions)
        best = toolkit.search_mappings(problem, "exact", budget=toolkit.Budget(seconds=60))
        distances[name] = beside_the_best(run, found, best)
    for rows in (counted, distances):
        print(pd.DataFrame.from_dict(rows, orient="index").to_string(), end="\n\n")


if __name__ == "__main__":
    run_script(main)
