"""Shapes of the outputs of one node, from the shapes and known contents of its operands.

ONNX infers them node by node. Where it knows nothing, the table of operators does; where a shape
depends on data, the option ``dims``, the largest possible shape or the file's own word is taken,
the latter two with a warning.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import onnx
from onnx import checker, defs, helper, numpy_helper, shape_inference

from toolkit.arguments import plain_integer
from toolkit.errors import WorkloadError
from toolkit.workload.network.layer import TensorInfo
from toolkit.workload.network.operators import Call, Operator
from toolkit.workload.network.operators.call import Shapes
from toolkit.workload.network.values import MAX_ELEMENTS, Value, dtype_name, dtype_number

MAX_SIZE = 1 << 40
"""Largest size of one dimension: a typing error beyond it, for the sake of a clear message."""

_OPERATIONS: dict[type[ast.AST], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}

# Contents of at most so many elements are shown to ONNX: enough for shapes, axes and pads.
_MAX_DATA = 4096

# ONNX before opset 16 describes them by other operators and infers nothing from that.
_INFERRED_AS = {"GreaterOrEqual": "Greater", "LessOrEqual": "Less"}

# ONNX describes them as one-sided where nothing is said, but infers the shape of both sides.
_ONE_SIDED = frozenset(("STFT",))

# Models for accelerators have them of integers and brain floats, which opsets allow late or never.
_OF_ANY_TYPE = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))

Shape = tuple[int | None, ...]
Declared = Mapping[str, onnx.TypeProto]
"""What the file itself says about its tensors."""


class UnknownDimensionError(WorkloadError):
    """A size was given for a dimension that a model does not have; `name` is its name."""

    def __init__(self, name: str, known: str, source: str) -> None:
        super().__init__(
            f"the model has no such dynamic dimension; it has: {known}",
            source=source,
            key=f"dims[{name!r}]",
        )
        self.name = name


class Dimensions:
    """The option ``dims``: sizes by a dimension's name or by ``tensor:axis``.

    Parameters
    ----------
    sizes : mapping of str to int
        Such as ``{"batch": 1, "images:0": 8}``; 0 for what is empty, such as a first cache.
    source : str
        The model, for messages.

    Raises
    ------
    WorkloadError
        If a size is not an integer, or negative.
    """

    def __init__(self, sizes: Mapping[str, int], source: str) -> None:
        self._sizes = {name: plain_integer(size) for name, size in sizes.items()}
        for name, size in self._sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_SIZE:
                raise WorkloadError(
                    f"expected an integer from 0 to {MAX_SIZE}, got {size!r}",
                    source=source,
                    key=f"dims[{name!r}]",
                )
        self._used: set[str] = set()
        self._known: set[str] = set()
        self._source = source

    def at(self, tensor: str, axis: int) -> int | None:
        """The size given for one axis of one tensor."""
        return self._take(f"{tensor}:{axis}")

    def replaced(self) -> set[str]:
        """Tensors of which the size of an axis is given by place."""
        return {name.rpartition(":")[0] for name in self._sizes if ":" in name}

    def iterations(self, loop: str) -> int | None:
        """How often a Loop that depends on data runs, given as ``loop:iterations``."""
        count = self._take(f"{loop}:iterations")
        if count == 0:
            raise WorkloadError(
                "expected at least 1 iteration, got 0",
                source=self._source,
                key=f"dims[{f'{loop}:iterations'!r}]",
            )
        return count

    def named(self, text: str) -> int | None:
        """The size of a named dimension, or of a sum or product such as ``past + 1``."""
        self._known.add(text)
        size = self._take(text)
        if size is not None:
            return size
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        size = self._evaluate(tree, depth=0)
        return size if size is not None and size >= 0 else None

    def value(self, name: str) -> int | None:
        """The size given for a name that operands of the model stand for, such as ``total``."""
        self._known.add(name)
        return self._take(name)

    def check_all_used(self) -> None:
        """Refuse sizes of dimensions that the model does not have.

        Raises
        ------
        UnknownDimensionError
            Naming the first such dimension, and those that the model has.
        """
        for name in self._sizes:
            if name not in self._used:
                known = ", ".join(sorted(filter(None, self._known))) or "none by name"
                raise UnknownDimensionError(name, known, self._source)

    def _take(self, name: str) -> int | None:
        if name in self._sizes:
            self._used.add(name)
        return self._sizes.get(name)

    def _evaluate(self, tree: ast.AST, depth: int) -> int | None:
        if isinstance(tree, ast.Name):
            self._known.add(tree.id)
            return self._take(tree.id)
        if isinstance(tree, ast.Constant) and type(tree.value) is int:
            return tree.value
        if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATIONS and depth < 20:
            left = self._evaluate(tree.left, depth + 1)
            right = self._evaluate(tree.right, depth + 1)
            if left is None or right is None or (isinstance(tree.op, ast.FloorDiv) and not right):
                return None
            return int(_OPERATIONS[type(tree.op)](left, right))
        return None


@lru_cache(maxsize=4096)
def find_schema(operator: str, opset: int, domain: str) -> defs.OpSchema | None:
    """ONNX's own description of an operator, if it has one."""
    try:
        return defs.get_schema(operator, opset, domain)
    except defs.SchemaError:
        return None


