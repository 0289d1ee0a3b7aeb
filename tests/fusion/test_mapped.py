"""Groups at the cost of mapped layers: energy, latency, and where fused tensors are."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fusion.networks import add, conv, network, pool, random_network, residual, tensor

import toolkit
from toolkit.errors import InputError, MissingPackageError
from toolkit.fusion import FoldedGraph, MappedModel, find_partition, fold
from toolkit.fusion.layer_costs import LayerCosts, fused_arch
from toolkit.fusion.tile.assumptions import Schedule
from toolkit.fusion.tile.group_plan import single_plan
from toolkit.fusion.tile.residency import Homes
from toolkit.search.network import LayerSearch, map_layer
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget

QUICK = LayerSearch(budget=Budget(evaluations=200))


def eyeriss(words: int = 4096) -> toolkit.Architecture:
    arch = toolkit.load_arch("eyeriss-conv")
    levels = list(arch.levels)
    levels[1] = replace(levels[1], capacity_words=words)
    return replace(arch, levels=tuple(levels))


def model(graph: FoldedGraph, **options: object) -> MappedModel:
    """Without proofs, unless they are asked for: each takes up to its limit."""
    given = {"proof_seconds": 0.0, "cache": False, **options}
    return MappedModel(graph, eyeriss(), search=QUICK, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def block() -> MappedModel:
    return model(residual())


def test_a_group_of_one_is_the_layer_on_its_own(block: MappedModel) -> None:
    for name in ("one", "sum"):
        layer = block.graph.layer_of(name)
        alone = map_layer(layer.layer, block.arch, QUICK, cache=False)
        cost = block.cost(single_plan(block.graph, name))
        assert cost.energy_pj == pytest.approx(alone.energy_pj, rel=1e-12)
        assert cost.latency_cycles == alone.latency_cycles
        assert cost.plan.dram_words == alone.dram_words


def test_fused_tensors_never_visit_dram(block: MappedModel) -> None:
    group = frozenset(block.graph.names)
    (best, *_) = block.options(group)
    cost = block.cost(best.plan)
    dram = block.arch.memories[0]
    words = cost.plan.input_words + cost.plan.weight_words + cost.plan.output_words
    assert cost.levels["DRAM"] == pytest.approx(words * dram.read_energy_pj)
    tensors = 2 * 8 * 8
    assert (cost.plan.input_words, cost.plan.output_words) == (tensors, tensors)


def test_what_leaks_leaks_until_the_end() -> None:
    """Also while a group waits for DRAM, of which the mappings of its parts know nothing."""
    first = conv("one", tensor("x", 2, 8), 2)
    graph = fold(network([first, conv("two", first.outputs[0], 2)]))
    search = LayerSearch(budget=Budget(evaluations=200), objective=OBJECTIVES["latency"])
    arch = eyeriss()
    dram, *levels = arch.levels
    slow = replace(dram, read_bandwidth=0.05, write_bandwidth=0.05)
    machines = [
        replace(arch, levels=(replace(slow, leakage_pj_per_cycle=pj), *levels)) for pj in (0, 10)
    ]
    tight, leaking = (
        MappedModel(graph, machine, objective="latency", search=search, cache=False)
        for machine in machines
    )
    for group in (frozenset(["one"]), frozenset(["one", "two"])):
        (option, *_) = tight.options(group)
        costs = [model.cost(option.plan) for model in (tight, leaking)]
        cycles = costs[0].latency_cycles
        assert costs[1].latency_cycles == cycles
        assert costs[1].energy_pj - costs[0].energy_pj == pytest.approx(10 * cycles)


def test_exact_is_best_and_its_parts_add_up(block: MappedModel) -> None:
    exact, greedy, none = (find_partition(block, name) for name in ("exact", "greedy", "none"))
    assert exact.value <= greedy.value <= none.value
    assert 0 < exact.bound < exact.value
    assert not exact.proved
    costs = [block.cost(option.plan) for option in exact.groups]
    assert sum(cost.energy_pj for cost in costs) == pytest.approx(exact.costs[0])
    assert sum(cost.latency_cycles for cost in costs) == pytest.approx(exact.costs[1])
    assert all(
        a <= b for a, b in zip(block.least(frozenset(block.graph.names)), exact.costs, strict=True)
    )


@pytest.mark.parametrize("objective", ["dram", "energy", "latency"])
def test_single_objectives(objective: str) -> None:
    priced = model(residual(), objective=objective)
    found = find_partition(priced)
    assert found.value <= found.unfused_value
    assert len(found.costs) == 1


def test_more_processing_elements_move_no_less(block: MappedModel) -> None:
    levels = list(block.arch.levels)
    levels[2] = replace(levels[2], mesh=28)
    large = replace(block.arch, levels=tuple(levels))
    graph = block.graph
    priced = MappedModel(graph, large, objective="dram", search=QUICK, cache=False)
    assert find_partition(priced).dram_words >= graph.floor_words


def test_pipelines_need_room_for_all_layers_at_once() -> None:
    graph = residual()
    shared = find_partition(model(graph, objective="dram"))
    piped = find_partition(model(graph, objective="dram", schedule="pipelined"))
    assert piped.value >= shared.value
    cost = model(graph, schedule="pipelined").cost(shared.plans[0])
    assert cost.latency_cycles > 0


def test_outer_memories_bypass_what_is_fused() -> None:
    seen = fused_arch(toolkit.load_arch("gemmini-ws"), Homes.at("Scratchpad", "output"))
    dram, scratchpad = seen.memories[:2]
    assert dram.bypasses == ("output",)
    # What has no home there passes by; the outputs are held, though they usually are not.
    assert scratchpad.bypasses == ("input", "weight")


def test_pooling_runs_from_the_fusion_level() -> None:
    first = conv("c", tensor("x", 2, 8), 2)
    graph = fold(network([first, pool("p", first.outputs[0])]))
    costs = LayerCosts(eyeriss(), QUICK, cache=False)
    homes = Homes.at("GlobalBuffer", "input", "output", "weight")
    part = costs.cost(graph.layer_of("p"), ((2, 1),), homes)
    whole = costs.cost(graph.layer_of("p"), (), homes)
    assert part.words == {"input": 0, "weight": 0, "output": 0}
    assert "DRAM" not in part.levels
    assert 4 * part.energy_pj == pytest.approx(whole.energy_pj)


def test_unknown_objectives() -> None:
    with pytest.raises(InputError, match="expected dram, energy, latency or edp, got 'power'"):
        model(residual(), objective="power")


def test_bursts_are_refused() -> None:
    arch = eyeriss()
    arch = replace(arch, levels=(replace(arch.memories[0], burst_words=8), *arch.levels[1:]))
    with pytest.raises(InputError, match=r"levels\[0\].burst_words: DRAM of eyeriss-conv has bur"):
        MappedModel(residual(), arch, search=QUICK, cache=False)


def test_pictures_show_every_layer(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    from toolkit.fusion import Assumptions, TrafficModel
    from toolkit.study.pictures.fusion import fusion_graph, write_fusion_pictures

    stem = conv("a", tensor("x", 1, 4), 1)
    graph = fold(network([stem, add("s", stem.outputs[0], tensor("y", 1, 4))]))
    found = find_partition(TrafficModel(graph, Assumptions(1000)))
    picture = fusion_graph(found)
    places = picture.layout.places
    assert [layer.name for layer in picture.layers] == ["a", "s"]
    assert {layer.group for layer in picture.layers} == {0}
    assert places["a"][1] < places["s"][1]
    png, _, html = write_fusion_pictures(tmp_path, found)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "Add 1x1x4x4" in html.read_text()


@pytest.mark.parametrize("name", ["eyeriss-conv", "simba-conv", "gemmini-ws"])
@pytest.mark.parametrize("seed", range(4))
def test_no_way_to_run_a_group_is_below_the_least(name: str, seed: int) -> None:
    graph, arch = random_network(seed, most=5), toolkit.load_arch(name)
    schedule: Schedule = "pipelined" if seed == 3 else "time-shared"
    priced = MappedModel(graph, arch, schedule=schedule, search=QUICK, cache=False)
    groups = [frozenset((layer,)) for layer in graph.names] + [frozenset(graph.names)]
    for group in groups:
        least = priced.least(group)
        for option in priced.options(group):
            assert all(a <= b for a, b in zip(least, option.costs, strict=True))


def test_groups_left_out_as_hopeless_change_nothing(
    monkeypatch: pytest.MonkeyPatch, block: MappedModel
) -> None:
    for graph in (block.graph, random_network(3, most=5)):
        quick, thorough = model(graph), model(graph)
        monkeypatch.setattr(thorough, "least", lambda group: (0.0, 0.0))
        found, all_costed = find_partition(quick), find_partition(thorough)
        assert (found.value, found.partition) == (all_costed.value, all_costed.partition)


def test_the_bound_of_limited_groups_is_near() -> None:
    graph, arch = residual(rows=14, channels=16), toolkit.load_arch("eyeriss-conv")
    limited = find_partition(
        MappedModel(graph, arch, proof_seconds=1.0, cache=False), most_layers=2
    )
    assert not limited.proved
    assert 0.4 * limited.value < limited.bound < limited.value


@pytest.mark.parametrize("strategy", ["gradient", "joint"])
def test_gradients_say_what_they_need(
    strategy: str, block: MappedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("gradient", "joint"):
        monkeypatch.delitem(sys.modules, f"toolkit.fusion.partition.{module}", raising=False)
    with pytest.raises(MissingPackageError, match="needs torch, which is not installed; pip inst"):
        find_partition(block, strategy)
