"""Which single change would help a mapping most: of the mapping itself, or of a bandwidth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Fanout, Level, Memory
from toolkit.errors import MappingError
from toolkit.mapping.bypasses import with_bypasses_of
from toolkit.mapping.explain import violations
from toolkit.mapping.mapping import IntArray, Mapping, from_arrays, to_arrays
from toolkit.model.compiled import BatchTotals, batch_totals
from toolkit.model.conventions import Conventions
from toolkit.model.plan import make_plan
from toolkit.model.plan_ports import ports_of
from toolkit.search.advice_flips import single_flips
from toolkit.search.advice_steps import (
    Obstacle,
    Step,
    Steps,
    describe_step,
    obstacles,
    single_steps,
)
from toolkit.search.problem import Problem, chosen_problem

BYPASS = "bypass"
"""Kind of the moves that change what a memory holds."""

LISTED = 3
"""Moves that advice lists as the best unless told otherwise."""

_NOTICEABLE = 1e-9
"""Fraction of an objective value below which a difference is rounding."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What a mapping costs in total.

    Parameters
    ----------
    energy_pj, latency_cycles, objective : float
        Totals of the run; the objective in its own unit.
    utilization : float
        Fraction of the instances used.
    """

    energy_pj: float
    latency_cycles: float
    utilization: float
    objective: float


@dataclass(frozen=True, slots=True)
class Move:
    """One step from the mapping that was asked about.

    Parameters
    ----------
    kind : {"factor", "order", "bypass"}
        Whether a factor changes, a memory's loop order, or what a memory holds.
    text : str
        What the step does.
    mapping : Mapping
        Where it leads.
    costs : Costs
        What that costs, if it could run.
    obstacles : tuple of Obstacle
        Why it cannot; empty if it is valid.
    """

    kind: str
    text: str
    mapping: Mapping
    costs: Costs
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Doubling:
    """The same mapping with one bandwidth doubled.

    Parameters
    ----------
    level, port : str
        The memory, and ``read port``, ``write port``, ``port`` where they are shared, or its
        name; or the fanout, and ``network inwards`` or ``network outwards``.
    bandwidth : float
        Words per cycle and instance before doubling.
    costs : Costs
        With twice that.
    """

    level: str
    port: str
    bandwidth: float
    costs: Costs


@dataclass(frozen=True, slots=True)
class Advice:
    """What would help a mapping.

    Parameters
    ----------
    current : Costs
        Of the mapping itself.
    tried, valid : int
        Different single moves, and how many of them lead to valid mappings.
    best : tuple of Move
        Valid moves that lower the objective, the best first; empty if none does.
    least : Move or None
        The valid move with the lowest objective, whether or not that is an improvement.
    blocked : tuple of Move
        Moves that would lower the objective but break rules: the best for each set of broken
        rules, all of them, the best first.
    doublings : tuple of Doubling
        Bandwidths that would change the latency if doubled, the most effective first.
    """

    current: Costs
    tried: int
    valid: int
    best: tuple[Move, ...]
    least: Move | None
    blocked: tuple[Move, ...]
    doublings: tuple[Doubling, ...]


def advise(problem: Problem, mapping: Mapping, *, listed: int = LISTED) -> Advice:
    """Cost every mapping that is one step away, and say which step helps most.

    Parameters
    ----------
    problem : Problem
        What the mapping solves; its objective ranks the moves.
    mapping : Mapping
        A valid mapping.
    listed : int
        Most moves to list as the best.

    Raises
    ------
    MappingError
        If the mapping is not valid.
    """
    asked, problem = problem, chosen_problem(problem, mapping)
    space = problem.space
    broken = violations(space, mapping)
    if broken:
        raise MappingError(f"only valid mappings can be advised on: {'; '.join(broken)}")
    factors, order = to_arrays(mapping, problem.arch, problem.workload)
    steps = single_steps(space, factors, order)
    totals = batch_totals(
        problem.plan,
        np.concatenate([factors[None], steps.factors]),
        np.concatenate([order[None], steps.order]),
    )
    values = _objectives(problem, totals)
    valid = space.check(steps.factors, steps.order)
    picks = _Picks(problem, mapping, steps, totals, values, valid)
    helpful = _below(values[1:], values[0])
    current = _costs(problem, totals, 0)
    flips = [
        Move(BYPASS, text, flipped, _costs(problem, own, 0), broken)
        for text, flipped, own, broken in single_flips(asked, problem, mapping, factors, order)
    ]
    free = [flip for flip in flips if not flip.obstacles]
    better = [flip for flip in flips if _below(flip.costs.objective, current.objective)]
    least = _ranked([*picks.best_of(valid, 1), *free])
    return Advice(
        current,
        len(set(steps.steps)) + len(flips),
        len({step for step, fine in zip(steps.steps, valid, strict=True) if fine}) + len(free),
        _ranked(
            [*picks.best_of(valid & helpful, listed), *(f for f in better if not f.obstacles)]
        )[:listed],
        least[0] if least else None,
        _ranked([*picks.blocked(~valid & helpful), *(f for f in better if f.obstacles)]),
        _doublings(problem, factors, order, current),
    )


def _ranked(moves: Iterable[Move]) -> tuple[Move, ...]:
    """The best first; of equal ones, in the order given."""
    return tuple(sorted(moves, key=lambda move: move.costs.objective))


@dataclass(frozen=True)
class _Picks:
    """Steps with their costs; arrays of costs have the current mapping in front."""

    problem: Problem
    mapping: Mapping
    steps: Steps
    totals: BatchTotals
    values: NDArray[np.float64]
    valid: NDArray[np.bool_]

    def best_of(self, eligible: NDArray[np.bool_], count: int) -> tuple[Move, ...]:
        """Best places for the best steps: each factor, and each memory's order, once."""
        best: dict[Step, int] = {}
        for row in self._ranked(eligible):
            best.setdefault(self.steps.steps[row], row)
        return tuple(self._move(row, ()) for row in list(best.values())[:count])

    def blocked(self, eligible: NDArray[np.bool_]) -> tuple[Move, ...]:
        """Best steps for each set of rules that they break."""
        allowed: dict[Step, float] = {}
        for row in np.flatnonzero(self.valid).tolist():
            step, value = self.steps.steps[row], float(self.values[1 + row])
            allowed[step] = min(value, allowed.get(step, np.inf))
        best: dict[Step, tuple[int, tuple[Obstacle, ...]]] = {}
        for row in self._ranked(eligible):
            step, factors, order = self._step(row)
            # What is as good with another, valid place of its new loop is not forbidden.
            if not _below(self.values[1 + row], allowed.get(step, np.inf)):
                continue
            broken = obstacles(self.problem.space, step, factors, order)
            if not broken:  # An iteration would have nothing to do: no rule forbids it.
                continue
            if step not in best or self._easier(row, broken, *best[step]):
                best[step] = (row, broken)
        chosen: dict[tuple[tuple[str, str], ...], Move] = {}
        for row, broken in sorted(best.values(), key=lambda pick: self.values[1 + pick[0]]):
            rules = tuple((rule.kind, rule.level) for rule in broken)
            if rules not in chosen:
                chosen[rules] = self._move(row, broken)
        return tuple(chosen.values())

    def _easier(
        self, row: int, broken: tuple[Obstacle, ...], known: int, rules: tuple[Obstacle, ...]
    ) -> bool:
        """Whether a place of a new loop is as good as a known one and breaks fewer rules."""
        return len(broken) < len(rules) and not _below(
            self.values[1 + known], self.values[1 + row]
        )

    def _ranked(self, eligible: NDArray[np.bool_]) -> list[int]:
        rows = np.flatnonzero(eligible & np.isfinite(self.values[1:]))
        ranked: list[int] = rows[np.argsort(self.values[1:][rows], kind="stable")].tolist()
        return ranked

    def _step(self, row: int) -> tuple[Step, IntArray, IntArray]:
        return self.steps.steps[row], self.steps.factors[row], self.steps.order[row]

    def _move(self, row: int, broken: tuple[Obstacle, ...]) -> Move:
        step, factors, order = self._step(row)
        problem = self.problem
        moved = from_arrays(factors, order, problem.arch, problem.workload)
        return Move(
            step.kind,
            describe_step(problem.space, step, factors, order),
            with_bypasses_of(moved, self.mapping),
            _costs(problem, self.totals, 1 + row),
            broken,
        )


