"""Layers and networks of a few lines."""

from __future__ import annotations

from dataclasses import replace

import toolkit
from toolkit.workload.network import Layer, TensorInfo


def tensor(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(name, shape, "float32")


def product(name: str, workload: toolkit.Workload, reads: str = "x", **options: int) -> Layer:
    """A layer with a workload; its tensors are only there to connect it."""
    tensors = {"inputs": (tensor(reads, 8),), "outputs": (tensor(name, 8),)}
    return Layer(name, "MatMul", "einsum", workload=workload, **tensors, **options)


def relu(name: str, reads: str, elements: int, **options: int) -> Layer:
    tensors = {"inputs": (tensor(reads, elements),), "outputs": (tensor(name, elements),)}
    options = {"elements": elements, "operations_per_element": 1, **options}
    return Layer(name, "Relu", "elementwise", **tensors, **options)


def total(name: str, reads: str, elements: int, **options: int) -> Layer:
    """A layer of the vector unit that no other can take over."""
    plain = relu(name, reads, elements, **options)
    return replace(plain, operator="CumSum", cost_class="reduction")


def network(*layers: Layer, name: str = "tiny") -> toolkit.LayerGraph:
    return toolkit.LayerGraph.from_layers(layers, name=name, inputs=(tensor("x", 8),))
