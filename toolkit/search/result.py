"""Budgets, traces, certificates and results: what goes into a strategy and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolkit.arguments import store_plain_numbers
from toolkit.display import (
    MOST_ROWS,
    code_html,
    object_html,
    short_energy,
    shown_unit,
    table_html,
)
from toolkit.errors import InputError
from toolkit.mapping.loop_nest import render
from toolkit.mapping.mapping import Mapping
from toolkit.search.front import FrontPoint
from toolkit.search.problem import Problem
from toolkit.search.status import describe_status, within_best

if TYPE_CHECKING:
    import pandas as pd


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

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Budget(evaluations=1_000).evaluations
    1000
    """

    evaluations: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)
        if self.evaluations is not None and type(self.evaluations) is not int:
            raise InputError(f"{self.evaluations!r} is not an integer", key="budget.evaluations")
        for key, value in (("evaluations", self.evaluations), ("seconds", self.seconds)):
            if value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and value > 0 and math.isfinite(value)):
                raise InputError(f"{value!r} is not a positive number", key=f"budget.{key}")

    @property
    def unlimited(self) -> bool:
        """Whether a strategy may spend whatever it wants."""
        return self.evaluations is None and self.seconds is None


def require_limit(budget: Budget, strategy: str) -> None:
    """Refuse a budget without any limit, for a strategy that has no end of its own.

    Raises
    ------
    InputError
        If neither evaluations nor seconds are limited.
    """
    if budget.unlimited:
        raise InputError(f"{strategy} needs a limit of evaluations or seconds", key="budget")


