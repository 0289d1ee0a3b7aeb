"""Hardware as an objective for Optuna: sizes alone, or with mappings and fusion of networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial

from toolkit.arch import arch_to_yaml
from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.evaluation import COSTS, UNITS, HardwareEvaluator
from toolkit.codesign.problem import HardwareProblem
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import FITS
from toolkit.codesign.space import HardwarePoint
from toolkit.errors import DoesNotFitError
from toolkit.fusion.chosen_costs import ChosenCosts
from toolkit.fusion.folded import FoldedGraph, fold
from toolkit.fusion.partition.cut_edges import CutEdges
from toolkit.fusion.partition.merging import decode
from toolkit.fusion.partition.optuna_objective import fused_model
from toolkit.search.network.trial_mappings import TrialMappings
from toolkit.search.optuna_samplers.encoding import Parameters
from toolkit.search.optuna_samplers.objective import OptunaObjective, Told


class HardwareTrials(OptunaObjective):
    """Costs hardware points, whose networks are mapped by a search or by the trial itself.

    Area and power beyond their budgets and layers without a mapping are constraints.

    Parameters
    ----------
    problem : HardwareProblem
        What is asked.
    mappings : bool
        Whether trials choose the mappings of all layers, too.
    fusion : bool
        Whether trials choose which layers are fused.
    numbers : bool
        Whether all parameters are numbers.
    encoding : str, optional
        Of mappings; a key of `toolkit.search.optuna_samplers.encodings.ENCODINGS`.
    """

    def __init__(
        self,
        problem: HardwareProblem,
        *,
        mappings: bool = False,
        fusion: bool = False,
        numbers: bool = False,
        encoding: str | None = None,
    ) -> None:
        asked = problem.asked
        metrics = [f"{cost} ({UNITS[cost]})" for cost in COSTS]
        super().__init__(
            f"hardware of {problem.space.template.source}",
            metrics if asked.front else (f"{asked.name} ({asked.unit})",),
        )
        self.problem, self.sizes = problem, Encoding(problem.space, numbers)
        self._mappings: list[TrialMappings] = []
        if mappings:
            # Ranges of factors are those of the largest hardware; smaller ones round them.
            arch = problem.space.build(problem.space.largest).arch
            self._mappings = [
                TrialMappings(problem.on(place, arch), numbers, encoding)
                for place in range(len(problem.uses))
            ]
        self._folded: list[FoldedGraph] = (
            [fold(use.graph) for use in problem.uses] if fusion else []
        )
        self.cuts = [CutEdges(graph, numbers) for graph in self._folded]
        given = problem.mapper
        self._evaluator = HardwareEvaluator(
            problem.space,
            problem.uses,
            given.strategy,
            given.limits,
            given.objective.name,
            given.seed,
            given.conventions,
            problem.cache,
            given.pad,
            given.factors,
        )

    @cached_property
    def parameters(self) -> Parameters:
        """Sizes as the template names them, then cut edges and mappings of each network."""
        found = dict(self.sizes.distributions)
        parts = [cuts.parameters for cuts in self.cuts]
        more = [mappings.parameters for mappings in self._mappings]
        for known in (parts, more):
            for name, own in zip(self.problem.names, known, strict=False):
                found |= {f"{name}{key}": kind for key, kind in own.items()}
        return found

    def told(self, params: Mapping[str, Any], trial: Trial | None = None) -> Told:
        """Build, map and cost, as `OptunaObjective.told` describes it."""
        del trial
        asked, point = self.problem.asked, self.point(params)
        excess = {
            name: math.log(ratio) for name, ratio in self.problem.space.excess(point).items()
        }
        try:
            energy, latency = self._costs(point, params)
        except DoesNotFitError:
            return Told((math.inf,) * len(self.metrics), {**excess, FITS: 1.0})
        costs = (energy, latency, point.area_um2)
        return Told(costs if asked.front else (asked.value(*costs),), excess)

    def _costs(self, point: HardwarePoint, params: Mapping[str, Any]) -> tuple[float, float]:
        """Energy and latency of the mix of networks."""
        if not self._mappings and not self._folded:
            found = self._evaluator(point.parameters)
            return found.energy_pj, found.latency_cycles
        rows = [
            (use.weight, *self._network(place, point.arch, params))
            for place, use in enumerate(self.problem.uses)
        ]
        return math.fsum(w * e for w, e, _ in rows), math.fsum(w * la for w, _, la in rows)

    def _network(
        self, place: int, arch: Architecture, params: Mapping[str, Any]
    ) -> tuple[float, float]:
        """Energy and latency of one network."""
        network, prefix = self.problem.on(place, arch), self.problem.names[place]
        own = {name.removeprefix(prefix): v for name, v in params.items()}
        costs = None
        if self._mappings:
            costs = ChosenCosts(arch, network.search, self._mappings[place], own)
        if not self._folded:
            assert costs is not None
            typed = network.folded.precision is not None
            layers = [costs.alone(layer, typed=typed) for layer in network.folded.layers]
            return (
                math.fsum(layer.energy_pj for layer in layers),
                math.fsum(layer.latency_cycles for layer in layers),
            )
        model = fused_model(
            network,
            self._folded[place],
            search=self.problem.mapper,
            costs=costs,
            cache=self.problem.cache,
        )
        groups = decode(model, self.cuts[place].kept(own), self.problem.most_layers)
        plans = [model.cost(option.plan) for option in groups]
        return (
            math.fsum(cost.energy_pj for cost in plans),
            math.fsum(cost.latency_cycles for cost in plans),
        )

    def point(self, trial: FrozenTrial | Trial | Mapping[str, Any]) -> HardwarePoint:
        """Build the hardware that a trial chose.

        Raises
        ------
        InputError
            If the trial is of another problem.
        """
        return self.problem.space.build(self.sizes.decode(self.params_of(trial)))

    def arch_text(self, trial: FrozenTrial | Trial | Mapping[str, Any]) -> str:
        """Write the hardware that a trial chose as an architecture file.

        Raises
        ------
        InputError
            If the trial is of another problem.
        """
        return arch_to_yaml(self.point(trial).arch)

    def enqueue(self, study: optuna.Study, point: Mapping[str, Number], **others: Any) -> None:
        """Let a study try a hardware point next; the sampler chooses what else there is.

        Raises
        ------
        InputError
            If it is no point of the space.
        """
        self.problem.space.build(point)
        self.enqueue_params(study, {**self.sizes.encode(point), **others})

    def starts(self, count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
        """Choose where to set out from: the default hardware and the largest, all else drawn.

        Mappings are those of `toolkit.search.network.trial_mappings.TrialMappings.starts`;
        nothing is fused.
        """
        columns = [mappings.starts(count, seed) for mappings in self._mappings]
        for place in range(count):
            space = self.problem.space
            params = self.sizes.encode(space.largest if place % 2 else space.default)
            for name, cuts in zip(self.problem.names, self.cuts, strict=False):
                params |= {f"{name}{own}": v for own, v in cuts.uniform(True).items()}
            for name, column in zip(self.problem.names, columns, strict=False):
                params |= {f"{name}{own}": v for own, v in column[place].items()}
            yield params

    def enqueue_starts(self, study: optuna.Study, count: int, seed: int = 0) -> None:
        """Let a study set out from `starts`."""
        for params in self.starts(count, seed):
            study.enqueue_trial(params)
