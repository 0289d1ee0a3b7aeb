"""Scores of hardware points: networks mapped, fused if asked, against budgets."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.brought import NetworkMappings
from toolkit.codesign.evaluation import HardwareCost, HardwareEvaluator
from toolkit.codesign.job import Job
from toolkit.codesign.space import HardwarePoint
from toolkit.compilation import clock
from toolkit.display import short_energy
from toolkit.errors import DoesNotFitError, InputError
from toolkit.fusion import MappedModel, find_partition, fold
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_model import FusionObjective, FusionOverhead
from toolkit.search.network import LayerSearch
from toolkit.search.objective import objective_named
from toolkit.search.result import Budget

FITS = "fits"
"""The constraint that every layer has a mapping; the others are budgets."""


@dataclass(frozen=True)
class NetworkScore:
    """What one network costs once.

    Parameters
    ----------
    name : str
        Of the network.
    energy_pj, latency_cycles : float
        Of one run.
    groups : tuple of tuple of str
        Layers that are fused, by group; groups of one left out.
    """

    name: str
    energy_pj: float
    latency_cycles: float
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles


@dataclass(frozen=True)
class Score:
    """What a hardware point is worth.

    Parameters
    ----------
    parameters : dict of str to number
        The point.
    area_um2, power_mw : float
        Of the chip; the most power it can draw.
    constraints : dict of str to float
        Natural logarithms of area, power and bandwidth of DRAM over their budgets, and whether
        everything fits; positive where broken.
    energy_pj, latency_cycles : float
        Weighted sums over the networks; inf if a layer does not fit.
    networks : tuple of NetworkScore
        Each once.
    fused : bool
        Whether layers were fused.
    evaluations : int
        Mappings that searches of its layers cost, now or when they were first made: what is
        remembered is no gift to whoever comes second.
    seconds : float
        That it took.
    reason : str
        Why a layer does not fit; empty if all do.
    """

    parameters: dict[str, Number]
    area_um2: float
    power_mw: float
    constraints: dict[str, float]
    energy_pj: float = math.inf
    latency_cycles: float = math.inf
    networks: tuple[NetworkScore, ...] = ()
    fused: bool = False
    evaluations: int = 0
    seconds: float = 0.0
    reason: str = ""

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        costs = f"{short_energy(self.energy_pj)}, {self.latency_cycles:,.0f} cycles"
        area = f"{self.area_um2 * 1e-6:.4g} mm²"
        return f"<Score {sizes}: {self.reason or costs}, {area}>"

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product of the mix of networks."""
        return self.energy_pj * self.latency_cycles

    @property
    def feasible(self) -> bool:
        """Whether everything fits, within the budgets."""
        return all(excess <= 0 for excess in self.constraints.values())

    def record(self) -> dict[str, Any]:
        """Write the score as plain data, without what is infinite."""
        return {
            key: value
            for key, value in asdict(self).items()
            if not (isinstance(value, float) and math.isinf(value))
        }


def score_from_record(record: Mapping[str, Any]) -> Score:
    """Read what `Score.record` wrote."""
    networks = tuple(
        NetworkScore(
            entry["name"],
            entry["energy_pj"],
            entry["latency_cycles"],
            tuple(tuple(group) for group in entry["groups"]),
        )
        for entry in record["networks"]
    )
    return Score(**{**record, "networks": networks})


