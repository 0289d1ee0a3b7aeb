"""A user's own training loop for mappings and hardware of ResNet-18, beside `joint-gradient`.

python studies/joint_training_loop.py [SAMPLES]
"""

from tempfile import TemporaryDirectory

import torch

import toolkit
from toolkit.codesign.job import JobSettings, make_job
from toolkit.objectives import HardwareProblem, for_torch
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.script import Arguments, positive, run_script

SEARCH = toolkit.LayerSearch(budget=toolkit.Budget(evaluations=1000))


def learn(problem: HardwareProblem, evaluations: int) -> None:
    torch.set_num_threads(1)
    spent, found = 0, []
    while spent < evaluations:
        model, before = for_torch(problem, seed=len(found)), spent
        adam = torch.optim.Adam(model.parameters(), lr=0.1, betas=(0.9, 0.99))
        for step in range(1, 151):
            costs = model()
            loss = costs.latency_cycles.log() + costs.energy_pj.log() + costs.area_um2.log()
            adam.zero_grad()
            (loss + costs.penalty()).sum().backward()
            adam.step()
            model.project_()
            if step % 10 == 0:
                model.recentre_()  # Figures of hardware are measured where it has moved.
            if step % 30 == 0:
                found.append(model.round(SEARCH))
            if (spent := before + model.evaluations) >= evaluations:
                break
    show("own loop", min(filter(None, found), key=lambda one: one.objective), spent)


def show(name: str, found: object, spent: int) -> None:
    edp, mm2 = found.edp_pj_cycles / 1e12, found.area_um2 / 1e6
    print(f"{name:<15}{edp:>9.5g} J·cycle{mm2:>7.3f} mm²{edp * mm2:>9.5g}{spent:>9,} evaluations")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("samples", nargs="?", type=positive, default=12)
    samples, graph = parser.parse_args().samples, toolkit.load_network("resnet18")
    settings = JobSettings(objective="edap", area_budget_um2=2e6, mapper_evaluations=1000)
    job = make_job("gemmini-ws-fine", [graph], settings)
    with TemporaryDirectory() as folder:
        storage = f"{folder}/loop.journal"
        run = compare_hardware(job, ["joint-gradient"], storage=storage, samples=samples).best
    show("joint-gradient", run.choice, run.evaluations)
    learn(HardwareProblem(job.space, [graph], "edap"), run.evaluations)


if __name__ == "__main__":
    run_script(main)
