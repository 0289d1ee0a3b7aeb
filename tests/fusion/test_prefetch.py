"""What groups hide under their neighbours: executed, possible, never better than the bounds."""

from __future__ import annotations

import random
from dataclasses import replace

import networkx as nx
import pytest
from examples import examples
from fusion.networks import add, conv, network, random_network, residual, tensor
from fusion.step_simulation import run
from fusion.test_group_latency import drawn_work, port_of
from fusion.test_mapped import QUICK, model
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.errors import InputError
from toolkit.fusion import Assumptions, FoldedGraph, find_partition, fold, steps_to_fused
from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.group_model import total_costs
from toolkit.fusion.groups import Group, GroupView, is_partition, quotient
from toolkit.fusion.prefetch import PrefetchedNetwork, Running, prefetch
from toolkit.fusion.timeline import timeline
from toolkit.search.network import LayerSearch

SEEDS = st.integers(0, 10**6)


def drawn_groups(graph: FoldedGraph, draw: random.Random) -> list[Group]:
    """A legal partition: some edges are contracted."""
    groups = [frozenset((name,)) for name in graph.names]
    for a, b in graph.edges:
        ends = {group for group in groups if a in group or b in group}
        merged = [*(g for g in groups if g not in ends), frozenset().union(*ends)]
        if draw.random() < 0.5 and is_partition(graph, merged):
            groups = merged
    return groups


def drawn_network(
    seed: int, words: int, port: DramPort
) -> tuple[FoldedGraph, list[Running]] | None:
    """Groups with made-up cycles; some layers on their own have nothing to come early."""
    graph, draw = random_network(seed, 6), random.Random(seed)
    found = []
    for group in drawn_groups(graph, draw):
        work = drawn_work(graph, group, words, seed, port)
        if work is None:
            return None
        latency = work.latency()
        alone = len(group) == 1 and draw.random() < 0.5
        room = words - work.plan.peak_words
        found.append(Running(group, latency.cycles, latency.moved, room, None if alone else work))
    return graph, found


def executed_cycles(
    shared: bool, port: DramPort, running: list[Running], found: PrefetchedNetwork
) -> float:
    """Turn by turn; what comes early and leaves late takes what others leave of the port."""
    total, groups = 0.0, [*found.groups]
    for number, group in enumerate(groups):
        alone = running[number]
        late = groups[number - 1].late_words if number else {}
        early = groups[number + 1].early_words if number + 1 < len(groups) else {}
        asked = PortWords(sum(early.values()), sum(late.values()))
        if alone.work is None:
            total += max(alone.cycles, port.cycles(alone.moved + asked))
            continue
        ran = run(alone.work, shared, group.early_words, group.late_words)
        reads, writes = (
            port.cycles(PortWords(reads=asked.reads)),
            port.cycles(PortWords(writes=asked.writes)),
        )
        over = (
            (reads + writes - ran.idle_reads,)
            if shared
            else (
                reads - ran.idle_reads,
                writes - ran.idle_writes,
            )
        )
        total += ran.cycles + max(0.0, *over)
    return total


@given(SEEDS, st.sampled_from([90, 200, 600]), st.booleans())
@examples(12)
def test_what_is_hidden_can_be_executed(seed: int, words: int, shared: bool) -> None:
    port = port_of(shared)
    drawn = drawn_network(seed, words, port)
    if drawn is None:
        return
    check_executed(*drawn, words, shared)


def check_executed(graph: FoldedGraph, groups: list[Running], words: int, shared: bool) -> None:
    """The network is no faster than its execution, which is possible."""
    port = port_of(shared)
    found = prefetch(graph, port, groups)
    by = {running.group: running for running in groups}
    running = [by[entry.group] for entry in found.groups]
    assert found.latency_cycles == pytest.approx(
        sum(r.cycles for r in groups) - found.hidden_cycles
    )
    assert all(entry.hidden_cycles >= -1e-9 * entry.cycles for entry in found.groups)
    assert executed_cycles(shared, port, running, found) <= found.latency_cycles * (1 + 1e-9)
    moved = sum((r.moved for r in groups), PortWords())
    assert found.latency_cycles >= port.cycles(moved) * (1 - 1e-9)
    check_possible(graph, words, running, found)


def check_possible(
    graph: FoldedGraph, words: int, running: list[Running], found: PrefetchedNetwork
) -> None:
    """Groups run after those that they read from, tensors are there, and all of it has room."""
    order = [entry.group for entry in found.groups]
    edges = quotient(graph, order)
    assert all(a < b for a, b in edges.edges) and nx.is_directed_acyclic_graph(edges)
    maker = {layer.output.name: layer.name for layer in graph.layers}
    written = dict.fromkeys(maker.values(), 0)
    for number, entry in enumerate(found.groups):
        for name in entry.group:
            tensor_name = graph.layer_of(name).output.name
            written[name] = number + (1 if tensor_name in entry.late_words else 0)
    for number, entry in enumerate(found.groups):
        for name in entry.early_words:
            assert name not in maker or written[maker[name]] < number - 1
        for tensor_info in GroupView(graph, entry.group).external:
            if tensor_info.name in maker:
                assert written[maker[tensor_info.name]] < number
        work, beside = running[number].work, found.beside(number)
        if work is not None:
            line = timeline(work.plan, graph, Assumptions(words), beside)
            assert line.peak_words == work.plan.peak_words + sum(beside.values()) <= words
        else:
            assert sum(beside.values()) <= running[number].room_words


