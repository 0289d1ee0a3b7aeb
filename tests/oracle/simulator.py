"""Execute a small mapped loop nest, on numbers, and count what moves.

This is the independent oracle of the ``exact`` convention of the cost model: slow, plain, without
one closed formula. Tiles are Python dictionaries from index tuples to numbers, held in one buffer
per instance.

The machine
-----------
1. A fanout with factors ``f[d]`` makes ``prod(f)`` instances of everything inside it; the factors
   of the compute level make concurrent lanes of one compute instance. Memories iterate their
   loops in time, outermost first; a factor of one is no loop. The position along a dimension is a
   mixed-radix number, the outermost level most significant, so the tile of a level spans its own
   loops and everything inside it.
2. Factors have to reach the size of their dimension and may overshoot it: a loop from `start`
   over `extent` positions in steps of `step` is
   ``range(start, min(start + extent, size), step)``, so the last tile is smaller. The outermost
   loop along a dimension may have no iteration that is all beyond the size; then no other has.
   Temporal loops turn in lock step for all instances, as far as the first lane (all spatial
   counters 0) has work. A lane, or an instance of a memory, is idle while its corner along any
   dimension, be it one that does not index the tensor, is at or beyond the size.
3. The holders of a tensor are the memories that do not bypass it, or those that are chosen. The
   outermost holder owns the tensor from the start (if biases are not read, its outputs start as
   nothing). Values move between each holder (parent) and the next holder inwards (child), and
   between the innermost holder and the lanes.
4. Traffic of a pair comes in episodes: one episode is one combination of the temporal counters of
   all levels outside the parent. The child starts an episode with nothing and ends it with
   nothing. Inside an episode the loops of the parent and of the memories between parent and child
   turn as one odometer. The transfer stands just inside the innermost of these loops that indexes
   the tensor (if none does, at the start of the episode) and happens whenever the body of that
   loop runs, also where clipping has left that loop one iteration. Every instance that has work
   then gets its tile; the old one leaves, of idle instances too, and their overlap stays if

   - the counter that advanced is the innermost one in the odometer that indexes the tensor,
   - its dimension lies in an index sum of at least two terms,
   - no fanout between parent and child unrolls a dimension of that sum, and
   - the parent allows multiple reuses or no loop lies inside that counter in the odometer.

   Lanes hold nothing: at every step of the whole nest each lane that has work takes one value of
   every tensor.
5. One transmission serves several instances, compute lanes too, as the levels on the way allow.
   Without multicast every instance is served separately. With multicast the instances that
   differ only in dimensions orthogonal to the tensor share a transmission. With multicast and
   selective multicast any instances share the values they have in common. Selective multicast
   without multicast does nothing. Reads are counted at the parent per transmission that serves
   anyone, fills at the child per instance.
6. An output tile that an instance has not visited before starts from zero, without read or fill,
   unless biases are read. A tile is identified by the temporal counters, outside the child, of
   the dimensions of the output. A revisited tile is read at the parent and filled at the child by
   the first of the instances, within one of the parent, that sum up the same outputs apart (their
   counters of other dimensions are 0); the others start from zero again. What is inside an
   instance that starts from zero has not visited its tile. What leaves is drained by each child
   and updates the parent, shared as in 5 under the flags `reduction` and `selective_reduction`.
7. Every value is a number. Inputs are copied as they move. A partial sum moves, leaving zero
   behind; what leaves is added to what the parent has. So a sum is
   spread over all copies of its value, and whole when all have left. If the outermost holder has
   several instances, the first has the biases, and where sums of one value end in several of them
   (`Simulation.apart`) somebody has yet to add these up: the check of the numbers does.

Beyond counting, the machine checks itself: every transfer finds its values in the parent, none
starts from zero where its parent has a sum, every lane has the operands of its MAC, all MACs
happen exactly once, and the outermost holder ends with all outputs, equal to what the definition
of the workload makes of the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from toolkit.arch.architecture import Architecture
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.workload.kernel import Workload

from .arithmetic import draw_numbers, evaluate
from .machine import Buffer, Chain, Lanes, MachineError, build_chain
from .nest import Coordinates, Nest, Value, build_nest, odometer


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one memory moves of one tensor in the whole run: values, of all instances or of one.

    Parameters
    ----------
    reads : int
        Values read to supply the next holder inwards (or the lanes), partial sums included.
    fills : int
        Values received from the next holder outwards, partial sums included.
    updates : int
        Output values written from inside.
    drains : int
        Output values sent outwards.
    occupancy : int
        Distinct values that the tile of one instance spans, at most; of the outermost holder
        those that one instance supplies and takes in the whole run, for they come from nowhere
        else and go nowhere else.
    received, sent : int
        Outputs that have come from inside, and gone outwards, with all that is summed up to them.
    """

    reads: int = 0
    fills: int = 0
    updates: int = 0
    drains: int = 0
    occupancy: int = 0
    received: int = field(default=0, compare=False)
    sent: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What one memory did.

    Parameters
    ----------
    active_instances : int
        Those that the mapping lays out; where loops are clipped, some may never have work.
    tensors : mapping of str to Traffic
        Over all instances, of every tensor it holds.
    busiest, first : mapping of str to Traffic
        The most that one instance moves, of every kind by itself, and what the first instance
        (all spatial counters 0) moves. A transmission to several children counts once, at the
        instance that sends it.
    """

    active_instances: int
    tensors: Mapping[str, Traffic]
    busiest: Mapping[str, Traffic]
    first: Mapping[str, Traffic]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What one run did.

    Parameters
    ----------
    memories : mapping of str to MemoryReport
        By name of the memory; tensors that a memory bypasses are absent from its report.
    macs : int
        Multiply-accumulates, verified to be all of the workload's, each exactly once.
    temporal_steps : int
        Steps of all lanes together, one after the other, in each of which some lane works.
    used : mapping of str to frozenset
        By tensor, the distinct values that the lanes took.
    apart : frozenset
        Outputs of which more than one instance of the outermost holder ends with a sum.
    inwards, outwards : mapping of (tensor, level) to mapping of coordinates to int
        Values that pass right outside of a level on their way between two holders of the tensor,
        by the instance of what lies outside of it, shared further in as in 5.
    """

    memories: Mapping[str, MemoryReport]
    macs: int
    temporal_steps: int
    used: Mapping[str, frozenset[Value]]
    apart: frozenset[Value]
    inwards: Mapping[tuple[str, int], Counter[Coordinates]]
    outwards: Mapping[tuple[str, int], Counter[Coordinates]]

    def traffic(self, memory: str, tensor: str) -> Traffic:
        """Traffic of `tensor` at `memory`; all zero where it is bypassed."""
        return self.memories[memory].tensors.get(tensor, Traffic())

    def busiest(self, memory: str, tensor: str) -> Traffic:
        """Most traffic of `tensor` at one instance of `memory`; all zero where it is bypassed."""
        return self.memories[memory].busiest.get(tensor, Traffic())


