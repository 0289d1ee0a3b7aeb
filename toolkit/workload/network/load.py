"""From an ONNX file, or a workload file of ZigZag's, to a layer graph."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
from onnx import helper

from toolkit.arguments import check_integer
from toolkit.errors import WorkloadError
from toolkit.workload.network.blocked import without_padded_channels
from toolkit.workload.network.copies import without_copies
from toolkit.workload.network.forms import fold_forms
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.network.operators.call import KvCache
from toolkit.workload.network.precision import (
    FROM_FILE,
    Bits,
    precision_of,
    with_activation_bits,
    with_precision,
)
from toolkit.workload.network.quantization import fold_quantization
from toolkit.workload.network.read import opsets_of
from toolkit.workload.network.routing import Routers
from toolkit.workload.network.shapes import Dimensions
from toolkit.workload.network.sources import ModelSource, model_of, source_of
from toolkit.workload.network.values import MAX_ELEMENTS, Value, dtype_name, dtype_number, empty
from toolkit.workload.network.views import views_last
from toolkit.workload.network.walk import Unknown, Walk
from toolkit.workload.network.weights import absent_contents, inputs_that_are_weights, weight_note

_FOLDS_INTO = ("Conv", "ConvTranspose", "Gemm")


def load_network(
    path: ModelSource,
    dims: Mapping[str, int] | None = None,
    *,
    unknown: Unknown = "error",
    fold_batch_norm: bool = False,
    bits: Bits = "file",
    kv_cache: KvCache = "in-place",
    experts: int | None = None,
) -> LayerGraph:
    """Read an ONNX model, or build one by its name, as a graph of layers.

    Shapes are inferred here; computations on shapes and constants are done, and layers that
    nothing depends on are left out. Workloads have the bits of the types of their tensors
    (`toolkit.workload.network.precision`), and layers read and write what is quantized
    (`toolkit.workload.network.quantization`). Contents of weights are not read, so that the size
    of a model does not matter, nor whether its external data are there.

    Parameters
    ----------
    path : path-like or ModelProto
        The model; opsets 7 to the newest that the installed onnx knows. A name that ends in
        .yaml or .yml means layers in ZigZag's form, .csv in SCALE-Sim's, to which no option
        applies. Where there is no such file, one of `toolkit.network_names`, or with a precision
        behind it, such as
        ``llama3-8b:int4``; sizes that `dims` leaves out are then those of
        ``toolkit list networks``.
    dims : mapping of str to int, optional
        Sizes of dynamic dimensions by name (``{"batch": 1}``) or by place
        (``{"images:0": 1}``: axis 0 of the tensor ``images``), 0 for a cache that is still empty;
        the value of an input that is a single integer, such as ``total_sequence_length``;
        ``total`` or ``past`` positions in use of caches that are longer;
        how often a Loop runs that ends when data say so (``{"LOOP:iterations": 20}``).
    unknown : {"error", "free", "elementwise"}
        What becomes of operators that `operator_table` does not list: refused, or taken as
        such with a warning in the result.
    fold_batch_norm : bool
        Fold batch normalizations into the convolution or fully connected layer before them.
    bits : "file", "word", int, mapping of str to int or Precision
        Bits of values: as the types in the file say; none at all, so that each takes a word; of
        all weights and activations; or of ``weight``, ``activation`` and ``sum``.
    kv_cache : {"in-place", "copied"}
        How caches of keys and values grow: by writing what is new, or by copying all of them.
    experts : int, optional
        Experts that each token goes to in a mixture of experts, whatever the file says.

    Returns
    -------
    LayerGraph
        A `networkx.DiGraph`.

    Raises
    ------
    WorkloadError
        Naming the file and the node, tensor or dimension, if the model cannot be used as it is.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.load_network("alexnet").macs
    714188480
    """
    _check_choice(unknown, get_args(Unknown), "unknown")
    _check_choice(kv_cache, get_args(KvCache), "kv_cache")
    if experts is not None:
        experts = check_integer(experts, 1, "experts")
    source = source_of(path)
    precision = precision_of(bits)
    if Path(source).suffix.lower() in (".yaml", ".yml", ".csv"):
        if fold_batch_norm or precision != FROM_FILE:
            raise WorkloadError(
                "layers in YAML or CSV have no batch normalizations, and bits of their own; leave "
                "fold_batch_norm and bits out",
                source=source,
            )
        return _read_layers(source, dims)
    model, name, dims = model_of(path, dims)
    notes = absent_contents(model.graph, source)
    notes += without_padded_channels(model.graph, source)
    sizes = Dimensions(dims or {}, source)
    walk = Walk(
        source, opsets_of(model), model.ir_version, sizes, unknown, kv_cache, Routers(experts)
    )
    inputs = _inputs(model.graph, sizes, source)
    weights = set(inputs_that_are_weights(model.graph)) - sizes.replaced()
    if weights:
        inputs = [_as_weight(v) if v.info.name in weights else v for v in inputs]
        notes.append(weight_note([v.info.name for v in inputs if v.constant and v.stored]))
    made = walk.graph(model.graph, {value.info.name: value for value in inputs})
    sizes.check_all_used()
    outputs = [item.info for value in made for item in value.items or (value,)]
    _check_empty(walk, outputs)
    layers = walk.routers.with_idle_weights(_remove_dead(walk.layers, outputs))
    layers = without_copies(layers, [value.info for value in inputs], outputs, kv_cache, experts)
    layers = fold_quantization(views_last(fold_forms(layers, outputs), outputs), outputs)
    if fold_batch_norm:
        layers = _fold_batch_norm(layers, outputs)
    given = [value.info for value in inputs if value.info.name not in weights]
    return LayerGraph.from_layers(
        with_precision(layers, precision),
        name=name,
        inputs=[with_activation_bits(tensor, precision) for tensor in given],
        outputs=[with_activation_bits(tensor, precision) for tensor in outputs],
        warnings=[*notes, *walk.warnings],
        precision=precision if precision.typed else None,
    )


def _check_choice(value: str, known: Sequence[str], key: str) -> None:
    if value not in known:
        raise WorkloadError(f"expected one of {', '.join(known)}, got {value!r}", key=key)


def _read_layers(source: str, dims: Mapping[str, int] | None) -> LayerGraph:
    """Read a file that lists layers: ZigZag's in YAML, SCALE-Sim's in CSV."""
    # These modules build on this package.
    from toolkit.workload.peers.scalesim_network import read_scalesim_network
    from toolkit.workload.peers.zigzag_network import read_yaml_network

    if not source.lower().endswith(".csv"):
        return read_yaml_network(source, dims)
    if dims:
        raise WorkloadError(
            "layers in CSV have no dynamic dimensions; leave dims out", source=source
        )
    return read_scalesim_network(source)


def _check_empty(walk: Walk, outputs: list[TensorInfo]) -> None:
    """Say which tensors have no elements; a network that makes nothing else is refused."""
    some = next(iter(walk.empty), "")
    if all(0 in output.shape for output in outputs):
        first = f"; the first empty tensor is {some}" if some else ""
        raise WorkloadError(
            f"every output is empty, such as {outputs[0].name!r}, shape "
            f"{list(outputs[0].shape)}{first}",
            source=walk.source,
        )
    if some:
        more = f" and {len(walk.empty) - 1} more" if len(walk.empty) > 1 else ""
        walk.warn(f"nothing is counted for tensors that are empty: {some}{more}")


def _inputs(graph: onnx.GraphProto, sizes: Dimensions, source: str) -> list[Value]:
    """Inputs of the network with all their sizes; stored tensors may be listed there too."""
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {sparse.values.name for sparse in graph.sparse_initializer}
    values, missing = [], []
    for entry in graph.input:
        if entry.name in stored:
            continue
        key = f"input {entry.name!r}"
        tensor = entry.type.tensor_type
        dtype = dtype_name(tensor.elem_type)
        if not entry.type.HasField("tensor_type") or dtype is None:
            raise WorkloadError("expected a tensor of numbers", source=source, key=key)
        if not tensor.HasField("shape"):
            raise WorkloadError("has no shape, not even a number of axes", source=source, key=key)
        shape: list[int] = []
        for axis, dim in enumerate(tensor.shape.dim):
            size = sizes.at(entry.name, axis)
            if size is None and dim.HasField("dim_value"):
                size = dim.dim_value
                if size < 1:
                    raise WorkloadError(
                        f"axis {axis} has size {size}; expected at least 1, or the option "
                        f"--dim '{entry.name}:{axis}=N'",
                        source=source,
                        key=key,
                    )
            if size is None:
                size = sizes.named(dim.dim_param) if dim.dim_param else None
            if size is None:
                # Some exporters call every size that they do not know a question mark.
                named = dim.dim_param.strip("?")
                missing.append(dim.dim_param if named else f"{entry.name}:{axis}")
            shape.append(1 if size is None else size)
        if math.prod(shape) > MAX_ELEMENTS:
            raise WorkloadError(
                f"shape {shape} has more than 2^53 elements", source=source, key=key
            )
        info = TensorInfo(entry.name, tuple(shape), dtype)
        values.append(_counted(info, sizes) or (empty(info) if 0 in shape else Value(info)))
    if missing:
        names = list(dict.fromkeys(missing))
        example = " ".join(f"--dim '{name}=N'" for name in names)
        raise WorkloadError(
            f"sizes of dynamic dimensions are not given: {', '.join(names)} "
            f"(dims={{{names[0]!r}: N}}; {example})",
            source=source,
            key="dims",
        )
    return values


def _as_weight(value: Value) -> Value:
    """An input as a constant of the file, of which the shape is known."""
    return Value(value.info, constant=True, stored=(value.info,))


def _counted(info: TensorInfo, sizes: Dimensions) -> Value | None:
    """An input that is a single integer, such as a length, if the user says which."""
    if info.elements != 1 or not info.dtype.startswith(("int", "uint")):
        return None
    number = sizes.value(info.name)
    if number is None:
        return None
    kind = helper.tensor_dtype_to_np_dtype(dtype_number(info.dtype))
    return Value(info, constant=True, data=np.full(info.shape, number, kind))


def _remove_dead(layers: Sequence[Layer], outputs: Sequence[TensorInfo]) -> list[Layer]:
    """Keep the layers that some output depends on.

    Examples
    --------
    >>> x, y = TensorInfo("x", (1,), "int8"), TensorInfo("y", (1,), "int8")
    >>> relu = Layer("relu", "Relu", "elementwise", (), (), (x,))
    >>> dead = Layer("dead", "Relu", "elementwise", (x,), (), (y,))
    >>> [layer.name for layer in _remove_dead([relu, dead], [x])]
    ['relu']
    """
    wanted = {tensor.name for tensor in outputs}
    kept = []
    for layer in reversed(layers):
        if any(tensor.name in wanted for tensor in layer.outputs):
            kept.append(layer)
            wanted |= {tensor.name for tensor in layer.inputs}
    return kept[::-1]


def _fold_batch_norm(layers: Sequence[Layer], outputs: Sequence[TensorInfo]) -> list[Layer]:
    """Scale weights of convolutions and fully connected layers instead of their outputs.

    A batch normalization disappears where it alone reads the output of a layer with constant
    weights; that layer keeps its workload and gets a bias if it has none.
    """
    readers = Counter(tensor.name for layer in layers for tensor in layer.inputs)
    readers.update(tensor.name for tensor in outputs)
    makers = {tensor.name: layer.name for layer in layers for tensor in layer.outputs}
    by_name = {layer.name: layer for layer in layers}
    for norm in layers:
        if norm.operator != "BatchNormalization" or len(norm.inputs) != 1:
            continue
        source = by_name.get(makers.get(norm.inputs[0].name, ""))
        alone = readers[norm.inputs[0].name] == 1
        if source is None or source.operator not in _FOLDS_INTO or not alone:
            continue
        if source.weights and len(norm.weights) == 4:
            by_name[source.name] = _folded(source, norm)
            del by_name[norm.name]
            makers.update((tensor.name, source.name) for tensor in norm.outputs)
    return [by_name[layer.name] for layer in layers if layer.name in by_name]


def _folded(source: Layer, norm: Layer) -> Layer:
    has_bias = len(source.weights) > 1
    # A bias of zeros is a weight, but no parameter; it becomes one.
    learned = len(source.parameters) > 1
    shift = norm.weights[1]
    return replace(
        source,
        outputs=norm.outputs[:1],
        weights=source.weights if has_bias else (*source.weights, shift),
        parameters=source.parameters if learned else (*source.parameters, shift),
    )
