"""What hardware is worth: networks mapped on it, layer by layer, every result kept."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.arch.expressions import Number
from toolkit.arch.levels import Level
from toolkit.arguments import store_plain_numbers
from toolkit.codesign.space import HardwarePoint, HardwareSpace
from toolkit.errors import InputError
from toolkit.model.conventions import EXACT, Conventions
from toolkit.search.network import NetworkResult, map_network
from toolkit.search.result import Budget
from toolkit.workload.network import LayerGraph


@dataclass(frozen=True, eq=False)
class NetworkWeight:
    """A network, and how often it runs in the mix of several."""

    graph: LayerGraph
    weight: float = 1.0

    def __post_init__(self) -> None:
        store_plain_numbers(self)


@dataclass(frozen=True, eq=False)
class HardwareCost:
    """What a mix of networks costs on one point of a hardware space.

    Parameters
    ----------
    point : HardwarePoint
        The hardware.
    networks : tuple of NetworkResult
        Each as it runs once.
    energy_pj, latency_cycles : float
        Weighted sums over the networks.
    """

    point: HardwarePoint
    networks: tuple[NetworkResult, ...]
    energy_pj: float
    latency_cycles: float

    @property
    def evaluations(self) -> int:
        """Mappings that all searches of layers cost, now or when they were first made."""
        return sum(result.evaluations + result.read_evaluations for result in self.networks)

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product of the mix."""
        return self.energy_pj * self.latency_cycles

    @property
    def area_um2(self) -> float:
        """Area of the chip."""
        return self.point.area_um2


@dataclass(eq=False)
class HardwareEvaluator:
    """Maps networks on hardware points; what was evaluated before comes from memory.

    Parameters
    ----------
    space : HardwareSpace
        Where points come from.
    networks : sequence of NetworkWeight
        At least one, of positive weights.
    strategy : str
        Searches each distinct layer; a key of `toolkit.STRATEGIES`.
    budget : Budget
        Of each of these searches.
    objective : str
        What each of them minimises.
    seed : int
        Of each of them.
    conventions : Conventions
        How costs are counted.
    cache : bool or path-like
        Where layers are kept between runs, by hardware and layer (`toolkit.map_network`).

    Examples
    --------
    >>> from toolkit.codesign import hardware_space
    >>> from toolkit.workload.network import LayerGraph
    >>> networks = [NetworkWeight(LayerGraph.from_layers([]))]
    >>> evaluator = HardwareEvaluator(hardware_space("gemmini-ws"), networks, cache=False)
    >>> evaluator(evaluator.space.default).edp_pj_cycles
    0.0
    """

    space: HardwareSpace
    networks: Sequence[NetworkWeight]
    strategy: str = "greedy"
    budget: Budget = field(default_factory=Budget)
    objective: str = "edp"
    seed: int = 0
    conventions: Conventions = EXACT
    cache: bool | str | os.PathLike[str] = True
    _known: dict[tuple[Level, ...], HardwareCost] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        weights = [network.weight for network in self.networks]
        if not weights or not all(0 < weight < math.inf for weight in weights):
            raise InputError(
                f"expected at least one network, each of a positive weight, got {weights}",
                key="networks",
            )

    def __call__(self, parameters: Mapping[str, Number]) -> HardwareCost:
        """Map all networks on a point of the space.

        Raises
        ------
        ArchitectureError
            If it is no point of the space.
        DoesNotFitError
            Naming the layer that does not run on it.
        """
        point = self.space.build(parameters)
        key = point.arch.levels
        if key not in self._known:
            self._known[key] = self._evaluated(point)
        return self._known[key]

    def _evaluated(self, point: HardwarePoint) -> HardwareCost:
        results = tuple(
            map_network(
                network.graph,
                point.arch,
                self.strategy,
                budget=self.budget,
                objective=self.objective,
                conventions=self.conventions,
                seed=self.seed,
                jobs=1,
                cache=self.cache,
            )
            for network in self.networks
        )
        weighted = [
            (network.weight, result)
            for network, result in zip(self.networks, results, strict=True)
        ]
        return HardwareCost(
            point,
            results,
            math.fsum(weight * result.energy_pj for weight, result in weighted),
            math.fsum(weight * result.latency_cycles for weight, result in weighted),
        )
