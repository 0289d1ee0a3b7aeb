"""Networks as plain data, so that a worker on another machine needs no file of theirs."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from toolkit.errors import InputError
from toolkit.workload.kernel import Workload
from toolkit.workload.network import Layer, LayerGraph, TensorInfo

_MAX_BYTES = 1 << 28


def network_text(graph: LayerGraph) -> str:
    """Write a network, without its weights, as compressed text of some kilobytes."""
    record = {
        "name": graph.graph.get("name", ""),
        "inputs": [asdict(tensor) for tensor in graph.inputs],
        "outputs": [asdict(tensor) for tensor in graph.outputs],
        "warnings": list(graph.warnings),
        "layers": [_layer_record(graph.nodes[name]["layer"]) for name in graph],
    }
    data = json.dumps(record, separators=(",", ":")).encode()
    return base64.b85encode(zlib.compress(data, 9)).decode()


def network_from_text(text: str, source: str) -> LayerGraph:
    """Read what `network_text` wrote.

    Raises
    ------
    InputError
        If it is something else.

    Examples
    --------
    >>> graph = LayerGraph.from_layers([Layer("a", "Relu", "elementwise")], name="tiny")
    >>> network_from_text(network_text(graph), "here").layers == graph.layers
    True
    """
    try:
        data = zlib.decompressobj().decompress(base64.b85decode(text), _MAX_BYTES)
        record = json.loads(data)
        layers, tensors = _adapters()
        return LayerGraph.from_layers(
            layers.validate_python(record["layers"]),
            name=record["name"],
            inputs=tensors.validate_python(record["inputs"]),
            outputs=tensors.validate_python(record["outputs"]),
            warnings=record["warnings"],
        )
    except (ValueError, KeyError, TypeError, zlib.error, ValidationError) as cause:
        raise InputError(f"holds no network: {type(cause).__name__}", source=source) from None


def _layer_record(layer: Layer) -> dict[str, Any]:
    record = asdict(replace(layer, workload=None))
    if layer.workload is not None:
        record["workload"] = _workload_record(layer.workload)
    return record


def _workload_record(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "kernel": workload.kernel,
        "sizes": dict(workload.sizes),
        "tensors": [asdict(tensor) for tensor in workload.tensors],
    }


@cache
def _adapters() -> tuple[TypeAdapter[Sequence[Layer]], TypeAdapter[Sequence[TensorInfo]]]:
    return TypeAdapter(tuple[Layer, ...]), TypeAdapter(tuple[TensorInfo, ...])