@dataclass(frozen=True, slots=True)
class TracePoint:
    """One improvement: the best objective value after so many evaluations and seconds.

    ``factors`` are the mapping's tile factors, level by level, in the order of the workload's
    dimensions; none where they are not remembered.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> best.trace[-1].objective == best.objective
    True
    """

    evaluations: int
    seconds: float
    objective: float
    # Says nothing of how a search went.
    factors: tuple[tuple[int, ...], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a proof looked at: every mapping belongs to exactly one choice of spatial factors.

    Parameters
    ----------
    spatial_choices : int
        All of them: the sum of the next six. Those that there was no time to list count as one.
    empty : int
        Hold no valid mapping.
    by_compulsory_traffic, by_least_energy, by_least_latency : int
        Cannot be better: if every transfer moved each value once; by the least energy (then
        also the least cycles of every port) of all their mappings, found as shortest paths.
        A choice whose mapping of least energy has no stalls counts under least energy too.
    by_labels : int
        Searched for every mapping that might be better.
    unfinished : int
        Time or memory did not suffice; 0 for a proof.
    labels, not_worthwhile, undercut : int
        Partial mappings of these searches; those left out because no way to complete them could
        be better, and those that another one with the same future undercut in all costs.
    enumerated : int
        Mappings costed one by one where the words of a transfer do not decompose.
    """

    spatial_choices: int
    empty: int
    by_compulsory_traffic: int
    by_least_energy: int
    by_least_latency: int
    by_labels: int
    unfinished: int
    labels: int
    not_worthwhile: int
    undercut: int
    enumerated: int

    def __repr__(self) -> str:
        covered = ", ".join(f"{text} {name}" for name, text in self._covered)
        return f"<Certificate {covered}>"

    def _repr_html_(self) -> str:
        """For notebooks: how many choices of spatial factors each rule covers."""
        return object_html("What the proof looked at", self._covered)

    @property
    def _covered(self) -> list[tuple[str, str]]:
        """What was looked at, and how much of it; what there was none of is left out."""
        counts = {
            name: getattr(self, name) for name in self.__slots__ if name != "spatial_choices"
        }
        known = {"choices of spatial factors": self.spatial_choices, **counts}
        return [(name.replace("_", " "), f"{count:,}") for name, count in known.items() if count]


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
        Mappings costed. Where a proof covers mappings by bounds (`certificate`), only those
        that were costed in full: no measure of the effort to compare with other strategies'.
    seconds : float
        Wall-clock time spent.
    trace : tuple of TracePoint
        Improvements, in order.
    bound : float or None
        No mapping has a lower objective value, if the strategy proves one.
    invalid : int
        How many of the mappings costed are not valid.
    duplicates : int or None
        How many were costed before; None where a compiled search does not tell.
    interrupted : bool
        Whether the search was stopped from the keyboard: then this is its best until then.
    front : tuple of FrontPoint
        Best trade-offs met, by rising energy, if the objective asks for them; all there are
        if the mapping is proved to be optimal.
    certificate : Certificate or None
        What the proof behind `bound` covered, if the strategy tells.
    stopped : bool
        Whether a limit of the budget was reached, or `interrupted`.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> best.strategy, best.evaluations, best.status
    ('greedy', 100, 'stopped')
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
    invalid: int = 0
    duplicates: int | None = None
    interrupted: bool = False
    front: tuple[FrontPoint, ...] = ()
    certificate: Certificate | None = None
    stopped: bool = False

    def __repr__(self) -> str:
        known = f", {self.status}" if self.status else ""
        return (
            f"<SearchResult {self.strategy}: {self._value}{known}, "
            f"{self.evaluations:,} evaluations>"
        )

    def _repr_html_(self) -> str:
        """For notebooks: what was found, how, what is proved, and the loop nest."""
        problem = self.problem
        facts = [
            ("objective", self._value),
            ("energy", short_energy(self.energy_pj, 6)),
            ("latency", f"{self.latency_cycles:,.0f} cycles"),
            ("utilization", f"{self.utilization:.2%}"),
            *([("status", self.status)] if self.status else []),
            ("effort", f"{self.evaluations:,} evaluations in {self.seconds:.2f} s"),
        ]
        nest = render(
            self.mapping,
            problem.arch,
            problem.workload,
            footprint=problem.conventions.window_footprint,
            outermost_supplies=problem.conventions.charge_bypassing_outermost,
        )
        title = f"{problem.workload.name} on {problem.arch.name}: best of {self.strategy}"
        tables = [code_html(nest)]
        if self.front:
            heads = ("energy", "cycles", "EDP (J·cycle)")
            rows = [
                (
                    short_energy(point.energy_pj),
                    f"{point.latency_cycles:,.0f}",
                    f"{point.energy_pj * point.latency_cycles * 1e-12:.6g}",
                )
                for point in self.front
            ]
            tables.append(table_html(heads, rows, [False] * 3, MOST_ROWS))
        return object_html(title, facts, *tables)

    @property
    def _value(self) -> str:
        """The value of the objective with its name and unit."""
        objective = self.problem.objective
        value, unit = shown_unit(self.objective, objective.unit)
        return f"{objective} {value:.6g} {unit}".rstrip()

    def trace_table(self) -> pd.DataFrame:
        """Tabulate the improvements: evaluations, seconds and objective value, in order."""
        import pandas as pd

        columns = ["evaluations", "seconds", "objective"]
        rows = [(point.evaluations, point.seconds, point.objective) for point in self.trace]
        return pd.DataFrame(rows, columns=columns)

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles

    @property
    def proved(self) -> bool:
        """Whether the mapping is proved to be optimal."""
        return self.bound is not None and self.objective <= self.bound

    @property
    def within_fraction(self) -> float | None:
        """Fraction of the optimum by which the value exceeds it at most; None if unknown."""
        return within_best(self.objective, self.bound)

    @property
    def status(self) -> str:
        """What is known of the mapping: ``proved optimal``, ``within 3 % of the best possible``.

        ``stopped`` if a limit ended the search and no bound is known; empty if it ended by
        itself and proves nothing.
        """
        return describe_status(self.within_fraction, stopped=self.stopped)
