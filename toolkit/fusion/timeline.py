"""What a group keeps on the fusion level while its layers run: a record, for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.group_plan import GroupPlan

ALL_LAYERS = "all layers"
"""The one phase of a step in which layers run side by side."""


@dataclass(frozen=True)
class Phase:
    """A layer's turn within a step of the loops that it runs in.

    Parameters
    ----------
    layer : str
        Which layer runs, or `ALL_LAYERS`.
    words : mapping of str to int
        What is kept meanwhile: words by tensor, and by layer those of weights that stay.
    """

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
        One per layer.
    steps : int
        Of the whole nest.
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


def state_of(layer: str) -> str:
    """Under which name what a layer remembers of its rows is in a timeline."""
    return f"state of {layer}"


def timeline(
    plan: GroupPlan,
    graph: FoldedGraph,
    given: Assumptions,
    beside: Mapping[str, int] | None = None,
) -> GroupTimeline:
    """Tell what is on the fusion level when a plan runs; see `toolkit.fusion.tile.nest`.

    Its peak is what the plan says, `GroupPlan.peak_words`, and what is beside it.

    Parameters
    ----------
    plan : GroupPlan
        Of a group under these assumptions. Layers on their own that are not staged keep nothing.
    graph : FoldedGraph
        The network.
    given : Assumptions
        What the plan was made under.
    beside : mapping of str to int, optional
        Words of neighbouring groups that there is room for throughout, by name; see
        `toolkit.fusion.prefetch`.
    """
    layers = [layer.name for layer in GroupView(graph, plan.group).layers]
    if given.schedule == "pipelined":
        layers = [ALL_LAYERS]
    phases = tuple(
        Phase(layer, {**_words(plan, layer), **(beside or {})}) for layer in layers if plan.staged
    )
    return GroupTimeline(phases, plan.steps, given.capacity_words, dict(plan.homes))


def _words(plan: GroupPlan, layer: str) -> dict[str, int]:
    """What is there while a layer runs, or at all."""
    found = dict[str, int]()
    for kept in plan.kept:
        if kept.depth is None or (kept.kind == "inside" and kept.name in plan.homes):
            continue
        name = {"weights": weights_of, "state": state_of}.get(kept.kind, str)(kept.name)
        words = kept.words if layer == ALL_LAYERS or layer in kept.during else 0
        words = kept.stays_words if layer in kept.between else words
        found[name] = found.get(name, 0) + words
    return found
