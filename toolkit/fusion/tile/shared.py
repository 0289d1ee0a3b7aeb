"""Ranks that operators of a group share: what one loop of a nest cuts.

A loop over the rank of one operator is a loop over those ranks of others that its tensors tie to
it: rows of a product are rows of the next one, its columns are what the next one sums over. A
tensor from outside ties its readers, too: each of its tiles is loaded for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.groups import GroupView
from toolkit.fusion.ranks import Rank
from toolkit.fusion.reach import Reach

LINEAR = frozenset({"Cast", "Identity", "Dropout"})
"""What may follow a softmax whose results are summed before it is complete."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a loop cuts a tensor, or an operator.

    Parameters
    ----------
    axis : int
        Of the tensor.
    rate : Fraction
        Positions along it per position of the anchor.
    """

    axis: int
    rate: Fraction


@dataclass(frozen=True, slots=True)
class Member:
    """An operator inside of a loop: its rank, and positions of it per position of the anchor."""

    rank: Rank
    rate: Fraction


@dataclass(frozen=True)
class SharedRank:
    """A rank of a group.

    Parameters
    ----------
    view : GroupView
        The group.
    anchor : str
        The layer whose positions are counted.
    members : mapping of str to Member
        Layers that a loop over the rank cuts, by name.
    """

    view: GroupView = field(repr=False)
    anchor: str
    members: Mapping[str, Member]

    @cached_property
    def size(self) -> int:
        """Positions of the anchor."""
        return self.members[self.anchor].rank.size

    @cached_property
    def made(self) -> Mapping[str, Place]:
        """Tensors that members make tile by tile."""
        layers = ((self.view.graph.layer_of(name), m) for name, m in self.members.items())
        return {
            layer.output.name: Place(m.rank.axis, m.rate)
            for layer, m in layers
            if m.rank.axis is not None
        }

    def reading(self, layer: FoldedLayer, number: int) -> tuple[Place, Reach] | None:
        """Where a layer reads an input tile by tile; None if it needs all of it."""
        return self._reads.get((layer.name, number))

    @cached_property
    def _reads(self) -> Mapping[tuple[str, int], tuple[Place, Reach]]:
        return {
            (name, number): (Place(reach.axis, member.rate * reach.stride / reach.share), reach)
            for name, member in self.members.items()
            for number, reach in enumerate(member.rank.reads)
            if reach is not None
        }

    def tied(self, maker: FoldedLayer, layer: FoldedLayer, number: int) -> bool:
        """Whether a layer reads, tile by tile, what another makes tile by tile."""
        made = self.made.get(maker.output.name)
        read = self.reading(layer, number)
        return made is not None and read is not None and made == read[0]

    @cached_property
    def reduces(self) -> frozenset[str]:
        """Members whose output is complete only after the loop."""
        return frozenset(n for n, member in self.members.items() if member.rank.axis is None)

    @cached_property
    def recurrent(self) -> frozenset[str]:
        """Members that keep a state along the loop."""
        return frozenset(n for n, member in self.members.items() if member.rank.recurrent)

    @cached_property
    def windowed(self) -> bool:
        """Whether neighbouring tiles share positions of some tensor."""
        return any(
            reach is not None and reach.extent > reach.stride
            for member in self.members.values()
            for reach in member.rank.reads
        )

    @cached_property
    def key(self) -> frozenset[tuple[str, Rank]]:
        """What the rank cuts."""
        return frozenset((name, member.rank) for name, member in self.members.items())


def shared_ranks(view: GroupView) -> tuple[SharedRank, ...]:
    """All ranks of a group that a nest may loop over, each once.

    Readers of a tensor from outside follow it together. They may also be cut each on its own, if
    tensors of the group connect them: otherwise they would be groups of their own.
    """
    own = _ranks(view, outside=False)
    if all(len(view.readers[tensor.name]) == 1 for tensor in view.external):
        return own
    together = _ranks(view, outside=True)
    if len(view.side_by_side) > 1:
        return (*together, *_beside(view, together))
    known = {shared.key for shared in own}
    return (*own, *(shared for shared in together if shared.key not in known))


def _ranks(view: GroupView, *, outside: bool) -> tuple[SharedRank, ...]:
    """Follow tensors of the group and, if `outside`, those that come from there.

    Later layers come first as anchors: what follows a sink is cut where the sink is.
    """
    found: dict[frozenset[tuple[str, Rank]], SharedRank] = {}
    for layer in reversed(view.layers):
        for rank in layer.ranks:
            if any((layer.name, rank) in key for key in found):
                continue
            shared = _shared(view, layer, rank, outside=outside)
            if shared is not None:
                found.setdefault(shared.key, shared)
    return tuple(found.values())


def _beside(view: GroupView, ranks: Sequence[SharedRank]) -> Iterator[SharedRank]:
    """Columns of several products of one tensor, as if their weights were side by side.

    A step makes the same share of all of them, so that it needs that share of the weights alone.
    """
    for tensor in view.external:
        columns = {
            layer.name: (shared, rank.size)
            for layer, number in view.readings[tensor.name]
            for rank in layer.ranks
            if rank.weights and rank.axis is not None and rank.reads[number] is None
            for shared in ranks
            if (layer.name, rank) in shared.key
        }
        tied = len({shared.key for shared, _ in columns.values()}) < len(columns)
        if len(columns) < 2 or tied:
            continue
        anchor = max(columns, key=lambda name: columns[name][1])
        members: dict[str, Member] = {}
        for name, (shared, size) in columns.items():
            share = Fraction(size, columns[anchor][1]) / shared.members[name].rate
            for other, member in shared.members.items():
                members.setdefault(other, Member(member.rank, member.rate * share))
        yield SharedRank(view, anchor, members)


def _shared(
    view: GroupView, layer: FoldedLayer, rank: Rank, *, outside: bool
) -> SharedRank | None:
    if rank.recurrent and not may_stream(view, layer, rank):
        return None
    left: set[str] = set()
    while True:
        members = _grown(view, layer, rank, left, outside=outside)
        shared = SharedRank(view, layer.name, members)
        wrong = _contradiction(shared)
        if wrong is None:
            return shared
        before, after = wrong
        if layer.name == before == after:
            return None
        left.add(before if before != layer.name else after)


def _grown(
    view: GroupView, layer: FoldedLayer, rank: Rank, left: set[str], *, outside: bool
) -> dict[str, Member]:
    """Follow the tensors of the group from an anchor on."""
    members = {layer.name: Member(rank, Fraction(1))}
    stack = [layer]
    while stack:
        here = stack.pop()
        for other, member in (
            *_makers(view, here, members[here.name]),
            *_readers(view, here, members[here.name]),
            *(_siblings(view, here, members[here.name]) if outside else ()),
        ):
            if other.name not in members and other.name not in left:
                members[other.name] = member
                stack.append(other)
    return members


def _makers(
    view: GroupView, layer: FoldedLayer, member: Member
) -> Iterator[tuple[FoldedLayer, Member]]:
    for tensor, reach in zip(layer.inputs, member.rank.reads, strict=True):
        maker = view.makers.get(tensor.name)
        if reach is None or maker is None:
            continue
        for rank in maker.ranks:
            if rank.axis == reach.axis and _streams(view, maker, rank):
                yield maker, Member(rank, member.rate * reach.stride / reach.share)


def _readers(
    view: GroupView, layer: FoldedLayer, member: Member
) -> Iterator[tuple[FoldedLayer, Member]]:
    if member.rank.axis is None:
        return
    for reader, number in view.readings.get(layer.output.name, ()):
        for rank in reader.ranks:
            reach = rank.reads[number]
            if reach is None or reach.axis != member.rank.axis:
                continue
            if _streams(view, reader, rank):
                yield reader, Member(rank, member.rate / reach.stride * reach.share)


def _siblings(
    view: GroupView, layer: FoldedLayer, member: Member
) -> Iterator[tuple[FoldedLayer, Member]]:
    """Others that read a tensor from outside along the same axis, at the same pace."""
    for tensor, reach in zip(layer.inputs, member.rank.reads, strict=True):
        if reach is None or tensor.name in view.makers:
            continue
        pace = member.rate * reach.stride / reach.share
        for reader, number in view.readings[tensor.name]:
            for rank in reader.ranks:
                read = rank.reads[number]
                if read is not None and read.axis == reach.axis and _streams(view, reader, rank):
                    yield reader, Member(rank, pace / read.stride * read.share)


def _streams(view: GroupView, layer: FoldedLayer, rank: Rank) -> bool:
    return not rank.recurrent or may_stream(view, layer, rank)


def may_stream(view: GroupView, layer: FoldedLayer, rank: Rank) -> bool:
    """Whether an operation may run along a rank tile by tile, its results corrected later.

    All that read them must sum over them, so that the sums can be rescaled when the state
    changes (softmax: the maximum) or corrected in the end (normalisations).
    """
    name = layer.output.name
    readings = view.readings.get(name, ())
    if not readings or name in {tensor.name for tensor in view.leaving}:
        return False
    if any(o.rpartition(".")[2] not in LINEAR for o in layer.operators[1:]):
        return False
    return all(
        any(
            other.axis is None and reach is not None and reach.axis == rank.axis
            for other in reader.ranks
            for reach in (other.reads[number],)
        )
        for reader, number in readings
    )


def _contradiction(shared: SharedRank) -> tuple[str, str] | None:
    """A member and a later one that could not run in the same loop; None if there are none.

    A layer that needs all of a tensor waits for the whole loop that makes it; so does what comes
    after it, which cannot be in that loop, too.
    """
    view = shared.view
    waits: dict[str, str] = {}
    for layer in view.layers:
        cause = None
        for number, tensor in enumerate(layer.inputs):
            maker = view.makers.get(tensor.name)
            if maker is None:
                continue
            if maker.name in shared.members and not shared.tied(maker, layer, number):
                cause = maker.name
                if maker.name in shared.recurrent:
                    # Nobody would correct what is read before the loop is over.
                    return cause, cause
            elif maker.name not in shared.members and maker.name in waits:
                cause = waits[maker.name]
        if cause is not None:
            if layer.name in shared.members:
                return cause, layer.name
            waits[layer.name] = cause
    return None
