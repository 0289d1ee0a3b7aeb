"""Execute a small mapped loop nest, value by value, and count what moves.

This is the independent oracle of the ``exact`` convention of the cost model: slow, plain, without
one closed formula. Tiles are Python sets of index tuples, held in one buffer per instance.

The machine
-----------
1. A fanout with factors ``f[d]`` makes ``prod(f)`` instances of everything inside it; the factors
   of the compute level make concurrent lanes of one compute instance. Memories iterate their
   loops in time, outermost first; a loop with one iteration does nothing. The position along a
   dimension is a mixed-radix number, the outermost level most significant, so the tile of a level
   spans its own loops and everything inside it.
2. The holders of a tensor are the memories that do not bypass it. The outermost holder owns the
   tensor from the start (if biases are not read, its outputs start as nothing). Values move
   between each holder (parent) and the next holder inwards (child), and between the innermost
   holder and the lanes.
3. Traffic of a pair comes in episodes: one episode is one combination of the temporal counters of
   all levels outside the parent. The child starts an episode with nothing and ends it with
   nothing. Inside an episode the loops of the parent and of the memories between parent and child
   turn as one odometer. While no counter of a dimension of the tensor changes, nothing moves.
   Otherwise the new tile enters and the old one leaves, and their overlap stays if

   - the counter that advanced is the innermost one in the odometer that indexes the tensor,
   - its dimension lies in an index sum of at least two terms,
   - no fanout between parent and child unrolls a dimension of that sum, and
   - the parent allows multiple reuses or no loop lies inside that counter in the odometer.

   Lanes hold nothing: at every step of the whole nest each lane takes one value of every tensor.
4. One transmission serves several instances, compute lanes too, as the levels on the way allow.
   Without multicast every instance is served separately. With multicast the instances that
   differ only in dimensions orthogonal to the tensor share a transmission. With multicast and
   selective multicast any instances share the values they have in common. Selective multicast
   without multicast does nothing. Reads are counted at the parent per transmission, fills at the
   child per instance.
5. An output tile that an instance has not visited before starts from zero, without read or fill,
   unless biases are read. A tile is identified by the temporal counters, outside the child, of
   the dimensions of the output. A revisited tile is read at the parent and filled at the child.
   What leaves is drained by each child and updates the parent, shared as in 4 under the flags
   `reduction` and `selective_reduction`. History lasts for the whole run.

Beyond counting, the machine checks itself: every transfer finds its values in the parent, every
lane has the operands of its MAC, all MACs happen exactly once, and every output reaches its owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Workload

from .machine import Chain, Lanes, MachineError, Nest, Value, build_chain, build_nest, odometer


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one memory moves of one tensor: values over all instances and the whole run.

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
        Distinct values that the tile of one instance spans, at most.
    """

    reads: int = 0
    fills: int = 0
    updates: int = 0
    drains: int = 0
    occupancy: int = 0


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What one memory did: its instances in use, and the traffic of every tensor it holds."""

    active_instances: int
    tensors: Mapping[str, Traffic]


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
        Steps of all lanes together, one after the other.
    used : mapping of str to frozenset
        By tensor, the distinct values that the lanes took.
    """

    memories: Mapping[str, MemoryReport]
    macs: int
    temporal_steps: int
    used: Mapping[str, frozenset[Value]]

    def traffic(self, memory: str, tensor: str) -> Traffic:
        """Traffic of `tensor` at `memory`; all zero where it is bypassed."""
        return self.memories[memory].tensors.get(tensor, Traffic())


def simulate(
    arch: Architecture,
    workload: Workload,
    factors: IntArray,
    order: IntArray,
    bias_read: bool,
) -> Simulation:
    """Run `workload` on `arch` as the loop nest says; the module describes the machine.

    Parameters
    ----------
    arch : Architecture
        Capacities, mesh sizes and constraints are not looked at.
    workload : Workload
        At most a few thousand multiply-accumulates: each one is executed.
    factors, order : int64 arrays, shape (levels, dimensions)
        As `toolkit.mapping.mapping.to_arrays` writes them.
    bias_read : bool
        Whether outputs start from values in their outermost holder rather than from zero.

    Raises
    ------
    MappingError
        If the nest misses, repeats or exceeds a MAC of the workload.
    MachineError
        If a value is not where a transfer or a MAC needs it.
    """
    nest = build_nest(arch, workload, factors, order, bias_read)
    chains = {tensor.name: build_chain(nest, tensor) for tensor in workload.tensors}
    links = [link for chain in chains.values() for link in chain.links]
    innermost = [chain.links[-1] for chain in chains.values()]
    lanes = Lanes(nest, innermost, nest.instances(len(arch.levels)))
    steps = 0
    for advanced, counters in odometer(nest.temporal):
        moving = [link for link in links if link.moves(advanced, counters)]
        for link in reversed(moving):
            link.leave(counters, retained=advanced == link.retaining)
        for link in moving:
            link.enter(counters)
        lanes.execute(counters)
        steps += 1
    for link in reversed(links):
        link.leave(counters, retained=False)
    lanes.finish()
    _check_output(chains[workload.output.name], lanes.used[workload.output.name])
    memories = {m.name: _report(nest, arch.levels.index(m), chains) for m in arch.memories}
    used = {name: frozenset(values) for name, values in lanes.used.items()}
    return Simulation(memories, len(lanes.done), steps, used)


def _check_output(chain: Chain, expected: set[Value]) -> None:
    arrived: set[Value] = set()
    for buffer in chain.owned:
        arrived |= buffer.values
    if arrived != expected:
        raise MachineError(f"outputs that never reached their owner: {expected - arrived}")


def _report(nest: Nest, level: int, chains: Mapping[str, Chain]) -> MemoryReport:
    tensors = {}
    for name, chain in chains.items():
        if level not in chain.holders:
            continue
        position = chain.holders.index(level)
        inner = chain.links[position]
        outer = chain.links[position - 1] if position else None
        tensors[name] = Traffic(
            reads=inner.reads,
            fills=outer.fills if outer else 0,
            updates=inner.updates,
            drains=outer.drains if outer else 0,
            occupancy=outer.occupancy if outer else chain.occupancy,
        )
    return MemoryReport(len(nest.instances(level)), tensors)
