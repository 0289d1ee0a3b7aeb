"""Which weights stay on chip: a knapsack, solved exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd


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
    unit = gcd(*sizes)
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