def _below(values: Any, reference: Any) -> Any:
    """Whether values are lower by more than rounding."""
    return reference - values > _NOTICEABLE * np.abs(values)


def _objectives(problem: Problem, totals: BatchTotals) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        values = problem.objective.value(
            totals.energy_pj, totals.latency_cycles, totals.utilization
        )
    return np.asarray(values, dtype=np.float64)


def _costs(problem: Problem, totals: BatchTotals, row: int) -> Costs:
    energy, latency, utilization = (
        float(column[row])
        for column in (totals.energy_pj, totals.latency_cycles, totals.utilization)
    )
    value = problem.objective.value(energy, latency, utilization)
    return Costs(energy, latency, utilization, float(value))


def _doublings(
    problem: Problem, factors: IntArray, order: IntArray, current: Costs
) -> tuple[Doubling, ...]:
    found = []
    for i, level in enumerate(problem.arch.levels):
        for name, bandwidth, changed in _doubled_ports(level, problem.conventions):
            levels = (*problem.arch.levels[:i], changed, *problem.arch.levels[i + 1 :])
            arch = replace(problem.arch, levels=levels)
            plan = make_plan(
                arch, problem.workload, problem.conventions, bias_read=problem.bias_read
            )
            costs = _costs(problem, batch_totals(plan, factors[None], order[None]), 0)
            if _below(costs.latency_cycles, current.latency_cycles):
                found.append(Doubling(level.name, name, bandwidth, costs))
    return tuple(sorted(found, key=lambda doubling: doubling.costs.latency_cycles))


def _doubled_ports(level: Level, conventions: Conventions) -> Iterator[tuple[str, float, Level]]:
    """Name every port of a level, with its bandwidth and the level with twice of it."""
    if isinstance(level, Fanout) and level.wires is not None:
        for way, figure in (("inwards", "read_bandwidth"), ("outwards", "write_bandwidth")):
            bandwidth = getattr(level.wires, figure)
            wider = replace(level.wires, **{figure: 2 * bandwidth})
            yield f"network {way}", bandwidth, replace(level, wires=wider)
    if not isinstance(level, Memory):
        return
    for i, own in enumerate(level.ports):
        ports = list(level.ports)
        ports[i] = replace(own, bandwidth=2 * own.bandwidth)
        yield f"{own.name} port", own.bandwidth, replace(level, ports=tuple(ports))
    for port in () if level.ports else ports_of(level, conventions):
        sends, receives = "reads" in port.kinds, "updates" in port.kinds
        changed = replace(
            level,
            read_bandwidth=level.read_bandwidth * (1 + sends),
            write_bandwidth=level.write_bandwidth * (1 + receives),
        )
        yield port.name, port.bandwidth, changed
