"""Constraints on iterations and loop orders of a level, and the contradictions in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.arguments import store_plain_numbers
from toolkit.errors import ArchitectureError
from toolkit.messages import describe

Relation = Literal["==", "<=", ">="]
_RELATIONS: dict[str, Relation] = {"==": "==", "<=": "<=", ">=": ">="}

MAX_FACTOR = 2**31
"""Largest number of iterations that a constraint may name: that of a size in a workload file."""


@dataclass(frozen=True, slots=True)
class FactorConstraint:
    """A bound on the iterations of one dimension at one level, such as ``M == 16``.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.FactorConstraint("M", "<=", 8)
    FactorConstraint(dimension='M', relation='<=', value=8)
    """

    dimension: str
    relation: Relation
    value: int

    def __post_init__(self) -> None:
        store_plain_numbers(self)

    def allows(self, factor: int) -> bool:
        """Whether `factor` satisfies the constraint."""
        if self.relation == "==":
            return factor == self.value
        return factor <= self.value if self.relation == "<=" else factor >= self.value

    def __str__(self) -> str:
        return f"{self.dimension} {self.relation} {self.value}"


def parse_constraint(text: str) -> FactorConstraint:
    """Read a constraint such as ``M == 16``.

    Raises
    ------
    ArchitectureError
        If the text is not a dimension, one of ``==``, ``<=``, ``>=``, and an integer from 1 to
        2**31.

    Examples
    --------
    >>> parse_constraint("K <= 4")
    FactorConstraint(dimension='K', relation='<=', value=4)
    """
    match = re.fullmatch(r"\s*([A-Za-z]\w*)\s*(==|<=|>=)\s*([0-9]{1,10})\s*", text, re.ASCII)
    if not match or not 1 <= int(match[3]) <= MAX_FACTOR:
        raise ArchitectureError(
            "expected a dimension, one of == <= >=, and an integer from 1 to "
            f"{MAX_FACTOR}, such as M == 16, got {describe(text)}"
        )
    return FactorConstraint(match[1], _RELATIONS[match[2]], int(match[3]))


def check_constraints(
    constraints: Sequence[FactorConstraint], iterable: Sequence[str] | None = None
) -> None:
    """Refuse constraints on one level that no factors can satisfy, and repeated ones.

    Parameters
    ----------
    constraints : sequence of FactorConstraint
        Those of one level.
    iterable : sequence of str, optional
        The dimensions a spatial level may unroll; all others iterate once there.

    Raises
    ------
    ArchitectureError
        Naming the constraints that contradict each other.
    """
    by_dimension: dict[str, dict[Relation, FactorConstraint]] = {}
    for constraint in constraints:
        relations = by_dimension.setdefault(constraint.dimension, {})
        if constraint.relation in relations:
            raise ArchitectureError(
                f"{relations[constraint.relation]} and {constraint}: "
                f"expected {constraint.relation} once for each dimension"
            )
        relations[constraint.relation] = constraint
        listed = iterable is None or constraint.dimension in iterable
        if not listed and not constraint.allows(1):
            raise ArchitectureError(
                f"{constraint} cannot hold: {constraint.dimension} is not among the "
                f"dimensions here ({', '.join(iterable or ()) or 'none'})"
            )
    for relations in by_dimension.values():
        _check_bounds(relations)


def _check_bounds(relations: dict[Relation, FactorConstraint]) -> None:
    values = list(relations.values())
    # With one bound of each kind, some value is allowed if and only if one of the bounds is.
    if not any(all(c.allows(candidate.value) for c in values) for candidate in values):
        raise ArchitectureError(f"{' and '.join(map(str, values))} contradict each other")


def check_loop_order(order: Sequence[str]) -> None:
    """Refuse a loop order that names a dimension twice or nothing but placeholders.

    Raises
    ------
    ArchitectureError
        Naming the dimension.
    """
    named = [dimension for dimension in order if dimension != "_"]
    repeated = sorted({d for d in named if named.count(d) > 1})
    if repeated:
        raise ArchitectureError(f"names {', '.join(repeated)} twice; expected each once")
    if order and not named:
        raise ArchitectureError("names no dimension, only placeholders; leave it out instead")
