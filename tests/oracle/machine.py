"""The parts of the simulated machine: its loops, buffers, links and lanes.

`simulator` says what the machine does and why; this module is how.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Fanout, Level, Memory
from toolkit.errors import MappingError
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Tensor, Workload

Value = tuple[int, ...]
"""The index tuple of one value of a tensor."""

Counters = tuple[int, ...]
"""One counter per temporal loop, outermost first."""

Coordinates = tuple[int, ...]
"""One counter per spatial loop outside a level, outermost first: they name one instance of it."""


class MachineError(RuntimeError):
    """The simulated machine asked for a value that is not where it should be."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of more than one iteration; one iteration is `stride` positions along `dimension`."""

    level: int
    dimension: str
    factor: int
    stride: int


@dataclass(frozen=True, slots=True)
class Nest:
    """A mapped workload: the loops that turn in time and those that are laid out in space.

    `extents` gives, per level, the positions along each dimension that a tile of it spans, its
    own loops included; one further entry stands for a lane.
    """

    arch: Architecture
    workload: Workload
    bias_read: bool
    temporal: tuple[Loop, ...]
    spatial: tuple[Loop, ...]
    extents: tuple[dict[str, int], ...]

    def instances(self, level: int) -> list[Coordinates]:
        """Name every instance of `level`."""
        outside = [loop for loop in self.spatial if loop.level < level]
        return list(itertools.product(*(range(loop.factor) for loop in outside)))

    def temporal_outside(self, level: int) -> int:
        """Count the temporal loops outside `level`."""
        return sum(loop.level < level for loop in self.temporal)


def build_nest(
    arch: Architecture, workload: Workload, factors: IntArray, order: IntArray, bias_read: bool
) -> Nest:
    """Read the loops off the arrays, outermost first; one iteration is no loop."""
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
    return Nest(arch, workload, bias_read, tuple(temporal), tuple(spatial), tuple(inside))


def odometer(loops: Sequence[Loop]) -> Iterator[tuple[int, Counters]]:
    """Yield which loop advanced (-1 at the start) and all counters, step by step."""
    counters = [0] * len(loops)
    advanced = -1
    while True:
        yield advanced, tuple(counters)
        advanced = len(loops) - 1
        while advanced >= 0 and counters[advanced] == loops[advanced].factor - 1:
            counters[advanced] = 0
            advanced -= 1
        if advanced < 0:
            return
        counters[advanced] += 1


def offsets(loops: Sequence[Loop], counters: Sequence[int], along: Sequence[str]) -> Value:
    """Position along each of the dimensions `along` that the `counters` of `loops` stand for."""
    position = dict.fromkeys(along, 0)
    for loop, counter in zip(loops, counters, strict=True):
        if counter and loop.dimension in position:
            position[loop.dimension] += counter * loop.stride
    return tuple(position.values())


def tiles(tensor: Tensor, extents: dict[str, int]) -> Callable[[Value], frozenset[Value]]:
    """Make the function from a tile's offsets, along `tensor.dimensions`, to its values."""
    place = {d: i for i, d in enumerate(tensor.dimensions)}
    axes = [[(place[t.dimension], t.coefficient) for t in index] for index in tensor.indices]

    @functools.cache
    def tile(corner: Value) -> frozenset[Value]:
        ranges = [range(corner[i], corner[i] + extents[d]) for d, i in place.items()]
        return frozenset(
            tuple([sum([c * point[i] for i, c in axis]) for axis in axes])
            for point in itertools.product(*ranges)
        )

    return tile


@dataclass(slots=True)
class Buffer:
    """What one instance holds of one tensor now."""

    values: AbstractSet[Value]


@dataclass(slots=True)
class Port:
    """One instance of the child of a link.

    `corner` is what its spatial counters contribute to the offsets of its tile. Ports with equal
    `inward` (`outward`) share what they receive (send).
    """

    buffer: Buffer
    source: Buffer
    corner: Value
    inward: Coordinates
    outward: Coordinates


