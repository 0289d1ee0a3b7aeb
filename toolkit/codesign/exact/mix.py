"""What a mix of networks costs at best on some hardware: hulls of layers, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.architecture import Architecture
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.exact.hulls import HullSum, lower_hull, sum_of_hulls
from toolkit.codesign.exact.layers import Demand, demands_of
from toolkit.model.conventions import Conventions
from toolkit.workload.kernel import Workload

FloatArray = NDArray[np.float64]
Hulls = Mapping[Workload, FloatArray | None]
"""Hull of every workload; None where it has no mapping."""


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
    corners : tuple of (Workload, int)
        For every item with a workload the way that it runs, and the corner of its hull.
    """

    value: float
    energy_pj: float
    latency_cycles: float
    networks: tuple[tuple[float, float], ...]
    corners: tuple[tuple[Workload, int], ...]


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

    def least(self, items: Sequence[Item], hulls: Hulls, powers: Sequence[float]) -> Chosen | None:
        """The least objective value over all choices of corners; None if a layer has none."""
        own = [_item_hull(item, hulls) for item in items]
        known = [entry for entry in own if entry is not None]
        if len(known) < len(own):
            return None
        counts = [float(np.dot(item.counts, self.weights)) for item in items]
        if not known:
            return Chosen(0.0, 0.0, 0.0, ((0.0, 0.0),) * len(self.weights), ())
        total = sum_of_hulls([hull for hull, _ in known], counts)
        value, place = total.least(powers)
        return self._chosen(items, known, total, value, place)

    def total(self, items: Sequence[Item], hulls: Hulls) -> HullSum | None:
        """Lower hull of the sums over all choices of corners; None if a layer has none."""
        own = [entry and entry[0] for entry in (_item_hull(item, hulls) for item in items)]
        known = [hull for hull in own if hull is not None]
        if not known or len(known) < len(own):
            return None
        return sum_of_hulls(known, [float(np.dot(item.counts, self.weights)) for item in items])

    def trade_offs(self, items: Sequence[Item], hulls: Hulls) -> list[Chosen]:
        """Corners of the same, with what makes each; none if a layer has none.

        Each is worth its energy-delay product.
        """
        own = [_item_hull(item, hulls) for item in items]
        known = [entry for entry in own if entry is not None]
        if not known or len(known) < len(own):
            return []
        counts = [float(np.dot(item.counts, self.weights)) for item in items]
        total = sum_of_hulls([hull for hull, _ in known], counts)
        values = total.corners.prod(axis=1).tolist()
        return [self._chosen(items, known, total, value, i) for i, value in enumerate(values)]

    def _chosen(
        self,
        items: Sequence[Item],
        known: Sequence[tuple[FloatArray, list[tuple[Workload, int]]]],
        total: HullSum,
        value: float,
        place: int,
    ) -> Chosen:
        picks = total.picks[place].tolist()
        parts = np.array([hull[pick] for (hull, _), pick in zip(known, picks, strict=True)])
        counts = np.array([item.counts for item in items])
        energy, latency = total.corners[place].tolist()
        networks = counts.T @ parts
        corners = tuple(
            origins[pick]
            for item, (_, origins), pick in zip(items, known, picks, strict=True)
            if item.ways
        )
        return Chosen(value, energy, latency, tuple(map(tuple, networks.tolist())), corners)


def mix_of(networks: Sequence[NetworkWeight], arch: Architecture) -> Mix:
    """The layers of networks as an architecture runs them.

    Raises
    ------
    DoesNotFitError
        Naming a layer that cannot be lowered.
    """
    return Mix(tuple(use.weight for use in networks), demands_of(networks, arch))


def _item_hull(item: Item, hulls: Hulls) -> tuple[FloatArray, list[tuple[Workload, int]]] | None:
    """Hull of an item, and which way and corner makes each of its corners."""
    if not item.ways:
        return np.array([[item.energy_pj, item.cycles]]), []
    points, origins = [], []
    for way in item.ways:
        hull = hulls[way]
        if hull is not None:
            # What is beside the array runs at the same time.
            beside = np.stack(
                [hull[:, 0] + item.energy_pj, np.maximum(hull[:, 1], item.cycles)], axis=1
            )
            points.append(beside)
            origins += [(way, corner) for corner in range(len(hull))]
    if not points:
        return None
    together = np.concatenate(points)
    kept = lower_hull(together)
    return together[kept], [origins[i] for i in kept.tolist()]
