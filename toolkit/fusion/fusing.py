"""Fusing a network in one call: fold it, map its parts, search for groups."""

from __future__ import annotations

import os
from collections.abc import Iterable

from toolkit.arch.architecture import Architecture
from toolkit.arch.files import load_arch
from toolkit.fusion import MOST_MAPPED_LAYERS
from toolkit.fusion.folding import fold
from toolkit.fusion.group_model import FusionOverhead
from toolkit.fusion.mapped import MappedModel
from toolkit.fusion.partition.registry import cost_partition, find_partition
from toolkit.fusion.partition.result import FusionResult
from toolkit.processes import Jobs
from toolkit.search.network.cost import LayerSearch
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.load import load_network


def fuse(
    graph: LayerGraph | str,
    arch: Architecture | str,
    strategy: str = "exact",
    *,
    groups: Iterable[Iterable[str]] | None = None,
    most_layers: int = MOST_MAPPED_LAYERS,
    search: LayerSearch | None = None,
    level: str | None = None,
    overhead: FusionOverhead | None = None,
    prefetch: bool = False,
    jobs: Jobs = 1,
    cache: bool | str | os.PathLike[str] = True,
) -> FusionResult:
    """Find which layers of a network should share tiles on chip, every part mapped.

    Parameters
    ----------
    graph : LayerGraph or str
        Or what `toolkit.load_network` takes.
    arch : Architecture or str
        Or what `toolkit.load_arch` takes.
    strategy : str
        A key of `toolkit.fusion.FUSION_STRATEGIES`.
    groups : iterable of iterables of str, optional
        Layers to fuse, instead of a search.
    most_layers : int
        Most layers of a group that is found.
    search : LayerSearch, optional
        How parts of layers are mapped.
    level : str, optional
        The memory that holds tensors between layers; the cheapest with room by default.
    overhead : FusionOverhead, optional
        What fusing two layers costs besides.
    prefetch : bool
        Whether groups load and store while their neighbours run.
    jobs : int or Cluster
        Processes that map layers on their own before the search.
    cache : bool or path-like
        Where mappings are kept between runs.

    Raises
    ------
    InputError
        If something is unknown, or the objective is none of fused networks.

    Examples
    --------
    >>> from toolkit.workload.network import NetworkByHand
    >>> import toolkit
    >>> network = NetworkByHand("two layers")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> network.add_layer("two", toolkit.conv2d(4, 4, 8, 8, 1, 1))
    >>> network.add_edge("one", "two")
    >>> quick = toolkit.LayerSearch(budget=toolkit.Budget(evaluations=20))
    >>> asked = (network.graph(), "eyeriss-conv", "exact")
    >>> fused = toolkit.fuse(*asked, search=quick, cache=False)  # doctest: +SKIP
    >>> len(fused.groups)  # doctest: +SKIP
    1
    """
    search = search or LayerSearch()
    model = fusion_model(
        load_network(graph) if isinstance(graph, str) else graph,
        load_arch(arch) if isinstance(arch, str) else arch,
        search=search,
        level=level,
        overhead=overhead or FusionOverhead(),
        prefetch=prefetch,
        jobs=jobs,
        cache=cache,
    )
    if groups is not None:
        return cost_partition(model, groups)
    return find_partition(model, strategy, most_layers=most_layers, seed=search.seed)


def fusion_model(
    graph: LayerGraph,
    arch: Architecture,
    *,
    search: LayerSearch,
    level: str | None,
    overhead: FusionOverhead,
    prefetch: bool,
    jobs: Jobs,
    cache: bool | str | os.PathLike[str],
) -> MappedModel:
    """State what groups of a network cost; see `fuse`."""
    return MappedModel(
        fold(graph),
        arch,
        objective=search.objective.name,  # type: ignore[arg-type]  # It is checked there.
        level=level,
        search=search,
        overhead=overhead,
        prefetch=prefetch,
        jobs=jobs,
        cache=cache,
    )
