"""Compares with DOSA on its own template: its algorithm, its baseline, and the best there is.

Gemmini with DOSA's energies (Hong et al., MICRO 2023), any side up to 128, no budgets; what is
minimised is the energy-delay product of each of its four networks. Every strategy may cost as many
mappings of each distinct layer as `dosa` does for its seven starts: 1,000 to map each, and one in
every step of its descent. `random-mappings` costs 1,000 on each of its hardware points, as
published; `joint-gradient` 2,500 on fewer points. `exact` tells what no hardware of the space
undercuts, whatever the mappings.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import toolkit
from toolkit.codesign.dosa.sampler import ROUNDS, STARTS
from toolkit.codesign.job import JobSettings, make_job
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.script import Arguments, positive, run_script
from toolkit.study.storage.files import make_folder
from toolkit.workload.network import Layer, LayerGraph, TensorInfo

OTHERS = "random-mappings,random,fill-area"
SIDES = tuple(range(4, 129, 4))
ALONE, OURS = 1_000, 2_500
SHOWN = ["strategy", "objective_value", "best_objective_value", "worst_objective_value"]
SHOWN += ["gap_fraction", "samples", "evaluations", "seconds", "parameters"]

# Taps, rows of the output, channels read and written, how often; the stride, if not 1.
UNET = [(3, 570, 1, 64, 1), (3, 568, 64, 64, 1), (3, 282, 64, 128, 1), (3, 280, 128, 128, 1)]
UNET += [(3, 138, 128, 256, 1), (3, 136, 256, 256, 1), (3, 66, 256, 512, 1), (3, 64, 512, 512, 1)]
UNET += [(3, 30, 512, 1024, 1), (3, 28, 1024, 1024, 1), (1, 388, 64, 2, 1)]
for rows, channels in ((56, 512), (104, 256), (200, 128), (392, 64)):
    UNET += [(2, rows, 2 * channels, channels, 1), (3, rows - 2, 2 * channels, channels, 1)]
    UNET += [(3, rows - 4, channels, channels, 1)]
# What RetinaNet adds to its backbone: a pyramid and two heads on each of its levels.
RETINANET = [(1, 28, 512, 256, 1), (1, 14, 1024, 256, 1), (1, 7, 2048, 256, 1)]
RETINANET += [(3, rows, 256, 256, 9) for rows in (28, 14, 7)]
RETINANET += [(3, 4, 2048, 256, 1, 2), (3, 4, 256, 256, 8), (3, 2, 256, 256, 8)]
RETINANET += [(3, 2, 256, 256, 1, 2)]
RETINANET += [(3, rows, 256, out, 1) for rows in (28, 14, 7, 4, 2) for out in (720, 36)]


def convolutions(name: str, rows: list[tuple[int, ...]]) -> LayerGraph:
    layers = []
    for number, (taps, size, c, m, count, *strides) in enumerate(rows):
        stride = strides[0] if strides else 1
        workload = toolkit.conv2d(m, c, size, size, taps, taps, stride=stride)
        wide, makes = stride * (size - 1) + taps, (1, m, size, size)
        for i in range(count):
            label = f"{number}.{i}"
            read = TensorInfo(f"{label}.in", (1, c, wide, wide), "int8")
            weight = TensorInfo(f"{label}.weight", (m, c, taps, taps), "int8")
            tensors = (read,), (weight,), (TensorInfo(f"{label}.out", makes, "int8"),)
            layers.append(Layer(label, "Conv", "einsum", *tensors, workload=workload))
    return LayerGraph.from_layers(layers, name=name)


def network(name: str) -> LayerGraph:
    known = {"unet": UNET, "retinanet": RETINANET}
    if name in known:
        return convolutions(name, known[name])
    return toolkit.load_network(name, {}, fold_batch_norm=True, bits="word")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--networks", default="resnet50,bert-base,unet,retinanet")
    parser.add_argument("--others", default=OTHERS, help="strategies beside dosa and exact")
    parser.add_argument("--seeds", type=positive, default=3)
    parser.add_argument("--seconds", type=positive, default=300, help="for every proof")
    parser.add_argument("--out", type=Path, help="folder for the storages; a new one by default")
    given = parser.parse_args()
    folder = make_folder(given.out or tempfile.mkdtemp())
    for name in given.networks.split(","):
        graph = network(name)
        settings = JobSettings(
            {"side": SIDES}, energies=False, factors="perfect", mapper_evaluations=ALONE
        )
        job = make_job("gemmini-ws-fine", [graph], settings)
        storage = str(folder / f"{name}.journal")
        proof = compare_hardware(
            job, ["exact"], storage=storage, samples=1, seconds=given.seconds, within=0.001
        )
        runs = {"storage": storage, "seeds": given.seeds, "jobs": 1, "cache": False}
        dosa = compare_hardware(job, ["dosa"], samples=STARTS * (1 + len(ROUNDS)), **runs)
        spent = round(statistics.median(run.evaluations for run in dosa.runs))
        others = compare_hardware(
            job, given.others.split(","), samples=10_000, evaluations=spent, **runs
        )
        closer = make_job("gemmini-ws-fine", [graph], replace(settings, mapper_evaluations=OURS))
        ours = compare_hardware(
            closer, ["joint-gradient"], samples=10_000, evaluations=spent, name="ours", **runs
        )
        every = dosa.runs + ours.runs + others.runs + proof.runs
        found = HardwareComparison(job, every, proof.proof)
        bound = job.objective.shown(proof.proof.bound)
        print(f"{job.title}: {spent:,} mappings; nothing is below {bound:,.5g} J*cycle")
        table = found.strategy_table()[SHOWN].sort_values("objective_value")
        print(table.to_string(index=False, float_format="{:,.5g}".format), flush=True)


if __name__ == "__main__":
    run_script(main)
