"""One node that does what several operators do, one after the other, as their layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx

from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.call import Call, Handler, Operator
from toolkit.workload.network.operators.output_shapes import Shape
from toolkit.workload.network.values import Value

ACTIVATIONS = {
    "clip": "Clip",
    "elu": "Elu",
    "gelu": "Gelu",
    "hardsigmoid": "HardSigmoid",
    "hardswish": "HardSwish",
    "leakyrelu": "LeakyRelu",
    "quickgelu": "Swish",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "silu": "Swish",
    "softplus": "Softplus",
    "swish": "Swish",
    "tanh": "Tanh",
}
"""Operators by what attributes of fused nodes call them, in small letters."""


class Composition:
    """Layers of one node, made of other operators.

    A fused node becomes the layers of the operators that it was fused from, and so costs what
    they cost, and may be cut and fused as they may.

    Parameters
    ----------
    call : Call
        The node.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._layers: list[Layer] = []

    def step(
        self,
        operator: str,
        operands: Sequence[Value | None],
        shape: Shape,
        *,
        attributes: Mapping[str, Any] | None = None,
        dtype: str | None = None,
        main: bool = False,
    ) -> Value:
        """Add the layers of one operator and return what it makes.

        Parameters
        ----------
        operator : str
            A key of the table of operators.
        operands : sequence of Value or None
            Operands of the node, or what earlier steps made.
        shape : tuple of int
            Of the result.
        attributes : mapping, optional
            Of the operator.
        dtype : str, optional
            Data type of the result; by default that of the node's first output.
        main : bool
            Whether the layer is called as the node; others carry their operator behind it.
        """
        infos = [TensorInfo(self._named(operator), tuple(shape), self._dtype(dtype))]
        return self._add(operator, operands, infos, attributes or {}, main=main)[0]

    def split(self, value: Value, widths: Sequence[int]) -> list[Value]:
        """Cut the last axis into parts."""
        infos = [
            TensorInfo(f"{self._named('Split')}.{i}", (*value.shape[:-1], width), value.info.dtype)
            for i, width in enumerate(widths)
        ]
        return self._add("Split", [value], infos, {"axis": len(value.shape) - 1}, main=False)

    def _named(self, operator: str) -> str:
        return f"{self._call.name}/{operator.rpartition('.')[2]}"

    def _dtype(self, dtype: str | None) -> str:
        return dtype or self._call.outputs[0].dtype

    def _add(
        self,
        operator: str,
        operands: Sequence[Value | None],
        infos: Sequence[TensorInfo],
        attributes: Mapping[str, Any],
        *,
        main: bool,
    ) -> list[Value]:
        # The table lists operators that are composed of others of it.
        from toolkit.workload.network.operators.table import OPERATORS

        part = replace(
            self._call,
            name=self._call.name if main else self._named(operator),
            operator=operator,
            attributes=attributes,
            inputs=tuple(operands),
            outputs=tuple(infos),
            opset=onnx.defs.onnx_opset_version(),
        )
        rule = OPERATORS[operator]
        self._layers += rule.handler(part, rule)
        return [Value(info) for info in infos]

    def activation(self, value: Value, name: str, parameters: Sequence[float] = ()) -> Value:
        """Add the activation that an attribute names; none changes nothing.

        Raises
        ------
        WorkloadError
            Naming the node, if there is no such activation.
        """
        if name.lower() in ("", "none", "linear", "identity"):
            return value
        operator = ACTIVATIONS.get(name.lower())
        if operator is None:
            known = ", ".join(ACTIVATIONS)
            raise self._call.error(f"activation {name!r} is not known; there are {known}")
        attributes = dict(zip(("min", "max"), parameters, strict=False))
        given = attributes if operator == "Clip" else None
        return self.step(operator, [value], value.shape, attributes=given)

    def layers(self, *results: Value, handed_on: Value | None = None) -> tuple[Layer, ...]:
        """The layers, with the outputs of the node for what steps made.

        Parameters
        ----------
        results : Value
            What the steps made that is the first outputs of the node, in order.
        handed_on : Value, optional
            What a step made that is the last output. Others, such as statistics that nobody
            reads in inference, belong to the last layer.
        """
        outputs = list(self._call.outputs)
        named = {id(value.info): output for value, output in zip(results, outputs, strict=False)}
        further = outputs[len(results) :]
        if handed_on is not None:
            named[id(handed_on.info)] = further.pop()
        layers = [
            replace(
                layer,
                inputs=tuple(named.get(id(tensor), tensor) for tensor in layer.inputs),
                outputs=tuple(named.get(id(tensor), tensor) for tensor in layer.outputs),
            )
            for layer in self._layers
        ]
        layers[-1] = replace(layers[-1], outputs=(*layers[-1].outputs, *further))
        return tuple(layers)


def retyped(value: Value, shape: Shape, dtype: str) -> Value:
    """A constant or activation as the tensor that its packed contents stand for."""
    info = TensorInfo(value.info.name, tuple(shape), dtype)
    stored = (info,) if value.stored else ()
    return Value(info, constant=value.constant, stored=stored, assumed=value.assumed)


def operands_of(call: Call, count: int) -> list[Value | None]:
    """The first operands, those left out as None."""
    return [*call.inputs, *[None] * count][:count]


def as_operator(operator: str, operands: int) -> Handler:
    """The same under another name."""

    def handler(call: Call, rule: Operator) -> tuple[Layer, ...]:
        steps = Composition(call)
        made = steps.step(
            operator,
            call.inputs[:operands],
            call.outputs[0].shape,
            attributes=call.attributes,
            main=True,
        )
        return steps.layers(made)

    return handler


def optional_operands(call: Call, *operands: int) -> list[Value | None]:
    """Operands by their places, those left out as None."""
    return [call.inputs[i] if call.has(i) else None for i in operands]