@dataclass(slots=True)
class Link:
    """Moves one tensor between a parent and its child, and counts.

    Of the temporal loops, those before `outer` number the episodes and those from there to
    `inner` are the odometer; `indexing` are those before `inner` that index the tensor, and
    `retaining` is the one at whose advance the overlap of tiles stays, if any.
    """

    nest: Nest
    tensor: Tensor
    outer: int
    inner: int
    indexing: tuple[int, ...]
    retaining: int | None
    owned: bool
    tile: Callable[[Value], frozenset[Value]]
    ports: list[Port]
    place: Counters | None = None
    visited: set[Counters] = field(default_factory=set)
    reads: int = 0
    fills: int = 0
    updates: int = 0
    drains: int = 0
    occupancy: int = 0

    def moves(self, advanced: int, counters: Counters) -> bool:
        """Whether the child gets a tile now that the loop `advanced` has turned."""
        if advanced >= self.inner:
            return False
        return advanced < self.outer or self.place != self._place(counters)

    def leave(self, counters: Counters, *, retained: bool) -> None:
        """Empty the child, except for the overlap with its next tile if that is `retained`."""
        shared: dict[Coordinates, AbstractSet[Value]] = {}
        tile_at = self._tiles_at(counters) if retained else _nothing
        for port in self.ports:
            before = port.buffer.values
            port.buffer.values = before & tile_at(port)
            if self.tensor.role == "output":
                leaving = before - port.buffer.values
                self._deliver(leaving, port.source)
                self.drains += len(leaving)
                shared[port.outward] = shared.get(port.outward, frozenset()) | leaving
        self.updates += sum(len(values) for values in shared.values())

    def enter(self, counters: Counters) -> None:
        """Complete the child's next tile."""
        self.place = self._place(counters)
        # All instances move in lock step, so their histories are one.
        is_new = self.place not in self.visited
        self.visited.add(self.place)
        from_zero = is_new and self.tensor.role == "output" and not self.nest.bias_read
        shared: dict[Coordinates, AbstractSet[Value]] = {}
        tile_at = self._tiles_at(counters)
        for port in self.ports:
            tile = tile_at(port)
            entering = tile - port.buffer.values
            port.buffer.values = tile
            self.occupancy = max(self.occupancy, len(tile))
            if not from_zero:
                if not entering <= port.source.values:
                    raise MachineError(f"{self.tensor.name}: the parent lacks {entering}")
                self.fills += len(entering)
                shared[port.inward] = shared.get(port.inward, frozenset()) | entering
        self.reads += sum(len(values) for values in shared.values())

    def _place(self, counters: Counters) -> Counters:
        return tuple([counters[i] for i in self.indexing])

    def _tiles_at(self, counters: Counters) -> Callable[[Port], frozenset[Value]]:
        loops = self.nest.temporal[: self.inner]
        moved = offsets(loops, counters[: self.inner], self.tensor.dimensions)
        return lambda port: self.tile(tuple(map(operator.add, port.corner, moved)))

    def _deliver(self, leaving: AbstractSet[Value], source: Buffer) -> None:
        if self.owned:
            source.values = source.values | leaving
        elif not leaving <= source.values:
            raise MachineError(f"{self.tensor.name}: the parent has no room for {leaving}")


def _nothing(port: Port) -> frozenset[Value]:
    return frozenset()


@dataclass(slots=True)
class Chain:
    """All holders of one tensor, outermost first, linked down to the lanes.

    The buffers of the outermost holder, `owned`, contain the whole tensor in every instance
    (outputs without biases: what has been written so far); its tile spans `occupancy` values.
    """

    holders: list[int]
    owned: list[Buffer]
    occupancy: int
    links: list[Link]


def build_chain(nest: Nest, tensor: Tensor) -> Chain:
    """Lay out the buffers of `tensor` and the links between them."""
    levels = nest.arch.levels
    holders = [i for i, m in enumerate(levels) if isinstance(m, Memory) and holds(m, tensor)]
    if not holders:
        raise MappingError(f"no memory of {nest.arch.name} holds {tensor.name}", key="bypasses")
    origin = (0,) * len(tensor.dimensions)
    start = tiles(tensor, nest.extents[0])(origin)
    if tensor.role == "output" and not nest.bias_read:
        start = frozenset()
    buffers = {at: Buffer(start) for at in nest.instances(holders[0])}
    owned = list(buffers.values())
    links: list[Link] = []
    for parent, child in itertools.pairwise([*holders, len(levels)]):
        ports = _ports(nest, tensor, parent, child, buffers)
        links.append(
            _link(nest, tensor, parent, child, parent == holders[0], list(ports.values()))
        )
        buffers = {at: port.buffer for at, port in ports.items()}
    occupancy = len(tiles(tensor, nest.extents[holders[0]])(origin))
    return Chain(holders, owned, occupancy, links)


