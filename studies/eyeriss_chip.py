"""Does `eyeriss-chip` run AlexNet and VGG-16 as the chip did, and what is left?

Maps their convolutions with no more input channels per pass than the chip adds up in its array,
for little energy (the objective was chosen with the measurements in view), then freely for EDP.

    python studies/eyeriss_chip.py [EVALUATIONS]
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import toolkit
from toolkit.arch import parse_constraint
from toolkit.study.script import Arguments, positive, run_script

CHIP = toolkit.load_arch("eyeriss-chip")
MHZ, ELEMENTS, ANY = 200, 168, 12
MEASURED = pd.read_csv(Path(__file__).with_suffix(".csv"), comment="#")


@cache
def best(layer: str, inside: int, rows: int, objective: str, budget: Any) -> Any:
    """The best mapping's evaluation, with so many channels in an element and in its rows."""
    levels = []
    for level in CHIP.levels:
        most = {"WeightRegisters": inside, "Rows": rows}.get(level.name)
        limits = (parse_constraint(f"C <= {most}"),) if most else ()
        levels.append(replace(level, constraints=(*level.constraints, *limits)))
    arch = replace(CHIP, levels=tuple(levels))
    workload = toolkit.load_workload(f"{layer.replace(' ', ',')},bits=16")
    problem = toolkit.make_problem(arch, workload, objective=objective)
    result = toolkit.search_mappings(problem, "greedy", budget=budget, seed=0)
    return toolkit.evaluate(result.mapping, problem.arch, problem.workload)


def sums(row: Any, zeros_after: float, found: Any) -> dict[str, float]:
    """Time, DRAM traffic plain and in run-length code, energy on the chip, work of one layer."""
    mb = {x.tensor: 2e-6 * (x.reads + x.updates) for x in found.accesses if x.level == "DRAM"}
    # 64 bits of code hold three values that are not zero. Weights are not coded.
    percent = {"input": row.zeros_percent, "weight": 0.0, "output": zeros_after}
    coded = sum(mb[x] * min(1.0, (1 - percent[x] / 100) * 64 / 48) for x in mb)
    mj = 1e-9 * sum(x.access_pj for x in found.energies if x.level != "DRAM")
    values = {"ms": found.latency_cycles / MHZ / 1e3, "MB": sum(mb.values()), "coded MB": coded}
    return {k: row.groups * x for k, x in (values | {"mJ": mj, "GMAC": found.macs / 1e9}).items()}


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("evaluations", nargs="?", type=positive, default=200_000)
    budget = toolkit.Budget(parser.parse_args().evaluations)
    for (network, frames), layers in MEASURED.groupby(["network", "frames"], sort=False):
        after = [*layers.zeros_percent[1:], layers.zeros_percent.iloc[-1]]
        ours, free = [], []
        for row, zeros in zip(layers.itertuples(), after, strict=True):
            limits = (row.channels_in_element, row.channels_in_rows, "energy^8*latency", budget)
            ours.append(sums(row, zeros, best(row.workload, *limits)) | {"layer": row.layer})
            free.append(sums(row, zeros, best(row.workload, ANY, ANY, "edp", budget)))
        both = layers[["layer", "latency_ms", "dram_mb", "power_mw"]].merge(pd.DataFrame(ours))
        print(network, both.drop(columns="GMAC").round(1).to_string(index=False), sep="\n")
        chip = {"ms": both.latency_ms.sum(), "coded MB": both.dram_mb.sum()}
        chip["mJ"] = (both.latency_ms * both.power_mw).sum() / 1e3
        ways = {"measured": chip, "as the chip": both.sum(numeric_only=True)}
        x = pd.DataFrame(ways | {"freely": pd.DataFrame(free).sum()}).T
        table = pd.DataFrame({"frames/s": 1e3 * frames / x.ms, "mW": 1e3 * x.mJ / x.ms})
        table[["accesses/MAC", "coded"]] = x[["MB", "coded MB"]] / both.GMAC.sum() / 2e3
        print(table.to_string(float_format="{:.4g}".format))
        left = (chip["mJ"] - both.mJ.sum()) / chip["ms"]
        print(f"At the chip's pace {1e3 * left:.0f} mW are left,", end=" ")
        print(f"{1e6 * left / MHZ / ELEMENTS:.1f} pJ per element and cycle\n")


if __name__ == "__main__":
    run_script(main)
