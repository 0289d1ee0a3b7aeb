"""Parts of layers as workloads: the right dimension is cut, and nothing is lost."""

from __future__ import annotations

import pytest
from fusion.networks import network
from fusion.products import mixture

from toolkit.arch import Architecture, Compute, Fanout, Memory, load_arch
from toolkit.fusion import fold
from toolkit.fusion.layer_costs import LayerCosts, fused_arch, tile_workload
from toolkit.fusion.part_bounds import PartBounds
from toolkit.fusion.tile.residency import Homes
from toolkit.mapping import with_bypass_rule
from toolkit.mapping.bypasses import Bypass
from toolkit.workload import batched_gemm, gemm
from toolkit.workload.kernel import Workload
from toolkit.workload.network import Layer, TensorInfo

RULES: tuple[Bypass, ...] = ("fixed", "free")


def part(
    left: tuple[int, ...], right: tuple[int, ...], whole: Workload, axis: int, size: int
) -> dict[str, int]:
    """Sizes of a part of ``left @ right``."""
    batch = [max(a, b) for a, b in zip(left[:-2], right[:-2], strict=True)]
    a, b = TensorInfo("a", left, "int8"), TensorInfo("b", right, "int8")
    out = TensorInfo("o", (*batch, left[-2], right[-1]), "int8")
    layer = Layer("mm", "MatMul", "einsum", (a, b), (), (out,), workload=whole)
    found = tile_workload(fold(network([layer])).layer_of("mm"), ((axis, size),))
    assert found is not None
    return dict(found.sizes)


@pytest.mark.parametrize(
    ("axis", "size", "sizes"),
    [
        (0, 1, {"M": 15, "K": 8, "N": 4}),
        (1, 1, {"M": 5, "K": 8, "N": 8}),
        (2, 2, {"M": 15, "K": 8, "N": 4}),
        (3, 1, {"M": 3, "K": 8, "N": 8}),
    ],
)
def test_axes_of_operands_that_are_broadcast(axis: int, size: int, sizes: dict[str, int]) -> None:
    assert part((2, 1, 4, 8), (1, 3, 8, 5), gemm(15, 8, 8), axis, size) == sizes


def test_an_axis_of_both_operands_is_a_batch() -> None:
    whole = batched_gemm(2, 15, 8, 4)
    assert part((2, 1, 4, 8), (2, 3, 8, 5), whole, 0, 1) == {"B": 1, "M": 15, "K": 8, "N": 4}
    assert part((2, 1, 4, 8), (2, 3, 8, 5), whole, 1, 1) == {"B": 2, "M": 5, "K": 8, "N": 4}


def test_parts_of_experts() -> None:
    """Fewer experts, fewer rows of each, fewer columns, a part of their sums."""
    second = mixture(count=3, each=4, inner=6).layer_of("second")
    for part, sizes in (
        ((0, 2), {"B": 2, "M": 3, "K": 6, "N": 4}),
        ((1, 3), {"B": 3, "M": 3, "K": 6, "N": 3}),
        ((2, 1), {"B": 3, "M": 1, "K": 6, "N": 4}),
        (("K", 2), {"B": 3, "M": 3, "K": 2, "N": 4}),
    ):
        found = tile_workload(second, (part,))
        assert found is not None
        assert dict(found.sizes) == sizes


def test_one_matrix_for_several_inputs_is_a_projection() -> None:
    """However many axes it is written with."""
    x, y = TensorInfo("x", (4, 3, 8), "int8"), TensorInfo("y", (4, 3, 5), "int8")
    weight = TensorInfo("w", (1, 8, 5), "int8")
    layer = Layer("mm", "MatMul", "einsum", (x,), (weight,), (y,), workload=gemm(5, 8, 12))
    (folded,) = fold(network([layer])).layers
    assert {(rank.axis, rank.dimension) for rank in folded.ranks} == {(2, ""), (None, "K")}


def test_what_a_group_keeps_is_left_out_by_no_mapping() -> None:
    free = with_bypass_rule(load_arch("simba"), "free")
    fused = fused_arch(free, Homes.at("GlobalBuffer", "input"))
    memories = {memory.name: memory for memory in fused.memories}
    assert memories["GlobalBuffer"].may_bypass == ("output",)
    assert memories["PEInputBuffer"].may_bypass == ("input",)
    kept = fused_arch(load_arch("simba"), Homes.at("GlobalBuffer", "input"))
    assert not any(memory.may_bypass for memory in kept.memories)


def test_the_least_of_a_layer_allows_for_every_choice() -> None:
    """Where the innermost memory costs most, leaving it out undercuts what it would take."""
    dear = Architecture(
        "dear",
        (
            Memory("DRAM", None, 8.0, 8.0, 8.0, 8.0),
            Memory("Buffer", 64, 1.0, 1.0, 8.0, 8.0),
            Fanout("PEs", 4, ("M",)),
            Memory("Registers", 8, 100.0, 100.0, 8.0, 8.0),
            Compute("MAC", mac_energy_pj=0.2),
        ),
    )
    a, b = TensorInfo("a", (4, 8), "int8"), TensorInfo("b", (8, 4), "int8")
    layer = Layer(
        "mm", "MatMul", "einsum", (a, b), (), (TensorInfo("o", (4, 4), "int8"),),
        workload=gemm(4, 8, 4),
    )  # fmt: skip
    folded = fold(network([layer])).layer_of("mm")
    energies = {}
    for rule in RULES:
        costs = LayerCosts(with_bypass_rule(dear, rule), cache=False)
        cost = costs.cost(folded, (), Homes())
        energies[rule] = cost.energy_pj
        known = PartBounds(costs, ["Buffer"], seconds=1.0)
        (least,) = known.least([folded])
        assert known.floor(folded).energy_pj <= least.energy_pj <= cost.energy_pj
    assert energies["free"] < 0.5 * energies["fixed"]
