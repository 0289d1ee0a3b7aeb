"""FactorFlow's greedy mapper, at the speed of the compiled cost model.

The three steps of FactorFlow (Ronzani and Silvano, ASP-DAC 2025) are here in another order of
loops. Its step 1 walks through loop orders and restarts from past
solutions; here every descent alternates between the best order of each memory and the best of
all moves of one prime factor (its step 3), and a kicked copy of a past solution is where the
next descent starts. Its step 2, filling fanouts first, gives some of the starts; the others
are random, because where FactorFlow ends above the optimum it is for want of another start.

Where bypasses are to be chosen, a flip of one of them is a move, too. Whether it pays shows only
once the mapping has settled in it, so there is a short descent from every flip of what was found
before the best of them is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.factors import divisors
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.reaching import reached
from toolkit.mapping.sampling import sample
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import start_point
from toolkit.search.chosen_walks import Chosen, Walkers
from toolkit.search.compiled_descent import DESCEND_AND_KICK
from toolkit.search.compiled_moves import STRICTLY, MoveSpace
from toolkit.search.evaluator import ArrayPair, Evaluator, Start
from toolkit.search.moves import LocalSearch, first_orders, move_space

RANDOM_STARTS = 10
MOVES_PER_START = 15
"""Random starts: so many, and one more for so many moves, since larger spaces have more optima."""
PATIENCE = 70
"""Kicks without improvement after which a start is given up: early, because where one start is
stuck another one may not be."""
LAST_PATIENCE = 300
"""The same for the best mapping of all, from which the search sets out once more: late, for
nothing comes after it."""
STRENGTH = 5
"""A kick makes at least two random moves, and fewer than two plus this: one is what a descent
takes back, and many are a random start."""
SLACK = 0.01
"""How much worse than its base a descent may end and still be the next base: ridges are crossed,
and what the start has reached is kept."""
FLIP_KICKS = 2
"""Kicks after which a flip is judged: a first descent often ends where its start does."""
STRIDE = 16
"""Kicks between two looks at the clock: beside so many, entering compiled code costs little, and
they are few enough for a limit of seconds."""


def greedy(evaluator: Evaluator, seed: int) -> None:
    """Descend from several starts, kick and descend again until nothing improves.

    Where tiles may be ragged, at first among those that are not, with at most half of the budget:
    these are fewer, and the best of them is a start for the rest.
    """
    if evaluator.problem.choices:
        flipping_descents(evaluator, seed, lambda: evaluator.exhausted)
        return
    descents(evaluator, seed, evaluator.remaining_evaluations, 1.0)


def descents(evaluator: Evaluator, seed: int, most: int, share: float) -> None:
    """Do the same with at most so many evaluations, up to a share of the seconds.

    Half of either goes to whole tiles where tiles may be ragged.
    """
    begun, passed = evaluator.evaluations, evaluator.time_share

    def late(part: float) -> bool:
        return (
            evaluator.exhausted
            or evaluator.evaluations - begun >= most * part
            or evaluator.time_share >= passed + (share - passed) * part
        )

    space, warm = evaluator.problem.space, evaluator.warm_starts
    if space.ragged.any():
        with suppress(DoesNotFitError):  # There may be none.
            whole = replace(space, factors="perfect")
            _explore(evaluator, seed, whole, lambda: late(0.5), limit=most // 2)
        warm = (*warm, *([evaluator.best] if evaluator.best is not None else []))
    _explore(evaluator, seed, space, lambda: late(1.0), warm)


def _explore(
    evaluator: Evaluator,
    seed: int,
    space: MapSpace,
    late: Callable[[], bool],
    warm: Sequence[ArrayPair] = (),
    limit: int | None = None,
) -> None:
    """Descend from several starts in a space; without `limit`, from the best of all once more.

    `warm` starts come first.
    """
    moves = move_space(space)
    search = LocalSearch(evaluator.problem.plan, moves, evaluator.powers, seed)
    most = evaluator.remaining_evaluations if limit is None else limit

    def spent() -> bool:
        return late() or search.spent[0] >= most

    def descend(kicks: int) -> None:
        before = search.spent
        search.run(DESCEND_AND_KICK, most, kicks, STRENGTH, SLACK)
        search.count_for(evaluator, before)
        search.report_to(evaluator)

    def explore(start: ArrayPair, patience: int) -> None:
        search.start(*start)
        descend(1)
        if search.state.origin[0] == np.inf:
            return  # Its cost overflows, or the budget ended before it was known.
        while search.state.idle[0] < patience and len(moves.moves) and not spent():
            descend(STRIDE)

    count = RANDOM_STARTS + _takers(moves) // MOVES_PER_START
    if len(warm) > len(evaluator.warm_starts):
        count //= 2  # What was found among whole tiles is worth as many.
    for start in _starts(space, first_orders(moves), count, seed, warm):
        explore(start, PATIENCE)
        if spent():
            return
    if limit is None and evaluator.best is not None:
        explore(evaluator.best, LAST_PATIENCE)


def flipping_descents(evaluator: Evaluator, seed: int, late: Callable[[], bool]) -> None:
    """Do the same over all choices of bypasses, see `toolkit.search.choices`."""
    walkers = Walkers(evaluator, seed)

    def descend(walker: Chosen, kicks: int) -> None:
        search = walker.search
        before = search.spent
        limit = int(before[0]) + evaluator.remaining_evaluations
        search.run(DESCEND_AND_KICK, limit, kicks, STRENGTH, SLACK)
        search.count_for(walker.evaluator, before)
        search.report_to(walker.evaluator)

    def settled(start: Start, kicks: int) -> tuple[float, Start]:
        walker = walkers.of(start[2])
        walker.search.start(*start[:2])
        # A kick draws a move: there must be one.
        descend(walker, 1 + (kicks if len(walker.moves.moves) else 0))
        return walker.value, walker.present

    def flipped(value: float, start: Start) -> tuple[float, Start]:
        """Take the best flip, as long as it is better."""
        left = {start[2]}
        while not late():
            tried = [
                settled(other, FLIP_KICKS)
                for other in walkers.flips(start)
                if other[2] not in left and not late()
            ]
            best = min(tried, key=lambda found: found[0], default=(np.inf, start))
            if not best[0] < value * STRICTLY:
                break
            value, start = best
            left.add(start[2])
        return value, start

    def explore(start: Start, patience: int) -> None:
        value, start = flipped(*settled(start, 0))
        while value < np.inf and not late():
            walker = walkers.of(start[2])
            settled(start, 0)
            while walker.search.state.idle[0] < patience and len(walker.moves.moves):
                descend(walker, STRIDE)
                if late():
                    return
            value, start = walker.value, walker.present
            better, found = flipped(value, start)
            if not better < value * STRICTLY:
                return
            value, start = better, found

    moves = walkers.of(evaluator.problem.choices.first).moves
    for start in walkers.starts(RANDOM_STARTS + len(moves.moves) // MOVES_PER_START):
        explore(start, PATIENCE)
        if late():
            return
    if evaluator.best is not None:
        explore((*evaluator.best, evaluator.best_choice), LAST_PATIENCE)


def _takers(moves: MoveSpace) -> int:
    """How many moves there are, all changes of one factor of a ragged dimension counted once."""
    rows = moves.moves.copy()
    rows[moves.ragged[rows[:, 0]] != 0, 1] = 0
    return len(np.unique(rows, axis=0))


def _starts(
    space: MapSpace, order: IntArray, count: int, seed: int, warm: Sequence[ArrayPair]
) -> list[ArrayPair]:
    """What the user gave, everything outermost, fanouts filled first, random valid mappings."""
    outermost = start_point(space)
    starts = [*warm, (outermost, order), (fill_fanouts(space, outermost), order)]
    try:
        factors, orders = sample(space, count, np.random.default_rng(seed))
    except DoesNotFitError:
        return starts
    return [*starts, *zip(factors, orders, strict=True)]


def fill_fanouts(space: MapSpace, factors: IntArray) -> IntArray:
    """Move factors from the outermost level to spatial levels, largest products first.

    Of a ragged dimension as many lanes work as its steps need, other dimensions take products of
    primes.

    Returns
    -------
    int64 array, shape (levels, dimensions)
        The mapping with fuller fanouts; moves that do not fit are left out.
    """
    filled = factors.copy()
    for level in space.spatial_levels:
        for d in np.flatnonzero(space.allowed[level]):
            room = int(space.mesh[level] // np.prod(filled[level]))
            room = min(room, int(space.upper[level, d] // filled[level, d]))
            for moved in _filled(space, filled, int(level), int(d), room):
                if space.check_factors(moved[None])[0]:
                    filled = moved
                    break
    return filled


def _filled(
    space: MapSpace, factors: IntArray, level: int, d: int, room: int
) -> Iterator[IntArray]:
    """Tilings with more instances along one dimension, up to `room` times as many, most first."""
    outside = int(factors[0, d])
    if not space.ragged[d]:
        parts = divisors(outside)
        for part in parts[(parts > 1) & (parts <= room)][::-1]:
            moved = factors.copy()
            moved[0, d] //= part
            moved[level, d] *= part
            yield moved
        return
    for most in range(min(room, outside), 1, -1):
        # No more than that many steps need: the others would only be fed.
        part = -(-outside // -(-outside // most))
        if part == most:
            moved = factors.copy()
            moved[level, d] *= part
            moved[:, d] = reached(moved[None, :, d], int(space.sizes[d]), 0)[0]
            yield moved
