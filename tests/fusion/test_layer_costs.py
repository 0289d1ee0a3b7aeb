"""Parts of layers as workloads: the right dimension is cut, and nothing is lost."""

from __future__ import annotations

import pytest
from fusion.networks import network

from toolkit.fusion import fold
from toolkit.fusion.layer_costs import tile_workload
from toolkit.workload import batched_gemm, gemm
from toolkit.workload.kernel import Workload
from toolkit.workload.network import Layer, TensorInfo


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
