"""Loop orders: which are admissible at a memory, and which the cost model can tell apart.

Only the loops inside a tensor's innermost coupled loop give it stationarity, and only that loop
itself can give it sliding-window (halo) reuse; so orders fall into few reuse classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.errors import ArchitectureError, MappingError
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.workload.kernel import Workload

ReuseRule = Literal["model", "factorflow"]

ORDER_LIMIT = 1_000_000
"""Most admissible orders that are listed one by one: nine free dimensions (362,880) are, ten
not."""

STATE_LIMIT = 500_000
"""Most partial orders that the search for reuse classes keeps in memory: far more than the kernels
here need, and few enough for any machine."""


@dataclass(frozen=True, slots=True)
class OrderRule:
    """Which permutations of the dimensions a memory admits.

    Parameters
    ----------
    count : int
        Number of dimensions.
    sequence : tuple of int
        Dimensions that must appear in this relative order, outermost first.
    slots : tuple of int
        The dimension required at every position, -1 where any unnamed one may stand; empty
        without positional requirements.
    """

    count: int
    sequence: tuple[int, ...] = ()
    slots: tuple[int, ...] = ()

    @property
    def admissible(self) -> int:
        """Exact number of admissible permutations."""
        if self.slots:
            return math.factorial(self.slots.count(-1))
        return math.factorial(self.count) // math.factorial(len(self.sequence))

    def check(self, order: IntArray) -> BoolArray:
        """Tell which rows of `order` [batch, dimensions] are admissible permutations."""
        numbers = np.arange(self.count)
        valid = np.asarray((np.sort(order, axis=1) == numbers).all(axis=1))
        for position, dimension in enumerate(self.slots):
            if dimension >= 0:
                valid &= order[:, position] == dimension
        if len(self.sequence) > 1:
            position_of = np.argsort(order, axis=1)[:, list(self.sequence)]
            valid &= (np.diff(position_of, axis=1) > 0).all(axis=1)
        return valid

    def innermost_choices(self, used: int) -> list[int]:
        """List the dimensions that may come next when `used` (bits) are already inside."""
        position = self.count - 1 - used.bit_count()
        if self.slots and self.slots[position] >= 0:
            return [self.slots[position]]
        named = set(self.slots) if self.slots else set(self.sequence)
        free = [d for d in range(self.count) if not used >> d & 1 and d not in named]
        if not self.slots:
            waiting = [d for d in self.sequence if not used >> d & 1]
            free += waiting[-1:]
        return sorted(free, reverse=True)

    def complete(self, wanted: Sequence[int]) -> tuple[int, ...]:
        """Extend `wanted` (outermost first) to a permutation, admissible where possible.

        Dimensions left out are placed outermost, in the workload's order, as far as the rule
        allows.
        """
        missing = [d for d in range(self.count) if d not in wanted]
        if self.slots:
            queue = iter([d for d in (*missing, *wanted) if d not in self.slots])
            filled = tuple(d if d >= 0 else next(queue) for d in self.slots)
        else:
            filled = self._merge(missing, wanted)
        kept = [d for d in filled if d in wanted]
        return filled if kept == list(wanted) else (*missing, *wanted)

    def _merge(self, missing: list[int], wanted: Sequence[int]) -> tuple[int, ...]:
        """Place each missing dimension as far out as the relative order allows."""
        merged = list(wanted)
        for d in reversed(missing):
            before: set[int] = set()
            if d in self.sequence:
                before = set(self.sequence[: self.sequence.index(d)])
            place = max((i + 1 for i, e in enumerate(merged) if e in before), default=0)
            merged.insert(place, d)
        return tuple(merged)


def order_rule(memory: Memory, dimensions: tuple[str, ...]) -> OrderRule:
    """Read a memory's loop-order constraint for a workload's dimensions.

    Dimensions that the workload lacks iterate once and are dropped; a placeholder that is then
    left over goes too (the innermost first), and positions beyond the constraint are free.
    """
    number = {d: i for i, d in enumerate(dimensions)}
    named = [d for d in memory.loop_order if d == "_" or d in number]
    if "_" not in memory.loop_order:
        return OrderRule(len(number), sequence=tuple(number[d] for d in named))
    slots = [number.get(d, -1) for d in named]
    while len(slots) > len(number):
        del slots[len(slots) - 1 - slots[::-1].index(-1)]
    slots += [-1] * (len(number) - len(slots))
    return OrderRule(len(number), slots=tuple(slots))


def admissible_orders(memory: Memory, dimensions: tuple[str, ...]) -> IntArray:
    """List every loop order that a memory admits, lexicographically.

    Returns
    -------
    int64 array, shape (orders, dimensions)
        Permutations of dimension numbers, outermost loop first.

    Raises
    ------
    MappingError
        If there are more than `ORDER_LIMIT`.
    """
    rule = order_rule(memory, dimensions)
    if rule.admissible > ORDER_LIMIT:
        raise MappingError(
            f"{memory.name} admits {rule.admissible} loop orders, more than the {ORDER_LIMIT} "
            "that can be listed; use order_classes, which lists one per reuse class"
        )
    rows = np.empty((1, 0), dtype=np.int64)
    used = np.zeros((1, rule.count), dtype=np.bool_)
    for position in range(rule.count):
        parent, chosen = np.nonzero(_next_outside(rule, used, position))
        rows = np.concatenate([rows[parent], chosen[:, None]], axis=1)
        used = used[parent]
        used[np.arange(len(chosen)), chosen] = True
    return rows


def _next_outside(rule: OrderRule, used: BoolArray, position: int) -> BoolArray:
    allowed = ~used
    if rule.slots:
        wanted = rule.slots[position]
        named = [d for d in rule.slots if d >= 0]
        if wanted >= 0:
            allowed = np.zeros_like(used)
            allowed[:, wanted] = True
        else:
            allowed[:, named] = False
    for outer, inner in zip(rule.sequence, rule.sequence[1:], strict=False):
        allowed[:, inner] &= used[:, outer]
    return allowed


def random_orders(rule: OrderRule, count: int, rng: np.random.Generator) -> IntArray:
    """Draw admissible orders uniformly, int64 [count, dimensions]."""
    order = np.tile(np.arange(rule.count, dtype=np.int64), (count, 1))
    if rule.slots:
        unnamed = [d for d in range(rule.count) if d not in rule.slots]
        free = [i for i, d in enumerate(rule.slots) if d < 0]
        order[:] = rule.slots
        order[:, free] = rng.permuted(np.tile(np.array(unnamed, np.int64), (count, 1)), axis=1)
        return order
    order = rng.permuted(order, axis=1)
    if len(rule.sequence) > 1:
        places = np.sort(np.argsort(order, axis=1)[:, list(rule.sequence)], axis=1)
        np.put_along_axis(order, places, np.array([rule.sequence], dtype=np.int64), axis=1)
    return order


ReuseKey = tuple[tuple[int, int] | None, ...]
"""Per tensor, the loops (bits) inside its innermost coupled loop, and that loop's dimension
where it may give halo (else -1); None where no coupled loop iterates."""


@dataclass(frozen=True, slots=True)
class _View:
    """What one tensor can see of a loop order: its coupled loops, and which may give halo."""

    coupled: int
    windows: int
    always: bool

    def resolve(self, dimension: int, inside: int, active: int) -> tuple[int, int] | None:
        """Key of the tensor once `dimension` is placed outside of the loops `inside`."""
        if not self.coupled >> dimension & 1:
            return None
        skipped = inside & active
        halo = bool(self.windows >> dimension & 1) and (self.always or not skipped)
        return skipped, dimension if halo else -1


def order_classes(
    arch: Architecture,
    level: int,
    workload: Workload,
    *,
    active: Iterable[bool] | None = None,
    rule: ReuseRule = "model",
) -> IntArray:
    """List one admissible loop order per reuse class of a memory.

    Two orders are in the same class if, for every tensor, the loops inside its innermost
    coupled loop are the same set and, where it matters, that loop is of the same dimension.

    Parameters
    ----------
    arch : Architecture
        The accelerator.
    level : int
        Position of the memory in ``arch.levels``.
    workload : Workload
        What runs.
    active : iterable of bool, optional
        Which dimensions iterate more than once at this memory; loops of one iteration do not
        count. By default all do.
    rule : {"model", "factorflow"}
        When the dimension of the innermost coupled loop matters. ``model``: where it lies in
        a sum of several and window reuse is possible, that is with multiple reuses (of this
        memory, or of the one that supplies a tensor bypassed here) or no loop inside.
        ``factorflow``: always with multiple reuses, else never, as its mapper prunes.

    Returns
    -------
    int64 array, shape (classes, dimensions), read-only
        Permutations of dimension numbers, outermost loop first, sorted.

    Raises
    ------
    MappingError
        If more than `STATE_LIMIT` partial orders would have to be told apart.
    """
    flags = (True,) * len(workload.dimensions) if active is None else tuple(map(bool, active))
    if len(flags) != len(workload.dimensions):
        raise MappingError(
            f"{len(flags)} flags for {len(workload.dimensions)} dimensions", key="active"
        )
    return classes_of(order_view(arch, level, workload, rule), flags)


@dataclass(frozen=True, slots=True)
class OrderView:
    """What the loop order of a memory is seen by; the sizes of the workload do not matter.

    Parameters
    ----------
    name : str
        Of the memory.
    rule : OrderRule
        Which orders it admits.
    views : tuple
        What each tensor can see.
    """

    name: str
    rule: OrderRule
    views: tuple[_View, ...]

    def key(self, order: Sequence[int], active: Sequence[bool]) -> ReuseKey:
        """Tell the reuse class of one loop order: equal keys, equal costs.

        Parameters
        ----------
        order : sequence of int
            Permutation of dimension numbers, outermost loop first.
        active : sequence of bool
            Which dimensions iterate more than once at this memory.
        """
        iterating = sum(1 << d for d, flag in enumerate(active) if flag)
        key: list[tuple[int, int] | None] = []
        for view in self.views:
            inside, found = 0, None
            for d in reversed(order):
                if iterating >> d & 1:
                    found = view.resolve(d, inside, iterating)
                    if found is not None:
                        break
                    inside |= 1 << d
            key.append(found)
        return tuple(key)


def order_view(
    arch: Architecture, level: int, workload: Workload, rule: ReuseRule = "model"
) -> OrderView:
    """Work out what the loop order of a memory is seen by.

    Raises
    ------
    ArchitectureError
        If the level is no memory.
    """
    memory = arch.levels[level]
    if not isinstance(memory, Memory):
        raise ArchitectureError(f"level {level} is not a memory", source=arch.name)
    admits = order_rule(memory, workload.dimensions)
    return OrderView(memory.name, admits, tuple(_views(arch, level, workload, rule)))


@lru_cache(maxsize=4096)
def classes_of(view: OrderView, flags: tuple[bool, ...]) -> IntArray:
    """List one order per reuse class where some loops iterate; see `order_classes`."""
    active = sum(1 << d for d, flag in enumerate(flags) if flag)
    views = [seen for seen in view.views if seen.coupled & active]
    classes = _search_classes(view.rule, views, active, view.name)
    rows = np.array(sorted(classes), dtype=np.int64).reshape(-1, view.rule.count)
    rows.setflags(write=False)
    return rows


def _views(arch: Architecture, level: int, workload: Workload, rule: ReuseRule) -> list[_View]:
    number = {d: i for i, d in enumerate(workload.dimensions)}
    views = []
    for tensor in workload.tensors:
        coupled = sum(1 << number[d] for d in tensor.dimensions)
        memory = arch.levels[level]
        reuse = isinstance(memory, Memory) and memory.multiple_reuses
        if rule == "factorflow":
            views.append(_View(coupled, coupled if reuse else 0, always=reuse))
            continue
        holders = [m for m in arch.levels[: level + 1] if isinstance(m, Memory)]
        stored = [m for m in holders if holds(m, tensor)] or holders[:1]
        windows = sum(
            1 << number[term.dimension]
            for index in tensor.indices
            if len(index) > 1
            for term in index
        )
        views.append(_View(coupled, windows, always=reuse or stored[-1].multiple_reuses))
    return views


def _search_classes(
    admits: OrderRule, views: list[_View], active: int, name: str
) -> list[tuple[int, ...]]:
    """Place loops from the innermost outwards, keeping one partial order per distinct state."""
    unresolved: ReuseKey = (None,) * len(views)
    frontier: dict[tuple[int, ReuseKey], tuple[int, ...]] = {(0, unresolved): ()}
    finished: dict[ReuseKey, tuple[int, ...]] = {}
    while frontier:
        grown: dict[tuple[int, ReuseKey], tuple[int, ...]] = {}
        for (used, key), inside in frontier.items():
            if None not in key:
                finished.setdefault(key, _finish(admits, used, inside))
                continue
            for d in _branches(admits, used, active):
                resolved = tuple(
                    known if known is not None else view.resolve(d, used, active)
                    for known, view in zip(key, views, strict=True)
                )
                # An inactive loop resolves nothing: it does not iterate.
                state = (used | 1 << d, resolved if active >> d & 1 else key)
                grown.setdefault(state, (d, *inside))
        if len(grown) > STATE_LIMIT:
            raise MappingError(
                f"{name} has more than {STATE_LIMIT} partial loop orders to tell apart; "
                "constrain its loop order"
            )
        frontier = grown
    return list(finished.values())


def _branches(admits: OrderRule, used: int, active: int) -> list[int]:
    choices = admits.innermost_choices(used)
    idle = [d for d in choices if not active >> d & 1]
    if not idle:
        return choices
    if not admits.slots:
        # Placing an idle loop further in never excludes an order of the active ones.
        return idle[:1]
    return [d for d in choices if active >> d & 1] + idle[:1]


def _finish(admits: OrderRule, used: int, inside: tuple[int, ...]) -> tuple[int, ...]:
    while len(inside) < admits.count:
        d = admits.innermost_choices(used)[0]
        used, inside = used | 1 << d, (d, *inside)
    return inside