def _link(
    nest: Nest, tensor: Tensor, parent: int, child: int, owned: bool, ports: list[Port]
) -> Link:
    inner = nest.temporal_outside(child)
    # A lane holds nothing: to it every step is an episode of its own.
    outer = inner if child == len(nest.arch.levels) else nest.temporal_outside(parent)
    dimensions = tensor.dimensions
    indexing = tuple(i for i in range(inner) if nest.temporal[i].dimension in dimensions)
    return Link(
        nest=nest,
        tensor=tensor,
        outer=outer,
        inner=inner,
        indexing=indexing,
        retaining=_retaining(nest, tensor, parent, child, outer, inner),
        owned=owned,
        tile=tiles(tensor, nest.extents[child]),
        ports=ports,
    )


def _retaining(
    nest: Nest, tensor: Tensor, parent: int, child: int, outer: int, inner: int
) -> int | None:
    """Find the loop at whose advance old and new tile overlap and the overlap stays."""
    window = [i for i in range(outer, inner) if nest.temporal[i].dimension in tensor.dimensions]
    if not window:
        return None
    innermost = window[-1]
    dimension = nest.temporal[innermost].dimension
    index = next(s for s in tensor.indices if dimension in [term.dimension for term in s])
    summed = [term.dimension for term in index]
    unrolled = [s.dimension for s in nest.spatial if parent < s.level < child]
    level = nest.arch.levels[parent]
    reuses_again = isinstance(level, Memory) and level.multiple_reuses
    if len(summed) < 2 or any(d in summed for d in unrolled):
        return None
    return innermost if reuses_again or innermost == inner - 1 else None


def _ports(
    nest: Nest, tensor: Tensor, parent: int, child: int, sources: dict[Coordinates, Buffer]
) -> dict[Coordinates, Port]:
    """Give every instance of the child a buffer, its parent's, and its partners in sharing."""
    loops = [loop for loop in nest.spatial if loop.level < child]
    outside = sum(loop.level < parent for loop in loops)
    ports: dict[Coordinates, Port] = {}
    for at in nest.instances(child):
        inward, outward = list(at[:outside]), list(at[:outside])
        for loop, counter in zip(loops[outside:], at[outside:], strict=True):
            level = nest.arch.levels[loop.level]
            indexes = loop.dimension in tensor.dimensions
            if not _serves_together(level, indexes):
                inward.append(counter)
            if not _sums_together(level, indexes):
                outward.append(counter)
        corner = offsets(loops, at, tensor.dimensions)
        source = sources[at[:outside]]
        ports[at] = Port(Buffer(frozenset()), source, corner, tuple(inward), tuple(outward))
    return ports


def _serves_together(level: Level, indexes: bool) -> bool:
    """Whether instances apart in a dimension that `indexes` the tensor or not share reads."""
    if isinstance(level, Memory) or not level.multicast:
        return False
    return not indexes or (isinstance(level, Fanout) and level.selective_multicast)


def _sums_together(level: Level, indexes: bool) -> bool:
    """Whether instances apart in a dimension that `indexes` the tensor or not share updates."""
    if isinstance(level, Memory) or not level.reduction:
        return False
    return not indexes or (isinstance(level, Fanout) and level.selective_reduction)


@dataclass(slots=True)
class Lanes:
    """The compute lanes: they take one value of every tensor at every step."""

    nest: Nest
    links: list[Link]
    instances: list[Coordinates]
    done: set[Value] = field(default_factory=set)
    used: dict[str, set[Value]] = field(default_factory=dict)

    def execute(self, counters: Counters) -> None:
        """Do one MAC in every lane, with the values that its links have brought."""
        dimensions = self.nest.workload.dimensions
        moved = offsets(self.nest.temporal, counters, dimensions)
        for number, at in enumerate(self.instances):
            corner = offsets(self.nest.spatial, at, dimensions)
            mac = tuple(map(operator.add, corner, moved))
            if mac in self.done:
                raise MappingError(f"the nest repeats the MAC {mac} of {dimensions}")
            self.done.add(mac)
            position = dict(zip(dimensions, mac, strict=True))
            for link in self.links:
                value = _address(link.tensor, position)
                self.used.setdefault(link.tensor.name, set()).add(value)
                if link.ports[number].buffer.values != {value}:
                    raise MachineError(f"{link.tensor.name}: lane {at} lacks {value}")

    def finish(self) -> None:
        """Check that all MACs of the workload happened."""
        sizes = self.nest.workload.sizes
        if self.done != set(itertools.product(*(range(size) for size in sizes.values()))):
            raise MappingError(f"the nest does not cover {dict(sizes)} exactly")


def _address(tensor: Tensor, position: dict[str, int]) -> Value:
    return tuple(
        [sum([t.coefficient * position[t.dimension] for t in index]) for index in tensor.indices]
    )
