"""What is known of a tensor while a graph is walked: its shape, and small constants' contents."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnx.helper
from numpy.typing import NDArray

from toolkit.workload.network.layer import BITS, TensorInfo, may_be_learned

MAX_KNOWN_ELEMENTS = 65_536
"""Constants up to this size are computed; of larger ones only the shape is known. Shapes and
indices are far smaller, weights far larger, whose contents nobody asks for."""

MAX_ELEMENTS = 1 << 53
"""Most elements of a tensor: up to there, floats count exactly, and no machine holds more."""

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
class Routing:
    """Which experts a router chooses, as far as it is followed.

    Parameters
    ----------
    router : str
        The TopK that chooses.
    tokens, chosen, experts : int
        Tokens, experts of each, and how many there are.
    is_mask : bool
        Whether the tensor says for every expert whether a token goes there.
    is_idle : bool
        Whether it belongs to an expert that gets no token.
    """

    router: str
    tokens: int
    chosen: int
    experts: int
    is_mask: bool = False
    is_idle: bool = False

    @property
    def assignments(self) -> int:
        """Tokens that all experts get together."""
        return self.tokens * self.chosen


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
    assumed : str
        The warning about a size that was assumed, and on which this one may depend.
    items : tuple of Value, optional
        The tensors, if this is a list of tensors rather than one.
    scales : tuple of TensorInfo
        Scales and zero points, of more than one number, that a quantized weight is read with.
    carrier : str
        The data type in which ONNX has it, where its values have fewer bits (`operators.qonnx`).
    routing : Routing, optional
        The router that this depends on, as long as it says which experts are chosen.
    """

    info: TensorInfo
    constant: bool = False
    data: NDArray[Any] | None = None
    stored: tuple[TensorInfo, ...] = ()
    assumed: str = ""
    items: tuple[Value, ...] | None = None
    scales: tuple[TensorInfo, ...] = ()
    carrier: str = ""
    routing: Routing | None = None

    @property
    def onnx_dtype(self) -> str:
        """The data type that ONNX knows."""
        return self.carrier or self.info.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.info.shape

    def as_weight(self) -> TensorInfo:
        """The operand in the data type in which the file stores it."""
        if len(self.stored) == 1:
            return replace(self.info, dtype=self.stored[0].dtype)
        return self.info


def empty(info: TensorInfo) -> Value:
    """A tensor without elements, which is the same in every run."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(dtype_number(info.dtype))
    return Value(info, constant=True, data=np.zeros(info.shape, kind))


def is_mask(value: Value) -> bool:
    """Whether a constant of two axes or more holds one number, or zeros and one other number.

    Exporters store masks and first states so; nobody learns them. A list may be a bias.
    """
    data, shape = value.data, value.shape
    if data is None or sum(size > 1 for size in shape) < 2:
        return False
    first = data.flat[0]
    others = data[data != first]
    return not others.size or (0 in (first, others[0]) and bool((others == others[0]).all()))


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
