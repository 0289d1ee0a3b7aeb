"""What groups hide under their neighbours, in DRAM cycles that these leave idle.

SoMa (Cai et al., HPCA 2025) searches when each word comes and goes; here that is one group earlier
or later. Without prefetch groups run one after the other, each from its first load to its last
store. With it, while a group runs

- the first loads of the next one come in: its weights that stay, then its first tiles, if they
  were made before the present group or by nobody (what the present group makes is there to be
  read only once all of it is written);
- the last results of the one before go out, if the present group does not read them;

each in the cycles in which the present group leaves the port idle, and as far as the fusion level
has room beside the most that it holds (`GroupPlan.peak_words`; of a layer on its own, the tiles
that its mapping keeps there). Nothing waits for longer than one group, layers on their own have
nothing to come early, and no word moves that did not move before: energies stay as they are.

DRAM is never asked for more than it can do: a group lasts at least as long as its own transfers
and those of its neighbours that fall into it. So the network takes no fewer cycles than all of
its transfers, nor than all of its computing, which is what bounds of latency say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor, fsum

from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.group_latency import GroupWork, name_of
from toolkit.fusion.groups import Group, GroupView, quotient


@dataclass(frozen=True)
class Running:
    """A group as it runs on its own.

    Parameters
    ----------
    group : frozenset of str
        Names of its layers.
    cycles : float
        From its first load to its last store.
    moved : PortWords
        What DRAM moves meanwhile.
    room_words : int
        Words that it leaves free on the fusion level throughout.
    work : GroupWork or None
        None for a layer on its own: nothing of it comes early or leaves late.
    """

    group: Group
    cycles: float
    moved: PortWords
    room_words: int
    work: GroupWork | None = None

    @property
    def last_stores(self) -> dict[str, int]:
        """Words that are left to go out after its last step, by tensor."""
        if self.work is None:
            return {}
        return {item.name: item.tile_words for item in self.work.last_stores}

    def among(self, early: Mapping[str, int], late: Mapping[str, int]) -> Running:
        """The same with words of first loads that came before, and of last stores that stay."""
        if self.work is None or not (early or late):
            return self
        alone, found = self.work.latency(), self.work.latency(early, late)
        cycles = self.cycles - alone.cycles + found.cycles
        return replace(self, cycles=cycles, moved=found.moved)


@dataclass(frozen=True)
class Prefetched:
    """A group among its neighbours.

    Parameters
    ----------
    group : frozenset of str
        Names of its layers.
    cycles : float
        That it adds to the latency of the network.
    hidden_cycles : float
        By how much these are fewer than on its own.
    early_words : mapping of str to int
        Words of its own that come while the group before runs, by their names in timelines.
    late_words : mapping of str to int
        Words of its own, by tensor, that leave while the next group runs.
    """

    group: Group
    cycles: float
    hidden_cycles: float
    early_words: Mapping[str, int] = field(default_factory=dict)
    late_words: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PrefetchedNetwork:
    """All groups, in the order in which they run.

    Parameters
    ----------
    groups : tuple of Prefetched
        One after the other.
    """

    groups: tuple[Prefetched, ...]

    @property
    def hidden_cycles(self) -> float:
        """Cycles that the network takes less than without prefetch."""
        return fsum(group.hidden_cycles for group in self.groups)

    @property
    def latency_cycles(self) -> float:
        """Of the whole network."""
        return fsum(group.cycles for group in self.groups)

    def beside(self, number: int) -> dict[str, int]:
        """What is on the fusion level beside a group's own, by names that tell whose it is."""
        found: dict[str, int] = {}
        if number > 0:
            late = self.groups[number - 1].late_words
            found |= {f"{name} of group {number - 1}": words for name, words in late.items()}
        if number + 1 < len(self.groups):
            early = self.groups[number + 1].early_words
            found |= {f"{name} for group {number + 1}": words for name, words in early.items()}
        return found


@dataclass(frozen=True)
class _State:
    """A group after others: what has come for it, and what of the one before it leaves meanwhile.

    `alone` is the group on its own, `running` the same with what came early.
    """

    alone: Running
    running: Running
    early: Mapping[str, int] = field(default_factory=dict)
    beside: Mapping[str, int] = field(default_factory=dict)

    @property
    def room_words(self) -> int:
        return self.running.room_words - sum(self.beside.values())


