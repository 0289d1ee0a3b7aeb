"""Make an architecture's constraints and a workload fit each other, or say why they cannot."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Level, Memory
from toolkit.arch.packaged import arch_names
from toolkit.arguments import check_kind
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.bounds import UNLIMITED, Footprint, Need, check_sizes, need
from toolkit.mapping.factors import SIZE_LIMIT, build_lattice, divisors
from toolkit.mapping.feasible import check_feasible
from toolkit.mapping.orders import order_rule
from toolkit.mapping.ragged import lie_apart
from toolkit.mapping.space import Factors, MapSpace
from toolkit.workload.kernel import Workload

CANDIDATES = 100_000
"""Most larger sizes that are tried for padding. Each takes a walk over the levels; whoever would
pad further is better told that nothing near fits."""

SPLIT_TRIES = 1000
"""Most of these whose splits are counted, which takes a lattice each: far longer than the walk."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """An architecture and a workload that fit each other.

    Parameters
    ----------
    arch : Architecture
        With constraints shrunk to the workload's sizes and without dimensions it lacks.
    workload : Workload
        With padded sizes, where padding was allowed and needed.
    notes : tuple of str
        What was shrunk, padded or dropped, in words.
    """

    arch: Architecture
    workload: Workload
    notes: tuple[str, ...]


def fit(
    arch: Architecture,
    workload: Workload,
    *,
    pad: Collection[str] | str = (),
    footprint: Footprint = "stride_blind",
    factors: Factors = "perfect",
    outermost_supplies: bool = False,
) -> Fitted:
    """Shrink constraints that exceed the workload, pad where allowed, and check feasibility.

    Per dimension, levels are walked outermost first with what is left of the size: an ``==``
    or ``>=`` larger than that shrinks to it, and an ``==`` must divide it unless factors may be
    ragged. A ``>=`` takes its smallest possible factor, or a larger one if inner constraints
    need that.

    Parameters
    ----------
    arch : Architecture
        The accelerator.
    workload : Workload
        What should run on it.
    pad : collection of str or "all"
        Dimensions whose size may be rounded up to the next one that fits.
    footprint : {"distinct", "stride_blind", "bounding"}
        How the capacity check counts a tile. The default never counts more words than the
        other, so nothing that fits either way is turned down.
    factors : {"perfect", "ragged"}
        Whether factors multiply to the sizes, or last tiles may be cut off; see `MapSpace`.
    outermost_supplies : bool
        Whether the outermost memory supplies what it bypasses, too; see `MapSpace`.

    Raises
    ------
    DoesNotFitError
        If no mapping exists as far as bounded checks can tell, saying which level, dimension
        and values exclude it, and which size would fit.
    WorkloadError
        If a size is 2^53 or more, or has too many divisors.
    InputError
        If `pad` names an unknown dimension, or an argument is of another kind.

    Examples
    --------
    >>> import toolkit
    >>> fitted = toolkit.fit(toolkit.load_arch("gemmini"), toolkit.gemm(100, 100, 100), pad="all")
    >>> dict(fitted.workload.sizes)
    {'M': 112, 'K': 112, 'N': 112}
    """
    check_kind(arch, Architecture, "arch")
    check_kind(workload, Workload, "workload")
    _check_dimensions(arch, workload)
    check_sizes(workload)
    padded_dimensions = dimensions_to_pad(pad, workload)
    whole = lie_apart(arch, workload) if factors == "ragged" else frozenset(workload.dimensions)
    known = _without_unknown(arch, workload)
    notes = _dropped_notes(arch, workload)
    sizes: dict[str, int] = {}
    walks: dict[str, _Walk] = {}
    refused: list[tuple[str, str, int | None]] = []
    for dimension, size in workload.sizes.items():
        requirements = _requirements(known, dimension, ragged=dimension not in whole)
        result = _walk(requirements, size)
        chosen = size
        if isinstance(result, str):
            larger = _next_fitting_size(requirements, size)
            if dimension not in padded_dimensions or larger is None:
                refused.append((dimension, result, larger))
                continue
            chosen, result = larger, _walk(requirements, larger)
        sizes[dimension] = chosen
        walks[dimension] = result if isinstance(result, _Walk) else _Walk((), ())
        notes += walks[dimension].notes
    if refused:
        raise _unfit(arch, workload, refused)
    fitted = _shrink(known, walks)
    grown = replace(workload, sizes=sizes) if sizes != dict(workload.sizes) else workload
    notes += _padding_notes(workload, grown)
    check_feasible(MapSpace(fitted, grown, footprint, factors, outermost_supplies))
    return Fitted(fitted, grown, tuple(notes))


def _check_dimensions(arch: Architecture, workload: Workload) -> None:
    named, needed = set(arch.dimensions), set(workload.dimensions)
    if named <= needed or needed <= named:
        return
    base = arch.name.removesuffix("-conv")
    sister = base if base != arch.name else f"{arch.name}-conv"
    hint = f"; is {sister} meant?" if sister in arch_names() else ""
    raise DoesNotFitError(
        f"{workload.name} ({workload.kernel}) does not fit, because it lacks the dimensions "
        f"{', '.join(sorted(named - needed))} that the architecture names, and the "
        f"architecture does not name its {', '.join(sorted(needed - named))}{hint}",
        source=arch.name,
    )


def dimensions_to_pad(pad: Collection[str] | str, workload: Workload) -> set[str]:
    """Read which dimensions may be padded: a name, several, or ``"all"``.

    Raises
    ------
    InputError
        If one is unknown.
    """
    if isinstance(pad, str):
        pad = workload.dimensions if pad == "all" else (pad,)
    unknown = sorted(set(pad) - set(workload.dimensions))
    if unknown:
        raise InputError(
            f"unknown dimension {', '.join(map(repr, unknown))}; expected 'all' or some of "
            f"{', '.join(workload.dimensions)}",
            key="pad",
        )
    return set(pad)


def _without_unknown(arch: Architecture, workload: Workload) -> Architecture:
    """Drop what names dimensions that the workload lacks: they iterate once."""
    known = workload.sizes
    levels: list[Level] = []
    for level in arch.levels:
        constraints = tuple(c for c in level.constraints if c.dimension in known)
        if isinstance(level, Memory):
            order = _known_order(level, workload.dimensions)
            levels.append(replace(level, constraints=constraints, loop_order=order))
        else:
            kept = tuple(d for d in level.dimensions if d in known)
            levels.append(replace(level, constraints=constraints, dimensions=kept))
    return replace(arch, levels=tuple(levels))


def _known_order(memory: Memory, dimensions: tuple[str, ...]) -> tuple[str, ...]:
    if all(d == "_" or d in dimensions for d in memory.loop_order):
        return memory.loop_order
    rule = order_rule(memory, dimensions)
    if any(d >= 0 for d in rule.slots):
        return tuple(dimensions[d] if d >= 0 else "_" for d in rule.slots)
    return tuple(dimensions[d] for d in rule.sequence)


def _dropped_notes(arch: Architecture, workload: Workload) -> list[str]:
    # A spatial level that lists every dimension of the workload says nothing by listing more.
    levels = tuple(
        replace(level, dimensions=())
        if not isinstance(level, Memory) and set(workload.sizes) <= set(level.dimensions)
        else level
        for level in arch.levels
    )
    telling = replace(arch, levels=levels).dimensions
    unknown = [d for d in telling if d not in workload.sizes]
    if not unknown:
        return []
    return [
        f"{', '.join(unknown)}: named by {arch.name} but not in {workload.name}, "
        "so taken to iterate once"
    ]


def _requirements(arch: Architecture, dimension: str, *, ragged: bool) -> tuple[_Requirement, ...]:
    return tuple(
        _Requirement(level.name, dimension, need(level, dimension, level.constraints), ragged)
        for level in arch.levels
    )


def _unfit(
    arch: Architecture, workload: Workload, refused: list[tuple[str, str, int | None]]
) -> DoesNotFitError:
    """Say why dimensions do not fit: (name, reason, next size that fits) of each."""
    reasons = "; ".join(reason for _, reason, _ in refused)
    hint = ""
    if all(larger is not None for _, _, larger in refused):
        sizes = " and ".join(f"{d} to {larger}" for d, _, larger in refused)
        allowed = ", ".join(d for d, _, _ in refused)
        hint = f"; padding {sizes} would fit (allow pad: {allowed})"
    return DoesNotFitError(
        f"{workload.name} does not fit, because {reasons}{hint}", source=arch.name
    )


def _shrink(arch: Architecture, walks: Mapping[str, _Walk]) -> Architecture:
    """Lower every ``==`` and ``>=`` to what its walk left for it."""
    levels: list[Level] = []
    for i, level in enumerate(arch.levels):
        constraints = []
        for c in level.constraints:
            left = walks[c.dimension].left
            value = c.value if c.relation == "<=" else min(c.value, left[i])
            constraints.append(FactorConstraint(c.dimension, c.relation, value))
        levels.append(replace(level, constraints=tuple(constraints)))
    return replace(arch, levels=tuple(levels))


def _padding_notes(before: Workload, after: Workload) -> list[str]:
    grown = [d for d, size in before.sizes.items() if after.sizes[d] != size]
    if not grown:
        return []
    changes = ", ".join(f"{d} from {before.sizes[d]} to {after.sizes[d]}" for d in grown)
    overhead = 100 * (after.macs / before.macs - 1)
    return [f"padded {changes}: {overhead:.3g} % more multiply-accumulates"]


@dataclass(frozen=True, slots=True)
class _Requirement:
    """What one level requires of a dimension's factor, and whether that has to divide it."""

    level: str
    dimension: str
    need: Need
    ragged: bool


