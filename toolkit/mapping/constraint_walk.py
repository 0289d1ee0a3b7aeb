"""One dimension's way through the constraints, outermost level first."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.mapping.bounds import UNLIMITED, Need
from toolkit.mapping.factors import SIZE_LIMIT, build_lattice, divisors

CANDIDATES = 100_000
"""Most larger sizes that are tried for padding."""

SPLIT_TRIES = 1000
"""Most of these whose splits are counted."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one level requires of a dimension's factor."""

    level: str
    dimension: str
    need: Need


@dataclass(frozen=True, slots=True)
class Walk:
    """A successful walk.

    Parameters
    ----------
    left : tuple of int
        What was left of the size before every level: constraints shrink to it.
    notes : tuple of str
        Which constraints shrank.
    """

    left: tuple[int, ...]
    notes: tuple[str, ...]


def walk(requirements: tuple[Requirement, ...], size: int) -> Walk | str:
    """Walk the ``==`` and ``>=`` of one dimension; return the reason if that cannot be done."""
    left = _search(requirements, 0, size, set())
    if left is None:
        return _reason(requirements, size)
    if not _splits(requirements, size, left):
        return _no_split(requirements, size)
    return Walk(left, _notes(requirements, size, left))


def _search(
    requirements: tuple[Requirement, ...],
    level: int,
    left: int,
    dead: set[tuple[int, int, bool]],
    may_shrink: bool = True,
) -> tuple[int, ...] | None:
    """Depth first, every ``>=`` trying its smallest factor first.

    Larger factors are tried to make room for an inner ``==``, never to shrink one.
    """
    if level == len(requirements):
        return ()
    need = requirements[level].need
    if (level, left, may_shrink) in dead or (need.least > left and not may_shrink):
        return None
    for i, factor in enumerate(_choices(need, left)):
        inner = _search(requirements, level + 1, left // factor, dead, may_shrink and i == 0)
        if inner is not None:
            return (left, *inner)
    dead.add((level, left, may_shrink))
    return None


def _choices(need: Need, left: int) -> list[int]:
    least = min(need.least, left)
    if least > need.most:
        return []
    if need.exact:
        return [least] if left % least == 0 else []
    if need.least == 1:
        return [1]
    return [int(f) for f in divisors(left) if least <= f <= need.most]


def _reason(requirements: tuple[Requirement, ...], size: int) -> str:
    left = size
    for requirement in requirements:
        need = requirement.need
        choices = _choices(need, left)
        if not choices:
            return _refusal(requirement, size, left)
        left //= choices[0]
    dimension = requirements[0].dimension
    return f"the >= and == constraints on {dimension} = {size} exclude each other"


def _refusal(requirement: Requirement, size: int, left: int) -> str:
    need, dimension = requirement.need, requirement.dimension
    least = min(need.least, left)
    if least > need.most:
        return (
            f"{requirement.level} requires {dimension} >= {least} but allows at most {need.most}"
        )
    relation = "==" if need.exact else ">="
    problem = "does not divide" if need.exact else "has no fitting divisor in"
    rest = f"{dimension} = {size}" if left == size else f"the {left} left of {dimension} = {size}"
    return f"{requirement.level} requires {dimension} {relation} {least}, which {problem} {rest}"


def _notes(
    requirements: tuple[Requirement, ...], size: int, left: tuple[int, ...]
) -> tuple[str, ...]:
    notes = []
    for requirement, rest in zip(requirements, left, strict=True):
        need, dimension = requirement.need, requirement.dimension
        if need.least > rest:
            relation = "==" if need.exact else ">="
            whole = "all of" if rest == size else "what outer levels leave of"
            notes.append(
                f"{requirement.level}: {dimension} {relation} {need.least} shrinks to {rest}, "
                f"{whole} {dimension} = {size}"
            )
    return tuple(notes)


def _splits(requirements: tuple[Requirement, ...], size: int, left: tuple[int, ...]) -> bool:
    """Whether factors within all bounds, the shrunk ones included, multiply to `size`."""
    bounds = [_shrunk(r.need, rest) for r, rest in zip(requirements, left, strict=True)]
    lower = [least for least, _ in bounds]
    upper = [min(most, size) for _, most in bounds]
    return build_lattice(size, lower, upper).total > 0


def _shrunk(need: Need, left: int) -> tuple[int, int]:
    least = min(need.least, left)
    return least, least if need.exact else need.most


def _no_split(requirements: tuple[Requirement, ...], size: int) -> str:
    limits = [r for r in requirements if r.need.most < UNLIMITED and r.need.most > 1]
    listed = ", ".join(f"{r.level} at most {r.need.most}" for r in limits) or "none above 1"
    dimension = requirements[0].dimension
    return (
        f"no split of {dimension} = {size} over the levels respects all bounds; "
        f"factors allowed: {listed}"
    )


def next_fitting_size(requirements: tuple[Requirement, ...], size: int) -> int | None:
    """Find the smallest larger size that the constraints admit; None beyond a bounded search."""
    bounded = [r.need for r in requirements if r.need.least > 1]
    step = 1
    if bounded and bounded[0].exact and bounded[0].least <= size:
        step = bounded[0].least
    # Rounding up to a multiple of all constraints satisfies them; more only helps a "<=".
    product = math.prod(need.least for need in bounded)
    last = max(-(-size // product) * product, 2 * size)
    last = min(last, math.prod(r.need.most for r in requirements), SIZE_LIMIT - 1)
    first = (size // step + 1) * step
    tries = SPLIT_TRIES
    for candidate in range(first, min(last, first + CANDIDATES * step) + 1, step):
        left = _search(requirements, 0, candidate, set())
        if left is None:
            continue
        tries -= 1
        if _splits(requirements, candidate, left):
            return candidate
        if tries == 0:
            break
    return None
