"""ZigZag's workload YAML as a layer graph."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import WorkloadError
from toolkit.peer_files import read_document
from toolkit.workload.distinct import count_window
from toolkit.workload.kernel import Index, Tensor
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import BITS, CostClass, Layer, TensorInfo
from toolkit.workload.peers.accelforge import is_einsums
from toolkit.workload.peers.accelforge_network import accelforge_network
from toolkit.workload.peers.zigzag import (
    POOLING,
    Equation,
    LayerEntry,
    is_layers,
    is_product,
    layer_workload,
    read_equation,
    read_layers,
)

_INTEGERS = ("int2", "int4", "int8", "int16", "int32", "int64")


@dataclass(frozen=True, slots=True)
class _Operand:
    """An operand other than the output: a tensor of the network, and whether it is constant."""

    tensor: TensorInfo
    constant: bool


def read_yaml_network(
    path: str | os.PathLike[str], values: Mapping[str, object] | None = None
) -> LayerGraph:
    """Read a workload file of ZigZag's or AccelForge's as a graph of layers.

    Parameters
    ----------
    path : path-like
        The file.
    values : mapping, optional
        Values of the names that templates of AccelForge's leave open.

    Raises
    ------
    WorkloadError
        Naming file, layer, key, value and expectation.
    """
    document = read_document(os.fspath(path), WorkloadError, values)
    unused = sorted(set(values or {}) - document.used)
    if unused:
        raise WorkloadError(
            f"leaves no {', '.join(unused)} open; layers in YAML have no dynamic dimensions",
            source=document.source,
            key="dims",
        )
    if is_einsums(document.data):
        return accelforge_network(document)
    if not is_layers(document.data):
        raise WorkloadError(
            "holds no network: expected an ONNX model, ZigZag's list of layers or AccelForge's "
            "einsums (load_workload takes a file with one workload)",
            source=document.source,
        )
    return zigzag_network(read_layers(document.data, document.source), document.source)


def zigzag_network(entries: Sequence[LayerEntry], source: str) -> LayerGraph:
    """Connect layers by their operand sources.

    Parameters
    ----------
    entries : sequence of LayerEntry
        In any order.
    source : str
        The file, for messages.

    Raises
    ------
    WorkloadError
        If a layer reads from one that is not there, or layers read from each other in a circle.
    """
    equations = {entry.id: read_equation(entry, source) for entry in entries}
    outputs = {e.id: _tensor(e, equations[e.id].tensors[0], e.label) for e in entries}
    warnings: list[str] = []
    layers: list[Layer] = []
    inputs: dict[str, TensorInfo] = {}
    for entry in _ordered(entries, source):
        equation = equations[entry.id]
        operands = _operands(entry, equation, outputs, source)
        for operand in operands:
            if not operand.constant and operand.tensor not in outputs.values():
                inputs[operand.tensor.name] = operand.tensor
        layers.append(_layer(entry, equation, operands, outputs[entry.id], source))
        warnings += _warnings(entry)
    graph = LayerGraph.from_layers(
        layers,
        name=Path(source).stem,
        inputs=tuple(inputs.values()),
        warnings=tuple(dict.fromkeys(warnings)),
    )
    graph.graph["outputs"] = tuple(
        outputs[e.id] for e in entries if graph.out_degree(e.label) == 0
    )
    return graph


def _ordered(entries: Sequence[LayerEntry], source: str) -> list[LayerEntry]:
    """Put every layer behind those it reads from."""
    by_id = {entry.id: entry for entry in entries}
    placed: dict[int, LayerEntry] = {}
    waiting = list(entries)
    for entry in entries:
        for operand, maker in entry.operand_source.items():
            if maker not in by_id:
                raise WorkloadError(
                    f"no layer has the number {maker}; expected one of "
                    f"{', '.join(map(str, sorted(by_id)))}",
                    source=source,
                    key=f"{entry.label}: operand_source.{operand}",
                )
    while waiting:
        ready = [e for e in waiting if set(e.operand_source.values()) <= {*placed, e.id}]
        if not ready:
            names = ", ".join(entry.label for entry in waiting[:10])
            raise WorkloadError(f"layers read from each other in a circle: {names}", source=source)
        placed.update((entry.id, entry) for entry in ready)
        waiting = [entry for entry in waiting if entry.id not in placed]
    return list(placed.values())


def _operands(
    entry: LayerEntry, equation: Equation, outputs: Mapping[int, TensorInfo], source: str
) -> list[_Operand]:
    operands = []
    for tensor in equation.tensors[1:]:
        if tensor.name == "W" and entry.operator_type in POOLING:
            continue
        maker = entry.operand_source.get(tensor.name)  # type: ignore[call-overload]
        if maker is not None and maker != entry.id:
            operands.append(_Operand(outputs[maker], False))
            continue
        info = _tensor(entry, tensor, f"{entry.label}.{tensor.name}")
        operands.append(_Operand(info, tensor.role == "weight"))
    return operands


def _tensor(entry: LayerEntry, tensor: Tensor, name: str) -> TensorInfo:
    shape = tuple(_extent(entry, index) for index in tensor.indices)
    precision = entry.operand_precision
    bits = precision.get(tensor.name, 8)
    if tensor.role == "output":
        bits = precision.get("O_final", bits)
    dtype = next((word for word in _INTEGERS if BITS[word] >= bits), _INTEGERS[-1])
    return TensorInfo(name, shape, dtype)


def _extent(entry: LayerEntry, index: Index) -> int:
    """Elements along an axis: of a window without its padding, where the file says it."""
    sizes = entry.sizes
    if len(index) > 1 and entry.pr_loop_sizes:
        given = dict(zip(entry.pr_loop_dims, entry.pr_loop_sizes, strict=True))
        for relation in entry.dimension_relations:
            name, _, terms = relation.replace(" ", "").partition("=")
            if name.upper() in given and all(t.dimension.lower() in terms.lower() for t in index):
                return given[name.upper()]
    return count_window([sizes[t.dimension] for t in index], [t.coefficient for t in index])


def _layer(
    entry: LayerEntry,
    equation: Equation,
    operands: Sequence[_Operand],
    output: TensorInfo,
    source: str,
) -> Layer:
    activations = tuple(operand.tensor for operand in operands if not operand.constant)
    weights = tuple(operand.tensor for operand in operands if operand.constant)
    if is_product(entry, equation):
        cost_class: CostClass = "einsum"
        workload = layer_workload(entry, source, None)
        elements = operations = 0
    else:
        cost_class = "window" if entry.operator_type in POOLING else "elementwise"
        workload = None
        elements = output.elements
        # One operation for every value that goes into an element.
        operations = math.prod(entry.loop_sizes) // elements
    return Layer(
        name=entry.label,
        operator=entry.operator_type,
        cost_class=cost_class,
        inputs=activations,
        weights=weights,
        outputs=(output,),
        parameters=weights,
        workload=workload,
        elements=elements,
        operations_per_element=operations,
    )


def _warnings(entry: LayerEntry) -> list[str]:
    odd = sorted(
        {bits for bits in entry.operand_precision.values() if bits not in (0, 2, 4, 8, 16, 32, 64)}
    )
    return [
        f"{bits}-bit values are stored in the next larger integer type of 2, 4, 8, 16, 32 or 64"
        for bits in odd
    ]
