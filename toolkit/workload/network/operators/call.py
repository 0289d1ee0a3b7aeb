"""One node with everything known about it, and the rule that turns it into layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from toolkit.errors import WorkloadError
from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import Attribute, CostClass, Layer, TensorInfo, may_be_learned
from toolkit.workload.network.values import Value, is_mask


class MismatchError(WorkloadError):
    """Sizes of operands that a node cannot have: in a branch, that nobody enters it."""


KvCache = Literal["in-place", "copied"]
"""How a cache of keys and values grows: where it is, or by copying all of it."""


def _unknown(_: str) -> None:
    return None


@dataclass(frozen=True)
class Given:
    """What the user and the file say about a node beside what it holds itself.

    Parameters
    ----------
    size : callable
        The size that the user gives for a name, such as ``past``; None if there is none.
    declared : tuple
        Shapes of the results as the file gives them, None for what it does not give: numbers,
        and names of dimensions.
    kv_cache : {"in-place", "copied"}
        How caches grow.
    experts : int or None
        Experts per token, whatever the file says.
    warn : callable
        Receives what had to be assumed.
    """

    size: Callable[[str], int | None] = _unknown
    declared: tuple[tuple[int | str | None, ...] | None, ...] = ()
    kv_cache: KvCache = "in-place"
    experts: int | None = None
    warn: Callable[[str], None] = _unknown


@dataclass(frozen=True)
class Call:
    """A node of a graph with its operands.

    Parameters
    ----------
    name : str
        Name of the layer that it becomes.
    operator : str
        Key of the table of operators.
    attributes : mapping
        As the node gives them, text decoded.
    inputs : tuple of Value or None
        Operands in order; None for an optional one that is left out.
    outputs : tuple of TensorInfo
        Results in order, without those that nobody asked for.
    opset : int
        Version of the operator's domain.
    source : str
        The model, for messages.
    places : tuple of int
        Which results of the operator `outputs` are; the first ones if it is empty.
    given : Given
        What is known beside the node.
    """

    name: str
    operator: str
    attributes: Mapping[str, Any]
    inputs: tuple[Value | None, ...]
    outputs: tuple[TensorInfo, ...]
    opset: int
    source: str
    places: tuple[int, ...] = ()
    given: Given = Given()

    def error(self, message: str) -> WorkloadError:
        """An exception that names the model and the node."""
        return WorkloadError(message, source=self.source, key=node_key(self.name, self.operator))

    def mismatch(self, message: str) -> MismatchError:
        """An exception that names the model and the node, whose operands do not fit it."""
        return MismatchError(message, source=self.source, key=node_key(self.name, self.operator))

    def has(self, index: int) -> bool:
        """Whether an operand is given."""
        return 0 <= index < len(self.inputs) and self.inputs[index] is not None

    def input(self, index: int) -> Value:
        """An operand that must be given."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise self.error(f"operand {index} is missing")
        return value

    def result(self, index: int) -> TensorInfo | None:
        """A result by its place among those of the operator; None if nobody asked for it."""
        places = self.places or tuple(range(len(self.outputs)))
        return self.outputs[places.index(index)] if index in places else None

    def constant(self, index: int) -> NDArray[Any] | None:
        """Contents of an operand; None if it is left out, or they are not known."""
        return self.input(index).data if self.has(index) else None

    def shape(self, index: int, rank: int | None = None) -> tuple[int, ...]:
        """Shape of an operand, of `rank` axes if that is given."""
        shape = self.input(index).shape
        if rank is not None and len(shape) != rank:
            raise self.error(f"operand {index} has shape {list(shape)}; expected {rank} axes")
        return shape

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self.attributes.get(name, default))

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """An attribute that is a list of integers, of as many as the default has."""
        given = [int(value) for value in self.attributes.get(name) or default]
        if len(given) != len(default):
            raise self.error(f"{name} {given} has {len(given)} entries; expected {len(default)}")
        return given

    def text(self, name: str, default: str) -> str:
        """A text attribute."""
        return str(self.attributes.get(name, default))


def node_key(name: str, operator: str) -> str:
    """How messages call a node."""
    return f"node {name!r} ({operator if operator.isprintable() else ascii(operator)})"


Handler = Callable[[Call, "Operator"], tuple[Layer, ...]]
Shapes = Callable[[Call], Sequence[tuple[int | None, ...]]]


