"""What is on chip when: timelines agree with the plans that they show."""

from __future__ import annotations

import pytest
from examples import examples
from fusion.networks import random_network, residual
from fusion.test_mapped import QUICK, model
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.fusion import Assumptions, MappedModel, best_plan
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import Schedule
from toolkit.fusion.tile.group_plan import single_plan
from toolkit.fusion.timeline import ALL_LAYERS, timeline, weights_of

SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.sampled_from([40, 90, 200, 600]), st.sampled_from(["time-shared", "pipelined"]))
@examples(30)
def test_the_peak_is_what_the_plan_says(seed: int, words: int, schedule: Schedule) -> None:
    graph = random_network(seed, 7)
    allowed = Assumptions(words, schedule=schedule)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), allowed)
    if plan is None or len(graph) == 1:
        return
    found = timeline(plan, graph, allowed)
    assert found.peak_words == plan.peak_words <= words
    layers = [ALL_LAYERS] if schedule == "pipelined" else sorted(graph.names)
    assert sorted(phase.layer for phase in found.phases) == layers
    weights = {weights_of(name) for name in plan.resident}
    for phase in found.phases:
        own = weights if schedule == "pipelined" else {weights_of(phase.layer)}
        for name in weights & own:
            assert phase.words[name] > 0


@given(SEEDS, st.sampled_from([60, 200]))
@examples(20)
def test_a_layer_runs_on_what_is_there(seed: int, words: int) -> None:
    """Its operands and its result are on chip in its turn, and a result that nobody reads later
    has left, but for its halo."""
    graph = random_network(seed, 7)
    allowed = Assumptions(words)
    view = GroupView(graph, frozenset(graph.names))
    plan = best_plan(view, allowed)
    if plan is None or len(graph) == 1:
        return
    for phase in timeline(plan, graph, allowed).phases:
        layer = graph.layer_of(phase.layer)
        for tensor in (*layer.inputs, layer.output):
            assert phase.words[tensor.name] > 0


def test_before_it_is_made_a_tensor_takes_no_room() -> None:
    """But where a halo of it stays from step to step, as there is one from the second on."""
    graph = residual(rows=16)
    allowed = Assumptions(10**6)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), allowed)
    assert plan is not None and plan.steps == 1
    phases = timeline(plan, graph, allowed).phases
    assert [phase.layer for phase in phases] == ["stem", "one", "two", "sum"]
    assert [phase.words["two.out"] > 0 for phase in phases] == [False, False, True, True]
    assert [phase.words["one.out"] > 0 for phase in phases] == [False, True, True, False]
    tight = Assumptions(400)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), tight)
    assert plan is not None and plan.steps > 1
    (halo,) = (kept for kept in plan.kept if kept.name == "one.out")
    assert halo.words > halo.stays_words > 0
    words = [phase.words["one.out"] for phase in timeline(plan, graph, tight).phases]
    assert words == [halo.stays_words, halo.words, halo.words, halo.stays_words]


@pytest.mark.parametrize("name", ["eyeriss-conv", "simba-conv"])
def test_plans_of_mapped_groups(name: str) -> None:
    """With tensors on memories inside the fusion level, too, and layers that are staged alone."""
    graph = residual()
    priced = MappedModel(graph, toolkit.load_arch(name), search=QUICK, cache=False)
    for group in (frozenset(graph.names), frozenset(("one", "two")), frozenset(("one",))):
        for option in priced.options(group):
            plan = option.plan
            found = timeline(plan, graph, priced.given)
            assert found.peak_words == plan.peak_words * plan.staged
            assert set(plan.homes).isdisjoint(found.tensors)


def test_a_layer_on_its_own_keeps_nothing() -> None:
    graph = residual()
    found = timeline(single_plan(graph, "one"), graph, model(graph).given)
    assert (found.phases, found.peak_words, found.tensors) == ((), 0, ())
