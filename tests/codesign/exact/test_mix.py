"""Layers beside which the vector unit works: no choice of mappings is better than is said."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from codesign.exact.checks import check_optimum
from codesign.exact.drawn_spaces import draw_question
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch.ranges import parse_range
from toolkit.codesign import NetworkWeight
from toolkit.codesign.evaluation import hardware_objective
from toolkit.codesign.exact import prove_hardware
from toolkit.codesign.exact.hulls import lower_hull
from toolkit.codesign.exact.mix import Item, Mix
from toolkit.search.front import nondominated
from toolkit.workload import gemm
from toolkit.workload.network import LayerGraph

COSTS = st.floats(0.5, 20.0)
FRONTS = st.lists(
    st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=7), min_size=1, max_size=3
)


@given(FRONTS, st.tuples(COSTS, COSTS, COSTS), st.tuples(COSTS, COSTS))
def test_no_choice_of_mappings_is_better(
    drawn: list[list[tuple[float, float]]],
    beside: tuple[float, float, float],
    powers: tuple[float, float],
) -> None:
    fronts = {gemm(1, 1, i + 1): np.array(front) for i, front in enumerate(drawn)}
    known = {w: front[nondominated(front)] for w, front in fronts.items()}
    items = [Item((w,), 1.0, beside[i], (float(i + 1),)) for i, w in enumerate(known)]
    every = [
        (i + 1) * np.stack([front[:, 0] + 1.0, np.maximum(front[:, 1], beside[i])], axis=1)
        for i, front in enumerate(known.values())
    ]
    sums = np.array([np.sum(chosen, axis=0) for chosen in itertools.product(*every)])
    least = (sums[:, 0] ** powers[0] * sums[:, 1] ** powers[1]).min()
    mix = Mix((1.0,), ())
    found = mix.least(items, known, powers)
    assert found is not None
    assert found.value == pytest.approx(least, rel=1e-9)
    hulls = {w: costs[lower_hull(costs)] for w, costs in known.items()}
    bound = mix.least(items, hulls, powers, below=hulls)
    assert bound is not None
    assert bound.value <= least * (1 + 1e-9)


def test_trade_offs_above_a_hull_count_where_others_have_cycles_to_spare() -> None:
    workload = gemm(1, 1, 1)
    front = np.array([[1.0, 10.0], [3.2, 5.6], [5.0, 1.0]])
    assert lower_hull(front).tolist() == [0, 2]
    mix, items = Mix((1.0,), ()), [Item((workload,), 0.0, 6.0, (1.0,))]
    known = mix.least(items, {workload: front}, (1.0, 2.0))
    assert known is not None
    assert (known.energy_pj, known.latency_cycles) == (1.0, 10.0)
    hastier = mix.least(items, {workload: front}, (1.0, 3.0))
    assert hastier is not None
    assert hastier.places == ((workload, 1),)
    bound = mix.least(items, {workload: front[[0, 2]]}, (1.0, 3.0), below=[workload])
    assert bound is not None
    assert bound.value <= hastier.value


def test_a_slow_vector_unit_leaves_the_array_time() -> None:
    """The best mapping of a product lies above the hull of all, and takes as long as the unit."""
    drawn = draw_question(95)
    layer = replace(
        drawn.networks[0].graph.layers[0],
        elements=1,
        operations_per_element=14,
        repetitions=1,
    )
    ranges = {name: parse_range([value]) for name, value in drawn.space.smallest.items()}
    question = replace(
        drawn,
        space=replace(drawn.space, ranges=ranges),
        networks=[NetworkWeight(LayerGraph.from_layers([layer], name="slow"), 1.0)],
        objective=hardware_objective("edp"),
    )
    check_optimum(question, prove_hardware(question))
