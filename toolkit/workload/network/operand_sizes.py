"""Bits of operands that ZigZag and Stream note as attributes of nodes, where ONNX has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import onnx

from toolkit.workload.network.layer import BITS
from toolkit.workload.network.operators import Call

_SIZES = {"act_size": 0, "weight_size": 1, "output_size": 0}
"""Attributes, and the operand whose bits each gives; outputs are as wide as what they are of."""


def without_operand_sizes(
    node: onnx.NodeProto, call: Call, warn: Callable[[str], None]
) -> tuple[onnx.NodeProto, Call]:
    """Take these attributes off a node, for the rest of the reader knows ONNX alone.

    What they say is not carried over: tensors have the bits of their types. A warning says so
    where the two differ.
    """
    if not _SIZES.keys() & call.attributes.keys():
        return node, call
    for name, place in _SIZES.items():
        bits = call.attributes.get(name)
        value = call.inputs[place] if place < len(call.inputs) else None
        if bits and value is not None and bits != BITS[value.info.dtype]:
            warn(
                f"{name} of {call.operator} {call.name!r} says {bits} bits, but its tensors are "
                f"of type {value.info.dtype}, which counts (--bits gives others)"
            )
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    del plain.attribute[:]
    plain.attribute.extend(a for a in node.attribute if a.name not in _SIZES)
    kept = {name: value for name, value in call.attributes.items() if name not in _SIZES}
    return plain, replace(call, attributes=kept)
