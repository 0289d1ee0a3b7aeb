"""Schedules of the vector unit beside the array, against bounds and schedules by hand."""

from __future__ import annotations

import math

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.search.network.overlap import ARRAY, VECTOR_UNIT, Task, overlapped_cycles

from .layers import network, product, total


@st.composite
def schedules(draw: st.DrawFn) -> tuple[nx.DiGraph, dict[str, Task]]:
    count = draw(st.integers(1, 8))
    graph = nx.DiGraph()
    graph.add_nodes_from(map(str, range(count)))
    for late in range(count):
        for early in range(late):
            if draw(st.booleans()):
                graph.add_edge(str(early), str(late))
    unit, cycles = st.sampled_from([ARRAY, VECTOR_UNIT]), st.integers(0, 20)
    share = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    return graph, {name: Task(draw(unit), float(draw(cycles)), draw(share)) for name in graph}


@given(schedules())
def test_no_schedule_is_shorter_than_its_parts_or_longer_than_all_in_a_row(
    drawn: tuple[nx.DiGraph, dict[str, Task]],
) -> None:
    graph, tasks = drawn
    made = overlapped_cycles(graph, tasks)
    longest = max(
        sum(tasks[name].cycles for name in path)
        for source in graph
        for target in graph
        for path in (
            [[source]] if source == target else nx.all_simple_paths(graph, source, target)
        )
    )
    by_unit = [
        math.fsum(task.cycles for task in tasks.values() if task.unit == unit)
        for unit in (ARRAY, VECTOR_UNIT)
    ]
    outside = math.fsum(task.cycles * task.outside_share for task in tasks.values())
    apart = math.fsum(task.cycles for task in tasks.values())
    assert max(longest, *by_unit, outside) <= made * (1 + 1e-9)
    assert made <= apart * (1 + 1e-9)


def test_words_of_both_share_the_outermost_memory() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from("av")
    tasks = {"a": Task(ARRAY, 10, 0.8), "v": Task(VECTOR_UNIT, 4, 0.7)}
    # Both run 1.5 times slower until the shorter one is done.
    assert overlapped_cycles(graph, tasks) == pytest.approx(4 * 1.5 + 6)


def test_a_network_is_shorter_where_nothing_waits() -> None:
    layers = (
        product("a", toolkit.gemm(64, 64, 64)),
        total("t", "x", 64),
        product("b", toolkit.gemm(64, 64, 64), reads="a"),
    )
    options = {"budget": toolkit.Budget(evaluations=200), "cache": False, "jobs": 1}
    arch = toolkit.load_arch("eyeriss")
    apart = toolkit.map_network(network(*layers), arch, **options)
    beside = toolkit.map_network(network(*layers), arch, overlap_vector=True, **options)
    assert apart.latency_cycles == math.fsum(layer.latency_cycles for layer in apart.layers)
    hidden = apart.latency_cycles - beside.latency_cycles
    assert 0 < hidden <= beside["t"].latency_cycles
    assert beside.energy_pj == apart.energy_pj
    assert beside.to_dict()["overlap_vector"]
