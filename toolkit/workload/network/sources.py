"""Where a model comes from: a file, the name of a built-in network, or a message in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import EncodeError

from toolkit.errors import WorkloadError
from toolkit.workload.network.built_in import find_network, is_built_in
from toolkit.workload.network.layer import BITS
from toolkit.workload.network.read import left_out, read_model, tensors_of
from toolkit.workload.network.values import dtype_name
from toolkit.workload.network.wire import LEFT_OUT, without_weights

_RAW = onnx.TensorProto.RAW_DATA_FIELD_NUMBER

ModelSource = str | os.PathLike[str] | onnx.ModelProto
"""A file or a name, or the model itself."""


def source_of(model: ModelSource) -> str:
    """How messages call a model: its path, its name, or the name of its graph."""
    if isinstance(model, onnx.ModelProto):
        return f"model {model.graph.name!r}" if model.graph.name else "model"
    return os.fspath(model)


def model_of(
    model: ModelSource, dims: Mapping[str, int] | None
) -> tuple[onnx.ModelProto, str, Mapping[str, int]]:
    """Read, build or copy a model.

    Parameters
    ----------
    model : path-like or ModelProto
        The model; a name where there is no such file.
    dims : mapping of str to int, optional
        Sizes that were given.

    Returns
    -------
    ModelProto
        Checked, and nobody else's.
    str
        What the network is called.
    dict of str to int
        Sizes: those given, and for built-in networks their own.

    Raises
    ------
    WorkloadError
        As `toolkit.workload.network.read.read_model`, or if nothing is called so.
    """
    source = source_of(model)
    if isinstance(model, onnx.ModelProto):
        return _copied(model, source), model.graph.name or source, dims or {}
    if is_built_in(source):
        network, precision = find_network(source)
        built = _copied(network.make(precision), source)
        return built, source, {**network.dims, **(dims or {})}
    return read_model(source), Path(source).stem, dims or {}


def _copied(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """Copy and check a model; large weights keep their shapes only.

    There is no folder in which external data could be: they count as left out.
    """
    try:
        copy = onnx.ModelProto.FromString(without_weights(model.SerializeToString()))
    except (EncodeError, ValueError) as cause:
        # Protobuf writes no message of more than 2 GiB.
        message = f"cannot be copied: {cause}; expected at most 2 GiB, or a file"
        raise WorkloadError(message, source=source) from None
    for tensor in tensors_of(copy.graph):
        dtype = dtype_name(tensor.data_type)
        external = tensor.data_location == onnx.TensorProto.EXTERNAL
        if external and dtype is not None and left_out(tensor) is None:
            size = -(-math.prod(tensor.dims) * BITS[dtype] // 8)
            del tensor.external_data[:]
            tensor.external_data.add(key=LEFT_OUT, value=f"{_RAW}:{size}")
    return read_model(source, copy.SerializeToString())
