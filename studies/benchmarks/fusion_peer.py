"""Two fused products on TPU v4i as AccelForge describes it: is our best as good as its optimum?

M 4,096, and 1,024, 4,096 and 1,024 columns, values of 8 bits. AccelForge counts no first loads and
no last stores, as `steady` conventions do; under ours, which do, the same is printed below. Its
figures were printed by version 1.0.467 (`map_workload_to_arch`, energy-delay product, one process,
the example `tpu_v4i.yaml` as it is, in it `keep: All` at the outermost memory for what is not
fused) on the machine of the tables in docs/benchmarks.md; the accelerator is described in
`tests/data`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import toolkit
from toolkit.fusion import FoldedGraph, FusionResult, MappedModel, find_partition, fold
from toolkit.search.network import LayerSearch
from toolkit.study.script import Arguments, run_script
from toolkit.workload import gemm
from toolkit.workload.network import Layer, LayerGraph, TensorInfo

ARCH = Path(__file__).parent.parent.parent / "tests" / "data" / "accelforge_tpu_v4i.yaml"
CLOCK_MHZ = 1050
PEER = {
    "128 MiB, unfused": (8.127722e-3, 0.49932190e-3, 15.3),
    "128 MiB, fused": (6.8097043e-3, 0.49932190e-3, 31.6),
    "8 MiB, fused": (7.7084598e-3, 0.49932190e-3, 39.2),
}
"""AccelForge, by the size of the global buffer: energy in J, latency in s, CPU seconds."""


def product(name: str, source: TensorInfo, columns: int) -> Layer:
    rows, summed = source.shape
    made = TensorInfo(f"{name}.out", (rows, columns), "int8")
    operands = (source,), (TensorInfo(f"{name}.w", (summed, columns), "int8"),), (made,)
    product = gemm(columns, summed, rows)
    return Layer(name, "MatMul", "einsum", *operands, workload=product, elements=made.elements)


def products() -> FoldedGraph:
    first = product("first", TensorInfo("x", (4096, 1024), "int8"), 4096)
    second = product("second", first.outputs[0], 1024)
    ends = {"inputs": first.inputs, "outputs": second.outputs}
    return fold(LayerGraph.from_layers((first, second), **ends))


def found(strategy: str, conventions: str, mebibytes: int) -> tuple[FusionResult, float]:
    search = LayerSearch(strategy, conventions=toolkit.CONVENTIONS[conventions])
    arch = toolkit.load_arch(ARCH)
    buffer = replace(arch.memories[1], capacity_words=mebibytes * 1024 * 1024)
    arch = replace(arch, levels=(arch.levels[0], buffer, *arch.levels[2:]))
    start = time.process_time()
    model = MappedModel(products(), arch, search=search, proof_seconds=0.0, cache=False)
    result = find_partition(model, reasons=False)
    return result, time.process_time() - start


def row(name: str, energy_j: float, seconds: float, cpu: float) -> None:
    figures = (energy_j * 1e3, seconds * 1e3, energy_j * seconds * 1e6)
    print(f"{name:<34}" + "".join(f"{x:>12.6f}" for x in figures) + f"{cpu:>8.1f}")


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--strategy", default="greedy", help="how parts of layers are mapped")
    given = parser.parse_args()
    cases = [(name, mebibytes) for name in ("steady", "exact") for mebibytes in (128, 8)]
    results = {case: found(given.strategy, *case) for case in cases}
    print(f"{'':<34}{'mJ':>12}{'ms':>12}{'J·s * 1e6':>12}{'CPU s':>8}")
    for what, (energy, seconds, cpu) in PEER.items():
        row(f"AccelForge, {what}", energy, seconds, cpu)
    for (conventions, mebibytes), (result, cpu) in results.items():
        apart = tuple(map(sum, zip(*(option.costs for option in result.unfused), strict=True)))
        for what, (energy, cycles) in (("unfused", apart), ("fused", result.costs)):
            name = f"ours, {conventions}, {mebibytes} MiB, {what}"
            row(name, energy * 1e-12, cycles / CLOCK_MHZ * 1e-6, cpu)


if __name__ == "__main__":
    run_script(main)
