"""No mapped plan of any partition is below the bound, which knows what there is room for."""

from __future__ import annotations

from math import prod

import pytest
from fusion.mapped_plans import drawn_model, gap, tight
from fusion.networks import conv, network, pool, tensor
from fusion.products import project, rows

import toolkit
from toolkit.fusion import FoldedGraph, FusionOverhead, MappedModel, find_partition, fold
from toolkit.fusion.group_model import FusionObjective
from toolkit.fusion.partition_bound import least_product
from toolkit.search.network import LayerSearch
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget


def chain(rows: int = 12, channels: int = 4) -> FoldedGraph:
    one = conv("one", tensor("x", channels, rows), channels)
    two = conv("two", one.outputs[0], channels)
    return fold(network([one, two, conv("three", two.outputs[0], channels)]))


def model_of(
    words: int, objective: FusionObjective = "dram", *, overhead: FusionOverhead | None = None
) -> MappedModel:
    arch = tight(toolkit.load_arch("eyeriss-conv"), "GlobalBuffer", words)
    search = LayerSearch("greedy", Budget(evaluations=1_000))
    return MappedModel(
        chain(),
        arch,
        objective=objective,
        search=search,
        proof_seconds=1.0,
        overhead=overhead or FusionOverhead(),
        cache=False,
    )


@pytest.mark.parametrize(
    ("seed", "objective"),
    [(0, "edp"), (1, "dram"), (2, "edp"), (3, "dram"), (5, "energy"), (6, "latency")],
)
def test_no_plan_of_any_partition_is_below(seed: int, objective: FusionObjective) -> None:
    assert gap(seed, objective) >= 1


def test_words_that_there_is_no_room_for_are_counted() -> None:
    roomy, narrow = model_of(4_000), model_of(200)
    assert roomy.bound[0] == pytest.approx(roomy.graph.floor_words)
    assert narrow.bound[0] > 1.2 * narrow.graph.floor_words
    assert narrow.bound[0] <= find_partition(narrow, "exact", reasons=False).value


@pytest.mark.parametrize("objective", ["edp", "energy"])
def test_less_room_costs_no_less(objective: FusionObjective) -> None:
    costs = [prod(model_of(words, objective).bound) for words in (150, 400, 4_000)]
    assert costs[0] > costs[1] >= costs[2]


def test_what_fusing_costs_is_part_of_it() -> None:
    free = model_of(1_000, "energy").bound[0]
    dear = model_of(1_000, "energy", overhead=FusionOverhead(energy_pj=1e9)).bound[0]
    apart = find_partition(model_of(1_000, "energy"), "none", reasons=False).value
    assert free < dear <= apart


def test_words_that_strides_pass_over_need_not_be_read() -> None:
    """Where the input passes by, a quarter of it comes from DRAM; staged, all of it would."""
    one = conv("one", tensor("x", 4, 16), 4, 1, 2)
    graph = fold(network([one, conv("two", one.outputs[0], 4, 1)]))
    arch = tight(toolkit.load_arch("eyeriss-conv"), "GlobalBuffer", 4_000, open_wires=True)
    search = LayerSearch("greedy", Budget(evaluations=200))
    model = MappedModel(graph, arch, objective="dram", search=search, cache=False)
    (least, *_) = min(option.costs for option in model.options(frozenset(graph.names)))
    assert 0.5 * least < model.bound[0] <= least


def packaged(graph: FoldedGraph, arch: str, objective: FusionObjective) -> MappedModel:
    search = LayerSearch(budget=Budget(evaluations=1_000), objective=OBJECTIVES[objective])
    return MappedModel(
        graph,
        toolkit.load_arch(arch),
        objective=objective,
        search=search,
        proof_seconds=0.2,
        cache=False,
    )


@pytest.mark.parametrize("objective", ["edp", "latency"])
def test_rows_that_nobody_reads_are_not_made(objective: FusionObjective) -> None:
    """Of 5 x 5 positions a pooling of two by two uses 4 x 4; its group makes no more."""
    one = conv("one", tensor("x", 2, 5), 2)
    graph = fold(network([one, pool("two", one.outputs[0])]))
    model = packaged(graph, "gemmini-ws", objective)
    found = find_partition(model, "exact", reasons=False)
    assert prod(model.bound) <= found.value
    assert model.bounds.made == pytest.approx({"one": 0.64, "two": 1.0})


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_weights_may_come_from_a_memory_of_their_own(objective: FusionObjective) -> None:
    first = project("one", rows("x", 1, 4, 64), 64)
    graph = fold(network([first, project("two", first.outputs[0], 64)]))
    model = packaged(graph, "tpu-v1", objective)
    costs = zip(*(model.alone(name).costs for name in graph.names), strict=True)
    assert prod(model.bound) <= prod(map(sum, costs))
    # Two ports move at once, also where layers are fused.
    (fused, *_) = model.options(frozenset(graph.names))
    cost = model.cost(fused.plan)
    assert cost.dram_cycles == pytest.approx(2 * 64 * 64 / model.pricing.port.weights.bandwidth)


def test_groups_of_any_length_are_covered() -> None:
    model = model_of(4_000, "edp")
    longest = find_partition(model, "exact", most_layers=3, reasons=False)
    assert len(longest.groups) == 1
    assert prod(model.bound) <= longest.value


def test_the_time_for_plans_ends() -> None:
    model = model_of(200)
    model.bounds.seconds = 1e-9
    rushed = model.bound[0]
    assert rushed == pytest.approx(model.graph.floor_words)


def test_lines_enclose_the_least_product() -> None:
    # Two ways to run: nothing between them is possible, yet lines cannot tell.
    ways = [(8.0, 2.0), (3.0, 6.0)]
    energy, cycles = least_product(lambda w: min(e + w * c for e, c in ways), 3.0, 2.0)
    assert energy * cycles <= 16.0
    assert energy * cycles == pytest.approx(16.0, rel=0.03)


def test_drawn_models_have_little_room() -> None:
    rooms = [drawn_model(seed, "dram") for seed in range(12)]
    larger = [
        model
        for model in rooms
        if sum(la.output.elements for la in model.graph.layers) > model.given.capacity_words
    ]
    assert len(larger) >= 4
