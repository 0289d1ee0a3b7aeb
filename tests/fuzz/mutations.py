"""Ways to break bytes, plain data and ONNX models, from one stream of random numbers."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterator
from typing import Any

import onnx
import yaml
from google.protobuf.message import Message

INTEGERS = [0, 1, -1, 2, 3, 7, 255, 2**31, -(2**31), 2**40, 2**53, 2**63 - 1, -(2**63)]
VALUES: list[Any] = [
    *INTEGERS, 10**30, 0.5, -0.0, 1e-320, 1e308, float("inf"), float("nan"), True, None,
    "", "x", " ", "é", "\x00", "9" * 400, "1e999", "[", "{", "*", "&a", "!!python/none", "2**9**9",
    "../..", "/", "-1", "0x10", "1_0", "M=1", "None", [], {}, [[]], [None], ["a"], {"a": 1},
]  # fmt: skip
SNIPPETS = [
    b"\xff", b"\x00", b"\xef\xbb\xbf", b"\r", b"\t", b"---\n", b"<<: *a\n", b"&a [*a]", b"!!map",
    b"%", b"{{", b"{% for i in range(9**9) %}", b"9" * 40, b"1e309", b"-", b": ", b"[" * 60,
    b"- " * 60, b"#", b"'", b'"', b",", b"=", b"*", b"\n\n", b"\xf0\x9f\x98\x80", b"inf", b"nan",
    b"null", b"~",
]  # fmt: skip


ENUM = 8
"""What descriptors of protobuf call fields that take some numbers alone."""


def broken_bytes(draw: random.Random, content: bytes) -> bytes:
    """Change a few places: bytes flipped, cut out, repeated, exchanged, or snippets put in."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 3, 8])):
        at = draw.randrange(len(data) + 1)
        end = min(len(data), at + draw.choice([1, 1, 2, 8, 40, 400]))
        match draw.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * draw.choice([1, 1, 3, 50])
            case 3:
                data[at:at] = draw.choice(SNIPPETS)
            case 4:
                data[at:end] = draw.choice(SNIPPETS)
            case 5:
                other = draw.randrange(len(data) + 1)
                data[at:at] = data[other : other + (end - at)]
    return bytes(data)


def other_numbers(draw: random.Random, content: bytes) -> bytes:
    """Exchange one or two numbers: what is read goes further than what is not."""
    text = content
    for _ in range(draw.choice([1, 1, 2])):
        found = list(re.finditer(rb"\d+(\.\d+)?", text))
        if found:
            start, end = draw.choice(found).span()
            number = draw.choice([0, 1, 2, 3, 5, 13, 64, 100, 10**6, 10**12, -1, 0.5, 1e-9])
            text = text[:start] + str(number).encode() + text[end:]
    return text


def broken_yaml(draw: random.Random, content: bytes) -> bytes:
    """Replace, remove, add, repeat or exchange values of YAML; bytes where it is none."""
    try:
        data = yaml.load(content, _Plain)  # noqa: S506 - it makes plain data of all tags
    except (yaml.YAMLError, ValueError):
        return broken_bytes(draw, content)
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        data = _changed(draw, data)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")


class _Plain(yaml.SafeLoader):
    """Takes tags of other tools for what they stand on."""


def _untagged(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_Plain.add_multi_constructor("!", _untagged)


def _changed(draw: random.Random, data: Any) -> Any:
    places = list(_places(data))
    if not places:
        return draw.choice(VALUES)
    changed = copy.deepcopy(data)
    path = draw.choice(places)
    parent: Any = changed
    for step in path[:-1]:
        parent = parent[step]
    last, kind = path[-1], draw.randrange(6)
    if kind == 0:
        del parent[last]
    elif kind == 1 and isinstance(parent, dict):
        parent[draw.choice(["zz", "name", "", 1, None, "levels", last])] = draw.choice(VALUES)
    elif kind == 2 and isinstance(parent, list):
        parent.insert(last, copy.deepcopy(draw.choice(parent)))
    elif kind == 3:
        other: Any = data
        for step in draw.choice(places):
            other = other[step]
        parent[last] = copy.deepcopy(other)
    else:
        parent[last] = draw.choice(VALUES)
    return changed


def _places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _places(value, (*path, key))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from _places(value, (*path, place))


def broken_model(draw: random.Random, content: bytes) -> bytes:
    """Change fields of an ONNX model, whatever they are: numbers, names, nodes, shapes."""
    model = onnx.ModelProto.FromString(content)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        _change_field(draw, model)
    written = model.SerializeToString()
    return broken_bytes(draw, written) if draw.random() < 0.15 else written


def _change_field(draw: random.Random, model: onnx.ModelProto) -> None:
    messages = list(_messages(model))
    # Most messages of a model are values of its attributes and shapes: kinds get equal chances.
    kinds = sorted({type(message).__name__ for message in messages})
    kind = draw.choice(kinds)
    message = draw.choice([m for m in messages if type(m).__name__ == kind])
    fields = [field for field, _ in message.ListFields()]
    if not fields:
        return
    field = draw.choice(fields)
    value = getattr(message, field.name)
    if field.message_type is not None:
        if not hasattr(value, "add"):
            message.ClearField(field.name)
        elif draw.random() < 0.5:
            del value[draw.randrange(len(value))]
        else:
            value.add().CopyFrom(draw.choice(list(value)))
    elif hasattr(value, "append"):
        place = draw.randrange(len(value))
        if draw.random() < 0.3:
            del value[place]
        else:
            value[place] = _scalar(draw, field.cpp_type, value[place])
    else:
        setattr(message, field.name, _scalar(draw, field.cpp_type, value))


def _scalar(draw: random.Random, kind: int, value: Any) -> Any:
    """A value of the same type; `kind` is the C++ type of protobuf's descriptor."""
    if isinstance(value, bytes):
        return broken_bytes(draw, value)
    if isinstance(value, str):
        return draw.choice(
            ["", "x", "y", "é", "\x00", "Conv", "Gemm", "ai.onnx", value * 2, "a" * 999]
        )
    if isinstance(value, float):
        return draw.choice([0.0, -1.0, 1e30, float("inf"), float("nan")])
    if kind == ENUM:
        return draw.choice([0, 1, 2, 3, 4, 6, 7])
    narrow = kind in (1, 3)  # int32, uint32
    return draw.choice([n for n in INTEGERS if not narrow or 0 <= n < 2**31])


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "add") else [value]:
                yield from _messages(part)


def broken_words(draw: random.Random, words: list[str]) -> list[str]:
    """Change words of a command line."""
    changed = list(words)
    for _ in range(draw.choice([1, 1, 2, 3])):
        at = draw.randrange(len(changed) + 1)
        match draw.randrange(5):
            case 0 if at < len(changed):
                del changed[at]
            case 1:
                changed.insert(at, str(draw.choice(VALUES)).replace("\x00", ""))
            case 2:
                changed.insert(at, draw.choice(words))
            case _ if at < len(changed):
                text = broken_bytes(draw, changed[at].encode()).replace(b"\x00", b"")
                changed[at] = text.decode("utf-8", "surrogateescape")
    return changed
