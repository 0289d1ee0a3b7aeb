"""An ONNX file as a checked model in memory, without the contents of large weights.

The nodes of its graphs come in an order in which they can run, without those that no output needs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx as nx
import onnx
from google.protobuf.message import DecodeError, Message

from toolkit.errors import WorkloadError
from toolkit.workload.network.layer import BITS
from toolkit.workload.network.values import MAX_ELEMENTS, MAX_KNOWN_ELEMENTS, dtype_name
from toolkit.workload.network.wire import LEFT_OUT, read_without_weights

OLDEST_OPSET = 7
"""Before it, broadcasting and shapes were attributes."""

DOMAINS = {
    "": "",
    "ai.onnx": "",
    "com.microsoft": "com.microsoft",
    # Brevitas and FINN have written QONNX's quantizers under these.
    **dict.fromkeys(
        ("finn", "finn.custom_op.general", "onnx.brevitas", "qonnx", "qonnx.custom_op.general"),
        "qonnx",
    ),
}
"""Domains by the names that files have for them."""

_NOTES = frozenset(("doc_string", "metadata_props", "producer_name", "producer_version"))
"""Fields that nobody reads here."""

# Bytes of one entry of the typed fields whose entries are all of one length.
_TYPED_BYTES = {4: 4, 10: 8}
_RAW = 9
_CONTENT_FIELDS = (
    *("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"),
    "string_data",
)


def read_model(path: str | os.PathLike[str], content: bytes | None = None) -> onnx.ModelProto:
    """Read and check a model; large weights keep their shapes only.

    Parameters
    ----------
    path : path-like
        The file.
    content : bytes, optional
        The serialized model, where there is no file; `path` is what messages call it.

    Raises
    ------
    WorkloadError
        If the file is no ONNX model, uses an opset that is not known, claims tensors that its
        contents do not fill, or keeps weights outside of its own folder.
    """
    source = os.fspath(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_without_weights(source) if content is None else content)
    except DecodeError as cause:
        message = f"is not an ONNX model, or is truncated: {cause}"
        raise WorkloadError(message, source=source) from None
    _check_names(model, source, "graph")
    if not model.HasField("graph") or not model.graph.output:
        raise WorkloadError("is not an ONNX model: it has no graph with outputs", source=source)
    _check_opsets(model, source)
    if model.functions:
        model = _inline_functions(model, source)
    for tensor in tensors_of(model.graph):
        check_tensor(tensor, source)
    return model


def _check_names(message: Message, source: str, key: str) -> None:
    """Refuse names that are not UTF-8, which protobuf hands out as bytes.

    Raises
    ------
    WorkloadError
        Naming the node or tensor.
    """
    if isinstance(message, onnx.NodeProto):
        name = _shown(message.name or next(iter(message.output), ""))
        key = f"node '{name}' ({_shown(message.op_type)})"
    for field, value in message.ListFields():
        if field.name in _NOTES:
            continue
        entries = value if field.is_repeated else (value,)
        if field.type == field.TYPE_STRING:
            wrong = next((entry for entry in entries if isinstance(entry, bytes)), None)
            if wrong is not None:
                raise WorkloadError(
                    f"its {field.name} '{_shown(wrong)}' is not UTF-8", source=source, key=key
                )
        elif field.type == field.TYPE_MESSAGE:
            for entry in entries:
                _check_names(entry, source, key)


def _shown(name: str | bytes) -> str:
    return repr(name)[2:-1] if isinstance(name, bytes) else repr(name)[1:-1]


def opsets_of(model: onnx.ModelProto) -> dict[str, int]:
    """Opset version by domain; the standard domain is called ``""``."""
    return {DOMAINS.get(entry.domain, entry.domain): entry.version for entry in model.opset_import}


def _check_opsets(model: onnx.ModelProto, source: str) -> None:
    versions = opsets_of(model)
    newest = onnx.defs.onnx_opset_version()
    if "" not in versions:
        if set(versions) & {"com.microsoft"} or not versions:
            raise WorkloadError(
                "the opset of the standard operators is not given",
                source=source,
                key="opset_import",
            )
        return
    if not OLDEST_OPSET <= versions[""] <= newest:
        raise WorkloadError(
            f"opset {versions['']} is not known; expected {OLDEST_OPSET} to {newest} "
            "(onnx.version_converter converts models)",
            source=source,
            key="opset_import",
        )


def _inline_functions(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as cause:
        message = f"its functions cannot be expanded: {_first_line(cause)}"
        raise WorkloadError(message, source=source) from None


def _first_line(cause: Exception) -> str:
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]


def tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All tensors stored in a graph, those in attributes and in bodies included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from tensors_of(body)


def mark_absent(tensor: onnx.TensorProto) -> None:
    """Note that a tensor has its shape and no contents."""
    for field in _CONTENT_FIELDS:
        tensor.ClearField(field)
    del tensor.external_data[:]
    tensor.external_data.add(key=LEFT_OUT, value="0:0")
    tensor.data_location = onnx.TensorProto.EXTERNAL


def is_absent(tensor: onnx.TensorProto, source: str) -> bool:
    """Whether the contents of a checked tensor are nowhere: stripped, or in a file not there."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return False
    note = left_out(tensor)
    if note is not None:
        return note == (0, 0)
    location = next((e.value for e in tensor.external_data if e.key == "location"), "")
    return not external_path(location, source, f"tensor {tensor.name!r}").is_file()


