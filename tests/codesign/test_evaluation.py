"""Networks on points of a hardware space."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import toolkit
from toolkit.codesign import HardwareEvaluator, NetworkWeight, hardware_space
from toolkit.codesign.evaluation import hardware_objective
from toolkit.errors import InputError
from toolkit.workload.network import Layer, TensorInfo

SPACE = hardware_space("gemmini-ws", ranges={"side": [4, 8]})
POINT = {**SPACE.default, "side": 4}


def network(*sizes: int) -> toolkit.LayerGraph:
    layers = [
        Layer(
            f"layer{i}",
            "Conv",
            "einsum",
            workload=toolkit.conv2d(size, 4, 4, 4, 1, 1),
            inputs=(TensorInfo(f"x{i}", (8,), "float32"),),
            outputs=(TensorInfo(f"y{i}", (8,), "float32"),),
        )
        for i, size in enumerate(sizes)
    ]
    inputs = tuple(layer.inputs[0] for layer in layers)
    return toolkit.LayerGraph.from_layers(layers, name="tiny", inputs=inputs)


def evaluator(*networks: NetworkWeight, cache: bool | Path = False) -> HardwareEvaluator:
    budget = toolkit.Budget(evaluations=200)
    return HardwareEvaluator(SPACE, networks, budget=budget, cache=cache)


def test_costs_are_those_of_the_network() -> None:
    cost = evaluator(NetworkWeight(network(4, 8, 4)))(POINT)
    (result,) = cost.networks
    assert cost.energy_pj == result.energy_pj
    assert cost.edp_pj_cycles == result.energy_pj * result.latency_cycles
    assert cost.area_um2 == SPACE.build(POINT).area_um2
    assert result.searches == 2


def test_hardware_is_evaluated_once() -> None:
    evaluate = evaluator(NetworkWeight(network(4)))
    first = evaluate(POINT)
    assert evaluate(dict(POINT)) is first
    assert evaluate({**POINT, "side": 8}) is not first


def test_layers_are_kept_between_evaluators(tmp_path: Path) -> None:
    before = evaluator(NetworkWeight(network(4, 8)), cache=tmp_path)
    after = evaluator(NetworkWeight(network(8, 12)), cache=tmp_path)
    before(POINT)
    assert [result.reads for result in after(POINT).networks] == [1]


def test_networks_are_weighted() -> None:
    light, heavy = network(4), network(12)
    alone = [evaluator(NetworkWeight(graph))(POINT) for graph in (light, heavy)]
    mixed = evaluator(NetworkWeight(light, 3), NetworkWeight(heavy))(POINT)
    assert mixed.energy_pj == pytest.approx(3 * alone[0].energy_pj + alone[1].energy_pj)
    expected = 3 * alone[0].latency_cycles + alone[1].latency_cycles
    assert mixed.latency_cycles == pytest.approx(expected)


def test_no_networks() -> None:
    with pytest.raises(InputError, match="networks: expected at least one network"):
        evaluator()
    with pytest.raises(InputError, match="each of a positive weight, got .0"):
        evaluator(NetworkWeight(network(4), 0))


def test_objectives_rank_as_what_samplers_are_told() -> None:
    edap = hardware_objective("edap")
    assert edap.value(2.0, 3.0, 5.0) == 30.0
    assert edap.told(2.0, 3.0, 5.0) == (pytest.approx(math.log10(30)),)
    front = hardware_objective("front")
    assert front.told(10.0, 100.0, 1.0) == (1.0, 2.0, 0.0)
    assert [len(hardware_objective(n).metrics) for n in ("edp", "front")] == [1, 3]
