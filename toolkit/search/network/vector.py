"""Layers without a workload: what they read, compute and write."""

from __future__ import annotations

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.model.conventions import Conventions
from toolkit.model.vector_unit import VectorCost, movement_cost, vector_cost
from toolkit.workload.kernel import Role
from toolkit.workload.network.layer import Layer


def layer_vector_cost(
    arch: Architecture, unit: VectorUnit, layer: Layer, conventions: Conventions
) -> VectorCost | None:
    """Cost one repetition of what a layer computes on the vector unit, or moves.

    Activations and constants are read once each and results written once, also where an
    operator goes over them several times: the unit keeps what it needs. Layers that only move
    elements read and write as many as they move. Operations of a layer that has a workload, such
    as rescaling its outputs, take what passes by. Views are free: the result is None.
    """
    operations = layer.elements * layer.operations_per_element
    if layer.workload is not None:
        if not operations:
            return None
        return vector_cost(arch, unit, operations, {}, conventions=conventions)
    if layer.cost_class == "view":
        return None
    if only_moves(layer):
        return movement_cost(arch, moved_words(layer), conventions=conventions)
    return vector_cost(arch, unit, operations, operand_words(layer), conventions=conventions)


def only_moves(layer: Layer) -> bool:
    """Whether a layer moves elements and does nothing to them."""
    return layer.cost_class == "movement" and not layer.elements * layer.operations_per_element


def operand_words(layer: Layer) -> dict[Role, int]:
    """Words that one repetition of an operation reads and writes."""
    gates = _gates(layer)
    if gates:
        # The tensors are those of all time steps; a step takes its own part of both products.
        return {"input": 2 * gates * layer.elements, "output": layer.elements}
    return {
        "input": sum(t.elements for t in {t.name: t for t in layer.inputs}.values()),
        "weight": layer.weight_elements,
        "output": sum(tensor.elements for tensor in layer.outputs),
    }


def moved_words(layer: Layer) -> dict[Role, int]:
    """Words that one repetition of a movement reads and writes."""
    data = sum(tensor.elements for tensor in layer.inputs)
    constant = layer.weight_elements
    if not constant:
        return {"input": layer.elements, "output": layer.elements}
    return {
        "input": min(data, layer.elements),
        "weight": min(constant, layer.elements),
        "output": layer.elements,
    }


def _gates(layer: Layer) -> int:
    """Gates per state of a recurrent cell; 0 for any other layer."""
    from toolkit.workload.network.operators.products import GATES

    return GATES.get(layer.operator, 0) if layer.cost_class == "elementwise" else 0
