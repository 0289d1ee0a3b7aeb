"""Latencies of groups, and of networks that prefetch, against an execution turn by turn."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from examples import examples
from fusion.networks import conv, network, random_network, residual, tensor
from fusion.step_simulation import run
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.fusion import Assumptions, FoldedGraph, best_plan, fold
from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.group_latency import GroupWork
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.group_plan import Kept, Loop, single_plan

SEEDS = st.integers(0, 10**6)
MOST_TURNS = 4000


def port_of(shared: bool, conventions: str = "exact") -> DramPort:
    memory = replace(
        toolkit.load_arch("eyeriss-conv").memories[0],
        read_bandwidth=1.0,
        write_bandwidth=1.0,
        shared_port=shared,
    )
    return DramPort(memory, toolkit.CONVENTIONS[conventions])


def drawn_work(
    graph: FoldedGraph, group: frozenset[str], words: int, seed: int, port: DramPort
) -> GroupWork | None:
    """A group under its plan with the fewest words, and made-up cycles around its transfers."""
    plan = best_plan(GroupView(graph, group), Assumptions(words))
    if plan is None:
        return None
    draw = random.Random(seed)
    scale = plan.dram_words / len(group) * draw.choice((0.1, 0.5, 1.0, 3.0))
    cycles = {name: scale * draw.random() for name in plan.made}
    view = GroupView(graph, group)
    passing = {}
    for layer in view.layers:
        by = sum(k.moved_words for k in plan.kept if k.depth is None and k.name == layer.name)
        passing[layer.name] = PortWords(reads=by + layer.constant_words)
    work = GroupWork(view, plan, port, cycles, passing)
    return work if sum(work.runs(name) for name in plan.made) <= MOST_TURNS else None


@given(SEEDS, st.sampled_from([40, 90, 200, 600]), st.booleans())
@examples(20)
def test_a_group_is_no_faster_than_its_execution(seed: int, words: int, shared: bool) -> None:
    graph, port = random_network(seed, 5), port_of(shared)
    work = drawn_work(graph, frozenset(graph.names), words, seed, port)
    if work is None:
        return
    more = {name: PortWords(2.0, 3.0) * (seed % 3 * work.runs(name)) for name in work.passing}
    work = replace(work, passing={name: work.passing[name] + more[name] for name in more})
    found = work.latency()
    ran = run(work, shared)
    assert ran.cycles <= found.cycles * (1 + 1e-9)
    past, plan = sum(more.values(), PortWords()), work.plan
    assert found.moved.reads == pytest.approx(plan.input_words + plan.weight_words + past.reads)
    assert found.moved.writes == pytest.approx(plan.output_words + past.writes)
    assert found.cycles >= max(sum(work.cycles.values()), port.cycles(found.moved)) * (1 - 1e-9)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("words", [250, 10**6])
def test_where_computing_hides_what_steps_move_it_is_what_is_executed(
    words: int, shared: bool
) -> None:
    """First loads and last stores, and between them nothing but turns."""
    graph, port = residual(), port_of(shared)
    work = drawn_work(graph, frozenset(graph.names), words, 1, port)
    assert work is not None
    slow = replace(work, cycles=dict.fromkeys(work.cycles, 1e5))
    found, ran = slow.latency(), run(slow, shared)
    assert found.cycles == pytest.approx(ran.cycles, rel=1e-12)
    assert found.first_cycles > 0 and found.last_cycles > 0
    waits = found.first_cycles + found.last_cycles
    assert found.cycles == pytest.approx(4e5 + waits, rel=1e-12)


def test_stores_of_few_steps_are_not_spread_over_all() -> None:
    """The first layer computes, the steps of the second one store: neither hides the other."""
    first = conv("a", tensor("x", 1, 8), 4)
    second = conv("b", first.outputs[0], 64, kernel=1)
    graph, port = fold(network([first, second])), port_of(shared=True)
    stored, steps = graph.layer_of("b").output.elements, 16
    both = ("a", "b")
    plan = replace(
        single_plan(graph, "a"),
        group=frozenset(both),
        loops=(Loop("b.out", 1, 4, steps, frozenset("b")),),
        kept=(
            Kept("x", "input", 0, 64, 64, ("a",), 0, ("a",), (), 64, 64),
            Kept("a", "weights", None, 0, 36, ("a",), size_words=36),
            Kept("a.out", "inside", 0, 256, 0, ("b",), 0, both, (), 256, 256),
            Kept("b", "weights", 1, 32, 256, ("b",), 0, ("b",), (), 16, 256),
            Kept("b.out", "output", 1, 256, stored, (), 0, ("b",), (), stored // steps, stored),
        ),
        made={"a": {(): 1}, "b": {((1, 4),): steps}},
        footprint_words=600,
        peak_words=600,
    )
    passing = {"a": PortWords(reads=36.0)}
    work = GroupWork(GroupView(graph, plan.group), plan, port, {"a": 1e4, "b": 16.0}, passing)
    found, stores = work.latency(), port.cycles(PortWords(writes=stored))
    assert 1e4 > stores > 1e3
    assert 1e4 + stores < run(work, shared=True).cycles <= found.cycles
    assert found.cycles < 1.02 * (1e4 + stores)


def test_a_steady_state_hides_first_loads_and_last_stores() -> None:
    graph = residual()
    for shared in (True, False):
        exact, steady = (
            drawn_work(graph, frozenset(graph.names), 10**6, 1, port_of(shared, name))
            for name in ("exact", "steady")
        )
        assert exact is not None and steady is not None
        assert steady.latency().cycles < exact.latency().cycles
        assert steady.latency().cycles >= steady.port.cycles(steady.latency().moved)
