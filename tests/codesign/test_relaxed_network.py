"""Networks as modules of torch: slopes, what costs add up to, fusion, hardware, rounding."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from codesign.jobs import product, two_products
from search.gradient.slopes import check_slopes, settle

from toolkit.codesign import NetworkWeight, hardware_space
from toolkit.codesign.joint_gradient.build import relax_networks
from toolkit.codesign.joint_gradient.network import RelaxedNetwork
from toolkit.codesign.minimal import MinimalHardware, requirements
from toolkit.errors import InputError
from toolkit.fusion import check_partition, fold
from toolkit.mapping import violations
from toolkit.model.conventions import EXACT, map_space
from toolkit.search.network import LayerSearch, map_network
from toolkit.search.result import Budget
from toolkit.workload.network import LayerGraph

RANGES = {"side": [4, 8, 16, 32], "accumulator_words": [64, 256, 1024]}
USES = [NetworkWeight(two_products(), 2.0)]


def network(starts: int = 3, **options: Any) -> RelaxedNetwork:
    return relax_networks(
        hardware_space("gemmini-ws", ranges=RANGES), USES, starts=starts, **options
    )


@pytest.mark.parametrize("sizes", ["needed", "learned"])
def test_gradients_reach_mappings_fusion_and_hardware_and_are_slopes(sizes: str) -> None:
    model = network(2, sizes=sizes, fusion=True, orders="relaxed")
    for number, batch in enumerate(model.all_batches):
        settle(batch.tilings, number)
    model.recentre_()
    if sizes == "learned":
        with torch.no_grad():
            model.hardware.logs -= 0.2  # Off the ends of the ranges.
    names = {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    assert names == {"logs", "order_logits", "logits"}
    learned = [name for name, _ in model.named_parameters() if name.startswith("hardware")]
    assert len(learned) == (sizes == "learned")

    def loss() -> torch.Tensor:
        costs = model(temperature=0.8)
        return costs.log_cost((1.0, 1.0, 1.0)) + costs.penalty()

    check_slopes(model, loss, draws=5, smooth=0.8)


def test_totals_are_those_of_the_layers_and_of_map_network() -> None:
    space = hardware_space("gemmini-ws", ranges=RANGES)
    arch = space.build(space.default).arch
    search = LayerSearch("greedy", Budget(evaluations=100), factors="perfect")
    known = map_network(
        two_products(),
        arch,
        "greedy",
        budget=search.budget,
        factors="perfect",
        cache=False,
        jobs=1,
    )
    model = relax_networks(arch, USES, starts=2, search=search, known=[known])
    costs = model()
    assert costs.energy_pj[0].item() == pytest.approx(2 * known.energy_pj, rel=1e-9)
    assert costs.latency_cycles[0].item() == pytest.approx(2 * known.latency_cycles, rel=1e-9)
    assert costs.area_um2 is not None and costs.area_um2[0] > 0
    assert model.layers == (("a",), ("b",))
    for total, layers in (
        (costs.energy_pj, costs.layer_energy_pj),
        (costs.latency_cycles, costs.layer_latency_cycles),
    ):
        torch.testing.assert_close(total, 2 * layers.sum(dim=0))
    found = model.round()
    assert found is not None and found.point is None
    assert found.edp_pj_cycles <= 4 * known.edp_pj_cycles * (1 + 1e-9)
    needs = {need.level: need.amount for need in found.minimal_hardware()}
    assert set(model.minimal_hardware()) == set(needs)


def test_fusion_saves_words_and_asks_for_room_and_its_overhead() -> None:
    model = network(2, fusion=True, sizes="learned")
    with torch.no_grad():
        model.edges.logits[:] = torch.tensor([[-30.0], [30.0]])
        for batch in model.all_batches:
            batch.tilings.logs[1::2] = batch.tilings.logs[0::2]
        model.hardware.logs[1] = model.hardware.logs[0]
    model.recentre_()
    costs = model()
    assert costs.energy_pj[1] < costs.energy_pj[0]
    assert costs.latency_cycles[1] <= costs.latency_cycles[0]
    needs = model.minimal_hardware()
    assert needs["scratchpad_words"][1] > needs["scratchpad_words"][0]


@pytest.mark.parametrize("sizes", ["needed", "learned"])
def test_rounding_gives_valid_mappings_on_hardware_within_the_budget(sizes: str) -> None:
    space = hardware_space("gemmini-ws", ranges=RANGES, area_budget_um2=6e5)
    model = relax_networks(space, USES, starts=4, sizes=sizes, fusion=True, powers=(1, 1, 1))
    adam = torch.optim.Adam(model.parameters(), lr=0.1)
    for step in range(12):
        adam.zero_grad()
        costs = model(temperature=1 - step / 15, noise=0.1)
        (costs.log_cost((1, 1, 1)) + costs.penalty()).sum().backward()
        adam.step()
        model.project_()
    before = model.evaluations
    found = model.round()
    assert found is not None and found.point is not None
    assert model.evaluations - before == found.evaluations > 0
    assert not space.excess(found.point)
    assert found.objective == pytest.approx(found.edp_pj_cycles * found.point.area_um2)
    for layer in found.layers.values():
        assert layer.cost is not None
        bounds = map_space(found.arch, layer.cost.workload, EXACT, "ragged")
        assert violations(bounds, layer.cost.mapping) == ()
    check_partition(fold(two_products()), found.partition)
    if not found.partition:
        energy = 2 * math.fsum(layer.energy_pj for layer in found.layers.values())
        assert found.energy_pj == pytest.approx(energy)
    least = found.minimal_hardware()
    assert isinstance(least, MinimalHardware)
    assert all(least.point.parameters[name] <= found.point.parameters[name] for name in RANGES)


def test_least_hardware_of_whole_tilings_is_the_exact_one() -> None:
    """But for the smooth maximum, which is at most a few percent above."""
    model = network(1, search=LayerSearch("random", Budget(evaluations=1), factors="perfect"))
    found = model.round()
    assert found is not None
    costs = [layer.cost for layer in found.layers.values() if layer.cost is not None]
    uses = [(cost.mapping, cost.workload) for cost in costs]
    needs = {need.level: need.amount for need in requirements(uses, found.arch)}
    smooth = {name: size.item() for name, size in model.minimal_hardware().items()}
    for name, exact in (
        ("side", max(needs["Rows"], needs["Columns"])),
        ("accumulator_words", needs["Accumulator"]),
        ("scratchpad_words", needs["Scratchpad"]),
    ):
        assert exact * 0.999 <= smooth[name] <= exact * 1.15


def test_a_search_at_the_rounding_makes_nothing_worse() -> None:
    model = network(3)
    plain = model.round()
    searched = model.round(LayerSearch("greedy", Budget(evaluations=300)))
    assert plain is not None and searched is not None
    assert searched.objective <= plain.objective
    assert searched.evaluations > plain.evaluations


def test_networks_may_have_layers_of_the_same_name() -> None:
    other = LayerGraph.from_layers(
        [product("a", 16, 8, 24, "x", "y"), product("b", 8, 16, 24, "y", "z")], name="other"
    )
    space = hardware_space("gemmini-ws", ranges=RANGES)
    model = relax_networks(space, [*USES, NetworkWeight(other)], starts=2, fusion=True)
    assert model.layers == (("0:a",), ("0:b",), ("1:a",), ("1:b",))
    assert model.edges is not None
    assert [edge.source for edge in model.edges.edges] == ["0:a", "1:a"]
    found = model.round()
    assert found is not None
    sizes = {
        name: layer.cost.workload.sizes["M"]
        for name, layer in found.layers.items()
        if layer.cost is not None
    }
    assert sizes == {"0:a": 32, "0:b": 8, "1:a": 16, "1:b": 8}


def test_starts_are_seeded() -> None:
    def costs(seed: int) -> list[float]:
        return network(3, seed=seed)().energy_pj.tolist()

    assert costs(1) == costs(1) != costs(2)


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(InputError, match="starts.*at least 1"):
        network(0)
    with pytest.raises(InputError, match="needed or learned"):
        network(2, sizes="given")
    with pytest.raises(InputError, match="known.*expected 1 results"):
        network(2, known=[None, None])
