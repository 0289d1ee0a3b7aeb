"""Latencies of groups, and of networks that prefetch, against an execution turn by turn."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from fusion.networks import random_network
from fusion.step_simulation import run
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit
from toolkit.fusion import Assumptions, FoldedGraph, best_plan
from toolkit.fusion.group_latency import DramPort, GroupWork, PortWords
from toolkit.fusion.groups import GroupView

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
@settings(max_examples=150, deadline=None)
def test_a_group_is_no_faster_than_its_execution(seed: int, words: int, shared: bool) -> None:
    graph, port = random_network(seed, 5), port_of(shared)
    work = drawn_work(graph, frozenset(graph.names), words, seed, port)
    if work is None:
        return
    found = work.latency()
    ran = run(work, shared)
    assert ran.cycles <= found.cycles * (1 + 1e-9)
    assert found.moved.reads == pytest.approx(work.plan.input_words + work.plan.weight_words)
    assert found.moved.writes == pytest.approx(work.plan.output_words)
    assert found.cycles >= max(sum(work.cycles.values()), port.cycles(found.moved)) * (1 - 1e-9)
