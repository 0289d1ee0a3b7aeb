"""Padded sizes, chosen under the objective, for machines that can only run whole tiles.

A size with few divisors leaves instances idle or tiles small; a slightly larger one may be worth
its additional work. Which one is decides a short search of each: the cost of a padded workload is
that of all its work.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError, PrecisionError, WorkloadError
from toolkit.mapping.bounds import need
from toolkit.mapping.mapping import IntArray
from toolkit.search.objective import Objective
from toolkit.search.registry import search_mappings
from toolkit.search.result import Budget
from toolkit.workload.kernel import Workload

if TYPE_CHECKING:
    from toolkit.search.problem import Problem

MOST_MORE = 1 / 8
"""Largest addition to a size, relative to it: more work than that is seldom made up for."""

MOST_SIZES = 20
"""Sizes of one dimension that are searched."""

MOST_ALONE, MOST_COMBINED = 3, 32
"""Best sizes of each dimension alone that are combined, and combinations that are searched."""

SHORT = 4_000
"""Mappings that the first search of one combination of sizes may cost: milliseconds, and enough to
tell those apart that differ in the lanes they keep busy."""

STAGES = ((12, 16_000), (4, 64_000))
"""How many of the best combinations are searched again, and with how many mappings each."""

SEEDS = 2
"""Searches of each, then."""

WORTHWHILE = 0.01
"""Part of the objective by which a padded workload must be better than what is not padded: less is
within what short searches miss."""

_EXAMINED = 2048
"""Sizes of one dimension that are looked at."""

_DIVISORS = np.arange(2, 1025)
"""Divisors that are counted to tell how many tilings a size has."""

_SMOOTH = (2, 3, 5, 7)
"""Sizes of these primes alone can be cut into tiles of almost any extent."""

_LEAST = 1e-300
"""Stands for a value of zero, which has no logarithm."""


Sizes = dict[str, int]
"""Iterations of every dimension."""


def choose_padding(
    workload: Workload, allowed: Collection[str], state: Callable[[Workload], Problem]
) -> Problem:
    """State the problem of the best padded sizes among those tried.

    Parameters
    ----------
    workload : Workload
        Sizes as they are.
    allowed : collection of str
        Dimensions that may be padded.
    state : callable
        States the problem of a workload, and rounds up sizes that do not fit; raises
        DoesNotFitError if none does.

    Raises
    ------
    DoesNotFitError
        If the workload does not fit without further padding, or no mapping is found.
    KeyboardInterrupt
        If interrupted.
    """
    base = state(workload)
    trials = _Trials(workload, state, base.objective)
    start = dict(base.workload.sizes)
    candidates = {
        d: candidate_sizes(base.arch, d, workload.sizes[d], start[d])
        for d in workload.dimensions
        if d in allowed
    }
    best = min(_combinations(trials, start, candidates), key=trials.value)
    for d, sizes in candidates.items():
        best = min(({**best, d: size} for size in (best[d], *sizes)), key=trials.value)
    for d in candidates:
        trials.value({**best, d: start[d]})  # Whether it needs the padding of each.
    chosen = trials.best(start)
    problem = base if chosen == start else trials.stated(chosen)
    unpadded = tuple((d, workload.sizes[d]) for d in chosen if chosen[d] != workload.sizes[d])
    note = trials.note(start, chosen, tuple(candidates))
    return replace(problem, notes=(*problem.notes, note), unpadded=unpadded)


def _combinations(
    trials: _Trials, start: Sizes, candidates: Mapping[str, Sequence[int]]
) -> list[Sizes]:
    """Combine the best sizes of each dimension alone, those first that do best together so."""
    ranked: list[list[tuple[float, str, int]]] = []
    for d, sizes in candidates.items():
        alone = {size: trials.value({**start, d: size}) for size in (start[d], *sizes)}
        leading = sorted(alone, key=lambda size: alone[size])[:MOST_ALONE]
        kept = dict.fromkeys((start[d], *leading))
        ranked.append([(math.log(max(alone[size], _LEAST)), d, size) for size in kept])
    picks = heapq.nsmallest(
        MOST_COMBINED,
        itertools.product(*ranked),
        key=lambda pick: sum(value for value, _, _ in pick),
    )
    return [{**start, **{d: size for _, d, size in pick}} for pick in picks]


def candidate_sizes(arch: Architecture, dimension: str, size: int, fitting: int) -> list[int]:
    """List sizes that are worth a search, ascending: none below `fitting`.

    Of two sizes the larger one is worth it if it has more divisors, or larger ones that a spatial
    level or all of them together can unroll, or no prime factors above 7.

    Parameters
    ----------
    size : int
        Size before padding; 1 is never padded further.
    fitting : int
        The smallest size from there on that fits.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> candidate_sizes(load_arch("eyeriss"), "M", 197, 197)
    [197, 198, 200, 202, 204, 206, 208, 210, 212, 214, 216, 218, 220, 222]
    """
    if size == 1:
        return [fitting]
    last = max(math.ceil(fitting * (1 + MOST_MORE)), fitting)
    step = 1 << max(0, ((last - fitting) // _EXAMINED).bit_length())
    # Large sizes in steps that are powers of two, which have divisors at least.
    first = -(-fitting // step) * step
    sizes = np.unique(np.array([fitting, *range(first, last + 1, step)], dtype=np.int64))
    reaches = _reaches(arch, dimension)
    virtues = [_divisor_counts(sizes), *(_largest_divisors(sizes, reach) for reach in reaches)]
    smooth = _smooth(sizes)
    kept: list[int] = []
    for row in range(len(sizes)):
        if smooth[row] or not any(all(v[k] >= v[row] for v in virtues) for k in kept):
            kept.append(row)
    return _best_of(sizes, kept, virtues)


def _best_of(sizes: IntArray, kept: Sequence[int], virtues: Sequence[IntArray]) -> list[int]:
    """The smallest sizes and those of the most of each virtue, in turns."""
    chosen = {int(sizes[kept[0]])}
    rankings = [sorted(kept, key=lambda row: (-v[row], sizes[row])) for v in virtues]
    rankings.append(list(kept))
    for place in range(len(kept)):
        for ranking in rankings:
            if len(chosen) < MOST_SIZES:
                chosen.add(int(sizes[ranking[place]]))
    return sorted(chosen)


def _reaches(arch: Architecture, dimension: str) -> list[int]:
    """Instances over which each spatial level may unroll a dimension, and all together."""
    found = [
        min(level.mesh, need(level, dimension, level.constraints).most)
        for level in arch.levels
        if not isinstance(level, Memory) and dimension in level.dimensions
    ]
    return sorted({reach for reach in (*found, math.prod(found)) if reach > 1})


def _divisor_counts(sizes: IntArray) -> IntArray:
    return np.asarray((sizes[:, None] % _DIVISORS == 0).sum(axis=1))


def _largest_divisors(sizes: IntArray, most: int) -> IntArray:
    """Largest divisor of each size up to `most`, or the largest of those that are looked at."""
    tried = np.arange(1, min(most, 2 * _DIVISORS[-1]) + 1)
    return np.asarray(np.where(sizes[:, None] % tried == 0, tried, 1).max(axis=1))


def _smooth(sizes: IntArray) -> IntArray:
    """Whether each size is a product of `_SMOOTH`."""
    rest = sizes.copy()
    for prime in _SMOOTH:
        while (divisible := rest % prime == 0).any():
            rest[divisible] //= prime
    return np.asarray(rest == 1)


@dataclass
class _Trials:
    """Searches of combinations of sizes; none twice."""

    workload: Workload
    state: Callable[[Workload], Problem]
    objective: Objective
    evaluations: int = 0
    _values: dict[tuple[int, ...], float] = field(default_factory=dict)

    def value(self, sizes: Mapping[str, int]) -> float:
        """Objective value that a short search finds; inf if these sizes do not fit."""
        key = tuple(sizes.values())
        if key not in self._values:
            self._values[key] = self._searched(sizes, SHORT)
        return self._values[key]

    def best(self, start: Mapping[str, int]) -> dict[str, int]:
        """The best combination as longer searches see it; `start` unless one is worth it."""
        for count, evaluations in STAGES:
            leading = sorted(self._values, key=lambda key: self._values[key])[:count]
            for key in {*leading, tuple(start.values())}:
                sizes = dict(zip(start, key, strict=True))
                again = [self._searched(sizes, evaluations, seed) for seed in range(SEEDS)]
                self._values[key] = min(self._values[key], *again)
        key = min(self._values, key=lambda key: self._values[key])
        worthwhile = self._values[key] < (1 - WORTHWHILE) * self.value(start)
        return dict(zip(start, key, strict=True)) if worthwhile else dict(start)

    def stated(self, sizes: Mapping[str, int]) -> Problem:
        """State the problem of some sizes."""
        return self.state(replace(self.workload, sizes=dict(sizes)))

    def _searched(self, sizes: Mapping[str, int], evaluations: int, seed: int = 0) -> float:
        try:
            problem = self.stated(sizes)
            if dict(problem.workload.sizes) != dict(sizes):
                return math.inf  # Rounded up: another combination, which is tried by itself.
            # Compiled descents cannot call a function of Python's.
            strategy = "greedy" if self.objective.function is None else "evolution"
            result = search_mappings(problem, strategy, budget=Budget(evaluations), seed=seed)
        except (DoesNotFitError, PrecisionError, WorkloadError):
            return math.inf
        if result.interrupted:
            raise KeyboardInterrupt
        self.evaluations += result.evaluations
        return result.objective

    def note(
        self, start: Mapping[str, int], chosen: Mapping[str, int], allowed: Sequence[str]
    ) -> str:
        """Say what was padded and why."""
        name = self.objective.label
        effort = f"{len(self._values):,} sizes tried in {self.evaluations:,} evaluations before"
        if chosen == start:
            return f"padding {', '.join(allowed)} would not lower the {name}: {effort}"
        grown = [d for d in chosen if chosen[d] != self.workload.sizes[d]]
        changes = ", ".join(f"{d} from {self.workload.sizes[d]} to {chosen[d]}" for d in grown)
        macs = replace(self.workload, sizes=dict(chosen)).macs
        more = 100 * (macs / self.workload.macs - 1)
        gain = _gain(self.value(start), self.value(chosen))
        at = ", ".join(str(start[d]) for d in grown)
        return (
            f"padded {changes}: {name} {gain} than at {at}, though {more:.3g} % more "
            f"multiply-accumulates (best of {effort})"
        )


def _gain(before: float, after: float) -> str:
    if math.isinf(before) or after <= 0:
        return "lower"
    ratio = before / after
    if ratio < 2:
        return f"{100 * (1 - after / before):.2g} % lower"
    return f"{ratio:.3g} times lower" if ratio < 10 else f"{ratio:,.0f} times lower"
