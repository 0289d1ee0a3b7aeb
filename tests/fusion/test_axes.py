"""Which part of an input a part of an output needs, operator by operator."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fusion.networks import conv, tensor

from toolkit.fusion.axes import axis_rule
from toolkit.fusion.reach import Reach, reshape_links
from toolkit.workload.network import Layer, TensorInfo


def layer(
    operator: str,
    shapes: list[tuple[int, ...]],
    out: tuple[int, ...],
    cost_class: str = "elementwise",
    **attributes: object,
) -> Layer:
    inputs = tuple(TensorInfo(f"x{i}", shape, "int8") for i, shape in enumerate(shapes))
    given_attributes = tuple(sorted(attributes.items()))
    return Layer(
        "n",
        operator,
        cost_class,  # type: ignore[arg-type]
        inputs,
        (),
        (TensorInfo("y", out, "int8"),),
        attributes=given_attributes,  # type: ignore[arg-type]
    )


def test_convolutions_slide() -> None:
    rule = axis_rule(conv("c", tensor("x", 3, 8), 4, kernel=5, stride=2, pad=2))
    assert rule.links[0][2] == Reach(2, stride=2, extent=5, pad=2)
    assert rule.open_axes == {0, 2, 3}


@pytest.mark.parametrize(("auto_pad", "pad"), [("SAME_UPPER", 0), ("SAME_LOWER", 1)])
def test_automatic_padding(auto_pad: str, pad: int) -> None:
    pool = layer(
        "MaxPool",
        [(1, 2, 8)],
        (1, 2, 4),
        "window",
        kernel_shape=(3,),
        strides=(2,),
        auto_pad=auto_pad,
    )
    assert axis_rule(pool).links[0][2] == Reach(2, stride=2, extent=3, pad=pad)


def test_broadcast_axes_are_needed_whole() -> None:
    rule = axis_rule(layer("Mul", [(1, 4, 8, 8), (1, 4, 1, 1)], (1, 4, 8, 8)))
    assert sorted(rule.links[0]) == [0, 1, 2, 3]
    assert sorted(rule.links[1]) == [0, 1]


@pytest.mark.parametrize(
    ("operator", "attributes", "axes"),
    [
        ("Softmax", {"axis": -1}, {0, 1}),
        ("Softmax", {}, {0}),
        ("LayerNormalization", {"axis": -1}, {0, 1}),
        ("LRN", {}, {0, 2}),
        ("InstanceNormalization", {}, {0, 1}),
        ("TopK", {}, set()),
        ("CumSum", {}, set()),
    ],
)
def test_reductions_close_axes(
    operator: str, attributes: dict[str, object], axes: set[int]
) -> None:
    rule = axis_rule(layer(operator, [(2, 4, 6)], (2, 4, 6), "reduction", **attributes))
    assert rule.open_axes == axes


def test_concatenation_closes_its_axis() -> None:
    rule = axis_rule(layer("Concat", [(1, 2, 8), (1, 3, 8)], (1, 5, 8), "movement", axis=1))
    assert rule.open_axes == {0, 2}


def test_transposition_moves_axes() -> None:
    rule = axis_rule(layer("Transpose", [(2, 3, 5)], (5, 2, 3), "movement", perm=(2, 0, 1)))
    assert {axis: reach.axis for axis, reach in rule.links[0].items()} == {0: 2, 1: 0, 2: 1}


def test_reshapes_keep_axes_with_as_much_before_them() -> None:
    assert {a: r.axis for a, r in reshape_links((2, 6, 5), (2, 3, 2, 5)).items()} == {0: 0, 3: 2}
    assert reshape_links((4, 6), (6, 4)) == {}


def test_products_of_transposed_operands() -> None:
    both = layer("MatMul", [(2, 6, 3), (2, 5, 6)], (2, 3, 5), "einsum", transA=1, transB=1)
    first, second = axis_rule(both).links
    assert (first, second) == (
        {0: Reach(0), 1: Reach(2)},
        {0: Reach(0), 2: Reach(1)},
    )
    moved = layer("MatMul", [(4, 2, 3), (2, 3, 5)], (2, 4, 5), "einsum", transBatchA=1)
    assert axis_rule(moved).open_axes == frozenset()


@pytest.mark.parametrize("operator", ["com.microsoft.MatMulNBits", "MatMulInteger"])
def test_products_with_codes_are_cut_along_rows(operator: str) -> None:
    codes = TensorInfo("w", (6, 5), "uint4")
    given = layer(operator, [(2, 3, 6)], (2, 3, 5), "einsum")
    rule = axis_rule(replace(given, weights=(codes,)))
    assert rule.links == ({0: Reach(0), 1: Reach(1)},)


def test_channels_may_be_last() -> None:
    pool = layer(
        "com.microsoft.NhwcMaxPool",
        [(1, 8, 10, 3)],
        (1, 4, 5, 3),
        "window",
        kernel_shape=(2, 2),
        strides=(2, 2),
    )
    rule = axis_rule(pool)
    assert rule.links[0] == {
        0: Reach(0),
        1: Reach(1, stride=2, extent=2),
        2: Reach(2, stride=2, extent=2),
        3: Reach(3),
    }
