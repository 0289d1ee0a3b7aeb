"""What a strategy is asked: a workload on an architecture, an objective and conventions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations, islice
from typing import Any

import numpy as np

from toolkit.arch.architecture import Architecture, check_bypasses
from toolkit.arch.levels import Memory
from toolkit.arguments import check_kind
from toolkit.display import shortened
from toolkit.errors import ArchitectureError, DoesNotFitError, InputError, MappingError
from toolkit.mapping.bypasses import (
    Bypass,
    arch_with_holds,
    chosen_arch,
    held,
    may_leave_out,
    with_bypass_rule,
)
from toolkit.mapping.fitting import Fitted, dimensions_to_pad, fit
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.mapping.space import Factors, MapSpace, check_factors_rule
from toolkit.model.breakdown import check_magnitude, check_outermost
from toolkit.model.conventions import EXACT, Conventions, map_space
from toolkit.model.plan import Plan, make_plan
from toolkit.model.plan_tables import PlanTables
from toolkit.model.tabulate import plan_tables
from toolkit.search.choices import Choices
from toolkit.search.objective import OBJECTIVES, Function, Objective, objective_named
from toolkit.workload.kernel import Workload

MOST_FITTED = 256
"""Choices of bypasses that are tried where the architecture has no room for all it may hold."""


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
    factors : {"perfect", "ragged"}
        Whether factors multiply to the sizes, or last tiles may be cut off; see `MapSpace`.
    unpadded : tuple of (dimension, size)
        Dimensions whose padded size was chosen under the objective, and their sizes before.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> problem.objective.name, problem.factors
    ('edp', 'ragged')
    """

    arch: Architecture
    workload: Workload
    objective: Objective = OBJECTIVES["edp"]
    conventions: Conventions = EXACT
    bias_read: bool = False
    notes: tuple[str, ...] = ()
    factors: Factors = "perfect"
    unpadded: tuple[tuple[str, int], ...] = ()

    def __repr__(self) -> str:
        what = f"{self.workload.name} on {self.arch.name}"
        how = f"{self.objective}, {self.conventions.name}, {self.factors} factors"
        return f"<Problem {shortened(what)}: {how}>"

    @cached_property
    def space(self) -> MapSpace:
        """All mappings that leave out nothing optional, and what makes them valid."""
        return map_space(self.arch, self.workload, self.conventions, self.factors)

    @cached_property
    def choices(self) -> Choices:
        """What mappings may leave out beyond what the architecture bypasses."""
        return Choices(self)

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
    pad: Collection[str] | str = (),
    factors: Factors | None = None,
    round_up: Collection[str] | str = (),
    bypass: Bypass = "permitted",
) -> Problem:
    """Fit the constraints of an architecture to a workload and state the problem.

    Parameters
    ----------
    objective : str, Objective or callable
        What to minimise; see `toolkit.search.objective_named`.
    pad : collection of str or "all"
        Dimensions that may be padded: of the size and some larger ones the best under the
        objective is taken, as short searches find (`toolkit.search.padding`); `notes` say which
        and why. Factors are perfect then: padding is for machines that run whole tiles.
    factors : {"perfect", "ragged"}, optional
        Whether factors multiply to the sizes, or last tiles may be cut off; by default what the
        conventions say (`Conventions.factors`), perfect with `pad`.
    round_up : collection of str or "all"
        Dimensions that may be rounded up, to the next size that fits, where a constraint does not
        divide them; those of `pad` are in any case.
    bypass : {"permitted", "free", "fixed"}
        Which tensors a mapping may choose to leave out of a memory: those that the architecture
        permits (`Memory.may_bypass`), all that a memory but the outermost holds, or none.

    Raises
    ------
    ArchitectureError
        If a memory bypasses a tensor that the workload lacks, or no memory holds one of its
        tensors.
    DoesNotFitError
        If the constraints exclude every mapping.
    PrecisionError
        If the workload is too large for exact counts.
    InputError
        If the objective or the rule of bypasses is unknown, what is asked of factors and padding
        cannot be together, or another argument is of another kind.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> problem.objective.name, problem.notes
    ('edp', ())
    """
    check_kind(arch, Architecture, "arch")
    check_kind(workload, Workload, "workload")
    check_kind(conventions, Conventions, "conventions")
    check_bypasses(arch, workload)
    arch = with_bypass_rule(arch, bypass)
    check_magnitude(workload)
    allowed = dimensions_to_pad(pad, workload)
    state = partial(
        _stated,
        arch,
        round_up=allowed | dimensions_to_pad(round_up, workload),
        objective=objective_named(objective),
        conventions=conventions,
        bias_read=bias_read,
        factors=factors_rule(conventions, factors, padded=bool(allowed)),
    )
    if not allowed:
        return state(workload)
    # Here, because it searches, and all that searches knows what a problem is.
    from toolkit.search.padding import choose_padding

    return choose_padding(workload, allowed, state)


