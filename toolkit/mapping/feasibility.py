"""Whether any valid tiling exists, and what rules them out if none does."""

from __future__ import annotations

import math

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.bounds import usable_text
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
    for dimension, lattice in zip(space.dimensions, space.bound_lattices, strict=True):
        if lattice.total == 0:
            raise _unfit(
                space,
                f"no split of {dimension} = {lattice.size} over the levels respects all bounds",
            )
    _check_meshes(space)
    _check_capacities(space)
    factors, proven = first_valid(space)
    if factors is None and proven:
        raise _unfit(
            space,
            "no tiling meets all meshes, capacities and constraints at once "
            "(each can be met alone)",
        )


def _unfit(space: MapSpace, reason: str) -> DoesNotFitError:
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
            raise _unfit(
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
            raise _unfit(
                space,
                f"even the smallest tile that the constraints allow in "
                f"{space.arch.levels[level].name} ({tile or 'one value of each tensor'}) takes "
                f"{space.exact_words(m, smallest)} words but "
                f"{usable_text(space.arch.memories[m])} are usable",
            )
