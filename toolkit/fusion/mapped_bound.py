"""The bound of a mapped network: what it is proved from, and what holds without proofs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import fsum

from toolkit.arch.levels import Memory
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import FusionObjective, FusionOverhead
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.part_bounds import LayerLeast, PartBounds, compulsory_words, constants_beside
from toolkit.fusion.partition_bound import GroupBounds, network_bound
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.identical import PlanBook

_SAFE = 1 - 1e-9
"""Keeps bounds below what sums of floats may round off."""

PLAN_PROOFS = 60
"""Times the limit of each proof: of the searches over plans that a bound asks for, together."""


class MappedBound:
    """What no partition of a mapped network undercuts.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    given : Assumptions
        What groups may do.
    objective : {"dram", "energy", "latency", "edp"}
        What is minimised.
    memory : Memory
        The fusion level.
    overhead : FusionOverhead
        What fusing costs.
    layers : PartBounds
        What layers take.
    books : sequence of PlanBook
        All plans of groups that are mapped.
    prefetch : bool
        Whether groups that wait for the outermost memory may hide that under their neighbours, so
        that latencies of groups do not add up.
    """

    def __init__(
        self,
        graph: FoldedGraph,
        given: Assumptions,
        objective: FusionObjective,
        memory: Memory,
        overhead: FusionOverhead,
        layers: PartBounds,
        books: Sequence[PlanBook],
        *,
        prefetch: bool = False,
    ) -> None:
        self.graph, self.given, self.objective = graph, given, objective
        self.memory, self.overhead = memory, overhead
        self.layers, self.books = layers, tuple(books)
        self.prefetch = prefetch
        self._within: dict[int, tuple[float, ...] | None] = {}

    def least(self, group: Group) -> tuple[float, ...]:
        """Least costs of a group without a search, wherever it stands in a larger one."""
        view = GroupView(self.graph, group)
        return self._together(view, [self.layers.floor(layer) for layer in view.layers])

    def compulsory(self) -> tuple[float, ...]:
        """What the parts of all layers take, and every word once."""
        view = GroupView(self.graph, frozenset(self.graph.names))
        if self.objective in ("dram", "latency"):
            return self._together(view, list(map(self.layers.floor, view.layers)))
        return self._together(view, list(self.layers.least(view.layers)))

    def within(self, most_layers: int) -> tuple[float, ...] | None:
        """Of groups of limited length; None without proofs or with too many down-sets."""
        if most_layers not in self._within:
            found = None
            hidden = self.prefetch and self.objective in ("latency", "edp")
            if self.layers.seconds > 0 and not hidden:
                found = network_bound(self._groups, self.objective, most_layers)
            safe = 1.0 if self.objective == "dram" else _SAFE
            self._within[most_layers] = found and tuple(safe * cost for cost in found)
        return self._within[most_layers]

    @cached_property
    def _groups(self) -> GroupBounds:
        layers = self.graph.layers
        if self.objective in ("dram", "latency"):
            parts = alone = tuple(map(self.layers.floor, layers))
        else:
            rate = self.layers.rate(layers) if self.objective == "edp" else 0.0
            alone = self.layers.alone(layers, rate)
            parts = self.layers.least(layers)
        return GroupBounds(
            self.graph,
            self.given,
            self.layers.port,
            self.memory,
            self.overhead,
            dict(zip(self.graph.names, parts, strict=True)),
            dict(zip(self.graph.names, alone, strict=True)),
            frozenset(layer.name for layer in layers if self.layers.costs.laid_out(layer)),
            self.books,
            PLAN_PROOFS * self.layers.seconds,
        )

    def _together(self, view: GroupView, layers: list[LayerLeast]) -> tuple[float, ...]:
        port, moved = self.layers.port, compulsory_words(view, self.layers.port)
        if self.objective == "dram":
            return (float(moved.total),)
        busy = port.cycles(moved + constants_beside(view) * -1)
        cycles = fsum(layer.latency_cycles for layer in layers)
        costs = {
            "energy": _SAFE * (port.energy_pj(moved) + fsum(layer.energy_pj for layer in layers)),
            "latency": _SAFE * max(cycles, busy),
        }
        if self.objective == "edp":
            return costs["energy"], costs["latency"]
        return (costs[self.objective],)
