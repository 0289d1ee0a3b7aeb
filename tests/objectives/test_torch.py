"""The door to training loops of torch: what it makes, bad input, and the page about it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from codesign.jobs import two_products

import toolkit
from toolkit.errors import InputError
from toolkit.objectives import HardwareProblem, NetworkProblem, for_torch
from toolkit.search.gradient.layer import RelaxedLayer
from toolkit.study.compare.comparison import compare

ROOT = Path(__file__).parents[2]
PROBLEM = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(16, 8, 4))


def network(**options: Any) -> NetworkProblem:
    return NetworkProblem(two_products(), toolkit.load_arch("gemmini-ws"), **options)


def hardware() -> HardwareProblem:
    ranges = {"side": [4, 8, 16], "accumulator_words": [64, 256]}
    space = toolkit.hardware_space("gemmini-ws", ranges=ranges)
    return HardwareProblem(space, [two_products()], "edap")


def test_every_question_is_a_module() -> None:
    layer = for_torch(PROBLEM, starts=2)
    assert isinstance(layer, RelaxedLayer)
    assert layer().energy_pj.shape == (2,)
    plain = for_torch(network(), starts=2)
    assert plain.edges is None and plain.hardware is None
    assert plain.powers == (1.0, 1.0, 0.0)
    whole = for_torch(hardware(), starts=2, choose=("hardware", "mappings", "fusion"))
    assert whole.edges is not None and whole.powers == (1.0, 1.0, 1.0)
    costs = whole()
    assert costs.hardware is not None and costs.hardware.shape == (2, 3)
    assert set(costs.penalties) == {"capacity", "mesh", "validity", "budget"}


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("resnet18", {}, "what: expected a Problem"),
        (PROBLEM, {"device": "cuda:99"}, "device: 'cuda:99' is not there"),
        (PROBLEM, {"choose": "fusion"}, "choose: expected some of mappings"),
        (network(), {"choose": "fusion"}, "choose: expected mappings among them"),
        (network(), {"orders": "soft"}, "orders: expected fixed or relaxed"),
        (
            network(objective=lambda energy, latency, utilization: energy),
            {},
            "objective: .*whose gradient is not known",
        ),
        (hardware(), {"sizes": "given"}, "sizes: expected needed or learned"),
    ],
)
def test_bad_input_is_one_message(what: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        for_torch(what, **options)


def test_options_of_fa_dosa_are_converted() -> None:
    """100 GB/s in words of 4 bytes at 1 GHz, 2.5 pJ per byte, 0.0001 mm² per KB."""
    space = toolkit.hardware_space(str(ROOT / "studies" / "fa_dosa.yaml"), energies=False)
    point = space.build({"sram_kb": 256})
    dram, buffer = point.arch.memories
    assert (dram.bandwidth, dram.read_energy_pj) == (25.0, 10.0)
    assert (buffer.bandwidth, buffer.capacity_words) == (250.0, 65536)
    assert buffer.read_energy_pj == pytest.approx(4 * (0.25 + 0.0001 * 256))
    assert point.area_um2 == pytest.approx(256 * 100.0)
    assert point.arch.levels[2].mesh == 1000


def test_scripts_stay_as_short_as_they_promise() -> None:
    for name, most in (("joint_training_loop", 60), ("three_way_experiment", 80)):
        lines = (ROOT / "studies" / f"{name}.py").read_text().splitlines()
        assert len(lines) <= most


def test_numbers_stay_float64_as_a_part_of_another_module() -> None:
    model = for_torch(hardware(), starts=2, choose=("hardware", "mappings", "fusion"))
    before = model().energy_pj.detach()
    outer = torch.nn.ModuleList([model, torch.nn.Linear(2, 2)]).half()
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert outer[1].weight.dtype == torch.float16
    assert torch.equal(model().energy_pj, before)


def test_a_state_dict_restores_all_that_costs_depend_on() -> None:
    model, other = (for_torch(hardware(), starts=2, sizes="learned", seed=s) for s in (1, 2))
    with torch.no_grad():
        model.hardware.logs.sub_(0.5)
    model.recentre_()
    other.load_state_dict(model.state_dict())
    for name in ("energy_pj", "latency_cycles", "area_um2"):
        assert torch.equal(getattr(other(), name), getattr(model(), name))
    twin = copy.deepcopy(model)
    assert torch.equal(twin().energy_pj, model().energy_pj)


def test_a_loop_of_a_layer_is_one_more_row() -> None:
    model = for_torch(PROBLEM, starts=3)
    model()
    found = model.round()
    result = model.result("my loop")
    assert found is not None
    assert (result.objective, result.mapping) == (found.objective, found.mapping)
    assert result.evaluations == model.evaluations > 3
    budget = toolkit.Budget(evaluations=model.evaluations)
    made = compare([PROBLEM], ["random"], budget, 1, results=[result])
    assert made.strategies == ("random", "my loop")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: for_torch(PROBLEM, starts=0), "starts: 0 is not an integer from 1"),
        (lambda: for_torch(PROBLEM, seed=-1), "seed: -1 is not an integer from 0"),
        (lambda: for_torch(PROBLEM, sizes="learned"), "sizes: only a HardwareProblem has sizes"),
        (lambda: for_torch(PROBLEM, known=3), "known: expected a list of what toolkit.map_net"),
        (lambda: for_torch(PROBLEM)(temperature=0), "temperature: expected above 0, got 0"),
        (lambda: for_torch(network())(noise=-1), "noise: expected 0 or more, got -1"),
        (lambda: for_torch(PROBLEM)().penalty({"mehs": 1}), "weights: unknown penalty 'mehs'"),
        (lambda: for_torch(PROBLEM)().log_cost((1, 1)), "powers: expected one each of energy"),
    ],
)
def test_wrong_use_is_one_message(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        act()
