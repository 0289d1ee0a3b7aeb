"""Fusion decisions and tilings that descend one expected objective together."""

from __future__ import annotations

import pytest
from fusion.networks import conv, network, residual, tensor
from fusion.test_mapped import eyeriss

torch = pytest.importorskip("torch")

from toolkit.errors import InputError  # noqa: E402
from toolkit.fusion import FoldedGraph, MappedModel, find_partition, fold  # noqa: E402
from toolkit.fusion.joint import JointDescent  # noqa: E402
from toolkit.mapping import from_arrays  # noqa: E402
from toolkit.model import evaluate  # noqa: E402
from toolkit.search.network import LayerSearch  # noqa: E402
from toolkit.search.result import Budget  # noqa: E402

SEARCH = LayerSearch(budget=Budget(evaluations=1000))


def model(graph: FoldedGraph, **options: object) -> MappedModel:
    return MappedModel(graph, eyeriss(), axes=1, search=SEARCH, cache=False, **options)  # type: ignore[arg-type]


def pair() -> FoldedGraph:
    first = conv("a", tensor("x", 4, 8), 4)
    return fold(network([first, conv("b", first.outputs[0], 4)]))


def test_gradients_reach_groups_ways_and_factors() -> None:
    joint = JointDescent(model(residual()), 4, seed=0, starts=2)
    joint.loss(1.0, range(len(joint.parts))).sum().backward()
    for number, group in enumerate(joint.relaxation.groups):
        if len(group) > 1:
            assert (joint.logits.grad[:, number] != 0).all()
    for part in joint.parts:
        assert (part.logs.grad.abs().amax(dim=(1, 2)) > 0).all()


def test_gradients_of_decisions_are_slopes() -> None:
    joint = JointDescent(model(pair()), 2, seed=1, starts=1)
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
    joint = JointDescent(priced, 4, seed=0, starts=1)
    known = {}
    for options in joint.relaxation.options:
        for option in options:
            for layer, part, homes, _ in priced.parts(option.plan):
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
    joint = JointDescent(model(pair()), 2, seed=0, starts=3)
    before = [part.best_energy_pj * part.best_cycles for part in joint.parts]
    joint.descend(20)
    after = [part.best_energy_pj * part.best_cycles for part in joint.parts]
    assert all(a <= b for a, b in zip(after, before, strict=True))
    assert sum(after) < 0.9 * sum(before)
    for part in joint.parts:
        problem = part.problem
        mapping = from_arrays(part.factors, part.order, problem.arch, problem.workload)
        cost = evaluate(mapping, problem.arch, problem.workload)
        assert cost.energy_pj == pytest.approx(part.best_energy_pj)
        assert cost.latency_cycles == pytest.approx(part.best_cycles)


@pytest.mark.parametrize("objective", ["edp", "energy"])
def test_the_partition_is_close_to_the_best(objective: str) -> None:
    priced = model(residual(), objective=objective)
    found = JointDescent(priced, 4, seed=0).descend(40)
    exact = find_partition(priced, "exact")
    own = 1.0
    for total in zip(*(option.costs for option in found.groups), strict=True):
        own *= sum(total)
    assert exact.value <= own <= 1.05 * exact.value
    assert len(found.costs) == len(exact.costs)


def test_what_tilings_cannot_change_is_refused() -> None:
    with pytest.raises(InputError, match="expected energy, latency or edp"):
        JointDescent(model(pair(), objective="dram"), 2, seed=0)
    with pytest.raises(InputError, match="layers that take turns"):
        JointDescent(model(pair(), schedule="pipelined"), 2, seed=0)
