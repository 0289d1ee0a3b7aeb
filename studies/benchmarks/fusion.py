"""How much DRAM traffic does fusion save, and how long does the best partition take?

Prints the traffic of ResNet-18/50, MobileNetV2 and Inception-v1 under plain assumptions (nests of
two loops, halos retained, one byte per value, batch 1), partition search by partition search;
then the exact partition with every layer mapped, cold and with its mappings known.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import onnx

import toolkit
from toolkit.fusion import Assumptions, MappedModel, TrafficModel, find_partition, fold
from toolkit.search.network import LayerSearch
from toolkit.study.script import Arguments, run_script

EXPORTED = Path(__file__).parent.parent.parent / "tests" / "data" / "networks"
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
# Sizes of the fusion level in KiB, and the most layers of a group.
TRAFFIC = {
    EXPORTED / "resnet18.onnx": ((64, 256, 1024), 31),
    LIGHT / "light_resnet50.onnx": ((256, 1024), 80),
    EXPORTED / "mobilenet_v2.onnx": ((256,), 64),
    LIGHT / "light_inception_v1.onnx": ((256,), 9),
}
# As when the numbers of docs/benchmarks.md were measured.
WHOLE = LayerSearch(budget=toolkit.Budget(evaluations=10_000), factors="perfect")
SEARCHES = ("none", "greedy", "segments", "exact")
MAPPED = {EXPORTED / "resnet18.onnx": 31, LIGHT / "light_resnet50.onnx": 12}


def network(path: Path):
    return fold(toolkit.load_network(path, fold_batch_norm=True))


def traffic() -> None:
    heads = ("KiB", *SEARCHES, "proved", "seconds")
    print(f"{'DRAM megabytes':<20}" + "".join(f"{head:>10}" for head in heads))
    for path, (sizes, most) in TRAFFIC.items():
        graph = network(path)
        for size in sizes:
            start = time.perf_counter()
            found = [
                find_partition(
                    TrafficModel(graph, Assumptions(size * 1024, loops=2, halos=("retain",))),
                    search,
                    most_layers=most,
                )
                for search in SEARCHES
            ]
            cells = "".join(f"{result.costs[0] * 1e-6:>10.2f}" for result in found)
            proved = "yes" if found[-1].proved else "no"
            seconds = time.perf_counter() - start
            print(f"{path.stem:<20}{size:>10}{cells}{proved:>10}{seconds:>10.1f}", flush=True)


def mapped(arch: toolkit.Architecture) -> None:
    for path, most in MAPPED.items():
        graph = network(path)
        with tempfile.TemporaryDirectory() as cache:
            for state in ("cold", "warm"):
                start = time.perf_counter()
                model = MappedModel(graph, arch, search=WHOLE, cache=cache)
                found = find_partition(model, "exact", most_layers=most)
                seconds = time.perf_counter() - start
                saved = 1 - found.value / found.unfused_value
                print(f"{path.stem} on {arch.name}, {state}: {seconds:.1f} s", end=", ")
                print(f"EDP {found.value * 1e-12:,.6g} J·cycle, {saved:.1%} saved")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--arch", default="eyeriss-conv", help="on which layers are mapped")
    arch = toolkit.load_arch(parser.parse_args().arch)
    traffic()
    mapped(arch)


if __name__ == "__main__":
    run_script(main)
