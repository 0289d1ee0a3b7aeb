"""A nest as a program: which terms of which layer run when, told from the terms alone.

A loop says which layers run in it, how it cuts those that end it, and how many steps it has.
All that comes before is found by asking: what a step reads and nobody made yet is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
from fusion.nest_operations import NONE, Operation, operation
from numpy.typing import NDArray

from toolkit.fusion import FoldedLayer, GroupPlan
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.shared import SharedRank, shared_ranks
from toolkit.fusion.tile.windows import places_of

Mask = NDArray[np.bool_]


class ImpossibleError(ValueError):
    """No order of the layers fits the loops."""


@dataclass(frozen=True)
class Loop:
    """A loop.

    Parameters
    ----------
    layers : frozenset of str
        Those that run in it.
    cuts : mapping of str to (int or str, int)
        Output axis or summed dimension that it cuts, and positions per step; layers of the loop
        without an entry do the same in every step.
    steps : int
        How many.
    windowed : bool
        Whether steps share positions of some tensor.
    tensors : frozenset of str
        Those that it cuts: steps make, or load, a part of them each.
    """

    layers: frozenset[str]
    cuts: Mapping[str, tuple[int | str, int]]
    steps: int
    windowed: bool
    tensors: frozenset[str]


@dataclass(frozen=True)
class Turn:
    """One run of a layer: its place, the step of every loop (-1 outside of it), its terms."""

    place: int
    at: tuple[int, ...]
    terms: Mask


@dataclass(frozen=True)
class Program:
    """A group under a nest.

    Parameters
    ----------
    view : GroupView
        The group.
    loops : tuple of Loop
        Outermost first.
    repeated : tuple of frozenset of str
        Per loop, tensors whose halo is made or loaded again.
    """

    view: GroupView
    loops: tuple[Loop, ...]
    repeated: tuple[frozenset[str], ...]

    @cached_property
    def operations(self) -> dict[str, Operation]:
        return {layer.name: operation(layer) for layer in self.view.layers}

    @cached_property
    def made(self) -> tuple[dict[str, Mask], ...]:
        """Per loop and layer in it, the terms of every step; shape (steps, terms)."""
        return tuple(self._made(number) for number in range(len(self.loops)))

    def _made(self, number: int) -> dict[str, Mask]:
        loop, found = self.loops[number], {}
        for layer in reversed(self.view.layers):
            if layer.name not in loop.layers:
                continue
            done = self.operations[layer.name]
            if layer.name not in loop.cuts:
                found[layer.name] = np.ones((loop.steps, len(done.out)), dtype=bool)
                continue
            key, tile = loop.cuts[layer.name]
            place = done.coordinates[key]
            readers = [
                r for r in self.view.readers.get(layer.output.name, ()) if r.name in loop.layers
            ]
            if isinstance(key, str) or not readers:
                found[layer.name] = place // tile == np.arange(loop.steps)[:, None]
            else:
                rows = self._asked(number, layer, key, tile, readers, found)
                found[layer.name] = rows[:, place]
        return found

    def _asked(
        self,
        number: int,
        layer: FoldedLayer,
        axis: int,
        tile: int,
        readers: Sequence[FoldedLayer],
        found: Mapping[str, Mask],
    ) -> Mask:
        """Positions that each step makes of what others in the loop read."""
        loop, name, shape = self.loops[number], layer.output.name, layer.output.shape
        steps, size = loop.steps, shape[axis]
        place = np.unravel_index(np.arange(layer.output.elements), shape)[axis]
        low, high = np.full(steps, size), np.full(steps, -1)
        for reader in readers:
            for tensor, read in zip(
                reader.inputs, self.operations[reader.name].reads, strict=True
            ):
                for step in range(steps) if tensor.name == name else ():
                    elements = read[found[reader.name][step]]
                    wanted = place[elements[elements != NONE]]
                    if len(wanted):
                        low[step] = min(low[step], wanted.min())
                        high[step] = max(high[step], wanted.max())
        if self._wanted_outside(layer, loop):
            # What nobody in the loop reads is made at the loop's pace.
            high = np.maximum(high, size - 1 - (steps - 1 - np.arange(steps)) * tile)
        high = np.maximum.accumulate(high)
        before = np.concatenate([[-1], high[:-1]])
        low = np.minimum(low, before + 1)
        start = low if name in self.repeated[number] else before + 1
        positions = np.arange(size)
        return np.asarray((positions >= start[:, None]) & (positions <= high[:, None]))

    def _wanted_outside(self, layer: FoldedLayer, loop: Loop) -> bool:
        name = layer.output.name
        return name in {t.name for t in self.view.leaving} or any(
            reader.name not in loop.layers for reader in self.view.readers.get(name, ())
        )

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """All runs of layers, one after the other, those that have something to do."""
        start = (-1,) * len(self.loops)
        found = []
        for place, at in self._walk(tuple(range(len(self.view.layers))), 0, start):
            name = self.view.layers[place].name
            terms = np.ones(len(self.operations[name].out), dtype=bool)
            for number, step in enumerate(at):
                if step >= 0:
                    terms = terms & self.made[number][name][step]
            if terms.any():
                found.append(Turn(place, at, terms))
        return tuple(found)

    def _walk(
        self, places: tuple[int, ...], number: int, at: tuple[int, ...]
    ) -> Iterator[tuple[int, tuple[int, ...]]]:
        if number == len(self.loops):
            yield from ((place, at) for place in places)
            return
        names = {place: self.view.layers[place].name for place in places}
        inside = tuple(p for p in places if names[p] in self.loops[number].layers)
        if not inside:
            yield from self._walk(places, number + 1, at)
            return
        outside = [p for p in places if p not in inside]
        graph = self.view.graph.subgraph(self.view.group)
        needed = {a for p in inside for a in nx.ancestors(graph, names[p])}
        waiting = {d for p in inside for d in nx.descendants(graph, names[p])}
        # What neither needs the loop nor is needed by it runs as it stands in the group.
        after = tuple(
            p for p in outside if names[p] in waiting or (p > inside[0] and names[p] not in needed)
        )
        if not needed.isdisjoint(names[p] for p in after):
            raise ImpossibleError("layers wait for each other")
        yield from self._walk(tuple(p for p in outside if p not in after), number + 1, at)
        for step in range(self.loops[number].steps):
            yield from self._walk(inside, number + 1, (*at[:number], step, *at[number + 1 :]))
        yield from self._walk(after, number + 1, at)


def program(view: GroupView, plan: GroupPlan) -> Program:
    """The program of a plan."""
    loops = []
    for entry in plan.loops:
        cuts_of = _cuts(view, entry.tensor, entry.axis, entry.tile, entry.layers)
        shared, tile = max(cuts_of, key=lambda cut: len(cut[0].members))
        cuts = {
            name: (
                member.rank.dimension if member.rank.axis is None else member.rank.axis,
                int(tile * member.rate),
            )
            for name, member in shared.members.items()
        }
        tensors = frozenset(places_of(shared))
        loops.append(Loop(entry.layers, cuts, entry.steps, shared.windowed, tensors))
    return Program(view, tuple(loops), repeated(loops, plan.halo))


def repeated(loops: Sequence[Loop], halo: Mapping[str, str]) -> tuple[frozenset[str], ...]:
    """Tensors whose halo is not kept: along all loops, or the outermost one that has any."""
    windowed = [i for i, loop in enumerate(loops) if loop.windowed]
    again = frozenset(n for n, mode in halo.items() if mode == "recompute")
    mixed = frozenset(n for n, mode in halo.items() if mode == "mixed")
    return tuple(
        (again | mixed if i in windowed[:1] else again) if loop.windowed else frozenset()
        for i, loop in enumerate(loops)
    )


def _cuts(
    view: GroupView, tensor: str, axis: int, tile: int, layers: frozenset[str]
) -> Iterator[tuple[SharedRank, int]]:
    """The rank that a loop of a plan is over, and its tile at the rank's anchor."""
    for shared in shared_ranks(view):
        last = next(la for la in reversed(view.layers) if la.name in shared.members)
        member = shared.members[last.name]
        if not set(shared.members) <= layers:
            continue
        if last.output.name == tensor and member.rank.axis == axis:
            yield shared, int(tile / member.rate)
        elif member.rank.axis is None:
            for number, read in enumerate(last.inputs):
                place = shared.reading(last, number)
                if place is not None and (read.name, place[0].axis) == (tensor, axis):
                    yield shared, int(tile / place[0].rate)
