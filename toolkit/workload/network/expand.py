"""Nodes that leave no layer of their own: control flow, and lists of tensors.

If, Loop and Scan are replaced by their bodies where all shapes are static; lists are taken apart
into their tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, Self

import numpy as np
import onnx
from onnx import helper

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators import Call
from toolkit.workload.network.operators.call import MismatchError
from toolkit.workload.network.routing import Routers
from toolkit.workload.network.shapes import Dimensions
from toolkit.workload.network.values import Value


class Walk(Protocol):
    """The walk over a graph, as far as bodies and lists need it."""

    layers: list[Layer]
    dims: Dimensions
    routers: Routers

    def warn(self, message: str) -> None:
        """Remember a warning, once."""

    def branch(self) -> Self:
        """Set out on a walk whose findings are joined or dropped later."""

    def join(self, other: Self, repetitions: int = 1) -> None:
        """Take over what a branch found, its layers run several times."""

    def graph(
        self, graph: onnx.GraphProto, scope: dict[str, Value], prefix: str = ""
    ) -> list[Value]:
        """Walk a graph and return its outputs."""


MAX_PARTS = 1 << 16
"""More tensors than that in a list are a mistake."""

MAX_TRIPS = 1 << 31
"""More iterations than that mean `while` rather than a count."""


def expand(walk: Walk, node: onnx.NodeProto, call: Call, scope: dict[str, Value]) -> list[Value]:
    """Walk the body of a node of control flow and return what the node makes.

    Raises
    ------
    WorkloadError
        Naming the node, if iterations or shapes are not static.
    """
    return {"If": _choose, "Loop": _loop, "Scan": _scan}[call.operator](walk, node, call, scope)


def _body(node: onnx.NodeProto, name: str, call: Call) -> onnx.GraphProto:
    for attribute in node.attribute:
        if attribute.name == name and attribute.HasField("g"):
            body: onnx.GraphProto = attribute.g
            return body
    raise call.error(f"has no {name}")


def _choose(walk: Walk, node: onnx.NodeProto, call: Call, scope: dict[str, Value]) -> list[Value]:
    condition = call.input(0).data
    names = ("then_branch", "else_branch")
    if condition is not None:
        name = names[0] if bool(np.asarray(condition).reshape(-1)[0]) else names[1]
        return walk.graph(_body(node, name, call), scope, f"{call.name}/")
    tried, refused = {}, {}
    for name in names:
        inside = walk.branch()
        try:
            made = inside.graph(_body(node, name, call), scope, f"{call.name}/{name[:4]}/")
        except MismatchError as cause:
            # A branch for inputs of other sizes: nobody can enter it.
            refused[name] = cause
        else:
            tried[name] = inside, made
    if not tried:
        raise refused[names[0]]
    costs = {name: _work(inside.layers) for name, (inside, _) in tried.items()}
    chosen = max(costs, key=lambda name: costs[name])
    inside, made = tried[chosen]
    walk.join(inside)
    other = names[1 - names.index(chosen)]
    why = f"cannot be: {refused[other]}" if other in refused else f"has {costs[other][0]}"
    walk.warn(
        f"If {call.name!r} depends on data; its {chosen} is taken, with {costs[chosen][0]} MACs "
        f"(the {other} {why})"
    )
    # Both are constant in their own run only.
    return [replace(value, constant=False, data=None) for value in made]


def _work(layers: list[Layer]) -> tuple[int, int]:
    """MACs and operations."""
    return sum(layer.macs for layer in layers), sum(layer.operations for layer in layers)


def _loop(walk: Walk, node: onnx.NodeProto, call: Call, scope: dict[str, Value]) -> list[Value]:
    body = _body(node, "body", call)
    given = walk.dims.iterations(call.name)
    count = _iterations(call) if given is None else given
    iteration = Value(TensorInfo(f"{call.name}/iteration", (), "int64"))
    going = Value(TensorInfo(f"{call.name}/condition", (), "bool"), True, np.array(True))
    states = [call.input(i) for i in range(2, len(call.inputs))]
    made = _iterate(walk, body, call, scope, [iteration, going], states, [], count)
    ends = made[0].data is None or not np.asarray(made[0].data).all()
    if ends and given is None:
        walk.warn(f"Loop {call.name!r} may end early; taken with all its {count} iterations")
    carried, stacked = made[1 : 1 + len(states)], made[1 + len(states) :]
    return [*carried, *(_stacked(value, call, count, 0) for value in stacked)]


def _iterations(call: Call) -> int:
    """How often a Loop runs, as its constants say."""
    way_out = f"say how often it runs (--dim '{call.name}:iterations=N')"
    trips = call.inputs[0].data if call.has(0) else None  # type: ignore[union-attr]
    count = int(np.asarray(trips).reshape(-1)[0]) if trips is not None else None
    if count is None or count >= MAX_TRIPS:
        raise call.error(
            f"its number of iterations is not a constant; the loop is not static; {way_out}"
        )
    if count < 1:
        raise call.error(f"its number of iterations is {count}; expected at least 1")
    condition = call.input(1).data if call.has(1) else np.array(True)
    if condition is None or not np.asarray(condition).all():
        raise call.error(f"its condition depends on data; the loop is not static; {way_out}")
    return count


def _scan(walk: Walk, node: onnx.NodeProto, call: Call, scope: dict[str, Value]) -> list[Value]:
    if call.opset < 9:
        raise call.error("Scan before opset 9 is not read")
    body = _body(node, "body", call)
    scanned = call.integer("num_scan_inputs", 0)
    count_states = len(call.inputs) - scanned
    if scanned < 1 or count_states < 0:
        raise call.error(f"num_scan_inputs {scanned} does not fit {len(call.inputs)} operands")
    states = [call.input(i) for i in range(count_states)]
    sequences = [call.input(i) for i in range(count_states, len(call.inputs))]
    axes = [int(a) for a in call.attributes.get("scan_input_axes") or [0] * scanned]
    slices, trips = [], set()
    for value, axis in zip(sequences, axes, strict=True):
        shape = list(value.shape)
        trips.add(shape.pop(axis))
        slices.append(_varying(replace(value, info=replace(value.info, shape=tuple(shape)))))
    if len(trips) != 1:
        raise call.error(f"its sequences differ in length: {sorted(trips)}")
    count = trips.pop()
    made = _iterate(walk, body, call, scope, [], states, slices, count)
    carried, stacked = made[: len(states)], made[len(states) :]
    out_axes = [int(a) for a in call.attributes.get("scan_output_axes") or [0] * len(stacked)]
    pairs = zip(stacked, out_axes, strict=True)
    return [*carried, *(_stacked(value, call, count, axis) for value, axis in pairs)]


def _varying(value: Value) -> Value:
    """The value as an iteration sees it: another one every time."""
    return replace(value, constant=False, data=None)


def _iterate(
    walk: Walk,
    body: onnx.GraphProto,
    call: Call,
    scope: dict[str, Value],
    counters: list[Value],
    states: list[Value],
    slices: list[Value],
    count: int,
) -> list[Value]:
    """Walk the body once; its layers are repeated as often as it runs."""
    given = len(counters) + len(states) + len(slices)
    if given != len(body.input):
        raise call.error(f"its body takes {len(body.input)} inputs; given {given}")
    names = [value.name for value in body.input]
    if any(state.items is not None for state in states):
        raise call.error("hands lists of tensors from one iteration to the next; not read")
    first = len(counters) // 2  # A Loop takes two, and hands one of them on.
    kept = _kept(body, names[len(counters) :], [output.name for output in body.output[first:]])
    seen = [
        state if name in kept else _varying(state)
        for state, name in zip(states, names[len(counters) :], strict=False)
    ]
    changed: list[str] = []
    for _ in range(2):
        inside = walk.branch()
        inputs = dict(zip(names, [*counters, *seen, *slices], strict=True))
        with walk.routers.loop_of(count) as loop:
            made = inside.graph(body, scope | inputs, f"{call.name}/")
        after = [value.shape for value in made[first : first + len(states)]]
        before = [value.shape for value in seen]
        if after == before:
            break
        if changed:
            raise call.error(f"{changed[0]}; the loop is not static")
        # Such as a single number that the first iteration makes a list of one.
        for i, shape in enumerate(after):
            if shape != before[i]:
                seen[i] = replace(seen[i], info=replace(seen[i].info, shape=shape))
                changed.append(
                    f"the shape of its state {states[i].info.name!r} changes from "
                    f"{list(before[i])} to {list(shape)}"
                )
    walk.join(inside, loop.runs)
    for change in changed:
        walk.warn(f"{call.operator} {call.name!r}: {change}; taken as the latter all along")
    return made


def _kept(body: onnx.GraphProto, names: list[str], outputs: list[str]) -> set[str]:
    """States that every iteration hands on as they are, weights among them."""
    copies = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity"}
    kept = set()
    for name, output in zip(names, outputs, strict=False):
        for _ in range(len(copies)):
            output = copies.get(output, output)
        if output == name:
            kept.add(name)
    return kept


def _stacked(value: Value, call: Call, count: int, axis: int) -> Value:
    shape = list(value.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, count)
    return replace(_varying(value), info=replace(value.info, shape=tuple(shape)))


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
        lengths = [1] * _count(call, size)
    else:
        given = call.input(1)
        if given.data is None:
            raise call.error("the lengths to split into are not constants")
        whole = int(given.data.reshape(-1)[0]) if not given.shape else 0
        lengths = [int(n) for n in given.data.reshape(-1)]
        if not given.shape and whole < 1:
            raise call.error(f"splits into parts of {whole}; expected at least 1")
        if whole:
            starts = range(0, _count(call, size // whole) * whole + size % whole, whole)
            lengths = [min(whole, size - start) for start in starts]
    names = [str(i) for i in range(len(lengths))]
    parts = [f"{name}/part" for name in names] if single else names
    nodes = [_node(call, "Split", ["x"], parts, "split", lengths, axis=axis)]
    for part, name in zip(parts, names, strict=True):
        if single:
            nodes.append(_node(call, "Squeeze", [part], [name], "axes", [axis]))
    scope = {"x": value, "split": _numbers(lengths), "axes": _numbers([axis])}
    return _walked(walk, call, nodes, names, scope)


def _count(call: Call, parts: int) -> int:
    """A number of tensors that is none too large."""
    if not 0 <= parts <= MAX_PARTS:
        raise call.error(f"splits into {parts} tensors; expected at most {MAX_PARTS}")
    return parts


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
