"""Fusion by gradients: expectations, gradients of every decision, and the gap to exact."""

from __future__ import annotations

import pytest
from examples import examples, some
from fusion.networks import random_network, residual
from fusion.partition.test_registry import Priced
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from toolkit.fusion import Assumptions, TrafficModel, find_partition  # noqa: E402
from toolkit.fusion.groups import is_partition  # noqa: E402
from toolkit.fusion.partition import total_costs  # noqa: E402
from toolkit.fusion.partition.gradient import (  # noqa: E402
    COLD,
    Relaxation,
    fusion_chances,
    read_off,
    relax,
)


def decisions(relaxation: Relaxation, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    shape = (2, *relaxation.ways.shape)
    logits = torch.randn(shape[:2], generator=source, dtype=torch.float64, requires_grad=True)
    choice = torch.randn(shape, generator=source, dtype=torch.float64, requires_grad=True)
    return logits, choice


@pytest.mark.parametrize("seed", some(range(20), 8))
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
@examples(12)
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


@given(st.integers(0, 10**6))
@examples(12)
def test_chances_are_those_of_all_walks(seed: int) -> None:
    graph = random_network(seed, 5)
    relaxation = relax(Priced(graph, "energy", seed), 5)
    logits, _ = decisions(relaxation, seed)
    chance = relaxation.moves(logits, COLD)[0].tolist()
    moves: dict[int, list[tuple[int, int, float]]] = {}
    for place, source in enumerate(relaxation.sources.tolist()):
        move = int(relaxation.targets[place]), int(relaxation.taken[place]), chance[place]
        moves.setdefault(source, []).append(move)
    fused = dict.fromkeys(graph.edges, 0.0)
    walks: list[tuple[int, float, list[int]]] = [(0, 1.0, [])]
    while walks:
        place, share, taken = walks.pop()
        if place == relaxation.down_sets - 1:
            for edge in graph.edges:
                if any(set(edge) <= relaxation.groups[group] for group in taken):
                    fused[edge] += share
        walks += [(to, share * p, [*taken, group]) for to, group, p in moves.get(place, ())]
    found = fusion_chances(relaxation, graph, logits[:1])
    edges = {(c.source, c.target): c.probability for c in found if not c.shared}
    assert edges == pytest.approx(fused)


@pytest.mark.parametrize("seed", some((0, 1, 3, 4, 5, 6), 3))
def test_descents_end_sure_of_what_they_found(seed: int) -> None:
    graph = random_network(seed, 7)
    found = find_partition(TrafficModel(graph, Assumptions(150)), "gradient", seed=seed)
    table = found.chance_table()
    assert (~table.shared).sum() == len(graph.edges)
    assert table.probability.between(0.0, 1.0).all()
    assert ((table.probability > 0.5) == table.fused).mean() >= 0.8
    home = {name: group for group in found.partition for name in group}
    assert [home[row.source] == home[row.target] for row in table.itertuples()] == list(
        table.fused
    )


@pytest.mark.parametrize("most", [3, 8])
def test_the_gap_to_exact_is_measured(most: int) -> None:
    model = TrafficModel(random_network(3, 8), Assumptions(150))
    found = find_partition(model, "gradient", most_layers=most)
    exact = find_partition(model, "exact", most_layers=most)
    assert found.exact_value == exact.value
    assert found.above_exact == found.value / exact.value - 1
    assert exact.bound == found.bound
    assert (exact.exact_value, exact.chances) == (None, ())


def test_too_many_down_sets_are_measured_against_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.fusion.partition.gradient.MOST_DOWN_SETS", 3)
    found = find_partition(TrafficModel(residual(), Assumptions(150)), "gradient")
    assert (found.exact_value, found.above_exact) == (None, None)
    assert sum(not chance.shared for chance in found.chances) == 4
