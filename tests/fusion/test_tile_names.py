"""Tiles in words that readers of a table understand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fusion.networks import conv, network, pool, tensor

from toolkit.fusion import Assumptions, best_plan, fold
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.group_plan import Loop
from toolkit.fusion.tile_names import axis_name, tile_text
from toolkit.workload.network import Layer, TensorInfo


def single(operator: str, cost_class: str, shape: tuple[int, ...]) -> Layer:
    x, y = TensorInfo("x", shape, "int8"), TensorInfo("y", shape, "int8")
    return Layer("l", operator, cost_class, (x,), (), (y,), elements=y.elements)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (conv("l", tensor("x", 2, 8), 2), ["batch", "channels", "rows", "columns"]),
        (pool("l", tensor("x", 2, 8)), ["batch", "channels", "rows", "columns"]),
        (
            single("com.microsoft.NhwcMaxPool", "window", (1, 8, 8, 2)),
            ["batch", "rows", "columns", "channels"],
        ),
        (
            single("Softmax", "reduction", (2, 12, 8, 8)),
            ["(axis 0)", "(axis 1)", "rows", "columns"],
        ),
        (single("Relu", "elementwise", (9,)), ["(axis 0)"]),
    ],
)
def test_axes_have_names(layer: Layer, names: list[str]) -> None:
    (folded,) = fold(network([layer])).layers
    assert [axis_name(folded, axis) for axis in range(len(names))] == names


def test_a_tile_names_its_tensor_once() -> None:
    first = conv("a", tensor("x", 4, 16), 4)
    graph = fold(network([first, conv("b", first.outputs[0], 4)]))
    plan = best_plan(GroupView(graph, frozenset("ab")), Assumptions(600))
    assert plan is not None and len(plan.tile) == 2
    sizes = [size for _, _, size in plan.tile]
    assert tile_text(plan, graph) == f"b.out: rows {sizes[0]}/16, columns {sizes[1]}/16"


def test_nothing_cut_is_no_text() -> None:
    first = conv("a", tensor("x", 1, 4), 1)
    graph = fold(network([first, conv("b", first.outputs[0], 1)]))
    plan = best_plan(GroupView(graph, frozenset("ab")), Assumptions(10**6))
    assert plan is not None and tile_text(plan, graph) == ""


def test_a_sum_that_no_tensor_has_an_axis_for_is_named() -> None:
    """Of scores, within each head: what is read has all heads side by side."""
    first = conv("a", tensor("x", 4, 16), 4)
    graph = fold(network([first, conv("b", first.outputs[0], 4)]))
    plan = best_plan(GroupView(graph, frozenset("ab")), Assumptions(600))
    assert plan is not None
    summed = replace(plan, loops=(Loop("b.out", "C", 2, 2, frozenset("b"), frozenset("b")),))
    assert tile_text(summed, graph) == "b.out: sum over C 2/4"
