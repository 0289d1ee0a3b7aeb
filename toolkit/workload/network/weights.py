"""Weights that are not where weights are: contents that are nowhere, and inputs of the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx

from toolkit.workload.network.layer import TensorInfo, may_be_learned
from toolkit.workload.network.operators import OPERATORS
from toolkit.workload.network.read import DOMAINS, is_absent, tensors_of
from toolkit.workload.network.values import dtype_name

Use = tuple[onnx.NodeProto, int]
"""A node and which of its operands a tensor is."""

_PASSED_ON = frozenset(
    ("Cast", "DequantizeLinear", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Transpose")
    + ("Unsqueeze",)
)
"""Operators that prepare weights: what they make is a weight where they are given one."""

_ELEMENTWISE = frozenset(("Add", "Div", "Mul", "PRelu", "Sub"))

_STATISTICS = {"BatchNormalization": (3, 4)}

_MATRICES = frozenset(("MatMul", "FusedMatMul", "TransposeMatMul"))
"""Products whose second operand is a weight only if it is one matrix, not a batch of them."""


def absent_contents(graph: onnx.GraphProto, source: str) -> list[str]:
    """The note that weights are read by shape, where their contents are not there."""
    absent = [tensor for tensor in tensors_of(graph) if is_absent(tensor, source)]
    if not absent:
        return []
    total = sum(
        TensorInfo(tensor.name, tuple(tensor.dims), dtype).bytes
        for tensor in absent
        if (dtype := dtype_name(tensor.data_type)) is not None
    )
    tensors = f"{len(absent)} tensors" if len(absent) > 1 else "1 tensor"
    return [f"contents of {tensors} ({total:,} bytes) are not there; read by shape"]


def inputs_that_are_weights(graph: onnx.GraphProto) -> list[str]:
    """Inputs of a graph that was saved without its initializers, in order.

    An input is a weight if its shape is fixed, and it is used as a filter, a matrix, a bias or a
    factor of a normalization, and as nothing else. Where there are such, vectors that are added
    or multiplied, and tables that rows are taken from, are weights, too.
    """
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {sparse.values.name for sparse in graph.sparse_initializer}
    fixed = {
        entry.name: len(entry.type.tensor_type.shape.dim)
        for entry in graph.input
        if entry.name not in stored and _is_fixed(entry)
    }
    if not fixed:
        return []
    uses: dict[str, list[Use]] = {}
    for node in _nodes(graph):
        # What a constant is multiplied by is the activation, wherever it stands.
        turned = bool(node.input) and node.input[0] in stored
        for i, name in enumerate(node.input):
            uses.setdefault(name, []).append((node, 0 if turned else i))
    outputs = {output.name for output in graph.output}
    candidates = [name for name in fixed if name not in outputs and name in uses]
    certain = [name for name in candidates if _all_uses(name, fixed[name], uses, certain=True)]
    if not certain:
        return []
    return [name for name in candidates if _all_uses(name, fixed[name], uses, certain=False)]


def _is_fixed(entry: onnx.ValueInfoProto) -> bool:
    tensor = entry.type.tensor_type
    dtype = dtype_name(tensor.elem_type)
    if dtype is None or not may_be_learned(dtype) or not tensor.HasField("shape"):
        return False
    return all(dim.HasField("dim_value") and dim.dim_value > 0 for dim in tensor.shape.dim)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(body)


def _all_uses(name: str, axes: int, uses: dict[str, list[Use]], *, certain: bool) -> bool:
    """Whether every use, after what only prepares it, is that of a weight."""
    pending, seen = [name], {name}
    while pending:
        for node, place in uses.get(pending.pop(), ()):
            if node.op_type in _PASSED_ON and place == 0 and node.output:
                made = node.output[0]
                if made not in uses:
                    return False
                if made not in seen:
                    seen.add(made)
                    pending.append(made)
            elif not _is_weight(node, place, axes) and (
                certain or not _may_be_weight(node, place, axes)
            ):
                return False
    return True


def _is_weight(node: onnx.NodeProto, place: int, axes: int) -> bool:
    domain = DOMAINS.get(node.domain, node.domain)
    rule = OPERATORS.get(f"{domain}.{node.op_type}" if domain else node.op_type)
    if rule is None or place == 0:
        return False
    if node.op_type in _MATRICES and axes != 2:
        return False
    return place in (*(rule.learned or ()), *rule.scales, *_STATISTICS.get(node.op_type, ()))


def _may_be_weight(node: onnx.NodeProto, place: int, axes: int) -> bool:
    if node.op_type == "Gather":
        return place == 0 and axes == 2
    return node.op_type in _ELEMENTWISE and axes <= 1


def weight_note(names: Sequence[str]) -> str:
    """The warning that inputs are taken as weights."""
    shown = ", ".join(repr(name) for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"inputs that are used as weights alone are taken as weights: {shown}{more}"
