"""What a group keeps on the fusion level while its layers run: a record, for pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.cuts import Chosen, choices
from toolkit.fusion.tile.group_plan import Assumptions, GroupPlan
from toolkit.fusion.tile.tiling import Tiling, make_tiling

ALL_LAYERS = "all layers"
"""The one phase of a step in which layers run side by side."""


@dataclass(frozen=True)
class Phase:
    """A layer's turn within a step.

    Parameters
    ----------
    step : int
        0 for the first step, 1 for any further one.
    layer : str
        Which layer runs, or `ALL_LAYERS`.
    words : mapping of str to int
        What is kept meanwhile: words by tensor, and by layer those of weights that stay.
    """

    step: int
    layer: str
    words: Mapping[str, int]

    @property
    def total(self) -> int:
        """Words of all of them."""
        return sum(self.words.values())


@dataclass(frozen=True)
class GroupTimeline:
    """The phases of a group, in their order.

    Parameters
    ----------
    phases : tuple of Phase
        Of the first step and of the second, which all that follow are like.
    steps : int
        How many there are.
    capacity_words : int
        Room of the fusion level.
    elsewhere : mapping of str to str
        Memories inside the fusion level, by the tensors that wait there and are in no phase.
    """

    phases: tuple[Phase, ...]
    steps: int
    capacity_words: int
    elsewhere: Mapping[str, str]

    @property
    def peak_words(self) -> int:
        """Most words that are kept at once."""
        return max((phase.total for phase in self.phases), default=0)

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all that is kept, the longest there first, weights before tensors."""
        often: dict[str, int] = {}
        for phase in self.phases:
            for name, words in phase.words.items():
                often[name] = often.get(name, 0) + (words > 0)
        return tuple(sorted(often, key=lambda name: -often[name]))


def weights_of(layer: str) -> str:
    """Under which name the weights of a layer are in a timeline."""
    return f"weights of {layer}"


def timeline(plan: GroupPlan, graph: FoldedGraph, given: Assumptions) -> GroupTimeline:
    """Tell what is on the fusion level when a plan runs; see `Tiling.footprint`.

    Its peak is what the plan says: activations and weights that stay.

    Parameters
    ----------
    plan : GroupPlan
        Of a group under these assumptions. Layers on their own that are not staged keep nothing.
    graph : FoldedGraph
        The network.
    given : Assumptions
        What the plan was made under.
    """
    weights = {weights_of(n): graph.layer_of(n).weight_words for n in sorted(plan.resident)}
    view = GroupView(graph, plan.group)
    held = list(_turns(view, plan, given)) if plan.staged else []
    phases = tuple(Phase(step, layer, {**weights, **words}) for step, layer, words in held)
    return GroupTimeline(phases, plan.steps, given.capacity_words, dict(plan.homes))


def _turns(
    view: GroupView, plan: GroupPlan, given: Assumptions
) -> Iterator[tuple[int, str, dict[str, int]]]:
    """Yield steps, layers, and the words of each tensor on the fusion level."""
    tiling = _tiling(view, plan, given)
    inside = {tensor.name: tensor for tensor in tiling.waiting(0, given.schedule)}
    facing = _facing(tiling)
    names = [name for name in view.tensors if name not in plan.homes]
    for step in (0, 1) if plan.steps > 1 else (0,):
        if given.schedule == "pipelined":
            words = {name: inside[name].held if name in inside else facing[name] for name in names}
            yield step, ALL_LAYERS, words
            continue
        for place, layer in enumerate(view.layers):
            words = {}
            for name in names:
                if name not in inside:
                    words[name] = facing[name]
                    continue
                tensor = inside[name]
                if tensor.start <= place <= tensor.end:
                    words[name] = tensor.held
                elif place < tensor.start and step == 0 and plan.steps > 1:
                    words[name] = 0
                else:
                    # Plans count the room for halos in a single step, too.
                    words[name] = tensor.kept
            yield step, layer.name, words


def _tiling(view: GroupView, plan: GroupPlan, given: Assumptions) -> Tiling:
    """The tiling of a plan, for its one tile size."""
    chosen: Chosen = next(
        cut
        for cut in choices(view, given.axes)
        if [(name, axis) for name, axis, _ in cut] == [(name, axis) for name, axis, _ in plan.tile]
    )
    sizes = [np.array([size], dtype=np.int64) for _, _, size in plan.tile]
    return make_tiling(view, chosen, sizes, plan.halo)


def _facing(tiling: Tiling) -> dict[str, int]:
    """Words of each tensor that faces DRAM, with room for a further tile."""
    _, held, made = tiling._sizes
    further = np.where(tiling.steps > 1, made, 0)
    inside = {tensor.name for tensor in tiling.view.internal}
    return {
        name: int(held[row, 0] + further[row, 0])
        for row, name in enumerate(tiling.view.tensors)
        if name not in inside
    }
