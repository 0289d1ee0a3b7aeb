"""Nodes that are several layers: each is an ordinary operator, under the name of the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import Attribute, CostClass, Layer, TensorInfo, may_be_learned
from toolkit.workload.network.operators.call import Call
from toolkit.workload.network.values import Value, is_mask


@dataclass(frozen=True)
class Slice:
    """Some of the numbers that a constant operand holds, with the shape that they have.

    Parameters
    ----------
    value : Value
        The operand.
    shape : tuple of int
        What a part of the node reads of it.
    part : str
        Which part; parts of different names are different numbers. All of it if that is empty.
    learned : bool
        Whether these are parameters, rather than scales, tables and masks.
    dtype : str
        What a number is, if several are packed into one that the file stores.
    whole : tuple of int
        Shape of the parameters, if more are stored than are read.
    """

    value: Value
    shape: tuple[int, ...]
    part: str = ""
    learned: bool = True
    dtype: str = ""
    whole: tuple[int, ...] = ()

    def read(self) -> TensorInfo:
        """What is read, in the data type in which the file stores it."""
        stored = self.value.as_weight()
        return TensorInfo(self._name(stored.name), self.shape, self.dtype or stored.dtype)

    def parameters(self) -> tuple[TensorInfo, ...]:
        """What was learned of it."""
        stored = [tensor for tensor in self.value.stored if may_be_learned(tensor.dtype)]
        if not self.learned or not stored or is_mask(self.value):
            return ()
        shape = self.whole or self.shape
        if not self.part and not self.dtype and shape == self.value.shape:
            return tuple(stored)
        first = stored[0] if len(stored) == 1 else self.value.info
        return (TensorInfo(self._name(first.name), shape, self.dtype or first.dtype),)

    def _name(self, name: str) -> str:
        return f"{name}/{self.part}" if self.part else name


Source = Value | TensorInfo | Slice
"""An operand of the node, whole or in part, or the output of one of its own parts."""


def whole(value: Value, *, learned: bool = True) -> Source:
    """All of an operand; of a constant, whether it is a parameter."""
    return Slice(value, value.shape, learned=learned) if value.constant else value


def with_shape(source: Source, shape: tuple[int, ...]) -> Source:
    """The part of an operand that is read."""
    if isinstance(source, Value):
        if source.constant:
            return Slice(source, shape)
        source = source.info
    return replace(source, shape=shape)


@dataclass
class Parts:
    """The layers of a node, one after the other.

    Parameters
    ----------
    call : Call
        The node.
    layers : list of Layer
        Those so far.
    """

    call: Call
    layers: list[Layer] = field(default_factory=list)

    def tensor(self, word: str, shape: Sequence[int], dtype: str = "") -> TensorInfo:
        """A tensor between parts, by default of the data type of the first result."""
        return TensorInfo(
            f"{self.call.name}/{word}", tuple(shape), dtype or self.call.outputs[0].dtype
        )

    def add(
        self,
        suffix: str,
        operator: str,
        cost_class: CostClass,
        sources: Sequence[Source | None],
        outputs: Sequence[TensorInfo],
        *,
        workload: Workload | None = None,
        elements: int = 0,
        operations: int = 0,
        attributes: Sequence[tuple[str, Attribute]] = (),
        in_place: bool = False,
    ) -> TensorInfo:
        """Append a layer and return its first output.

        Parameters
        ----------
        suffix : str
            Behind the name of the node; empty for the layer that has it.
        operator : str
            What the layer is on its own.
        sources : sequence
            Operands in order: activations, and constants whole or in part.
        elements : int
            That it computes, all of its outputs by default.
        operations : int
            Of the vector unit, on each of them.
        """
        activations, constants = _told_apart(sources)
        self.layers.append(
            Layer(
                self.call.name + suffix,
                operator,
                cost_class,
                tuple(activations),
                tuple(constant.read() for constant in constants),
                tuple(outputs),
                tuple(tensor for constant in constants for tensor in constant.parameters()),
                workload,
                elements=elements or sum(tensor.elements for tensor in outputs),
                operations_per_element=operations,
                attributes=tuple(attributes),
                in_place=in_place,
            )
        )
        return outputs[0]


def _told_apart(sources: Sequence[Source | None]) -> tuple[list[TensorInfo], list[Slice]]:
    """Activations and constants, each in order."""
    activations, constants = [], []
    for source in sources:
        if isinstance(source, Value):
            source = Slice(source, source.shape) if source.constant else source.info
        if isinstance(source, Slice):
            constants.append(source)
        elif source is not None:
            activations.append(source)
    return activations, constants
