"""A name where what it names is expected: one clear error, whichever function gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import toolkit

ARCH = toolkit.load_arch("eyeriss")
GEMM = toolkit.gemm(4, 4, 4)
PROBLEM = toolkit.make_problem(ARCH, GEMM)
RESULT = toolkit.search_mappings(PROBLEM, "random", budget=toolkit.Budget(evaluations=1))
GRAPH = toolkit.LayerGraph.from_layers([])
UNTYPED: Any = toolkit

WITHOUT_ARCH: dict[str, Callable[[Any], object]] = {
    "make_problem": lambda x: toolkit.make_problem(x, GEMM),
    "evaluate": lambda x: toolkit.evaluate(RESULT.mapping, x, GEMM),
    "render": lambda x: toolkit.render(RESULT.mapping, x, GEMM),
    "fit": lambda x: toolkit.fit(x, GEMM),
    "MapSpace": lambda x: toolkit.MapSpace(x, GEMM),
    "arch_to_yaml": lambda x: toolkit.arch_to_yaml(x),
    "area_um2": lambda x: toolkit.area_um2(x),
    "map_network": lambda x: toolkit.map_network(GRAPH, x),
}
WITHOUT_WORKLOAD: dict[str, Callable[[Any], object]] = {
    "make_problem": lambda x: toolkit.make_problem(ARCH, x),
    "evaluate": lambda x: toolkit.evaluate(RESULT.mapping, ARCH, x),
    "MapSpace": lambda x: toolkit.MapSpace(ARCH, x),
    "workload_to_yaml": lambda x: toolkit.workload_to_yaml(x),
}
OTHERS: dict[str, Callable[[], object]] = {
    "conventions: expected Conventions": lambda: UNTYPED.make_problem(
        ARCH, GEMM, conventions="exact"
    ),
    "problem: expected Problem": lambda: UNTYPED.search_mappings(ARCH),
    "budget: expected Budget": lambda: UNTYPED.search_mappings(PROBLEM, budget=100),
    "warm_starts: expected Sequence": lambda: UNTYPED.search_mappings(
        PROBLEM, warm_starts=RESULT.mapping
    ),
    "mapping: expected Mapping": lambda: UNTYPED.evaluate("best.yaml", ARCH, GEMM),
    r"unknown strategy .*'greedy'": lambda: UNTYPED.search_mappings(PROBLEM, ["greedy"]),
    "graph: expected LayerGraph": lambda: UNTYPED.map_network("net.onnx", ARCH),
    "budget.seconds: '3' is not": lambda: UNTYPED.Budget(seconds="3"),
}


@pytest.mark.parametrize("name", WITHOUT_ARCH)
def test_architecture(name: str) -> None:
    with pytest.raises(toolkit.InputError, match="arch: expected Architecture .*load_arch.*tpu"):
        WITHOUT_ARCH[name]("tpu")


@pytest.mark.parametrize("name", WITHOUT_WORKLOAD)
def test_workload(name: str) -> None:
    with pytest.raises(toolkit.InputError, match="workload: expected Workload .*load_workload"):
        WITHOUT_WORKLOAD[name]("bert-large/KQV")


@pytest.mark.parametrize("message", OTHERS)
def test_others(message: str) -> None:
    with pytest.raises(toolkit.InputError, match=message):
        OTHERS[message]()
