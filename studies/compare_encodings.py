"""How should a mapping be written for Optuna's samplers?

    python studies/compare_encodings.py [TRIALS [SEEDS]]

Median EDP relative to greedy's (300 trials, 3 seeds; TPE / NSGA-II; the strategies use the first):

    tilings, invalid tilings                eyeriss KQV         simba KQV   gemmini-conv L4
    random search                                  2.41              3.73              3.46
    primes, repaired                        1.03 / 1.05       1.64 / 1.57       1.02 / 1.64
    innermost, repaired                     1.06 / 1.05       2.42 / 2.26       1.03 / 1.64
    factors, repaired                       1.06 / 1.22       3.03 / 7.22       1.00 / 1.02
    shares, repaired                        1.60 / 1.29       1.42 / 2.60       2.38 / 2.42
    splits, repaired                        1.13 / 1.19       3.80 / 1.44       1.08 / 1.73
    primes, constraints                     1.13 / 1.39       3.25 / 7.95       1.28 / 1.71
    shares, constraints                     1.58 / 1.87       2.67 / 7.95       1.52 / 3.41
    splits, constraints                     1.41 / 1.37       7.94 / 5.87       1.46 / 1.73
    divisors, constraints                   1.15 / 2.27       7.95 / 7.95       1.43 / 7.38

Loop orders are reuse classes but for innermost, whose tilings are the first's. The same where
tiles may be ragged (anneal's EDP is the yardstick; the strategies use factors):

    tilings  eyeriss KQV   simba 197 768 768   eyeriss 127 251 509   gemmini 197 768 768
    factors  1.23 / 1.39         1.21 / 2.27           1.19 / 1.57           1.00 / 1.02
    shares   1.19 / 1.21         1.32 / 1.76           1.26 / 2.51           1.02 / 1.02
"""

from __future__ import annotations

from statistics import median

import toolkit
from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_samplers.alternatives import DivisorIndex
from toolkit.search.optuna_samplers.coding import Coding
from toolkit.search.optuna_samplers.driver import drive
from toolkit.search.optuna_samplers.encoding import OrderClasses
from toolkit.search.optuna_samplers.encodings import coding_of
from toolkit.search.optuna_samplers.mapping_objective import MappingObjective
from toolkit.search.optuna_samplers.samplers import SAMPLERS
from toolkit.study.script import Arguments, positive, run_script

PROBLEMS = (
    ("eyeriss", "bert-large/KQV", "perfect"),
    ("simba", "bert-large/KQV", "perfect"),
    ("gemmini-conv", "vgg16/L4", "perfect"),
    ("eyeriss", "bert-large/KQV", "ragged"),
    ("simba", "gemm:M=197,K=768,N=768", "ragged"),
    ("eyeriss", "gemm:M=127,K=251,N=509", "ragged"),
    ("gemmini", "gemm:M=197,K=768,N=768", "ragged"),
)
RAGGED = {"factors": True, "shares": True, "innermost": True}
WHOLE = {
    **dict.fromkeys(("primes", "innermost", "factors", "shares", "splits"), True),
    **{f"{name}, constraints": False for name in ("primes", "shares", "splits", "divisors")},
}
"""Encodings, and whether tilings are repaired."""
GUIDED = ("tpe", "nsga2")


def coding(problem: toolkit.Problem, name: str, repaired: bool) -> Coding:
    """An encoding by name; divisors can only break constraints."""
    if name.startswith("divisors"):
        return Coding(
            problem.space, DivisorIndex(problem.space), OrderClasses(problem.space), None
        )
    return coding_of(problem.space, encoding=name.split(",")[0], repaired=repaired)


def best(problem: toolkit.Problem, sampler: str, name: str, trials: int, seed: int) -> float:
    """Lowest energy-delay product that a sampler finds with a coding."""
    evaluator, row = Evaluator(problem, toolkit.Budget(evaluations=trials)), SAMPLERS[sampler]
    objective = MappingObjective(evaluator, coding(problem, name, (RAGGED | WHOLE)[name]))
    starts = objective.coding.starts(row.starts, (), seed)
    drive(objective, row.make, seed, starts, batch=row.batch, memory=row.memory)
    return evaluator.best_objective


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("trials", nargs="?", type=positive, default=300)
    parser.add_argument("seeds", nargs="?", type=positive, default=3)
    given = parser.parse_args()
    trials, seeds = given.trials, range(given.seeds)
    print(f"Median EDP over {given.seeds} seeds of {trials} trials, relative to greedy's")
    budget = toolkit.Budget(evaluations=trials)
    for arch, workload, factors in PROBLEMS:
        problem = toolkit.make_problem(
            toolkit.load_arch(arch), toolkit.load_workload(workload), factors=factors
        )
        codings, best_known = (RAGGED, "anneal") if factors == "ragged" else (WHOLE, "greedy")
        yardstick = toolkit.search_mappings(problem, best_known).objective
        drawn = [toolkit.search_mappings(problem, "random", budget=budget, seed=s) for s in seeds]
        print(f"{arch} {workload}: random {median(r.objective for r in drawn) / yardstick:.2f}")
        for name in codings:
            found = {
                sampler: median(best(problem, sampler, name, trials, s) for s in seeds) / yardstick
                for sampler in GUIDED
            }
            print(f"  {name:36} tpe {found['tpe']:6.2f}  nsga2 {found['nsga2']:6.2f}", flush=True)


if __name__ == "__main__":
    run_script(main)
