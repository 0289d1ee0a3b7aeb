"""Does learning mappings, fusion and hardware together beat two steps, and random search?

FA-DOSA's experiment on ResNet-18, with its options (``fa_dosa.yaml``) and the columns of its file,
here in pJ·cycles, cycles, pJ and mm². Every algorithm may cost as many mappings.

    python studies/three_way_experiment.py [--evaluations N] [--out FILE] [--OPTION NUMBER ...]
"""

import math
from pathlib import Path

import pandas
import torch

import toolkit
from toolkit.fusion import FusionOverhead
from toolkit.objectives import HardwareProblem, for_torch
from toolkit.study.script import Arguments, positive, run_script

TEMPLATE = str(Path(__file__).with_name("fa_dosa.yaml"))
COSTS = ("final_loss", "final_edp", "final_latency", "final_energy", "final_area")
ALGORITHMS = {"FA-DOSA": (0, 60), "Two-Step Baseline": (40, 20), "Random Search": (0, 0)}
"""Steps without fusion, which settle the mappings if there are any, and steps with it."""


def learn(model, apart: int, together: int, weights: dict[str, float]) -> None:
    fusion, layers = [model.edges.logits], list(model.batches.parameters())
    phases = ((apart, layers, -20.0), (together, fusion if apart else layers + fusion, 0.0))
    for steps, learned, logit in phases:
        torch.nn.init.constant_(fusion[0], logit)
        adam = torch.optim.Adam(learned, lr=0.1, betas=(0.9, 0.99))
        for step in range(steps):
            adam.zero_grad()
            costs = model(temperature=1 - 0.9 * step / steps)
            (costs.log_cost((1, 1, 1)) + costs.penalty(weights)).sum().backward()
            adam.step()
            model.project_()
            if step % 10 == 9:
                model.recentre_()
    if not together:
        torch.nn.init.normal_(fusion[0], generator=torch.manual_seed(0))


def main() -> None:
    parser, template = Arguments(__doc__), toolkit.load_template(TEMPLATE)
    options = {k: v for k, v in template.parameters.items() if k not in template.ranges}
    parser.add_argument("--evaluations", type=positive, default=50_000)
    parser.add_argument("--out", default="experiment_results.csv")
    weights = {"penalty_weight": 1.0, "product_penalty_weight": 10.0}
    for name, value in {**options, **weights, "fusion_overhead_cost_pj": 0.5}.items():
        parser.add_argument(f"--{name}", type=float, default=value)
    given = vars(parser.parse_args())
    weights = dict.fromkeys(("capacity", "mesh"), given["penalty_weight"])
    weights["validity"] = given["product_penalty_weight"]
    ranges = {name: [given[name]] for name in options}
    space = toolkit.hardware_space(TEMPLATE, ranges=ranges, energies=False)
    print(toolkit.arch_to_yaml(space.build(space.default).arch))
    problem = HardwareProblem(space, [toolkit.load_network("resnet18")], "edap")
    overhead, rows = FusionOverhead(given["fusion_overhead_cost_pj"]), []
    torch.set_num_threads(1)
    for algorithm, steps in ALGORITHMS.items():
        found, spent, choose = [], 0, ("hardware", "mappings", "fusion")
        while spent < given["evaluations"]:
            model = for_torch(problem, choose=choose, overhead=overhead, seed=len(found))
            learn(model, *steps, weights)
            found.append(model.round())
            spent += model.evaluations
        best = min(filter(None, found), key=lambda one: one.objective)
        costs = (best.edp_pj_cycles, best.latency_cycles, best.energy_pj, best.area_um2 / 1e6)
        costs = dict(zip(COSTS, (math.log(best.objective), *costs), strict=True))
        rows.append({"workload": "resnet18", "algorithm": algorithm, **costs})
        print(algorithm, *(f"{name}={cost:.5g}" for name, cost in costs.items()), spent)
    pandas.DataFrame(rows).to_csv(given["out"], index=False)


if __name__ == "__main__":
    run_script(main)
