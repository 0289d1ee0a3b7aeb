"""Layers: what one operator of a network computes or moves, and the tensors between them.

Of a tensor name, shape and data type are known, never the contents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from toolkit.arguments import store_plain_numbers
from toolkit.workload.kernel import Workload

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
    # ONNX has integers of a few widths; quantizers and users have others.
    **{f"{kind}{bits}": bits for kind in ("int", "uint") for bits in range(1, 65)},
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


CostClass = Literal["einsum", "elementwise", "window", "reduction", "movement", "view"]
"""What a layer costs.

- ``einsum``: multiply-accumulates of a workload that is mapped on the accelerator;
- ``elementwise``, ``window`` (pooling) and ``reduction`` (sums, softmax, normalization: no output
  before the last input): operations of a vector unit;
- ``movement``: elements read and written in another place;
- ``view``: nothing, the same elements under another shape or name.
"""

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
"""What a node says about its operator: a number, a text, or a list of either."""

VECTOR_CLASSES: tuple[CostClass, ...] = ("elementwise", "window", "reduction")
"""Classes that run on the vector unit."""


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Parameters
    ----------
    name : str
        Unique within the network: the node's name, with a suffix where one node is several
        layers (``lstm/recurrent``) and a prefix inside of the bodies of control flow.
    operator : str
        The ONNX operator; those of other domains with their domain (``com.microsoft.Gelu``).
    cost_class : {"einsum", "elementwise", "window", "reduction", "movement", "view"}
        What it costs, see `CostClass`.
    inputs, outputs : tuple of TensorInfo
        Activations. In the body of a loop they are those of one iteration.
    weights : tuple of TensorInfo
        Constant operands, each with the data type in which the file stores it.
    parameters : tuple of TensorInfo
        The learned tensors that `weights` are made from, as the file stores them: without
        running statistics, scales, zero points, masks and single constants such as an exponent.
        Tables that the file holds, such as sines of positions, look like learned ones.
    workload : Workload, optional
        The operation of one repetition, for the class ``einsum`` only.
    repetitions : int
        How often `workload` (or the work on `elements`) is done: time steps, iterations of a
        loop, groups of a transposed convolution.
    elements : int
        Elements that one repetition computes or moves: of the output, or of the input where the
        layer reduces it.
    operations_per_element : int
        Operations of the vector unit on each of them: additions, multiplications, comparisons,
        divisions and special functions (exp, log, erf, tanh, square root) count one each. A
        layer of class ``einsum`` has some where it rescales its output.
    attributes : tuple of (str, object)
        The node's attributes by name, such as strides and pads, lists as tuples; without those
        that hold tensors or graphs.
    folded : tuple of Layer
        Elementwise layers that are applied to the output on its way out, in order; `outputs` are
        what the last of them makes (`toolkit.workload.network.elementwise`).
    in_place : bool
        Whether the outputs are the first inputs' own memory, of which `elements` are written:
        a cache that grows by a token.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> [layer.cost_class for layer in network.graph().layers]
    ['einsum']
    """

    name: str
    operator: str
    cost_class: CostClass
    inputs: tuple[TensorInfo, ...] = ()
    weights: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    parameters: tuple[TensorInfo, ...] = ()
    workload: Workload | None = None
    repetitions: int = 1
    elements: int = 0
    operations_per_element: int = 0
    attributes: tuple[tuple[str, Attribute], ...] = ()
    folded: tuple[Layer, ...] = ()
    in_place: bool = False

    def __post_init__(self) -> None:
        store_plain_numbers(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all repetitions together."""
        return self.workload.macs * self.repetitions if self.workload else 0

    @property
    def operations(self) -> int:
        """Operations of the vector unit, of all repetitions together, folded ones included."""
        own = self.elements * self.operations_per_element * self.repetitions
        return own + sum(layer.operations for layer in self.folded)

    @property
    def operators(self) -> str:
        """Its operator and those folded into it, such as ``Conv + Relu``."""
        return " + ".join(layer.operator for layer in (self, *self.folded))

    @property
    def on_vector_unit(self) -> bool:
        """Whether the whole layer runs on the vector unit."""
        return self.cost_class in VECTOR_CLASSES

    @property
    def dtype(self) -> str:
        """Data type of the first output."""
        return self.outputs[0].dtype

    @property
    def weight_elements(self) -> int:
        """Elements of the constant operands."""
        return sum(tensor.elements for tensor in self.weights)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the constant operands."""
        return sum(tensor.bytes for tensor in self.weights)

    @property
    def input_bytes(self) -> int:
        """Bytes of the activations that come in."""
        return sum(tensor.bytes for tensor in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Bytes of the activations that go out."""
        return sum(tensor.bytes for tensor in self.outputs)
