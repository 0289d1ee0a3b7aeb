"""The mappings of a network as an objective for Optuna: one trial maps every distinct layer."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial

from toolkit.errors import InputError
from toolkit.mapping.mapping import Mapping
from toolkit.model.vector_unit import vector_unit_of
from toolkit.search.chosen_mappings import checked_start
from toolkit.search.evaluator import Costing
from toolkit.search.network.problem import MappedLayer, NetworkProblem
from toolkit.search.network.result import NetworkResult
from toolkit.search.network.run import network_result
from toolkit.search.network.trial_mappings import TrialMappings
from toolkit.search.network.vector_layers import layer_vector_cost
from toolkit.search.network.workloads import Found, layer_cost, nameless
from toolkit.search.optuna_samplers.coding import mapping_start
from toolkit.search.optuna_samplers.encoding import Parameters
from toolkit.search.optuna_samplers.objective import OptunaObjective, Told, check_starts
from toolkit.search.optuna_samplers.repairs import shortfalls


@dataclass(frozen=True, slots=True)
class _Use:
    """Repetitions of a layer, and what one costs on the vector unit beside its mapping."""

    repetitions: int
    energy_pj: float
    latency_cycles: float


class NetworkObjective(OptunaObjective):
    """Costs a network whose every distinct layer a trial maps.

    With one value, trials report that of the layers up to each distinct one, for pruners: costs
    only add up, so that a bad beginning is not made good.

    Parameters
    ----------
    network : NetworkProblem
        What is asked.
    mappings : TrialMappings
        How mappings are written.
    """

    def __init__(self, network: NetworkProblem, mappings: TrialMappings) -> None:
        asked = network.asked
        names = [f"{cost} ({unit})" for cost, unit in _UNITS.items() if cost in asked.front]
        super().__init__(
            network.title,
            names or [f"{asked.name} ({asked.unit})" if asked.unit else asked.name],
        )
        self.network, self._mappings = network, mappings
        self.evaluations = 0
        self._costings: dict[tuple[str, int], Costing] = {}
        unit, _ = vector_unit_of(network.arch)
        typed = network.folded.precision is not None
        self._uses: dict[str, list[_Use]] = {layer.name: [] for layer in network.mapped}
        self._apart: list[_Use] = []
        for layer in network.folded.layers:
            vector = layer_vector_cost(network.arch, unit, layer, network.conventions, typed=typed)
            energy = 0.0 if vector is None else vector.energy_pj
            cycles = 0.0 if vector is None else vector.latency_cycles
            first = mappings.first_of.get(layer.name)
            uses = self._apart if first is None else self._uses[first]
            uses.append(_Use(layer.repetitions, energy, cycles))

    @property
    def parameters(self) -> Parameters:
        """Those of all distinct layers, each called after its layer."""
        return self._mappings.parameters

    def told(self, params: MappingOf[str, Any], trial: Trial | None = None) -> Told:
        """Cost the network, layer by layer, as `OptunaObjective.told` describes it."""
        energies, cycles = _sums(self._apart, 0.0, 0.0)
        lacking: dict[str, float] = {}
        for step, layer in enumerate(self.network.mapped):
            arrays = self._mappings.arrays(layer.name, params)
            energy, latency, broken = self._cost(layer, arrays)
            lacking |= {f"{layer.name}.{name}": excess for name, excess in broken.items()}
            more = _sums(self._uses[layer.name], energy, latency)
            energies, cycles = energies + more[0], cycles + more[1]
            if trial is not None and len(self.metrics) == 1 and not lacking:
                trial.report(self._values(energies, cycles)[0], step)
                if trial.should_prune():
                    raise optuna.TrialPruned
        self.evaluations += len(self.network.mapped)
        if lacking:
            return Told((math.inf,) * len(self.metrics), lacking)
        return Told(self._values(energies, cycles))

    def first_values(self) -> Sequence[float]:
        """What large outer tiles cost, which nobody counts."""
        before = self.evaluations
        values = self.told(self._mappings.starts(1, 0)[0]).values
        self.evaluations = before
        return values

    def _cost(
        self, layer: MappedLayer, arrays: Sequence[Any]
    ) -> tuple[float, float, dict[str, float]]:
        factors, order, choice = mapping_start(arrays)
        key = layer.name, choice
        problem = layer.problem.choices.problem_of(choice) if choice else layer.problem
        if key not in self._costings:
            self._costings[key] = Costing(problem)
        costs, valid = self._costings[key].costs(factors[None], order[None])
        if not valid[0]:
            broken = shortfalls(problem.space, factors[None], 0)
            return math.inf, math.inf, broken or {"finite costs": 1.0}
        return float(costs[0, 0]), float(costs[0, 1]), {}

    def _values(self, energy: float, latency: float) -> tuple[float, ...]:
        asked = self.network.asked
        if asked.front:
            pair = {"energy": energy, "latency": latency}
            return tuple(value for cost, value in pair.items() if cost in asked.front)
        return (float(asked.value(energy, latency, math.nan)),)

    def mapping(self, trial: FrozenTrial | Trial | MappingOf[str, Any], layer: str) -> Mapping:
        """Read the mapping that a trial chose for a layer.

        Raises
        ------
        InputError
            If the trial is of another problem, or the layer is not mapped.
        """
        own = self._mappings.mapped(layer)
        arrays = self._mappings.arrays(own.name, self.params_of(trial))
        return own.problem.choices.mapping(*mapping_start(arrays))

    def result(self, trial: FrozenTrial | Trial | MappingOf[str, Any]) -> NetworkResult:
        """Cost the network that a trial chose in full, as `toolkit.map_network` shows it.

        Raises
        ------
        InputError
            If the trial is of another problem, or one of its mappings is not valid.
        """
        network = self.network
        found = Found({}, len(network.work.first), None)
        for own in network.mapped:
            mapping = self.mapping(trial, own.name)
            checked_start(own.problem, mapping, f"trial: {own.name}")
            cost = layer_cost(own.problem, own.way.workload, mapping)
            found.add(nameless(own.way.workload), own.name, cost, cached=False)
        for workload, name in network.work.first.items():
            if workload not in found.outcomes:  # Ways that no trial takes.
                unused = InputError("is not what trials choose", source=name)
                found.outcomes[workload] = unused
        return network_result(network.folded, network.arch, network.search, network.work, found)

    def params(self, known: NetworkResult | MappingOf[str, Mapping]) -> dict[str, Any]:
        """Write mappings as parameters, see `TrialMappings.params`.

        Raises
        ------
        InputError
            If a mapping is not valid, or its layer is not mapped.
        """
        return self._mappings.params(known)

    def enqueue(self, study: optuna.Study, known: NetworkResult | MappingOf[str, Mapping]) -> None:
        """Let a study try known mappings next; see `params`.

        Raises
        ------
        InputError
            If a mapping is not valid, or its layer is not mapped.
        """
        study.enqueue_trial(self.params(known))

    def enqueue_starts(self, study: optuna.Study, count: int, seed: int = 0) -> None:
        """Let a study set out from large outer tiles everywhere, then random mappings.

        Raises
        ------
        InputError
            If the count or the seed is no integer from 0.
        """
        for params in self._mappings.starts(*check_starts(count, seed)):
            study.enqueue_trial(params)


_UNITS = {"energy": "pJ", "latency": "cycles"}


def _sums(uses: Sequence[_Use], energy: float, latency: float) -> tuple[float, float]:
    """Energy and cycles of all repetitions of layers that have one mapping."""
    return (
        math.fsum(use.repetitions * (energy + use.energy_pj) for use in uses),
        math.fsum(use.repetitions * max(latency, use.latency_cycles) for use in uses),
    )