class ShapeInference:
    """Infers one node after the other.

    Parameters
    ----------
    opsets : mapping of str to int
        Version by domain.
    ir_version : int
        Of the model.
    dims : Dimensions
        Sizes that the user gave.
    warn : callable
        Receives a warning wherever a shape is assumed.
    """

    def __init__(
        self,
        opsets: Mapping[str, int],
        ir_version: int,
        dims: Dimensions,
        warn: Callable[[str], None],
    ) -> None:
        self._opsets = opsets
        self._imports = [helper.make_opsetid(domain, v) for domain, v in opsets.items()]
        self._ir_version = ir_version
        self._dims = dims
        self._warn = warn

    def outputs(
        self, node: onnx.NodeProto, call: Call, rule: Operator | None, declared: Declared
    ) -> list[TensorInfo]:
        """Infer the outputs that are asked for, in order.

        Raises
        ------
        WorkloadError
            If the operands do not fit the operator, or a size stays unknown.
        """
        operator = _INFERRED_AS.get(node.op_type, node.op_type)
        schema = find_schema(operator, self._opsets.get(node.domain, 1), node.domain)
        known: dict[str, tuple[str | None, Shape | None]] = {}
        if schema is not None and not schema.deprecated:
            known = self._infer(schema, node, call)
        complete = bool(known) and all(
            shape is not None and None not in shape for _, shape in known.values()
        )
        if rule is not None and rule.shapes is not None and not complete:
            places = [place for place, name in enumerate(node.output) if name]
            shapes = _by_name(node, call, rule.shapes)
            for place, (name, shape) in zip(places, shapes, strict=False):
                inferred = known.get(name, (None, None))
                dtype = inferred[0] or _own_dtype(call, rule, place)
                known[name] = dtype, _filled(inferred[1], shape)
        bound = self._bound(node, call, rule)
        return [
            self._complete(name, known.get(name, (None, None)), bound.get(name), call, declared)
            for name in node.output
            if name
        ]

    def _infer(
        self,
        schema: defs.OpSchema,
        node: onnx.NodeProto,
        call: Call,
        *,
        as_floats: bool = False,
    ) -> dict[str, tuple[str | None, Shape | None]]:
        if node.op_type in _ONE_SIDED and "onesided" not in call.attributes:
            given = node
            node = onnx.NodeProto()
            node.CopyFrom(given)
            node.attribute.append(helper.make_attribute("onesided", 1))
        operands = dict(zip(node.input, call.inputs, strict=True))
        types, data = {}, {}
        for name, value in operands.items():
            if value is None:
                continue
            number = dtype_number("float32" if as_floats else value.onnx_dtype)
            types[name] = helper.make_tensor_type_proto(number, value.shape)
            if value.data is not None and value.data.size <= _MAX_DATA and not as_floats:
                data[name] = numpy_helper.from_array(value.data, name)
        try:
            inferred = shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=self._imports, ir_version=self._ir_version
            )
        except checker.ValidationError as cause:
            if node.op_type in _OF_ANY_TYPE and not as_floats:
                first = call.inputs[0]
                dtype = first.onnx_dtype if first is not None else "float32"
                self._warn(
                    f"opset {call.opset} has no {node.op_type} of {dtype}; read all the same"
                )
                found = self._infer(schema, node, call, as_floats=True)
                return {name: (dtype, shape) for name, (_, shape) in found.items()}
            # Such as Min of integers before opset 12, which nothing runs.
            raise call.error(f"opset {call.opset} does not allow it: {_reason(cause)}") from None
        except shape_inference.InferenceError as cause:
            raise call.mismatch(_reason(cause)) from None
        except (MemoryError, RuntimeError, ValueError) as cause:
            raise call.error(_reason(cause)) from None
        return {name: _from_type(proto) for name, proto in inferred.items()}

    def _bound(self, node: onnx.NodeProto, call: Call, rule: Operator | None) -> dict[str, Shape]:
        if rule is None or rule.bound is None:
            return {}
        return dict(_by_name(node, call, rule.bound))

    def _complete(
        self,
        name: str,
        known: tuple[str | None, Shape | None],
        bound: Shape | None,
        call: Call,
        declared: Declared,
    ) -> TensorInfo:
        """Fill in what inference left open, best source first."""
        said_dtype, said = (None, None)
        if name in declared:
            said_dtype, said = _from_type(declared[name])
        dtype, shape = known[0] or said_dtype, known[1]
        if dtype is None:
            raise call.error(f"data type of output {name!r} is not known or not supported")
        if shape is None:
            template = bound if bound is not None else said
            if template is None:
                raise call.error(
                    f"shape of output {name!r} cannot be inferred and the file does not give it"
                )
            shape = (None,) * len(template)
        names = _dimension_names(declared.get(name))
        sizes = [
            size if size is not None else self._size(name, axis, names, said, bound, call)
            for axis, size in enumerate(shape)
        ]
        if any(not 0 <= size <= MAX_SIZE for size in sizes):
            raise call.error(f"output {name!r} has the shape {sizes}; sizes are 0 to 2^40")
        if math.prod(sizes) > MAX_ELEMENTS:
            raise call.error(f"output {name!r} has the shape {sizes}: more than 2^53 elements")
        return TensorInfo(name, tuple(sizes), dtype)

    def _size(
        self,
        tensor: str,
        axis: int,
        names: Sequence[str],
        said: Shape | None,
        bound: Shape | None,
        call: Call,
    ) -> int:
        given = self._dims.at(tensor, axis)
        if given is None and axis < len(names) and names[axis]:
            given = self._dims.named(names[axis])
        if given is not None:
            return given
        place = f"axis {axis} of {tensor!r} ({call.operator} {call.name!r})"
        option = f"--dim '{tensor}:{axis}=N'"
        largest = bound[axis] if bound is not None and axis < len(bound) else None
        if largest is not None:
            self._warn(f"{place} depends on data; taken as its largest, {largest} ({option})")
            return largest
        size = said[axis] if said is not None and axis < len(said) else None
        if size is not None:
            self._warn(f"{place} cannot be inferred; taken from the file, {size} ({option})")
            return size
        raise call.error(
            f"axis {axis} of output {tensor!r} cannot be inferred{_unread(call)}; give its size "
            f"with dims={{'{tensor}:{axis}': N}} ({option})"
        )


