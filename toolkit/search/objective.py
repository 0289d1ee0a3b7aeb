"""What a search minimises: products of powers of the costs, a function of them, or a front."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.arguments import plain_number
from toolkit.display import object_html
from toolkit.errors import InputError
from toolkit.messages import suggest

Function = Callable[[Any, Any, Any], Any]
"""Maps arrays of energy (pJ), latency (cycles) and utilization (fraction) to values."""

_COSTS = ("energy", "latency", "utilization")
_UNITS = {"energy": "pJ", "latency": "cycles", "utilization": ""}
_LABELS = {"edp": "EDP", "edp_per_utilization": "EDP per utilization"}
_LARGEST_POWER = 16
_FLOOR = -746.0
"""Below the logarithm of every positive double."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A value to minimise.

    Parameters
    ----------
    name : str
        How results refer to it.
    powers : tuple of float
        Exponents of energy, latency and utilization; the value is their product.
    function : callable, optional
        Gives the value instead of `powers`, from arrays of energy (pJ), latency (cycles) and
        utilization; it must return an array of the same shape and may be called often.
    front : tuple of str
        Costs of which all best trade-offs are wanted, two of energy, latency; empty for
        a single objective. `powers` then still rank single mappings.

    Raises
    ------
    InputError
        If the powers are not three numbers within -16 and 16, some of them not 0, or the front
        is none of these costs.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.OBJECTIVES["edp"].powers
    (1.0, 1.0, 0.0)
    """

    name: str
    powers: tuple[float, float, float] = (1.0, 1.0, 0.0)
    function: Function | None = None
    front: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What tables and pictures call it.

        Examples
        --------
        >>> Objective("edp").label, Objective("energy", (1.0, 0.0, 0.0)).label
        ('EDP', 'energy')
        """
        return _LABELS.get(self.name, self.name)

    def __post_init__(self) -> None:
        object.__setattr__(self, "powers", tuple(map(plain_number, self.powers)))
        numbers = [x for x in self.powers if isinstance(x, int | float) and math.isfinite(x)]
        if len(self.powers) != 3 or len(numbers) != 3:
            raise InputError(
                f"{self.name}: expected exponents of energy, latency and utilization, three "
                f"finite numbers, got {self.powers!r}",
                key="objective",
            )
        if not 0 < max(map(abs, numbers)) <= _LARGEST_POWER:
            raise InputError(
                f"{self.name}: expected powers up to {_LARGEST_POWER}, not all of them 0",
                key="objective",
            )
        if self.front and sorted(self.front) != ["energy", "latency"]:
            raise InputError(
                f"{self.name}: expected a front of energy and latency, got {self.front!r}",
                key="objective",
            )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Objective {self.name}: {self._described}>"

    def _repr_html_(self) -> str:
        """For notebooks: what is minimised, and in which unit."""
        facts = [("minimises", self._described), ("unit", self.unit or "its own")]
        return object_html(f"Objective {self.name}", facts)

    @property
    def _described(self) -> str:
        """What is minimised."""
        if self.front:
            return f"best trade-offs of {' and '.join(self.front)}"
        if self.function is not None:
            return "a function of energy, latency and utilization"
        return " * ".join(
            cost if power == 1 else f"{cost}^{power:g}"
            for cost, power in zip(_COSTS, self.powers, strict=True)
            if power
        )

    @property
    def unit(self) -> str:
        """Unit of the value, such as ``pJ*cycles^2``; empty for functions."""
        if self.function is not None:
            return ""
        parts = [
            _UNITS[cost] + ("" if power == 1 else f"^{power:g}")
            for cost, power in zip(_COSTS, self.powers, strict=True)
            if power and _UNITS[cost]
        ]
        return "*".join(parts)

    def value(self, energy_pj: Any, latency_cycles: Any, utilization: Any) -> Any:
        """Combine costs, scalars or arrays, into the value to minimise.

        Raises
        ------
        InputError
            If a user's function returns something of another shape or fails.
        """
        if self.function is not None:
            return self._call(energy_pj, latency_cycles, utilization)
        value: Any = 1.0
        for cost, power in zip((energy_pj, latency_cycles, utilization), self.powers, strict=True):
            if power:
                value = value * (cost if power == 1 else cost**power)
        return value

    def _call(self, *costs: Any) -> Any:
        arrays = [np.atleast_1d(np.asarray(cost, dtype=np.float64)) for cost in costs]
        try:
            value = np.asarray(self.function(*arrays), dtype=np.float64)  # type: ignore[misc]
        except Exception as cause:
            reason = f"{type(cause).__name__}: {cause}"
            raise InputError(f"{self.name} failed: {reason}", key="objective") from cause
        if value.shape != arrays[0].shape:
            raise InputError(
                f"{self.name} returned an array of shape {value.shape} "
                f"for costs of shape {arrays[0].shape}",
                key="objective",
            )
        value = np.where(np.isnan(value), np.inf, value)
        return value if np.ndim(costs[0]) else float(value[0])


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("edp", (1.0, 1.0, 0.0)),
        Objective("energy", (1.0, 0.0, 0.0)),
        Objective("latency", (0.0, 1.0, 0.0)),
        Objective("edp_per_utilization", (1.0, 1.0, -1.0)),
        Objective("energy,latency", (1.0, 1.0, 0.0), front=("energy", "latency")),
    )
}
"""Objectives with a name. ``edp_per_utilization`` is what FactorFlow minimises (1 / its "Wart");
``energy,latency`` asks for the front of both and ranks single mappings by their product."""


def objective_named(objective: str | Objective | Function) -> Objective:
    """Read an objective.

    Parameters
    ----------
    objective : str, Objective or callable
        One of `OBJECTIVES`; a product of powers such as ``energy*latency^2``; or a function of
        energy, latency and utilization arrays.

    Raises
    ------
    InputError
        If it is none of these.

    Examples
    --------
    >>> objective_named("energy*latency^2").powers
    (1.0, 2.0, 0.0)
    """
    if isinstance(objective, Objective):
        return objective
    if callable(objective):
        return Objective(getattr(objective, "__name__", "function"), function=objective)
    if str(objective) in OBJECTIVES:
        return OBJECTIVES[str(objective)]
    powers = dict.fromkeys(_COSTS, 0.0)
    for factor in str(objective).split("*"):
        match = re.fullmatch(r"\s*([a-z]+)\s*(?:\^\s*(\d+(?:\.\d+)?))?\s*", factor)
        if match is None or match[1] not in ("energy", "latency"):
            raise _unknown(objective)
        powers[match[1]] += float(match[2] or 1)
    return Objective(str(objective), (powers["energy"], powers["latency"], 0.0))


def _unknown(objective: object) -> InputError:
    return InputError(
        f"unknown objective {str(objective)!r}{suggest(str(objective), OBJECTIVES)}; expected "
        f"one of {', '.join(OBJECTIVES)}, or a product such as energy*latency^2",
        key="objective",
    )


def log_scale(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms, continued below all of them to zero and negative values, rising throughout.

    Examples
    --------
    >>> log_scale(np.array([-1.0, 0.0, 1.0, np.inf])).round(2).tolist()
    [-746.69, -746.0, 0.0, inf]
    """
    positive = values > 0
    logarithms = np.log(np.where(positive, values, 1.0))
    return np.where(positive, logarithms, _FLOOR - np.log1p(np.maximum(-values, 0.0)))
