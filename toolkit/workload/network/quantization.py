"""Pairs of QuantizeLinear and DequantizeLinear, folded into the layers around them.

Quantizers write a layer that computes on integers as one on floats between the two operators. What
runs reads the integers and writes integers, as the operators that take quantized operands
(``QLinearConv``) do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from toolkit.workload.network.layer import BITS, Layer, TensorInfo

QUANTIZE_OPERATIONS, DEQUANTIZE_OPERATIONS = 3, 2
"""Scale, zero point and clip; zero point and scale."""

_TABLE_BITS = 8
"""A function of one value of so few bits is looked up: one operation."""

_BOUNDS = ("Clip", "Relu")
"""What the clip of a QuantizeLinear does on its own, its range chosen for that."""

_INTEGER_REDUCTIONS = frozenset(
    ("GlobalAveragePool", "GlobalMaxPool", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum")
)

_COMPUTING = ("einsum", "elementwise", "window", "reduction")


def fold_quantization(layers: Iterable[Layer], outputs: Sequence[TensorInfo]) -> list[Layer]:
    """Let layers read and write what is quantized.

    A DequantizeLinear disappears into those that read it, a QuantizeLinear into the one that makes
    what it alone reads; at inputs and outputs of the network they stay. Products rescale their
    results once (3 operations); elementwise operations and reductions convert operands (2 each)
    and results (3, with the bounds of Relu and Clip), those of one operand of 8 bits are looked
    up; pooling, sums and maxima take integers as they are; movements and views move them.

    Examples
    --------
    >>> f, g = (TensorInfo(name, (1, 8), "float32") for name in "fg")
    >>> x, y = (TensorInfo(name, (1, 8), "int8") for name in "xy")
    >>> chain = [Layer("d", "DequantizeLinear", "elementwise", (x,), (), (f,)),
    ...          Layer("r", "Tanh", "elementwise", (f,), (), (g,), (), None, 1, 8, 1),
    ...          Layer("q", "QuantizeLinear", "elementwise", (g,), (), (y,))]
    >>> (layer,) = fold_quantization(chain, [y])
    >>> layer.name, layer.inputs[0].dtype, layer.outputs[0].dtype, layer.operations
    ('r', 'int8', 'int8', 8)
    """
    return _Folding(list(layers), outputs).run()


class _Folding:
    def __init__(self, layers: list[Layer], outputs: Sequence[TensorInfo]) -> None:
        self.layers = layers
        self.wanted = {tensor.name for tensor in outputs}
        self.readers = Counter(t.name for layer in layers for t in set(layer.inputs))
        self.found: dict[str, Layer] = {}
        self.makers: dict[str, str] = {}
        # What is held of a tensor of floats instead of it.
        self.held: dict[str, TensorInfo] = {}

    def run(self) -> list[Layer]:
        for layer in self.layers:
            kind = layer.operator.rpartition(".")[2]
            if kind == "DequantizeLinear" and layer.inputs:
                self._dequantize(layer)
            elif kind == "QuantizeLinear" and layer.inputs and self._quantize(layer):
                continue
            else:
                self._read(layer)
        return list(self.found.values())

    def _add(self, layer: Layer) -> None:
        self.found[layer.name] = layer
        self.makers.update((tensor.name, layer.name) for tensor in layer.outputs)

    def _dequantize(self, layer: Layer) -> None:
        source, made = layer.inputs[0], layer.outputs[0]
        if made.name in self.wanted:
            self._add(layer)
        else:
            self.held[made.name] = self.held.get(source.name, source)

    def _read(self, layer: Layer) -> None:
        held = [self.held.get(tensor.name) for tensor in layer.inputs]
        if not any(held):
            self._add(layer)
            return
        inputs = tuple(a or b for a, b in zip(held, layer.inputs, strict=True))
        layer = replace(layer, inputs=inputs)
        if layer.cost_class in ("view", "movement"):
            layer = self._moved(layer, held)
        elif layer.cost_class in ("elementwise", "reduction") and not _on_integers(layer):
            more = DEQUANTIZE_OPERATIONS * sum(tensor is not None for tensor in held)
            count = layer.operations_per_element
            layer = replace(layer, operations_per_element=count + more)
        self._add(layer)

    def _moved(self, layer: Layer, held: Sequence[TensorInfo | None]) -> Layer:
        """Move integers, where all that is moved is of one type."""
        types = {
            (tensor or read).dtype
            for tensor, read in zip(held, layer.inputs, strict=True)
            # Indices say where to; they are not moved.
            if tensor is not None or read.dtype == layer.outputs[0].dtype
        }
        if len(types) != 1:
            return layer
        outputs = tuple(replace(tensor, dtype=next(iter(types))) for tensor in layer.outputs)
        for tensor in outputs:
            if tensor.name not in self.wanted:
                self.held[tensor.name] = tensor
        return replace(layer, outputs=outputs)

    def _quantize(self, layer: Layer) -> bool:
        """Write what is quantized at once; tell whether that was possible."""
        source = layer.inputs[0]
        maker = self.found.get(self.makers.get(source.name, ""))
        alone = self.readers[source.name] == 1 and source.name not in self.wanted
        if maker is None or not alone or len(maker.outputs) != 1:
            return False
        moved = maker.cost_class in ("view", "movement") and source.name in self.held
        if maker.cost_class not in _COMPUTING and not moved:
            return False
        count = maker.operations_per_element
        if maker.cost_class == "elementwise" and _looked_up(maker):
            count = 1
        elif maker.operator in _BOUNDS:
            count = QUANTIZE_OPERATIONS
        elif maker.cost_class in ("einsum", "elementwise"):
            count += QUANTIZE_OPERATIONS
        elif maker.cost_class == "reduction":
            count += QUANTIZE_OPERATIONS * layer.elements // max(maker.elements, 1)
        self._add(replace(maker, outputs=layer.outputs, operations_per_element=count))
        return True


def _on_integers(layer: Layer) -> bool:
    """Whether a layer adds up or compares integers as they are."""
    return layer.operator in _INTEGER_REDUCTIONS


def _looked_up(layer: Layer) -> bool:
    """Whether a layer computes a function of one quantized value."""
    types = {tensor.dtype for tensor in layer.inputs}
    return len(layer.inputs) == 1 and all(
        "int" in dtype and BITS[dtype] <= _TABLE_BITS for dtype in types
    )
