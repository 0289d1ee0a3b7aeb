"""What fusing saves is what is exchanged: layers are costed alike fused and on their own."""

from __future__ import annotations

import numpy as np
import pytest
from fusion.networks import conv, network, tensor

import toolkit
from toolkit.fusion import (
    FoldedGraph,
    GroupPlan,
    MappedModel,
    cost_partition,
    find_partition,
    fold,
)
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.depths import solve
from toolkit.fusion.tile.group_plan import single_plan
from toolkit.fusion.tile.nest import Nest
from toolkit.fusion.tile.planned import plan_at
from toolkit.fusion.tile.shared import shared_ranks
from toolkit.fusion.tile.windows import make_cut, spans
from toolkit.search.network import LayerSearch
from toolkit.search.result import Budget
from toolkit.workload import depthwise_conv2d
from toolkit.workload.network import Layer, TensorInfo

# Enough to find the best mapping of these layers: what a search misses is no gain of fusion.
ENOUGH = LayerSearch(budget=Budget(evaluations=4000))


def depthwise(name: str, source: TensorInfo) -> Layer:
    _, channels, rows, columns = source.shape
    out = TensorInfo(f"{name}.out", source.shape, "int8")
    return Layer(
        name,
        "Conv",
        "einsum",
        (source,),
        (TensorInfo(f"{name}.w", (channels, 1, 3, 3), "int8"),),
        (out,),
        workload=depthwise_conv2d(channels, rows, columns, 3, 3),
        elements=out.elements,
        attributes=(("group", channels), ("pads", (1,) * 4), ("strides", (1, 1))),
    )


def separable(rows: int = 16, channels: int = 16) -> FoldedGraph:
    """A depthwise convolution, which Gemmini runs faster with its windows copied, and a 1x1."""
    first = depthwise("wise", tensor("x", channels, rows))
    return fold(network([first, conv("point", first.outputs[0], channels, 1)]))


@pytest.fixture(scope="module")
def model() -> MappedModel:
    arch = toolkit.load_arch("gemmini-ws")
    return MappedModel(
        separable(), arch, objective="energy", search=ENOUGH, proof_seconds=0.0, cache=False
    )


def plan(model: MappedModel, *names: str, rows: int) -> GroupPlan:
    """Steps of so many rows."""
    view = GroupView(model.graph, frozenset(names))
    rank = next(r for r in shared_ranks(view) if r.members[names[-1]].rank.axis == 2)
    cut = make_cut(rank, np.array([rows]))
    nest = Nest(view, [rank], [spans(cut, {})], [cut.tile], weights_stay=model.given.weights_stay)
    point, _ = solve(nest, (0,), model.given.capacity_words, 2**60)
    assert point is not None
    return plan_at(point, {})


@pytest.mark.parametrize("rows", [2, 8])
def test_the_same_steps_save_exactly_the_exchange(model: MappedModel, rows: int) -> None:
    fused = model.cost(plan(model, "wise", "point", rows=rows))
    apart = [model.cost(plan(model, name, rows=rows)) for name in ("wise", "point")]
    saved = sum(cost.energy_pj for cost in apart) - fused.energy_pj
    assert saved == pytest.approx(exchange_pj(model), rel=1e-9)
    assert sum(cost.compute_cycles for cost in apart) == pytest.approx(fused.compute_cycles)


def exchange_pj(model: MappedModel) -> float:
    """A tensor written to DRAM and read again, by way of the fusion level."""
    dram, level = model.arch.memories[0], model.memory
    word = dram.write_energy_pj + dram.read_energy_pj
    word += level.read_energy_pj + level.write_energy_pj
    return model.graph.layer_of("wise").output.elements * word


def test_the_best_ways_save_no_more_than_the_exchange(model: MappedModel) -> None:
    # Nothing is fused, but windows are copied on chip where that is better.
    fused, apart = find_partition(model, "exact"), cost_partition(model, [])
    assert apart.value < apart.unfused_value
    assert len(fused.partition) == 1
    assert 0 < apart.value - fused.value <= exchange_pj(model) * (1 + 1e-9)


def test_windows_are_not_copied_in_dram(model: MappedModel) -> None:
    (best,) = model.options(frozenset({"wise"}))
    layer = model.graph.layer_of("wise")
    assert best.plan.staged
    assert best.plan.input_words == layer.inputs[0].elements
    copied = model.cost(single_plan(model.graph, "wise"))
    assert copied.plan.input_words > 4 * best.plan.input_words
    assert best.costs[0] < copied.energy_pj


def test_a_layer_without_copies_is_not_staged(model: MappedModel) -> None:
    assert not model.costs.laid_out(model.graph.layer_of("point"))
    assert not any(o.plan.staged for o in model.options(frozenset({"point"})))
