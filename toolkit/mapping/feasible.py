"""Whether a map space holds any mapping at all, and why not."""

from __future__ import annotations

import math

import numpy as np

from toolkit.arch.levels import Fanout
from toolkit.errors import DoesNotFitError
from toolkit.mapping.bounds import usable_text
from toolkit.mapping.explain import kept_text
from toolkit.mapping.kept import Seen
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import first_valid


def check_feasible(space: MapSpace) -> None:
    """Raise if a map space is certainly empty.

    Cheap reasons are looked for first: a dimension that its bounds cannot split, meshes and
    capacities that even the smallest splits exceed; then a bounded search for a valid tiling.
    If that search ends without an answer nothing is raised.

    Raises
    ------
    DoesNotFitError
        Naming the level and the numbers where one rule alone excludes everything.
    """
    _check_sums(space)
    for dimension, lattice in zip(space.dimensions, space.bound_lattices, strict=True):
        if lattice.total == 0:
            raise _empty(
                space,
                f"no split of {dimension} = {lattice.size} over the levels respects all bounds",
            )
    _check_meshes(space)
    _check_kept(space)
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


def _check_sums(space: MapSpace) -> None:
    for i, d in np.argwhere(space.keeping.unsummed & (space.lower > 1)).tolist():
        raise _empty(
            space,
            f"{space.arch.levels[i].name} requires {space.dimensions[d]} >= {space.lower[i, d]}, "
            f"but {space.keeping.apart_text}",
        )


def _check_kept(space: MapSpace) -> None:
    """Check whether there is room for what has to stay as a whole, and nothing else."""
    for m, t in np.argwhere(space.keeping.tensors).tolist():
        memory, limit = space.arch.memories[m], space.word_limits[m]
        if limit is None or (words := _least_kept(space, m, t)) <= limit:
            continue
        share = space.keeping.share(m)
        usable = "usable words" if memory.multiple_buffering != 1 else "words"
        raise _empty(
            space,
            f"the outermost memory that holds {space.workload.tensors[t].name} ({memory.name}, "
            f"{limit:,} {usable}) has no room for {share} of it: "
            f"{'at least ' if share != 'all' else ''}{words:,} words",
        )


def _least_kept(space: MapSpace, m: int, t: int) -> int:
    """Words of a tensor that a memory keeps if as many instances as there are share them."""
    own = np.arange(len(space.workload.tensors)) == t
    ones, sizes = [1] * len(space.sizes), space.sizes.astype(object)
    words = space.exact_words(m, ones, None, own)
    if any(len(index) > 1 for index in space.workload.tensors[t].indices):
        return words  # Instances may keep the same values of a window.
    outside = space.arch.levels[: space.memory_levels[m]]
    instances = math.prod(level.mesh for level in outside if isinstance(level, Fanout))
    return max(words, -(-space.exact_words(m, ones, Seen(sizes, sizes), own) // instances))


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
                f"{usable_text(space.arch.memories[m])} are usable"
                f"{kept_text(space, m, smallest, None)}",
            )
