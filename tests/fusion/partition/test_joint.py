"""Fusion decisions and tilings that descend one expected objective together."""

from __future__ import annotations

import pytest
from fusion.networks import conv, network, pool, residual, tensor
from fusion.test_mapped import eyeriss

torch = pytest.importorskip("torch")

from toolkit.errors import InputError  # noqa: E402
from toolkit.fusion import (  # noqa: E402
    Assumptions,
    FoldedGraph,
    MappedModel,
    TrafficModel,
    find_partition,
    fold,
)
from toolkit.fusion.group_model import value_of  # noqa: E402
from toolkit.fusion.partition import total_costs  # noqa: E402
from toolkit.fusion.partition.joint import JointDescent  # noqa: E402
from toolkit.mapping import from_arrays  # noqa: E402
from toolkit.model import evaluate  # noqa: E402
from toolkit.search.network import LayerSearch  # noqa: E402
from toolkit.search.result import Budget  # noqa: E402

SEARCH = LayerSearch(budget=Budget(evaluations=1000))


def model(graph: FoldedGraph, **options: object) -> MappedModel:
    return MappedModel(
        graph, eyeriss(), loops=1, search=SEARCH, proof_seconds=0.0, cache=False, **options
    )  # type: ignore[arg-type]


def pair() -> FoldedGraph:
    first = conv("a", tensor("x", 4, 8), 4)
    return fold(network([first, conv("b", first.outputs[0], 4)]))


def test_gradients_reach_groups_ways_and_factors() -> None:
    joint = JointDescent(model(residual()), 4, seed=0, starts=2, tilings=3)
    joint.loss(1.0, range(len(joint.parts))).sum().backward()
    for number, group in enumerate(joint.relaxation.groups):
        if len(group) > 1:
            assert (joint.logits.grad[:, number] != 0).all()
    for part in joint.parts:
        assert (part.logs.grad.abs().amax(dim=(1, 2)) > 0).all()


def test_gradients_of_decisions_are_slopes() -> None:
    joint = JointDescent(model(pair()), 2, seed=1, starts=1, tilings=4)
    active = range(len(joint.parts))
    joint.loss(0.8, active).sum().backward()
    step = 1e-5
    for group in range(len(joint.relaxation.groups)):
        values = []
        for shift in (step, -step):
            with torch.no_grad():
                joint.logits[0, group] += shift
                values.append(joint.loss(0.8, active).sum().item())
                joint.logits[0, group] -= shift
        slope = joint.logits.grad[0, group].item()
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_constants_and_mappings_make_up_the_model() -> None:
    """With the model's own mappings, every option costs what the model says."""
    priced = model(residual())
    joint = JointDescent(priced, 4, seed=0, starts=1, tilings=1)
    known = {}
    for options in joint.relaxation.options:
        for option in options:
            for layer, part, homes, _ in priced.pricing.parts(option.plan):
                mapped = priced.costs.mapped(layer, part, homes)
                if mapped is not None:
                    arch, cost = mapped
                    known[str((cost.workload.sizes, arch.levels))] = cost
    energies, cycles = [], []
    for part in joint.parts:
        cost = known[str((part.problem.workload.sizes, part.problem.arch.levels))]
        energies.append(cost.energy_pj)
        cycles.append(cost.latency_cycles)
    rows = torch.tensor([energies, cycles], dtype=torch.float64)
    costs = joint.terms.costs(rows[:1], rows[1:])[0]
    width = joint.relaxation.ways.shape[1]
    for group, options in enumerate(joint.relaxation.options):
        for way, option in enumerate(options):
            assert costs[group * width + way].tolist() == pytest.approx(list(option.costs))


def test_rounded_mappings_are_valid_and_cost_what_is_said() -> None:
    joint = JointDescent(model(pair()), 2, seed=0, starts=2, tilings=8)
    before = [part.best_energy_pj * part.best_cycles for part in joint.parts]
    joint.descend(15)
    after = [part.best_energy_pj * part.best_cycles for part in joint.parts]
    assert all(a <= b for a, b in zip(after, before, strict=True))
    assert sum(after) < 0.9 * sum(before)
    for part in joint.parts:
        problem = part.problem
        mapping = from_arrays(part.factors, part.order, problem.arch, problem.workload)
        cost = evaluate(mapping, problem.arch, problem.workload)
        assert cost.energy_pj == pytest.approx(part.best_energy_pj)
        assert cost.latency_cycles == pytest.approx(part.best_cycles)


def test_the_result_is_close_to_the_best() -> None:
    """With the model's mappings, and with those of the descent."""
    priced = model(residual())
    found = JointDescent(priced, 4, 0, tilings=16).descend(30)
    exact = find_partition(priced, "exact").value
    assert exact <= value_of(total_costs(found.groups)) <= 1.05 * exact
    assert found.value <= 1.25 * exact


def test_the_same_seed_finds_the_same() -> None:
    priced = model(pair(), objective="energy")
    first, second = (JointDescent(priced, 2, 7, tilings=2).descend(5) for _ in range(2))
    assert (first.costs, first.groups) == (second.costs, second.groups)
    assert len(first.costs) == 1


def test_the_strategy_says_what_its_own_mappings_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.fusion.partition.joint.STEPS", 5)
    found = find_partition(model(pair()), "joint")
    assert "parts of layers descended" in found.notes[0]
    assert found.bound <= found.value
    assert [(c.source, c.target) for c in found.chances] == [("a", "b")]
    assert 0 <= found.chances[0].probability <= 1
    assert found.above_exact is not None and found.above_exact >= 0


def test_without_layers_to_map_only_decisions_descend() -> None:
    first = pool("p", tensor("x", 2, 8))
    joint = JointDescent(model(fold(network([first, pool("q", first.outputs[0])]))), 2, 0)
    found = joint.descend(5)
    assert found.parts == 0
    assert found.costs == pytest.approx(total_costs(found.groups))


def test_what_tilings_cannot_change_is_refused() -> None:
    with pytest.raises(InputError, match="expected energy, latency or edp"):
        JointDescent(model(pair(), objective="dram"), 2, seed=0)
    with pytest.raises(InputError, match="layers that take turns"):
        JointDescent(model(pair(), schedule="pipelined"), 2, seed=0)
    with pytest.raises(InputError, match="a model that maps layers"):
        find_partition(TrafficModel(pair(), Assumptions(100)), "joint")
