"""What passes by the fusion level and what stays there, where mappings ask for it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from fusion.networks import add, conv, network, random_network, tensor
from fusion.test_mapped import QUICK

import toolkit
from toolkit.fusion import Assumptions, FoldedGraph, GroupPlan, MappedModel, best_plan, fold
from toolkit.fusion.groups import GroupView
from toolkit.fusion.passing import passed_by, weights_kept
from toolkit.fusion.tile.group_plan import Loop


@pytest.fixture(scope="module")
def graph() -> FoldedGraph:
    """A chain of three, the first of which is read again by an addition."""
    one = conv("one", tensor("x", 2, 8), 2)
    two = conv("two", one.outputs[0], 4)
    three = conv("three", two.outputs[0], 2)
    return fold(network([one, two, three]))


def whole(graph: FoldedGraph, words: int = 10**6) -> tuple[GroupPlan, Assumptions]:
    allowed = Assumptions(words)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), allowed)
    assert plan is not None
    return plan, allowed


def test_weights_that_are_read_once_pass_by(graph: FoldedGraph) -> None:
    plan, allowed = whole(graph)
    assert not plan.resident
    once = {name: graph.layer_of(name).weight_words for name in graph.names}
    assert weights_kept(plan, graph, allowed, once) is None
    twice = weights_kept(plan, graph, allowed, {**once, "two": 2 * once["two"]})
    assert twice is not None and twice.resident == {"two"}
    assert twice.peak_words == plan.peak_words + once["two"]
    assert twice.dram_words == plan.dram_words


def test_what_is_read_most_often_stays_where_there_is_little_room(graph: FoldedGraph) -> None:
    plan, _ = whole(graph)
    weights = {name: graph.layer_of(name).weight_words for name in graph.names}
    read = {name: often * weights[name] for name, often in zip(weights, (3, 4, 2), strict=True)}
    for room, kept in ((0, None), (72, {"two"}), (107, {"two"}), (108, {"one", "two"})):
        found = weights_kept(plan, graph, Assumptions(plan.peak_words + room), read)
        assert (None if found is None else found.resident) == kept


def test_outer_activations_pass_by(graph: FoldedGraph) -> None:
    plan, allowed = whole(graph)
    for roles, names in (
        (("input",), {"x"}),
        (("output",), {"three.out"}),
        (("input", "output"), {"x", "three.out"}),
    ):
        found = passed_by(plan, graph, allowed, roles)
        assert found is not None and found.passing == names
        assert found.peak_words <= plan.peak_words
    assert passed_by(plan, graph, allowed, ("weight",)) is None


def test_what_several_read_and_what_is_still_summed_does_not(graph: FoldedGraph) -> None:
    plan, allowed = whole(graph)
    loop = Loop("two.out", 1, 2, 2, frozenset(("two", "three")), frozenset(("three",)))
    summed = replace(plan, loops=(loop,))
    assert passed_by(summed, graph, allowed, ("output",)) is None
    first = conv("one", tensor("x", 2, 8), 2)
    shared = fold(network([first, add("sum", first.outputs[0], tensor("x", 2, 8))]))
    plan, allowed = whole(shared)
    assert passed_by(plan, shared, allowed, ("input", "output")) is None


@pytest.mark.parametrize("words", [150, 250, 400, 1000])
def test_plans_may_set_no_room_aside_for_what_passes_by(graph: FoldedGraph, words: int) -> None:
    view = GroupView(graph, frozenset(graph.names))
    staged, past = (
        best_plan(view, Assumptions(words, loops=2, pass_by=roles))
        for roles in ((), ("input", "output"))
    )
    assert past is not None and past.peak_words <= words
    assert staged is None or past.dram_words <= staged.dram_words
    assert past.passing <= {"x", "three.out"}
    if words == 400:
        assert past.passing
    for loop in past.loops:
        assert "three" not in loop.sums or "three.out" not in past.passing


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_knows_of_activations_that_pass_by(seed: int) -> None:
    arch = toolkit.load_arch("gemmini-ws")
    levels = list(arch.levels)
    levels[1] = replace(arch.memories[1], bypasses=(), may_bypass=("input", "output"))
    first = conv("one", tensor("x", 4, 8), 4, kernel=1)
    chain = fold(network([first, conv("two", first.outputs[0], 4, kernel=1)]))
    graph = chain if seed == 0 else random_network(seed, 3)
    priced = MappedModel(
        graph,
        replace(arch, levels=tuple(levels)),
        search=QUICK,
        cache=False,
        proof_seconds=0.3,
    )
    options = priced.options(frozenset(graph.names))
    for option in options:
        assert math.prod(priced.bound) <= math.prod(option.costs)
    if seed == 0:
        assert any(option.plan.passing for option in options)
