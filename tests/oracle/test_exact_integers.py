"""The oracle in integers against the simulated machine."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from .exact_integers import distinct, exact_cost
from .simulator import simulate
from .strategies import Case, cases

KINDS = ("reads", "updates", "fills", "drains")


@given(cases())
def test_every_access_happens(case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    result = simulate(*case)
    expected: dict[object, int] = {}
    for memory in arch.memories:
        report = result.memories[memory.name]
        expected[memory.name] = report.active_instances
        expected[memory.name, "words"] = sum(t.occupancy for t in report.tensors.values())
        for name, kind in itertools.product(report.tensors, KINDS):
            expected[memory.name, name, kind] = getattr(report.tensors[name], kind)
    cost = exact_cost(arch, workload, factors.tolist(), order.tolist(), bias_read)
    words = {(name, "words"): count for name, count in cost.words.items()}
    assert cost.accesses | cost.instances | words == expected


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 8)), max_size=4))
def test_distinct_sums(digits: list[tuple[int, int]]) -> None:
    ranges = [range(0, step * count, step) for step, count in digits]
    assert distinct(digits) == len({sum(values) for values in itertools.product(*ranges)})