@dataclass(frozen=True)
class _Pair:
    """Two groups one after the other: what leaves of the first one late, and the second one."""

    late: Mapping[str, int]
    next: _State
    hidden_cycles: float


def prefetch(graph: FoldedGraph, port: DramPort, groups: Sequence[Running]) -> PrefetchedNetwork:
    """Hide what can be hidden, in the better of two orders of the groups.

    One is the network's own, in which groups start as early as their first layers stand in it; in
    the other, of all groups that could be next the one follows that hides most.

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    port : DramPort
        What all transfers pass.
    groups : sequence of Running
        A partition of the network.
    """

    def own(ready: list[int], last: _State | None) -> int:
        return ready[0]

    def most_hidden(ready: list[int], last: _State | None) -> int:
        if last is None:
            return ready[0]
        return max(
            ready, key=lambda number: _pair(graph, port, last, groups[number]).hidden_cycles
        )

    found = [_in_order(graph, port, groups, choose) for choose in (own, most_hidden)]
    return min(found, key=lambda network: network.latency_cycles)


def _in_order(
    graph: FoldedGraph,
    port: DramPort,
    groups: Sequence[Running],
    choose: Callable[[list[int], _State | None], int],
) -> PrefetchedNetwork:
    """Run groups as soon as others that they read from have run, whichever is chosen."""
    order = quotient(graph, [running.group for running in groups])
    start = [min(graph.positions[name] for name in running.group) for running in groups]
    waiting = dict(order.in_degree())
    ready = [number for number, sources in waiting.items() if not sources]
    done: list[Prefetched] = []
    last: _State | None = None
    while ready:
        ready.sort(key=start.__getitem__)
        number = choose(ready, last)
        ready.remove(number)
        state = _State(groups[number], groups[number])
        if last is not None:
            pair = _pair(graph, port, last, groups[number])
            done.append(_prefetched(last, pair.late))
            state = pair.next
        last = state
        for reader in order.successors(number):
            waiting[reader] -= 1
            ready += [reader] if not waiting[reader] else []
    if last is not None:
        done.append(_prefetched(last, {}))
    return PrefetchedNetwork(tuple(done))


def _prefetched(state: _State, late: Mapping[str, int]) -> Prefetched:
    cycles, alone = state.alone.among(state.early, late).cycles, state.alone
    return Prefetched(alone.group, cycles, alone.cycles - cycles, state.early, late)


def _pair(graph: FoldedGraph, port: DramPort, last: _State, alone: Running) -> _Pair:
    """Let a group follow another one."""
    early = _early(graph, port, last, alone)
    running = alone.among(early, {})
    late = _late(graph, port, last, running)
    saved = last.running.cycles - last.alone.among(last.early, late).cycles
    hidden = alone.cycles - running.cycles + saved
    return _Pair(late, _State(alone, running, early, late), hidden)


def _early(graph: FoldedGraph, port: DramPort, last: _State, running: Running) -> dict[str, int]:
    """Words of the first loads of a group that come while another one runs."""
    if running.work is None:
        return {}
    # Not there before the last group has run: what it makes, and what still leaves beside it.
    made = {graph.layer_of(name).output.name for name in last.alone.group} | set(last.beside)
    loads = [
        (name_of(item), item.tile_words)
        for item in running.work.first_loads
        if not (item.kind == "input" and item.name in made)
    ]
    # What leaves late is not waited for: the port for reads is not idle then.
    soonest = last.alone.among(last.early, last.alone.last_stores)
    moved = soonest.moved + PortWords(writes=sum(last.beside.values()))
    idle = port.spare("reads", soonest.cycles, moved)
    return _as_many(loads, min(last.room_words, floor(idle)))


def _late(graph: FoldedGraph, port: DramPort, last: _State, running: Running) -> dict[str, int]:
    """Words of the last stores of a group that leave while another one runs."""
    read = {tensor.name for tensor in GroupView(graph, running.group).external}
    stores = [entry for entry in last.alone.last_stores.items() if entry[0] not in read]
    idle = port.spare("updates", running.cycles, running.moved)
    return _as_many(stores, min(running.room_words, floor(idle)))


def _as_many(tiles: Iterable[tuple[str, int]], words: int) -> dict[str, int]:
    """So many words of tiles, the first ones first."""
    found: dict[str, int] = {}
    for name, size in tiles:
        taken = min(size, words)
        if taken > 0:
            found[name] = taken
            words -= taken
    return found
