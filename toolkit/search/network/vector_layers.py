"""What layers ask of the vector unit, and of the memories beside their workloads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arch.packing import operand_bits
from toolkit.model.conventions import Conventions
from toolkit.model.vector_unit import Moved, Values, VectorCost, movement_cost, vector_cost
from toolkit.workload.kernel import Role
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.precision import value_bits


def layer_vector_cost(
    arch: Architecture,
    unit: VectorUnit,
    layer: Layer,
    conventions: Conventions,
    *,
    typed: bool,
) -> VectorCost | None:
    """Cost one repetition of what a layer computes on the vector unit, or moves.

    Activations and constants are read once each and results written once, also where an
    operator goes over them several times: the unit keeps what it needs. Layers that only move
    elements read and write as many as they move. Operations of a layer that has a workload, such
    as rescaling its outputs, and folded ones take what passes by, and their constants: biases,
    scales and zero points. Views are free: the result is None.

    Parameters
    ----------
    typed : bool
        Whether values have the bits of their types; otherwise each takes a word.
    """
    parts = layer_parts(layer, operand_bits(arch))
    if parts.operations is None:
        return None
    moved, bits = (parts.moved, parts.bits) if typed else (in_words(parts.moved), None)
    if parts.only_moves:
        return movement_cost(arch, moved, conventions=conventions)
    return vector_cost(arch, unit, parts.operations, moved, bits=bits, conventions=conventions)


def in_words(moved: Moved, share: Fraction = Fraction(1)) -> Moved:
    """Take every value, or a share of them, as a word; words are whole."""
    counts = {role: math.ceil(share * sum(v.count for v in vs)) for role, vs in moved.items()}
    return {role: (Values(count),) for role, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class VectorParts:
    """What one repetition of a layer asks of the vector unit and the memories beside its workload.

    Parameters
    ----------
    operations : int or None
        On single elements; None if the layer asks nothing.
    moved : mapping of role to values
        What it reads and writes.
    bits : int or None
        Of the values that it computes.
    only_moves : bool
        Whether nothing is computed.
    """

    operations: int | None
    moved: Moved
    bits: int | None = None
    only_moves: bool = False


def layer_parts(layer: Layer, width: int | None = None) -> VectorParts:
    """List what a layer asks of the vector unit, with all that is folded into it.

    What is folded is applied once, and constants beside a workload are read once: a repetition,
    such as a group of a transposed convolution, has its share. `width` is that of
    the machine's operands (`toolkit.workload.network.precision.value_bits`).
    """
    bits = value_bits(layer.dtype, width) if layer.outputs else None
    constants = [
        _shared(values, part.repetitions, layer.repetitions)
        for part in layer.folded
        for values in folded_constants(part, width)
    ]
    folded = -(-sum(part.operations for part in layer.folded) // layer.repetitions)
    operations = layer.elements * layer.operations_per_element + folded
    if layer.workload is not None:
        beside = _values(layer.weights[1:], width)
        constants = [*(_shared(values, 1, layer.repetitions) for values in beside), *constants]
        if not operations and not constants:
            return VectorParts(None, {})
        return VectorParts(operations, _moved({"weight": constants}), bits)
    moved: dict[Role, list[Values]] = {}
    if only_moves(layer):
        moved = moved_values(layer, width)
    elif layer.cost_class != "view":
        moved = operand_values(layer, width)
    if constants:
        moved["weight"] = [*moved.get("weight", ()), *constants]
    if layer.cost_class == "view" and not operations:
        return VectorParts(None, {})
    return VectorParts(operations, _moved(moved), bits, only_moves(layer) and not folded)


def _moved(values: Mapping[Role, Sequence[Values]]) -> Moved:
    return {
        role: found for role, given in values.items() if (found := [v for v in given if v.count])
    }


def _shared(values: Values, times: int, repetitions: int) -> Values:
    """What a repetition reads of values that all of them together read so many times."""
    return Values(-(-values.count * times // repetitions), values.bits)


def _values(tensors: Iterable[TensorInfo], width: int | None) -> list[Values]:
    return [Values(tensor.elements, value_bits(tensor.dtype, width)) for tensor in tensors]


def folded_constants(layer: Layer, width: int | None = None) -> list[Values]:
    """Constants that an operator reads where it is folded: biases, scales, slopes.

    Examples
    --------
    >>> from toolkit.workload.network.layer import TensorInfo
    >>> x, y = TensorInfo("x", (1, 4, 8), "int8"), TensorInfo("y", (1, 4, 8), "int8")
    >>> add = Layer("a", "Add", "elementwise", (x,), (TensorInfo("b", (8,), "int8"),), (y,))
    >>> folded_constants(add)
    [Values(count=8, bits=8)]
    """
    return _values(layer.weights, width)


def only_moves(layer: Layer) -> bool:
    """Whether a layer moves elements and does nothing to them."""
    return layer.cost_class == "movement" and not layer.elements * layer.operations_per_element


def operand_values(layer: Layer, width: int | None = None) -> dict[Role, list[Values]]:
    """What one repetition of an operation reads and writes."""
    gates = _gates(layer)
    if gates:
        # The tensors are those of all time steps; a step takes its own part of both products.
        bits = value_bits(layer.dtype, width)
        count = layer.elements
        return {"input": [Values(2 * gates * count, bits)], "output": [Values(count, bits)]}
    return {
        "input": _values({t.name: t for t in layer.inputs}.values(), width),
        "weight": _values(layer.weights, width),
        "output": _values(layer.outputs if not layer.folded else layer.outputs[:1], width),
    }


def moved_values(layer: Layer, width: int | None = None) -> dict[Role, list[Values]]:
    """What one repetition of a movement reads and writes.

    Of a table as much is read as it moves, and as much of the scales beside it.
    """
    data = sum(tensor.elements for tensor in layer.inputs)
    made = [Values(layer.elements, value_bits(layer.dtype, width))]
    read = [Values(layer.elements, value_bits((layer.inputs or layer.outputs)[0].dtype, width))]
    if not layer.weight_elements:
        return {"input": read, "output": made}
    share = min(layer.elements / layer.weights[0].elements, 1.0)
    constants = [
        Values(math.ceil(share * tensor.elements), value_bits(tensor.dtype, width))
        for tensor in layer.weights
    ]
    return {
        "input": [Values(min(data, layer.elements), read[0].bits)],
        "weight": constants,
        "output": made,
    }


def _gates(layer: Layer) -> int:
    """Gates per state of a recurrent cell; 0 for any other layer."""
    from toolkit.workload.network.operators.products import GATES

    return GATES.get(layer.operator, 0) if layer.cost_class == "elementwise" else 0
