"""No parts of a layer, however they are cut and mapped, are below what is proved of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import ceil, prod

import pytest
from examples import some
from fusion.networks import conv, network, random_network, residual, tensor
from fusion.products import mixture, multiply, rows

import toolkit
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.fusion import FoldedGraph, MappedModel, find_partition, fold
from toolkit.fusion.between_steps import old_sum_pj
from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.large_layers import (
    large_layer,
    parts_energy_pj,
    prove_all,
    seen_archs,
    share_of_parts,
)
from toolkit.fusion.layer_costs import LayerCosts, Part, fused_arch
from toolkit.fusion.part_bounds import PartBounds
from toolkit.fusion.tile.residency import Homes, fusion_levels
from toolkit.model.conventions import EXACT
from toolkit.search.network import LayerSearch, lowerings, map_workload
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget
from toolkit.workload import gemm
from toolkit.workload.kernel import Role
from toolkit.workload.network import Layer, TensorInfo

ARCHS = ("eyeriss-conv", "gemmini-ws", "simba-conv", "eyeriss", "gemmini")


def best(objective: str, seconds: float = 0.3) -> LayerSearch:
    """The exact search; what it has found by then is a mapping, and may not be below bounds."""
    return LayerSearch("exact", Budget(seconds=seconds), objective=OBJECTIVES[objective])


def without_outermost_energy(arch: toolkit.Architecture) -> toolkit.Architecture:
    """So that the best mapping is the one with the least energy of all other levels."""
    dram, *levels = arch.levels
    assert isinstance(dram, Memory)
    free = replace(dram, read_energy_pj=0.0, write_energy_pj=0.0)
    return replace(arch, levels=(free, *levels))


def product_layer(rows: int, wide: int, made: int) -> FoldedGraph:
    x, y = TensorInfo("x", (rows, wide), "int8"), TensorInfo("y", (rows, made), "int8")
    weight = TensorInfo("w", (wide, made), "int8")
    layer = Layer("fc", "Gemm", "einsum", (x,), (weight,), (y,), workload=gemm(made, wide, rows))
    return fold(network([layer]))


def drawn_layer(draw: random.Random) -> FoldedLayer:
    if draw.random() < 0.3:
        sizes = (draw.randint(1, 16) for _ in range(3))
        return product_layer(*sizes).layers[0]
    rows = draw.randint(5, 9)
    source = tensor("x", draw.choice((1, 3, 8)), rows, draw.randint(5, 9))
    kernel, stride = draw.choice(((1, 1), (3, 1), (1, 2), (3, 2)))
    return fold(network([conv("c", source, draw.choice((1, 4, 16)), kernel, stride)])).layers[0]


def pieces(draw: random.Random, size: int) -> list[int]:
    """Sizes that add up to one."""
    found = []
    while size:
        found.append(draw.randint(1, min(size, draw.choice((7, size)))))
        size -= found[-1]
    return found


def parts(draw: random.Random, layer: FoldedLayer) -> Iterator[Part]:
    """A grid of parts of all sizes."""
    axes = sorted(r.axis for r in layer.ranks if r.axis is not None and not r.weights)
    sizes = [pieces(draw, layer.output.shape[axis]) for axis in axes]
    for cell in product(*sizes):
        yield tuple(zip(axes, cell, strict=True))


def bounds(arch: toolkit.Architecture, search: LayerSearch, seconds: float = 0.3) -> PartBounds:
    names = [memory.name for memory in fusion_levels(arch)]
    return PartBounds(LayerCosts(arch, search, cache=False), names, seconds=seconds)


@pytest.mark.parametrize("seed", some(range(20), 8))
@pytest.mark.parametrize("objective", ["energy", "latency"])
def test_no_parts_are_below_what_is_proved(seed: int, objective: str) -> None:
    draw = random.Random(seed)
    arch = without_outermost_energy(toolkit.load_arch(ARCHS[seed % len(ARCHS)]))
    layer = drawn_layer(draw)
    known = bounds(arch, best(objective))
    (least,) = known.least([layer])
    home = known.memories[0]
    stays = "weight" not in fusion_levels(arch)[0].bypasses and draw.random() < 0.5
    roles: tuple[Role, ...] = ("input", "output", *(("weight",) if stays else ()))
    homes = draw.choice((Homes.at(home, *roles), Homes()))
    cells = list(parts(draw, layer)) if homes.levels else [()]
    costs = [known.costs.cost(layer, part, homes) for part in cells]
    if objective == "energy":
        outermost = arch.memories[0].name
        spent = sum(c.energy_pj - c.levels.get(outermost, 0.0) for c in costs)
        assert least.energy_pj <= spent * (1 + 1e-9)
        assert known.floor(layer).energy_pj <= least.energy_pj
    else:
        assert least.latency_cycles <= sum(c.latency_cycles for c in costs) * (1 + 1e-9)


def buffered(bypasses: tuple[str, ...] = ()) -> toolkit.Architecture:
    """A buffer from which lanes take all they need; words of DRAM cost nothing."""
    levels = (
        Memory("DRAM", None, 0.0, 0.0, 8.0, 8.0),
        Memory("Buffer", 200, 3.0, 12.0, 8.0, 8.0, bypasses=bypasses),
        Fanout("Rows", 3, ("M",), multicast=False),
        Compute("MAC", 1.4),
    )
    return toolkit.Architecture("buffered", levels)


def test_sums_of_whole_layers_begin_with_nothing() -> None:
    """They do not where copies of one add up to a larger sum, which is what is proved."""
    (layer,) = product_layer(7, 3, 5).layers
    known = bounds(buffered(), best("energy"))
    (least,) = known.least([layer])
    whole = known.costs.cost(layer, (), Homes.at("Buffer", "input", "output"))
    assert 0.9 * whole.energy_pj < least.energy_pj <= whole.energy_pj


def test_both_operands_of_a_layer_on_its_own_may_pass_by() -> None:
    """Where groups keep both on chip, and wires lead past that for one of them."""
    (layer,) = fold(network([multiply("a", rows("x", 4, 2, 3), rows("y", 4, 3, 3))])).layers
    known = bounds(buffered(("weight",)), best("energy"))
    (least,) = known.least([layer])
    assert least.energy_pj <= known.costs.alone(layer.whole).energy_pj


@pytest.mark.parametrize("seed", some(range(4), 2))
def test_layers_on_their_own_take_no_less_at_any_rate(seed: int) -> None:
    arch = toolkit.load_arch(ARCHS[seed % len(ARCHS)])
    layer = drawn_layer(random.Random(seed))
    known = bounds(arch, best("edp"))
    cost, rate = known.costs.alone(layer.whole), known.rate([layer])
    (least,) = known.alone([layer], rate)
    for weight in (0.3 * rate, rate, 3 * rate):
        spent = cost.energy_pj + weight * cost.latency_cycles
        assert 0.5 * spent < least.weighted(1.0, weight) <= spent * (1 + 1e-9)


def test_proofs_are_close_to_the_whole_layer() -> None:
    arch = without_outermost_energy(toolkit.load_arch("eyeriss-conv"))
    (layer,) = fold(network([conv("c", tensor("x", 64, 28), 256, 1)])).layers
    search = LayerSearch("greedy", Budget(evaluations=20_000), objective=OBJECTIVES["energy"])
    known = bounds(arch, search, seconds=4.0)
    whole = known.costs.cost(layer, (), Homes.at("GlobalBuffer", "input", "output"))
    (least,) = known.least([layer])
    assert 0.96 * whole.energy_pj < least.energy_pj <= whole.energy_pj
    assert least.energy_pj > 1.02 * known.floor(layer).energy_pj


@pytest.mark.parametrize("seed", some(range(6), 3))
def test_parts_of_weights_and_sums(seed: int) -> None:
    """Wherever a product is cut, if parts of a sum read back what they add to."""
    draw = random.Random(seed)
    arch = without_outermost_energy(toolkit.load_arch(("eyeriss", "gemmini-ws")[seed % 2]))
    home = fusion_levels(arch)[0]
    seen = fused_arch(arch, Homes.at(home.name, "input", "output"))
    whole = lowerings(arch, gemm(12, 10, 9))[0].workload
    roles = {frozenset(t.role for t in whole.tensors if d in t.dimensions) for d in whole.sizes}
    large, share = large_layer(seen, whole, roles)
    (bound,) = prove_all([large], EXACT, seconds=1.0, store=None, jobs=1).values()
    least = parts_energy_pj(seen, whole, large, share, bound)
    axes = [d for d, size in whole.sizes.items() if size > 1]
    spent, brought = 0.0, sum(old_sum_pj(seen, whole.output).values())
    for cell in product(*(pieces(draw, whole.sizes[d]) for d in axes)):
        part = replace(whole, sizes={**whole.sizes, **dict(zip(axes, cell, strict=True))})
        spent += map_workload(seen, part, best("energy")).energy_pj
        outputs = prod(part.sizes[d] for d in whole.output.dimensions)
        # Of every output the first part that adds to it starts from zero.
        spent += outputs * brought
    spent -= prod(whole.sizes[d] for d in whole.output.dimensions) * brought
    assert 0.1 * spent < least <= spent


def test_what_a_level_insists_on_is_the_most_it_may_have() -> None:
    arch = toolkit.load_arch("gemmini")
    (layer,) = product_layer(40, 40, 40).layers
    workload = layer.layer.workload
    assert workload is not None
    large, share = large_layer(arch, workload, [frozenset({"input", "output"})])
    relations = {c.relation for level in large.arch.levels for c in level.constraints}
    assert relations == {"<="}
    assert large.workload.sizes == {"M": 40, "K": 40, "N": 40 * 256}
    # Parts of 40 rows are padded to 48, which lose less than those that are not.
    assert share == share_of_parts(40, 256) < 1


@pytest.mark.parametrize(("size", "copies"), [(5, 1), (6, 3), (8, 7)])
def test_no_cut_loses_more_than_is_said(size: int, copies: int) -> None:
    def cuts(left: int) -> Iterator[tuple[int, ...]]:
        yield from ((first, *rest) for first in range(1, left) for rest in cuts(left - first))
        yield (left,)

    each = [sum(copies / ceil(copies * size / p) for p in cut) for cut in cuts(size)]
    assert share_of_parts(size, copies) == pytest.approx(min(each))


def test_where_operands_can_be() -> None:
    inner = toolkit.load_arch("tensor-core-sm")
    names = [memory.name for memory in fusion_levels(inner)]
    assert len(seen_archs(inner, names, operands_alike=False)) == 5
    # Scratchpads that outputs pass by: a layer on its own does not write them there.
    scratchpad = toolkit.load_arch("gemmini-ws")
    assert scratchpad in seen_archs(scratchpad, ["Scratchpad"], operands_alike=False)
    # Weights pass by that buffer, and so does an activation that is one to its workload.
    eyeriss = toolkit.load_arch("eyeriss")
    assert len(seen_archs(eyeriss, ["GlobalBuffer"], operands_alike=False)) == 1
    assert eyeriss in seen_archs(eyeriss, ["GlobalBuffer"], operands_alike=True)


@pytest.mark.parametrize("seed", some(range(4), 2))
@pytest.mark.parametrize("objective", ["edp", "energy", "latency"])
def test_no_partition_is_below_the_bound(seed: int, objective: str) -> None:
    arch = toolkit.load_arch(ARCHS[seed % 3])
    graph = random_network(seed, most=3)
    model = MappedModel(
        graph,
        arch,
        objective=objective,  # type: ignore[arg-type]
        search=best(objective, 0.1),
        proof_seconds=0.3,
        cache=False,
    )
    found = find_partition(model, "exact")
    assert 0 < found.bound <= found.value
    assert found.bound <= found.unfused_value
    assert not found.proved


@pytest.mark.parametrize("machine", ["eyeriss", "gemmini-ws"])
def test_no_partition_of_experts_is_below_the_bound(machine: str) -> None:
    graph = mixture(6, 4, 3, 8)
    model = MappedModel(
        graph,
        toolkit.load_arch(machine),
        search=best("edp", 0.1),
        proof_seconds=0.3,
        cache=False,
    )
    found = find_partition(model, "exact")
    assert 0 < found.bound <= found.value < 0.9 * found.unfused_value


def test_strides_leave_out_what_is_not_read() -> None:
    # Every other position: a quarter of the input, which alone is read from outside.
    graph = fold(network([conv("c", tensor("x", 4, 16), 4, 1, 2)]))
    arch = toolkit.load_arch("eyeriss-conv")
    model = MappedModel(graph, arch, objective="dram", search=best("energy"), cache=False)
    found = find_partition(model, "none")
    assert found.bound == found.value == 4 * 64 + 16 + 4 * 64


def test_bounds_without_proofs_are_lower() -> None:
    graph = fold(network([conv("c", tensor("x", 16, 14), 16, 1)]))
    told = []

    def bound(seconds: float) -> float:
        arch = toolkit.load_arch("eyeriss-conv")
        model = MappedModel(graph, arch, objective="energy", proof_seconds=seconds, cache=False)
        model.bounds.on_proof = lambda done, total: told.append((done, total))
        return float(model.bound[0])

    assert 0 < bound(0.0) < bound(4.0)
    # A large layer, and the layer on its own.
    assert told == [(1, 2), (2, 2)]


def test_proofs_are_kept_with_other_results(tmp_path: object) -> None:
    arch = toolkit.load_arch("gemmini-ws")
    layers: Sequence[FoldedLayer] = residual(14, 8).layers

    def proved() -> list[float]:
        costs = LayerCosts(arch, cache=str(tmp_path))
        known = PartBounds(costs, ["Scratchpad"], seconds=5.0)
        return [least.energy_pj for least in known.least(layers)]

    assert proved() == proved()
