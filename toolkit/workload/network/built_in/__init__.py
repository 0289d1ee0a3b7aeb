"""Networks by name, written as exporters write them, without files, downloads or weights."""

from toolkit.workload.network.built_in.catalog import (
    COUNTS,
    NETWORKS,
    PRECISIONS,
    BuiltIn,
    find_network,
    is_built_in,
    network_model,
    network_names,
    precision_named,
)

__all__ = [
    "COUNTS",
    "NETWORKS",
    "PRECISIONS",
    "BuiltIn",
    "find_network",
    "is_built_in",
    "network_model",
    "network_names",
    "precision_named",
]
