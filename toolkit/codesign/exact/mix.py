"""What a mix of networks costs at best on some hardware: hulls of layers, added up.

What a layer does beside the array takes its time at once with it: no layer takes fewer cycles than
that. So a trade-off that lies above the lower hull of its workload may lie on that of the layer,
once those with fewer cycles have none to show for it: hulls are taken after what is beside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.exact.hulls import HullSum, lower_hull, sum_of_hulls
from toolkit.codesign.exact.layers import Demand, demands_of
from toolkit.mapping.mapping import FloatArray
from toolkit.model.conventions import Conventions
from toolkit.workload.kernel import Workload

TradeOffs = Mapping[Workload, FloatArray | None]
"""Energies and latencies of every workload by rising energy: what mappings cost, or a hull below
that; None where it has no mapping."""


@dataclass(frozen=True)
class Item:
    """Layers that cost the same: how they can run, what they do beside the array, how often.

    Parameters
    ----------
    ways : tuple of Workload
        Any of them will do; empty if nothing runs on the array.
    energy_pj, cycles : float
        Of one repetition beside the array.
    counts : tuple of float
        Repetitions in one run of each network.
    """

    ways: tuple[Workload, ...]
    energy_pj: float
    cycles: float
    counts: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The best choice of mappings for all layers.

    Parameters
    ----------
    value : float
        Of the objective, without what area it may count.
    energy_pj, latency_cycles : float
        Weighted sums over the networks.
    networks : tuple of (float, float)
        Energy and latency of one run of each.
    places : tuple of (Workload, int)
        For every item with a workload the way that it runs, and which of its trade-offs.
    """

    value: float
    energy_pj: float
    latency_cycles: float
    networks: tuple[tuple[float, float], ...]
    places: tuple[tuple[Workload, int], ...]


@dataclass(frozen=True, eq=False)
class Mix:
    """The layers of all networks on hardware of one kind.

    Parameters
    ----------
    weights : tuple of float
        Of the networks.
    demands : tuple of Demand
        Their layers.
    """

    weights: tuple[float, ...]
    demands: tuple[Demand, ...]

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Each once."""
        return tuple(dict.fromkeys(way for demand in self.demands for way in demand.ways))

    def items(self, arch: Architecture, conventions: Conventions) -> tuple[Item, ...]:
        """Layers that cost the same on some hardware, together."""
        found: dict[tuple[tuple[Workload, ...], float, float], list[float]] = {}
        for demand in self.demands:
            key = (demand.ways, *demand.beside(arch, conventions))
            if demand.ways or key[1] or key[2]:
                counts = found.setdefault(key, [0.0] * len(self.weights))
                counts[demand.network] += demand.count
        return tuple(Item(*key, tuple(counts)) for key, counts in found.items())

    def least(
        self,
        items: Sequence[Item],
        known: TradeOffs,
        powers: Sequence[float],
        *,
        below: Collection[Workload] = (),
    ) -> Chosen | None:
        """The least objective value over all choices of trade-offs; None if a layer has none.

        Parameters
        ----------
        below : collection of Workload
            Those of which a hull is known, with what lies between its corners.
        """
        own = [_item_hull(item, known, below) for item in items]
        hulls = [entry for entry in own if entry is not None]
        if len(hulls) < len(own):
            return None
        counts = [float(np.dot(item.counts, self.weights)) for item in items]
        if not hulls:
            return Chosen(0.0, 0.0, 0.0, ((0.0, 0.0),) * len(self.weights), ())
        total = sum_of_hulls([hull for hull, _ in hulls], counts)
        value, place = total.least(powers)
        return self._chosen(items, hulls, total, value, place)

    def total(
        self, items: Sequence[Item], known: TradeOffs, below: Collection[Workload]
    ) -> HullSum | None:
        """Lower hull of the sums over all choices; None if a layer has none."""
        own = [entry and entry[0] for entry in (_item_hull(x, known, below) for x in items)]
        hulls = [hull for hull in own if hull is not None]
        if not hulls or len(hulls) < len(own):
            return None
        return sum_of_hulls(hulls, [float(np.dot(item.counts, self.weights)) for item in items])

    def trade_offs(self, items: Sequence[Item], known: TradeOffs) -> list[Chosen]:
        """Corners of the same, with what makes each; none if a layer has none.

        Each is worth its energy-delay product.
        """
        own = [_item_hull(item, known) for item in items]
        hulls = [entry for entry in own if entry is not None]
        if not hulls or len(hulls) < len(own):
            return []
        counts = [float(np.dot(item.counts, self.weights)) for item in items]
        total = sum_of_hulls([hull for hull, _ in hulls], counts)
        values = total.corners.prod(axis=1).tolist()
        return [self._chosen(items, hulls, total, value, i) for i, value in enumerate(values)]

    def _chosen(
        self,
        items: Sequence[Item],
        hulls: Sequence[tuple[FloatArray, list[tuple[Workload, int]]]],
        total: HullSum,
        value: float,
        place: int,
    ) -> Chosen:
        picks = total.picks[place].tolist()
        parts = np.array([hull[pick] for (hull, _), pick in zip(hulls, picks, strict=True)])
        counts = np.array([item.counts for item in items])
        energy, latency = total.corners[place].tolist()
        networks = counts.T @ parts
        places = tuple(
            origins[pick]
            for item, (_, origins), pick in zip(items, hulls, picks, strict=True)
            if item.ways
        )
        return Chosen(value, energy, latency, tuple(map(tuple, networks.tolist())), places)


def mix_of(networks: Sequence[NetworkWeight], arch: Architecture) -> Mix:
    """The layers of networks as an architecture runs them.

    Raises
    ------
    DoesNotFitError
        Naming a layer that cannot be lowered.
    """
    return Mix(tuple(use.weight for use in networks), demands_of(networks, arch))


def _item_hull(
    item: Item, known: TradeOffs, below: Collection[Workload] = ()
) -> tuple[FloatArray, list[tuple[Workload, int]]] | None:
    """Hull of an item, and which way and trade-off makes each of its corners."""
    if not item.ways:
        return np.array([[item.energy_pj, item.cycles]]), []
    points, origins = [], []
    for way in item.ways:
        costs = known[way]
        if costs is None:
            continue
        origins += [(way, place) for place in range(len(costs))]
        if way in below:
            crossing, place = _crossing(costs, item.cycles)
            costs = np.concatenate([costs, crossing[None]])
            origins.append((way, place))
        # What is beside the array runs at the same time.
        beside = [costs[:, 0] + item.energy_pj, np.maximum(costs[:, 1], item.cycles)]
        points.append(np.stack(beside, axis=1))
    if not points:
        return None
    together = np.concatenate(points)
    kept = lower_hull(together)
    return together[kept], [origins[i] for i in kept.tolist()]


def _crossing(hull: FloatArray, cycles: float) -> tuple[FloatArray, int]:
    """The least energy on a hull within some cycles, and the first corner that is within them.

    The end of the hull where all of it takes more.
    """
    latencies = hull[::-1, 1]
    within = max(cycles, float(latencies[0]))
    energy = np.interp(within, latencies, hull[::-1, 0])
    return np.array([energy, within]), int((hull[:, 1] <= within).argmax())
