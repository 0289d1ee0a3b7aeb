"""Small jobs for tests."""

from __future__ import annotations

from typing import Any

from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.workload import gemm
from toolkit.workload.network import Layer, LayerGraph, TensorInfo

FEW = {"side": [4, 8, 16], "scratchpad_words": [8192, 16384, 32768]}


def product(name: str, m: int, k: int, n: int, reads: str, writes: str) -> Layer:
    return Layer(
        name,
        "MatMul",
        "einsum",
        (TensorInfo(reads, (k, n), "int8"),),
        (TensorInfo(f"{name}.weight", (m, k), "int8"),),
        (TensorInfo(writes, (m, n), "int8"),),
        workload=gemm(m, k, n),
        elements=m * n,
    )


def two_products() -> LayerGraph:
    layers = [product("a", 32, 16, 24, "x", "y"), product("b", 8, 32, 24, "y", "z")]
    return LayerGraph.from_layers(
        layers, name="pair", inputs=layers[0].inputs, outputs=layers[1].outputs
    )


def small_job(**settings: Any) -> Job:
    chosen: dict[str, Any] = {"ranges": FEW, "mapper_evaluations": 200, **settings}
    return make_job("gemmini-ws", [two_products()], JobSettings(**chosen))
