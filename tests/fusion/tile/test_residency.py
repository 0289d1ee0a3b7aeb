"""What stays on chip: tensors between layers on the memory that suits them, and weights."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from examples import examples
from fusion.networks import add, conv, network, residual, tensor
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.arch.levels import Memory
from toolkit.errors import ArchitectureError
from toolkit.fusion import FoldedGraph, GroupPlan, MappedModel, fold, fusion_level, fusion_levels
from toolkit.fusion.layer_costs import fused_arch
from toolkit.fusion.tile.residency import (
    Home,
    Homes,
    Waiting,
    choose_homes,
    choose_resident,
    words_held,
)
from toolkit.search.network import LayerSearch
from toolkit.search.result import Budget

SEARCH = LayerSearch(budget=Budget(evaluations=500))


def two_buffers(far_words: int, near_words: int, near_pj: float = 0.5) -> toolkit.Architecture:
    """Eyeriss with a small, cheap memory inside of its global buffer."""
    arch = toolkit.load_arch("eyeriss-conv")
    dram, buffer, *rest = arch.levels
    assert isinstance(buffer, Memory)
    far = replace(buffer, capacity_words=far_words)
    near = replace(
        buffer,
        name="Near",
        capacity_words=near_words,
        read_energy_pj=near_pj,
        write_energy_pj=near_pj,
    )
    return replace(arch, levels=(dram, far, near, *rest))


def model(graph: FoldedGraph, arch: toolkit.Architecture, level: str | None = None) -> MappedModel:
    return MappedModel(
        graph, arch, objective="energy", level=level, loops=1, search=SEARCH, cache=False
    )


WAITING = st.lists(
    st.tuples(*(st.integers(0, 9) for _ in range(3)), st.integers(1, 50), st.integers(1, 50)),
    min_size=1,
    max_size=5,
)


@given(WAITING, st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=3))
@examples(75)
def test_homes_are_the_best_of_all(
    rows: list[tuple[int, ...]], rooms: list[tuple[int, int]]
) -> None:
    tensors = [
        Waiting(str(i), kept, kept + more, start, start + 1, written, read)
        for i, (kept, more, start, written, read) in enumerate(rows)
    ]
    homes = [Home(str(i), words, pj, 2.0 * pj) for i, (words, pj) in enumerate(rooms)]
    best = None
    for chosen in itertools.product(homes, repeat=len(tensors)):
        held = [
            words_held([t for t, home in zip(tensors, chosen, strict=True) if home is other])
            for other in homes
        ]
        if all(words <= home.capacity_words for words, home in zip(held, homes, strict=True)):
            cost = sum(t.cost(home) for t, home in zip(tensors, chosen, strict=True))
            best = cost if best is None else min(best, cost)
    found = choose_homes(tensors, homes)
    if found is None:
        assert best is None
    else:
        by_name = {home.name: home for home in homes}
        assert sum(t.cost(by_name[found[t.name]]) for t in tensors) == pytest.approx(best)


def test_tensors_share_room_at_different_times() -> None:
    early, late = Waiting("a", 1, 6, 0, 1, 1, 1), Waiting("b", 2, 5, 2, 3, 1, 1)
    assert words_held([early, late]) == 3 + 5
    assert words_held([early, replace(late, start=1)]) == 6 + 5
    assert words_held([]) == 0


def chain(length: int = 3) -> FoldedGraph:
    layers = [conv("c0", tensor("x", 2, 8), 2)]
    for i in range(1, length):
        layers.append(conv(f"c{i}", layers[-1].outputs[0], 2))
    return fold(network(layers))


def whole(priced: MappedModel, homes: dict[str, str]) -> GroupPlan:
    """All layers in one step, tensors on the memories that are named."""
    (plan,) = (
        option.plan
        for option in priced.options(frozenset(priced.graph.names))
        if option.plan.steps == 1
    )
    return replace(plan, homes=homes)


@pytest.mark.parametrize("near_words", [100, 128, 256, 512])
def test_the_chosen_homes_cost_least(near_words: int) -> None:
    """Against every assignment that fits, by the energy of mapped layers."""
    graph = residual(rows=8)
    priced = model(graph, two_buffers(4096, near_words))
    chosen = priced.options(frozenset(graph.names))[0]
    between = ["stem.out", "one.out", "two.out"]
    tensors = [
        Waiting(name, 0, 128, start, end, 128, 128)
        for name, (start, end) in zip(between, [(0, 3), (1, 2), (2, 3)], strict=True)
    ]
    costs = []
    for choice in itertools.product((False, True), repeat=3):
        near = [t for t, inside in zip(tensors, choice, strict=True) if inside]
        if words_held(near) <= near_words:
            plan = whole(priced, {t.name: "Near" for t in near})
            costs.append(priced.cost(plan).energy_pj)
    assert chosen.plan.steps == 1
    assert chosen.costs[0] == pytest.approx(min(costs), rel=1e-9)
    assert bool(chosen.plan.homes) == (near_words >= 128)


def test_an_inner_memory_makes_room() -> None:
    """A group that does not fit the outer memory alone fits both."""
    graph = chain()
    arch = two_buffers(far_words=120, near_words=200)
    alone, both = model(graph, arch, "GlobalBuffer"), model(graph, arch)
    group = frozenset(graph.names)
    assert not alone.options(group)
    options = both.options(group)
    assert options
    for option in options:
        assert set(option.plan.homes.values()) == {"Near"}
        assert option.plan.footprint_words + option.plan.resident_words <= 120


def test_more_room_outside_takes_no_plan_away() -> None:
    """Also where the fewest words of all would leave an inner memory too little room."""
    graph = chain()
    group = frozenset(graph.names)
    costs = [
        min(option.costs[0] for option in model(graph, two_buffers(far, 200)).options(group))
        for far in (112, 128, 140, 160, 240)
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[1] < costs[0]


def test_a_named_level_is_used_alone() -> None:
    graph = chain(2)
    arch = two_buffers(4096, 4096)
    assert [memory.name for memory in fusion_levels(arch)] == ["GlobalBuffer", "Near"]
    for level in ("GlobalBuffer", "Near"):
        for option in model(graph, arch, level).options(frozenset(graph.names)):
            assert not option.plan.homes


def test_a_dear_inner_memory_holds_nothing() -> None:
    graph = chain(2)
    priced = model(graph, two_buffers(4096, 4096, near_pj=50.0))
    for option in priced.options(frozenset(graph.names)):
        assert not option.plan.homes


def test_no_word_of_a_tensor_is_seen_outside_its_home() -> None:
    graph = chain(2)
    priced = model(graph, two_buffers(4096, 4096))
    outer = priced.cost(whole(priced, {}))
    inner = priced.cost(whole(priced, {"c0.out": "Near"}))
    assert inner.levels["DRAM"] == outer.levels["DRAM"]
    assert inner.levels["GlobalBuffer"] < outer.levels["GlobalBuffer"]
    assert inner.energy_pj < outer.energy_pj


def test_memories_pass_by_what_has_another_home() -> None:
    homes = Homes((("input", "Near"), ("output", "GlobalBuffer")), ("GlobalBuffer", "Near"))
    dram, far, near = fused_arch(two_buffers(64, 64), homes).memories[:3]
    assert set(dram.bypasses) == {"input", "output"}
    assert set(far.bypasses) == {"input", "weight"}
    assert set(near.bypasses) == {"output", "weight"}
    assert far.capacity_words is near.capacity_words is None


def test_additions_read_where_the_outermost_operand_is() -> None:
    first = conv("a", tensor("x", 2, 8), 2)
    graph = fold(network([first, add("s", first.outputs[0], tensor("y", 2, 8))]))
    priced = model(graph, two_buffers(4096, 4096))
    for option in priced.options(frozenset(graph.names)):
        assert priced.cost(option.plan).energy_pj == pytest.approx(option.costs[0])


def test_the_fusion_level_is_the_outermost_on_chip() -> None:
    assert fusion_level(toolkit.load_arch("gemmini-ws")).name == "Scratchpad"


@pytest.mark.parametrize(
    ("level", "message"),
    [
        ("GlobalBufer", "no level 'GlobalBufer' .did you mean 'GlobalBuffer'"),
        ("WRegister", "'WRegister' is repeated by a fanout; .* GlobalBuffer can"),
        ("DRAM", "'DRAM' is the outermost memory"),
        ("SACols", "'SACols' is no memory"),
    ],
)
def test_levels_that_hold_nothing(level: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        fusion_level(toolkit.load_arch("eyeriss-conv"), level)


def test_an_architecture_without_a_shared_buffer() -> None:
    arch = toolkit.load_arch("eyeriss-conv")
    bare = replace(arch, levels=(arch.levels[0], *arch.levels[2:]))
    with pytest.raises(ArchitectureError, match="no memory on chip and outside of all fanouts"):
        fusion_level(bare)


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=7),
    st.integers(0, 40),
)
def test_resident_weights_save_the_most(items: list[tuple[int, int]], room: int) -> None:
    words = {str(i): w for i, (w, _) in enumerate(items)}
    passes = {str(i): p for i, (_, p) in enumerate(items)}

    def saved(names: frozenset[str] | tuple[str, ...]) -> int:
        return sum(words[name] * (passes[name] - 1) for name in names)

    chosen = choose_resident(words, passes, room)
    assert sum(words[name] for name in chosen) <= room
    subsets = (s for k in range(len(items) + 1) for s in itertools.combinations(words, k))
    assert saved(chosen) == max(saved(s) for s in subsets if sum(words[n] for n in s) <= room)
