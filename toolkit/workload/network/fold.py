"""Constants computed before the network runs: shapes, indices, masks, prepared weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from toolkit.workload.network.layer import BITS, TensorInfo
from toolkit.workload.network.operators import OPERATORS, Call
from toolkit.workload.network.operators.qonnx import narrow_dtype
from toolkit.workload.network.read import small_contents
from toolkit.workload.network.values import (
    MAX_KNOWN_ELEMENTS,
    Value,
    dtype_name,
    dtype_number,
    merge_stored,
)

NEVER_CONSTANT = frozenset(
    (
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    )
)
"""Operators whose output differs between runs, whatever they are given."""

# Small operands do not make these cheap to compute.
_NEVER_COMPUTED = frozenset(
    ("AffineGrid", "Col2Im", "DFT", "Det", "GridSample", "LRN", "MaxUnpool", "NonMaxSuppression")
    + ("Resize", "STFT", "Upsample")
)
_COSTLY_CLASSES = ("einsum", "window")
_DATA_DEPENDENT = frozenset(("Compress", "NonZero", "Unique"))


def stored_value(tensor: onnx.TensorProto, name: str, source: str) -> Value | None:
    """A tensor of the file as a constant; None for one of strings."""
    dtype = dtype_name(tensor.data_type)
    if dtype is None:
        return None
    info = TensorInfo(name, tuple(tensor.dims), dtype)
    contents = small_contents(tensor, source)
    data = numpy_helper.to_array(contents) if contents is not None else None
    return Value(info, constant=True, data=data, stored=(info,))


def shape_constant(call: Call, name: str) -> Value:
    """The output of Shape or Size."""
    shape = call.shape(0)
    if call.operator == "Size":
        data = np.array(call.input(0).info.elements, dtype=np.int64)
    else:
        start, end = call.integer("start", 0), call.attributes.get("end")
        data = np.array(shape[start : None if end is None else int(end)], dtype=np.int64)
    return Value(TensorInfo(name, data.shape, "int64"), constant=True, data=data)


def constant_node(node: onnx.NodeProto, call: Call, name: str) -> Value:
    """The output of Constant, however it is written.

    Raises
    ------
    WorkloadError
        If it holds strings or nothing.
    """
    for attribute in node.attribute:
        if attribute.name == "value":
            value = stored_value(attribute.t, name, call.source)
            if value is not None:
                return value
        elif attribute.name in ("value_int", "value_ints", "value_float", "value_floats"):
            kind = np.int64 if "int" in attribute.name else np.float32
            data = np.array(helper.get_attribute_value(attribute), dtype=kind)
            info = TensorInfo(name, data.shape, str(data.dtype))
            return Value(info, constant=True, data=data, stored=(info,))
        elif attribute.name == "sparse_value":
            dtype = dtype_name(attribute.sparse_tensor.values.data_type)
            if dtype is not None:
                info = TensorInfo(name, tuple(attribute.sparse_tensor.dims), dtype)
                return Value(info, constant=True, stored=(info,))
    raise call.error("expected a constant of numbers")


def cast_of(node: onnx.NodeProto, call: Call) -> tuple[onnx.NodeProto, Call]:
    """CastLike as Cast: of its second operand only the data type matters."""
    to = dtype_number(call.input(1).onnx_dtype)
    cast = helper.make_node("Cast", node.input[:1], node.output, name=node.name, to=to)
    return cast, replace(call, operator="Cast", attributes={"to": to}, inputs=call.inputs[:1])


def fold(
    node: onnx.NodeProto, call: Call, infer: Callable[[], Sequence[TensorInfo]]
) -> list[Value]:
    """Outputs of a node whose operands are constant, computed where they are small.

    Parameters
    ----------
    node : NodeProto
        The node.
    call : Call
        Its operands.
    infer : callable
        Gives its outputs; not called where they must be computed to be known.
    """
    given = [value for value in call.inputs if value is not None]
    # The first operand of these is a weight, or a bias of 32-bit integers.
    whole = call.operator.rpartition(".")[2] in ("DequantizeLinear", "QuantizeLinear")
    stored = given[0].stored if whole else merge_stored(given)
    scales = _scales(call, given)
    known = _is_cheap(call) and all(v.data is not None for v in given)
    if known and call.operator in _DATA_DEPENDENT:
        arrays = _evaluate(node, call)
        if arrays is not None:
            names = [name for name in node.output if name]
            infos = [
                TensorInfo(name, array.shape, str(array.dtype))
                for name, array in zip(names, arrays, strict=True)
            ]
            return _computed(infos, arrays, stored, scales)
    infos = list(infer())
    if call.operator.rpartition(".")[2] == "QuantizeLinear":
        # What is quantized once need not be kept as it was before.
        stored = tuple(replace(tensor, dtype=infos[0].dtype) for tensor in stored)
    narrow = narrow_dtype(call)
    if narrow is not None:
        stored = tuple(replace(tensor, dtype=narrow) for tensor in given[0].stored)
    if call.operator == "ConstantOfShape":
        stored = tuple(infos) if _is_learned(node) else ()
    elif all(t.elements == 1 for t in stored) and any(i.elements > 1 for i in infos):
        # A bias of zeros, or a mask: single numbers repeated are nothing that was learned.
        stored = ()
    small = all(info.elements <= MAX_KNOWN_ELEMENTS for info in infos)
    arrays = _evaluate(node, call) if small and known else None
    if arrays is None:
        return [Value(info, constant=True, stored=stored, scales=scales) for info in infos]
    return _computed(infos, arrays, stored, scales)


def _scales(call: Call, given: Sequence[Value]) -> tuple[TensorInfo, ...]:
    """Scales and zero points that a weight made of `given` is read with.

    Those of a bias are known from the scales of what it is added to.
    """
    found = {scale.name: scale for value in given for scale in value.scales}
    if call.operator.endswith("DequantizeLinear") and BITS[given[0].info.dtype] <= 16:
        found |= {v.info.name: v.info for v in given[1:] if v.info.elements > 1}
    return tuple(found.values())


def _is_cheap(call: Call) -> bool:
    """Whether constants are computed at all: shapes, indices and masks come in other ways."""
    rule = OPERATORS.get(call.operator)
    costly = rule is not None and rule.cost_class in _COSTLY_CLASSES
    if costly or call.operator in _NEVER_COMPUTED:
        return False
    if call.operator != "GatherElements":
        return True
    # NumPy wraps indices around one length at a time.
    indices = call.input(1).data
    most = max(call.shape(0), default=1)
    return indices is not None and bool((np.abs(indices.astype(float)) <= most).all())


def _computed(
    infos: Sequence[TensorInfo],
    arrays: Sequence[NDArray[Any]],
    stored: tuple[TensorInfo, ...],
    scales: tuple[TensorInfo, ...],
) -> list[Value]:
    return [
        Value(
            replace(info, shape=array.shape),
            constant=True,
            data=array,
            stored=stored,
            scales=scales,
        )
        for info, array in zip(infos, arrays, strict=True)
    ]


def _evaluate(node: onnx.NodeProto, call: Call) -> list[NDArray[Any]] | None:
    """Run ONNX's reference implementation, or None where it cannot."""
    feeds = {
        name: value.data
        for name, value in zip(node.input, call.inputs, strict=True)
        if value is not None
    }
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(_alone(node, call.opset)).run(None, feeds)
    except Exception:
        # Whatever it does not support stays a constant of known shape.
        return None
    return [np.asarray(result) for result in results]


def _alone(node: onnx.NodeProto, opset: int) -> onnx.ModelProto:
    """A model of one node: only models tell the evaluator which opset is meant."""
    graph = onnx.GraphProto(node=[node], name="constant")
    graph.input.extend(onnx.ValueInfoProto(name=name) for name in node.input if name)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.output if name)
    imports = [helper.make_opsetid(node.domain, opset)]
    return onnx.ModelProto(graph=graph, ir_version=8, opset_import=imports)


def _is_learned(node: onnx.NodeProto) -> bool:
    """Whether ConstantOfShape stands for a weight: masks and first states hold zeros or ones."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return bool(numpy_helper.to_array(attribute.t).reshape(-1)[0] not in (0, 1))
    return False