def factors_rule(conventions: Conventions, factors: Factors | None, *, padded: bool) -> Factors:
    """Tell which factors are searched, from what is asked and what the conventions say.

    Raises
    ------
    InputError
        If `factors` is unknown, or ragged where tiles are whole.
    """
    if factors is not None:
        check_factors_rule(factors)
    if padded and factors == "ragged":
        raise InputError(
            "sizes are padded for whole tiles, but ragged factors cut tiles off; expected one of "
            "them",
            key="pad",
        )
    rule = factors or ("perfect" if padded else conventions.factors)
    if rule == "ragged" and conventions.transfers == "sequential":
        raise InputError(
            f"the conventions {conventions.name} count whole tiles only; expected perfect factors",
            key="factors",
        )
    return rule


def _stated(
    arch: Architecture,
    workload: Workload,
    *,
    round_up: Collection[str],
    objective: Objective,
    conventions: Conventions,
    bias_read: bool,
    factors: Factors,
) -> Problem:
    make_plan(arch, workload, conventions)  # Refuses tensors that nobody holds.
    fitted = _fitted(
        arch,
        workload,
        conventions,
        pad=round_up,
        footprint=conventions.window_footprint,
        factors=factors,
        outermost_supplies=conventions.charge_bypassing_outermost,
    )
    check_magnitude(fitted.workload)  # What is padded has grown.
    problem = Problem(
        fitted.arch,
        fitted.workload,
        objective,
        conventions,
        bias_read,
        fitted.notes,
        factors,
    )
    check_outermost(problem.space)
    return problem


def _fitted(
    arch: Architecture, workload: Workload, conventions: Conventions, **rules: Any
) -> Fitted:
    """Fit constraints where all is held or, if that has no room, some of it is left out."""
    try:
        return fit(arch, workload, **rules)
    except DoesNotFitError:
        for roomy in islice(_with_less(arch, workload), MOST_FITTED):
            with suppress(ArchitectureError, DoesNotFitError, MappingError):
                make_plan(roomy, workload, conventions)
                return _holding_all(fit(roomy, workload, **rules), arch)
        raise


def _with_less(arch: Architecture, workload: Workload) -> Iterator[Architecture]:
    """The architecture with optional pairs left out: all of them, then fewer and fewer."""
    pairs = np.argwhere(may_leave_out(arch, workload)).tolist()
    for count in range(len(pairs), 0, -1):
        for left in combinations(pairs, count):
            kept = held(arch, workload)
            kept[tuple(np.array(left).T)] = False
            yield arch_with_holds(arch, workload, kept)


def _holding_all(fitted: Fitted, arch: Architecture) -> Fitted:
    """Give memories back what they hold in `arch`."""
    levels = tuple(
        replace(own, bypasses=given.bypasses, may_bypass=given.may_bypass)
        if isinstance(own, Memory) and isinstance(given, Memory)
        else own
        for own, given in zip(fitted.arch.levels, arch.levels, strict=True)
    )
    return replace(fitted, arch=replace(fitted.arch, levels=levels))


def chosen_problem(problem: Problem, mapping: Mapping) -> Problem:
    """State the problem that a mapping answers: with its bypasses, and ragged if it is.

    Returns
    -------
    Problem
        `problem` itself if the mapping multiplies to the sizes and chooses no bypasses. Ragged
        factors stay forbidden where the conventions count whole tiles only.

    Raises
    ------
    MappingError
        If the mapping does not describe the problem's workload on its architecture.
    """
    factors, _ = to_arrays(mapping, problem.arch, problem.workload)
    arch = chosen_arch(problem.arch, problem.workload, mapping)
    exceeds = (factors.prod(axis=0, dtype=float) > list(problem.workload.sizes.values())).any()
    rule = problem.conventions.counted_factors if exceeds else problem.factors
    if arch is problem.arch and rule == problem.factors:
        return problem
    return replace(problem, arch=arch, factors=rule)
