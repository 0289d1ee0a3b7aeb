"""The parts of the simulated machine: its buffers, links and lanes.

`simulator` says what the machine does and why; this module is how.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from toolkit.arch.levels import Fanout, Level, Memory
from toolkit.errors import MappingError
from toolkit.workload.kernel import Tensor

from .arithmetic import additions, address
from .nest import Coordinates, Corner, Counters, Nest, Tile, Value, offsets, tiles

NOTHING: Tile = frozenset()


class MachineError(RuntimeError):
    """A value is not where the simulated machine needs it, or not the right one."""


@dataclass(slots=True)
class Buffer:
    """What one instance holds of one tensor now, as numbers, and what it has moved so far.

    `served` are the values that its children have worked on, of an outermost holder. `start`
    says how often the tile in place has started from zero. `added` are
    the products that an output sums up, as far as the numbers here go; `received` and `sent` are
    the outputs that have come from inside, and gone outwards, with all of theirs.
    """

    values: dict[Value, int]
    reads: int = 0
    fills: int = 0
    updates: int = 0
    drains: int = 0
    occupancy: int = 0
    start: int = 0
    served: set[Value] = field(default_factory=set)
    added: Counter[Value] = field(default_factory=Counter)
    received: set[Value] = field(default_factory=set)
    sent: set[Value] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Crossed:
    """Who an instance shares with inside of some level, and from whom it all comes."""

    inward: Coordinates
    outward: Coordinates
    owner: Coordinates


@dataclass(slots=True)
class Port:
    """One instance of the child of a link.

    `corner` is what its spatial counters contribute to the corner of its tile. Ports with equal
    `inward` (`outward`) share what they receive (send). `crossed` are, for every level up to the
    child right outside of which words can be counted, what the instance shares with others from
    there on, and the instance of what lies outside of it. `continues`: whether it is the first of
    the instances that sum up the same outputs apart. `visited` are the places of the output tiles
    that the instance has worked on since the parent's tile started from zero, and `starts` how
    often those have started.
    """

    buffer: Buffer
    source: Buffer
    corner: Corner
    inward: Coordinates
    outward: Coordinates
    continues: bool
    crossed: dict[int, Crossed]
    visited: set[tuple[int, Counters]] = field(default_factory=set)
    starts: dict[Counters, int] = field(default_factory=dict)


@dataclass(slots=True)
class Link:
    """Moves one tensor between a parent and its child, and counts.

    Of the temporal loops, those before `outer` number the episodes and those from there to
    `inner` are the odometer. The transfer stands just inside the loop before `gate`; `indexing`
    are the loops before `inner` that index the tensor, and `retaining` is the one at whose
    advance the overlap of tiles stays, if any. `additions` are the products of every output.
    `inwards` and `outwards` are the values that pass a level on their way, by the instance of
    what lies outside of it.
    """

    nest: Nest
    tensor: Tensor
    inner: int
    gate: int
    indexing: tuple[int, ...]
    retaining: int | None
    owned: bool
    tile: Callable[[Corner], Tile]
    ports: list[Port]
    additions: Mapping[Value, int]
    inwards: Counter[tuple[int, Coordinates]] = field(default_factory=Counter)
    outwards: Counter[tuple[int, Coordinates]] = field(default_factory=Counter)

    @property
    def is_output(self) -> bool:
        """Whether values come back."""
        return self.tensor.role == "output"

    def moves(self, advanced: int) -> bool:
        """Whether the child gets a tile now that the loop `advanced` has turned."""
        return advanced < self.gate

    def leave(self, counters: Counters, *, retained: bool) -> None:
        """Empty the child, except for the overlap with its next tile if that is `retained`."""
        together: dict[object, set[Value]] = {}
        tile_at = self._tiles_at(counters) if retained else _nothing
        for port in self.ports:
            held, tile = port.buffer.values, tile_at(port)
            port.buffer.values = {v: number for v, number in held.items() if v in tile}
            if self.is_output:
                leaving = {v: number for v, number in held.items() if v not in tile}
                self._deliver(leaving, port)
                port.buffer.drains += len(leaving)
                sent = together.setdefault(port.outward, set())
                port.source.updates += len(leaving.keys() - sent)
                sent.update(leaving)
                for place, at in port.crossed.items():
                    sent = together.setdefault((place, at.outward), set())
                    self.outwards[place, at.owner] += len(leaving.keys() - sent)
                    sent.update(leaving)

    def enter(self, counters: Counters) -> None:
        """Complete the child's next tile, in the instances that have work."""
        place = tuple([counters[i] for i in self.indexing])
        together: dict[object, set[Value]] = {}
        tile_at = self._tiles_at(counters)
        for port in self.ports:
            tile = tile_at(port)
            entering = tile - port.buffer.values.keys()
            if not tile:
                continue
            if self._starts_from_zero(port, place):
                if port.continues:
                    self._check_unsummed(entering, port.source)
                port.buffer.values |= dict.fromkeys(entering, 0)
            else:
                port.buffer.values |= self._take(entering, port)
                port.buffer.fills += len(entering)
                served = together.setdefault(port.inward, set())
                port.source.reads += len(entering - served)
                served |= entering
                for level, at in port.crossed.items():
                    served = together.setdefault((level, at.inward), set())
                    self.inwards[level, at.owner] += len(entering - served)
                    served |= entering
            port.buffer.occupancy = max(port.buffer.occupancy, len(tile))
            if self.owned:
                port.source.served |= tile
                port.source.occupancy = len(port.source.served)

    def _starts_from_zero(self, port: Port, place: Counters) -> bool:
        if not self.is_output:
            return False
        visit = port.source.start, place
        starts = visit not in port.visited and (not self.nest.bias_read or port.source.start > 0)
        starts = starts or not port.continues
        port.visited.add(visit)
        port.starts[place] = port.starts.get(place, 0) + starts
        port.buffer.start = port.starts[place]
        return starts

    def _check_unsummed(self, entering: AbstractSet[Value], source: Buffer) -> None:
        """Refuse a start from zero that would lose a sum of the parent's.

        Tiles of an output that is indexed by sums overlap, and a parent does sum up what leaves
        two of them.
        """
        overlap = any(len(index) > 1 for index in self.tensor.indices)
        lost = [] if overlap else [v for v in entering if source.values.get(v)]
        if lost:
            raise MachineError(f"{self.tensor.name}: the parent has sums of {lost} already")

    def _tiles_at(self, counters: Counters) -> Callable[[Port], Tile]:
        """Make the function from an instance to its tile, which is empty if it has no work."""
        nest = self.nest
        loops = nest.temporal[: self.inner]
        moved = offsets(loops, counters[: self.inner], nest.workload.dimensions)

        def tile_at(port: Port) -> Tile:
            corner = tuple(map(operator.add, port.corner, moved))
            return self.tile(corner) if nest.has_work(corner) else NOTHING

        return tile_at

    def _take(self, entering: AbstractSet[Value], port: Port) -> dict[Value, int]:
        """Fetch numbers; a partial sum moves, and leaves zero behind."""
        source = port.source
        if not entering <= source.values.keys():
            raise MachineError(f"{self.tensor.name}: the parent lacks {entering}")
        taken = {v: source.values[v] for v in entering}
        if self.is_output:
            source.values |= dict.fromkeys(entering, 0)
            for v in entering:
                port.buffer.added[v] += source.added.pop(v, 0)
        return taken

    def _deliver(self, leaving: dict[Value, int], port: Port) -> None:
        source = port.source
        if not self.owned and not leaving.keys() <= source.values.keys():
            raise MachineError(f"{self.tensor.name}: the parent has no room for {leaving}")
        for v, number in leaving.items():
            source.values[v] = source.values.get(v, 0) + number
            if port.buffer.added[v] == self.additions[v]:
                port.buffer.sent.add(v)
            source.added[v] += port.buffer.added.pop(v, 0)
            if source.added[v] == self.additions[v]:
                source.received.add(v)