@dataclass(frozen=True, slots=True)
class _Walk:
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


def _walk(requirements: tuple[_Requirement, ...], size: int) -> _Walk | str:
    """Walk the ``==`` and ``>=`` of one dimension; return the reason if that cannot be done."""
    left = _search(requirements, 0, size, set())
    if left is None:
        return _reason(requirements, size)
    if not _splits(requirements, size, left):
        return _no_split(requirements, size)
    return _Walk(left, _notes(requirements, size, left))


def _search(
    requirements: tuple[_Requirement, ...],
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
    need, ragged = requirements[level].need, requirements[level].ragged
    if (level, left, may_shrink) in dead or (need.least > left and not may_shrink):
        return None
    for i, factor in enumerate(_choices(need, left, ragged=ragged)):
        inner = _search(requirements, level + 1, -(-left // factor), dead, may_shrink and i == 0)
        if inner is not None:
            return (left, *inner)
    dead.add((level, left, may_shrink))
    return None


def _choices(need: Need, left: int, *, ragged: bool) -> list[int]:
    least = min(need.least, left)
    if least > need.most:
        return []
    if need.exact:
        return [least] if ragged or left % least == 0 else []
    if need.least == 1:
        return [1]
    if ragged:
        return [least]
    return [int(f) for f in divisors(left) if least <= f <= need.most]


def _reason(requirements: tuple[_Requirement, ...], size: int) -> str:
    left = size
    for requirement in requirements:
        need = requirement.need
        choices = _choices(need, left, ragged=requirement.ragged)
        if not choices:
            return _refusal(requirement, size, left)
        left = -(-left // choices[0])
    dimension = requirements[0].dimension
    return f"the >= and == constraints on {dimension} = {size} exclude each other"


def _refusal(requirement: _Requirement, size: int, left: int) -> str:
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
    requirements: tuple[_Requirement, ...], size: int, left: tuple[int, ...]
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


def _splits(requirements: tuple[_Requirement, ...], size: int, left: tuple[int, ...]) -> bool:
    """Whether factors within all bounds, the shrunk ones included, multiply to `size`."""
    bounds = [_shrunk(r.need, rest) for r, rest in zip(requirements, left, strict=True)]
    lower = [least for least, _ in bounds]
    upper = [min(most, size) for _, most in bounds]
    return build_lattice(size, lower, upper, ragged=requirements[0].ragged).total > 0


def _shrunk(need: Need, left: int) -> tuple[int, int]:
    least = min(need.least, left)
    return least, least if need.exact else need.most


def _no_split(requirements: tuple[_Requirement, ...], size: int) -> str:
    limits = [r for r in requirements if r.need.most < UNLIMITED and r.need.most > 1]
    listed = ", ".join(f"{r.level} at most {r.need.most}" for r in limits) or "none above 1"
    dimension = requirements[0].dimension
    return (
        f"no split of {dimension} = {size} over the levels respects all bounds; "
        f"factors allowed: {listed}"
    )


def _next_fitting_size(requirements: tuple[_Requirement, ...], size: int) -> int | None:
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
