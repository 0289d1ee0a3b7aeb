"""Builds ONNX graphs as exporters write them: real names, shapes of weights, no contents.

How weights are written follows a precision: as floats, between QuantizeLinear and DequantizeLinear
as ONNX Runtime's static quantization does it, or in blocks of a few bits (MatMulNBits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolkit.errors import WorkloadError
from toolkit.workload.network.values import dtype_number

OPSET = 22
"""The first in which convolutions take bfloat16."""

BLOCK = 32
"""Weights that share a scale under int4, the default of ONNX Runtime's quantizer."""

MICROSOFT = "com.microsoft"

# ONNX Runtime quantizes what comes into these, beside products and convolutions.
_QUANTIZED = frozenset(("Add", "GlobalAveragePool", "MatMul", "MaxPool"))

Size = int | str
"""A size of an input: fixed, or a dynamic dimension by its name."""


@dataclass(frozen=True)
class Precision:
    """How a network is written.

    Parameters
    ----------
    dtype : str
        Data type of what is not quantized.
    form : {"float", "qdq", "blocks"}
        Weights as floats; weights and activations of 8 bits, dequantized before every product;
        or weights of 4 bits, each `BLOCK` of a row with a scale.
    """

    dtype: str
    form: Literal["float", "qdq", "blocks"] = "float"


def divided(total: int, parts: int, what: str) -> int:
    """Divide a size, which must leave nothing over.

    Raises
    ------
    WorkloadError
        If it does.

    Examples
    --------
    >>> divided(768, 12, "heads")
    64
    """
    if parts < 1 or total % parts:
        raise WorkloadError(f"{what}: {total} is not a multiple of {parts}")
    return total // parts


