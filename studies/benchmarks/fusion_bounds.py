"""How far may the EDP of a fused, mapped network be above the best possible?

Prints the EDP of the best partition found, the bound of all partitions, plans and mappings, and
the gap between both; then where it is, in energy and in cycles, at the point of the bound with the
least product; and the words of DRAM against those that are moved once at least. Nothing is read
from the cache, so that the seconds are those of a first run.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import onnx

import toolkit
from toolkit.fusion import MappedModel, find_partition, fold
from toolkit.search import Budget
from toolkit.search.network import LayerSearch
from toolkit.study.script import Arguments, positive, run_script

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NETWORKS = {
    "ResNet-50": (LIGHT / "light_resnet50.onnx", "eyeriss-conv"),
    "DenseNet-121": (LIGHT / "light_densenet121.onnx", "eyeriss-conv"),
    "BERT-base": ("bert-base", "eyeriss"),
    "BERT-base ": ("bert-base", "gemmini-ws"),
}


def measure(
    name: str, search: LayerSearch, strategy: str, most: int, proof_seconds: float
) -> None:
    path, machine = NETWORKS[name]
    arch = toolkit.load_arch(machine)
    graph = fold(toolkit.load_network(path, fold_batch_norm=True))
    with tempfile.TemporaryDirectory() as cache:
        start, cpu = time.perf_counter(), time.process_time()
        model = MappedModel(graph, arch, search=search, proof_seconds=proof_seconds, cache=cache)
        found = find_partition(model, strategy, most_layers=most)
        seconds = time.perf_counter() - start
        energy, cycles = model.bound
    spent = time.process_time() - cpu
    shorter = model.bound_within(most)
    print(
        f"{name.strip()} on {machine}: EDP {found.value * 1e-12:,.6g} J·cycle, at least "
        f"{found.bound * 1e-12:,.6g}: {found.value / found.bound - 1:.1%} above, {seconds:.0f} s "
        f"({spent:.0f} CPU s without proofs); energy {found.costs[0] / energy - 1:.1%}, cycles "
        f"{found.costs[1] / cycles - 1:.1%} above; DRAM words {found.dram_words / 1e6:.1f} M, "
        f"once {found.graph.floor_words / 1e6:.1f} M",
    )
    if shorter is not None:
        energy, cycles = shorter
        print(
            f"    groups of up to {most} layers: {found.value / (energy * cycles) - 1:.1%} above; "
            f"energy {found.costs[0] / energy - 1:.1%}, cycles {found.costs[1] / cycles - 1:.1%}",
            flush=True,
        )


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--mapper", default="greedy", help="how parts of layers are mapped")
    parser.add_argument("--seconds", type=float, help="of each such search")
    parser.add_argument("--evaluations", type=positive, default=10_000, help="of each, otherwise")
    parser.add_argument("--fusion", default="exact", help="how partitions are searched")
    parser.add_argument("--group-length", type=int, default=12, help="most layers of a group")
    parser.add_argument("--proof-seconds", type=float, default=4.0, help="of each proof")
    parser.add_argument("--network", action="append", help="by name; all by default")
    given = parser.parse_args()
    budget = Budget(
        seconds=given.seconds, evaluations=given.evaluations if given.seconds is None else None
    )
    search = LayerSearch(given.mapper, budget)
    for name in NETWORKS:
        if not given.network or name.strip() in given.network:
            measure(name, search, given.fusion, given.group_length, given.proof_seconds)


if __name__ == "__main__":
    run_script(main)
