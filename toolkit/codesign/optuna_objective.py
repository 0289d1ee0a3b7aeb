"""Hardware as an objective for Optuna: sizes alone, or with mappings and fusion of networks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial

from toolkit.arch import arch_to_yaml
from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arguments import check_integer
from toolkit.codesign.evaluation import COSTS, UNITS, HardwareEvaluator
from toolkit.codesign.problem import HardwareProblem
from toolkit.codesign.samplers import Encoding
from toolkit.codesign.scoring import FITS
from toolkit.codesign.space import HardwarePoint
from toolkit.compilation import clock
from toolkit.errors import DoesNotFitError, InputError
from toolkit.fusion.chosen_costs import ChosenCosts
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.folding import fold
from toolkit.fusion.mapped import MappedModel
from toolkit.fusion.partition.cut_edges import CutEdges
from toolkit.fusion.partition.merging import decode
from toolkit.fusion.partition.optuna_objective import fused_model
from toolkit.fusion.partition.registry import make_result
from toolkit.fusion.partition.result import Found, FusionResult
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.search.network import NetworkResult
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.network.trial_mappings import TrialMappings
from toolkit.search.optuna_samplers.encoding import Parameters
from toolkit.search.optuna_samplers.objective import OptunaObjective, Told, check_starts


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
        network, own = self.problem.on(place, arch), self._own(place, params)
        if not self._folded:
            costs = ChosenCosts(arch, network.search, self._mappings[place], own)
            typed = network.folded.precision is not None
            layers = [costs.alone(layer, typed=typed) for layer in network.folded.layers]
            return (
                math.fsum(layer.energy_pj for layer in layers),
                math.fsum(layer.latency_cycles for layer in layers),
            )
        model = self._fused(place, network, own)
        groups = decode(model, self.cuts[place].kept(own), self.problem.most_layers)
        plans = [model.cost(option.plan) for option in groups]
        return (
            math.fsum(cost.energy_pj for cost in plans),
            math.fsum(cost.latency_cycles for cost in plans),
        )

    def _own(self, place: int, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of one network, without what they begin with."""
        prefix = self.problem.names[place]
        return {
            name.removeprefix(prefix): v for name, v in params.items() if name.startswith(prefix)
        }

    def _fused(self, place: int, network: NetworkProblem, own: Mapping[str, Any]) -> MappedModel:
        """What groups of a network cost on the hardware of a trial."""
        costs = None
        if self._mappings:
            costs = ChosenCosts(network.arch, network.search, self._mappings[place], own)
        return fused_model(
            network,
            self._folded[place],
            search=self.problem.mapper,
            costs=costs,
            cache=self.problem.cache,
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

    def mapping(
        self, trial: FrozenTrial | Trial | Mapping[str, Any], layer: str, network: int = 0
    ) -> LoopMapping:
        """Read the mapping that a trial chose for a layer, as it is on the trial's hardware.

        Raises
        ------
        InputError
            If the trial is of another problem, trials choose no mappings, or no such layer is
            mapped.
        DoesNotFitError
            If the layer has no mapping there.
        """
        place = self._place(network, self._mappings, "mappings")
        params = self.params_of(trial)
        own = self._mappings[place].mapped(layer)
        there = self.problem.on(place, self.point(params).arch).mapped
        problem = next(one.problem for one in there if own.name in one.layers)
        return self._mappings[place].mapping(layer, self._own(place, params), problem)

    def partition(
        self, trial: FrozenTrial | Trial | Mapping[str, Any], network: int = 0
    ) -> FusionResult:
        """Read the partition that a trial chose for a network, with what it costs.

        Raises
        ------
        InputError
            If the trial is of another problem, or trials choose no fusion.
        DoesNotFitError
            If a layer has no mapping on the trial's hardware.
        """
        place, start = self._place(network, self._folded, "fusion"), clock()
        params = self.params_of(trial)
        own = self._own(place, params)
        model = self._fused(place, self.problem.on(place, self.point(params).arch), own)
        groups = decode(model, self.cuts[place].kept(own), self.problem.most_layers)
        return make_result(model, "trial", Found(groups), self.problem.most_layers, start)

    def _place(self, network: int, chosen: Sequence[object], what: str) -> int:
        if not chosen:
            raise InputError(
                f"trials choose no {what}; expected an objective with {what!r} among its choose",
                key="choose",
            )
        place = check_integer(network, 0, "network")
        if place >= len(chosen):
            raise InputError(f"expected below {len(chosen)}, got {place}", key="network")
        return place

    def enqueue(
        self,
        study: optuna.Study,
        point: Mapping[str, Number],
        *,
        groups: Iterable[Iterable[str]] | None = None,
        mappings: NetworkResult | Mapping[str, LoopMapping] | None = None,
        network: int = 0,
        **others: Any,
    ) -> None:
        """Let a study try a hardware point next; the sampler chooses what else there is.

        Parameters
        ----------
        point : mapping of str to number
            Sizes by parameter of the hardware space.
        groups, mappings
            Of one network, as `FusedMappingsObjective.enqueue` takes them; mappings have to be
            valid on the largest hardware, and are rounded to what is valid on this one.
        network : int
            Which network they are of.
        **others
            More parameters, such as those of other networks.

        Raises
        ------
        InputError
            If it is no point of the space, the partition is not legal, a mapping not valid, or
            trials do not choose these.
        """
        self.problem.space.build(point)
        params: dict[str, Any] = {}
        if groups is not None:
            params |= self.cuts[self._place(network, self.cuts, "fusion")].written(groups)
        if mappings is not None:
            place = self._place(network, self._mappings, "mappings")
            params |= self._mappings[place].params(mappings)
        named = {f"{self.problem.names[network]}{name}": v for name, v in params.items()}
        self.enqueue_params(study, {**self.sizes.encode(point), **named, **others})

    def first_values(self) -> Sequence[float]:
        """What the default hardware costs with the first of `starts`."""
        return self.told(next(self.starts(1))).values

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
        """Let a study set out from `starts`.

        Raises
        ------
        InputError
            If the count or the seed is no integer from 0.
        """
        for params in self.starts(*check_starts(count, seed)):
            study.enqueue_trial(params)
