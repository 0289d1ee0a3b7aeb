"""Whole networks: every distinct layer mapped once, the rest on the vector unit, and totals.

What it offers is loaded when it is first used, because reading results back needs no search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "cache": ("LayerCache", "default_cache_folder"),
    "comparison": ("NetworkComparison", "compare_networks"),
    "cost": ("LayerCost", "LayerSearch", "Traffic"),
    "lowering": ("Lowered", "lowerings"),
    "run": ("given_network", "map_layer", "map_network", "mappings_of"),
    "result": ("LayerResult", "NetworkResult"),
    "workloads": ("LayerProgress", "map_workload"),
}

__all__ = [
    "LayerCache",
    "LayerCost",
    "LayerProgress",
    "LayerResult",
    "LayerSearch",
    "Lowered",
    "NetworkComparison",
    "NetworkResult",
    "Traffic",
    "compare_networks",
    "default_cache_folder",
    "given_network",
    "lowerings",
    "map_layer",
    "map_network",
    "map_workload",
    "mappings_of",
]

if TYPE_CHECKING:
    from toolkit.search.network.cache import LayerCache, default_cache_folder
    from toolkit.search.network.comparison import NetworkComparison, compare_networks
    from toolkit.search.network.cost import LayerCost, LayerSearch, Traffic
    from toolkit.search.network.lowering import Lowered, lowerings
    from toolkit.search.network.result import LayerResult, NetworkResult
    from toolkit.search.network.run import given_network, map_layer, map_network, mappings_of
    from toolkit.search.network.workloads import LayerProgress, map_workload


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
