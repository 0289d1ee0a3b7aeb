"""Does `greedy` ever end worse than FactorFlow's own mappers, and how much faster is it?

Runs FactorFlow's benchmark under its conventions with the energy-delay product as objective and
compares with the better (and the faster) of its two mappers as measured in
`factorflow_headline.csv`; `timeout` rows hold the best that it had found when it was stopped.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd

import toolkit
from toolkit.errors import InputError
from toolkit.study.script import Arguments, positive, run_script

REFERENCE = Path(__file__).with_name("factorflow_headline.csv")
ONE_J_IN_PJ = 1e12


def reference(only: str) -> pd.DataFrame:
    """Best value and least time of FactorFlow's mappers per pair, where they found any."""
    table = pd.read_csv(REFERENCE).dropna(subset="edp_j_cycles")
    # A mapper that was stopped has no measured processor time; the clock stands in for it.
    table["cpu_s"] = table["cpu_s"].fillna(table["wall_s"])
    pairs = table.groupby(["arch", "workload"], sort=False)
    best = pairs[["edp_j_cycles", "cpu_s"]].min().reset_index()
    return best[(best["arch"] + " " + best["workload"]).str.contains(only, regex=False)]


def run(arch: str, workload: str, seed: int) -> tuple[float, float]:
    """Energy-delay product in J x cycles, and seconds of processor time."""
    start = time.process_time()
    problem = toolkit.make_problem(
        toolkit.load_arch(arch), toolkit.load_workload(workload), conventions=toolkit.FACTORFLOW
    )
    result = toolkit.search_mappings(problem, "greedy", seed=seed)
    return result.edp_pj_cycles / ONE_J_IN_PJ, time.process_time() - start


def compare(rows: pd.DataFrame, seeds: int) -> pd.DataFrame:
    """Run every pair under all seeds and print a line for each."""
    lines = []
    for arch, workload, theirs, their_seconds in rows.itertuples(index=False):
        runs = [run(arch, workload, seed) for seed in range(seeds)]
        worst, seconds = max(e for e, _ in runs), statistics.median(s for _, s in runs)
        lines.append((arch, workload, theirs, worst, worst / theirs, their_seconds, seconds))
        print(
            "{:<14}{:<32}{:>14.7g}{:>14.7g}{:>9.4f}{:>9.1f}{:>8.2f}".format(*lines[-1]), flush=True
        )
    names = ["arch", "workload", "factorflow", "greedy", "ratio", "their_cpu_s", "cpu_s"]
    return pd.DataFrame(lines, columns=names)


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument(
        "--seeds", type=positive, default=3, help="runs per pair; the worst counts"
    )
    parser.add_argument("--only", default="", help="pairs whose names contain this text")
    parser.add_argument("--csv", type=Path, help="write the table to this file")
    options = parser.parse_args()
    rows = reference(options.only)
    if rows.empty:
        raise InputError(f"no pair contains {options.only!r}", source="--only")
    run("eyeriss", "maestro-blas/MB3", 0)  # compiles, where nothing has yet
    print("EDP in J x cycles (worst of seeds), processor time in seconds (median of seeds)")
    heads = ("arch", "workload", "FactorFlow", "greedy", "ratio", "FF s", "s")
    print("{:<14}{:<32}{:>14}{:>14}{:>9}{:>9}{:>8}".format(*heads))
    table = compare(rows, options.seeds)
    speedup = np.exp(np.log(table["their_cpu_s"] / table["cpu_s"]).mean())
    better, worse = (table["ratio"] < 0.9999).sum(), (table["ratio"] > 1.0001).sum()
    print(
        f"{len(table)} pairs: better on {better}, worse on {worse}, {speedup:.0f} times less time"
    )
    print(
        f"slowest {table['cpu_s'].max():.2f} s, ratio of EDP (geometric mean) "
        f"{np.exp(np.log(table['ratio']).mean()):.4f}"
    )
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    run_script(main)
