"""Exact partitions against all partitions, nests, tiles and depths of small graphs."""

from __future__ import annotations

import pytest
from fusion.enumerate_graphs import differences
from fusion.products import small

from toolkit.fusion import Assumptions, TrafficModel, find_partition


@pytest.mark.parametrize("seed", range(40))
def test_nothing_moves_fewer_words_than_what_is_proved(seed: int) -> None:
    """Attention, MLPs with a residual, products with norms, convolutions: two to six layers."""
    count, wrong = differences(seed)
    assert count["proved"]
    assert not wrong


def test_exact_is_no_worse_than_merging() -> None:
    """A chain of one order, for which greedy merging is best and lower than all that is left."""
    model = TrafficModel(small(98), Assumptions(11, loops=2))
    exact, greedy = find_partition(model, "exact"), find_partition(model, "greedy")
    assert exact.value == exact.bound == greedy.value == 57


def test_what_plans_do_not_prove_partitions_do_not_prove() -> None:
    """Halos of two axes, chosen tensor by tensor: the bound of a layer is below its plan."""
    found = find_partition(TrafficModel(small(112), Assumptions(17, loops=2)), "exact")
    assert any(plan.bound_words < plan.dram_words for plan in found.plans)
    assert not found.proved
    assert found.bound == sum(plan.bound_words for plan in found.plans) < found.value
