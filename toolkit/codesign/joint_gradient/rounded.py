"""From learnable tilings, fusion and hardware to what can be built, scored by the true model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.arch.architecture import Architecture
from toolkit.arch.technology import known_area_um2
from toolkit.codesign.joint_gradient.hardware import enough, nearest
from toolkit.codesign.joint_gradient.layers import DistinctLayer
from toolkit.codesign.joint_gradient.network import RelaxedNetwork
from toolkit.codesign.minimal import MinimalHardware, Requirement, minimal_hardware, requirements
from toolkit.codesign.scoring import point_model
from toolkit.codesign.space import HardwarePoint, HardwareSpace
from toolkit.errors import DoesNotFitError
from toolkit.fusion.folding import fold
from toolkit.fusion.group_model import FusionObjective, total_costs, unfused, value_of
from toolkit.fusion.layer_costs import LayerCosts
from toolkit.fusion.partition.edges import name_among
from toolkit.fusion.partition.merging import decode
from toolkit.mapping.mapping import Mapping
from toolkit.search.gradient.candidates import Candidate, candidates, score
from toolkit.search.network import LayerCost, LayerSearch
from toolkit.search.network.result import LayerResult
from toolkit.search.network.workloads import layer_cost, map_workload
from toolkit.search.result import Budget
from toolkit.workload.kernel import Workload

PARTS = Budget(evaluations=1000)
"""Of the search of each part of a fused layer, where none is given."""


@dataclass(frozen=True, eq=False)
class RoundedNetwork:
    """What a rounding found.

    Parameters
    ----------
    arch : Architecture
        The hardware.
    point : HardwarePoint or None
        Of the hardware space, if there is one.
    layers : dict of str to LayerResult
        All layers of all networks, each on its own, with their mappings. Of several networks,
        names begin with the number of theirs, such as ``1:conv1``.
    partition : tuple of tuple of str
        Layers that are fused, by group; legal, and groups of one left out. Named as `layers`.
    energy_pj, latency_cycles : float
        By the true model, weighted over the networks.
    area_um2 : float or None
        Of the chip; None where the architecture does not give it.
    objective : float
        The product of powers of energy, latency and area that ranks it.
    evaluations : int
        Mappings that the rounding costed.
    space : HardwareSpace or None
        Where the hardware lies.
    """

    arch: Architecture
    point: HardwarePoint | None
    layers: dict[str, LayerResult]
    partition: tuple[tuple[str, ...], ...]
    energy_pj: float
    latency_cycles: float
    area_um2: float | None
    objective: float
    evaluations: int
    space: HardwareSpace | None = None

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles

    @property
    def mappings(self) -> dict[str, Mapping]:
        """Mappings by layer."""
        costs = {name: layer.cost for name, layer in self.layers.items()}
        return {name: cost.mapping for name, cost in costs.items() if cost is not None}

    def minimal_hardware(self) -> MinimalHardware | tuple[Requirement, ...]:
        """The least hardware for these mappings, exactly, each layer on its own.

        Returns
        -------
        MinimalHardware or tuple of Requirement
            Of the hardware space; without one, what the mappings need of every level.
        """
        costs = [layer.cost for layer in self.layers.values() if layer.cost is not None]
        uses = [(cost.mapping, cost.workload) for cost in costs]
        if self.space is None:
            return requirements(uses, self.arch)
        return minimal_hardware(self.space, uses)


def round_network(
    network: RelaxedNetwork, search: LayerSearch | None = None, most_layers: int = 4
) -> RoundedNetwork | None:
    """Round tilings, hardware and fusion, and score them; None if some layer has no mapping.

    Every start proposes hardware; on each, every layer takes the best of the rounded mappings of
    all starts. The best is kept.

    Parameters
    ----------
    network : RelaxedNetwork
        What is rounded; its own numbers stay.
    search : LayerSearch, optional
        Searches all layers on the best hardware, too; and maps parts of fused layers, by default
        1,000 mappings each.
    most_layers : int
        Of a fused group.
    """
    rounding = _Rounding(network, search)
    best = min(rounding.tried(), key=lambda one: one.value, default=None)
    return None if best is None else rounding.completed(best, most_layers)


@dataclass(frozen=True, eq=False)
class _Tried:
    """Hardware with the best mapping of every distinct layer: `value` ranks it."""

    value: float
    start: int
    arch: Architecture
    point: HardwarePoint | None
    costs: tuple[LayerCost, ...]


class _Rounding:
    def __init__(self, network: RelaxedNetwork, search: LayerSearch | None) -> None:
        self._network, self._search = network, search
        self._before = network.evaluations
        self._known: dict[Workload, LayerCost] = {}
        self._layers: list[DistinctLayer] = []
        self._found: list[list[Candidate]] = []
        factors = []
        for batch, layers in zip(network.all_batches, network.gathered.alike(), strict=True):
            rounded = batch.tilings.rounded()
            factors.append(torch.tensor(rounded.factors.astype(np.float64)))
            self._layers += layers
            self._found += [candidates(batch.tilings, rounded, i) for i in range(len(layers))]
        self._factors = [each.to(network.device) for each in factors]

    def tried(self) -> Iterator[_Tried]:
        """Hardware of all starts, where all layers have a mapping."""
        for start, point in self._points():
            arch = self._network.arch if point is None else point.arch
            costs = []
            for layer, found in zip(self._layers, self._found, strict=True):
                cost = self._best(layer, found, arch)
                if cost is None:
                    break
                costs.append(cost)
            else:
                value = self._value(costs, None if point is None else point.area_um2)
                yield _Tried(value, start, arch, point, tuple(costs))

    def _points(self) -> Iterator[tuple[int, HardwarePoint | None]]:
        """Hardware of every start, each once, within the budgets where some is."""
        hardware = self._network.hardware
        if hardware is None:
            yield 0, None
            return
        space, seen = hardware.space, dict[tuple[object, ...], tuple[int, HardwarePoint]]()
        logs = self._network.hardware_of(self._factors, self._network.decided_fusion())
        for start, row in enumerate(logs.detach().cpu()):
            near = enough if hardware.sizes == "needed" else nearest
            point = space.build(near(space, row))
            seen.setdefault(tuple(point.parameters.values()), (start, point))
        within = [entry for entry in seen.values() if not space.excess(entry[1])]
        yield from within or seen.values()

    def _best(
        self, layer: DistinctLayer, found: Sequence[Candidate], arch: Architecture
    ) -> LayerCost | None:
        """The best of a layer's mappings on some hardware, if one is valid there."""
        try:
            problem = layer.problem if arch is self._network.arch else layer.on(arch)
        except DoesNotFitError:
            return None
        self._network.evaluations += len(found)
        costs = score(problem, found)
        if not np.isfinite(costs.objective).any():
            return None
        mapping = found[int(np.argmin(costs.objective))].mapping(problem)
        return layer_cost(problem, layer.problem.workload, mapping)

    def _value(self, costs: Sequence[LayerCost], area: float | None) -> float:
        """What ranks hardware: logarithms of energy, latency and area by their powers."""
        gathered = self._network.gathered
        energy, latency = gathered.energy_pj, gathered.latency_cycles
        for layer, cost in zip(self._layers, costs, strict=True):
            energy += layer.count * (cost.energy_pj + layer.energy_pj)
            latency += layer.count * max(cost.latency_cycles, layer.latency_cycles)
        return self._log_value(energy, latency, area)

    def _log_value(self, energy: float, latency: float, area: float | None) -> float:
        costs = (energy, latency, 1.0 if area is None else area)
        powers = zip(self._network.powers, costs, strict=True)
        return math.fsum(power * math.log(cost) for power, cost in powers if power)

    def completed(self, best: _Tried, most_layers: int) -> RoundedNetwork:
        """Search layers again where that is asked, fuse, and add up."""
        network, wanted = self._network, self._search or network_search(self._network)
        by_name: dict[str, LayerCost] = {}
        for layer, cost in zip(self._layers, best.costs, strict=True):
            by_name |= dict.fromkeys(layer.names, self._searched(layer, cost, best.arch))
        rows, groups = dict[str, LayerResult](), list[tuple[str, ...]]()
        energies, latencies = list[float](), list[float]()
        for place, use in enumerate(network.uses):
            alone = self._alone(place, best.arch, wanted, by_name)
            spent = [(row.energy_pj, row.latency_cycles) for row in alone.values()]
            if network.edges is not None:
                fused, spent = self._fused(place, best, by_name, wanted, most_layers)
                groups += fused
            rows |= alone
            energies += [use.weight * energy for energy, _ in spent]
            latencies += [use.weight * cycles for _, cycles in spent]
        energy, latency = math.fsum(energies), math.fsum(latencies)
        area = known_area_um2(best.arch) if best.point is None else best.point.area_um2
        return RoundedNetwork(
            best.arch,
            best.point,
            rows,
            tuple(groups),
            energy,
            latency,
            area,
            math.exp(self._log_value(energy, latency, area)),
            network.evaluations - self._before,
            None if network.hardware is None else network.hardware.space,
        )

    def _searched(self, layer: DistinctLayer, cost: LayerCost, arch: Architecture) -> LayerCost:
        """A layer's rounded mapping, or what the search finds if that is better."""
        if self._search is None:
            return cost
        workload = layer.problem.workload
        if workload not in self._known:
            self._known[workload] = map_workload(arch, workload, self._search)
            self._network.evaluations += self._known[workload].evaluations
        found = self._known[workload]
        objective = layer.problem.objective
        values = [
            objective.value(each.energy_pj, each.latency_cycles, each.utilization)
            for each in (cost, found)
        ]
        return found if values[1] < values[0] else cost

    def _name(self, place: int, name: str) -> str:
        return name_among(len(self._network.uses), place, name)

    def _alone(
        self,
        place: int,
        arch: Architecture,
        search: LayerSearch,
        by_name: dict[str, LayerCost],
    ) -> dict[str, LayerResult]:
        """Every layer of a network on its own, with the mapping that is given for it."""
        graph = self._network.gathered.graphs[place]
        costs, typed = LayerCosts(arch, search, cache=False), graph.precision is not None
        for layer in graph.layers:
            if layer.workload is not None:
                costs.know(layer.workload, by_name[self._name(place, layer.name)])
        return {
            self._name(place, layer.name): costs.alone(layer, typed=typed)
            for layer in graph.layers
        }

    def _fused(
        self,
        place: int,
        best: _Tried,
        by_name: dict[str, LayerCost],
        wanted: LayerSearch,
        most_layers: int,
    ) -> tuple[list[tuple[str, ...]], list[tuple[float, float]]]:
        """Groups that the start decided, if they are better than none; and what all cost."""
        edges = self._network.edges
        assert edges is not None
        graph = fold(self._network.uses[place].graph)
        model = point_model(
            graph, best.arch, self._objective(), wanted, self._network.overhead, cache=False
        )
        for folded in graph.layers:
            if folded.layer.workload is not None:
                model.costs.know(folded.layer.workload, by_name[self._name(place, folded.name)])
        own = {self._name(place, name): name for name in graph.names}
        decided = (pair for pair in edges.decided(best.start) if set(pair) <= set(own))
        kept = [(own[source], own[target]) for source, target in decided]
        options = decode(model, kept, most_layers)
        apart = unfused(model)
        if value_of(total_costs(apart)) <= value_of(total_costs(options)):
            options = apart
        self._network.evaluations += model.costs.evaluations
        costs = [model.cost(option.plan) for option in options]
        groups = [
            tuple(
                self._name(place, name)
                for name in sorted(option.plan.group, key=graph.positions.__getitem__)
            )
            for option in options
            if len(option.plan.group) > 1
        ]
        return groups, [(cost.energy_pj, cost.latency_cycles) for cost in costs]

    def _objective(self) -> FusionObjective:
        energy, latency, _ = self._network.powers
        if not latency:
            return "energy"
        return "edp" if energy else "latency"


def network_search(network: RelaxedNetwork) -> LayerSearch:
    """How parts of fused layers are mapped where nobody says."""
    given = network.search
    return LayerSearch(
        "greedy",
        PARTS,
        given.seed,
        given.objective,
        given.conventions,
        given.pad,
        given.factors,
    )
