"""What is on chip when: visits, what each brings in, and what stays for the next one.

Nothing here knows of intervals, windows or halos: what a buffer holds is what the program touches
while the loops outside of its depth stand still, and, along loops whose steps share positions,
what later steps touch again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from fusion.nest_operations import NONE, Ints
from fusion.nest_program import Mask, Program, Turn

from toolkit.fusion import FoldedLayer
from toolkit.fusion.tile.group_plan import Kept
from toolkit.fusion.tile.items import STATE_WORDS


@dataclass
class Visit:
    """While something is there: its first and last turn, and what is touched.

    `brought` is what was not there before, `kept` what stays for the next visit.
    """

    at: tuple[int, ...]
    start: int
    end: int
    touched: Mask
    brought: Mask
    kept: Mask


@dataclass(frozen=True)
class Stay:
    """One thing that a plan keeps, and all visits of it.

    Parameters
    ----------
    kept : Kept
        What the plan says of it.
    users : frozenset of str
        Layers that make or read it.
    elements : int
        All of it; rows for states.
    visits : tuple of Visit
        In order.
    windowed : tuple of int
        Loops whose steps share parts of it.
    """

    kept: Kept
    users: frozenset[str]
    elements: int
    visits: tuple[Visit, ...]
    windowed: tuple[int, ...]

    @property
    def brought_words(self) -> int:
        return sum(int(visit.brought.sum()) for visit in self.visits)


def stays(program: Program, kept: tuple[Kept, ...]) -> list[Stay]:
    """Where everything is when."""
    return [stay(program, entry) for entry in kept]


def stay(program: Program, kept: Kept) -> Stay:
    view = program.view
    users = set(kept.readers)
    if kept.kind in ("weights", "state"):
        users = {kept.name}
        layer = view.graph.layer_of(kept.name)
        elements = layer.output.elements // layer.output.shape[-1]
        if kept.kind == "weights":
            elements = layer.weight_words
    else:
        elements = view.tensors[kept.name].elements
        if kept.name in view.makers:
            users.add(view.makers[kept.name].name)
    depth = len(program.loops) if kept.depth is None else kept.depth
    visits: list[Visit] = []
    for time, turn in enumerate(program.turns):
        layer = view.layers[turn.place]
        if layer.name not in users:
            continue
        touched = touches(program, layer, turn, kept, elements)
        at = turn.at[:depth]
        if visits and visits[-1].at == at:
            visits[-1].end = time
            visits[-1].touched |= touched
        else:
            nothing = np.zeros(elements, dtype=bool)
            visits.append(Visit(at, time, time, touched, nothing, nothing.copy()))
    windowed = tuple(
        number
        for number in range(len(visits[0].at) if visits else 0)
        if program.loops[number].windowed
        and kept.kind not in ("weights", "state")
        and kept.name in program.loops[number].tensors
        and visits[0].at[number] >= 0
    )
    if kept.depth is None:
        for visit in visits:
            visit.brought = visit.touched
    elif visits:
        _carry(program, kept, visits, windowed)
    return Stay(kept, frozenset(users), elements, tuple(visits), windowed)


def touches(program: Program, layer: FoldedLayer, turn: Turn, kept: Kept, elements: int) -> Mask:
    """What a turn makes or reads of something."""
    done, mask = program.operations[layer.name], np.zeros(elements, dtype=bool)
    if kept.kind == "weights":
        assert done.weight is not None
        windows = mask.reshape(-1, done.taps)
        windows[done.weight[turn.terms] // done.taps] = True
    elif kept.kind == "state":
        mask[done.out[turn.terms] // done.row] = True
    else:
        if kept.name == layer.output.name:
            mask[done.out[turn.terms]] = True
        for tensor, read in zip(layer.inputs, done.reads, strict=True):
            if tensor.name == kept.name:
                at = read[turn.terms]
                mask[at[at != NONE]] = True
    return mask


def _carry(program: Program, kept: Kept, visits: list[Visit], windowed: tuple[int, ...]) -> None:
    """What is brought in at every visit, and what stays for the next one."""
    numbers = range(len(visits[0].at))
    sharing = [i for i in windowed if kept.name not in program.repeated[i]]
    uncut = [i for i in numbers if visits[0].at[i] >= 0 and not _cut(program, kept, visits, i)]
    there = np.zeros_like(visits[0].touched)
    # What inner loops are done with, by loop and step: it waits for later ones.
    waiting: dict[tuple[int, ...], Mask] = {}
    for number, visit in enumerate(visits):
        visit.brought = visit.touched & ~there
        there = there | visit.touched
        stays_on = np.zeros_like(there)
        for i in sharing:
            same = [v for v in visits if v.at[:i] == visit.at[:i]]
            later = [v for v in visits[number + 1 :] if v.at[:i] == visit.at[:i]]
            before = _any(v.touched for v in same if v.at[i] < visit.at[i])
            again = _any(v.touched for v in later if v.at[i] == visit.at[i])
            then = _any(v.touched for v in later if v.at[i] > visit.at[i])
            stays_on |= before & (again | then)
            inner = [j for j in uncut if j > i]
            done = waiting.setdefault(visit.at[: i + 1], np.zeros_like(there))
            if all(visit.at[j] == program.loops[j].steps - 1 for j in inner):
                done |= visit.touched
            stays_on |= then & done
        there &= stays_on
        visit.kept = there.copy()


def _any(masks: Iterable[Mask]) -> Mask:
    result = np.zeros(1, dtype=bool)
    for mask in masks:
        result = result | mask
    return result


def _cut(program: Program, kept: Kept, visits: list[Visit], number: int) -> bool:
    """Whether steps of a loop touch different parts."""
    first: dict[tuple[int, ...], Mask] = {}
    for visit in visits:
        rest = (*visit.at[:number], *visit.at[number + 1 :])
        if (first.setdefault(rest, visit.touched) != visit.touched).any():
            return True
    return program.loops[number].windowed and kept.name in program.loops[number].tensors


def use(program: Program, found: list[Stay]) -> Ints:
    """Words on chip at every turn, tiles that are loaded ahead included."""
    total = np.zeros(len(program.turns), dtype=np.int64)
    for entry in found:
        if entry.kept.depth is not None:
            total += words_over_time(program, entry)
    return total


def words_over_time(program: Program, entry: Stay) -> Ints:
    """Words of one thing at every turn."""
    use = np.zeros(len(program.turns), dtype=np.int64)
    each = STATE_WORDS if entry.kept.kind == "state" else 1
    visits = entry.visits
    ahead = ahead_words(entry) if entry.kept.kind in ("input", "weights") else 0
    for number, visit in enumerate(visits):
        carried = visits[number - 1].kept if number else np.zeros_like(visit.touched)
        use[visit.start : visit.end + 1] += each * int((visit.touched | carried).sum())
        if number + 1 == len(visits):
            continue
        following = visits[number + 1]
        use[visit.end + 1 : following.start] += each * int(visit.kept.sum())
        until = visit.end + 1
        if following.at[:-1] == visit.at[:-1]:
            until = following.start
        use[visit.start : until] += min(ahead, int(following.brought.sum()))
    return use


def ahead_words(entry: Stay) -> int:
    """Words of a usual tile: the first one of a sweep may bring more, and is waited for."""
    usual = [
        int(visit.brought.sum())
        for visit in entry.visits
        if all(visit.at[i] > 0 for i in entry.windowed)
    ]
    return max(usual, default=0)
