"""Results of searches on the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import toolkit
from toolkit.errors import InputError
from toolkit.mapping import to_arrays
from toolkit.model import STEADY
from toolkit.search.network import LayerCache, LayerSearch, default_cache_folder, map_workload
from toolkit.search.network import cache as cache_module

from .layers import network, product

ARCH = toolkit.load_arch("eyeriss")
SEARCH = LayerSearch(budget=toolkit.Budget(evaluations=200))
WORKLOAD = toolkit.gemm(8, 4, 6)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def kept(tmp_path: Path) -> LayerCache:
    """A cache with one result."""
    cache = LayerCache(tmp_path / "cache")
    map_workload(ARCH, WORKLOAD, SEARCH, cache=cache)
    return cache


def test_what_is_read_is_what_was_kept(kept: LayerCache) -> None:
    read = kept.read(ARCH, WORKLOAD, SEARCH)
    assert read == map_workload(ARCH, WORKLOAD, SEARCH)
    assert len(files(kept.folder)) == 1


def test_padded_sizes_and_notes_come_back(tmp_path: Path) -> None:
    cache, arch = LayerCache(tmp_path), toolkit.load_arch("gemmini")
    search = replace(SEARCH, factors="perfect")
    cost = map_workload(arch, toolkit.gemm(31, 16, 16), search, cache=cache)
    assert cache.read(arch, toolkit.gemm(31, 16, 16), search) == cost
    assert cost.workload.sizes["M"] == 32


def test_ragged_mappings_come_back(tmp_path: Path) -> None:
    cache, search = LayerCache(tmp_path), replace(SEARCH, conventions=STEADY)
    cost = map_workload(ARCH, toolkit.gemm(13, 7, 11), search, cache=cache)
    assert cache.read(ARCH, toolkit.gemm(13, 7, 11), search) == cost
    perfect = replace(search, conventions=replace(STEADY, factors="perfect"))
    assert cache.read(ARCH, toolkit.gemm(13, 7, 11), perfect) is None
    factors, _ = to_arrays(cost.mapping, ARCH, cost.workload)
    assert (factors.prod(axis=0) > [13, 7, 11]).any()
    assert cost.compute_cycles <= cost.latency_cycles
    assert 13 * 7 * 11 / 168 <= cost.compute_cycles <= factors[[0, 1, 4, 5, 6]].prod()


def test_ragged_perfect_and_padded_results_are_kept_apart(kept: LayerCache) -> None:
    perfect = replace(SEARCH, factors="perfect")
    ragged, padded = replace(SEARCH, factors="ragged"), replace(SEARCH, pad=("M",))
    fresh = LayerCache(kept.folder / "fresh")
    map_workload(ARCH, WORKLOAD, perfect, cache=fresh)
    assert fresh.read(ARCH, WORKLOAD, perfect) is not None
    assert fresh.read(ARCH, WORKLOAD, ragged) is None
    assert fresh.read(ARCH, WORKLOAD, padded) is None
    assert fresh.read(ARCH, WORKLOAD, replace(padded, pad=("N",))) is None
    # What the conventions say of factors and what is asked of them is the same question.
    said = replace(SEARCH, conventions=replace(SEARCH.conventions, factors="perfect"))
    asked = replace(said, factors="perfect")
    map_workload(ARCH, WORKLOAD, said, cache=fresh)
    assert fresh.read(ARCH, WORKLOAD, asked) == fresh.read(ARCH, WORKLOAD, said)


def test_names_of_workloads_do_not_matter(kept: LayerCache) -> None:
    read = kept.read(ARCH, replace(WORKLOAD, name="mine"), SEARCH)
    assert read is not None
    assert read.workload.name == "mine"


def test_bounds_come_back(tmp_path: Path) -> None:
    cache, search = LayerCache(tmp_path), LayerSearch("exact")
    cost = map_workload(ARCH, toolkit.gemm(2, 2, 2), search, cache=cache)
    assert cost.bound is not None
    assert cache.read(ARCH, toolkit.gemm(2, 2, 2), search) == cost


@pytest.mark.parametrize(
    "other",
    [
        {"strategy": "random"},
        {"budget": toolkit.Budget(evaluations=201)},
        {"budget": toolkit.Budget(evaluations=200, seconds=9.0)},
        {"seed": 1},
        {"objective": toolkit.OBJECTIVES["latency"]},
        {"conventions": toolkit.FACTORFLOW},
        {"pad": False},
    ],
)
def test_another_search_is_not_this_one(kept: LayerCache, other: dict[str, Any]) -> None:
    assert kept.read(ARCH, WORKLOAD, replace(SEARCH, **other)) is None


def test_another_architecture_or_workload_is_not_this_one(kept: LayerCache) -> None:
    dram = replace(ARCH.levels[0], read_energy_pj=63.0)
    assert kept.read(replace(ARCH, levels=(dram, *ARCH.levels[1:])), WORKLOAD, SEARCH) is None
    quiet = replace(ARCH, leakage=toolkit.Leakage("used"))
    assert kept.read(quiet, WORKLOAD, SEARCH) is None
    assert kept.read(ARCH, toolkit.gemm(8, 4, 7), SEARCH) is None
    batched = toolkit.batched_gemm(1, 8, 4, 6)
    assert kept.read(ARCH, batched, SEARCH) is None


def test_strides_matter(tmp_path: Path) -> None:
    cache, arch = LayerCache(tmp_path), toolkit.load_arch("eyeriss-conv")
    one, two = (toolkit.conv2d(2, 2, 4, 4, 3, 3, stride=s) for s in (1, 2))
    map_workload(arch, one, SEARCH, cache=cache)
    assert cache.read(arch, two, SEARCH) is None


def test_the_vector_unit_does_not_matter(kept: LayerCache) -> None:
    arch = replace(ARCH, vector_unit=toolkit.VectorUnit(8, 1.0, "DRAM"))
    assert kept.read(arch, WORKLOAD, SEARCH) is not None


def test_other_sources_or_versions_are_not_these(
    kept: LayerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_sources_digest", lambda: "other")
        assert kept.read(ARCH, WORKLOAD, SEARCH) is None
    monkeypatch.setattr(cache_module, "__version__", "999")
    assert kept.read(ARCH, WORKLOAD, SEARCH) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"digest": 1}', "\x00" * 10])
def test_a_corrupt_entry_is_a_miss_and_is_replaced(kept: LayerCache, damage: str) -> None:
    (path,) = files(kept.folder)
    whole = path.read_text()
    path.write_text(damage)
    assert kept.read(ARCH, WORKLOAD, SEARCH) is None
    map_workload(ARCH, WORKLOAD, SEARCH, cache=kept)
    assert path.read_text() == whole


def test_a_changed_number_is_a_miss(kept: LayerCache) -> None:
    (path,) = files(kept.folder)
    entry = json.loads(path.read_text())
    entry["cost"]["energy_pj"] *= 2
    path.write_text(json.dumps(entry))
    assert kept.read(ARCH, WORKLOAD, SEARCH) is None


def test_functions_are_not_kept(tmp_path: Path) -> None:
    cache = LayerCache(tmp_path)
    objective = toolkit.Objective("mine", function=lambda energy, latency, _: energy + latency)
    search = replace(SEARCH, strategy="random", objective=objective)
    map_workload(ARCH, WORKLOAD, search, cache=cache)
    assert files(tmp_path) == []


def test_a_network_reads_back_what_it_kept(tmp_path: Path) -> None:
    graph = network(product("a", WORKLOAD), product("b", toolkit.gemm(2, 4, 6)))
    first, again = (
        toolkit.map_network(graph, ARCH, budget=SEARCH.budget, cache=tmp_path) for _ in range(2)
    )
    assert (first.searches, first.reads, again.searches, again.reads) == (2, 0, 0, 2)
    assert [r.cost for r in first.layers] == [r.cost for r in again.layers]
    assert [r.cached for r in again.layers] == [True, True]
    assert again.evaluations == 0


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    graph = network(product("a", WORKLOAD), product("b", toolkit.gemm(2, 4, 6)))
    result = toolkit.map_network(graph, ARCH, budget=SEARCH.budget, cache=blocked, jobs=1)
    assert result.warnings == (f"results cannot be kept in {blocked}",)
    assert blocked.read_text() == ""


def test_the_default_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_folder().name == "layers"
    assert default_cache_folder().parent.name == "accel-search-toolkit"


def test_a_search_that_fails_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown strategy"):
        map_workload(ARCH, WORKLOAD, LayerSearch("gredy"), cache=LayerCache(tmp_path))
    assert files(tmp_path) == []
