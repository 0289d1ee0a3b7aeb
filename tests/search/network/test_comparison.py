"""Networks side by side cost what they cost alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from search.network.layers import network, product, total

import toolkit
from toolkit.errors import InputError

SEARCH = toolkit.LayerSearch(budget=toolkit.Budget(evaluations=200))
SMALL = network(product("a", toolkit.gemm(16, 8, 4)), total("r", "a", 64), name="small")
LARGE = network(product("a", toolkit.gemm(64, 32, 16)), name="large")


def compared(
    *archs: toolkit.Architecture, graphs: tuple[toolkit.LayerGraph, ...] = (SMALL, LARGE)
) -> toolkit.NetworkComparison:
    return toolkit.compare_networks(graphs, archs, SEARCH, cache=False, jobs=1)


def test_every_network_on_every_architecture() -> None:
    archs = [toolkit.load_arch(name) for name in ("eyeriss", "gemmini-chip")]
    found = compared(*archs)
    names = [(pair.network, pair.arch) for pair in found.pairs]
    assert names == [
        ("small", "eyeriss"),
        ("small", "gemmini-chip"),
        ("large", "eyeriss"),
        ("large", "gemmini-chip"),
    ]
    alone = toolkit.map_network(LARGE, archs[1], budget=SEARCH.budget, cache=False, jobs=1)
    row = found.rows()[3]
    assert row["energy_total_pj"] == alone.energy_pj
    assert row["latency_cycles"] == alone.latency_cycles
    assert row["peak_fraction"] == alone.utilization
    # 1 GHz, two operations per multiply-accumulate.
    assert row["seconds"] == pytest.approx(alone.latency_cycles * 1e-9)
    assert row["tops"] == pytest.approx(2 * alone.macs / alone.latency_cycles * 1e-3)
    assert row["tops_per_watt"] == pytest.approx(2 * alone.macs / alone.energy_pj)
    assert found.rows()[2]["seconds"] is None
    assert list(found.table()["network"]) == ["small", "small", "large", "large"]
    layers = found.layer_table()
    assert list(layers.columns[:3]) == ["network", "arch", "layer"]
    assert len(layers) == 2 + 2 + 1 + 1
    assert [row["network"] for row in found.to_dict()["networks"]] == [n for n, _ in names]


def test_areas_count_where_all_levels_have_one() -> None:
    arch = toolkit.load_arch("eyeriss")
    with_area = replace(
        arch, levels=tuple(replace(level, area_um2=1000.0) for level in arch.levels)
    )
    rows = compared(arch, with_area, graphs=(SMALL,)).rows()
    assert rows[0]["area_mm2"] is None
    assert rows[1]["area_mm2"] == pytest.approx(toolkit.area_um2(with_area) / 1e6)


def test_names_that_recur_are_told_apart() -> None:
    arch = toolkit.load_arch("eyeriss")
    found = compared(arch, arch, graphs=(SMALL, SMALL))
    assert len({(pair.network, pair.arch) for pair in found.pairs}) == 4
    assert found.pairs[3].network == "small (2)"


def test_what_has_no_mapping_says_why_and_costs_the_others_nothing() -> None:
    odd = network(product("odd", toolkit.gemm(7, 5, 3)), name="odd")
    arch = toolkit.load_arch("gemmini-ws")
    tiny = replace(
        arch, levels=tuple(_without_room(level) for level in arch.levels), name="no-room"
    )
    found = compared(tiny, arch, graphs=(odd,))
    refused, mapped = found.pairs
    assert refused.result is None
    assert "layer 'odd'" in refused.why
    assert mapped.result is not None
    assert found.rows()[0]["energy_total_pj"] is None
    assert found.results == (mapped.result,)


def _without_room(level: object) -> object:
    if isinstance(level, toolkit.Memory) and level.capacity_words is not None:
        return replace(level, capacity_words=1)
    return level


def test_nothing_to_compare() -> None:
    with pytest.raises(InputError, match="^archs: expected at least one"):
        compared()
    with pytest.raises(InputError, match="^graphs: expected at least one"):
        compared(toolkit.load_arch("eyeriss"), graphs=())
