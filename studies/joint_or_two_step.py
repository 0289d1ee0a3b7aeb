"""How much area does it save to decide hardware and fusion together, at no higher EDP?

FA-DOSA's README claims 36 % on ResNet-18. Two steps: the hardware that is best for layers that
are not fused, proved, then fusion. Jointly: of all hardware of the space the least on which fused
layers cost no more; what no partition and no mapping undercuts tells how small it could be.

    python studies/joint_or_two_step.py [MODEL] [AREA] [SECONDS]
"""

from __future__ import annotations

import itertools
import time

import toolkit
from toolkit.codesign import HardwarePoint
from toolkit.codesign.exact import prove_hardware
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.fusion import MappedModel, find_partition, fold
from toolkit.fusion.folded import FoldedGraph
from toolkit.search import Budget
from toolkit.search.network import LayerSearch
from toolkit.study.script import Arguments, positive, run_script

SEARCH = LayerSearch("greedy", Budget(evaluations=5_000))


def model_of(graph: FoldedGraph, point: HardwarePoint, proof_seconds: float = 0.0) -> MappedModel:
    return MappedModel(graph, point.arch, search=SEARCH, proof_seconds=proof_seconds, cache=False)


def fused_edp(graph: FoldedGraph, point: HardwarePoint) -> float:
    return find_partition(model_of(graph, point), "greedy", most_layers=4, reasons=False).value


def least_edp(graph: FoldedGraph, point: HardwarePoint, proof_seconds: float) -> float:
    energy, cycles = model_of(graph, point, proof_seconds).bound
    return energy * cycles


def points_of(job: Job, area_um2: float) -> list[HardwarePoint]:
    """All hardware up to an area, the smallest first."""
    names, ranges = zip(*job.space.ranges.items(), strict=True)
    every = itertools.product(*(found.values for found in ranges))
    points = [job.space.build(dict(zip(names, values, strict=True))) for values in every]
    return sorted((p for p in points if p.area_um2 <= area_um2), key=lambda p: p.area_um2)


def shown(point: HardwarePoint, edp: float) -> str:
    return f"{point.area_um2 * 1e-6:.4g} mm², {edp * 1e-12:,.5g} J·cycle: {point.parameters}"


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("model", nargs="?", default="resnet18")
    parser.add_argument("area", nargs="?", type=float, default=2.0, help="budget in mm^2")
    parser.add_argument("seconds", nargs="?", type=positive, default=300, help="of proofs")
    given = parser.parse_args()
    network = toolkit.load_network(given.model, {}, fold_batch_norm=True, bits="word")
    settings = JobSettings(area_budget_um2=given.area * 1e6, factors="perfect")
    job, graph = make_job("gemmini-ws", [network], settings), fold(network)
    proof = prove_hardware(question_of(job), within=0.001)
    apart = job.space.build(proof.best.parameters)
    target = fused_edp(graph, apart)
    print(f"not fused, within {proof.gap:.2%} of the best: {shown(apart, proof.best.value)}")
    print(f"two steps, fused on that: {shown(apart, target)}", flush=True)
    open_points = [p for p in points_of(job, apart.area_um2) if least_edp(graph, p, 0.0) <= target]
    joint = next(p for p in open_points if p is apart or fused_edp(graph, p) <= target)
    saved = f"{joint.area_um2 / apart.area_um2 - 1:+.1%}, of {len(open_points)} points in question"
    print(f"jointly, the least area at no higher EDP: {saved}", flush=True)
    least, end = open_points[0], time.monotonic() + given.seconds
    for least in open_points:
        if least is joint or time.monotonic() > end or least_edp(graph, least, 1.0) <= target:
            break
    print(f"no hardware saves more than {1 - least.area_um2 / apart.area_um2:.1%} of the area")


if __name__ == "__main__":
    run_script(main)
