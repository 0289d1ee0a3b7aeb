from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mapping.spaces import arch, memory
from oracle.strategies import architectures, workloads

from toolkit.arch import Memory
from toolkit.mapping import MapSpace, admissible_orders, order_classes, sample
from toolkit.mapping.covering import covering_orders
from toolkit.mapping.orders import order_view
from toolkit.model import EXACT, FACTORFLOW, batch_cost
from toolkit.model.plan import make_plan
from toolkit.workload import gemm


def test_the_classes_come_first():
    packaged = arch(memory("DRAM"), memory("Reg"))
    np.testing.assert_array_equal(
        covering_orders(packaged, 0, gemm(4, 4, 4)), order_classes(packaged, 0, gemm(4, 4, 4))
    )


@given(workloads(), st.data())
def test_no_order_costs_less_than_the_best_listed(workload, data):
    chosen = data.draw(architectures(workload))
    conventions = data.draw(st.sampled_from([EXACT, FACTORFLOW]))
    levels = [i for i, level in enumerate(chosen.levels) if isinstance(level, Memory)]
    at = data.draw(st.sampled_from(levels))
    space = MapSpace(chosen, workload)
    rule = space.order_rules[levels.index(at)]
    assume(rule.admissible <= 720)
    factors, order = sample(space, 1, np.random.default_rng(data.draw(st.integers(0, 9))))

    def least(orders: np.ndarray) -> tuple[float, float]:
        rows = np.repeat(order, len(orders), axis=0)
        rows[:, at] = orders
        plan = make_plan(chosen, workload, conventions)
        cost = batch_cost(plan, np.repeat(factors, len(rows), axis=0).astype(float), rows)
        energy = np.broadcast_to(cost.energy_pj, len(rows))
        latency = np.broadcast_to(cost.latency_cycles, len(rows))
        return float(energy.min()), float(latency.min())

    full = least(admissible_orders(chosen.levels[at], workload.dimensions))
    assert least(covering_orders(chosen, at, workload)) == pytest.approx(full, rel=1e-12)


def test_every_pattern_of_a_constrained_memory_is_covered():
    chosen = arch(memory("DRAM", order="_K_"), memory("Reg"))
    workload = gemm(4, 4, 4)
    listed = covering_orders(chosen, 0, workload).tolist()
    view = order_view(chosen, 0, workload)
    for active in itertools.product((True, False), repeat=3):
        keys = {view.key(row, active) for row in listed}
        for row in order_classes(chosen, 0, workload, active=active).tolist():
            assert view.key(row, active) in keys
