"""Exact partitions against all partitions, nests, tiles and depths of small graphs."""

from __future__ import annotations

import pytest
from examples import some
from fusion.brute_force import group_frontier, least_words
from fusion.enumerate_graphs import differences
from fusion.networks import add, conv, network, tensor
from fusion.products import joined, mixture, sharing, small

from toolkit.fusion import Assumptions, TrafficModel, best_plan, find_partition, fold
from toolkit.fusion.groups import GroupView


@pytest.mark.parametrize("seed", some(range(24), 10))
def test_nothing_moves_fewer_words_than_what_is_proved(seed: int) -> None:
    """Attention, MLPs with a residual, products with norms, convolutions: two to six layers."""
    count, wrong = differences(small(seed), "small")
    assert count["proved"]
    assert not wrong


@pytest.mark.parametrize("seed", some(range(24), 10))
def test_layers_that_read_one_tensor_are_groups(seed: int) -> None:
    """Products, convolutions and what follows them, whose first layers share an input alone."""
    count, wrong = differences(sharing(seed), "sharing")
    assert count["proved"]
    assert not wrong


@pytest.mark.parametrize("sizes", [(3, 2, 2, 3), (4, 3, 1, 2), (2, 2, 3, 4)])
def test_experts(sizes: tuple[int, int, int, int]) -> None:
    """A matrix each, whose rows are those of others, or its own."""
    count, wrong = differences(mixture(*sizes), "experts")
    assert count["proved"]
    assert not wrong


def test_windows_of_two_steps_reach_an_edge_each() -> None:
    """Rows of padding are on no chip: four rows in two steps need three at a time, not four."""
    x = tensor("x", 2, 4)
    alone = fold(network([conv("a", x, 1, 3)]))
    added = conv("a", tensor("y", 1, 4), 1, 3)
    for graph in (alone, fold(network([added, add("s", added.inputs[0], added.outputs[0])]))):
        _, wrong = differences(graph, "edges")
        assert not wrong


@pytest.mark.parametrize("seed", some(range(6), 4))
def test_tensors_side_by_side(seed: int) -> None:
    count, wrong = differences(joined(seed), "side by side")
    assert count["proved"]
    assert not wrong


@pytest.mark.parametrize("seed", some(range(12), 6))
def test_tiles_that_are_held_once(seed: int) -> None:
    """Not twice, so that the next one comes meanwhile."""
    count, wrong = differences((small, sharing)[seed % 2](seed), "held once", ahead=False)
    assert count["proved"]
    assert not wrong


def test_exact_is_no_worse_than_merging() -> None:
    """A chain of one order, for which greedy merging is best and lower than all that is left."""
    model = TrafficModel(small(98), Assumptions(11, loops=2))
    exact, greedy = find_partition(model, "exact"), find_partition(model, "greedy")
    assert exact.value == exact.bound == greedy.value == 57


def test_what_plans_do_not_prove_partitions_do_not_prove() -> None:
    """Halos of two axes, chosen tensor by tensor: the bound of a layer is below its plan."""
    found = find_partition(TrafficModel(small(173), Assumptions(17, loops=2)), "exact")
    assert any(plan.bound_words < plan.dram_words for plan in found.plans)
    assert not found.proved
    assert found.bound == sum(plan.bound_words for plan in found.plans) < found.value


@pytest.mark.parametrize(("seed", "room"), [(609, 17), (621, 10), (916, 13), (604, 12)])
def test_three_loops(seed: int, room: int) -> None:
    """What a loop does not cut may be dropped in it, so that others have the room meanwhile."""
    view = GroupView(small(seed), frozenset(small(seed).names))
    plan = best_plan(view, Assumptions(room, loops=3))
    assert plan is not None
    assert plan.dram_words == plan.bound_words
    assert plan.dram_words == least_words(group_frontier(view, 3), room)
