"""Where the learnable tilings of networks set out, on an architecture or over a hardware space."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.joint_gradient.hardware import Hardware, Sizes
from toolkit.codesign.joint_gradient.layers import DistinctLayer, LayerBatch, gather
from toolkit.codesign.joint_gradient.network import Powers, RelaxedNetwork
from toolkit.codesign.space import HardwareSpace
from toolkit.errors import DoesNotFitError, InputError
from toolkit.fusion.folding import fold
from toolkit.fusion.group_model import FusionOverhead
from toolkit.fusion.partition.edges import fusible_edges
from toolkit.mapping.mapping import IntArray
from toolkit.search.gradient.alternatives import Relaxing, make_alternatives
from toolkit.search.gradient.tilings import Start, first_tilings, some_tilings
from toolkit.search.network import LayerSearch, NetworkResult, map_network
from toolkit.search.result import Budget

FIRST = LayerSearch("random", Budget(evaluations=1))
"""Maps layers where nobody gives mappings to set out from: one each, at random."""


def relax_networks(
    where: Architecture | HardwareSpace,
    uses: Sequence[NetworkWeight],
    *,
    starts: int = 16,
    search: LayerSearch = FIRST,
    fusion: bool = False,
    sizes: Sizes = "needed",
    orders: Relaxing = "fixed",
    bypasses: Relaxing = "fixed",
    known: Sequence[NetworkResult] = (),
    powers: Powers | None = None,
    overhead: FusionOverhead = FusionOverhead(),  # noqa: B008 - it is frozen
    seed: int = 0,
) -> RelaxedNetwork:
    """Make all layers of networks learnable.

    The first start has mappings that a search finds, or that are given; the others have valid
    ones at random, of a hardware space each on a point of its own.

    Parameters
    ----------
    where : Architecture or HardwareSpace
        What the networks run on, or where hardware may lie.
    uses : sequence of NetworkWeight
        The networks.
    starts : int
        Networks that are learned side by side.
    search : LayerSearch
        Finds the mappings of the first start; its objective and conventions are those of all.
    fusion : bool
        Whether tensors between layers may be fused.
    sizes : {"needed", "learned"}
        How hardware of a space is sized (`Hardware`).
    orders, bypasses : {"fixed", "relaxed"}
        Whether loop orders and optional bypasses are learned, too.
    known : sequence of NetworkResult
        Mappings for the first start; on an architecture, or the default point of a space.
    powers : tuple of float, optional
        Exponents of energy, latency and area that rank what is rounded; those of the search's
        objective by default.
    overhead : FusionOverhead
        What fusing two layers costs besides.
    seed : int
        Of all starts, and of noise.

    Raises
    ------
    InputError
        If `starts` is not positive, no layer has a workload, or what is `known` is of other
        networks.
    DoesNotFitError
        Naming the layer, if one has no mapping.
    """
    if starts < 1:
        raise InputError(f"expected at least 1, got {starts!r}", key="starts")
    space = where if isinstance(where, HardwareSpace) else None
    arch = where if isinstance(where, Architecture) else where.build(where.largest).arch
    first = arch if space is None else space.build(space.default).arch
    results = tuple(known) or tuple(_mapped(use, first, search) for use in uses)
    if len(results) != len(uses):
        raise InputError(f"expected {len(uses)} results, got {len(results)}", key="known")
    gathered = gather(arch, results, [use.weight for use in uses], search.rule)
    if not gathered.layers:
        raise InputError("expected a network with a layer that is mapped", key="network")
    draw = np.random.default_rng(seed)
    places = [first] * starts
    if space is not None:
        places[1:] = (space.sample(draw).arch for _ in range(starts - 1))
    edges = fusible_edges(arch, [fold(use.graph) for use in uses], starts) if fusion else None
    batches = []
    for layers in gathered.alike():
        factors, order = _set_out(layers, places, draw, moves=space is not None)
        chosen = make_alternatives(
            [layer.problem for layer in layers], order, orders=orders, bypasses=bypasses, seed=seed
        )
        batches.append(LayerBatch(layers, factors, order, chosen, edges))
    hardware = None if space is None else Hardware(space, space.default, starts, sizes)
    ranks = powers or (*search.objective.powers[:2], 0.0)
    network = RelaxedNetwork(
        arch, batches, gathered, uses, search, ranks, hardware, edges, overhead, seed
    )
    network.evaluations += sum(result.evaluations for result in results)
    network.recentre_()
    return network


def _mapped(use: NetworkWeight, arch: Architecture, search: LayerSearch) -> NetworkResult:
    return map_network(
        use.graph,
        arch,
        search.strategy,
        budget=search.limits,
        objective=search.objective,
        conventions=search.conventions,
        seed=search.seed,
        factors=search.factors,
        jobs=1,
        cache=False,
    )


def _set_out(
    layers: Sequence[DistinctLayer],
    places: Sequence[Architecture],
    draw: np.random.Generator,
    *,
    moves: bool,
) -> tuple[IntArray, IntArray]:
    """Tilings of all layers, one for each of some architectures."""
    rows: list[Start] = []
    for layer in layers:
        if moves:
            rows += _on(layer, places, draw)
        else:
            pair = first_tilings(layer.problem, len(places), draw, [layer.start])
            rows += zip(*pair, strict=True)
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def _on(
    layer: DistinctLayer, places: Iterable[Architecture], draw: np.random.Generator
) -> list[Start]:
    """The mapping that is known, then one that is valid on each of the other architectures."""
    rows = [layer.start]
    for arch in list(places)[1:]:
        try:
            rows.append(some_tilings(layer.on(arch), 2, draw)[-1])
        except DoesNotFitError:
            rows.append(layer.start)
    return rows
