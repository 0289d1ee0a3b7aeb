"""How far is each strategy from the proven optimum?

Runs strategies on FactorFlow's benchmark (GEMMs, then convolutions, on the packaged
architectures), each pair also with the exact mapper, and prints the gaps in EDP to the optimum,
with FactorFlow's own mappers beside them (factorflow_headline.csv, measured once).

    python studies/benchmarks/strategy_gaps.py --strategies anneal=1200000,scipy=20000,random=20000
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

import toolkit
from toolkit.errors import DoesNotFitError, InputError
from toolkit.model.conventions import conventions_named
from toolkit.search.registry import find_strategy
from toolkit.study.script import Arguments, positive, run_script

ARCHITECTURES = ("gemmini", "eyeriss", "tpu", "simba")
SUITES = {
    "gemm": ("", ("bert-large/", "maestro-blas/")),
    "conv": ("-conv", ("conv-benchmark/", "transposed-conv-benchmark/")),
}
EXACT_SECONDS = 60.0
AT_OPTIMUM = 1e-9


def pairs(suite: str, only: str) -> list[tuple[str, str]]:
    """Architectures and workloads of a suite whose names contain a text."""
    suffix, groups = SUITES[suite]
    named = [(a + suffix, w) for a in ARCHITECTURES for w in toolkit.workload_names()]
    return [(a, w) for a, w in named if w.startswith(groups) and only in f"{a} {w}"]


def run(
    conventions: str, arch: str, workload: str, strategy: str, evaluations: int, seed: int
) -> dict[str, object]:
    """One line of the table; without a value where the pair does not fit."""
    line = {"arch": arch, "workload": workload, "strategy": strategy, "seed": seed}
    limits = toolkit.Budget(
        evaluations=evaluations or None, seconds=None if evaluations else EXACT_SECONDS
    )
    try:
        problem = toolkit.make_problem(
            toolkit.load_arch(arch),
            toolkit.load_workload(workload),
            conventions=conventions_named(conventions),
            factors="ragged" if conventions == "exact" else None,
        )
        began = time.process_time()
        result = toolkit.search_mappings(problem, strategy, budget=limits, seed=seed)
    except DoesNotFitError:
        return line
    used = time.process_time() - began
    return line | {"edp": result.objective, "bound": result.bound, "cpu_s": used}


def factorflow() -> pd.DataFrame:
    """FactorFlow's results, the better mapper of each pair."""
    table = pd.read_csv(Path(__file__).parent / "factorflow_headline.csv")
    table = table.assign(edp=table["edp_j_cycles"] * 1e12).sort_values("edp")
    table = table.drop_duplicates(["arch", "workload"])
    return table.assign(strategy="FactorFlow (better of two)", seed=0)


def gaps(runs: pd.DataFrame) -> pd.DataFrame:
    """Add each run's relative gap to the lowest known value of its pair."""
    best = runs.groupby(["arch", "workload"])["edp"].transform("min")
    return runs.assign(gap=runs["edp"] / best - 1)


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """One line per strategy."""
    groups = runs.groupby("strategy")
    return pd.DataFrame(
        {
            "runs": groups.size(),
            "mean gap %": groups["gap"].agg(lambda g: 100 * np.expm1(np.log1p(g).mean())),
            "median gap %": 100 * groups["gap"].median(),
            "worst gap %": 100 * groups["gap"].max(),
            "within 0.1 %": groups["gap"].agg(lambda g: (g <= 1e-3).mean()),
            "at optimum": groups["gap"].agg(lambda g: (g <= AT_OPTIMUM).mean()),
            "CPU s, median": groups["cpu_s"].median(),
            "CPU s, most": groups["cpu_s"].max(),
        }
    ).sort_values("mean gap %")


def wins(runs: pd.DataFrame, over: str = "random") -> pd.Series:
    """Share of pairs with a lower median over seeds, where another strategy leaves room."""
    medians = runs.groupby(["arch", "workload", "strategy"])["edp"].median().unstack()
    medians = medians[medians[over] > medians.min(axis=1) * (1 + AT_OPTIMUM)]
    return medians.lt(medians[over], axis=0).mean()


def strategies(text: str) -> list[tuple[str, int]]:
    """Strategies and their evaluations, from the command line."""
    entries = [entry.partition("=") for entry in text.split(",")]
    for name, _, _ in entries:
        find_strategy(name)
    return [(name, positive(number)) for name, _, number in entries]


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument(
        "--strategies", type=strategies, required=True, help="NAME=EVALUATIONS,..."
    )
    parser.add_argument(
        "--conventions",
        choices=("factorflow", "exact"),
        default="factorflow",
        help="of the model; exact: with ragged factors, which FactorFlow's mappers do not know",
    )
    parser.add_argument("--suite", choices=SUITES, default="gemm")
    parser.add_argument("--only", default="", help="pairs whose names contain this text")
    parser.add_argument("--seeds", type=positive, default=1)
    parser.add_argument("--jobs", type=positive, default=1)
    parser.add_argument("--csv", type=Path, help="write all runs to this file")
    options = parser.parse_args()
    chosen = pairs(options.suite, options.only)
    if not chosen:
        raise InputError(f"no pair contains {options.only!r}", source="--only")
    rules = options.conventions
    tasks = [(rules, *pair, "exact", 0, 0) for pair in chosen]
    for name, evaluations in options.strategies:
        for pair in chosen:
            tasks += [(rules, *pair, name, evaluations, seed) for seed in range(options.seeds)]
    lines = Parallel(n_jobs=options.jobs)(delayed(run)(*task) for task in tasks)
    found = pd.DataFrame(lines).dropna(subset=["edp"])
    if rules == "factorflow":
        peer = factorflow().merge(found[["arch", "workload"]].drop_duplicates())
        found = pd.concat([found, peer[["arch", "workload", "strategy", "edp", "cpu_s"]]])
    found = gaps(found)
    exact = found[found["strategy"] == "exact"]
    proved = (exact["edp"] <= exact["bound"]).sum()
    beaten = exact[exact["gap"] > AT_OPTIMUM]
    print(f"{len(exact)} pairs, {proved} optima proved")
    print(summary(found).to_string(float_format=lambda x: f"{x:.4g}"))
    if "random" in set(found["strategy"]):
        print("\nbetter than random, of the pairs on which that is not at the optimum:")
        print(wins(found).to_string())
    if options.csv:
        found.to_csv(options.csv, index=False)
    if len(beaten[beaten["edp"] <= beaten["bound"]]):
        raise SystemExit(f"a proved optimum was beaten:\n{beaten.to_string()}")


if __name__ == "__main__":
    run_script(main)
