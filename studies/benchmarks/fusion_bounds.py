"""How far may the EDP of a fused, mapped network be above the best possible?

Prints the EDP of the best partition found, the bound of all partitions, plans and mappings, and
the gap between both; then where it is: in words of DRAM, in the energy of all else, in cycles.
Nothing is read from the cache, so that the seconds are those of a first run.
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
from toolkit.study.script import Arguments, run_script

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NETWORKS = {
    "ResNet-50": (LIGHT / "light_resnet50.onnx", "eyeriss-conv"),
    "DenseNet-121": (LIGHT / "light_densenet121.onnx", "eyeriss-conv"),
    "BERT-base": ("bert-base", "eyeriss"),
    "BERT-base ": ("bert-base", "gemmini-ws"),
}


def measure(name: str, search: LayerSearch, strategy: str, most: int) -> None:
    path, machine = NETWORKS[name]
    arch = toolkit.load_arch(machine)
    graph = fold(toolkit.load_network(path, fold_batch_norm=True))
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        model = MappedModel(graph, arch, search=search, cache=cache)
        found = find_partition(model, strategy, most_layers=most)
        seconds = time.perf_counter() - start
        energy, cycles = model.bound
    dram = sum(model.cost(o.plan).levels.get(arch.memories[0].name, 0.0) for o in found.groups)
    least = found.graph.floor_words * arch.memories[0].read_energy_pj
    print(
        f"{name.strip()} on {machine}: EDP {found.value * 1e-12:,.6g} J·cycle, at least "
        f"{found.bound * 1e-12:,.6g}: {found.value / found.bound - 1:.1%} above, {seconds:.0f} s; "
        f"DRAM {dram / least - 1:.0%}, other energy "
        f"{(found.costs[0] - dram) / (energy - least) - 1:.1%}, cycles "
        f"{found.costs[1] / cycles - 1:.1%} above",
        flush=True,
    )


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--mapper", default="greedy", help="how parts of layers are mapped")
    parser.add_argument("--seconds", type=float, help="of each such search")
    parser.add_argument("--fusion", default="exact", help="how partitions are searched")
    parser.add_argument("--group-length", type=int, default=12, help="most layers of a group")
    given = parser.parse_args()
    budget = Budget(seconds=given.seconds, evaluations=10_000 if given.seconds is None else None)
    for name in NETWORKS:
        measure(name, LayerSearch(given.mapper, budget), given.fusion, given.group_length)


if __name__ == "__main__":
    run_script(main)
