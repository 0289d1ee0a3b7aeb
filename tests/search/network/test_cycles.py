"""What the latency of layers is spent on adds up, and is told apart rightly."""

from __future__ import annotations

import math

import pytest
from search.network.layers import network, product, total

import toolkit
from toolkit.search.network.cycles import HOPS, IDLE, layer_cycles, layer_parts

BUDGET = toolkit.Budget(evaluations=300)


def mapped(name: str, *layers: toolkit.Layer, **options: object) -> toolkit.NetworkResult:
    arch = toolkit.load_arch(name)
    return toolkit.map_network(
        network(*layers), arch, budget=BUDGET, cache=False, jobs=1, **options
    )


@pytest.mark.parametrize("arch", ["eyeriss", "gemmini", "simba", "tpu", "tensor-core-sm"])
@pytest.mark.parametrize("conventions", ["EXACT", "STEADY", "FACTORFLOW"])
def test_cycles_add_up_to_the_latency(arch: str, conventions: str) -> None:
    layers = (
        product("a", toolkit.gemm(37, 64, 20), repetitions=3),
        product("b", toolkit.gemm(128, 96, 1), "a", elements=128, operations_per_element=2000),
        total("c", "b", 400),
        toolkit.Layer("v", "Reshape", "view"),
    )
    result = mapped(arch, *layers, conventions=getattr(toolkit, conventions))
    cycles = layer_cycles(result)
    assert len(cycles) == len(result.layers)
    for layer, parts in zip(result.layers, cycles, strict=True):
        assert math.fsum(parts.values()) == pytest.approx(layer.latency_cycles, rel=1e-9)
        assert all(count > 0 for count in parts.values())


def test_work_waits_and_idle_lanes() -> None:
    # One row and one column: all but the lanes that share the sum are idle.
    result = mapped("eyeriss", product("a", toolkit.gemm(1, 4096, 1)), total("r", "a", 64))
    array, unit = layer_cycles(result)
    names = {level.name for level in result.arch.levels}
    assert array["Compute"] == pytest.approx(4096 / 168)
    assert array[IDLE] > 0
    assert {name.split(" ")[0] for name in array if name not in (IDLE, HOPS)} <= names
    assert any(name.endswith(" stalls") for name in array)
    # 64 operations on 16 lanes; 128 words through 8 words per cycle.
    assert unit == {"VectorUnit": 4.0, "VectorUnit waits": 12.0}


def test_tables_hold_what_layers_cost() -> None:
    result = mapped("eyeriss", product("a", toolkit.gemm(37, 64, 20)), total("c", "a", 400))
    tables = layer_parts(result)
    energy, cycles = tables["layer_energy"], tables["layer_cycles"]
    assert list(energy["layer"]) == list(cycles["layer"]) == ["a", "c"]
    totals = energy.drop(columns="layer").sum(axis=1)
    assert list(totals) == pytest.approx([layer.energy_pj for layer in result.layers])
    spent = cycles.drop(columns="layer").sum(axis=1)
    assert list(spent) == pytest.approx([layer.latency_cycles for layer in result.layers])
    assert energy.loc[1, "VectorUnit"] == pytest.approx(400 * 0.21)
