"""How many mappings per second does the cost model evaluate?

Medians over several runs, for random valid mappings of a GEMM on Eyeriss and of a convolution
with stride and dilation on Simba. FactorFlow's model evaluates 5,000-7,000 and 3,500-4,000 of
them per second on the same machine.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numpy as np

import toolkit
from toolkit.mapping import MapSpace, sample
from toolkit.model import batch_cost, make_plan
from toolkit.model.compiled import batch_totals
from toolkit.search.evaluator import Evaluator
from toolkit.study.script import Arguments, positive, run_script

PAIRS = (("eyeriss", "bert-large/KQV"), ("simba-conv", "resnet18/L1+"))
CHUNK = 2048  # what fits the cache, for the NumPy form


def rate(work: Callable[[], object], mappings: int, runs: int) -> float:
    """Median of mappings per second of wall-clock time, after one run to warm up."""
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return mappings / statistics.median(seconds[1:])


def measure(
    arch_name: str, workload_name: str, conventions: toolkit.Conventions, runs: int
) -> None:
    """Print the figures of one pair under one set of conventions."""
    problem = toolkit.make_problem(
        toolkit.load_arch(arch_name),
        toolkit.load_workload(workload_name),
        conventions=conventions,
    )
    plan = make_plan(problem.arch, problem.workload, conventions)
    space = MapSpace(problem.arch, problem.workload, conventions.window_footprint)
    factors, order = sample(space, 1 << 18, np.random.default_rng(0))
    small = factors[:CHUNK].astype(np.float64), order[:CHUNK]

    def one_core() -> object:
        return batch_totals(plan, factors, order, threads=1)

    def all_cores() -> object:
        return batch_totals(plan, factors, order)

    def breakdown() -> object:
        return batch_cost(plan, *small)

    rates = (
        rate(all_cores, len(factors), runs),
        rate(one_core, len(factors), runs),
        rate(breakdown, CHUNK, runs),
    )
    cells = "".join(f"{value:>16,.0f}" for value in rates) + f"{overhead(problem, runs):>16.0%}"
    print(f"{arch_name:<12}{workload_name:<16}{conventions.name:<12}{cells}")


def overhead(problem: toolkit.Problem, runs: int) -> float:
    """Processor time of the evaluator that strategies call, over that of the compiled model.

    Batches of 4096 mappings, alternately; checks, counters and the search for duplicates are
    what the evaluator adds.
    """
    factors, order = sample(problem.space, 4096, np.random.default_rng(0))
    evaluator = Evaluator(problem, toolkit.Budget(evaluations=2**60))
    costs, ratios = np.ones((len(factors), 4)), []
    for _ in range(20 * runs + 1):
        start = time.process_time()
        evaluator.model.cost_batch(factors, order, costs)
        between = time.process_time()
        evaluator.evaluate(factors, order)
        ratios.append((time.process_time() - between) / (between - start) - 1)
    return statistics.median(ratios[1:])


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--runs", type=positive, default=7, help="timed runs per figure")
    options = parser.parse_args()
    cores = os.cpu_count()
    print(f"Mappings per second, medians of {options.runs} runs:")
    heads = (f"{cores} threads", "one, sequential", "full breakdown", "evaluator adds")
    print(f"{'arch':<12}{'workload':<16}{'conventions':<12}" + "".join(f"{h:>16}" for h in heads))
    for arch, workload in PAIRS:
        for chosen in (toolkit.EXACT, toolkit.FACTORFLOW):
            measure(arch, workload, chosen, options.runs)


if __name__ == "__main__":
    run_script(main)