def _unread(call: Call) -> str:
    """The operand whose contents would tell, if they were there."""
    for value in call.inputs[1:]:
        if value is not None and value.stored and value.data is None:
            return f", since the contents of {value.info.name!r} are not there"
    return ""


def _own_dtype(call: Call, rule: Operator, place: int) -> str:
    """Data type of a result, as the table of operators says it."""
    of = rule.dtype_of
    operand = of if isinstance(of, int) else of[min(place, len(of) - 1)]
    return call.input(operand if call.has(operand) else 0).onnx_dtype


def _by_name(node: onnx.NodeProto, call: Call, shapes: Shapes) -> list[tuple[str, Shape]]:
    """Shapes of the outputs that are asked for; those left out keep their places."""
    dtype = next((v.info.dtype for v in call.inputs if v is not None), "float32")
    places = replace(call, outputs=tuple(TensorInfo(n, (), dtype) for n in node.output))
    pairs = zip(node.output, shapes(places), strict=False)
    return [(name, shape) for name, shape in pairs if name]


def _from_type(proto: onnx.TypeProto) -> tuple[str | None, Shape | None]:
    """Data type and shape; None for each that is not known."""
    tensor = proto.tensor_type
    dtype = dtype_name(tensor.elem_type)
    if not tensor.HasField("shape"):
        return dtype, None
    sizes = (dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return dtype, tuple(sizes)


def _filled(inferred: Shape | None, own: Shape) -> Shape:
    """What ONNX infers, its gaps filled by the table of operators."""
    if inferred is None or len(inferred) != len(own):
        return tuple(own)
    return tuple(b if a is None else a for a, b in zip(inferred, own, strict=True))


def declared_shape(proto: onnx.TypeProto | None) -> tuple[int | str | None, ...] | None:
    """What the file itself says of a shape: sizes, and names of dimensions."""
    if proto is None or not proto.tensor_type.HasField("shape"):
        return None
    dims = proto.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in dims)


def _dimension_names(proto: onnx.TypeProto | None) -> list[str]:
    return [dim.dim_param for dim in proto.tensor_type.shape.dim] if proto else []


def _reason(cause: Exception) -> str:
    """The last sentence of ONNX's message, which names the problem."""
    line = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    return line.rpartition("): ")[2].removeprefix("[ShapeInferenceError] ")[:300]


def same_shape(call: Call, name: str) -> TensorInfo:
    """The output of an operator that nobody knows: the largest of its operands."""
    values: list[Value] = [value for value in call.inputs if value is not None]
    if not values:
        raise call.error("its output cannot be guessed without operands")
    largest = max((v for v in values), key=lambda v: (not v.constant, v.info.elements))
    return TensorInfo(name, largest.shape, largest.onnx_dtype)
