"""What a group keeps, or moves to or from DRAM: tensors, weights, states of rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.runs import Runs
from toolkit.fusion.tile.shared import SharedRank
from toolkit.fusion.tile.windows import places_of

Kind = Literal["input", "weights", "inside", "output", "state"]
"""Activations from outside, weights, tensors that only the group sees, tensors that leave it, and
what a softmax or a normalisation remembers of a row while it streams."""

STATE_WORDS = 2
"""Of a row: maximum and sum, or sum and sum of squares."""


@dataclass(frozen=True)
class Item:
    """Something that a group keeps, or moves to or from DRAM.

    Parameters
    ----------
    name : str
        Of the tensor; of the layer for weights and states.
    kind : Kind
        What it is.
    words : int
        All of it.
    users : tuple of int
        Places of the layers that make or read it.
    maker : int or None
        The one that makes it.
    cut : tuple of bool
        Which loops cut it, for all of its users alike.
    deepest : int
        Depth beyond which its users do not run side by side.
    """

    name: str
    kind: Kind
    words: int
    users: tuple[int, ...]
    maker: int | None
    cut: tuple[bool, ...]
    deepest: int


def list_items(
    view: GroupView, loops: Sequence[SharedRank], runs: Runs, apart: Collection[str]
) -> tuple[Item, ...]:
    """List all that is kept or moved in a nest of loops.

    Parameters
    ----------
    view : GroupView
        The group.
    loops : sequence of SharedRank
        Outermost first.
    runs : Runs
        Of its layers in these loops.
    apart : collection of str
        Tensors from outside that each reader loads on its own.
    """
    found = [*_inputs(view, loops, runs, apart), *_weights(loops, runs)]
    for place, layer in enumerate(runs.layers):
        found.append(_made(view, loops, runs, place))
        found += _states(loops, place, layer)
    return tuple(found)


def _inputs(
    view: GroupView, loops: Sequence[SharedRank], runs: Runs, apart: Collection[str]
) -> list[Item]:
    found = []
    cuts = [places_of(loop) for loop in loops]
    for tensor in view.external:
        readings = view.readings[tensor.name]
        sets = [[r] for r in readings] if tensor.name in apart else [readings]
        for chosen in sets:
            cut = tuple(
                all(
                    (read := loop.reading(layer, number)) is not None
                    and read[0] == at.get(tensor.name)
                    for layer, number in chosen
                )
                for loop, at in zip(loops, cuts, strict=True)
            )
            users = tuple(sorted({runs.places[layer.name] for layer, _ in chosen}))
            deepest = runs.together(users)
            found.append(Item(tensor.name, "input", tensor.elements, users, None, cut, deepest))
    return found


def _weights(loops: Sequence[SharedRank], runs: Runs) -> list[Item]:
    found = []
    for place, layer in enumerate(runs.layers):
        if layer.weight_words:
            members = [loop.members.get(layer.name) for loop in loops]
            cut = tuple(member is not None and member.rank.weights for member in members)
            name, words = layer.name, layer.weight_words
            found.append(Item(name, "weights", words, (place,), None, cut, len(loops)))
    return found


def _made(view: GroupView, loops: Sequence[SharedRank], runs: Runs, place: int) -> Item:
    layer = runs.layers[place]
    leaves = any(tensor.name == layer.output.name for tensor in view.leaving)
    readings = view.readings.get(layer.output.name, ())
    users = (place, *sorted({runs.places[reader.name] for reader, _ in readings}))
    cut = tuple(
        layer.output.name in loop.made
        and all(loop.tied(layer, reader, number) for reader, number in readings)
        for loop in loops
    )
    deepest = runs.together(users)
    if not leaves or readings:
        # What is summed is complete only after the loop.
        sums = [i for i, loop in enumerate(loops) if layer.name in loop.reduces]
        deepest = min([deepest, *sums])
    kind: Kind = "output" if leaves else "inside"
    return Item(layer.output.name, kind, layer.output.elements, users, place, cut, deepest)


def _states(loops: Sequence[SharedRank], place: int, layer: FoldedLayer) -> list[Item]:
    found = []
    for i, loop in enumerate(loops):
        if layer.name in loop.recurrent:
            words = STATE_WORDS * (layer.output.elements // loop.members[layer.name].rank.size)
            cut = tuple(
                j != i and layer.output.name in other.made for j, other in enumerate(loops)
            )
            found.append(Item(layer.name, "state", words, (place,), place, cut, i))
    return found
