"""How one group runs: its nest, what is held where and for how long, and what that moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod

from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.groups import Group, GroupView
from toolkit.fusion.tile.assumptions import Halo

Part = tuple[tuple[int | str, int], ...]
"""Sizes by output axis, and by dimension of the workload where it is summed over; what is left out
is whole."""


@dataclass(frozen=True)
class Loop:
    """A loop of a nest.

    Parameters
    ----------
    tensor : str
        One that it cuts: made by its last layer or, where that sums over it, read by it.
    axis : int or str
        Of that tensor. Where no tensor that is read has such an axis, as it is part of a larger
        one, the dimension that is summed over for what the layer makes.
    tile : int
        Positions of the axis per step.
    steps : int
        How many tiles there are.
    layers : frozenset of str
        Layers that run in it.
    sums : frozenset of str
        Those that sum over it: what they make is complete after the loop.
    streams : frozenset of str
        Those that run along it (a softmax, a normalisation), and keep a state of every row.
    """

    tensor: str
    axis: int | str
    tile: int
    steps: int
    layers: frozenset[str]
    sums: frozenset[str] = frozenset()
    streams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Kept:
    """What is held for how long.

    Parameters
    ----------
    name : str
        Of a tensor; of a layer for its weights or for the state of its rows.
    kind : str
        See `toolkit.fusion.tile.items.Kind`.
    depth : int or None
        Loops outside of it stand still while it is there; None for what passes by.
    words : int
        Held at once, a further tile included where the next one is loaded meanwhile.
    moved_words : int
        To and from DRAM.
    readers : tuple of str
        Layers that read it.
    stays_words : int
        Those of `words` that stay from step to step where windows overlap.
    during : tuple of str
        Layers that run while all of it is there.
    between : tuple of str
        Further layers that run while what stays is there.
    tile_words, size_words : int
        Of one tile, and of all of it.
    """

    name: str
    kind: str
    depth: int | None
    words: int
    moved_words: int
    readers: tuple[str, ...]
    stays_words: int = 0
    during: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    tile_words: int = 0
    size_words: int = 0


@dataclass(frozen=True)
class GroupPlan:
    """How a group runs.

    Parameters
    ----------
    group : frozenset of str
        Names of its layers.
    loops : tuple of Loop
        The nest, outermost loop first; empty if nothing is cut.
    kept : tuple of Kept
        What is held on chip, or passes by.
    halo : mapping of str to Halo
        Per tensor that is cut and not retained.
    footprint_words : int
        Most words on the fusion level at a time, without weights; 0 for a layer on its own,
        unless it is staged there.
    peak_words : int
        Most words there at a time, weights included.
    input_words, output_words, weight_words : int
        Words read from and written to DRAM; inputs include constants, and partial sums that are
        read back.
    made : mapping of str to dict
        Per layer, the parts that steps make, to the number of steps.
    homes : mapping of str to str
        Memories inside the fusion level, by the tensors between layers that wait there.
    double_buffered : bool
        Whether tiles come and go while layers run, as in `Assumptions`.
    bound_words : int
        No plan of the group moves fewer words to and from DRAM; see `toolkit.fusion.tile.choice`
        for which plans there are.
    """

    group: Group
    loops: tuple[Loop, ...]
    kept: tuple[Kept, ...]
    halo: Mapping[str, Halo]
    footprint_words: int
    peak_words: int
    input_words: int
    output_words: int
    weight_words: int
    made: Mapping[str, Mapping[Part, int]] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    double_buffered: bool = True
    bound_words: int = 0

    @property
    def dram_words(self) -> int:
        """Words read from and written to DRAM."""
        return self.input_words + self.output_words + self.weight_words

    @property
    def staged(self) -> bool:
        """Whether activations wait on the fusion level, as they always do between layers."""
        return self.footprint_words > 0

    @property
    def tile(self) -> tuple[tuple[str, int | str, int], ...]:
        """For each loop, outermost first: a tensor, its axis and the positions of a tile."""
        return tuple((loop.tensor, loop.axis, loop.tile) for loop in self.loops)

    @property
    def steps(self) -> int:
        """Iterations of the whole nest."""
        return prod(loop.steps for loop in self.loops)

    @property
    def resident(self) -> frozenset[str]:
        """Layers whose weights are kept on the fusion level, for a while at least."""
        return frozenset(k.name for k in self._weights)

    @property
    def resident_words(self) -> int:
        """Words of weights that are kept at once."""
        return sum(k.words for k in self._weights)

    @property
    def staged_weight_words(self) -> int:
        """Words of weights that come to the fusion level, all times together."""
        return sum(k.moved_words for k in self._weights)

    @property
    def staged_input_words(self) -> int:
        """Words of activations that come to the fusion level, all times together."""
        read = sum(k.moved_words for k in self.kept if k.kind == "input" and k.depth is not None)
        return read + sum((k.moved_words - k.size_words) // 2 for k in self._leaving)

    @property
    def staged_output_words(self) -> int:
        """Words of activations that leave the fusion level, all times together."""
        return sum((k.moved_words + k.size_words) // 2 for k in self._leaving)

    @property
    def passing(self) -> frozenset[str]:
        """Activations that pass by the fusion level on their way from DRAM, or to it."""
        return frozenset(
            k.name for k in self.kept if k.kind in ("input", "output") and k.depth is None
        )

    @property
    def _leaving(self) -> tuple[Kept, ...]:
        return tuple(k for k in self.kept if k.kind == "output" and k.depth is not None)

    @property
    def _weights(self) -> tuple[Kept, ...]:
        return tuple(k for k in self.kept if k.kind == "weights" and k.depth is not None)


def single_plan(graph: FoldedGraph, name: str) -> GroupPlan:
    """A layer on its own whose tensors move once, however the layer is mapped."""
    view = GroupView(graph, frozenset((name,)))
    layer = graph.layer_of(name)
    read = sum(tensor.elements for tensor in view.external)
    return GroupPlan(
        view.group,
        (),
        (),
        {},
        0,
        0,
        read + layer.constant_words,
        layer.output.elements,
        layer.weight_words,
        {name: {(): 1}},
        bound_words=least_words(view),
    )


def streamed_plan(graph: FoldedGraph, name: str) -> GroupPlan:
    """A layer on its own of which nothing can be kept: each operation fetches its operands.

    Operations without multiply-accumulates pass all of their tensors once.
    """
    plan, layer = single_plan(graph, name), graph.layer_of(name)
    operands = max(len(layer.layer.inputs), 1)
    return replace(
        plan,
        input_words=max(plan.input_words, operands * layer.macs + layer.constant_words),
        weight_words=max(plan.weight_words, layer.macs if layer.weight_words else 0),
    )


def least_words(view: GroupView) -> int:
    """Words that any plan of a group moves: no plan has fewer."""
    words = sum(tensor.elements for tensor in (*view.external, *view.leaving))
    return words + sum(layer.weight_words + layer.constant_words for layer in view.layers)


def constant_words(view: GroupView) -> int:
    """Words of constants beside weights, which every plan reads once."""
    return sum(layer.constant_words for layer in view.layers)


def share_of(layer: FoldedLayer, part: Part) -> Fraction:
    """The part of the work, as a fraction of it."""
    shares = (Fraction(size, extent_of(layer, key)) for key, size in part)
    return prod(shares, start=Fraction(1))


def extent_of(layer: FoldedLayer, key: int | str) -> int:
    """All positions of an output axis, or of a dimension that is summed over."""
    if isinstance(key, int):
        return layer.output.shape[key]
    return next(rank.size for rank in layer.ranks if rank.dimension == key)


def made_share(plan: GroupPlan, graph: FoldedGraph, name: str) -> float:
    """What all steps make of a layer's output, against its size; above 1 if parts repeat."""
    layer = graph.layer_of(name)
    shares = (times * share_of(layer, part) for part, times in plan.made[name].items())
    return float(sum(shares, start=Fraction(0)))
