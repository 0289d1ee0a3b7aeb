"""How many mappings does `gradient` advance per second, and how close does it come?

The first table: one step of Adam (the cost model forward and backward, the update and the
projection) on a batch of random mappings of one GEMM, medians over several steps. With
``--gaps``, a second one: the gap of `gradient` to the best known EDP with 20,000 evaluations on
12 GEMMs and 4 architectures, with and without the discrete polish at its end; `anneal` with
its default budget of 1.2 million evaluations gives the best known.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

import toolkit
from toolkit.errors import InputError
from toolkit.mapping import sample
from toolkit.search import Budget, Problem, gradient
from toolkit.search.evaluator import Evaluator
from toolkit.search.gradient.descent import Descent
from toolkit.study.script import Arguments, positive, run_script

ARCHS = ("eyeriss", "gemmini", "simba", "tpu")
GEMMS = (
    *(f"bert-large/{name}" for name in ("KQV", "KTQ", "VScores", "Out", "FF1", "FF2")),
    *(f"maestro-blas/MB{number}" for number in range(1, 7)),
)


def gemm_problem(arch: str, workload: str) -> Problem:
    """Return the EDP of a GEMM as FactorFlow counts it."""
    return toolkit.make_problem(
        toolkit.load_arch(arch), toolkit.load_workload(workload), conventions=toolkit.FACTORFLOW
    )


def step_seconds(problem: Problem, batch: int, steps: int, device: str) -> tuple[float, float]:
    """Medians of wall-clock and CPU seconds of a step, after one to warm up."""
    factors, order = sample(problem.space, batch, np.random.default_rng(0))
    descent = Descent(problem, (1.0, 1.0, 0.0), factors, order, device)
    wall, cpu = [], []
    for _ in range(steps + 1):
        start = time.perf_counter(), time.process_time()
        descent.step()
        descent.logs()  # Waits for a GPU.
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def gap(problem: Problem, best: float, evaluations: int, share: float) -> float:
    """EDP over the best known, less 1, with this share of the budget for the polish."""
    evaluator = Evaluator(problem, Budget(evaluations=evaluations))
    gradient.gradient(evaluator, 0, polish_share=share)
    return evaluator.best_objective / best - 1


def print_gaps(evaluations: int) -> None:
    """Print every gap, and geometric means by architecture and of all."""
    logs = []
    for arch in ARCHS:
        for workload in GEMMS:
            problem = gemm_problem(arch, workload)
            best = toolkit.search_mappings(problem, "anneal").objective
            gaps = [gap(problem, best, evaluations, share) for share in (gradient.POLISH, 0.0)]
            logs.append(np.log1p(gaps))
            print(f"{arch:<9}{workload:<20}" + "".join(f"{g:>10.2%}" for g in gaps), flush=True)
        print(f"{arch:<29}" + "".join(f"{g:>10.2%}" for g in np.expm1(np.mean(logs[-12:], 0))))
    print(f"{'all':<29}" + "".join(f"{g:>10.2%}" for g in np.expm1(np.mean(logs, axis=0))))


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--steps", type=positive, default=15, help="timed steps per figure")
    parser.add_argument("--device", default="cpu", help="where torch runs, such as cuda")
    parser.add_argument("--gaps", action="store_true", help="measure the gaps too (minutes)")
    options = parser.parse_args()
    try:
        torch.empty(1, device=options.device)
    except (AssertionError, RuntimeError) as cause:
        reason = str(cause).partition("\n")[0]
        raise InputError(reason, source="--device") from None
    asked = gemm_problem("eyeriss", "bert-large/KQV")
    print(f"eyeriss, bert-large/KQV, {options.device}:")
    print(f"{'batch':>8}{'per second':>12}{'per CPU second':>16}")
    for size in (256, 1024, 4096, 16384):
        elapsed, used = step_seconds(asked, size, options.steps, options.device)
        print(f"{size:>8}{size / elapsed:>12,.0f}{size / used:>16,.0f}")
    if options.gaps:
        print("Gap to the best known EDP with 20,000 evaluations, with and without polish:")
        print_gaps(20_000)


if __name__ == "__main__":
    run_script(main)
