"""Several networks on several architectures, side by side."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.arch.architecture import Architecture
from toolkit.arch.technology import known_area_um2
from toolkit.arguments import check_kind
from toolkit.display import MOST_ROWS, object_html, short_energy, table_html
from toolkit.errors import DoesNotFitError, InputError
from toolkit.processes import Jobs
from toolkit.search.network.cost import LayerSearch
from toolkit.search.network.result import NetworkResult
from toolkit.search.network.run import map_network
from toolkit.search.network.workloads import LayerProgress
from toolkit.workload.network.graph import LayerGraph

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pair:
    """A network on an architecture.

    Parameters
    ----------
    network, arch : str
        Their names.
    result : NetworkResult or None
        What it costs; None if some layer has no mapping.
    why : str
        Why there is no result; empty where there is one.
    """

    network: str
    arch: str
    result: NetworkResult | None = None
    why: str = ""

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON; None for what is not known."""
        result = self.result
        row: dict[str, Any] = {"network": self.network, "arch": self.arch}
        if result is None:
            return {**row, **dict.fromkeys(_FIGURES), "why": self.why}
        totals = result.totals()
        clock_mhz = result.arch.clock_mhz
        seconds = result.latency_cycles / (clock_mhz * 1e6) if clock_mhz else None
        operations, area = 2 * result.macs, known_area_um2(result.arch)
        known = {
            "seconds": seconds,
            "tops": operations / seconds / 1e12 if seconds else None,
            # An operation per pJ is a tera-operation per J.
            "tops_per_watt": operations / result.energy_pj if result.energy_pj else None,
            "area_mm2": None if area is None else area / 1e6,
            "status": result.status,
        }
        return {**row, **{name: {**totals, **known}[name] for name in _FIGURES}, "why": ""}


_FIGURES = (
    "macs",
    "parameters",
    "energy_total_pj",
    "latency_cycles",
    "seconds",
    "edp_pj_cycles",
    "peak_fraction",
    "dram_read_words",
    "dram_write_words",
    "tops",
    "tops_per_watt",
    "area_mm2",
    "status",
)


def _cells(result: NetworkResult) -> tuple[str, ...]:
    return (
        short_energy(result.energy_pj),
        f"{result.latency_cycles:,.0f}",
        f"{result.edp_pj_cycles * 1e-12:.5g}",
        f"{result.utilization:.2%}",
        result.status,
    )


