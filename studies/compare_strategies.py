"""Which strategy to trust, for which problem? All of them side by side on one budget.

Searches workloads on architectures by several strategies and seeds, prints a table per problem,
ranks over all of them and whether chance explains those. A folder gets tables, plots, a report and
an Optuna storage with every run (see: toolkit dashboard), from which it goes on after a kill.

    python studies/compare_strategies.py [--evaluations N] [--seeds K] [--jobs J] [--out FOLDER]
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import toolkit
from toolkit.study.compare.comparison import Progress, compare
from toolkit.study.compare.statistics import rank_table, significance
from toolkit.study.compare.tables import summary_table
from toolkit.study.pictures.report import write_results
from toolkit.study.script import Arguments, run_script
from toolkit.study.storage.files import make_folder

PROBLEMS = {
    "eyeriss": ("bert-large/KQV", "bert-large/FF1"),
    "simba": ("bert-large/KQV", "bert-large/FF1"),
    "gemmini": ("bert-large/KQV", "bert-large/FF1"),
    "eyeriss-conv": ("resnet18/L1",),
    "simba-conv": ("resnet18/L6",),
}
SHOWN = ["strategy", "gap_best", "gap_median", "gap_worst", "evaluations_to_1_percent", "seconds"]


def show(progress: Progress) -> None:
    print(f"\r{progress.done} of {progress.total} runs", end="", file=sys.stderr, flush=True)


def report(given: Namespace) -> None:
    pairs = [(toolkit.load_arch(arch), name) for arch, names in PROBLEMS.items() for name in names]
    problems = [
        toolkit.make_problem(arch, toolkit.load_workload(name), objective=given.objective)
        for arch, name in pairs
    ]
    comparison = compare(
        problems,
        given.strategies.split(","),
        toolkit.Budget(given.evaluations, given.seconds),
        given.seeds,
        storage=None if given.out is None else make_folder(given.out) / "comparison.journal",
        jobs=given.jobs,
        on_run=show,
    )
    summary, ranks, test = (f(comparison) for f in (summary_table, rank_table, significance))
    for name, rows in summary.groupby("problem", sort=False):
        print(f"\n{name}\n{rows[SHOWN].round(4).to_string(index=False)}")
    print(f"\nRanks over {test.problems} problems\n{ranks.round(4).to_string(index=False)}")
    print(f"\nPairs\n{test.pairs.round(4).to_string(index=False)}\n{test.note}")
    if given.out is not None:
        results = write_results(comparison, given.out)
        print(f"\n{len(results.files)} files in {given.out}", *results.notes, sep="\n")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--strategies", default="greedy,anneal,random")
    parser.add_argument("--objective", default="edp", help="such as energy,latency for fronts")
    parser.add_argument("--evaluations", type=int, default=20_000, help="of each run")
    parser.add_argument("--seconds", type=float, help="of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for all results")
    report(parser.parse_args())


if __name__ == "__main__":
    run_script(main)
