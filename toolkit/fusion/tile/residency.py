"""What stays on chip: on which memories, which tensors between layers where, and which weights.

Tensors that never leave a group wait on the fusion level, or on a memory inside it; weights stay
on the fusion level, so that they need not be read again in every step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout, Memory
from toolkit.errors import ArchitectureError
from toolkit.messages import suggest
from toolkit.workload.kernel import Role

_ACTIVATIONS = ("input", "output")


def fusion_levels(arch: Architecture) -> tuple[Memory, ...]:
    """Memories that can hold fused tensors, outermost first.

    They are on chip, are not repeated by a fanout, and hold inputs or outputs.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> [memory.name for memory in fusion_levels(load_arch("eyeriss-conv"))]
    ['GlobalBuffer']
    """
    found = []
    for level in arch.levels[1:]:
        if isinstance(level, Fanout):
            break
        if isinstance(level, Memory) and not set(_ACTIVATIONS) <= set(level.bypasses):
            found.append(level)
    return tuple(found)


def fusion_level(arch: Architecture, name: str | None = None) -> Memory:
    """Return the memory that holds fused tensors, the outermost one that can by default.

    Raises
    ------
    ArchitectureError
        If there is none, or the one that is named does not exist or cannot hold them.
    """
    able = fusion_levels(arch)
    known = [level.name for level in arch.levels]
    if name is None:
        if not able:
            raise ArchitectureError(
                "no memory on chip and outside of all fanouts holds inputs or outputs, "
                "so that no tensor can stay there",
                source=arch.name,
            )
        return able[0]
    if name not in known:
        raise ArchitectureError(
            f"no level {name!r}{suggest(name, known)}; levels: {', '.join(known)}",
            source=arch.name,
            key="fusion level",
        )
    for memory in able:
        if memory.name == name:
            return memory
    raise ArchitectureError(
        f"{name!r} {_obstacle(arch, name)}; it cannot hold fused tensors"
        + (f", {' or '.join(m.name for m in able)} can" if able else ""),
        source=arch.name,
        key="fusion level",
    )


def _obstacle(arch: Architecture, name: str) -> str:
    place = next(i for i, level in enumerate(arch.levels) if level.name == name)
    level = arch.levels[place]
    if not isinstance(level, Memory):
        return "is no memory"
    if place == 0:
        return "is the outermost memory"
    if any(isinstance(outer, Fanout) for outer in arch.levels[:place]):
        return "is repeated by a fanout"
    return "holds neither inputs nor outputs"


def capacity_words(memory: Memory, most: int) -> int:
    """Words that fused tensors and weights may take; `most` if the memory is unlimited.

    Its `multiple_buffering` is left out: what must be there twice is counted twice.
    """
    return most if memory.capacity_words is None else memory.capacity_words


MOST_TRIED = 2000
"""Assignments, or beginnings of them, that are looked at per tile size. The first one found is the
greedy one; the rest improve it, and are bounded because every tile size of a group is asked."""


@dataclass(frozen=True)
class Home:
    """A memory that tensors can wait on.

    Parameters
    ----------
    name : str
        Of the memory.
    capacity_words : int
        What it holds.
    read_pj, write_pj : float
        Energy per word.
    """

    name: str
    capacity_words: int
    read_pj: float
    write_pj: float

    @classmethod
    def of(cls, memory: Memory, capacity_words: int) -> Home:
        """A memory of the architecture, of which so many words are free."""
        return cls(memory.name, capacity_words, memory.read_energy_pj, memory.write_energy_pj)


@dataclass(frozen=True)
class Homes:
    """Where a layer of a group finds its operands.

    Parameters
    ----------
    levels : tuple of (role, str)
        By role, the memory that an operand is on as a whole; others are on DRAM.
    used : tuple of str
        All memories that the group keeps tensors on.
    """

    levels: tuple[tuple[Role, str], ...] = ()
    used: tuple[str, ...] = ()

    @classmethod
    def at(cls, level: str, *roles: Role) -> Homes:
        """All of these operands on one memory."""
        return cls(tuple((role, level) for role in sorted(roles)), (level,))

    @property
    def roles(self) -> frozenset[Role]:
        """Operands that are not on DRAM."""
        return frozenset(role for role, _ in self.levels)


@dataclass(frozen=True)
class Waiting:
    """A tensor that has to wait somewhere.

    Parameters
    ----------
    name : str
        Of the tensor.
    kept, held : int
        Words that stay from step to step, and that there are while layers make and read it.
    start, end : int
        Places of the first and the last layer that uses it.
    written, read : int
        Words that all steps write and read.
    """

    name: str
    kept: int
    held: int
    start: int
    end: int
    written: int
    read: int

    def cost(self, home: Home) -> float:
        """Energy in pJ of writing all of it and reading it once per reader."""
        return self.written * home.write_pj + self.read * home.read_pj


def words_held(tensors: Sequence[Waiting]) -> int:
    """Words of a memory that tensors take at most at any time, layers taking turns."""
    kept = sum(tensor.kept for tensor in tensors)
    # The most is reached where some tensor starts.
    return kept + max(
        (
            sum(t.held - t.kept for t in tensors if t.start <= first.start <= t.end)
            for first in tensors
        ),
        default=0,
    )


def choose_homes(tensors: Sequence[Waiting], homes: Sequence[Home]) -> dict[str, str] | None:
    """Choose a memory for each tensor, so that their accesses take the least energy.

    Tensors are looked at from the most costly one on, memories from the cheapest one on, so that
    the first assignment found puts each on the cheapest memory that has room left. It is
    improved until nothing better is left, or `MOST_TRIED` are looked at.

    Parameters
    ----------
    homes : sequence of Home
        The memories, with the words that are free.

    Returns
    -------
    dict or None
        The name of the memory by that of the tensor; None if there is no room.

    Examples
    --------
    >>> near, far = Home("near", 8, 1.0, 1.0), Home("far", 64, 6.0, 6.0)
    >>> small = Waiting("small", 0, 6, 0, 1, written=30, read=30)
    >>> large = Waiting("large", 0, 8, 1, 2, written=40, read=40)
    >>> sorted(choose_homes([small, large], [far, near]).items())
    [('large', 'near'), ('small', 'far')]
    """
    order = sorted(tensors, key=lambda tensor: -max(map(tensor.cost, homes)))
    rest = [0.0]
    for tensor in reversed(order):
        rest.append(rest[-1] + min(map(tensor.cost, homes)))
    rest.reverse()
    placed: dict[str, list[Waiting]] = {home.name: [] for home in homes}
    best: tuple[float, dict[str, str] | None] = (math.inf, None)
    tried = 0

    def descend(number: int, spent: float) -> None:
        nonlocal best, tried
        tried += 1
        if tried > MOST_TRIED or spent + rest[number] >= best[0]:
            return
        if number == len(order):
            best = spent, {t.name: name for name, there in placed.items() for t in there}
            return
        tensor = order[number]
        for home in sorted(homes, key=tensor.cost):
            there = placed[home.name]
            there.append(tensor)
            if words_held(there) <= home.capacity_words:
                descend(number + 1, spent + tensor.cost(home))
            there.pop()

    descend(0, 0.0)
    return best[1]


def choose_resident(
    words: Mapping[str, int], passes: Mapping[str, int], room: int
) -> frozenset[str]:
    """Choose the weights to keep, so that as few words as possible are read again.

    Parameters
    ----------
    words : mapping of str to int
        Weights by layer.
    passes : mapping of str to int
        How often the layer runs over its weights; those of a single pass need not stay.
    room : int
        Words that are free.

    Examples
    --------
    >>> sorted(choose_resident({"a": 6, "b": 5, "c": 5}, {"a": 9, "b": 9, "c": 9}, 10))
    ['b', 'c']
    """
    names = [n for n, w in words.items() if 0 < w <= room and passes[n] > 1]
    if sum(words[name] for name in names) <= room:
        return frozenset(names)
    if len({passes[name] for name in names}) == 1:
        return frozenset(_fullest(names, [words[name] for name in names], room))
    return frozenset(_best(names, words, passes, room))


def _fullest(names: Sequence[str], sizes: Sequence[int], room: int) -> list[str]:
    """The subset with the largest sum that fits: reachable sums as the bits of an integer."""
    unit = math.gcd(*sizes)
    limit = room // unit
    mask = (1 << (limit + 1)) - 1
    reached = [1]
    for size in sizes:
        reached.append((reached[-1] | reached[-1] << (size // unit)) & mask)
    total = reached[-1].bit_length() - 1
    chosen = []
    for i in range(len(sizes) - 1, -1, -1):
        if not reached[i] >> total & 1:
            chosen.append(names[i])
            total -= sizes[i] // unit
    return chosen


def _best(
    names: Sequence[str], words: Mapping[str, int], passes: Mapping[str, int], room: int
) -> list[str]:
    """The subset with the largest saving, over undominated (words, saving) pairs."""
    states: list[tuple[int, int, tuple[str, ...]]] = [(0, 0, ())]
    for name in names:
        saving = words[name] * (passes[name] - 1)
        grown = [
            (used + words[name], gain + saving, (*chosen, name))
            for used, gain, chosen in states
            if used + words[name] <= room
        ]
        merged = sorted((*states, *grown), key=lambda state: (state[0], -state[1]))
        states, most = [], -1
        for state in merged:
            if state[1] > most:
                states.append(state)
                most = state[1]
    return list(max(states, key=lambda state: state[1])[2])