def two_groups(room: int) -> tuple[PrefetchedNetwork, int, DramPort]:
    """A chain: a group that computes for long, and one whose weights stay; words of these."""
    layers = [conv("a", tensor("x", 2, 8), 2)]
    for before, name in zip("abc", "bcd", strict=True):
        layers.append(conv(name, layers[-1].outputs[0], 2))
        assert layers[-2].name == before
    graph, port = fold(network(layers)), port_of(shared=True)
    running = []
    for names, words in (("ab", 10**4), ("cd", 200)):
        work = drawn_work(graph, frozenset(names), words, 1, port)
        assert work is not None
        slow = replace(work, cycles=dict.fromkeys(work.cycles, 1e4))
        latency = slow.latency()
        running.append(Running(frozenset(names), latency.cycles, latency.moved, room, slow))
    weights = running[1].work
    assert weights is not None
    kept = sum(k.tile_words for k in weights.first_loads if k.kind == "weights")
    return prefetch(graph, port, running), kept, port


def test_weights_come_while_the_group_before_computes() -> None:
    """As far as there is room; what that group makes does not."""
    found, words, port = two_groups(10**4)
    (before, after) = found.groups
    assert words > 20
    assert sum(after.early_words.values()) == words
    assert all(name.startswith("weights of ") for name in after.early_words)
    assert before.late_words == {} and before.hidden_cycles == 0
    first = port.cycles(PortWords(reads=after.early_words["weights of c"]))
    assert first <= after.hidden_cycles <= port.cycles(PortWords(reads=words))
    little, _, _ = two_groups(20)
    assert sum(little.groups[1].early_words.values()) == 20
    assert 0 < little.hidden_cycles <= port.cycles(PortWords(reads=20.0)) < found.hidden_cycles
    nothing, _, _ = two_groups(0)
    assert nothing.hidden_cycles == 0


def test_of_two_orders_the_one_that_hides_more_is_taken() -> None:
    """Branches: what a group makes leaves while one runs that does not read it."""
    stem = conv("stem", tensor("x", 2, 8), 2)
    left, right = (conv(name, stem.outputs[0], 2) for name in ("left", "right"))
    last = add("sum", left.outputs[0], right.outputs[0])
    graph, port = fold(network([stem, left, right, last])), port_of(shared=True)
    running = []
    for name in graph.names:
        work = drawn_work(graph, frozenset((name,)), 10**4, 1, port)
        assert work is not None
        slow = replace(work, cycles=dict.fromkeys(work.cycles, 1e4))
        latency = slow.latency()
        running.append(Running(work.plan.group, latency.cycles, latency.moved, 10**4, slow))
    found = prefetch(graph, port, running)
    assert [len(entry.late_words) for entry in found.groups].count(1) == 1
    assert found.groups[1].late_words and found.hidden_cycles > 0


@pytest.mark.parametrize("objective", ["edp", "latency", "energy", "dram"])
def test_results_are_less_what_is_hidden(objective: str) -> None:
    graph = residual(rows=16)
    apart, hidden = (
        find_partition(model(graph, objective=objective, prefetch=on)) for on in (False, True)
    )
    assert apart.prefetch is None and hidden.prefetch is not None
    assert hidden.bound <= hidden.value <= apart.value
    assert hidden.dram_words == apart.dram_words
    if objective in ("edp", "latency"):
        latency = total_costs(hidden.groups)[-1]
        assert hidden.costs[-1] == latency - hidden.hidden_cycles
        assert hidden.prefetch.latency_cycles == pytest.approx(hidden.costs[-1])


def test_layers_on_their_own_hide_nothing() -> None:
    """So that a network of which nothing is fused costs the same with prefetch and without."""
    graph = residual()
    apart, hidden = (find_partition(model(graph, prefetch=on), "none") for on in (False, True))
    assert hidden.value == apart.value == apart.unfused_value
    assert hidden.hidden_cycles == 0


def test_what_is_hidden_is_a_step_of_its_own() -> None:
    """The steps end at what the partition costs."""
    gemmini = toolkit.load_arch("gemmini-ws")
    one = conv("one", tensor("x", 32, 28), 32)
    two = conv("two", one.outputs[0], 32)
    other = conv("other", tensor("y", 32, 28), 32)
    graph = fold(network([one, two, other, add("sum", two.outputs[0], other.outputs[0])]))
    priced = toolkit.fusion.MappedModel(
        graph, gemmini, search=QUICK, cache=False, proof_seconds=0.0, prefetch=True
    )
    halves = [("one", "two"), ("other", "sum")]
    found = toolkit.fusion.cost_partition(priced, halves)
    steps = steps_to_fused(priced, found)
    assert steps[-1].after.latency_cycles == pytest.approx(found.costs[-1])
    assert found.hidden_cycles > 0
    assert steps[-1].name == "prefetch"
    assert steps[-1].change == pytest.approx(
        {
            "energy_pj": 0.0,
            "dram_words": 0,
            "latency_cycles": -found.hidden_cycles,
            "edp_pj_cycles": -found.hidden_cycles * found.costs[0],
        }
    )
    assert list(found.table()["hidden_cycles"]) == [
        entry.hidden_cycles
        for entry in found.prefetch.groups  # type: ignore[union-attr]
    ]


def test_a_steady_state_has_nothing_to_prefetch() -> None:
    search = LayerSearch(conventions=toolkit.CONVENTIONS["steady"])
    with pytest.raises(InputError, match="prefetch: steady conventions take first loads"):
        toolkit.fusion.MappedModel(
            residual(), toolkit.load_arch("eyeriss-conv"), search=search, prefetch=True
        )
