"""Control flow: If, Loop and Scan are replaced by their bodies where all shapes are static."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import onnx

from toolkit.errors import WorkloadError
from toolkit.workload.network.layer import Layer
from toolkit.workload.network.operators import Call
from toolkit.workload.network.tensors import TensorInfo
from toolkit.workload.network.values import Value


class Walk(Protocol):
    """The walk over a graph, as far as bodies need it."""

    layers: list[Layer]
    warnings: list[str]

    def warn(self, message: str) -> None:
        """Remember a warning, once."""

    def branch(self) -> Walk:
        """Set out on a walk with layers and warnings of its own."""

    def graph(
        self, graph: onnx.GraphProto, scope: dict[str, Value], prefix: str = ""
    ) -> list[Value]:
        """Walk a graph and return its outputs."""


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
    tried = []
    for name in names:
        inside = walk.branch()
        made = inside.graph(_body(node, name, call), scope, f"{call.name}/{name[:4]}/")
        tried.append((inside, made))
    costs = [
        (
            sum(layer.macs for layer in inside.layers),
            sum(layer.operations for layer in inside.layers),
        )
        for inside, _ in tried
    ]
    chosen = 0 if costs[0] >= costs[1] else 1
    inside, made = tried[chosen]
    walk.layers += inside.layers
    for warning in inside.warnings:
        walk.warn(warning)
    walk.warn(
        f"If {call.name!r} depends on data; its {names[chosen]} is taken, with {costs[chosen][0]} "
        f"MACs (the other: {costs[1 - chosen][0]})"
    )
    # Both are constant in their own run only.
    return [replace(value, constant=False, data=None) for value in made]


def _loop(walk: Walk, node: onnx.NodeProto, call: Call, scope: dict[str, Value]) -> list[Value]:
    body = _body(node, "body", call)
    trips = call.inputs[0].data if call.has(0) else None  # type: ignore[union-attr]
    count = int(np.asarray(trips).reshape(-1)[0]) if trips is not None else None
    if count is None or count >= MAX_TRIPS:
        raise call.error("its number of iterations is not a constant; the loop is not static")
    if count < 1:
        raise call.error(f"its number of iterations is {count}; expected at least 1")
    condition = call.input(1).data if call.has(1) else np.array(True)
    if condition is None or not np.asarray(condition).all():
        raise call.error("its condition depends on data; the loop is not static")
    iteration = Value(TensorInfo(f"{call.name}/iteration", (), "int64"))
    going = Value(TensorInfo(f"{call.name}/condition", (), "bool"), True, np.array(True))
    states = [call.input(i) for i in range(2, len(call.inputs))]
    made = _iterate(walk, body, call, scope, [iteration, going, *map(_varying, states)], count)
    if made[0].data is None or not np.asarray(made[0].data).all():
        walk.warn(f"Loop {call.name!r} may end early; taken with all its {count} iterations")
    carried, stacked = made[1 : 1 + len(states)], made[1 + len(states) :]
    _check_states(call, states, carried)
    return [*carried, *(_stacked(value, call, count, 0) for value in stacked)]


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
    made = _iterate(walk, body, call, scope, [*map(_varying, states), *slices], count)
    carried, stacked = made[: len(states)], made[len(states) :]
    _check_states(call, states, carried)
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
    inputs: list[Value],
    count: int,
) -> list[Value]:
    """Walk the body once; its layers are repeated as often as it runs."""
    if len(inputs) != len(body.input):
        raise call.error(f"its body takes {len(body.input)} inputs; given {len(inputs)}")
    names = [value.name for value in body.input]
    inside = walk.branch()
    made = inside.graph(body, scope | dict(zip(names, inputs, strict=True)), f"{call.name}/")
    walk.layers += [
        replace(layer, repetitions=layer.repetitions * count) for layer in inside.layers
    ]
    for warning in inside.warnings:
        walk.warn(warning)
    return made


def _check_states(call: Call, before: list[Value], after: list[Value]) -> None:
    for first, last in zip(before, after, strict=True):
        if first.shape != last.shape:
            raise WorkloadError(
                f"the shape of its state {first.info.name!r} changes from {list(first.shape)} to "
                f"{list(last.shape)}; the loop is not static",
                source=call.source,
                key=f"node {call.name!r} ({call.operator})",
            )


def _stacked(value: Value, call: Call, count: int, axis: int) -> Value:
    shape = list(value.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, count)
    return replace(_varying(value), info=replace(value.info, shape=tuple(shape)))
