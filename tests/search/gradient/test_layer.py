"""A layer as a module of torch: slopes, penalties, relaxed orders and bypasses, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mapping import spaces
from search.gradient.slopes import check_slopes, settle

from toolkit.arch import load_arch
from toolkit.errors import InputError
from toolkit.mapping import violations
from toolkit.model import evaluate
from toolkit.search import Problem, make_problem
from toolkit.search.gradient.layer import RelaxedLayer
from toolkit.search.gradient.tilings import Tilings, torch_device
from toolkit.search.problem import chosen_problem
from toolkit.workload import gemm

SMALL = spaces.arch(
    spaces.memory("DRAM"),
    spaces.memory("Buffer", 640, may_bypass=("weight",)),
    spaces.fanout("PEs", 8, "MN"),
    spaces.memory("Reg", 12),
)


def problem(arch: str = "eyeriss", **options: Any) -> Problem:
    return make_problem(load_arch(arch), gemm(96, 64, 48), **options)


@pytest.mark.parametrize(
    "relaxed", [{}, {"orders": "relaxed"}, {"orders": "relaxed", "bypasses": "relaxed"}]
)
def test_gradients_reach_every_parameter_and_are_slopes(relaxed: dict[str, Any]) -> None:
    layer = RelaxedLayer(make_problem(SMALL, gemm(48, 64, 40)), 2, **relaxed)
    settle(layer.tilings)
    names = [name.rpartition(".")[2] for name, _ in layer.named_parameters()]
    wanted = {"orders": "order_logits", "bypasses": "hold_logits"}
    assert sorted(names) == sorted(["logs", *(wanted[key] for key in relaxed)])

    def loss() -> torch.Tensor:
        costs = layer(temperature=0.7)
        return costs.log_cost((1.0, 1.0, 0.0)) + costs.penalty()

    check_slopes(layer, loss, draws=4)


def test_costs_of_integers_are_those_of_the_model() -> None:
    whole = problem(factors="perfect")
    layer = RelaxedLayer(whole, 5)
    costs = layer()
    rounded = layer.tilings.rounded()
    assert rounded.valid.all()
    found = layer.round()
    assert found is not None
    best = (costs.energy_pj * costs.latency_cycles).min().item()
    assert found.objective == pytest.approx(best, rel=1e-9)
    assert costs.penalties["capacity"].max().item() < 1e-9
    assert costs.layer_energy_pj.shape == (1, 5)
    assert costs.area_um2 is None
    with pytest.raises(InputError, match="area"):
        costs.log_cost((1.0, 1.0, 1.0))


@pytest.mark.parametrize("factors", ["perfect", "ragged"])
def test_rounded_mappings_are_valid_with_their_bypasses(factors: str) -> None:
    asked = make_problem(SMALL, gemm(90, 70, 50), factors=factors)
    layer = RelaxedLayer(asked, 6, orders="relaxed", bypasses="relaxed", seed=1)
    adam = torch.optim.Adam(layer.parameters(), lr=0.1)
    before = layer().log_cost((1.0, 1.0, 0.0)).mean().item()
    for _ in range(8):
        adam.zero_grad()
        costs = layer(temperature=0.5, noise=0.1)
        (costs.log_cost((1.0, 1.0, 0.0)) + costs.penalty()).sum().backward()
        adam.step()
        layer.project_()
    assert costs.log_cost((1.0, 1.0, 0.0)).mean().item() < before - 0.2
    found = layer.round()
    assert found is not None
    assert not violations(chosen_problem(asked, found.mapping).space, found.mapping)
    again = evaluate(found.mapping, asked.arch, asked.workload)
    assert again.energy_pj * again.latency_cycles == pytest.approx(found.objective)
    counted = layer.evaluations
    layer()
    assert layer.evaluations - counted == 6 * layer.tilings.alternatives.count


def test_parameters_off_the_simplex_are_told_and_cost_nothing_else() -> None:
    layer = RelaxedLayer(problem(), 4)
    before = layer()
    with torch.no_grad():
        layer.tilings.logs += 0.2 * (layer.tilings.lower < layer.tilings.upper)
    after = layer()
    assert before.penalties["validity"].max().item() < 1e-12
    assert after.penalties["validity"].min().item() > 0.1
    sums = layer.tilings.factors().log().sum(dim=1)
    torch.testing.assert_close(sums, layer.tilings.total.expand_as(sums))
    layer.project_()
    assert layer().penalties["validity"].max().item() < 1e-12


def test_what_exceeds_a_capacity_or_a_mesh_is_penalised() -> None:
    layer = RelaxedLayer(problem(), 2)
    needs = layer.minimal_hardware()
    assert {"GlobalBuffer", "SACols", "Compute"} <= set(needs)
    tilings, levels = layer.tilings, layer.problem.arch.levels
    for level in tilings.bound_levels:
        kind = "capacity" if levels[level].name in ("GlobalBuffer", "WRegister") else "mesh"
        found = tilings.penalties({level: torch.full((2,), 1e9, dtype=torch.float64)})
        if hasattr(levels[level], "capacity_words"):
            kind = "capacity"
        assert float(found[kind].min()) > 1
        (other,) = {"capacity", "mesh"} - {kind}
        assert float(found[other].max()) == 0


def test_layers_that_are_not_alike_are_refused() -> None:
    one, other = problem(), problem("simba")
    factors, order = (np.ones((2, *one.space.shape), dtype=np.int64) for _ in range(2))
    with pytest.raises(InputError, match="alike"):
        Tilings([one, other], factors, order)
    with pytest.raises(InputError, match="expected as many of each"):
        Tilings([one], factors[:0], order[:0])


@pytest.mark.parametrize("device", ["cuda:77", "gpu"])
def test_a_device_that_is_not_there_is_one_message(device: str) -> None:
    with pytest.raises(InputError, match=f"device.*'{device}' is not there.*such as 'cpu'"):
        torch_device(device)


def test_unknown_ways_to_relax_are_refused() -> None:
    with pytest.raises(InputError, match="expected fixed or relaxed"):
        RelaxedLayer(problem(), 2, orders="soft")  # type: ignore[arg-type]
