"""How much does greedy depend on where it starts?

    python studies/greedy_starts.py [STARTS [SEEDS]]

So many random mappings, greedy's descent from each of them to the bottom of its basin, and greedy
itself under several seeds; all as multiples of the best that is known, which the exact search
proves to be the optimum where it can. What came out is in docs/optimum.md.
"""

from __future__ import annotations

import numpy as np

import toolkit
from toolkit.study.script import Arguments, positive, run_script

PROBLEMS = (
    ("eyeriss", "bert-large/KQV"),
    ("simba", "bert-large/KQV"),
    ("gemmini", "bert-large/KTQ"),
    ("tpu", "bert-large/VScores"),
    ("eyeriss-conv", "resnet18/L6"),
    ("simba-conv", "resnet18/L6"),
    ("gemmini-conv", "vgg16/L4"),
)
PROOF_SECONDS = 60.0


def row(arch: str, workload: str, starts: int, seeds: int) -> list[str]:
    """Figures of one problem, as multiples of the best that is known."""
    problem = toolkit.make_problem(toolkit.load_arch(arch), toolkit.load_workload(workload))
    found = toolkit.sample_landscape(problem, starts, descend=True)
    greedy = [
        toolkit.search_mappings(
            problem, "greedy", budget=toolkit.Budget(evaluations=100_000), seed=seed
        )
        for seed in range(seeds)
    ]
    start = min((found.best, *greedy), key=lambda result: result.objective)
    proof = toolkit.search_mappings(
        problem,
        "exact",
        budget=toolkit.Budget(seconds=PROOF_SECONDS),
        warm_starts=[start.mapping],
    )
    best = proof.objective
    drawn, ends = found.drawn / best, found.kinds["descended"] / best
    return [
        *(f"{value:.4g}" for value in np.quantile(drawn, (0.0, 0.5))),
        *(f"{value:.4g}" for value in np.quantile(ends, (0.0, 0.5, 0.95))),
        *(f"{100 * np.mean(ends <= 1 + near):.3g} %" for near in (0.01, 0.1)),
        f"{max(result.objective for result in greedy) / best:.5g}",
        proof.status.replace(" of the best possible", ""),
    ]


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("starts", nargs="?", type=positive, default=1000)
    parser.add_argument("seeds", nargs="?", type=positive, default=5)
    given = parser.parse_args()
    heads = ("drawn", "median", "ends", "median", "95 %", "in 1 %", "in 10 %", "greedy")
    print(f"{'':29}" + "".join(f"{head:>9}" for head in heads) + "  optimum")
    for arch, workload in PROBLEMS:
        cells = row(arch, workload, given.starts, given.seeds)
        line = f"{arch + ' ' + workload:29}" + "".join(f"{cell:>9}" for cell in cells[:-1])
        print(f"{line}  {cells[-1]}", flush=True)


if __name__ == "__main__":
    run_script(main)
