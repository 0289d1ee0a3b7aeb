"""Make an architecture's constraints and a workload fit each other, or say why they cannot."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.files import arch_names
from toolkit.arch.levels import FactorConstraint, Level, Memory
from toolkit.arguments import check_kind
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.bounds import check_sizes, need, usable_text
from toolkit.mapping.constraint_walk import Requirement, Walk, next_fitting_size, walk
from toolkit.mapping.footprint import Footprint
from toolkit.mapping.orders import order_rule
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import first_valid
from toolkit.workload.kernel import Workload


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
) -> Fitted:
    """Shrink constraints that exceed the workload, pad where allowed, and check feasibility.

    Per dimension, levels are walked outermost first with what is left of the size: an ``==``
    or ``>=`` larger than that shrinks to it, and an ``==`` must divide it. A ``>=`` takes its
    smallest possible factor, or a larger one if inner constraints need that.

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

    Raises
    ------
    DoesNotFitError
        If no mapping exists as far as bounded checks can tell, saying which level, dimension
        and values exclude it, and which size would fit.
    WorkloadError
        If a size is 2^53 or more, or has too many divisors.
    InputError
        If `pad` names an unknown dimension, or an argument is of another kind.
    """
    check_kind(arch, Architecture, "arch")
    check_kind(workload, Workload, "workload")
    _check_dimensions(arch, workload)
    check_sizes(workload)
    padded_dimensions = _read_pad(pad, workload)
    known = _without_unknown(arch, workload)
    notes = _dropped_notes(arch, workload)
    sizes: dict[str, int] = {}
    walks: dict[str, Walk] = {}
    refused: list[tuple[str, str, int | None]] = []
    for dimension, size in workload.sizes.items():
        requirements = _requirements(known, dimension)
        result = walk(requirements, size)
        chosen = size
        if isinstance(result, str):
            larger = next_fitting_size(requirements, size)
            if dimension not in padded_dimensions or larger is None:
                refused.append((dimension, result, larger))
                continue
            chosen, result = larger, walk(requirements, larger)
        sizes[dimension] = chosen
        walks[dimension] = result if isinstance(result, Walk) else Walk((), ())
        notes += walks[dimension].notes
    if refused:
        raise _unfit(arch, workload, refused)
    fitted = _shrink(known, walks)
    grown = replace(workload, sizes=sizes) if sizes != dict(workload.sizes) else workload
    notes += _padding_notes(workload, grown)
    _check_feasible(MapSpace(fitted, grown, footprint))
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


def _read_pad(pad: Collection[str] | str, workload: Workload) -> set[str]:
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


def _requirements(arch: Architecture, dimension: str) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(level.name, dimension, need(level, dimension, level.constraints))
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


def _shrink(arch: Architecture, walks: Mapping[str, Walk]) -> Architecture:
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


def _check_feasible(space: MapSpace) -> None:
    """Raise if a map space is certainly empty.

    Cheap reasons are looked for first: a dimension that its bounds cannot split, meshes and
    capacities that even the smallest splits exceed; then a bounded search for a valid tiling.
    If that search ends without an answer nothing is raised.

    Raises
    ------
    DoesNotFitError
        Naming the level and the numbers where one rule alone excludes everything.
    """
    for dimension, lattice in zip(space.dimensions, space.bound_lattices, strict=True):
        if lattice.total == 0:
            raise _empty(
                space,
                f"no split of {dimension} = {lattice.size} over the levels respects all bounds",
            )
    _check_meshes(space)
    _check_capacities(space)
    factors, proven = first_valid(space)
    if factors is None and proven:
        raise _empty(
            space,
            "no tiling meets all meshes, capacities and constraints at once "
            "(each can be met alone)",
        )


def _empty(space: MapSpace, reason: str) -> DoesNotFitError:
    return DoesNotFitError(
        f"{space.workload.name} does not fit, because {reason}", source=space.arch.name
    )


def _check_meshes(space: MapSpace) -> None:
    for level in space.spatial_levels.tolist():
        smallest = [lattice.factor_range(level)[0] for lattice in space.bound_lattices]
        if math.prod(smallest) > space.mesh[level]:
            factors = " x ".join(
                f"{d} {f}" for d, f in zip(space.dimensions, smallest, strict=True) if f > 1
            )
            raise _empty(
                space,
                f"the constraints need {math.prod(smallest)} instances of "
                f"{space.arch.levels[level].name} ({factors}) but its mesh is "
                f"{space.mesh[level]}",
            )


def _check_capacities(space: MapSpace) -> None:
    for m, level in enumerate(space.memory_levels.tolist()):
        smallest = [lattice.extent_range(level)[0] for lattice in space.bound_lattices]
        if not space.fits(m, np.array([smallest], dtype=np.float64))[0]:
            tile = " x ".join(
                f"{d} {x}" for d, x in zip(space.dimensions, smallest, strict=True) if x > 1
            )
            raise _empty(
                space,
                f"even the smallest tile that the constraints allow in "
                f"{space.arch.levels[level].name} ({tile or 'one value of each tensor'}) takes "
                f"{space.exact_words(m, smallest)} words but "
                f"{usable_text(space.arch.memories[m])} are usable",
            )
