"""What fusing costs besides the mappings: nothing unless asked for, and then once per fusion."""

from __future__ import annotations

import math

import pytest
from fusion.networks import residual
from fusion.test_mapped import QUICK, eyeriss, model

from toolkit.errors import InputError
from toolkit.fusion import FusionOverhead, MappedModel, cost_partition, find_partition
from toolkit.fusion.group_model import value_of


@pytest.fixture(scope="module")
def free() -> MappedModel:
    return model(residual())


def test_a_group_of_three_is_fused_twice(free: MappedModel) -> None:
    charged = model(residual(), overhead=FusionOverhead(1e5, 70.0))
    group = frozenset(("stem", "one", "two", "sum"))
    for option in free.options(group):
        before, after = free.cost(option.plan), charged.cost(option.plan)
        assert after.energy_pj - before.energy_pj == pytest.approx(3e5)
        assert after.latency_cycles - before.latency_cycles == pytest.approx(210.0)
        assert after.plan == before.plan
    alone = charged.options(frozenset(("one",)))
    assert alone == free.options(frozenset(("one",)))


def test_no_overhead_changes_nothing(free: MappedModel) -> None:
    same = find_partition(model(residual(), overhead=FusionOverhead(0.0, 0.0)))
    assert (same.groups, same.bound) == (find_partition(free).groups, find_partition(free).bound)


@pytest.mark.parametrize("overhead", [FusionOverhead(1e15), FusionOverhead(cycles=1e12)])
@pytest.mark.parametrize("strategy", ["exact", "segments", "greedy"])
def test_where_fusing_is_dear_nothing_fuses(overhead: FusionOverhead, strategy: str) -> None:
    found = find_partition(model(residual(), overhead=overhead), strategy)
    assert [len(group) for group in found.partition] == [1] * 4
    assert found.value == found.unfused_value
    assert {boundary.reason for boundary in found.boundaries} <= {"no gain", "barrier"}


@pytest.mark.parametrize("energy_pj", [0.0, 3e4, 1e5, 1e6])
def test_the_best_partition_is_that_of_the_overhead(free: MappedModel, energy_pj: float) -> None:
    """It costs no more under this one than partitions of other overheads do."""
    priced = model(residual(), overhead=FusionOverhead(energy_pj, 50.0))
    found = find_partition(priced)
    assert found.bound <= found.value
    for other in ("none", "greedy"):
        assert found.value <= find_partition(priced, other).value
    again = cost_partition(priced, find_partition(free).partition)
    assert found.value <= again.value
    assert value_of(priced.least(frozenset(priced.graph.names))) <= found.value


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_is_no_overhead_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="expected a number from 0"):
        FusionOverhead(value)
    with pytest.raises(InputError, match="cycles: expected a number from 0"):
        MappedModel(
            residual(), eyeriss(), search=QUICK, cache=False, overhead=FusionOverhead(0.0, value)
        )
