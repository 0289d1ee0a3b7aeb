"""Partitions of a network as an objective for Optuna, alone or together with its mappings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial

from toolkit.compilation import clock
from toolkit.errors import InputError
from toolkit.fusion.chosen_costs import ChosenCosts
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.folding import fold
from toolkit.fusion.group_model import FusionObjective, GroupModel, Option, total_costs, value_of
from toolkit.fusion.mapped import MappedModel
from toolkit.fusion.partition.cut_edges import CutEdges, check_most_layers
from toolkit.fusion.partition.merging import decode
from toolkit.fusion.partition.registry import MOST_LAYERS, make_result
from toolkit.fusion.partition.result import Found, FusionResult
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.search.network import LayerSearch, NetworkResult
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.network.trial_mappings import TrialMappings
from toolkit.search.optuna_samplers.encoding import Parameters
from toolkit.search.optuna_samplers.objective import OptunaObjective, Told, check_starts

_METRICS = {
    "dram": ("DRAM words",),
    "energy": ("energy (pJ)",),
    "latency": ("latency (cycles)",),
    "edp": ("energy (pJ)", "latency (cycles)"),
}


class PartitionObjective(OptunaObjective):
    """Costs partitions of a network under a model of what groups cost.

    Parameters
    ----------
    model : GroupModel
        Costs groups, each once.
    most_layers : int
        Most layers of a group.
    numbers : bool
        Whether all parameters are numbers.
    costs_apart : bool
        Whether energy and latency are told apart, instead of their product.

    Attributes
    ----------
    best : tuple of Option
        The best partition met so far by the value of the model; every layer on its own at first.
    """

    def __init__(
        self,
        model: GroupModel,
        most_layers: int = MOST_LAYERS,
        *,
        numbers: bool = False,
        costs_apart: bool = False,
    ) -> None:
        title = f"fusion of {model.graph.graph.get('name') or 'a network'}"
        names = _METRICS[model.objective]
        apart = costs_apart or len(names) == 1
        super().__init__(title, names if apart else ("edp (pJ*cycles)",))
        self.model, self._most, self._apart = model, check_most_layers(most_layers), apart
        self.cuts = CutEdges(model.graph, numbers)
        self.best: tuple[Option, ...] = decode(model, [], most_layers)

    @property
    def parameters(self) -> Parameters:
        """Which pairs of layers are cut apart."""
        return self.cuts.parameters

    def model_of(self, params: Mapping[str, Any]) -> GroupModel:
        """What groups cost where a trial chose these parameters."""
        del params
        return self.model

    def told(self, params: Mapping[str, Any], trial: Trial | None = None) -> Told:
        """Cost one partition, as `OptunaObjective.told` describes it."""
        del trial
        groups = decode(self.model_of(params), self.cuts.kept(params), self._most)
        costs = total_costs(groups)
        if value_of(costs) < value_of(total_costs(self.best)):
            self.best = groups
        return Told(costs if self._apart else (value_of(costs),))

    def first_values(self) -> Sequence[float]:
        """What every layer on its own costs."""
        return self.told(self.cuts.uniform(True)).values

    def result(self, trial: FrozenTrial | Trial | Mapping[str, Any]) -> FusionResult:
        """Read the partition that a trial chose, with what it costs.

        Raises
        ------
        InputError
            If the trial is of another problem.
        """
        params, start = self.params_of(trial), clock()
        model = self.model_of(params)
        groups = decode(model, self.cuts.kept(params), self._most)
        return make_result(model, "trial", Found(groups), self._most, start)

    def enqueue(
        self,
        study: optuna.Study,
        groups: Iterable[Iterable[str]] | None = None,
        mappings: NetworkResult | Mapping[str, LoopMapping] | None = None,
    ) -> None:
        """Let a study try a partition next, and mappings where trials choose them.

        Parameters
        ----------
        groups : iterable of iterable of str, optional
            The partition; layers that it leaves out are on their own. By default the sampler
            chooses it.
        mappings : NetworkResult or mapping of str to Mapping, optional
            As `toolkit.search.network.trial_mappings.TrialMappings.params` takes them.

        Raises
        ------
        InputError
            If the partition is not legal, a mapping not valid, or trials choose none.
        """
        params = {} if groups is None else self.cuts.written(groups)
        if mappings is not None:
            params |= self._written(mappings)
        study.enqueue_trial(params)

    def _written(self, mappings: NetworkResult | Mapping[str, LoopMapping]) -> dict[str, Any]:
        raise InputError(
            "trials choose no mappings here; expected an objective made with "
            "choose=('mappings', 'fusion')",
            key="mappings",
        )


class FusedMappingsObjective(PartitionObjective):
    """Costs partitions together with the mappings of all layers, which trials choose, too.

    Parts of fused layers take the factors of their layer, rounded to what is valid for them
    (`toolkit.search.network.trial_mappings`).

    Parameters
    ----------
    network : NetworkProblem
        What is asked: its objective is ``edp``, ``energy``, ``latency`` or ``energy,latency``.
    mappings : TrialMappings
        How mappings are written.
    most_layers : int
        Most layers of a group.
    numbers : bool
        Whether all parameters are numbers.
    """

    def __init__(
        self,
        network: NetworkProblem,
        mappings: TrialMappings,
        most_layers: int = MOST_LAYERS,
        *,
        numbers: bool = False,
    ) -> None:
        self.network, self._mappings = network, mappings
        self._folded = fold(network.graph)
        first = mappings.starts(1, 0)[0]
        super().__init__(
            self.model_of(first),
            most_layers,
            numbers=numbers,
            costs_apart=bool(network.asked.front),
        )

    @property
    def parameters(self) -> Parameters:
        """Which pairs of layers are cut apart, and those of all mappings."""
        return {**self.cuts.parameters, **self._mappings.parameters}

    def model_of(self, params: Mapping[str, Any]) -> MappedModel:
        """What groups cost with the mappings of a trial."""
        costs = ChosenCosts(self.network.arch, self.network.search, self._mappings, params)
        return fused_model(self.network, self._folded, costs=costs)

    def first_values(self) -> Sequence[float]:
        """What large outer tiles cost where nothing is fused."""
        first = self._mappings.starts(1, 0)[0]
        return self.told({**first, **self.cuts.uniform(True)}).values

    def mapping(self, trial: FrozenTrial | Trial | Mapping[str, Any], layer: str) -> LoopMapping:
        """Read the mapping that a trial chose for a layer as a whole.

        Raises
        ------
        InputError
            If the trial is of another problem, or the layer is not mapped.
        """
        own = self._mappings.mapped(layer)
        return self._mappings.mapping(layer, self.params_of(trial), own.problem)

    def _written(self, mappings: NetworkResult | Mapping[str, LoopMapping]) -> dict[str, Any]:
        return self._mappings.params(mappings)

    def enqueue_starts(self, study: optuna.Study, count: int, seed: int = 0) -> None:
        """Let a study set out from mappings as `NetworkObjective.enqueue_starts` has them.

        Nothing is fused in every other one; the rest cut nothing that may stay together.

        Raises
        ------
        InputError
            If the count or the seed is no integer from 0.
        """
        for place, params in enumerate(self._mappings.starts(*check_starts(count, seed))):
            study.enqueue_trial({**params, **self.cuts.uniform(place % 2 == 0)})


def fused_model(
    network: NetworkProblem,
    folded: FoldedGraph,
    *,
    search: LayerSearch | None = None,
    costs: ChosenCosts | None = None,
    cache: bool = True,
) -> MappedModel:
    """Build what costs the groups of a network, without proofs.

    Raises
    ------
    InputError
        If fusion minimises no such objective, or the network cannot be fused there.
    """
    return MappedModel(
        folded,
        network.arch,
        objective=fusion_objective(network),
        loops=1,
        halos=("retain",),
        search=search,
        proof_seconds=0.0,
        cache=cache,
        costs=costs,
    )


def fusion_objective(network: NetworkProblem) -> FusionObjective:
    """What a model of groups minimises where a network's objective is this.

    Raises
    ------
    InputError
        If there is none.
    """
    known: dict[str, FusionObjective] = {
        "edp": "edp",
        "energy,latency": "edp",
        "energy": "energy",
        "latency": "latency",
    }
    if network.asked.name not in known or network.asked.function is not None:
        raise InputError(
            f"fusion minimises {', '.join(known)}; got {network.asked}", key="objective"
        )
    return known[network.asked.name]
