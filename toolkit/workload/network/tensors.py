"""Tensors between layers: name, shape and data type, never their contents."""

from __future__ import annotations

import math
from dataclasses import dataclass

BITS = {
    "float64": 64,
    "float32": 32,
    "float16": 16,
    "bfloat16": 16,
    "float8e4m3fn": 8,
    "float8e4m3fnuz": 8,
    "float8e5m2": 8,
    "float8e5m2fnuz": 8,
    "float8e8m0": 8,
    "float6e2m3": 6,
    "float6e3m2": 6,
    "float4e2m1": 4,
    "int64": 64,
    "int32": 32,
    "int16": 16,
    "int8": 8,
    "int4": 4,
    "int2": 2,
    "uint64": 64,
    "uint32": 32,
    "uint16": 16,
    "uint8": 8,
    "uint4": 4,
    "uint2": 2,
    "bool": 8,
    "complex64": 64,
    "complex128": 128,
}
"""Bits of one element of every data type; a truth value takes a byte, as ONNX stores it."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor of a network.

    Parameters
    ----------
    name : str
        Unique within the network.
    shape : tuple of int
        Sizes of the axes; empty for a scalar.
    dtype : str
        A key of `BITS`, such as ``float32``.

    Examples
    --------
    >>> TensorInfo("x", (1, 3, 224, 224), "float32").bytes
    602112
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes, elements of less than a byte packed without gaps."""
        return -(-self.elements * BITS[self.dtype] // 8)


def may_be_learned(dtype: str) -> bool:
    """Whether parameters come in this data type: any float, or an integer of at most 8 bits."""
    return dtype.startswith(("float", "bfloat")) or (dtype != "bool" and BITS[dtype] <= 8)