def simulate(
    arch: Architecture,
    workload: Workload,
    factors: IntArray,
    order: IntArray,
    bias_read: bool,
    holds: BoolArray | None = None,
) -> Simulation:
    """Run `workload` on `arch` as the loop nest says; the module describes the machine.

    Parameters
    ----------
    arch : Architecture
        Capacities, mesh sizes and constraints are not looked at.
    workload : Workload
        At most a few thousand multiply-accumulates: each one is executed.
    factors, order : int64 arrays, shape (levels, dimensions)
        As `toolkit.mapping.mapping.to_arrays` writes them; factors may overshoot.
    bias_read : bool
        Whether outputs start from values in their outermost holder rather than from zero.
    holds : bool array, shape (memories, tensors), optional
        Which memory holds which tensor, both in their order in `arch` and `workload`; as the
        memories bypass if not given.

    Raises
    ------
    MappingError
        If factors do not reach a size or leave a whole iteration idle, the nest misses, repeats
        or exceeds a MAC of the workload, or nobody holds a tensor.
    MachineError
        If a value is not where a transfer or a MAC needs it, or an output is wrong.
    """
    nest = build_nest(arch, workload, factors, order, bias_read, holds)
    numbers = draw_numbers(workload)
    chains = {t.name: build_chain(nest, t, numbers[t.name]) for t in workload.tensors}
    links = [link for chain in chains.values() for link in chain.links]
    innermost = [chain.links[-1] for chain in chains.values()]
    lanes = Lanes(nest, innermost, nest.instances(len(arch.levels)))
    steps = 0
    for advanced, counters in odometer(nest):
        moving = [link for link in links if link.moves(advanced)]
        for link in reversed(moving):
            link.leave(counters, retained=advanced == link.retaining)
        for link in moving:
            link.enter(counters)
        lanes.execute(counters)
        steps += 1
    for link in reversed(links):
        link.leave(counters, retained=False)
    lanes.finish()
    _check_output(chains[workload.output.name], evaluate(workload, numbers, bias_read))
    memories = {m.name: _report(nest, arch.levels.index(m), chains) for m in arch.memories}
    used = {name: frozenset(values) for name, values in lanes.used.items()}
    return Simulation(
        memories,
        len(lanes.done),
        steps,
        used,
        _apart(chains[workload.output.name]),
        _crossings((link.tensor.name, link.inwards) for link in links),
        _crossings((link.tensor.name, link.outwards) for link in links),
    )


