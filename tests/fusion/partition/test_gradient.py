"""Fusion by gradients: expectations, gradients of every decision, and the gap to exact."""

from __future__ import annotations

import pytest
from fusion.networks import random_network, residual
from fusion.partition.test_registry import Priced
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from toolkit.fusion import Assumptions, TrafficModel, find_partition  # noqa: E402
from toolkit.fusion.groups import is_partition  # noqa: E402
from toolkit.fusion.partition import total_costs  # noqa: E402
from toolkit.fusion.partition.gradient import Relaxation, read_off, relax  # noqa: E402


def decisions(relaxation: Relaxation, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    shape = (2, *relaxation.ways.shape)
    logits = torch.randn(shape[:2], generator=source, dtype=torch.float64, requires_grad=True)
    choice = torch.randn(shape, generator=source, dtype=torch.float64, requires_grad=True)
    return logits, choice


@pytest.mark.parametrize("seed", range(20))
def test_gradients_reach_every_decision(seed: int) -> None:
    """Every way to run a group, and every group that fuses; which layer runs first is none."""
    relaxation = relax(Priced(random_network(seed, 6), "edp", seed), 6)
    logits, choice = decisions(relaxation)
    costs = relaxation.expected(logits, choice, 1.0)
    torch.log(costs).sum().backward()
    sources = relaxation.sources.tolist()
    alone = {s for s in sources if sources.count(s) == 1}
    for group in range(len(relaxation.groups)):
        moves = [s for s, g in zip(sources, relaxation.taken.tolist(), strict=True) if g == group]
        if len(relaxation.groups[group]) > 1 and not alone.issuperset(moves):
            assert (logits.grad[:, group] != 0).all()
        if len({option.costs for option in relaxation.options[group]}) > 1:
            assert (choice.grad[:, group, : len(relaxation.options[group])] != 0).all()


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_the_expectation_is_the_mean_over_all_walks(seed: int) -> None:
    relaxation = relax(Priced(random_network(seed, 5), "energy", seed), 5)
    logits, choice = decisions(relaxation, seed)
    expected = relaxation.expected(logits, choice, 0.7)[0, 0].item()
    chance = relaxation.moves(logits, 0.7)[0].tolist()
    ways = torch.softmax(choice[0] / 0.7 + relaxation.ways, dim=-1)
    price = (ways * relaxation.costs[:, :, 0]).sum(dim=1).tolist()
    visited = {0: 1.0}
    total = 0.0
    moves = zip(
        relaxation.sources.tolist(),
        relaxation.targets.tolist(),
        relaxation.taken.tolist(),
        chance,
        strict=True,
    )
    for source, target, group, p in sorted(moves):
        share = visited[source] * p
        visited[target] = visited.get(target, 0.0) + share
        total += share * price[group]
    assert visited[relaxation.down_sets - 1] == pytest.approx(1.0)
    assert expected == pytest.approx(total)


def test_cold_walks_cost_what_is_read_off() -> None:
    model = TrafficModel(residual(), Assumptions(150))
    relaxation = relax(model, 4)
    logits, choice = decisions(relaxation)
    groups = read_off(relaxation, logits[0], choice[0])
    cold = relaxation.expected(logits[:1], choice[:1], 1e-3)
    assert cold[0, 0].item() == pytest.approx(total_costs(groups)[0], rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_result_is_legal_seeded_and_close(seed: int) -> None:
    graph = random_network(seed, 8)
    model = TrafficModel(graph, Assumptions(150))
    first, second = (find_partition(model, "gradient", seed=seed) for _ in range(2))
    exact = find_partition(model, "exact")
    assert is_partition(graph, first.partition)
    assert first.value == second.value
    assert exact.value <= first.value <= 1.05 * exact.value
