"""Where tensors that never leave a group wait: on the fusion level, or on a memory inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.arch.levels import Memory
from toolkit.workload.kernel import Role

MOST_TRIED = 2000
"""Assignments, or beginnings of them, that are looked at per tile size."""


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
