"""Why two neighbouring groups are not one, found by experiment: joined as they are, and with room.

A reason is the one change that would remove the boundary. So the joint group is costed at the
capacity that there is, and where it does not pay, with room for all tensors of the network, beside
its parts with as much room. As a tensor may be kept in a larger group although joining the two
alone does not pay, the search that found the partition is asked once more with all that room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.fusion.group_model import (
    GroupModel,
    Option,
    Resizable,
    resized,
    total_costs,
    value_of,
    whole_words,
)
from toolkit.fusion.groups import Group, GroupView, quotient, siblings
from toolkit.fusion.partition.result import Boundary, Reason
from toolkit.fusion.tile.choice import best_plan
from toolkit.fusion.tile.shared import shared_ranks
from toolkit.fusion.tile_names import axis_name

_ROUNDING = 1e-9
"""Relative changes up to this are those of sums of floats."""


Search = Callable[[GroupModel], Sequence[Option]]
"""Partitions a network again, under another model of the same groups."""


def boundaries_of(
    model: GroupModel,
    groups: Sequence[Option],
    most_layers: int,
    search: Search | None = None,
) -> tuple[Boundary, ...]:
    """Say of every edge between groups why it is there, and why groups load the same tensor.

    Parameters
    ----------
    model : GroupModel
        What groups cost; if it is `Resizable`, also with more room.
    groups : sequence of Option
        A partition.
    most_layers : int
        Most layers of a group.
    search : callable, optional
        How the partition was found. Without it, neighbours are joined two by two alone.
    """
    judge = _Judge(model, tuple(groups), most_layers, search)
    graph = model.graph
    found = []
    edges = ((a, b, graph.layer_of(a).output) for a, b in graph.edges if not judge.fuses(a, b))
    loaded = ((a, b, graph.tensor(name)) for a, b, name in siblings(graph, judge.home))
    for shared, pairs in ((False, edges), (True, loaded)):
        for source, target, tensor in pairs:
            verdict = _too_far(graph, source, target, most_layers) or judge.reason(source, target)
            found.append(Boundary(source, target, tensor.name, tensor.elements, *verdict, shared))
    return tuple(found)


def _too_far(
    graph: FoldedGraph, source: str, target: str, most_layers: int
) -> tuple[Reason, str] | None:
    """Whether too many layers run between two for any legal group to hold both."""
    between = nx.descendants(graph, source) & nx.ancestors(graph, target)
    between |= nx.descendants(graph, target) & nx.ancestors(graph, source)
    if not between or len(between) + 2 <= most_layers:
        return None
    return (
        "barrier",
        f"{len(between)} layers must run in between and would be in the group, which has at most "
        f"{most_layers}",
    )


@dataclass(frozen=True)
class _Judge:
    """Reasons of one partition."""

    model: GroupModel
    groups: tuple[Option, ...]
    most_layers: int
    search: Search | None = None

    @cached_property
    def home(self) -> dict[str, int]:
        """The number of the group that each layer is in."""
        return {name: i for i, option in enumerate(self.groups) for name in option.plan.group}

    @cached_property
    def _order(self) -> nx.DiGraph:
        return quotient(self.model.graph, [option.plan.group for option in self.groups])

    @cached_property
    def _pairs(self) -> dict[tuple[int, int], tuple[Reason, str, bool]]:
        """Of pairs of groups so far the reason, and whether joining them pays as it is."""
        return {}

    @cached_property
    def _roomy(self) -> GroupModel | None:
        """The same model with room for everything; None if it cannot be resized."""
        words = whole_words(self.model.graph)
        if self.model.given.capacity_words >= words:
            return self.model
        return self.model.with_capacity(words) if isinstance(self.model, Resizable) else None

    @cached_property
    def _with_room(self) -> _Judge | None:
        """Reasons of the partition that the same search finds with room for everything."""
        if self.search is None or self._roomy is None or self._roomy is self.model:
            return None
        return _Judge(self._roomy, tuple(self.search(self._roomy)), self.most_layers)

    def fuses(self, source: str, target: str) -> bool:
        """Whether two layers are in one group."""
        return self.home[source] == self.home[target]

    def reason(self, source: str, target: str) -> tuple[Reason, str]:
        """Why two layers that share a tensor are in different groups."""
        pair = self.home[source], self.home[target]
        if nx.has_path(self._order, *reversed(pair)):
            pair = pair[1], pair[0]
        if pair not in self._pairs:
            self._pairs[pair] = self._of_neighbours(*pair)
        verdict, detail, pays = self._pairs[pair]
        if pays or self._with_room is None:
            return verdict, detail
        if self._with_room.fuses(source, target):
            if verdict == "capacity":
                return verdict, detail
            together = len(self._with_room.groups[self._with_room.home[source]].plan.group)
            return "capacity", (
                f"with more room both are in a group of {together} layers; alone, {detail}"
            )
        if verdict != "capacity":
            return verdict, detail
        verdict, detail = self._with_room.reason(source, target)
        return verdict, f"with room for all tensors, {detail}"

    def _of_neighbours(self, first: int, second: int) -> tuple[Reason, str, bool]:
        """Why two groups that share a tensor are not one; the second does not come first.

        And whether joining them pays at the capacity that there is.
        """
        between = nx.descendants(self._order, first) & nx.ancestors(self._order, second)
        parts = [self.groups[i] for i in (first, *sorted(between), second)]
        joint = frozenset().union(*(option.plan.group for option in parts))
        subject = "the joint group" if not between else self._with_others(parts[1:-1])
        length = f"{len(joint)} layers exceed {self.most_layers}"
        too_long = len(joint) > self.most_layers
        if too_long and between:
            return "missed", f"{subject} would be too long: {length}", False
        now = self._change(self.model, parts, joint)
        if now is not None and now < 0:
            text = f"{subject} would make the total {_percent(now)}"
            return "missed", f"{length}; {text}" if too_long else text, True
        if self._roomy is None:
            return *self._as_it_is(subject, now), False
        then = self._change(self._roomy, parts, joint)
        if then is None:
            return *self._never(self._roomy, subject, joint), False
        if then >= 0:
            room = "fits, and" if now is not None else "saves nothing here, and with more room"
            return "no gain", f"{subject} {room} would make the total {_percent(then)}", False
        if too_long:
            return "missed", f"{length}; with more room the total would be {_percent(then)}", False
        return "capacity", self._too_little(subject, parts, now, then), False

    def _with_others(self, between: Sequence[Option]) -> str:
        names = sorted(
            (name for option in between for name in option.plan.group),
            key=self.model.graph.positions.__getitem__,
        )
        shown = ", ".join(map(repr, names[:3]))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"the group with {shown}{more}, which must run in between,"

    def _as_it_is(self, subject: str, now: float | None) -> tuple[Reason, str]:
        if now is None:
            return "capacity", f"no way to run {subject.rstrip(',')} is known"
        return "no gain", f"{subject} fits, and would make the total {_percent(now)}"

    def _never(self, roomy: GroupModel, subject: str, joint: Group) -> tuple[Reason, str]:
        """No plan of the joint group, whatever the room."""
        refusal = roomy.refusal(joint) if isinstance(roomy, Resizable) else None
        if refusal is not None:
            return "barrier", f"{subject} cannot run: {refusal}"
        return "no gain", f"{subject} would move no fewer words, whatever the room"

    def _too_little(
        self, subject: str, parts: Sequence[Option], now: float | None, then: float
    ) -> str:
        room = f"{self.model.given.capacity_words:,} words"
        gain = f"with more the total would be {_percent(then)}"
        if now is not None:
            return f"in {room} {subject} would make the total {_percent(now)}; {gain}"
        first, last = parts[0].plan.group, parts[-1].plan.group
        edges = [e for e in self.model.graph.edges if e[0] in first and e[1] in last]
        whole = [text for text in (obstacle(self.model.graph, *edge) for edge in edges) if text]
        text = f"no tile of {subject.rstrip(',')} fits {room} and saves any; {gain}"
        return "; ".join((text, *whole[:1]))

    def _change(self, model: GroupModel, parts: Sequence[Option], joint: Group) -> float | None:
        """By which fraction joining changes the total; None if the joint group does not run."""
        options = [*model.options(joint)]
        if model is not self.model and options:
            # What runs in less room runs in more.
            options += self.model.options(joint)
        if not options:
            return None
        rest = total_costs(self.groups)
        for part in parts:
            rest = _minus(rest, part.costs)
        before = value_of(self._apart(model, parts))
        after = min(value_of(_plus(rest, option.costs)) for option in options)
        change = after / before - 1 if before else after - before
        return change if abs(change) > _ROUNDING else 0.0

    def _apart(self, model: GroupModel, parts: Sequence[Option]) -> tuple[float, ...]:
        """Total of the partition if its parts may use the room that a model has."""
        total = total_costs(self.groups)
        for part in parts if model is not self.model else ():
            rest = _minus(total, part.costs)
            ways = (_plus(rest, option.costs) for option in model.options(part.plan.group))
            total = min((total, *ways), key=value_of)
        return total


def why_it_cannot_run(model: GroupModel, group: Group) -> str:
    """Say why a model knows no way to run a legal group: which operators, and how much room."""
    refusal = model.refusal(group) if isinstance(model, Resizable) else None
    if refusal is not None:
        return f"cannot run: {refusal}"
    capacity = model.given.capacity_words
    least = least_capacity(model, group)
    text = f"no tile fits the {capacity:,} words of the fusion level; the smallest needs {least:,}"
    if least <= capacity:
        text = (
            f"no tile that fits the {capacity:,} words of the fusion level moves fewer words than "
            "the layers on their own"
        )
    texts = [obstacle(model.graph, *edge) for edge in model.graph.subgraph(group).edges]
    known = dict.fromkeys(text for text in texts if text is not None)
    return "; ".join((text, *(known or cut_obstacles(GroupView(model.graph, group)))))


def cut_obstacles(view: GroupView) -> tuple[str, ...]:
    """Say for each axis along which a group can be cut where tiles end, if they do.

    Each tensor may go tile by tile from one layer to the next, and yet no axis runs through all.
    """
    found = []
    for rank in shared_ranks(view):
        anchor, axis = view.graph.layer_of(rank.anchor), rank.members[rank.anchor].rank.axis
        if axis is None or len(rank.members) < 2:
            continue
        where = f"cut along {axis_name(anchor, axis)} of {anchor.output.name}"
        for layer in view.layers:
            makers = [view.makers[t.name] for t in layer.inputs if t.name in view.makers]
            whole = [maker for maker in makers if maker.name not in rank.members]
            if layer.name in rank.members and whole:
                found.append(f"{where}, {_named(layer)} {_needs(whole[0])}")
                break
    return tuple(found)


def least_capacity(model: GroupModel, group: Group) -> int:
    """Words of the fusion level from which on some tile of a group fits; by bisection."""
    view = GroupView(model.graph, group)
    low, high = 1, whole_words(model.graph)
    while low < high:
        middle = (low + high) // 2
        if best_plan(view, resized(model.given, middle)) is None:
            low = middle + 1
        else:
            high = middle
    return low


def obstacle(graph: FoldedGraph, source: str, target: str) -> str | None:
    """Say which of two neighbours keeps the tensor between them from going tile by tile, and why.

    Parameters
    ----------
    source, target : str
        Layers that make and read it.

    Returns
    -------
    str or None
        None if some axis of the tensor can be cut where it is made and where it is read.
    """
    maker, reader = graph.layer_of(source), graph.layer_of(target)
    tensor = maker.output
    made = {rank.axis for rank in maker.ranks if rank.axis is not None and not rank.recurrent}
    if not made:
        return (
            f"not to be cut into tiles: {_named(maker)}, which makes its {tensor.elements:,} "
            "words at once"
        )
    if not reader.ranks:
        return f"not to be cut into tiles: {_named(reader)}, which {_needs(maker)}"
    number = [t.name for t in reader.inputs].index(tensor.name)
    followed = {reach.axis for rank in reader.ranks if (reach := rank.reads[number]) is not None}
    return f"{_named(reader)} {_needs(maker)}" if made.isdisjoint(followed) else None


def _needs(maker: FoldedLayer) -> str:
    return f"needs all {maker.output.elements:,} words of {maker.name!r} at once"


def _named(layer: FoldedLayer) -> str:
    return f"{layer.name!r} ({layer.layer.operator})"


def _percent(change: float) -> str:
    return f"{change * 100:+.2g} %"


def _plus(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _minus(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple(x - y for x, y in zip(a, b, strict=True))
