"""What a strategy is asked: a workload on an architecture, an objective and conventions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from toolkit.arch.architecture import Architecture, check_bypasses
from toolkit.arguments import check_kind
from toolkit.mapping.fitting import fit
from toolkit.mapping.space import MapSpace
from toolkit.model.breakdown import check_magnitude, check_outermost
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.plan import Plan, make_plan
from toolkit.model.plan_tables import PlanTables, plan_tables
from toolkit.search.objective import OBJECTIVES, Function, Objective, objective_named
from toolkit.workload.kernel import Workload


@dataclass(frozen=True)
class Problem:
    """A mapping problem. Use `make_problem`, which fits the constraints first.

    Parameters
    ----------
    arch, workload : Architecture, Workload
        What runs on what; constraints fit the workload.
    objective : Objective
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
    objective: Objective = OBJECTIVES["edp"]
    conventions: Conventions = EXACT
    bias_read: bool = False
    notes: tuple[str, ...] = ()

    @cached_property
    def space(self) -> MapSpace:
        """All mappings and what makes them valid."""
        return MapSpace(self.arch, self.workload, self.conventions.window_footprint)

    @cached_property
    def tables(self) -> PlanTables:
        """The same as formulas look it up."""
        return plan_tables(self.plan)

    @cached_property
    def plan(self) -> Plan:
        """What the cost model needs to know."""
        return make_plan(self.arch, self.workload, self.conventions, bias_read=self.bias_read)


def make_problem(
    arch: Architecture,
    workload: Workload,
    *,
    objective: str | Objective | Function = "edp",
    conventions: Conventions = EXACT,
    bias_read: bool = False,
    pad: tuple[str, ...] | str = (),
) -> Problem:
    """Fit the constraints of an architecture to a workload and state the problem.

    Parameters
    ----------
    objective : str, Objective or callable
        What to minimise; see `toolkit.search.objective_named`.
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
        If the objective is unknown, or another argument of another kind.
    """
    check_kind(arch, Architecture, "arch")
    check_kind(workload, Workload, "workload")
    check_kind(conventions, Conventions, "conventions")
    check_bypasses(arch, workload)
    check_magnitude(workload)
    wanted = objective_named(objective)
    fitted = fit(arch, workload, pad=pad, footprint=conventions.window_footprint)
    check_magnitude(fitted.workload)  # What is padded has grown.
    problem = Problem(
        fitted.arch,
        fitted.workload,
        wanted,
        conventions,
        bias_read,
        fitted.notes,
    )
    check_outermost(problem.space)
    return problem
