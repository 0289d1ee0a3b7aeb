"""All plans of small groups, one by one: every nest, tile, depth and way to treat halos.

Words and room are counted on the elements that a program touches (`fusion.nest_stays`); what is
shared with the searches is only which ranks there are to loop over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, permutations, product
from math import lcm, prod

import networkx as nx
import numpy as np
from fusion.nest_operations import Ints
from fusion.nest_program import ImpossibleError, Loop, Program, repeated
from fusion.nest_stays import Stay, ahead_words, stay, touches

from toolkit.fusion import FoldedGraph
from toolkit.fusion.groups import Group, GroupView, quotient
from toolkit.fusion.tile.assumptions import HALOS, Halo
from toolkit.fusion.tile.group_plan import Kept
from toolkit.fusion.tile.shared import SharedRank, shared_ranks
from toolkit.fusion.tile.windows import places_of

Frontier = list[tuple[int, int]]
"""Words on chip and words moved, the fewer of one the more of the other."""


def partitions(names: Sequence[str]) -> Iterator[list[set[str]]]:
    """All partitions of a set."""
    if not names:
        yield []
        return
    for rest in partitions(names[1:]):
        yield [{names[0]}, *rest]
        for i, part in enumerate(rest):
            yield [*rest[:i], part | {names[0]}, *rest[i + 1 :]]


def share_tensors(graph: FoldedGraph, part: set[str]) -> bool:
    """Whether tensors connect layers: each is one node, beside those that make or read it."""
    touched = nx.Graph()
    for name in part:
        layer = graph.layer_of(name)
        touched.add_edges_from((name, ("tensor", t.name)) for t in (*layer.inputs, layer.output))
    return bool(nx.is_connected(touched))


def legal(graph: FoldedGraph) -> Iterator[list[Group]]:
    """Partitions into connected groups that do not wait for each other."""
    for parts in partitions(graph.names):
        if all(share_tensors(graph, part) for part in parts):
            groups = [frozenset(part) for part in parts]
            if nx.is_directed_acyclic_graph(quotient(graph, groups)):
                yield groups


def programs(view: GroupView, most_loops: int, halos: Sequence[Halo] = HALOS) -> Iterator[Program]:
    """Every nest of up to so many loops, every tile, operators run once or again."""
    ranks = shared_ranks(view)
    for count in range(min(most_loops, len(ranks)) + 1):
        for chosen in permutations(ranks, count):
            if any(a.key & b.key for a, b in combinations(chosen, 2)):
                continue
            for inside in _insides(view, chosen):
                for loops in product(
                    *(_loops(r, la) for r, la in zip(chosen, inside, strict=True))
                ):
                    for again in _repetitions(loops, halos):
                        yield Program(view, loops, again)


def _insides(
    view: GroupView, chosen: Sequence[SharedRank]
) -> Iterator[tuple[frozenset[str], ...]]:
    """Layers in every loop: those that it cuts, then those that run again for readers, too."""
    once = tuple(frozenset(rank.members) for rank in chosen)
    yield once
    found = [set(names) for names in once]
    for layer in reversed(view.layers):
        own = [i for i, names in enumerate(found) if layer.name in names]
        if layer.macs or not own:
            continue
        for i in range(max(own)):
            if any(r.name in found[i] for r in view.readers.get(layer.output.name, ())):
                found[i].add(layer.name)
    again = tuple(frozenset(names) for names in found)
    if again != once:
        yield again


def _loops(rank: SharedRank, layers: frozenset[str]) -> Iterator[Loop]:
    """A loop for every tile at which nothing advances by fractions."""
    view = rank.view
    rates = [member.rate for member in rank.members.values()]
    for name in rank.members:
        layer = view.graph.layer_of(name)
        for number in range(len(layer.inputs)):
            read = rank.reading(layer, number)
            if read is not None:
                rates.append(read[0].rate)
    ends = [
        name
        for name in rank.members
        if not any(
            reader.name in rank.members and rank.members[name].rank.axis is not None
            for reader in view.readers.get(view.graph.layer_of(name).output.name, ())
        )
    ]
    whole = lcm(*(rate.denominator for rate in rates))
    for tile in range(whole, rank.size + 1, whole):
        cuts: dict[str, tuple[int | str, int]] = {}
        for name, member in rank.members.items():
            key = member.rank.dimension if member.rank.axis is None else member.rank.axis
            cuts[name] = key, int(tile * member.rate)
        steps = max(-(-rank.members[name].rank.size // cuts[name][1]) for name in ends)
        if steps > 1:
            yield Loop(layers, cuts, steps, rank.windowed, frozenset(places_of(rank)))


def _repetitions(
    loops: Sequence[Loop], halos: Sequence[Halo]
) -> Iterator[tuple[frozenset[str], ...]]:
    """Halos of every tensor treated in every way; alike where there are two such loops."""
    windowed = [loop for loop in loops if loop.windowed]
    if not windowed:
        yield (frozenset(),) * len(loops)
        return
    names = sorted(frozenset.intersection(*(loop.tensors for loop in windowed)))
    if len(windowed) > 1:
        for mode in halos:
            yield repeated(loops, dict.fromkeys(names, mode))
        return
    for count in range(len(names) + 1):
        for again in combinations(names, count):
            yield repeated(loops, dict.fromkeys(again, "recompute"))


@dataclass(frozen=True)
class Choice:
    """One way to keep something: words to and from DRAM, and words on chip during each layer."""

    moved: int
    use: Ints


class Counted:
    """One program, and what each way to keep each thing costs."""

    def __init__(self, program: Program, *, ahead: bool = True) -> None:
        self.program = program
        self.view = program.view
        self.ahead = ahead

    @cached_property
    def choices(self) -> list[list[Choice]]:
        """Ways to keep each thing; none is left for one that cannot be kept."""
        found = [self._input(tensor.name) for tensor in self.view.external]
        leaving = {tensor.name for tensor in self.view.leaving}
        for layer in self.view.layers:
            if layer.weight_words:
                found.append(self._any_depth(Kept(layer.name, "weights", 0, 0, 0, (layer.name,))))
                found[-1].append(self._passing(layer.name))
            readers = tuple(r.name for r in self.view.readers.get(layer.output.name, ()))
            kind = "output" if layer.output.name in leaving else "inside"
            found.append(self._any_depth(Kept(layer.output.name, kind, 0, 0, 0, readers)))
            if self._stream(layer.name) is not None:
                found.append(self._any_depth(Kept(layer.name, "state", 0, 0, 0, ())))
        return [_undominated(choices) for choices in found]

    def _input(self, name: str) -> list[Choice]:
        """Loaded once for all readers, or by each of them."""
        readers = tuple(reader.name for reader in self.view.readers[name])
        together = self._any_depth(Kept(name, "input", 0, 0, 0, readers))
        if len(readers) == 1:
            return together
        each = [
            _undominated(self._any_depth(Kept(name, "input", 0, 0, 0, (reader,))))
            for reader in readers
        ]
        for chosen in product(*each):
            moved = sum(choice.moved for choice in chosen)
            together.append(Choice(moved, np.sum([choice.use for choice in chosen], axis=0)))
        return together

    def _any_depth(self, kept: Kept) -> list[Choice]:
        users = {*kept.readers, kept.name}
        if kept.name in self.view.makers:
            users.add(self.view.makers[kept.name].name)
        found = []
        for depth in range(len(self.program.loops) + 1):
            if depth and not self._side_by_side(users, depth):
                continue
            entry = stay(self.program, replace(kept, depth=depth))
            if self._able(entry):
                found.append(Choice(self._moved(entry), self._use(entry)))
        return found

    def _side_by_side(self, users: set[str], depth: int) -> bool:
        """Whether layers run in the same of the loops down to a depth, and in the last of them."""
        users = users & self.view.group
        return users <= self.program.loops[depth - 1].layers and all(
            users <= loop.layers or users.isdisjoint(loop.layers)
            for loop in self.program.loops[:depth]
        )

    def _stream(self, name: str) -> int | None:
        """The loop that a softmax or a normalisation streams along."""
        done = self.program.operations[name]
        if done.kind not in ("softmax", "layer norm", "rms norm"):
            return None
        last = len(self.view.graph.layer_of(name).output.shape) - 1
        for number, loop in enumerate(self.program.loops):
            if loop.cuts.get(name, ("", 0))[0] == last:
                return number
        return None

    def _sums(self, name: str) -> list[int]:
        return [
            number
            for number, loop in enumerate(self.program.loops)
            if isinstance(loop.cuts.get(name, (0, 0))[0], str)
        ]

    def _able(self, entry: Stay) -> bool:
        """Whether all is there when it is read, sums and states go on from where they were."""
        kept, depth = entry.kept, entry.kept.depth
        assert depth is not None
        if kept.kind in ("input", "weights"):
            return True
        if kept.kind == "state":
            stream = self._stream(kept.name)
            return stream is not None and depth <= stream
        maker = self.view.makers[kept.name].name
        if any(number < depth for number in self._sums(maker)):
            return kept.kind == "output" and not kept.readers
        there = np.zeros(entry.elements, dtype=bool)
        for visit in entry.visits:
            for turn in self.program.turns[visit.start : visit.end + 1]:
                layer = self.view.layers[turn.place]
                if layer.name not in entry.users:
                    continue
                touched = touches(self.program, layer, turn, kept, entry.elements)
                if layer.name == maker:
                    there |= touched
                elif not there[touched].all():
                    return False
            there &= visit.kept
        return True

    def _moved(self, entry: Stay) -> int:
        kept = entry.kept
        if kept.kind in ("input", "weights"):
            return self._loaded(entry)
        if kept.kind != "output":
            return 0
        sums = self._sums(self.view.makers[kept.name].name)
        touched: dict[tuple[int, ...], Ints] = {}
        for visit in entry.visits:
            at = tuple(visit.at[i] for i in sums if i < len(visit.at))
            touched[at] = touched.get(at, np.zeros(entry.elements, dtype=np.int64)) | visit.touched
        times = sum(touched.values())
        return int((2 * times - 1).sum())

    def _loaded(self, entry: Stay) -> int:
        """Weights are loaded in steps in which there is nothing to do, too."""
        if entry.kept.kind != "weights":
            return entry.brought_words
        loops = self.program.loops[: entry.kept.depth]
        steps = prod(loop.steps for loop in loops if entry.kept.name in loop.layers)
        return entry.brought_words * steps // len(entry.visits)

    def _passing(self, name: str) -> Choice:
        """Weights that pass by take no room."""
        entry = stay(self.program, Kept(name, "weights", None, 0, 0, (name,)))
        return Choice(self._loaded(entry), np.zeros(len(self.view.layers), dtype=np.int64))

    def _use(self, entry: Stay) -> Ints:
        """Words during each layer: a buffer is as large as the largest tile in it."""
        kept, visits = entry.kept, entry.visits
        each = 2 if kept.kind == "state" else 1
        carried = [np.zeros(entry.elements, dtype=bool), *(v.kept for v in visits[:-1])]
        tile = max(int((v.touched | c).sum()) for v, c in zip(visits, carried, strict=True))
        between = max(int(visit.kept.sum()) for visit in visits)
        if kept.kind in ("input", "weights") and len(visits) > 1 and self.ahead:
            tile += ahead_words(entry)
        use = np.zeros(len(self.view.layers), dtype=np.int64)
        facing = kept.kind in ("input", "weights", "output") and self.ahead
        for number, visit in enumerate(visits):
            stop = visit.end + 1
            if number + 1 < len(visits):
                following = visits[number + 1]
                if facing and following.at[:-1] == visit.at[:-1]:
                    stop = following.start
                elif visit.kept.any():
                    self._raise(use, range(stop, following.start), each * between)
            self._raise(use, range(visit.start, stop), each * tile)
        return use

    def _raise(self, use: Ints, times: Iterable[int], words: int) -> None:
        for place in {self.program.turns[time].place for time in times}:
            use[place] = max(use[place], words)

    def frontier(self) -> Frontier:
        """All combinations of ways to keep things that are worth it."""
        if not all(self.choices):
            return []
        use, moved = np.zeros((len(self.view.layers), 1), dtype=np.int64), np.zeros(1, np.int64)
        for choices in self.choices:
            use = np.concatenate([use + choice.use[:, None] for choice in choices], axis=1)
            moved = np.concatenate([moved + choice.moved for choice in choices])
        return cheapest(zip(use.max(axis=0).tolist(), moved.tolist(), strict=True))


def _undominated(choices: Sequence[Choice]) -> list[Choice]:
    kept: list[Choice] = []
    for choice in sorted(choices, key=lambda choice: (choice.moved, int(choice.use.sum()))):
        if not any(
            other.moved <= choice.moved and (other.use <= choice.use).all() for other in kept
        ):
            kept.append(choice)
    return kept


def cheapest(pairs: Iterable[tuple[int, int]]) -> Frontier:
    """Pairs that no other is as good as in both."""
    kept: Frontier = []
    for room, moved in sorted(set(pairs)):
        if not kept or moved < kept[-1][1]:
            kept.append((room, moved))
    return kept


def group_frontier(view: GroupView, most_loops: int, *, ahead: bool = True) -> Frontier:
    """The fewest words of a group for any room, constants included."""
    constants = sum(layer.constant_words for layer in view.layers)
    found: Frontier = []
    for program in programs(view, most_loops):
        with suppress(ImpossibleError):
            found += Counted(program, ahead=ahead).frontier()
    return [(room, moved + constants) for room, moved in cheapest(found)]


def least_words(frontier: Frontier, room: int) -> int | None:
    """The fewest words in so much room; None if nothing fits."""
    able = [moved for needed, moved in frontier if needed <= room]
    return min(able, default=None)


class Enumerated:
    """All plans of all groups of a small graph.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    most_loops : int
        Of a nest.
    ahead : bool
        Whether tiles move to and from DRAM while others are used.
    """

    def __init__(self, graph: FoldedGraph, most_loops: int, *, ahead: bool = True) -> None:
        self.graph = graph
        self.most_loops = most_loops
        self._partitions = list(legal(graph))
        self.frontiers = {
            group: group_frontier(GroupView(graph, group), most_loops, ahead=ahead)
            for group in {group for groups in self._partitions for group in groups}
        }

    def rooms(self, most: int) -> list[int]:
        """Rooms at which something changes, spread over all that there are."""
        steps = sorted({room for entry in self.frontiers.values() for room, _ in entry})
        steps = [room - 1 for room in steps[:1] if room > 1] + steps
        return steps[:: max(1, -(-len(steps) // most))]

    def group_words(self, group: Group, room: int) -> int | None:
        """The fewest words of a group; of a layer on its own that never fits, every operand."""
        words = least_words(self.frontiers[group], room)
        if words is None and len(group) == 1:
            (layer,) = GroupView(self.graph, group).layers
            fetched = len(layer.layer.inputs) * layer.macs
            read = max(fetched, sum(tensor.elements for tensor in layer.inputs))
            weights = max(layer.weight_words, layer.macs if layer.weight_words else 0)
            words = read + layer.constant_words + weights + layer.output.elements
        return words

    def words(self, room: int) -> int:
        """The fewest words of all partitions."""
        totals = []
        for groups in self._partitions:
            each = [self.group_words(group, room) for group in groups]
            if None not in each:
                totals.append(sum(words for words in each if words is not None))
        return min(totals)