def _crossings(
    moved: Iterable[tuple[str, Counter[tuple[int, Coordinates]]]],
) -> dict[tuple[str, int], Counter[Coordinates]]:
    """Sort what passes by tensor and level; each level is passed on one link of a tensor."""
    found: dict[tuple[str, int], Counter[Coordinates]] = {}
    for name, counts in moved:
        for (level, owner), count in counts.items():
            found.setdefault((name, level), Counter())[owner] += count
    return found


def _apart(chain: Chain) -> frozenset[Value]:
    times = Counter(value for buffer in chain.buffers[0] for value in buffer.served)
    return frozenset(value for value, count in times.items() if count > 1)


def _check_output(chain: Chain, expected: Mapping[Value, int]) -> None:
    arrived: dict[Value, int] = {}
    for buffer in chain.buffers[0]:
        for value, number in buffer.values.items():
            arrived[value] = arrived.get(value, 0) + number
    for value in expected.keys() | arrived.keys():
        if arrived.get(value) != expected.get(value):
            raise MachineError(
                f"output {value} is {arrived.get(value)}, expected {expected.get(value)}"
            )


def _report(nest: Nest, level: int, chains: Mapping[str, Chain]) -> MemoryReport:
    totals, busiest, first = {}, {}, {}
    for name, chain in chains.items():
        if level in chain.holders:
            buffers = chain.buffers[chain.holders.index(level)]
            totals[name] = _traffic(buffers, sum)
            busiest[name] = _traffic(buffers, max)
            first[name] = _traffic(buffers[:1], max)
    return MemoryReport(len(nest.instances(level)), totals, busiest, first)


def _traffic(buffers: list[Buffer], combine: Callable[[Iterable[int]], int]) -> Traffic:
    return Traffic(
        reads=combine(buffer.reads for buffer in buffers),
        fills=combine(buffer.fills for buffer in buffers),
        updates=combine(buffer.updates for buffer in buffers),
        drains=combine(buffer.drains for buffer in buffers),
        occupancy=max(buffer.occupancy for buffer in buffers),
        received=combine(len(buffer.received) for buffer in buffers),
        sent=combine(len(buffer.sent) for buffer in buffers),
    )
