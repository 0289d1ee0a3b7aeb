"""What a search over hardware minimises: products of powers of the costs, or a front of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.errors import InputError
from toolkit.messages import suggest

COSTS = ("energy", "latency", "area")
"""Costs of hardware, in the order of all tuples of them."""

UNITS = {"energy": "pJ", "latency": "cycles", "area": "um^2"}
"""What each is counted in."""


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

    @property
    def metrics(self) -> list[str]:
        """Names of what samplers are told."""
        if self.front:
            return [f"log10 {cost} ({UNITS[cost]})" for cost in COSTS]
        parts = [
            UNITS[cost] + ("" if power == 1 else f"^{power:g}")
            for cost, power in zip(COSTS, self.powers, strict=True)
            if power
        ]
        return [f"log10 {self.name} ({' '.join(parts)})"]


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
