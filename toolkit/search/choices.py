"""Which optional bypasses a search may choose: their numbers, and the problem of each choice.

A choice is a number whose bit `i` is set if the `i`-th optional pair of memory and tensor is left
out, so that 0 holds all that the architecture holds. Every choice is a problem of its own, on the
architecture with that choice written in: the cost model and the rules of map spaces know nothing
of choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from toolkit.errors import DoesNotFitError, InputError, ToolkitError
from toolkit.mapping.bypasses import (
    arch_with_holds,
    held,
    may_leave_out,
    with_bypass_rule,
    with_holds,
)
from toolkit.mapping.feasible import check_feasible
from toolkit.mapping.mapping import BoolArray, IntArray, Mapping, from_arrays
from toolkit.mapping.space import MapSpace
from toolkit.model.breakdown import check_outermost

if TYPE_CHECKING:
    from toolkit.search.problem import Problem

MOST_PAIRS = 60
"""Optional pairs whose choices an int64 can number."""


@dataclass(frozen=True)
class Choices:
    """All choices of optional bypasses of a problem.

    Parameters
    ----------
    problem : Problem
        What is searched; its architecture says what is optional.

    Attributes
    ----------
    pairs : int64 array, shape (pairs, 2)
        Memory (numbered outermost first) and tensor of every optional pair.

    Raises
    ------
    InputError
        If more than `MOST_PAIRS` pairs are optional.
    """

    problem: Problem
    pairs: IntArray = field(init=False, repr=False, compare=False)
    _problems: dict[int, Problem | None] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        optional = may_leave_out(self.problem.arch, self.problem.workload)
        object.__setattr__(self, "pairs", np.argwhere(optional).astype(np.int64))
        if len(self.pairs) > MOST_PAIRS:
            raise InputError(
                f"{len(self.pairs)} pairs of memory and tensor may be left out in "
                f"{self.problem.arch.name}; searches choose among at most {MOST_PAIRS}",
                key="bypass",
            )

    def __bool__(self) -> bool:
        return len(self.pairs) > 0

    @property
    def total(self) -> int:
        """How many choices there are, possible or not."""
        return 1 << len(self.pairs)

    @cached_property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Memory and tensor of every optional pair."""
        memories, tensors = self.problem.arch.memories, self.problem.workload.tensors
        return tuple((memories[m].name, tensors[t].name) for m, t in self.pairs.tolist())

    def holds(self, choice: int) -> BoolArray:
        """Tell which memory holds which tensor, bool [memories, tensors]."""
        kept = held(self.problem.arch, self.problem.workload)
        for bit, (m, t) in enumerate(self.pairs.tolist()):
            kept[m, t] = not choice >> bit & 1
        return kept

    def number(self, kept: BoolArray) -> int:
        """Tell the choice in which memories hold tensors so; the inverse of `holds`."""
        return sum(1 << bit for bit, (m, t) in enumerate(self.pairs.tolist()) if not kept[m, t])

    def admits(self, choice: int) -> bool:
        """Whether a choice leaves every tensor where it can be supplied and kept, and tiles fit.

        Capacities are looked at for one dimension at a time.
        """
        if choice not in self._problems:
            self._problems[choice] = self._stated(choice)
        return self._problems[choice] is not None

    def problem_of(self, choice: int) -> Problem:
        """State the problem of one choice; its architecture leaves nothing optional.

        Raises
        ------
        DoesNotFitError
            If no mapping can make this choice.
        """
        found = self._problems[choice] if self.admits(choice) else None
        if found is None:
            left = ", ".join(
                f"{tensor} at {memory}"
                for bit, (memory, tensor) in enumerate(self.names)
                if choice >> bit & 1
            )
            raise DoesNotFitError(
                f"no mapping can leave out {left or 'nothing'}", source=self.problem.arch.name
            )
        return found

    def _stated(self, choice: int) -> Problem | None:
        """State the problem of a choice; None if no mapping can make it."""
        base = self.problem
        try:
            arch = arch_with_holds(base.arch, base.workload, self.holds(choice))
            problem = replace(base, arch=with_bypass_rule(arch, "fixed"))
            _ = problem.plan  # Refuses tensors that nobody holds.
            check_outermost(problem.space)
            return problem if self._has_room(problem.space, choice) else None
        except ToolkitError:
            return None

    def _has_room(self, space: MapSpace, choice: int) -> bool:
        """Whether every dimension has tiles that fit if those of all others are smallest."""
        kept, usual = space.keeping.tensors, self.problem.space.keeping.tensors
        if choice and self.admits(0) and not (kept & ~usual).any():
            return True  # There is more room than where all is held.
        check_feasible(space)
        return all(lattice.total > 0 for lattice in space.lattices)

    def all(self) -> Iterator[int]:
        """Yield all choices that `admits` does, the one that leaves out nothing first."""
        return filter(self.admits, range(self.total))

    def flipped(self, choice: int) -> list[int]:
        """List the choices that differ in one pair and that `admits` does."""
        others = (choice ^ 1 << bit for bit in range(len(self.pairs)))
        return [other for other in others if self.admits(other)]

    def mended(self, choices: IntArray) -> IntArray:
        """Replace choices [batch] that no mapping can make by near ones that some can.

        Raises
        ------
        DoesNotFitError
            If there is none.
        """
        different, where = np.unique(choices, return_inverse=True)
        return np.array([self._near(c) for c in different.tolist()], dtype=np.int64)[where]

    def _near(self, choice: int) -> int:
        bits = range(len(self.pairs))
        tried = choice
        if self.admits(tried):
            return tried
        for bit in bits:  # What nobody would hold is held again.
            tried &= ~(1 << bit)
            if self.admits(tried):
                return tried
        for bit in bits:  # What has no room is left out.
            tried |= 1 << bit
            if self.admits(tried):
                return tried
        return self.first

    @cached_property
    def first(self) -> int:
        """The choice that leaves out as little as the numbers of choices say.

        Raises
        ------
        DoesNotFitError
            If no choice can be made.
        """
        for choice in self.all():
            return choice
        raise DoesNotFitError(
            f"{self.problem.workload.name} does not fit, whatever memories leave out",
            source=self.problem.arch.name,
        )

    def draw(self, count: int, rng: np.random.Generator) -> IntArray:
        """Draw choices that can be made, int64 [count]."""
        return self.mended(rng.integers(self.total, size=count))

    def mapping(self, factors: IntArray, order: IntArray, choice: int) -> Mapping:
        """Write one mapping, arrays [levels, dimensions], with the bypasses that it chooses."""
        base = self.problem
        mapping = from_arrays(factors, order, base.arch, base.workload)
        if not choice:
            return mapping
        return with_holds(mapping, self.holds(choice), base.arch, base.workload)
