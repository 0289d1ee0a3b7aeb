from __future__ import annotations

import pytest

from toolkit.errors import WorkloadError
from toolkit.workload import (
    Workload,
    batched_gemm,
    conv1d,
    conv2d,
    depthwise_conv2d,
    format_tensor,
    gemm,
    grouped_conv2d,
    transposed_conv2d,
)

CASES = {
    "gemm": (
        gemm(4, 2, 3),
        "M K N",
        ["input[K, N]", "weight[M, K]", "output[M, N]"],
        "K",
    ),
    "batched-gemm": (
        batched_gemm(5, 4, 2, 3),
        "B M K N",
        ["input[B, K, N]", "weight[B, M, K]", "output[B, M, N]"],
        "K",
    ),
    "conv1d": (
        conv1d(8, 4, 10, 3, stride=2, dilation=3),
        "M P C R",
        ["input[C, 2*P + 3*R]", "weight[M, C, R]", "output[M, P]"],
        "C R",
    ),
    "conv": (
        conv2d(8, 4, 10, 9, 3, 2, stride=(2, 1), dilation=(1, 5)),
        "M P Q C R S",
        ["input[C, 2*P + R, Q + 5*S]", "weight[M, C, R, S]", "output[M, P, Q]"],
        "C R S",
    ),
    "depthwise-conv": (
        depthwise_conv2d(4, 10, 9, 3, 2, stride=2),
        "C P Q R S",
        ["input[C, 2*P + R, 2*Q + S]", "weight[C, R, S]", "output[C, P, Q]"],
        "R S",
    ),
    "grouped-conv": (
        grouped_conv2d(6, 8, 4, 10, 9, 3, 2, dilation=2),
        "G M P Q C R S",
        ["input[G, C, P + 2*R, Q + 2*S]", "weight[G, M, C, R, S]", "output[G, M, P, Q]"],
        "C R S",
    ),
    "transposed-conv": (
        transposed_conv2d(8, 4, 10, 9, 3, 2, stride=2, dilation=3),
        "M P Q C R S",
        ["input[C, P, Q]", "weight[M, C, R, S]", "output[M, 2*P + 3*R, 2*Q + 3*S]"],
        "C",
    ),
}


@pytest.mark.parametrize("kernel", CASES)
def test_dimensions_and_tensors(kernel: str) -> None:
    workload, dimensions, tensors, reduced = CASES[kernel]
    assert workload.kernel == kernel
    assert workload.dimensions == tuple(dimensions.split())
    assert [format_tensor(tensor) for tensor in workload.tensors] == tensors
    assert [tensor.role for tensor in workload.tensors] == ["input", "weight", "output"]
    assert workload.reduction_dimensions == tuple(reduced.split())


def test_arguments_reach_their_dimensions() -> None:
    layer = grouped_conv2d(g=2, m=3, c=5, p=7, q=11, r=13, s=17, n=19)
    assert dict(layer.sizes) == {
        "N": 19, "G": 2, "M": 3, "P": 7, "Q": 11, "C": 5, "R": 13, "S": 17
    }  # fmt: skip


@pytest.mark.parametrize(
    "layer",
    [
        conv1d(8, 4, 10, 3, n=2),
        conv2d(8, 4, 10, 9, 3, 2, n=2),
        depthwise_conv2d(4, 10, 9, 3, 2, n=2),
        grouped_conv2d(6, 8, 4, 10, 9, 3, 2, n=2),
        transposed_conv2d(8, 4, 10, 9, 3, 2, n=2),
    ],
    ids=lambda layer: layer.kernel,
)
def test_a_batch_leads_and_indexes_input_and_output(layer: Workload) -> None:
    assert layer.dimensions[0] == "N"
    assert [tensor.dimensions[0] == "N" for tensor in layer.tensors] == [True, False, True]


def test_names() -> None:
    assert gemm(4, 2, 3).name == "gemm:M=4,K=2,N=3"
    assert gemm(4, 2, 3, name="mine").name == "mine"
    assert conv1d(1, 2, 3, 4, stride=2).name == "conv1d:M=1,P=3,C=2,R=4,Pstride=2"
    layer = conv2d(1, 2, 3, 4, 5, 6, stride=(1, 2), dilation=3)
    assert layer.name == "conv:M=1,P=3,Q=4,C=2,R=5,S=6,Qstride=2,dilation=3"


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "4", None])
def test_sizes_are_positive_integers(size: int) -> None:
    with pytest.raises(WorkloadError, match=r"sizes\.K"):
        gemm(4, size, 3)


@pytest.mark.parametrize("stride", [0, -1, 1.5, True, "2", (1, 2, 3), (1,), (0, 1), None])
def test_strides_are_positive_integers(stride: int) -> None:
    with pytest.raises(WorkloadError):
        conv2d(1, 1, 4, 4, 3, 3, stride=stride)
