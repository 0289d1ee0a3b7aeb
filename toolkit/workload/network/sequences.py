"""Lists of tensors, which some exporters write: they are taken apart and are no layers.

A list is a `Value` whose `items` are its tensors. Splitting and joining become Split, Squeeze,
Unsqueeze and Concat, walked as if the model had them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import onnx
from onnx import helper

from toolkit.workload.network.layer import TensorInfo
from toolkit.workload.network.operators import Call
from toolkit.workload.network.values import Value


class Walk(Protocol):
    """The walk over a graph, as far as lists need it."""

    def graph(
        self, graph: onnx.GraphProto, scope: dict[str, Value], prefix: str = ""
    ) -> list[Value]:
        """Walk a graph and return its outputs."""


def take_apart(walk: Walk, call: Call) -> list[Value]:
    """What a node makes of lists: a list, a tensor or a number.

    Raises
    ------
    WorkloadError
        Naming the node, if a position or a length is not a constant.
    """
    if call.operator == "SequenceEmpty":
        return [_listed(call, [])]
    if call.operator == "SequenceConstruct":
        return [_listed(call, [value for value in call.inputs if value is not None])]
    if call.operator == "SplitToSequence":
        return [_listed(call, _split(walk, call))]
    items = _items(call)
    if call.operator == "SequenceLength":
        length = np.array(len(items), dtype=np.int64)
        info = TensorInfo(f"{call.name}/length", (), "int64")
        return [Value(info, constant=True, data=length)]
    if call.operator == "ConcatFromSequence":
        return _join(walk, call, items)
    if call.operator == "SequenceInsert":
        place = _position(call, 2, len(items) + 1, len(items))
        return [_listed(call, [*items[:place], call.input(1), *items[place:]])]
    place = _position(call, 1, len(items), len(items) - 1)
    if call.operator == "SequenceErase":
        return [_listed(call, [*items[:place], *items[place + 1 :]])]
    return [items[place]]


def _listed(call: Call, items: Sequence[Value]) -> Value:
    dtype = items[0].info.dtype if items else "float32"
    return Value(TensorInfo(f"{call.name}/list", (), dtype), items=tuple(items))


def _items(call: Call) -> tuple[Value, ...]:
    items = call.input(0).items
    if items is None:
        raise call.error("operand 0 is a tensor; expected a list of tensors")
    return items


def _position(call: Call, operand: int, count: int, default: int) -> int:
    if not call.has(operand):
        return default
    data = call.input(operand).data
    if data is None:
        raise call.error("a position in a list of tensors is not a constant")
    place = int(data.reshape(-1)[0])
    place += count if place < 0 else 0
    if not 0 <= place < count:
        raise call.error(f"position {place} is outside of a list of {count} tensors")
    return place


def _split(walk: Walk, call: Call) -> list[Value]:
    value = call.input(0)
    axis = call.integer("axis", 0)
    size = value.shape[axis]
    # Without lengths every slice is a tensor of its own, its axis dropped if so asked.
    single = not call.has(1) and not call.integer("keepdims", 1)
    if not call.has(1):
        lengths = [1] * size
    else:
        given = call.input(1)
        if given.data is None:
            raise call.error("the lengths to split into are not constants")
        whole = int(given.data.reshape(-1)[0]) if not given.shape else 0
        lengths = [int(n) for n in given.data.reshape(-1)]
        if whole:
            lengths = [min(whole, size - start) for start in range(0, size, whole)]
    names = [str(i) for i in range(len(lengths))]
    parts = [f"{name}/part" for name in names] if single else names
    nodes = [_node(call, "Split", ["x"], parts, "split", lengths, axis=axis)]
    for part, name in zip(parts, names, strict=True):
        if single:
            nodes.append(_node(call, "Squeeze", [part], [name], "axes", [axis]))
    scope = {"x": value, "split": _numbers(lengths), "axes": _numbers([axis])}
    return _walked(walk, call, nodes, names, scope)


def _join(walk: Walk, call: Call, items: Sequence[Value]) -> list[Value]:
    if not items:
        raise call.error("joins a list without tensors")
    axis = call.integer("axis", 0)
    names = [str(i) for i in range(len(items))]
    scope = {**dict(zip(names, items, strict=True)), "axes": _numbers([axis])}
    nodes = []
    if call.integer("new_axis", 0):
        wide = [f"{name}/wide" for name in names]
        nodes = [
            _node(call, "Unsqueeze", [name], [made], "axes", [axis])
            for name, made in zip(names, wide, strict=True)
        ]
        names = wide
    nodes.append(helper.make_node("Concat", names, ["joined"], name="Concat", axis=axis))
    return _walked(walk, call, nodes, ["joined"], scope)


def _node(
    call: Call,
    operator: str,
    inputs: list[str],
    outputs: list[str],
    word: str,
    numbers: list[int],
    **attributes: int,
) -> onnx.NodeProto:
    """A node with numbers, which are an attribute before opset 13, then an operand."""
    old = call.opset < 13
    node = helper.make_node(operator, inputs if old else [*inputs, word], outputs, name=operator)
    given: dict[str, int | list[int]] = {**attributes, **({word: numbers} if old else {})}
    node.attribute.extend(helper.make_attribute(key, value) for key, value in given.items())
    return node


def _walked(
    walk: Walk,
    call: Call,
    nodes: list[onnx.NodeProto],
    outputs: list[str],
    scope: dict[str, Value],
) -> list[Value]:
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    return walk.graph(helper.make_graph(nodes, call.name, [], results), scope, f"{call.name}/")


def _numbers(numbers: list[int]) -> Value:
    data = np.array(numbers, dtype=np.int64)
    return Value(TensorInfo("numbers", data.shape, "int64"), constant=True, data=data)