def left_out(tensor: onnx.TensorProto) -> tuple[int, int] | None:
    """Field number and bytes of contents that were not read."""
    for entry in tensor.external_data:
        if entry.key == LEFT_OUT:
            field, _, size = entry.value.partition(":")
            return int(field), int(size)
    return None


def check_tensor(tensor: onnx.TensorProto, source: str) -> None:
    """Check the shape of a stored tensor and that its contents fill it, without reading them.

    A tensor without any contents is marked as absent: its shape is enough, as long as nobody
    asks for its values.

    Raises
    ------
    WorkloadError
        Naming the tensor.
    """
    key = f"tensor {tensor.name!r}"
    if any(size < 0 for size in tensor.dims):
        raise WorkloadError(
            f"negative size in its shape {list(tensor.dims)}", source=source, key=key
        )
    if math.prod(tensor.dims) > MAX_ELEMENTS:
        raise WorkloadError(
            f"shape {list(tensor.dims)} has more than 2^53 elements", source=source, key=key
        )
    if tensor.data_type == onnx.TensorProto.STRING:
        return
    dtype = dtype_name(tensor.data_type)
    if dtype is None:
        raise WorkloadError(f"unknown data type {tensor.data_type}", source=source, key=key)
    elements = math.prod(tensor.dims)
    claimed = -(-elements * BITS[dtype] // 8)
    if tensor.data_location == onnx.TensorProto.EXTERNAL and left_out(tensor) is None:
        _check_external(tensor, claimed, source, key)
        return
    held, needed = _held(tensor, elements, claimed, dtype)
    if not held and needed and left_out(tensor) is None:
        mark_absent(tensor)
        return
    if held != needed:
        raise WorkloadError(
            f"shape {list(tensor.dims)} of {dtype} takes {needed} bytes; the file holds {held}",
            source=source,
            key=key,
        )


def _held(tensor: onnx.TensorProto, elements: int, claimed: int, dtype: str) -> tuple[int, int]:
    """Bytes held, and bytes that must be held for the shape that is claimed."""
    note = left_out(tensor)
    if note and note[0] == _RAW:
        return note[1], claimed
    if note:
        width = _TYPED_BYTES.get(note[0])
        # Integers take one to ten bytes each: anything between is right.
        return (note[1], elements * width) if width else (claimed, claimed * (note[1] >= elements))
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data), claimed
    typed = (tensor.float_data, tensor.int32_data, tensor.int64_data)
    entries = sum(len(field) for field in (*typed, tensor.double_data, tensor.uint64_data))
    per_element = 2 if dtype.startswith("complex") else 1
    packed = BITS[dtype] < 8 and entries * 2 in (elements, elements + 1)
    return (claimed if packed else entries * (claimed // max(elements, 1)) // per_element, claimed)


def _check_external(tensor: onnx.TensorProto, claimed: int, source: str, key: str) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = external_path(entries.get("location", ""), source, key)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", claimed))
    except ValueError:
        raise WorkloadError(
            "offset and length of its external data must be integers", source=source, key=key
        ) from None
    if offset < 0 or length != claimed:
        raise WorkloadError(
            f"shape {list(tensor.dims)} takes {claimed} bytes, but its external data claim "
            f"{length} bytes at offset {offset}",
            source=source,
            key=key,
        )
    if path.is_file() and path.stat().st_size < offset + length:
        raise WorkloadError(
            f"{path.name} ends before byte {offset + length}, where the tensor ends",
            source=source,
            key=key,
        )


def external_path(location: str, source: str, key: str) -> Path:
    """File of external data, which must lie in the model's folder.

    Raises
    ------
    WorkloadError
        If it lies elsewhere, links included. A file that does not exist is accepted.
    """
    model = Path(source)
    try:
        target = (model.parent / location).resolve()
        # Caches of downloads link the model and its data to one other folder.
        folders = {model.parent.resolve(), model.resolve().parent}
        inside = any(target.is_relative_to(folder) for folder in folders)
        inside = inside and not Path(location).is_absolute() and ".." not in Path(location).parts
        target.is_file()  # Names may be too long to be asked about.
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not location or not inside:
        raise WorkloadError(
            f"external data at {location!r} lie outside of the model's folder; refused",
            source=source,
            key=key,
        )
    return target


def small_contents(tensor: onnx.TensorProto, source: str) -> onnx.TensorProto | None:
    """The tensor with its contents, or None where it is large or they are not at hand."""
    dtype = dtype_name(tensor.data_type)
    elements = math.prod(tensor.dims)
    if dtype is None or left_out(tensor) is not None or elements > MAX_KNOWN_ELEMENTS:
        return None
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return tensor
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = external_path(entries.get("location", ""), source, f"tensor {tensor.name!r}")
    if not path.is_file():
        return None
    size = -(-elements * BITS[dtype] // 8)
    with open(path, "rb") as file:
        file.seek(int(entries.get("offset", 0)))
        raw = file.read(size)
    return onnx.TensorProto(
        name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, raw_data=raw
    )


def needed_nodes(graph: onnx.GraphProto, source: str) -> list[onnx.NodeProto]:
    """Nodes that some output of the graph depends on, each after those that it depends on.

    Raises
    ------
    WorkloadError
        If nodes depend on each other in a circle, or two nodes make the same tensor.
    """
    maker: dict[str, int] = {}
    for i, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in maker:
                raise WorkloadError(
                    f"tensor {name!r} is made by two nodes, this one and "
                    f"{describe_node(graph.node[maker[name]])}",
                    source=source,
                    key=describe_node(node),
                )
            maker[name] = i
    uses = [[maker[name] for name in used_names(node) if name in maker] for node in graph.node]
    needed = _reachable((maker[o.name] for o in graph.output if o.name in maker), uses)
    if all(use < i for i in needed for use in uses[i]):
        return [graph.node[i] for i in sorted(needed)]
    dependencies = nx.DiGraph((use, i) for i in needed for use in uses[i])
    dependencies.add_nodes_from(needed)
    try:
        return [graph.node[i] for i in nx.lexicographical_topological_sort(dependencies)]
    except nx.NetworkXUnfeasible:
        cycle = [describe_node(graph.node[i]) for i, _ in nx.find_cycle(dependencies)]
        message = f"its nodes form a cycle: {' -> '.join([*cycle[:8], cycle[0]])}"
        raise WorkloadError(message, source=source, key="graph") from None


def _reachable(start: Iterable[int], uses: list[list[int]]) -> set[int]:
    found: set[int] = set()
    stack = list(start)
    while stack:
        i = stack.pop()
        if i not in found:
            found.add(i)
            stack += uses[i]
    return found


def used_names(node: onnx.NodeProto) -> list[str]:
    """Tensors that a node reads, those that its bodies take from outside included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for body in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            inner = {name for inside in body.node for name in inside.output}
            inner |= {value.name for value in body.input}
            inner |= {tensor.name for tensor in body.initializer}
            names += [n for inside in body.node for n in used_names(inside) if n not in inner]
            names += [value.name for value in body.output if value.name not in inner]
    return names


def describe_node(node: onnx.NodeProto) -> str:
    """How messages call a node; one without a name goes by its first output."""
    name = node.name or next(filter(None, node.output), "")
    domain = DOMAINS.get(node.domain, node.domain)
    operator = f"{domain}.{node.op_type}" if domain else node.op_type
    return f"node {name!r} ({_shown(operator)})"
