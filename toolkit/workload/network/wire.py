"""ONNX files without their weights: the protobuf wire format, large contents left out.

Protobuf reads a message whole, weights included, and refuses more than 2 GiB. Here the file is
mapped into memory and walked field by field; contents of tensors above `KEPT_BYTES` are not
copied, so that a model of any size costs the memory of its graph.
"""

from __future__ import annotations

import mmap
import os
import stat

from toolkit.errors import WorkloadError

KEPT_BYTES = 4096
"""Contents of a tensor up to this size are kept: shapes, axes and scales are among them."""

MAX_GRAPH_BYTES = 1 << 29
"""Largest graph that is read, without the weights: a quarter of what protobuf itself takes, and
far more than the graph of any network that is all in one file."""

LEFT_OUT = "toolkit.left_out"
"""Key of the entry that stands for contents left out; its value is ``field:bytes``."""

Buffer = bytes | mmap.mmap
_Layout = dict[int, "_Layout"]

# Field numbers of onnx.proto, for the messages that may hold a tensor.
_TENSOR: _Layout = {}
_SPARSE: _Layout = {1: _TENSOR, 2: _TENSOR}
_GRAPH: _Layout = {5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE: _Layout = {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE}
_NODE: _Layout = {5: _ATTRIBUTE}
_GRAPH[1] = _NODE
_MODEL: _Layout = {7: _GRAPH, 25: {7: _NODE, 11: _ATTRIBUTE}}
_CONTENTS = {4, 5, 6, 7, 9, 10, 11}
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class _DamagedError(Exception):
    pass


def read_without_weights(path: str) -> bytes:
    """Read a serialized model, contents of large tensors replaced by a note of their size.

    Raises
    ------
    WorkloadError
        If the file cannot be read, is not ONNX or ends too early.
    """
    try:
        # A fifo or a device could block or never end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a directory" if os.path.isdir(path) else "not a regular file"
            raise WorkloadError(f"is {kind}; expected an ONNX model", source=path)
        if os.stat(path).st_size == 0:
            raise WorkloadError("is empty; expected an ONNX model", source=path)
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            return without_weights(data)
    except FileNotFoundError:
        raise WorkloadError("no such file", source=path) from None
    except _DamagedError as cause:
        message = f"is not an ONNX model, or is truncated: {cause}"
        raise WorkloadError(message, source=path) from None
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise WorkloadError(f"cannot be read: {reason}", source=path) from None


def without_weights(data: Buffer) -> bytes:
    """Copy a serialized model, contents of large tensors replaced by a note of their size."""
    parts = bytearray()
    _copy(data, 0, len(data), _MODEL, parts)
    return bytes(parts)


def _copy(data: Buffer, start: int, end: int, layout: _Layout, out: bytearray) -> None:
    """Append the message in ``data[start:end]`` to `out`, without large contents."""
    position = start
    left_out: tuple[int, int] | None = None
    while position < end:
        field_start = position
        key, position = _varint(data, position, end)
        field, wire_type = key >> 3, key & 7
        if field == 0:
            raise _DamagedError(f"no field has the number 0 (byte {field_start})")
        if wire_type == _LENGTH:
            length, position = _varint(data, position, end)
            stop = position + length
            if stop > end:
                raise _DamagedError(
                    f"a field of {length} bytes at byte {position} ends "
                    f"{stop - end} bytes after the file or the message around it"
                )
            if layout is _TENSOR and field in _CONTENTS and length > KEPT_BYTES:
                left_out = (field, length)
            elif field in layout and length > KEPT_BYTES:
                inner = bytearray()
                _copy(data, position, stop, layout[field], inner)
                _append(out, field, inner)
            else:
                out += data[field_start:stop]
            position = stop
        else:
            position = _skip(data, position, end, wire_type)
            out += data[field_start:position]
        if len(out) > MAX_GRAPH_BYTES:
            raise ValueError(f"its graph is larger than {MAX_GRAPH_BYTES} bytes without weights")
    if left_out:
        _append_note(out, *left_out)


def _append_note(out: bytearray, field: int, length: int) -> None:
    entry = bytearray()
    _append(entry, 1, LEFT_OUT.encode())
    _append(entry, 2, f"{field}:{length}".encode())
    _append(out, 13, entry)
    out += bytes([14 << 3, 1])


def _append(out: bytearray, field: int, content: bytes | bytearray) -> None:
    out += _encode(field << 3 | _LENGTH) + _encode(len(content)) + content


def _encode(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= end:
            raise _DamagedError(f"ends inside of a number at byte {position}")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise _DamagedError(f"a number of more than 64 bits at byte {position}")


def _skip(data: Buffer, position: int, end: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _varint(data, position, end)[1]
    sizes = {_FIXED64: 8, _FIXED32: 4}
    if wire_type not in sizes:
        raise _DamagedError(f"unknown kind of field at byte {position}")
    if position + sizes[wire_type] > end:
        raise _DamagedError(f"ends inside of a field at byte {position}")
    return position + sizes[wire_type]
