"""Ports that limit a run: those of memories and of networks, and how long words take to pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolkit.arch.levels import Fanout, Memory
from toolkit.arch.ports import TRAFFIC, MemoryPort
from toolkit.arch.wires import Wires
from toolkit.model.conventions import Conventions


@dataclass(frozen=True, slots=True)
class Port:
    """What words pass through into or out of a memory: a port, or several that share a load.

    Where ports serve the same kinds of traffic, words are divided among them as it suits. The
    least time in which ports p move words w of kinds k is then the longest, over sets S of kinds,
    of what the ports that serve any of S need for all of S: the sum of w over S by the sum of
    their bandwidths (a flow from kinds to ports is as large as its least cut). Each set that may
    be the longest counts as one `Port`.

    Parameters
    ----------
    name : str
        Which port of its memory it is, or which ones.
    kinds : tuple of str
        What passes, in the order of `toolkit.arch.ports.TRAFFIC`.
    bandwidth : float
        Words per cycle and instance.
    """

    name: str
    kinds: tuple[str, ...]
    bandwidth: float

    @property
    def traffic(self) -> str:
        """What passes it."""
        *first, last = self.kinds
        return f"{', '.join(first)} and {last}" if first else last

    def cycles(self, words: Mapping[str, float]) -> float:
        """Cycles in which so many words pass, by kind."""
        return sum(words.get(kind, 0) for kind in self.kinds) / self.bandwidth


def ports_of(memory: Memory, conventions: Conventions) -> tuple[Port, ...]:
    """List the ports of a memory: one for everything, one for each direction, or those named."""
    read, write = memory.read_bandwidth, memory.write_bandwidth
    if memory.shared_port or conventions.shared_ports:
        return (Port("port", TRAFFIC, memory.bandwidth),)
    if memory.ports:
        return tuple(_named_ports(memory.ports))
    return (Port("read port", TRAFFIC[:2], read), Port("write port", TRAFFIC[2:], write))


def _named_ports(ports: tuple[MemoryPort, ...]) -> Iterator[Port]:
    """List the sets of kinds whose ports may take longest, fewest ports first.

    A set adds nothing if another kind could join it at no more ports, or if it falls into two
    whose ports are all different: then the other set, or one of the two, takes as long.
    """
    serving = {
        kind: {i for i, port in enumerate(ports) if kind in port.serves} for kind in TRAFFIC
    }
    served = [kind for kind in TRAFFIC if serving[kind]]
    found: list[tuple[list[int], tuple[str, ...]]] = []
    for count in range(1, 1 + len(served)):
        for kinds in itertools.combinations(served, count):
            used = {i for kind in kinds for i in serving[kind]}
            closed = all(kind in kinds for kind in served if serving[kind] <= used)
            if closed and _hangs_together([serving[kind] for kind in kinds]):
                found.append((sorted(used), kinds))
    for numbers, kinds in sorted(found, key=lambda pair: (len(pair[0]), pair[0])):
        together = [ports[i] for i in numbers]
        name = f"{' + '.join(p.name for p in together)} port{'s' * (len(together) > 1)}"
        yield Port(name, kinds, sum(p.bandwidth for p in together))


def _hangs_together(serving: Sequence[set[int]]) -> bool:
    """Whether ports do not fall into two groups that serve nothing in common."""
    reached = set(serving[0])
    for _ in serving:
        reached |= {i for ports in serving if ports & reached for i in ports}
    return all(ports & reached for ports in serving)


def network_ports(level: Fanout) -> Iterator[Port]:
    """List the ways through the network of a fanout that can be in the way."""
    wires = level.wires or Wires()
    if math.isfinite(wires.read_bandwidth):
        yield Port("network inwards", ("reads",), wires.read_bandwidth)
    if math.isfinite(wires.write_bandwidth):
        yield Port("network outwards", ("updates",), wires.write_bandwidth)


def port_cycles(memory: Memory, conventions: Conventions, words: Mapping[str, float]) -> float:
    """Cycles in which one instance of a memory moves so many words, by kind of traffic."""
    return max(port.cycles(words) for port in ports_of(memory, conventions))