def _nothing(port: Port) -> Tile:
    return NOTHING


@dataclass(slots=True)
class Chain:
    """All holders of one tensor, outermost first, linked down to the lanes.

    `buffers` are those of all instances, by holder. Those of the outermost holder contain the
    whole tensor in every instance (outputs without biases: what has been written so far).
    """

    holders: list[int]
    buffers: list[list[Buffer]]
    links: list[Link]


def build_chain(nest: Nest, tensor: Tensor, numbers: dict[Value, int]) -> Chain:
    """Lay out the buffers of `tensor`, which begins as `numbers`, and the links between them."""
    holders = nest.holders[tensor.name]
    buffers = {
        at: Buffer(_at_first(nest, tensor, numbers, number == 0))
        for number, at in enumerate(nest.instances(holders[0]))
    }
    everywhere = [list(buffers.values())]
    links: list[Link] = []
    products = additions(nest.workload) if tensor.role == "output" else {}
    for parent, child in itertools.pairwise([*holders, len(nest.arch.levels)]):
        ports = _ports(nest, tensor, parent, child, buffers)
        owned = parent == holders[0]
        link = _link(nest, tensor, parent, child, owned, list(ports.values()))
        link.additions = products
        links.append(link)
        buffers = {at: port.buffer for at, port in ports.items()}
        everywhere.append(list(buffers.values()))
    return Chain(holders, everywhere[:-1], links)