@dataclass(frozen=True)
class NetworkComparison:
    """What networks cost on architectures; made by `compare_networks`.

    Parameters
    ----------
    pairs : tuple of Pair
        Every network on every architecture, networks in the outer order.
    search : LayerSearch
        How each distinct workload was searched.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> quick, arch = toolkit.Budget(evaluations=20), toolkit.load_arch("eyeriss-conv")
    >>> asked = toolkit.LayerSearch(budget=quick)
    >>> sides = toolkit.compare_networks([network.graph()], [arch], asked, jobs=1, cache=False)
    >>> list(sides.table()["network"])
    ['one layer']
    """

    pairs: tuple[Pair, ...]
    search: LayerSearch

    def __repr__(self) -> str:
        mapped = len(self.results)
        return f"<NetworkComparison {len(self.pairs)} networks on architectures, {mapped} mapped>"

    def _repr_html_(self) -> str:
        """For notebooks: a row per network and architecture."""
        heads = ("network", "arch", "energy", "cycles", "EDP (J·cycle)", "of the peak", "mappings")
        rows = [
            (
                pair.network,
                pair.arch,
                *(("", "", "", "", pair.why) if pair.result is None else _cells(pair.result)),
            )
            for pair in self.pairs
        ]
        left = (True, True, False, False, False, False, True)
        table = table_html(heads, rows, left, MOST_ROWS)
        return object_html("Networks on architectures", [("search", self.search.strategy)], table)

    @property
    def results(self) -> tuple[NetworkResult, ...]:
        """The pairs that can be mapped."""
        return tuple(pair.result for pair in self.pairs if pair.result is not None)

    def rows(self) -> list[dict[str, Any]]:
        """One row per pair, as in `table`; None for what is not known."""
        return [pair.row() for pair in self.pairs]

    def table(self) -> pd.DataFrame:
        """One row per network and architecture.

        Returns
        -------
        DataFrame
            Columns ``network``, ``arch``, ``macs``, ``parameters``, ``energy_total_pj``,
            ``latency_cycles``, ``seconds`` (where the architecture has a clock),
            ``edp_pj_cycles``, ``peak_fraction`` (utilization over all cycles),
            ``dram_read_words``, ``dram_write_words``, ``tops`` and ``tops_per_watt`` (two
            operations per multiply-accumulate), ``area_mm2`` (where all levels have one),
            ``status`` (what is known of the mappings), ``why`` (there are no figures).
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def layer_table(self) -> pd.DataFrame:
        """One row per network, architecture and layer, with the columns of `NetworkResult`."""
        import pandas as pd

        tables = [
            pair.result.table().assign(network=pair.network, arch=pair.arch)
            for pair in self.pairs
            if pair.result is not None
        ]
        if not tables:
            return pd.DataFrame(columns=["network", "arch"])
        joined = pd.concat(tables, ignore_index=True)
        first = ["network", "arch"]
        return joined[[*first, *(name for name in joined.columns if name not in first)]]

    def to_dict(self) -> dict[str, Any]:
        """Write everything as JSON-able data, without the layers."""
        return {
            "strategy": self.search.strategy,
            "objective": self.search.objective.name,
            "conventions": self.search.conventions.name,
            "factors": self.search.rule,
            "seed": self.search.seed,
            "networks": self.rows(),
            "warnings": {
                result.graph.graph.get("name", ""): list(result.graph.warnings)
                for result in self.results
                if result.graph.warnings
            },
        }


def compare_networks(
    graphs: Sequence[LayerGraph],
    archs: Sequence[Architecture],
    search: LayerSearch | None = None,
    *,
    jobs: Jobs | None = None,
    cache: bool | str | os.PathLike[str] = True,
    on_layer: Callable[[LayerProgress], None] | None = None,
) -> NetworkComparison:
    """Map every network on every architecture.

    Parameters
    ----------
    graphs : sequence of LayerGraph
        See `toolkit.load_network`.
    archs : sequence of Architecture
        The accelerators.
    search : LayerSearch, optional
        How each layer is searched; greedily for the least energy-delay product by default.
    jobs, cache, on_layer
        As for `map_network`.

    Returns
    -------
    NetworkComparison
        A network that has no mapping on an architecture has no figures there, and says why.

    Raises
    ------
    InputError
        If there is no network or no architecture, or `map_network` takes none of the options.

    Examples
    --------
    >>> import toolkit
    >>> both = [toolkit.load_arch(name) for name in ("eyeriss", "simba")]
    >>> compared = compare_networks([toolkit.LayerGraph.from_layers([], name="nothing")], both)
    >>> [(pair.network, pair.arch) for pair in compared.pairs]
    [('nothing', 'eyeriss'), ('nothing', 'simba')]
    """
    for values, kind, key in ((graphs, LayerGraph, "graphs"), (archs, Architecture, "archs")):
        if not values:
            raise InputError("expected at least one", key=key)
        for value in values:
            check_kind(value, kind, key)
    wanted = search or LayerSearch()
    networks = _distinct([graph.graph.get("name") or "network" for graph in graphs])
    places = _distinct([arch.name for arch in archs])
    pairs = []
    for network, graph in zip(networks, graphs, strict=True):
        for place, arch in zip(places, archs, strict=True):
            try:
                result = map_network(
                    graph,
                    arch,
                    wanted.strategy,
                    budget=wanted.budget,
                    objective=wanted.objective,
                    conventions=wanted.conventions,
                    seed=wanted.seed,
                    pad=wanted.pad,
                    factors=wanted.factors,
                    jobs=jobs,
                    cache=cache,
                    on_layer=on_layer,
                )
            except DoesNotFitError as cause:
                pairs.append(Pair(network, place, why=str(cause)))
            else:
                pairs.append(Pair(network, place, result))
    return NetworkComparison(tuple(pairs), wanted)


def _distinct(names: Sequence[str]) -> list[str]:
    """Tell what is called alike apart by numbers.

    Examples
    --------
    >>> _distinct(["model", "other", "model"])
    ['model', 'other', 'model (2)']
    """
    seen: Counter[str] = Counter()
    told = []
    for name in names:
        seen[name] += 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told
