"""What should be built for some networks, as a question for optimisers of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from toolkit.arch.architecture import Architecture
from toolkit.arguments import check_kind
from toolkit.codesign.evaluation import HardwareObjective, NetworkWeight, hardware_objective
from toolkit.codesign.job import MAPPER_EVALUATIONS
from toolkit.codesign.space import HardwareSpace
from toolkit.errors import InputError
from toolkit.fusion.partition.cut_edges import check_most_layers
from toolkit.fusion.partition.registry import MOST_LAYERS
from toolkit.messages import describe
from toolkit.search.network import LayerSearch
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.objective import objective_named
from toolkit.search.result import Budget
from toolkit.workload.network import LayerGraph


@dataclass(frozen=True, eq=False)
class HardwareProblem:
    """What should be built for some networks.

    Parameters
    ----------
    space : HardwareSpace
        What may be built; see `toolkit.hardware_space`.
    networks : sequence of LayerGraph or NetworkWeight
        What runs on it.
    objective : str
        A key of `toolkit.codesign.evaluation.HARDWARE_OBJECTIVES`.
    search : LayerSearch, optional
        Maps layers whose mappings are not chosen otherwise: greedily, 5,000 mappings each, by
        default.
    most_layers : int
        Of a fused group, where fusion is chosen.
    cache : bool
        Whether mappings that are searched are kept between runs.

    Raises
    ------
    InputError
        If there is no network, the objective is unknown, or another argument is not as expected.
    """

    space: HardwareSpace
    networks: Sequence[LayerGraph | NetworkWeight]
    objective: str = "edp"
    search: LayerSearch | None = None
    most_layers: int = MOST_LAYERS
    cache: bool = True

    def __post_init__(self) -> None:
        check_kind(self.space, HardwareSpace, "space")
        given = self.networks
        if isinstance(given, LayerGraph) or not isinstance(given, Sequence):
            raise InputError(f"expected a list of networks, got {describe(given)}", key="networks")
        if not given:
            raise InputError("expected at least one network", key="networks")
        for network in given:
            if not isinstance(network, NetworkWeight):
                check_kind(network, LayerGraph, "networks")
        check_most_layers(self.most_layers)
        if self.search is not None:
            check_kind(self.search, LayerSearch, "search")
        hardware_objective(self.objective)

    @property
    def asked(self) -> HardwareObjective:
        """What is minimised."""
        return hardware_objective(self.objective)

    @cached_property
    def uses(self) -> tuple[NetworkWeight, ...]:
        """The networks and how often they run."""
        given = self.networks
        return tuple(u if isinstance(u, NetworkWeight) else NetworkWeight(u) for u in given)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What parameters of each network are called after; empty for a single one."""
        if len(self.uses) == 1:
            return ("",)
        names = [str(use.graph.graph.get("name") or "network") for use in self.uses]
        return tuple(
            f"{name}." if names.count(name) == 1 else f"{name} {place}."
            for place, name in enumerate(names)
        )

    @cached_property
    def mapper(self) -> LayerSearch:
        """What maps layers otherwise."""
        layers = self.objective if self.objective in ("energy", "latency") else "edp"
        return self.search or LayerSearch(
            budget=Budget(evaluations=MAPPER_EVALUATIONS), objective=objective_named(layers)
        )

    def on(self, place: int, arch: Architecture) -> NetworkProblem:
        """Ask about a network on one architecture."""
        given = self.mapper
        return NetworkProblem(
            self.uses[place].graph,
            arch,
            given.objective,
            given.conventions,
            given.factors,
        )
