"""Budgets, traces and results: what goes into a strategy and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.errors import InputError
from toolkit.mapping.mapping import Mapping
from toolkit.search.problem import Problem


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a strategy may spend; it also ends when it has nothing left to try.

    Parameters
    ----------
    evaluations : int or None
        Mappings costed by the model; None is no limit.
    seconds : float or None
        Wall-clock time; None is no limit.

    Raises
    ------
    InputError
        If a limit is not positive, or the one of evaluations not an integer.
    """

    evaluations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.evaluations is not None and type(self.evaluations) is not int:
            raise InputError(f"{self.evaluations!r} is not an integer", key="budget.evaluations")
        for key, value in (("evaluations", self.evaluations), ("seconds", self.seconds)):
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"{value!r} is not a positive number", key=f"budget.{key}")


@dataclass(frozen=True, slots=True)
class TracePoint:
    """One improvement: the best objective value after so many evaluations and seconds."""

    evaluations: int
    seconds: float
    objective: float


@dataclass(frozen=True)
class SearchResult:
    """The best mapping a strategy found.

    Parameters
    ----------
    strategy : str
        Name of the strategy.
    problem : Problem
        What was asked.
    seed : int
        Seed of all randomness.
    mapping : Mapping
        The best valid mapping.
    energy_pj, latency_cycles, utilization, objective : float
        Its costs.
    evaluations : int
        Mappings costed.
    seconds : float
        Wall-clock time spent.
    trace : tuple of TracePoint
        Improvements, in order.
    bound : float or None
        No mapping has a lower objective value, if the strategy proves one.
    """

    strategy: str
    problem: Problem
    seed: int
    mapping: Mapping
    energy_pj: float
    latency_cycles: float
    utilization: float
    objective: float
    evaluations: int
    seconds: float
    trace: tuple[TracePoint, ...]
    bound: float | None = None

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles

    @property
    def proved(self) -> bool:
        """Whether the mapping is proved to be optimal."""
        return self.bound is not None and self.objective <= self.bound