@dataclass(eq=False)
class Scorer:
    """Scores points of a job; what was scored before comes from memory.

    Parameters
    ----------
    job : Job
        What is asked.
    cache : bool or path-like
        Where mappings are kept between runs (`toolkit.map_network`).
    mapper : str, optional
        Searches layers instead of the mapper of the job.

    Attributes
    ----------
    descended : int
        Relaxed mappings that strategies costed so far to choose points.
    """

    job: Job
    cache: bool | str | os.PathLike[str] = True
    mapper: str | None = None
    descended: int = field(default=0, init=False)
    _known: dict[tuple[tuple[Number, ...], bool], Score] = field(
        default_factory=dict, init=False, repr=False
    )
    _folded: list[FoldedGraph] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        given = self.job.settings
        self.evaluator = HardwareEvaluator(
            self.job.space,
            self.job.networks,
            self.mapper or given.mapper,
            Budget(evaluations=given.mapper_evaluations),
            _layer_objective(given.objective),
            given.mapper_seed,
            cache=self.cache,
            pad=given.pad or True,
            factors=given.factors,
        )

    def point(self, parameters: Mapping[str, Number]) -> HardwarePoint:
        """Build a point of the space.

        Raises
        ------
        ArchitectureError
            If it is none.
        """
        return self.job.space.build(parameters)

    def mapped(self, parameters: Mapping[str, Number]) -> HardwareCost:
        """Map every layer on its own.

        Raises
        ------
        DoesNotFitError
            If a layer has no mapping.
        """
        return self.evaluator(parameters)

    def score(
        self,
        parameters: Mapping[str, Number],
        *,
        fused: bool = True,
        mappings: Sequence[NetworkMappings] | None = None,
    ) -> Score:
        """Score a point.

        Parameters
        ----------
        parameters : mapping of str to number
            Of all that have a range.
        fused : bool
            Whether layers may be fused, if the job fuses any.
        mappings : sequence, optional
            Of every network as `toolkit.search.network.mappings_of` lists them, to score the
            point by instead of searching; nothing is fused then, and nothing remembered.

        Raises
        ------
        ArchitectureError
            If it is no point of the space.
        """
        if mappings is not None:
            return self._scored(self.point(parameters), False, mappings)
        fuses = fused and self.job.settings.fusion != "none"
        key = (tuple(parameters[name] for name in self.job.space.ranges), fuses)
        if key not in self._known:
            self._known[key] = self._scored(self.point(parameters), fuses)
        return self._known[key]

    def _scored(
        self,
        point: HardwarePoint,
        fused: bool,
        mappings: Sequence[NetworkMappings] | None = None,
    ) -> Score:
        start, evaluations = clock(), 0
        constraints = self._budgets(point)
        results: tuple[NetworkScore, ...] = ()
        energy = latency = math.inf
        reason = ""
        try:
            results, evaluations = self._networks(point, fused, mappings)
            weighted = [(u.weight, r) for u, r in zip(self.job.networks, results, strict=True)]
            energy = math.fsum(weight * result.energy_pj for weight, result in weighted)
            latency = math.fsum(weight * result.latency_cycles for weight, result in weighted)
            constraints[FITS] = 0.0
        except DoesNotFitError as cause:
            reason, results = str(cause), ()
            constraints[FITS] = 1.0
        return Score(
            dict(point.parameters),
            point.area_um2,
            point.power_mw,
            constraints,
            energy,
            latency,
            results,
            fused,
            evaluations,
            clock() - start,
            reason,
        )

    def _budgets(self, point: HardwarePoint) -> dict[str, float]:
        shares = self.job.space.shares(point)
        return {name: math.log(max(share, 1e-300)) for name, share in shares.items()}

    def _networks(
        self, point: HardwarePoint, fused: bool, mappings: Sequence[NetworkMappings] | None
    ) -> tuple[tuple[NetworkScore, ...], int]:
        """Every network once, and the mappings that were costed for them."""
        uses = self.job.networks
        names = [str(use.graph.graph.get("name") or f"network {i}") for i, use in enumerate(uses)]
        if self.job.settings.fusion == "none" or mappings is not None:
            cost = (
                self.mapped(point.parameters)
                if mappings is None
                else self.evaluator.given(point.parameters, mappings)
            )
            return tuple(
                NetworkScore(name, result.energy_pj, result.latency_cycles)
                for name, result in zip(names, cost.networks, strict=True)
            ), cost.evaluations
        models = [self._model(place, point) for place in range(len(uses))]
        scores = tuple(
            self._partitioned(name, model, fused)
            for name, model in zip(names, models, strict=True)
        )
        return scores, sum(model.costs.evaluations for model in models)

    def _partitioned(self, name: str, model: MappedModel, fused: bool) -> NetworkScore:
        given = self.job.settings
        found = find_partition(
            model,
            given.fusion if fused else "none",
            most_layers=given.fusion_layers,
            reasons=False,
        )
        costs = [model.cost(plan) for plan in found.plans]
        energy = math.fsum(cost.energy_pj for cost in costs)
        latency = math.fsum(cost.latency_cycles for cost in costs)
        groups = tuple(
            tuple(sorted(group, key=model.graph.positions.__getitem__))
            for group in found.partition
            if len(group) > 1
        )
        return NetworkScore(name, energy, latency, groups)

    def folded(self, place: int) -> FoldedGraph:
        """Network number `place` with its elementwise operators folded into their producers."""
        if not self._folded:
            self._folded.extend(fold(use.graph) for use in self.job.networks)
        return self._folded[place]

    def _model(self, place: int, point: HardwarePoint) -> MappedModel:
        # Layers are searched as the evaluator searches those that are not fused.
        given, objective = self.job.settings, _layer_objective(self.job.settings.objective)
        search = LayerSearch(
            self.evaluator.strategy,
            self.evaluator.budget,
            self.evaluator.seed,
            objective_named(objective),
            self.evaluator.conventions,
            factors=given.factors,
        )
        return point_model(self.folded(place), point.arch, objective, search, cache=self.cache)


def point_model(
    graph: FoldedGraph,
    arch: Architecture,
    objective: FusionObjective,
    search: LayerSearch,
    overhead: FusionOverhead = FusionOverhead(),  # noqa: B008 - it is frozen
    *,
    cache: bool | str | os.PathLike[str],
) -> MappedModel:
    """Groups of a network on one hardware point, with few plans each and no proofs."""
    return MappedModel(
        graph,
        arch,
        objective=objective,
        loops=1,
        halos=("retain",),
        search=search,
        proof_seconds=0.0,  # Nobody asks how good the partition of a point is.
        overhead=overhead,
        cache=cache,
    )


def check_template(scorer: Scorer) -> None:
    """Refuse a template on which the networks do not run, at its largest sizes.

    Raises
    ------
    InputError
        Naming the layer, or what the template lacks for fusion.
    """
    if scorer.job.settings.fusion != "none":
        from toolkit.fusion import fusion_level

        fusion_level(scorer.point(scorer.job.space.largest).arch)
    score = scorer.score(scorer.job.space.largest, fused=False)
    if score.reason:
        raise InputError(
            f"does not run on the largest hardware of the ranges: {score.reason}",
            source=scorer.job.template_name,
        )


def _layer_objective(objective: str) -> FusionObjective:
    """What layers and groups of them minimise where hardware minimises something."""
    layers: dict[str, FusionObjective] = {"energy": "energy", "latency": "latency"}
    return layers.get(objective, "edp")
