"""What a strategy is asked: a workload on an architecture, an objective and conventions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from toolkit.arch.architecture import Architecture
from toolkit.arch.bypasses import check_bypasses
from toolkit.errors import InputError
from toolkit.mapping.fitting import fit
from toolkit.mapping.space import MapSpace
from toolkit.model.breakdown import check_magnitude
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.plan import Plan, make_plan
from toolkit.workload.kernel import Workload

Objective = Literal["edp", "energy", "latency", "edp_per_utilization"]
"""What is minimised. ``edp_per_utilization`` is FactorFlow's own objective (its "Wart")."""

OBJECTIVES: tuple[str, ...] = get_args(Objective)

_VALUES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "edp": lambda energy, latency, utilization: energy * latency,
    "energy": lambda energy, latency, utilization: energy,
    "latency": lambda energy, latency, utilization: latency,
    "edp_per_utilization": lambda energy, latency, utilization: energy * latency / utilization,
}


def objective_value(objective: str, energy_pj: Any, latency_cycles: Any, utilization: Any) -> Any:
    """Combine costs into the value to minimise; scalars or arrays.

    Returns
    -------
    scalar or array
        In pJ, cycles or pJ·cycle, as the objective says.
    """
    return _VALUES[objective](energy_pj, latency_cycles, utilization)


@dataclass(frozen=True)
class Problem:
    """A mapping problem. Use `make_problem`, which fits the constraints first.

    Parameters
    ----------
    arch, workload : Architecture, Workload
        What runs on what; constraints fit the workload.
    objective : {"edp", "energy", "latency", "edp_per_utilization"}
        What is minimised.
    conventions : Conventions
        How costs are counted.
    bias_read : bool
        Whether the first visit of an output reads an initial value from outside.
    notes : tuple of str
        What fitting changed, in words.
    """

    arch: Architecture
    workload: Workload
    objective: Objective = "edp"
    conventions: Conventions = EXACT
    bias_read: bool = False
    notes: tuple[str, ...] = ()

    @cached_property
    def space(self) -> MapSpace:
        """All mappings and what makes them valid."""
        return MapSpace(self.arch, self.workload, self.conventions.window_footprint)

    @cached_property
    def plan(self) -> Plan:
        """What the cost model needs to know."""
        return make_plan(self.arch, self.workload, self.conventions, bias_read=self.bias_read)


def make_problem(
    arch: Architecture,
    workload: Workload,
    *,
    objective: str = "edp",
    conventions: Conventions = EXACT,
    bias_read: bool = False,
    pad: tuple[str, ...] | str = (),
) -> Problem:
    """Fit the constraints of an architecture to a workload and state the problem.

    Parameters
    ----------
    pad : tuple of str or "all"
        Dimensions that may be rounded up where a constraint does not divide them.

    Raises
    ------
    ArchitectureError
        If a memory bypasses a tensor that the workload lacks.
    DoesNotFitError
        If the constraints exclude every mapping.
    PrecisionError
        If the workload is too large for exact counts.
    InputError
        If the objective is unknown.
    """
    check_bypasses(arch, workload)
    check_magnitude(workload)
    if objective not in OBJECTIVES:
        raise InputError(
            f"unknown objective {objective!r}; expected one of {', '.join(OBJECTIVES)}",
            key="objective",
        )
    fitted = fit(arch, workload, pad=pad, footprint=conventions.window_footprint)
    return Problem(
        fitted.arch,
        fitted.workload,
        objective,  # type: ignore[arg-type]
        conventions,
        bias_read,
        fitted.notes,
    )
