"""Which of the four accelerators runs the layers of BERT-large best?

Maps every matrix product of one encoder layer on every architecture and prints energy, latency
and energy-delay product, then the loop nest of the best mapping of all.

    python studies/map_bert_large.py [EVALUATIONS]
"""

from __future__ import annotations

import toolkit
from toolkit.study.script import Arguments, positive, run_script

ARCHS = ("eyeriss", "gemmini", "simba", "tpu")
LAYERS = [name for name in toolkit.workload_names() if name.startswith("bert-large/")]


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("evaluations", nargs="?", type=positive, help="of each search, at most")
    budget = toolkit.Budget(evaluations=parser.parse_args().evaluations)
    results = []
    print(f"{'layer':20} {'arch':8} {'energy mJ':>10} {'Mcycles':>10} {'EDP J·cycle':>12}")
    for layer in LAYERS:
        workload = toolkit.load_workload(layer)
        for name in ARCHS:
            problem = toolkit.make_problem(toolkit.load_arch(name), workload, objective="edp")
            result = toolkit.search_mappings(problem, "greedy", budget=budget, seed=0)
            results.append(result)
            print(
                f"{layer:20} {name:8} {result.energy_pj * 1e-9:10.3f} "
                f"{result.latency_cycles * 1e-6:10.3f} {result.edp_pj_cycles * 1e-12:12.5g}"
            )

    best = min(results, key=lambda result: result.edp_pj_cycles)
    problem = best.problem
    print(f"\nLowest energy-delay product: {problem.workload.name} on {problem.arch.name}\n")
    print(toolkit.render(best.mapping, problem.arch, problem.workload))
    evaluation = toolkit.evaluate(best.mapping, problem.arch, problem.workload)
    print(evaluation.energy_table().to_string(index=False))


if __name__ == "__main__":
    run_script(main)
