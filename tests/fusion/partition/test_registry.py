"""Partition search against brute force, and what must hold of any partition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import networkx as nx
import pytest
from examples import examples, some
from fusion.brute_force import share_tensors
from fusion.networks import conv, network, random_network, residual, tensor
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError
from toolkit.fusion import (
    Assumptions,
    FoldedGraph,
    GroupPlan,
    Option,
    TrafficModel,
    best_plan,
    find_partition,
    fold,
)
from toolkit.fusion.group_model import FusionObjective, value_of
from toolkit.fusion.groups import Group, GroupView, is_partition, quotient
from toolkit.fusion.partition import total_costs
from toolkit.fusion.partition.registry import in_order
from toolkit.fusion.tile.group_plan import single_plan

SEEDS = st.integers(0, 10**6)
ROWS = Assumptions(200, loops=1, halos=("retain",))


def partitions(names: Sequence[str]) -> Iterator[list[set[str]]]:
    """All partitions of a set."""
    if not names:
        yield []
        return
    for rest in partitions(names[1:]):
        yield [{names[0]}, *rest]
        for i, part in enumerate(rest):
            yield [*rest[:i], part | {names[0]}, *rest[i + 1 :]]


def legal(graph: FoldedGraph) -> Iterator[list[Group]]:
    for parts in partitions(graph.names):
        if all(share_tensors(graph, part) for part in parts):
            groups = [frozenset(part) for part in parts]
            if nx.is_directed_acyclic_graph(quotient(graph, groups)):
                yield groups


class Priced:
    """Groups at random costs that have nothing to do with tiles."""

    complete = True

    def __init__(self, graph: FoldedGraph, objective: FusionObjective, seed: int) -> None:
        self.graph = graph
        self.given = ROWS
        self.objective = objective
        self.seed = seed
        self.costed = 0

    def options(self, group: Group, limit: float | None = None) -> Sequence[Option]:
        import random

        draw = random.Random(f"{self.seed} {sorted(group)}")
        if len(group) > 1 and draw.random() < 0.3:
            return ()
        size = 2 if self.objective == "edp" else 1
        plan = GroupPlan(group, (), (), {}, 0, 0, 0, 0, 0)
        count = draw.choice((1, 1, 2, 3))
        return [
            Option(tuple(draw.randint(1, 30) * len(group) ** 0.7 for _ in range(size)), plan)
            for _ in range(count)
        ]

    def alone(self, name: str) -> Option:
        return self.options(frozenset((name,)))[0]

    @property
    def bound(self) -> tuple[float, ...]:
        return self.least(frozenset(self.graph.names))

    def least(self, group: Group) -> tuple[float, ...]:
        return (0.0, 0.0) if self.objective == "edp" else (0.0,)


def brute_force(model: Priced) -> float:
    """The least value over all legal partitions and all ways to run their groups."""
    best = float("inf")
    for groups in legal(model.graph):
        totals = {(0.0, 0.0) if model.objective == "edp" else (0.0,)}
        for group in groups:
            totals = {
                tuple(a + b for a, b in zip(total, option.costs, strict=True))
                for total in totals
                for option in model.options(group)
            }
        best = min([best, *map(value_of, totals)])
    return best


@pytest.mark.parametrize("objective", ["energy", "edp"])
@pytest.mark.parametrize("seed", some(range(120), 50))
def test_exact_is_brute_force(objective: FusionObjective, seed: int) -> None:
    graph = random_network(seed, most=6 if objective == "edp" else 7)
    model = Priced(graph, objective, seed)
    found = find_partition(model, "exact")
    assert found.value == pytest.approx(brute_force(model), rel=1e-12)
    assert is_partition(graph, found.partition)


@pytest.mark.parametrize("seed", some(range(12), 6))
def test_exact_is_brute_force_on_nine_layers(seed: int) -> None:
    graph = random_network(8 * seed, most=9)
    model = TrafficModel(graph, ROWS)
    best = float("inf")
    for groups in legal(graph):
        options = [model.options(group) for group in groups]
        if all(options):
            best = min(best, sum(option[0].costs[0] for option in options))
    assert find_partition(model, "exact").value == best


@given(SEEDS, st.sampled_from([60, 200, 1000]))
@examples(10)
def test_order_of_strategies(seed: int, words: int) -> None:
    graph = random_network(seed, 7)
    model = TrafficModel(graph, Assumptions(words, loops=2, halos=("retain",)))
    values = {
        name: find_partition(model, name) for name in ("exact", "segments", "greedy", "none")
    }
    exact = values["exact"].value
    assert exact <= values["segments"].value <= values["none"].value
    assert exact <= values["greedy"].value <= values["none"].value
    assert exact >= graph.floor_words
    for result in values.values():
        assert is_partition(graph, result.partition)
        assert result.bound <= exact
        assert result.value == sum(plan.dram_words for plan in result.plans)
        assert sum(not boundary.shared for boundary in result.boundaries) == sum(
            not any({a, b} <= group for group in result.partition) for a, b in graph.edges
        )
    assert values["exact"].proved


@given(SEEDS, st.integers(20, 400), st.integers(1, 400))
@examples(20)
def test_more_room_never_costs_more(seed: int, words: int, more: int) -> None:
    graph = random_network(seed, 5)
    group = frozenset(graph.names)
    small = best_plan(GroupView(graph, group), Assumptions(words))
    large = best_plan(GroupView(graph, group), Assumptions(words + more))
    assert small is None or (large is not None and large.dram_words <= small.dram_words)


@given(SEEDS)
@examples(20)
def test_more_ways_never_cost_more(seed: int) -> None:
    graph = random_network(seed, 7)
    group = frozenset(graph.names)
    rows = best_plan(GroupView(graph, group), ROWS)
    every = best_plan(GroupView(graph, group), Assumptions(200))
    if rows is not None:
        assert every is not None and every.dram_words <= rows.dram_words


@given(SEEDS, st.sampled_from([40, 90, 200]), st.floats(1.0, 1.6))
@examples(12)
def test_limits_only_hide_plans(seed: int, words: int, scale: float) -> None:
    """Bounds that skip plans are none for plans with mixed halos, which have other windows."""
    graph = random_network(seed, 6)
    view, given = GroupView(graph, frozenset(graph.names)), Assumptions(words)
    plan = best_plan(view, given)
    limit = scale * graph.floor_words
    below = plan if plan is not None and (plan.dram_words < limit or len(graph) == 1) else None
    assert best_plan(view, given, limit) == below


def test_the_search_mixes_halos_where_that_helps() -> None:
    """Of a narrow buffer, one halo is kept and the other, which is dear to keep, made again."""
    graph = random_network(32)
    view, given = GroupView(graph, frozenset(graph.names)), Assumptions(40, loops=2)
    plan = best_plan(view, given)
    assert plan is not None and plan.halo == {"x": "mixed"} and len(plan.made) > 1
    kept = best_plan(view, replace(given, halos=("retain",)))
    assert kept is None or kept.dram_words > plan.dram_words


@given(SEEDS, st.integers(30, 400))
@examples(20)
def test_a_plan_keeps_its_promises(seed: int, words: int) -> None:
    graph = random_network(seed, 7)
    plan = best_plan(GroupView(graph, frozenset(graph.names)), Assumptions(words))
    if plan is None or len(graph) == 1:
        return
    assert plan.footprint_words <= plan.peak_words <= words
    assert plan.dram_words >= graph.floor_words
    leaving = sum(la.output.elements for la in graph.layers if graph.leaves(la))
    # Sums that are not kept are written and read back.
    assert plan.output_words >= leaving


@given(SEEDS)
@examples(15)
def test_a_layer_on_its_own_moves_each_tensor_once(seed: int) -> None:
    graph = random_network(seed)
    for layer in graph.layers:
        plan = single_plan(graph, layer.name)
        moved = sum(t.elements for t in (*layer.inputs, layer.output)) + layer.weight_words
        assert plan.dram_words == moved


def test_too_little_room_fuses_nothing_and_says_so() -> None:
    graph = residual()
    found = find_partition(TrafficModel(graph, Assumptions(3)))
    assert [len(group) for group in found.partition] == [1] * 4
    assert {boundary.reason for boundary in found.boundaries} == {"capacity"}
    # The skip connection cannot be fused alone: the main path runs in between.
    skip = {(b.source, b.target): b.detail for b in found.boundaries}["stem", "sum"]
    assert "with 'one', 'two', which must run in between" in skip


def test_no_gain_is_a_reason() -> None:
    """A wide tensor enters, tiny ones leave: one more layer only makes weights be read again."""
    layers = [conv("a", tensor("x", 2, 8), 8, 3)]
    layers.append(conv("b", layers[0].outputs[0], 8, 3))
    layers.append(conv("c", layers[1].outputs[0], 8, 3))
    found = find_partition(TrafficModel(fold(network(layers)), Assumptions(420)))
    assert {boundary.reason for boundary in found.boundaries} <= {"no gain", "capacity"}


def test_groups_may_be_joined_by_a_later_layer() -> None:
    """The two branches of an addition are connected by nothing before it."""
    one, two = conv("a", tensor("x", 1, 4), 1), conv("b", tensor("y", 1, 4), 1)
    from fusion.networks import add

    graph = fold(network([one, two, add("s", one.outputs[0], two.outputs[0])]))
    found = find_partition(TrafficModel(graph, Assumptions(1000)))
    assert found.partition == (frozenset("abs"),)


def test_strategies_are_known_by_name() -> None:
    model = TrafficModel(residual(), ROWS)
    with pytest.raises(InputError, match="unknown fusion strategy 'exakt' .did you mean"):
        find_partition(model, "exakt")
    with pytest.raises(InputError, match="most_layers"):
        find_partition(model, most_layers=0)


def test_nsga2_is_legal_and_seeded() -> None:
    model = TrafficModel(residual(), Assumptions(120))
    first, second = (find_partition(model, "nsga2", seed=3) for _ in range(2))
    assert first.partition == second.partition
    assert first.value >= find_partition(model, "exact").value


def test_groups_are_in_an_order_in_which_they_can_run() -> None:
    graph = random_network(5)
    found = find_partition(TrafficModel(graph, ROWS))
    done: set[str] = set()
    for group in in_order(TrafficModel(graph, ROWS), found.groups):
        for name in group.plan.group:
            assert set(graph.predecessors(name)) <= done | group.plan.group
        done |= group.plan.group


def test_totals_add_up() -> None:
    found = find_partition(TrafficModel(residual(), Assumptions(150)))
    assert total_costs(found.groups) == found.costs
    assert found.table()["dram_input_words"].sum() > 0
    assert list(found.boundary_table().columns)[:2] == ["source", "target"]


def test_too_many_down_sets_still_give_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.fusion.partition.exact.MOST_IDEALS", 3)
    graph = residual()
    found = find_partition(TrafficModel(graph, Assumptions(150)))
    assert found.down_sets is None
    assert "segments and greedy" in found.notes[0]
    assert graph.floor_words <= found.bound <= found.value


def test_limited_groups_are_no_proof_for_longer_ones() -> None:
    model = TrafficModel(residual(), Assumptions(1000))
    short, long = (find_partition(model, most_layers=most) for most in (2, 4))
    assert short.most_layers == 2 and long.most_layers is None
    assert short.bound <= long.value < short.value
    assert {b.reason for b in short.boundaries} <= {"missed", "barrier"}