@dataclass(frozen=True)
class Operator:
    """A row of the table of operators.

    Parameters
    ----------
    cost_class : str
        Class of the layers that it becomes.
    cost : str
        What is counted, for the documentation.
    handler : callable
        Turns a call into layers.
    operations : int or callable
        Operations per element, or how to compute them from the call.
    data : tuple of int, optional
        Operands that hold data rather than shapes, axes or scales; all by default.
    learned : tuple of int, optional
        Operands that are parameters where they are constant. By default those of `data` that
        hold more than one number.
    scales : tuple of int
        Operands that hold scales and zero points: weights behind the others, no parameters.
    shapes : callable, optional
        Shapes of the outputs, for operators that ONNX itself cannot infer; None where a size
        depends on data.
    bound : callable, optional
        Largest shapes of outputs whose shape depends on data.
    dtype_of : int or tuple of int
        Operand whose data type the outputs have, or one for each output and the last for those
        beyond, for operators that ONNX itself cannot infer.
    """

    cost_class: CostClass
    cost: str
    handler: Handler
    operations: int | Callable[[Call], int] = 0
    data: tuple[int, ...] | None = None
    learned: tuple[int, ...] | None = None
    scales: tuple[int, ...] = ()
    shapes: Shapes | None = None
    bound: Shapes | None = None
    dtype_of: int | tuple[int, ...] = 0

    def operations_of(self, call: Call) -> int:
        """Operations per element of one call."""
        return self.operations if isinstance(self.operations, int) else self.operations(call)


def make_layer(
    call: Call,
    rule: Operator,
    *,
    cost_class: CostClass | None = None,
    suffix: str = "",
    operands: Sequence[Value | None] | None = None,
    extra_inputs: Sequence[TensorInfo] = (),
    outputs: Sequence[TensorInfo] | None = None,
    workload: Workload | None = None,
    repetitions: int = 1,
    elements: int = 0,
    operations_per_element: int = 0,
) -> Layer:
    """Make a layer of a call, its operands told apart into activations, weights and parameters.

    A part of a call names its own operands and outputs; the whole call is the default.
    """
    indexed = list(enumerate(call.inputs))
    if operands is not None:
        wanted = {id(value) for value in operands if value is not None}
        indexed = [(i, value) for i, value in indexed if id(value) in wanted]
    elif rule.data is not None:
        data = [(i, value) for i, value in indexed if i in rule.data]
        scales = [(i, v) for i, v in indexed if i in rule.scales and v is not None and v.constant]
        indexed = [*data, *scales]
    given = [(i, value) for i, value in indexed if value is not None]
    constants = [(i, v) for i, v in given if v.constant and _is_weight(i, v, rule)]
    return Layer(
        name=call.name + suffix,
        operator=call.operator,
        cost_class=cost_class or rule.cost_class,
        inputs=tuple(v.info for _, v in given if not v.constant) + tuple(extra_inputs),
        weights=_weights([value for _, value in constants]),
        outputs=tuple(call.outputs if outputs is None else outputs),
        parameters=_parameters(constants, rule),
        workload=workload,
        repetitions=repetitions,
        elements=elements,
        operations_per_element=operations_per_element,
        attributes=plain_attributes(call.attributes),
    )


def _weights(constants: Sequence[Value]) -> tuple[TensorInfo, ...]:
    """Constants as the file stores them, then the scales of those that are quantized."""
    scales = {scale.name: scale for value in constants for scale in value.scales}
    return (*(value.as_weight() for value in constants), *scales.values())


def plain_attributes(attributes: Mapping[str, Any]) -> tuple[tuple[str, Attribute], ...]:
    """Attributes by name, without those that hold tensors or graphs."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()}
    return tuple(
        (key, value)
        for key, value in sorted(plain.items())
        if isinstance(value, int | float | str)
        or (isinstance(value, tuple) and all(isinstance(x, int | float | str) for x in value))
    )


def _is_weight(index: int, value: Value, rule: Operator) -> bool:
    # A single number is part of the operation, unless it is one that was learned.
    return value.info.elements > 1 or (rule.learned is not None and index in rule.learned)


def _parameters(constants: Sequence[tuple[int, Value]], rule: Operator) -> tuple[TensorInfo, ...]:
    tensors = {
        tensor.name: tensor
        for i, value in constants
        if i not in rule.scales and (rule.learned is not None or not is_mask(value))
        for tensor in value.stored
        if (may_be_learned(tensor.dtype) if rule.learned is None else i in rule.learned)
    }
    return tuple(tensors.values())
