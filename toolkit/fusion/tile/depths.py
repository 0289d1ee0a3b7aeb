"""How deep everything is kept, at given tile sizes: the choice that moves the fewest words.

Bounds speak of many sizes at once, boxes of them included; what is solved is a single point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from toolkit.fusion.tile.items import Item
from toolkit.fusion.tile.nest import Nest, Sizes, Way
from toolkit.fusion.tile.residency import choose_resident
from toolkit.fusion.tile.windows import Ints

MANY = 10
"""Weights of that many layers are chosen as a knapsack of their own."""

MOST_CHOICES, MOST_CELLS = 4096, 2**18
"""Choices of depths, over all items, up to which bounds look at each, and choices times layers and
boxes that are looked at together: arrays that stay in the caches of a core."""

NEVER = np.iinfo(np.int64).max // 4
"""Words of what does not fit."""


@dataclass(frozen=True)
class Point:
    """Tile sizes of a nest, and how deep everything is kept.

    Parameters
    ----------
    nest : Nest
        The loops.
    at : tuple of int
        Number of the tile of every loop.
    ways : tuple of Way
        One per item of the nest.
    words : int
        Moved to and from DRAM by activations and weights.
    """

    nest: Nest
    at: tuple[int, ...]
    ways: tuple[Way, ...]
    words: int

    @property
    def steps(self) -> int:
        """Iterations of the whole nest."""
        spans = zip(self.nest.spans, self.at, strict=True)
        return prod(int(span.steps[number]) for span, number in spans)

    @property
    def footprint_words(self) -> int:
        """Most words on the fusion level, weights that are kept included."""
        return int(self.nest.words_at(self.ways).max(initial=0))


def least_words(
    nest: Nest, ways: Sequence[Sequence[Way]], boxes: int, capacity_words: int, limit: int
) -> Ints:
    """Words that boxes of sizes move at least, however deep everything is kept.

    Parameters
    ----------
    ways : sequence of sequence of Way
        Those of every item of the nest, with the words of all boxes.
    boxes : int
        How many there are.
    limit : int
        Only fewer words are of interest.

    Returns
    -------
    int array, shape (boxes,)
        `NEVER` where nothing fits and stays below the limit.
    """
    needs, better = _needs(nest, ways, boxes)
    if prod(len(options) for options in better) > MOST_CHOICES:
        return _relaxed(nest, better, boxes, capacity_words)
    return _least_of_choices(better, needs, capacity_words, limit, boxes)


def _needs(
    nest: Nest, ways: Sequence[Sequence[Way]], count: int
) -> tuple[list[Ints], list[list[Way]]]:
    """Room that ways need, without those that are never better than another.

    Returns
    -------
    needs : list of int array, shape (ways, layers, boxes)
        Of every item; layers during which the same is there need as much room, and are one.
    ways : list of list of Way
    """
    every = [way for options in ways for way in options]
    if not every:
        return [], []
    masks = np.array([(way.during, way.between) for way in every])
    columns = masks.reshape(-1, len(nest.layers)).T
    kinds = list({mask.tobytes(): place for place, mask in enumerate(columns)}.values())
    during, between = masks[:, 0, kinds, None], masks[:, 1, kinds, None]
    held = np.array([way.held for way in every])[:, None]
    stays = np.array([way.kept for way in every])[:, None]
    need = np.where(during, held, between * stays)
    moved = np.array([way.moved for way in every])
    needs, kept, start = [], [], 0
    for options in ways:
        own = slice(start, start + len(options))
        better = _better(need[own], moved[own])
        needs.append(need[own][better])
        kept.append([options[number] for number in better])
        start += len(options)
    return needs, kept


def _better(need: Ints, moved: Ints) -> list[int]:
    """Ways that are better than every other one in some box."""
    left = list(range(len(moved)))
    for one in range(len(moved) if len(moved) > 1 else 0):
        for other in left:
            if other == one or (moved[other] > moved[one]).any():
                continue
            if (need[other] <= need[one]).all():
                left.remove(one)
                break
    return left


def _least_of_choices(
    ways: Sequence[Sequence[Way]],
    needs: Sequence[Ints],
    capacity_words: int,
    limit: int,
    boxes: int,
) -> Ints:
    """The fewest words over all choices of a way per item that fit; exact at a point."""
    moved = [np.array([way.moved for way in options]) for options in ways]
    order = sorted(
        range(len(ways)), key=lambda i: (len(ways[i]) > 1, -int(needs[i].max(initial=0)))
    )
    found = np.full(boxes, NEVER, dtype=np.int64)
    todo = [(0, boxes)]
    while todo:
        low, high = todo.pop()
        least = _enumerated(
            [needs[i][:, :, low:high] for i in order],
            [moved[i][:, low:high] for i in order],
            capacity_words,
            limit,
            high - low,
        )
        if least is None:
            middle = (low + high) // 2
            todo += [(low, middle), (middle, high)]
        else:
            found[low:high] = least
    return found


def _enumerated(
    needs: Sequence[Ints], moved: Sequence[Ints], capacity_words: int, limit: int, boxes: int
) -> Ints | None:
    """As `_least_of_choices`; None if there are too many cells for one go."""
    layers = needs[0].shape[1] if needs else 0
    use = np.zeros((1, layers, boxes), dtype=np.int64)
    words = np.zeros((1, boxes), dtype=np.int64)
    least = [own.min(axis=0) for own in moved]
    rest = np.sum(least, axis=0) if least else words[0]
    for need, own, few in zip(needs, moved, least, strict=True):
        if boxes > 1 and len(use) * len(need) * layers * boxes > MOST_CELLS:
            return None
        rest = rest - few
        use = (use + need[:, None]).reshape(-1, layers, boxes)
        words = (words + own[:, None]).reshape(-1, boxes)
        if len(use) > 1:
            able = ((use <= capacity_words).all(axis=1) & (words + rest < limit)).any(axis=1)
            use, words = use[able], words[able]
    fits = (use <= capacity_words).all(axis=1) & (words < limit)
    return np.asarray(np.where(fits, words, NEVER).min(axis=0, initial=NEVER))


def _relaxed(nest: Nest, ways: Sequence[Sequence[Way]], count: int, capacity_words: int) -> Ints:
    """Words that are moved at least if every item had the room that others leave it."""
    base = [_base(options) for options in ways]
    use = np.zeros((len(nest.layers), count), dtype=np.int64)
    for held, kept, during, between in base:
        use[during] += held
        use[between & ~during] += kept
    slack = capacity_words - use
    fits = (slack >= 0).all(axis=0)
    place = np.argmin(slack, axis=0)
    points = np.arange(count)
    total = np.zeros(count, dtype=np.int64)
    worst = np.zeros(count, dtype=np.int64)
    free, bought, rate = np.zeros(count), np.zeros(count), np.zeros(count)
    for options, (held, kept, during, between) in zip(ways, base, strict=True):
        if len(options) == 1:
            total += options[0].moved
            worst += options[0].moved
            continue
        most = np.max([way.moved for way in options], axis=0)
        least = np.full(count, NEVER, dtype=np.int64)
        gain_free, gain = np.zeros(count), np.zeros(count)
        for way in options:
            need = np.where(way.during[:, None], way.held, 0)
            need = need + np.where((way.between & ~way.during)[:, None], way.kept, 0)
            need = need - np.where(during[:, None], held, 0)
            need = need - np.where((between & ~during)[:, None], kept, 0)
            able = (need <= slack).all(axis=0)
            least = np.where(able, np.minimum(least, way.moved), least)
            saved = np.where(able, most - way.moved, 0)
            extra = need[place, points]
            gain_free = np.maximum(gain_free, np.where(extra <= 0, saved, 0))
            gain = np.maximum(gain, saved)
            rate = np.maximum(rate, np.where(extra > 0, saved / np.maximum(extra, 1), 0))
        fits &= least < NEVER
        total += np.minimum(least, NEVER // 64)
        worst += most
        free += gain_free
        bought += gain - gain_free
    room = slack[place, points]
    other = worst - free - np.minimum(bought, rate * np.maximum(room, 0))
    result = np.maximum(total, np.ceil(other - 1e-6).astype(np.int64))
    return np.asarray(np.where(fits, result, NEVER))


def _base(
    options: Sequence[Way],
) -> tuple[Ints, Ints, np.ndarray, np.ndarray]:
    """What an item needs at least, however it is kept."""
    held, kept = options[0].held, options[0].kept
    during, between = options[0].during, options[0].between
    for way in options[1:]:
        held, kept = np.minimum(held, way.held), np.minimum(kept, way.kept)
        during, between = during & way.during, between & way.between
    return held, kept, during, between


def solve(
    nest: Nest, at: tuple[int, ...], capacity_words: int, limit: int
) -> tuple[Point | None, int]:
    """Choose a depth for every item at one choice of tile sizes.

    Returns
    -------
    point : Point or None
        That with the fewest words, if these are fewer than `limit` and fit.
    bound : int
        No choice of depths moves fewer words; at most `limit`.
    """
    one = tuple(np.array([i], dtype=np.int64) for i in at)
    sizes = Sizes(one, one)
    items = nest.items
    options = [_undominated(nest.ways(item, sizes)) for item in items]
    fixed = [ways[0] if len(ways) == 1 else None for ways in options]
    use = np.zeros(len(nest.layers), dtype=np.int64)
    words = 0
    for way in fixed:
        if way is not None:
            use = use + _use(way)
            words += int(way.moved[0])
    loose = [i for i, way in enumerate(fixed) if way is None]
    bagged = [
        i
        for i in loose
        if items[i].kind == "weights" and len(options[i]) == 2 and options[i][1].depth is None
    ]
    if len(bagged) < MANY:
        bagged = []
    loose = [i for i in loose if i not in bagged]
    loose.sort(key=lambda i: int(options[i][0].moved[0]) - int(options[i][-1].moved[0]))
    least = [min(int(way.moved[0]) for way in options[i]) for i in loose]
    rest = [*np.cumsum(least[::-1])[::-1].tolist(), 0]
    bag_least = sum(int(options[i][0].moved[0]) for i in bagged)
    found: list[tuple[int, dict[int, Way]]] = []
    bound = limit

    def descend(number: int, use: Ints, words: int, chosen: dict[int, Way]) -> None:
        nonlocal limit, bound
        if words + rest[number] + bag_least >= limit or (use > capacity_words).any():
            return
        if number == len(loose):
            ways, moved, least_moved = _bag(bagged, items, options, use, capacity_words)
            bound = min(bound, words + least_moved)
            if words + moved < limit:
                limit = words + moved
                found.append((limit, {**chosen, **ways}))
            return
        item = loose[number]
        for way in sorted(options[item], key=lambda way: int(way.moved[0])):
            more = {**chosen, item: way}
            descend(number + 1, use + _use(way), words + int(way.moved[0]), more)

    descend(0, use, words, {})
    if not found:
        return None, bound
    total, chosen = found[-1]
    ways = tuple(way if way is not None else chosen[i] for i, way in enumerate(fixed))
    return Point(nest, at, ways, total), min(bound, total)


def _use(way: Way) -> Ints:
    return np.asarray(np.where(way.during, way.held[0], np.where(way.between, way.kept[0], 0)))


def _undominated(ways: Sequence[Way]) -> list[Way]:
    """Ways, shallow first, without those that move and hold as much as another."""
    kept: list[Way] = []
    for i, way in enumerate(ways):
        if not any(
            (other.moved[0] < way.moved[0] or (other.moved[0] == way.moved[0] and j > i))
            and (_use(other) <= _use(way)).all()
            or (
                other.moved[0] == way.moved[0]
                and (_use(other) < _use(way)).any()
                and (_use(other) <= _use(way)).all()
            )
            for j, other in enumerate(ways)
            if j != i
        ):
            kept.append(way)
    return kept or [ways[-1]]


def _bag(
    bagged: Sequence[int],
    items: Sequence[Item],
    options: Sequence[Sequence[Way]],
    use: Ints,
    capacity_words: int,
) -> tuple[dict[int, Way], int, int]:
    """Weights to keep, out of many: a knapsack of the room that is left everywhere.

    Returns
    -------
    ways : dict
        By item.
    moved : int
        Words of these.
    bound : int
        No choice moves fewer: one that looks at the room during a single layer, that during which
        most of them would be there, and at others as if they always fitted.
    """
    if not bagged:
        return {}, 0, 0
    words = {i: int(options[i][0].held[0]) for i in bagged}
    passes = {i: int(options[i][1].moved[0]) // max(items[i].words, 1) for i in bagged}
    there = np.array([options[i][0].during for i in bagged])
    crowded = int(np.lexsort((use, there.sum(axis=0)))[-1])

    def chosen(among: Sequence[int], room: int) -> dict[int, Way]:
        kept = choose_resident(
            {str(i): words[i] for i in among}, {str(i): passes[i] for i in among}, room
        )
        return {i: options[i][0 if str(i) in kept else 1] for i in among}

    ways = chosen(bagged, capacity_words - int(use.max(initial=0)))
    together = [i for i, mask in zip(bagged, there, strict=True) if mask[crowded]]
    least = chosen(together, capacity_words - int(use[crowded]))
    apart = [int(options[i][0].moved[0]) for i in bagged if i not in least]
    bound = sum(int(way.moved[0]) for way in least.values()) + sum(apart)
    return ways, sum(int(way.moved[0]) for way in ways.values()), bound