class GraphBuilder:
    """A graph that grows node by node.

    Modules are given by their paths in torch, such as ``layer1.0.conv1``; names of nodes and
    tensors follow from them.

    Parameters
    ----------
    name : str
        Of the graph.
    precision : Precision
        How weights are written.
    sequential : bool
        Whether numbered modules are those of a Sequential, which has a scope of its own.
    opset : int
        Of the standard operators.
    """

    def __init__(
        self, name: str, precision: Precision, *, sequential: bool = False, opset: int = OPSET
    ) -> None:
        self.precision = precision
        self._name = name
        self._sequential = sequential
        self._opset = opset
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._names: set[str] = set()
        self._quantized: dict[str, str] = {}
        self._dequantized: set[str] = set()

    @property
    def dtype(self) -> str:
        """Data type of activations."""
        return self.precision.dtype

    def input(self, name: str, shape: Sequence[Size], dtype: str = "") -> str:
        """Add an input of the network and return its name."""
        number = dtype_number(dtype or self.dtype)
        self._inputs.append(helper.make_tensor_value_info(name, number, shape))
        return name

    def output(self, name: str, shape: Sequence[Size]) -> None:
        """Make a tensor an output of the network."""
        info = helper.make_tensor_value_info(name, dtype_number(self.dtype), shape)
        self._outputs.append(info)

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        at: str,
        *,
        outputs: Sequence[str] = (),
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add a node and return the name of its first output.

        Parameters
        ----------
        operator : str
            Without its domain.
        inputs : sequence of str
            Names of tensors; empty for an optional one that is left out.
        at : str
            Path of the module that it belongs to.
        outputs : sequence of str, optional
            Names of its outputs; one, named after the node, by default.
        domain : str
            Of the operator.
        **attributes
            As `onnx.helper.make_attribute` takes them.
        """
        given = [self._as_8_bits(x) if operator in _QUANTIZED else x for x in inputs]
        name = self._unique(f"{self._scope(at)}/{operator}")
        made = list(outputs) or [f"{name}_output_0"]
        node = helper.make_node(operator, given, made, name=name, domain=domain, **attributes)
        self._nodes.append(node)
        return made[0]

    def weight(self, name: str, *shape: int, dtype: str = "") -> str:
        """Add a weight, whose contents are said to be in a file of their own."""
        tensor = TensorProto(name=name, dims=shape, data_type=dtype_number(dtype or self.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
        self._tensors[name] = tensor
        return name

    def constant(self, values: object, dtype: str = "int64") -> str:
        """Add a few numbers, once, and return their name."""
        array = np.array(values)
        name = f"constants/{dtype}/{array.tolist()}"
        if name not in self._tensors:
            kind = helper.tensor_dtype_to_np_dtype(dtype_number(dtype))
            self._tensors[name] = numpy_helper.from_array(array.astype(kind), name)
        return name

    def convolution(
        self,
        x: str,
        at: str,
        inside: int,
        outside: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
    ) -> str:
        """Add a convolution with a square kernel."""
        shape = (outside, inside // groups, kernel, kernel)
        return self.node(
            "Conv",
            [self._as_8_bits(x), *self._filters(at, shape, channels=outside, bias=bias)],
            at,
            dilations=[1, 1],
            group=groups,
            kernel_shape=[kernel, kernel],
            pads=[padding] * 4,
            strides=[stride, stride],
        )

    def normalized_convolution(
        self, x: str, at: str, norm: str, inside: int, outside: int, kernel: int, **how: int
    ) -> str:
        """Add a convolution and the batch normalization after it, which quantizers fold."""
        folded = self.precision.form == "qdq"
        x = self.convolution(x, at, inside, outside, kernel, bias=folded, **how)
        if folded:
            return x
        words = ("weight", "bias", "running_mean", "running_var")
        statistics = [self.weight(f"{norm}.{word}", outside) for word in words]
        return self.node("BatchNormalization", [x, *statistics], norm, epsilon=1e-5)

    def classifier(self, x: str, at: str, inside: int, outside: int, output: str = "") -> str:
        """Add a fully connected layer with a bias on vectors, one per image."""
        operands = self._filters(at, (outside, inside), channels=outside, bias=True)
        outputs = [output] if output else ()
        return self.node("Gemm", [self._as_8_bits(x), *operands], at, outputs=outputs, transB=1)

    def linear(
        self,
        x: str,
        at: str,
        inside: int,
        outside: int,
        *,
        bias: bool = True,
        output: str = "",
    ) -> str:
        """Add a fully connected layer on sequences of vectors: a product, then the bias."""
        last = [output] if output else []
        product = self._product(x, at, inside, outside, outputs=() if bias else last)
        if not bias:
            return product
        return self.node("Add", [product, self.weight(f"{at}.bias", outside)], at, outputs=last)

    def tied_head(self, x: str, at: str, table: str, output: str) -> str:
        """Add the product with the table of an embedding, which is the same tensor."""
        turned = self.node("Transpose", [table], at, perm=[1, 0])
        return self.node("MatMul", [x, turned], at, outputs=[output])

    def layer_norm(self, x: str, at: str, size: int, epsilon: float = 1e-5) -> str:
        """Add a normalization over the last axis with scale and shift."""
        operands = [x, self.weight(f"{at}.weight", size), self.weight(f"{at}.bias", size)]
        return self.node("LayerNormalization", operands, at, axis=-1, epsilon=epsilon)

    def embedding(self, ids: str, at: str, entries: int, size: int) -> str:
        """Add a table and take rows of it."""
        return self.node("Gather", [self.weight(f"{at}.weight", entries, size), ids], at)

    def reshape(self, x: str, at: str, shape: Sequence[int]) -> str:
        """Add a Reshape; 0 keeps a size, -1 takes what is left."""
        return self.node("Reshape", [x, self.constant(list(shape))], at)

    def heads(self, x: str, at: str, count: int, size: int) -> str:
        """Split vectors into heads, which become the second axis."""
        split = self.reshape(x, at, [0, 0, count, size])
        return self.node("Transpose", [split], at, perm=[0, 2, 1, 3])

    def joined_heads(self, x: str, at: str, size: int) -> str:
        """Join heads to vectors again."""
        turned = self.node("Transpose", [x], at, perm=[0, 2, 1, 3])
        return self.reshape(turned, at, [0, 0, size])

    def model(self) -> onnx.ModelProto:
        """What was built, as a model."""
        domains = {"": self._opset} | {node.domain: 1 for node in self._nodes if node.domain}
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._tensors.values())
        )
        imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        return helper.make_model(
            graph, opset_imports=imports, ir_version=10, producer_name="accel-search-toolkit"
        )

    def _scope(self, path: str) -> str:
        """Scope of a module's nodes: a Sequential is called and has one, a list has none."""
        labels: list[str] = []
        for part in filter(None, path.split(".")):
            label = f"{labels[-1]}.{part}" if part.isdigit() else part
            if part.isdigit() and not self._sequential:
                labels[-1] = label
            else:
                labels.append(label)
        return "".join(f"/{label}" for label in labels)

    def _unique(self, name: str) -> str:
        unique, number = name, 0
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        return unique

    def _as_8_bits(self, x: str) -> str:
        """The tensor quantized and dequantized, once; weights as they are."""
        if self.precision.form != "qdq" or x in self._tensors or x in self._dequantized:
            return x
        if x not in self._quantized:
            numbers = self._scale(x)
            narrow, wide = f"{x}_QuantizeLinear", f"{x}_DequantizeLinear"
            for operator, source, name in (
                ("QuantizeLinear", x, narrow),
                ("DequantizeLinear", f"{narrow}_Output", wide),
            ):
                operands, made = [source, *numbers], [f"{name}_Output"]
                self._nodes.append(helper.make_node(operator, operands, made, name=name))
            self._quantized[x] = f"{wide}_Output"
            self._dequantized.add(f"{wide}_Output")
        return self._quantized[x]

    def _scale(self, x: str) -> list[str]:
        kind = helper.tensor_dtype_to_np_dtype(dtype_number(self.dtype))
        arrays = {f"{x}_scale": np.array(1 / 64, kind), f"{x}_zero_point": np.array(128, np.uint8)}
        for name, array in arrays.items():
            self._tensors[name] = numpy_helper.from_array(array, name)
        return list(arrays)

    def _filters(self, at: str, shape: tuple[int, ...], *, channels: int, bias: bool) -> list[str]:
        """Weight and bias of a convolution or of a Gemm, the channels of outputs first."""
        if self.precision.form != "qdq":
            names = [self.weight(f"{at}.weight", *shape)]
            return [*names, self.weight(f"{at}.bias", channels)] if bias else names
        names = [self._narrow(f"{at}.weight", shape, "int8", axis=0, channels=channels)]
        if bias:
            names.append(
                self._narrow(f"{at}.bias", (channels,), "int32", axis=0, channels=channels)
            )
        return names

    def _narrow(
        self, name: str, shape: tuple[int, ...], dtype: str, *, axis: int, channels: int
    ) -> str:
        """A weight of few bits and its DequantizeLinear, a scale per channel."""
        operands = [
            self.weight(f"{name}_quantized", *shape, dtype=dtype),
            self.weight(f"{name}_scale", channels),
            self.weight(f"{name}_zero_point", channels, dtype=dtype),
        ]
        node, made = f"{name}_DequantizeLinear", f"{name}_DequantizeLinear_Output"
        self._nodes.append(
            helper.make_node("DequantizeLinear", operands, [made], name=node, axis=axis)
        )
        self._dequantized.add(made)
        return made

    def _product(
        self, x: str, at: str, inside: int, outside: int, *, outputs: Sequence[str]
    ) -> str:
        form = self.precision.form
        if form == "blocks":
            blocks = -(-inside // BLOCK)
            operands = [
                x,
                self.weight(f"{at}.qweight", outside, blocks, BLOCK // 2, dtype="uint8"),
                self.weight(f"{at}.scales", outside, blocks),
            ]
            sizes = {"K": inside, "N": outside, "bits": 4, "block_size": BLOCK}
            return self.node(
                "MatMulNBits",
                operands,
                at,
                outputs=outputs,
                domain=MICROSOFT,
                accuracy_level=4,
                **sizes,
            )
        weight = f"{at}.weight"
        if form == "qdq":
            shape = (inside, outside)
            operand = self._narrow(weight, shape, "int8", axis=1, channels=outside)
        else:
            operand = self.weight(weight, inside, outside)
        return self.node("MatMul", [x, operand], at, outputs=outputs)
