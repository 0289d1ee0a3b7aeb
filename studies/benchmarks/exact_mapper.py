"""How fast is the exact mapper, and how much does it prove?

Runs the packaged architectures over FactorFlow's benchmark (GEMMs, then convolutions) and prints,
per pair, the optimum or the best value with its bound, seconds, and what the certificate says.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pandas as pd

import toolkit
from toolkit.errors import DoesNotFitError, InputError
from toolkit.model.conventions import conventions_named
from toolkit.search.evaluator import Evaluator
from toolkit.search.exact import prove
from toolkit.search.result import Budget
from toolkit.search.status import describe_status, describe_statuses, within_best
from toolkit.study.script import Arguments, run_script

ARCHITECTURES = ("gemmini", "eyeriss", "tpu", "simba")
GEMMS = ("bert-large/", "maestro-blas/")
CONVOLUTIONS = ("conv-benchmark/", "transposed-conv-benchmark/")
ROUNDING = 1e-12


def pairs(only: str) -> list[tuple[str, str]]:
    """All pairs whose names contain a text."""
    suites = (("", GEMMS), ("-conv", CONVOLUTIONS))
    named = [
        (arch + suffix, workload)
        for suffix, groups in suites
        for arch in ARCHITECTURES
        for workload in toolkit.workload_names()
        if workload.startswith(groups)
    ]
    return [pair for pair in named if only in " ".join(pair)]


def run(
    arch: str, workload: str, objective: str, conventions: str, factors: str | None, seconds: float
) -> dict[str, object] | None:
    """One line of the table; None if the pair does not fit."""
    try:
        problem = toolkit.make_problem(
            toolkit.load_arch(arch),
            toolkit.load_workload(workload),
            objective=objective,
            conventions=conventions_named(conventions),
            factors=factors,
        )
    except DoesNotFitError:
        return None
    wall, processor = time.perf_counter(), time.process_time()
    evaluator = Evaluator(problem, Budget(seconds=seconds))
    bound, certificate = prove(evaluator)
    best = evaluator.best_objective
    return {
        "arch": arch,
        "workload": workload,
        "value": best,
        "within_fraction": 0.0 if bound >= best * (1 - ROUNDING) else within_best(best, bound),
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - processor,
        "branches": certificate.spatial_choices,
        "compulsory": certificate.by_compulsory_traffic,
        "least": certificate.by_least_energy + certificate.by_least_latency,
        "labelled": certificate.by_labels,
        "labels": certificate.labels,
    }


def show(line: dict[str, object]) -> None:
    """Print one line."""
    status = describe_status(line["within_fraction"], stopped=True, short=True)
    print(
        "{arch:<13}{workload:<32}{value:>19.10g}  {status:<14}{wall_s:>8.2f}{cpu_s:>8.2f}"
        "{branches:>9}{compulsory:>11}{least:>7}{labelled:>9}{labels:>9}".format(
            status=status, **line
        ),
        flush=True,
    )


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--only", default="", help="pairs whose names contain this text")
    parser.add_argument("--objective", default="edp")
    parser.add_argument("--conventions", default="factorflow")
    parser.add_argument("--factors", choices=("perfect", "ragged"))
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit per pair")
    parser.add_argument("--csv", type=Path, help="write the table to this file")
    options = parser.parse_args()
    if not pairs(options.only):
        raise InputError(f"no pair contains {options.only!r}", source="--only")
    run(
        "gemmini", "maestro-blas/MB3", "edp", options.conventions, options.factors, 600
    )  # compiles
    run("gemmini", "bert-large/VScores", "edp", options.conventions, options.factors, 600)
    print(f"{options.objective} in pJ and cycles, {options.conventions} conventions; seconds")
    heads = ("arch", "workload", "value", "wall", "cpu", "branches", "compulsory", "least")
    print("{:<13}{:<32}{:>19}{:>24}{:>8}{:>9}{:>11}{:>7} labelled   labels".format(*heads))
    lines = []
    for pair in pairs(options.only):
        line = run(*pair, options.objective, options.conventions, options.factors, options.seconds)
        if line is not None:
            show(line)
            lines.append(line)
    table = pd.DataFrame(lines)
    proved = table[table["within_fraction"] == 0]
    parts = [(line["within_fraction"], True) for line in lines]
    print(
        f"{describe_statuses(parts)}; wall: median {table['wall_s'].median():.2f} s, "
        f"slowest {table['wall_s'].max():.2f} s; "
        f"median of those proved {proved['wall_s'].median():.2f} s; "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    run_script(main)
