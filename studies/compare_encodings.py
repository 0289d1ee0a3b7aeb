"""How should a mapping be written for Optuna's samplers?

Tilings as the level of each prime factor, as shares of primes per level, as one index per
dimension into all its splits, or as one divisor per level and dimension; loop orders as reuse
classes or by their two innermost loops; invalid tilings repaired, or told as constraints.

    python studies/compare_encodings.py [TRIALS [SEEDS]]

RESULTS
"""

from __future__ import annotations

import sys
from statistics import median

import toolkit
from toolkit.search import optuna_alternatives as other
from toolkit.search.evaluator import Evaluator
from toolkit.search.nsga2 import POPULATION, nsga2_sampler
from toolkit.search.optuna_driver import Coding, drive
from toolkit.search.optuna_encoding import Genes, OrderClasses, PrimeLevels, Repair
from toolkit.search.tpe import KEPT, LONGEST, STARTS, tpe_sampler

PROBLEMS = (
    ("eyeriss", "bert-large/KQV"),
    ("simba", "bert-large/KQV"),
    ("gemmini-conv", "vgg16/L4"),
)
CODINGS = {
    "prime levels, classes, repaired": (PrimeLevels, OrderClasses, True),
    "prime levels, innermost, repaired": (PrimeLevels, other.InnermostDimensions, True),
    "prime shares, classes, repaired": (other.PrimeShares, OrderClasses, True),
    "split index, classes, repaired": (other.SplitIndex, OrderClasses, True),
    "prime levels, classes, constraints": (PrimeLevels, OrderClasses, False),
    "prime shares, classes, constraints": (other.PrimeShares, OrderClasses, False),
    "split index, classes, constraints": (other.SplitIndex, OrderClasses, False),
    "divisors, classes, constraints": (other.DivisorIndex, OrderClasses, False),
}


def best(problem: toolkit.Problem, sampler: str, name: str, trials: int, seed: int) -> float:
    """Lowest energy-delay product that a sampler finds with a coding."""
    tiling, orders, repaired = CODINGS[name]
    space = problem.space
    halves: tuple[Genes, Genes] = tiling(space), orders(space)
    coding = Coding(space, *halves, Repair(space) if repaired else None)
    evaluator = Evaluator(problem, toolkit.Budget(evaluations=trials))
    starts = coding.starts(STARTS, (), seed)
    if sampler == "tpe":
        drive(evaluator, tpe_sampler, seed, coding, starts, memory=(LONGEST, KEPT))
    else:
        drive(evaluator, nsga2_sampler, seed, coding, starts, batch=POPULATION)
    return evaluator.best_objective


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seeds = range(int(sys.argv[2]) if len(sys.argv) > 2 else 3)
    budget = toolkit.Budget(evaluations=trials)
    print(f"Median EDP over {len(seeds)} seeds of {trials} trials, relative to greedy's")
    for arch, workload in PROBLEMS:
        problem = toolkit.make_problem(toolkit.load_arch(arch), toolkit.load_workload(workload))
        yardstick = toolkit.search(problem, "greedy").objective
        drawn = [toolkit.search(problem, "random", budget=budget, seed=s) for s in seeds]
        print(f"{arch} {workload}: random {median(r.objective for r in drawn) / yardstick:.2f}")
        for name in CODINGS:
            found = {
                sampler: median(best(problem, sampler, name, trials, s) for s in seeds) / yardstick
                for sampler in ("tpe", "nsga2")
            }
            print(f"  {name:36} tpe {found['tpe']:6.2f}  nsga2 {found['nsga2']:6.2f}", flush=True)


if __name__ == "__main__":
    main()
