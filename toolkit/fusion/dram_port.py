"""What passes the outermost memory and the one that weights come from, and how long that takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout, Memory
from toolkit.model.conventions import Conventions
from toolkit.model.plan_ports import port_cycles, ports_of


@dataclass(frozen=True, slots=True)
class PortWords:
    """Words that the outermost memory moves.

    Parameters
    ----------
    reads, writes : float
        Words loaded from it and stored to it.
    weights : float
        Weights and constants that are loaded, which may be in a memory of their own.
    """

    reads: float = 0.0
    writes: float = 0.0
    weights: float = 0.0

    def __add__(self, other: PortWords) -> PortWords:
        return PortWords(
            self.reads + other.reads, self.writes + other.writes, self.weights + other.weights
        )

    def __mul__(self, times: float) -> PortWords:
        return PortWords(times * self.reads, times * self.writes, times * self.weights)

    @property
    def total(self) -> float:
        """All of them."""
        return self.reads + self.writes + self.weights


@dataclass(frozen=True)
class DramPort:
    """The ports of the outermost memory, and of one of its own that weights may come from.

    Parameters
    ----------
    memory : Memory
        The outermost one.
    conventions : Conventions
        Which of its ports limit a run.
    weights : Memory, optional
        The outermost one that holds weights, if that is another.
    """

    memory: Memory
    conventions: Conventions
    weights: Memory | None = None

    @classmethod
    def of(cls, arch: Architecture, conventions: Conventions) -> DramPort:
        """Of an architecture."""
        return cls(arch.memories[0], conventions, weights_memory(arch))

    def cycles(self, words: PortWords) -> float:
        """Cycles in which words pass."""
        if self.weights is None:
            moved = {"reads": words.reads + words.weights, "updates": words.writes}
            return port_cycles(self.memory, self.conventions, moved)
        return max(
            port_cycles(
                self.memory, self.conventions, {"reads": words.reads, "updates": words.writes}
            ),
            port_cycles(self.weights, self.conventions, {"reads": words.weights}),
        )

    def energy_pj(self, words: PortWords) -> float:
        """Energy of words in the memories that they come from, and go to."""
        memory, weights = self.memory, self.weights or self.memory
        return (
            words.reads * memory.read_energy_pj
            + words.weights * weights.read_energy_pj
            + words.writes * memory.write_energy_pj
        )

    def spare(self, kind: str, cycles: float, words: PortWords) -> float:
        """Further words of a kind, reads or updates, that pass within some cycles."""
        reads = words.reads + (0.0 if self.weights else words.weights)
        moved, most = {"reads": reads, "updates": words.writes}, float("inf")
        for port in ports_of(self.memory, self.conventions):
            each = port.cycles({kind: 1.0})
            if each > 0:
                most = min(most, (cycles - port.cycles(moved)) / each)
        return max(most, 0.0)


def weights_memory(arch: Architecture) -> Memory | None:
    """The outermost memory that holds weights, if that is not the outermost one of all.

    With the bandwidth of all its instances.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> weights_memory(load_arch("tpu")).name, weights_memory(load_arch("eyeriss"))
    ('WeightsDRAM', None)
    """
    instances = 1
    for level in arch.levels:
        if isinstance(level, Fanout):
            instances *= level.mesh
        elif isinstance(level, Memory) and "weight" not in level.bypasses:
            return None if level is arch.levels[0] else _together(level, instances)
    return None


def _together(memory: Memory, instances: int) -> Memory:
    return replace(
        memory,
        read_bandwidth=instances * memory.read_bandwidth,
        write_bandwidth=instances * memory.write_bandwidth,
        ports=tuple(replace(port, bandwidth=instances * port.bandwidth) for port in memory.ports),
    )