def _at_first(
    nest: Nest, tensor: Tensor, numbers: dict[Value, int], is_first: bool
) -> dict[Value, int]:
    """Say what an instance of the outermost holder has; the first of them has the biases."""
    if tensor.role != "output":
        return dict(numbers)
    if not nest.bias_read:
        return {}
    return dict(numbers) if is_first else dict.fromkeys(numbers, 0)


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
        inner=inner,
        gate=max([outer, *(i + 1 for i in indexing)]),
        indexing=indexing,
        retaining=_retaining(nest, tensor, parent, child, outer, inner),
        owned=owned,
        tile=tiles(nest.workload, tensor, nest.extents[child]),
        ports=ports,
        additions={},
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
        own = _crossed(nest, tensor, at, parent, child)
        crossed = {
            place: _crossed(nest, tensor, at, place, child)
            for place in range(parent + 1, child + 1)
        }
        inside = zip(loops[outside:], at[outside:], strict=True)
        continues = all(x.dimension in tensor.dimensions or counter == 0 for x, counter in inside)
        corner = offsets(loops, at, nest.workload.dimensions)
        source = sources[at[:outside]]
        ports[at] = Port(Buffer({}), source, corner, own.inward, own.outward, continues, crossed)
    return ports


def _crossed(nest: Nest, tensor: Tensor, at: Coordinates, place: int, child: int) -> Crossed:
    """Tell who an instance shares with, of those that have the same instances outside a level."""
    loops = [loop for loop in nest.spatial if loop.level < child]
    outside = sum(loop.level < place for loop in loops)
    inward, outward = list(at[:outside]), list(at[:outside])
    for loop, counter in zip(loops[outside:], at[outside:], strict=True):
        level = nest.arch.levels[loop.level]
        indexes = loop.dimension in tensor.dimensions
        if not _serves_together(level, indexes):
            inward.append(counter)
        if not _sums_together(level, indexes):
            outward.append(counter)
    return Crossed(tuple(inward), tuple(outward), at[:outside])


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
    """The compute lanes: those with work take one value of every tensor at every step."""

    nest: Nest
    links: list[Link]
    instances: list[Coordinates]
    done: set[Corner] = field(default_factory=set)
    used: dict[str, set[Value]] = field(default_factory=dict)

    def execute(self, counters: Counters) -> None:
        """Do one MAC in every lane that has work, with the numbers that its links have brought."""
        dimensions = self.nest.workload.dimensions
        moved = offsets(self.nest.temporal, counters, dimensions)
        for number, at in enumerate(self.instances):
            corner = offsets(self.nest.spatial, at, dimensions)
            mac = tuple(map(operator.add, corner, moved))
            if not self.nest.has_work(mac):
                continue
            if mac in self.done:
                raise MappingError(f"the nest repeats the MAC {mac} of {dimensions}")
            self.done.add(mac)
            self._multiply(number, dict(zip(dimensions, mac, strict=True)))

    def _multiply(self, lane: int, position: dict[str, int]) -> None:
        operands = []
        for link in self.links:
            value = address(link.tensor, position)
            self.used.setdefault(link.tensor.name, set()).add(value)
            held = link.ports[lane].buffer.values
            if held.keys() != {value}:
                raise MachineError(f"{link.tensor.name}: lane {lane} lacks {value}")
            if link.is_output:
                output, total = held, value
                link.ports[lane].buffer.added[value] += 1
            else:
                operands.append(held[value])
        output[total] += math.prod(operands)

    def finish(self) -> None:
        """Check that all MACs of the workload happened."""
        sizes = self.nest.workload.sizes
        if self.done != set(itertools.product(*(range(size) for size in sizes.values()))):
            raise MappingError(f"the nest does not cover {dict(sizes)} exactly")
