"""What hardware is worth: networks mapped on it, every result kept, and what of that counts."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.arch.expressions import Number
from toolkit.arch.levels import Level
from toolkit.arguments import store_plain_numbers
from toolkit.codesign.brought import NetworkMappings
from toolkit.codesign.space import HardwarePoint, HardwareSpace
from toolkit.errors import InputError
from toolkit.mapping.space import Factors
from toolkit.messages import suggest
from toolkit.model.conventions import EXACT, Conventions
from toolkit.search.network import LayerSearch, NetworkResult, given_network, map_network
from toolkit.search.objective import objective_named
from toolkit.search.result import Budget
from toolkit.workload.network import LayerGraph


@dataclass(frozen=True, eq=False)
class NetworkWeight:
    """A network, and how often it runs in the mix of several.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> toolkit.NetworkWeight(network.graph(), 0.7).weight
    0.7
    """

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
    pad, factors : optional
        How sizes are padded, and which tile factors are searched, as `toolkit.map_network` takes
        them.

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
    pad: bool | Collection[str] | str = True
    factors: Factors | None = None
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

    def given(
        self, parameters: Mapping[str, Number], mappings: Sequence[NetworkMappings]
    ) -> HardwareCost:
        """Cost all networks by mappings that are known, of each network as `mappings_of` lists.

        Raises
        ------
        ArchitectureError
            If it is no point of the space.
        DoesNotFitError
            Naming the layer whose mapping is not valid there.
        """
        point = self.space.build(parameters)
        search = LayerSearch(
            self.strategy,
            objective=objective_named(self.objective),
            conventions=self.conventions,
            pad=self.pad,
            factors=self.factors,
        )
        return self._summed(
            point,
            tuple(
                given_network(network.graph, point.arch, each, search)
                for network, each in zip(self.networks, mappings, strict=True)
            ),
        )

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
                pad=self.pad,
                factors=self.factors,
                jobs=1,
                cache=self.cache,
            )
            for network in self.networks
        )
        return self._summed(point, results)

    def _summed(self, point: HardwarePoint, results: tuple[NetworkResult, ...]) -> HardwareCost:
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


COSTS = ("energy", "latency", "area")
"""Costs of hardware, in the order of all tuples of them."""

UNITS = {"energy": "pJ", "latency": "cycles", "area": "um^2"}
"""What each is counted in."""


_SHOWN = {"energy": ("J", 1e-12), "latency": ("cycle", 1.0), "area": ("mm²", 1e-6)}
"""What people read each in, and that of the unit above."""


@dataclass(frozen=True, slots=True)
class HardwareObjective:
    """A value to minimise, or several.

    Parameters
    ----------
    name : str
        How results refer to it.
    powers : tuple of float
        Exponents of energy, latency and area; their product ranks single points.
    front : bool
        Whether samplers are told all three costs and look for their best trade-offs.
    """

    name: str
    powers: tuple[float, float, float]
    front: bool = False

    def value(self, energy_pj: float, latency_cycles: float, area_um2: float) -> float:
        """Combine costs into the value that ranks points."""
        costs = (energy_pj, latency_cycles, area_um2)
        pairs = zip(costs, self.powers, strict=True)
        return math.prod(float(cost**power) for cost, power in pairs)

    def told(self, energy_pj: float, latency_cycles: float, area_um2: float) -> tuple[float, ...]:
        """Tell a sampler: decimal logarithms, so that points of all sizes count alike."""
        costs = (energy_pj, latency_cycles, area_um2)
        if self.front:
            return tuple(_log10(cost) for cost in costs)
        pairs = zip(costs, self.powers, strict=True)
        return (math.fsum(power * _log10(cost) for cost, power in pairs if power),)

    def shown(self, value: float) -> float:
        """Convert a value to `shown_unit`."""
        scales = zip(_SHOWN.values(), self.powers, strict=True)
        return value * math.prod(float(scale**power) for (_, scale), power in scales)

    @property
    def shown_unit(self) -> str:
        """The unit that people read: J·cycle·mm², or what of that the powers leave.

        Examples
        --------
        >>> hardware_objective("edap").shown_unit, hardware_objective("latency").shown_unit
        ('J·cycle·mm²', 'cycle')
        """
        parts = [
            unit + ("" if power == 1 else f"^{power:g}")
            for (unit, _), power in zip(_SHOWN.values(), self.powers, strict=True)
            if power
        ]
        return "·".join(parts)

    @property
    def heading(self) -> str:
        """What tables call it: a front ranks single points by their energy-delay product."""
        if self.powers == (1.0, 1.0, 0.0):
            return "EDP"
        return self.name.upper() if self.name == "edap" else self.name

    def described(self, energy_pj: float, latency_cycles: float, area_um2: float) -> str:
        """Write the value that ranks points in `shown_unit`.

        Examples
        --------
        >>> hardware_objective("edp").described(1e12, 7.0, 1.0)
        '7 J·cycle'
        """
        value = self.shown(self.value(energy_pj, latency_cycles, area_um2))
        return f"{value:.5g} {self.shown_unit}"

    @property
    def metrics(self) -> list[str]:
        """Names of what samplers are told."""
        if self.front:
            return [f"log10 {cost} ({UNITS[cost]})" for cost in COSTS]
        return [f"log10 {self.name} ({self.unit})"]

    @property
    def unit(self) -> str:
        """Unit of the value that ranks points, such as ``pJ cycles``."""
        parts = [
            UNITS[cost] + ("" if power == 1 else f"^{power:g}")
            for cost, power in zip(COSTS, self.powers, strict=True)
            if power
        ]
        return " ".join(parts)


HARDWARE_OBJECTIVES = {
    objective.name: objective
    for objective in (
        HardwareObjective("edp", (1.0, 1.0, 0.0)),
        HardwareObjective("edap", (1.0, 1.0, 1.0)),
        HardwareObjective("energy", (1.0, 0.0, 0.0)),
        HardwareObjective("latency", (0.0, 1.0, 0.0)),
        HardwareObjective("front", (1.0, 1.0, 0.0), front=True),
    )
}
"""Objectives by name; ``edap`` is energy times delay times area, ``front`` asks for the best
trade-offs of the three and ranks single points by the energy-delay product."""


def hardware_objective(name: str) -> HardwareObjective:
    """Look an objective up.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in HARDWARE_OBJECTIVES:
        raise InputError(
            f"unknown objective {name!r}{suggest(name, HARDWARE_OBJECTIVES)}; "
            f"expected one of {', '.join(HARDWARE_OBJECTIVES)}",
            key="objective",
        )
    return HARDWARE_OBJECTIVES[name]


def _log10(cost: float) -> float:
    return math.log10(max(cost, 1e-300))
