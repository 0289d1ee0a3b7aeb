"""Unfused layers cost what the plain command says, and no partition that is found costs more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import fsum
from pathlib import Path

import pytest
from examples import some
from workload.tiny_networks import load, node, value, weight
from workload.tiny_networks import model as onnx_model

import toolkit
from toolkit.fusion import (
    MappedModel,
    Option,
    Totals,
    cost_partition,
    find_partition,
    fold,
    steps_to_fused,
)
from toolkit.fusion.group_model import FusionObjective, unfused
from toolkit.search.network import LayerSearch, map_network
from toolkit.search.result import Budget
from toolkit.workload.network import LayerGraph

QUICK = LayerSearch(budget=Budget(evaluations=60), seed=3)

SMALL = {"height": 32, "width": 32}
NETWORKS = {
    "resnet18": SMALL,
    "mobilenet-v2": SMALL,
    "bert-base": {"seq": 16},
    "gpt2": {"past": 15},
    "mixtral-8x7b": {"past": 7},
    "resnet18:int8": SMALL,
    "tinyllama-1.1b:int4": {"past": 15},
}
# Convolutions as they are, windows that are copied, accumulators, several memories outside of the
# array, a vector unit that the file describes.
PAIRS = (
    ("resnet18", "eyeriss-conv"),
    ("resnet18", "eyeriss"),
    ("resnet18", "tensor-core-sm"),
    ("mobilenet-v2", "gemmini-ws"),
    ("bert-base", "gemmini-chip"),
    ("gpt2", "tensor-core-sm"),
    ("mixtral-8x7b", "gemmini-ws"),
    ("resnet18:int8", "gemmini-chip"),
    ("tinyllama-1.1b:int4", "eyeriss"),
)


@cache
def built_in(name: str) -> LayerGraph:
    return toolkit.load_network(name, NETWORKS[name], bits="word")


def block(folder: Path, bits: str | int = "word") -> LayerGraph:
    """A depthwise and a pointwise convolution, a sum and a copy, each with an activation."""
    nodes = [
        node("Conv", "x v", "a", name="wise", group=8, pads=[1] * 4),
        node("Relu", "a", "b", name="relu_1"),
        node("Conv", "b w", "c", name="point"),
        node("Add", "c x", "d", name="sum"),
        node("Relu", "d", "e", name="relu_2"),
        node("Concat", "e c", "f", name="copy", axis=1),
        node("Sigmoid", "f", "y", name="sigmoid"),
    ]
    inputs = [value("x", (1, 8, 12, 12))]
    weights = [weight("v", 8, 1, 3, 3), weight("w", 8, 8, 1, 1)]
    return load(folder, onnx_model(nodes, inputs, weights), bits=bits)


def alexnet(folder: Path, batch: int) -> LayerGraph:
    """Its convolutions, two groups in three of them, and poolings."""
    nodes, weights, source = [], [], "x"
    for i, (made, read, kernel, groups, stride, pad) in enumerate(
        (
            (96, 3, 11, 1, 4, 0),
            (256, 96, 5, 2, 1, 2),
            (384, 256, 3, 1, 1, 1),
            (384, 384, 3, 2, 1, 1),
            (256, 384, 3, 2, 1, 1),
        )
    ):
        weights.append(weight(f"w{i}", made, read // groups, kernel, kernel))
        options = {"group": groups, "strides": [stride] * 2, "pads": [pad] * 4}
        nodes.append(node("Conv", f"{source} w{i}", f"c{i}", name=f"conv{i + 1}", **options))
        nodes.append(node("Relu", f"c{i}", f"r{i}", name=f"relu{i + 1}"))
        source = f"r{i}"
        if i in (0, 1, 4):
            pooled = "y" if i == 4 else f"p{i}"
            sizes = {"kernel_shape": [3, 3], "strides": [2, 2]}
            nodes.append(node("MaxPool", source, pooled, name=f"pool{i + 1}", **sizes))
            source = pooled
    inputs = [value("x", (batch, 3, 227, 227))]
    return load(folder, onnx_model(nodes, inputs, weights), bits="word")


def priced(
    graph: LayerGraph,
    arch: str,
    search: LayerSearch = QUICK,
    objective: FusionObjective = "edp",
) -> MappedModel:
    loaded = toolkit.load_arch(arch)
    return MappedModel(
        fold(graph), loaded, objective=objective, search=search, proof_seconds=0.0, cache=False
    )


def totals(model: MappedModel, options: Sequence[Option]) -> Totals:
    costs = [model.cost(option.plan) for option in options]
    return Totals(
        fsum(cost.energy_pj for cost in costs),
        fsum(cost.latency_cycles for cost in costs),
        sum(cost.plan.dram_words for cost in costs),
    )


def plain(graph: LayerGraph, arch: str, search: LayerSearch = QUICK) -> Totals:
    found = map_network(
        graph,
        toolkit.load_arch(arch),
        search.strategy,
        budget=search.budget,
        objective=search.objective,
        seed=search.seed,
        jobs=1,
        cache=False,
    )
    return Totals(found.energy_pj, found.latency_cycles, found.dram_reads + found.dram_writes)


@pytest.mark.parametrize(("name", "arch"), PAIRS)
def test_unfused_is_the_plain_network_to_the_digit(name: str, arch: str) -> None:
    model = priced(built_in(name), arch)
    assert totals(model, unfused(model)) == plain(built_in(name), arch)


@pytest.mark.parametrize("strategy", ["greedy", "exact"])
def test_the_default_search_is_the_plain_one(strategy: str, tmp_path: Path) -> None:
    graph, search = block(tmp_path), LayerSearch(strategy)
    model = priced(graph, "gemmini-ws", search)
    found = find_partition(model)
    assert totals(model, found.unfused) == plain(graph, "gemmini-ws", search)
    assert model.costs.search.limits == search.limits
    proved = "proved optimal" in model.costs.status
    assert proved == (strategy == "exact")


@pytest.mark.parametrize("arch", ["eyeriss", "gemmini-ws", "eyeriss-conv"])
@pytest.mark.parametrize("objective", ["edp", "energy", "latency", "dram"])
def test_no_partition_costs_more_than_none(
    objective: FusionObjective, arch: str, tmp_path: Path
) -> None:
    model = priced(block(tmp_path), arch, objective=objective)
    for strategy in ("none", "exact", "segments", "greedy", "nsga2"):
        found = find_partition(model, strategy)
        assert found.bound <= found.value <= found.unfused_value
        assert strategy != "none" or found.value == found.unfused_value


@pytest.mark.parametrize(
    ("name", "arch"), some((("resnet18", "eyeriss"), ("gpt2", "gemmini-ws")), 1)
)
def test_greedy_networks_cost_no_more_than_the_plain_ones(name: str, arch: str) -> None:
    model = priced(built_in(name), arch)
    found = find_partition(model, "greedy", most_layers=2)
    assert found.value <= plain(built_in(name), arch).edp_pj_cycles


def test_fused_alexnet_costs_no_more_than_the_plain_one(tmp_path: Path) -> None:
    search = LayerSearch(budget=Budget(evaluations=5000))
    graph = alexnet(tmp_path, batch=4)
    model = priced(graph, "eyeriss-conv", search)
    found = find_partition(model, most_layers=3)
    alone = plain(graph, "eyeriss-conv", search)
    assert found.unfused_value == alone.edp_pj_cycles
    assert found.value < alone.edp_pj_cycles


@pytest.mark.parametrize("bits", ["word", 8])
@pytest.mark.parametrize("arch", ["eyeriss", "eyeriss-conv"])
def test_steps_lead_from_the_plain_network_to_the_fused_one(
    arch: str, bits: str | int, tmp_path: Path
) -> None:
    graph = block(tmp_path, bits)
    model = priced(graph, arch)
    found = find_partition(model)
    steps = steps_to_fused(model, found, graph)
    assert steps[0].after == plain(graph, arch)
    assert steps[-1].after == totals(model, found.groups)
    assert all(a.after == b.before for a, b in zip(steps, steps[1:], strict=False))
    names = [step.name for step in steps]
    assert ("words" in names) == (bits == 8)
    assert ("windows" in names) == (arch == "eyeriss")
    changes = [step.change for step in steps if step.change is not None]
    for key, end in steps[-1].after.row().items():
        amount = fsum(change[key] for change in changes)
        assert steps[0].after.row()[key] + amount == pytest.approx(end, rel=1e-12)


def test_what_changes_nothing_is_no_step(tmp_path: Path) -> None:
    graph = block(tmp_path)
    model = priced(graph, "eyeriss")
    steps = steps_to_fused(model, find_partition(model, "none"), graph)
    assert [step.name for step in steps] == ["alone"]


def test_layers_that_a_given_partition_leaves_out_run_in_the_best_way(tmp_path: Path) -> None:
    model = priced(block(tmp_path), "eyeriss")
    given = cost_partition(model, [])
    assert all(len(group) == 1 for group in given.partition)
    assert given.value < given.unfused_value
    assert find_partition(model).value <= given.value
