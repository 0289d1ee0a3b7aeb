"""Writing workloads in the dimensions of an architecture."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.arch import arch_names
from toolkit.errors import DoesNotFitError
from toolkit.search.network import Lowered, lowerings


def lowered(arch: str, workload: str) -> tuple[Lowered, ...]:
    return lowerings(toolkit.load_arch(arch), toolkit.load_workload(workload))


def running(way: Lowered) -> dict[str, int]:
    return {d: size for d, size in way.workload.sizes.items() if size > 1}


CONV = "conv:M=8,C=4,P=6,Q=5,R=3,S=2,stride=2"


def test_what_the_architecture_speaks_of_runs_directly() -> None:
    for arch, workload in (("eyeriss", "gemm:M=4,K=2,N=3"), ("eyeriss-conv", CONV)):
        (way,) = lowered(arch, workload)
        assert (way.how, way.notes) == ("direct", ())
        assert way.workload == toolkit.load_workload(workload)


def test_bits_are_kept() -> None:
    for arch, workload in (("eyeriss", CONV), ("eyeriss-conv", "gemm:M=4,K=2,N=3")):
        for way in lowered(arch, workload + ",bits=8,weight_bits=4,sum_bits=24"):
            found = {t.role: (t.bits, t.sum_bits) for t in way.workload.tensors}
            assert found == {"input": (8, None), "weight": (4, None), "output": (8, 24)}


def test_a_convolution_becomes_one_matrix_product() -> None:
    (way,) = lowered("eyeriss", CONV)
    assert (way.how, dict(way.workload.sizes)) == ("im2col", {"M": 8, "K": 24, "N": 30})
    # 13 x 10 positions of 4 channels; each of 30 windows has 24 words.
    assert way.notes == (
        "the input is laid out 1.38 times (720 words for 520): reads of the copies are charged, "
        "making them is not",
    )


def test_a_batch_joins_the_positions() -> None:
    (way,) = lowered("eyeriss", CONV + ",N=3")
    assert dict(way.workload.sizes) == {"M": 8, "K": 24, "N": 90}


@pytest.mark.parametrize(
    ("workload", "sizes"),
    [
        ("depthwise-conv:C=4,P=6,Q=5,R=3,S=2", {"B": 4, "M": 1, "K": 6, "N": 30}),
        ("grouped-conv:G=2,M=8,C=4,P=6,Q=5,R=3,S=2", {"B": 2, "M": 8, "K": 24, "N": 30}),
        ("conv1d:M=8,C=4,P=6,R=3", {"M": 8, "K": 12, "N": 6}),
    ],
)
def test_groups_become_a_batch_of_products(workload: str, sizes: dict[str, int]) -> None:
    (way,) = lowered("simba", workload)
    assert (way.how, dict(way.workload.sizes)) == ("im2col", sizes)


def test_a_transposed_convolution_adds_up_overlapping_outputs() -> None:
    (way,) = lowered("eyeriss", "transposed-conv:M=8,C=4,P=7,Q=7,R=3,S=3,stride=2")
    assert (way.how, dict(way.workload.sizes)) == ("col2im", {"M": 72, "K": 4, "N": 49})
    assert way.notes == (
        "the output is laid out 1.96 times (3,528 words for 1,800): writes of the copies are "
        "charged, adding them up is not",
    )


def test_a_matrix_product_is_a_convolution_with_one_tap_along_either_axis() -> None:
    along_p, along_q = lowered("eyeriss-conv", "gemm:M=4,K=2,N=3")
    assert along_p.how == "1x1 convolution, N along P"
    assert running(along_p) == {"M": 4, "C": 2, "P": 3}
    assert running(along_q) == {"M": 4, "C": 2, "Q": 3}


@pytest.mark.parametrize(("arch", "n"), [("eyeriss-conv", 1), ("gemmini-ws", 5)])
def test_one_way_is_enough_where_axes_make_no_difference(arch: str, n: int) -> None:
    (way,) = lowered(arch, f"gemm:M=4,K=2,N={n}")
    assert way.how == "1x1 convolution"


def test_heads_of_attention_are_groups_that_run_in_time() -> None:
    way, _ = lowered("eyeriss-conv", "batched-gemm:B=12,M=4,K=2,N=3")
    assert running(way) == {"G": 12, "M": 4, "C": 2, "P": 3}
    assert [t.dimensions for t in way.workload.tensors] == [
        ("G", "C", "P"),
        ("G", "M", "C"),
        ("G", "M", "P"),
    ]


def test_one_axis_may_lie_along_the_other() -> None:
    along_p, along_q = lowered("eyeriss-conv", "conv1d:M=8,C=4,P=10,R=3,stride=2")
    assert running(along_q) == {"M": 8, "C": 4, "Q": 10, "S": 3}
    assert along_p.workload.macs == along_q.workload.macs


def test_channels_of_a_depthwise_convolution_stay_off_fanouts_that_add_up() -> None:
    direct, *laid_out = lowered("tpu-conv", "depthwise-conv:C=4,P=6,Q=5,R=3,S=2")
    assert running(direct) == {"G": 4, "P": 6, "Q": 5, "R": 3, "S": 2}
    assert direct.notes == ("C runs in time, as G: SACols adds up what its instances make",)
    assert [running(way) for way in laid_out] == [
        {"G": 4, "C": 6, "P": 30},
        {"G": 4, "C": 6, "Q": 30},
    ]


def test_channels_may_be_unrolled_where_a_fanout_serves_outputs_too() -> None:
    (way,) = lowered("eyeriss-conv", "depthwise-conv:C=4,P=6,Q=5,R=3,S=2")
    assert (way.how, running(way)["C"]) == ("direct", 4)


def test_a_product_of_three_operands_is_refused() -> None:
    workload = toolkit.gemm(4, 2, 3)
    third = replace(workload.tensors[0], name="third")
    workload = replace(workload, name="three", tensors=(*workload.tensors, third))
    with pytest.raises(DoesNotFitError, match=r"eyeriss-conv: three \(gemm\) cannot be lowered"):
        lowerings(toolkit.load_arch("eyeriss-conv"), workload)


def test_dimensions_of_neither_family_are_refused() -> None:
    arch = toolkit.load_arch("eyeriss")
    levels = tuple(
        replace(level, dimensions=("X",)) if isinstance(level, toolkit.Fanout) else level
        for level in arch.levels
    )
    with pytest.raises(DoesNotFitError, match="cannot be lowered to the dimensions .* X"):
        lowerings(replace(arch, levels=levels), toolkit.load_workload(CONV))


sizes = st.integers(1, 6)


@given(
    arch=st.sampled_from(arch_names()),
    kernel=st.sampled_from(
        [
            "conv:M={},C={},P={},Q={},R={},S={}",
            "conv:M={},C={},P={},Q={},R={},S={},stride=2,N=2",
            "grouped-conv:G=2,M={},C={},P={},Q={},R={},S={}",
            "transposed-conv:M={},C={},P={},Q={},R={},S={},stride=2",
            "depthwise-conv:C={},P={},Q={},R={},S={}",
            "conv1d:M={},C={},P={},R={}",
            "gemm:M={},K={},N={}",
            "batched-gemm:B={},M={},K={},N={}",
        ]
    ),
    values=st.lists(sizes, min_size=6, max_size=6),
)
def test_every_way_does_the_same_multiplications_and_fits(
    arch: str, kernel: str, values: list[int]
) -> None:
    workload = toolkit.load_workload(kernel.format(*values))
    machine = toolkit.load_arch(arch)
    for way in lowerings(machine, workload):
        assert math.prod(way.workload.sizes.values()) == workload.macs
        toolkit.make_problem(machine, way.workload, factors="perfect", round_up="all")
