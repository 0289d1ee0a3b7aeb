"""The loops of a mapped workload, clipped to its sizes, and the tiles that they step through."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.workload.kernel import Tensor, Workload

Value = tuple[int, ...]
"""The index tuple of one value of a tensor."""

Corner = tuple[int, ...]
"""The first position of a tile along every dimension of the workload."""

Counters = tuple[int, ...]
"""One counter per temporal loop, outermost first."""

Coordinates = tuple[int, ...]
"""One counter per spatial loop outside a level, outermost first: they name one instance of it."""

Tile = frozenset[Value]


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of more than one iteration; one iteration is `stride` positions along `dimension`.

    Clipping may leave it fewer iterations than `factor`, even one; it remains a loop.
    """

    level: int
    dimension: str
    factor: int
    stride: int


@dataclass(frozen=True, slots=True)
class Nest:
    """A mapped workload: the loops that turn in time and those that are laid out in space.

    `extents` gives, per level, the positions along each dimension that a whole tile of it spans,
    its own loops included; one further entry stands for a lane. `holders` are, per tensor, the
    levels that hold it.
    """

    arch: Architecture
    workload: Workload
    bias_read: bool
    temporal: tuple[Loop, ...]
    spatial: tuple[Loop, ...]
    extents: tuple[dict[str, int], ...]
    holders: dict[str, list[int]]

    def instances(self, level: int) -> list[Coordinates]:
        """Name every instance of `level`."""
        outside = [loop for loop in self.spatial if loop.level < level]
        return list(itertools.product(*(range(loop.factor) for loop in outside)))

    def temporal_outside(self, level: int) -> int:
        """Count the temporal loops outside `level`."""
        return sum(loop.level < level for loop in self.temporal)

    def has_work(self, corner: Corner) -> bool:
        """Whether a tile that begins there has anything to do in any tensor."""
        return all(map(operator.lt, corner, self.workload.sizes.values()))


def build_nest(
    arch: Architecture,
    workload: Workload,
    factors: IntArray,
    order: IntArray,
    bias_read: bool,
    kept: BoolArray | None,
) -> Nest:
    """Read the loops off the arrays, outermost first; a factor of one is no loop."""
    names = workload.dimensions
    temporal: list[Loop] = []
    spatial: list[Loop] = []
    inside = [
        {d: math.prod(int(f) for f in factors[level:, i]) for i, d in enumerate(names)}
        for level in range(len(arch.levels) + 1)
    ]
    for number, level in enumerate(arch.levels):
        is_memory = isinstance(level, Memory)
        for i in order[number] if is_memory else range(len(names)):
            loop = Loop(number, names[i], int(factors[number, i]), inside[number + 1][names[i]])
            if loop.factor > 1:
                (temporal if is_memory else spatial).append(loop)
    _check_factors(workload, inside[0], [*temporal, *spatial])
    return Nest(
        arch,
        workload,
        bias_read,
        tuple(temporal),
        tuple(spatial),
        tuple(inside),
        _holders(arch, workload, kept),
    )


def _check_factors(workload: Workload, reach: dict[str, int], loops: list[Loop]) -> None:
    """Refuse a nest that leaves out positions, or a loop of which some iteration is always idle.

    Further inside, no iteration can be: all of the outermost loop's first lies in the workload.
    """
    for d, size in workload.sizes.items():
        if reach[d] < size:
            raise MappingError(f"{d} reaches {reach[d]} of {size}", key=f"factors.{d}")
        along = sorted((loop for loop in loops if loop.dimension == d), key=lambda x: x.level)
        if along and (along[0].factor - 1) * along[0].stride >= size:
            raise MappingError(
                f"{along[0].factor} times {along[0].stride} is more than {d}={size} needs",
                key=f"factors.{d}",
            )


def _holders(
    arch: Architecture, workload: Workload, kept: BoolArray | None
) -> dict[str, list[int]]:
    """Find who holds what: as chosen, or else as the architecture says."""
    memories = [i for i, level in enumerate(arch.levels) if isinstance(level, Memory)]
    shape = (len(memories), len(workload.tensors))
    if kept is not None and np.shape(kept) != shape:
        raise MappingError(
            f"expected a row per memory, {shape}, got {np.shape(kept)}", key="holds"
        )
    found: dict[str, list[int]] = {}
    for t, tensor in enumerate(workload.tensors):
        found[tensor.name] = [
            level
            for m, (level, memory) in enumerate(zip(memories, arch.memories, strict=True))
            if (holds(memory, tensor) if kept is None else kept[m, t])
        ]
        if not found[tensor.name]:
            raise MappingError(f"no memory of {arch.name} holds {tensor.name}", key="bypasses")
    return found


def odometer(nest: Nest) -> Iterator[tuple[int, Counters]]:
    """Yield which loop advanced (-1 at the start) and all counters, step by step.

    A loop ends with its factor, or where not even the first lane would have work.
    """
    loops = nest.temporal
    counters = [0] * len(loops)
    advanced = -1
    while True:
        yield advanced, tuple(counters)
        advanced = len(loops) - 1
        while advanced >= 0:
            counters[advanced] += 1
            within = counters[advanced] < loops[advanced].factor
            if within and nest.has_work(offsets(loops, counters, nest.workload.dimensions)):
                break
            counters[advanced] = 0
            advanced -= 1
        if advanced < 0:
            return


def offsets(loops: Sequence[Loop], counters: Sequence[int], dimensions: Sequence[str]) -> Corner:
    """Position along each of the workload's dimensions that the `counters` of `loops` mean."""
    position = dict.fromkeys(dimensions, 0)
    for loop, counter in zip(loops, counters, strict=True):
        if counter:
            position[loop.dimension] += counter * loop.stride
    return tuple(position.values())


def tiles(workload: Workload, tensor: Tensor, extents: dict[str, int]) -> Callable[[Corner], Tile]:
    """Make the function from a tile's corner to its values, clipped to the sizes."""
    sizes = tuple(workload.sizes.values())
    place = {d: workload.dimensions.index(d) for d in tensor.dimensions}
    within = {d: i for i, d in enumerate(place)}
    axes = [[(within[t.dimension], t.coefficient) for t in index] for index in tensor.indices]

    @functools.cache
    def tile(corner: Corner) -> Tile:
        ranges = [
            range(start, min(start + extents[d], sizes[i]))
            for start, (d, i) in zip(corner, place.items(), strict=True)
        ]
        return frozenset(
            tuple([sum([c * point[i] for i, c in axis]) for axis in axes])
            for point in itertools.product(*ranges)
        )

    return lambda corner: tile(tuple([corner[i] for i in place.values()]))
