"""What is known of a tensor while a graph is walked: its shape, and small constants' contents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import onnx
from numpy.typing import NDArray

from toolkit.workload.network.tensors import BITS, TensorInfo, may_be_learned

MAX_KNOWN_ELEMENTS = 65_536
"""Constants up to this size are computed; of larger ones only the shape is known."""

_NAMES = {
    "FLOAT": "float32",
    "DOUBLE": "float64",
    **{name.upper(): name for name in BITS},
}
_DTYPES = {
    number: _NAMES[name] for name, number in onnx.TensorProto.DataType.items() if name in _NAMES
}
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class Value:
    """A tensor as the walk knows it.

    Parameters
    ----------
    info : TensorInfo
        Name, shape and data type.
    constant : bool
        Whether it is the same in every run of the network.
    data : array, optional
        Its contents, for constants of at most `MAX_KNOWN_ELEMENTS` elements.
    stored : tuple of TensorInfo
        The tensors of the file that a constant is made from.
    """

    info: TensorInfo
    constant: bool = False
    data: NDArray[Any] | None = None
    stored: tuple[TensorInfo, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.info.shape

    def as_weight(self) -> TensorInfo:
        """The operand in the data type in which the file stores it."""
        if len(self.stored) == 1:
            return replace(self.info, dtype=self.stored[0].dtype)
        return self.info


def dtype_name(number: int) -> str | None:
    """Name of ONNX's data type, or None for strings and numbers that mean none."""
    return _DTYPES.get(number)


def dtype_number(name: str) -> int:
    """Number of a data type in ONNX."""
    return int(_NUMBERS[name])


def merge_stored(values: Iterable[Value]) -> tuple[TensorInfo, ...]:
    """The stored tensors that a constant computed from `values` is made from.

    Shapes, indices and masks are left out, and single numbers next to whole tensors.
    """
    tensors = {
        tensor.name: tensor
        for value in values
        for tensor in value.stored
        if may_be_learned(tensor.dtype)
    }
    large = tuple(tensor for tensor in tensors.values() if tensor.elements > 1)
    return large or tuple(tensors.values())
