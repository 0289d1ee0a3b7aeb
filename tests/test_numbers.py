"""Numbers of NumPy where Python's own are expected: taken as if they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toolkit
from toolkit.arguments import plain_integer, plain_number
from toolkit.codesign.job import JobSettings
from toolkit.mapping.files import mapping_from_dict, mapping_to_dict
from toolkit.search.network import LayerSearch
from toolkit.study.compare.comparison import compare
from toolkit.study.hardware.plan import Plan
from toolkit.workload.kinds import build_kernel
from toolkit.workload.network.shapes import Dimensions

UNTYPED: Any = toolkit
ARCH = toolkit.load_arch("eyeriss")
GEMM = toolkit.gemm(4, 4, 4)
PROBLEM = toolkit.make_problem(ARCH, GEMM)
FEW = toolkit.Budget(evaluations=20)
GRAPH = toolkit.LayerGraph.from_layers([])

INTEGERS: dict[str, Callable[[Any], object]] = {
    "seed": lambda n: toolkit.search_mappings(PROBLEM, "random", budget=FEW, seed=n).seed,
    "evaluations": lambda n: toolkit.Budget(n).evaluations,
    "gemm": lambda n: toolkit.gemm(n, 4, 4).sizes["M"],
    "stride": lambda n: toolkit.conv2d(4, 4, 4, 4, 3, 3, stride=n).name,
    "dilation": lambda n: toolkit.conv2d(4, 4, 4, 4, 3, 3, dilation=(n, 1)).tensors,
    "specification": lambda n: build_kernel("conv1d", {"M": n, "C": 4, "P": 4, "R": n}),
    "term": lambda n: toolkit.Term("M", n).coefficient,
    "dims": lambda n: Dimensions({"batch": n}, "model").named("batch"),
    "parameters": lambda n: toolkit.load_arch("gemmini-ws", {"side": n}).name,
    "levels": lambda n: toolkit.arch_to_yaml(grown(ARCH, n)),
    "constraints": lambda n: toolkit.FactorConstraint("M", "==", n).value,
    "vector unit": lambda n: toolkit.VectorUnit(n, 1.0, "DRAM").lanes,
    "factors": lambda n: toolkit.LevelMapping("DRAM", (("M", n),)).factors,
    "layers": lambda n: toolkit.Layer("a", "Relu", "elementwise", elements=n).elements,
    "network seed": lambda n: toolkit.map_network(GRAPH, ARCH, seed=n, jobs=n).search.seed,
    "layer seed": lambda n: LayerSearch(seed=n).seed,
    "plan": lambda n: Plan("random", n, n, evaluations=n).record(),
    "job": lambda n: JobSettings({"side": [n]}, mapper_evaluations=n, mapper_seed=n).ranges,
    "ranges": lambda n: (
        toolkit.hardware_space("gemmini-ws", ranges={"side": {"from": n, "to": 9, "step": n}}).size
    ),
}
REALS: dict[str, Callable[[Any], object]] = {
    "seconds": lambda x: toolkit.Budget(seconds=x).seconds,
    "powers": lambda x: toolkit.Objective("mine", (x, 1.0, x)).powers,
    "plan": lambda x: Plan("random", 0, 1, seconds=x).record(),
    "technology": lambda x: toolkit.Technology(clock_ghz=x).clock_ghz,
    "budgets": lambda x: toolkit.hardware_space("gemmini-ws", power_budget_mw=x * 1_000).size,
    "parameters": lambda x: toolkit.load_arch("gemmini-ws", {"dram_bandwidth": x}).name,
    "ranges": lambda x: toolkit.hardware_space("gemmini-ws", ranges={"side": [x * 2]}).size,
    "weights": lambda x: toolkit.NetworkWeight(GRAPH, x).weight,
}


def grown(arch: toolkit.Architecture, n: Any) -> toolkit.Architecture:
    """Put a number wherever an architecture has an integer."""
    levels = [
        replace(level, capacity_words=n) if isinstance(level, toolkit.Memory) else level
        for level in arch.levels[:-1]
    ]
    last = replace(arch.compute, mesh=n, cycles=n)
    return replace(arch, levels=(*levels, last))


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array])
@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str, kind: Callable[[int], Any]) -> None:
    found, expected = INTEGERS[name](kind(3)), INTEGERS[name](3)
    assert found == expected
    assert repr(found) == repr(expected)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("name", REALS)
def test_reals(name: str, kind: Callable[[int], Any]) -> None:
    found = REALS[name](kind(4))
    assert found == REALS[name](4)
    assert "np." not in repr(found)


@pytest.mark.parametrize("value", [3.0, np.float64(3.0), True, np.True_, "3", None, np.array([3])])
def test_what_is_no_integer_stays_what_it_is(value: Any) -> None:
    assert plain_integer(value) is value
    with pytest.raises(toolkit.InputError, match="seed: .* is not an integer from 0"):
        UNTYPED.search_mappings(PROBLEM, "random", budget=FEW, seed=value)
    with pytest.raises(toolkit.InputError, match="size .* is not a positive integer"):
        UNTYPED.gemm(value, 4, 4)


@pytest.mark.parametrize("value", [True, np.True_, "0.5", None, 1j, np.array([0.5])])
def test_what_is_no_number_stays_what_it_is(value: Any) -> None:
    assert plain_number(value) is value


def test_messages_show_plain_numbers() -> None:
    with pytest.raises(toolkit.InputError, match="seed: -1 is not an integer from 0"):
        toolkit.search_mappings(PROBLEM, seed=np.int64(-1))  # type: ignore[arg-type]


def test_seeds_of_a_comparison(tmp_path: Path) -> None:
    seeds: Any = np.arange(2)
    count: Any = np.int64(2)
    storage = tmp_path / "a.journal"
    first = compare([PROBLEM], ["random"], FEW, seeds, storage=storage, jobs=count // 2)
    again = compare([PROBLEM], ["random"], FEW, count, storage=storage)
    assert first.seeds == again.seeds == (0, 1)
    assert [o.seconds for o in first.outcomes] == [o.seconds for o in again.outcomes]
    assert {type(seed) for seed in first.seeds} == {int}


def test_mappings_are_written_with_plain_factors() -> None:
    result = toolkit.search_mappings(PROBLEM, "random", budget=FEW)
    levels = tuple(
        replace(level, factors=tuple((d, np.int64(f)) for d, f in level.factors))
        for level in result.mapping.levels
    )
    mapping = toolkit.Mapping(levels)
    data = json.loads(json.dumps(mapping_to_dict(mapping)))
    data["levels"][0]["factors"] = {d: np.int64(f) for d, f in levels[0].factors}
    assert mapping_from_dict(data, ARCH, GEMM) == mapping == result.mapping
    assert astuple(mapping) == astuple(result.mapping)
    assert toolkit.evaluate(mapping, ARCH, GEMM).energy_pj == result.energy_pj
