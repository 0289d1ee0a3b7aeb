"""Keys of all files as a page of the reference, from the records that check them.

What a key does is told in the tables of the pages; here stands every key there is, what it takes
and what it is where it is left out.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from toolkit.arch.level_entries import ComputeEntry, FanoutEntry, MemoryEntry
from toolkit.arch.schema import ArchitectureFile
from toolkit.mapping.files import LevelEntry, MappingFile
from toolkit.workload.files import FILE_FORMS

_KINDS = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    dict: "mapping",
    list: "list",
    type(None): "",
    Any: "any",
    object: "any",
}


def sections() -> dict[str, tuple[str, type[BaseModel]]]:
    """Records by their titles, each with what the tables of the pages call it."""
    named: dict[str, tuple[str, type[BaseModel]]] = {
        "Architecture: the file": ("file", ArchitectureFile),
        "Architecture: a memory": ("memory", MemoryEntry),
        "Architecture: a fanout": ("fanout", FanoutEntry),
        "Architecture: the compute level": ("compute", ComputeEntry),
    }
    named |= {f"Workload: {name}": ("workload", record) for name, record in FILE_FORMS.items()}
    named["Mapping: the file"] = ("mapping", MappingFile)
    named["Mapping: a level"] = ("level", LevelEntry)
    known = [record for _, record in named.values()]
    inner = {
        f"{title}, {key}": (key, record)
        for title, (_, outer) in named.items()
        for key, record in _inner(outer).items()
        if record not in known
    }
    return named | inner


def _inner(record: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Records inside of a record, by the key that has them."""
    found: dict[str, type[BaseModel]] = {}
    for key, field in record.model_fields.items():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found.setdefault(key, part)
    return found


def _parts(annotation: Any) -> list[Any]:
    """Take an annotation apart, down to what holds nothing else."""
    inner = [part for part in get_args(annotation) if part is not Ellipsis]
    if get_origin(annotation) is Annotated:
        inner = inner[:1]
    return [part for one in inner for part in _parts(one)] or [annotation]


def schema_page(told: Mapping[tuple[str, str], str]) -> str:
    """Write all keys in Markdown.

    Parameters
    ----------
    told : mapping of (str, str) to str
        What the pages tell of a key of a section.
    """
    parts = [
        "# Files, key by key\n\nEvery key that a file may have. Figures of an architecture may be "
        "text that begins with `=` where it has `parameters`."
    ]
    for title, (section, record) in sections().items():
        rows = [
            f"| `{key}` | {_kind(field)} | {_default(field)} | {what_is(section, key, told)} |"
            for key, field in record.model_fields.items()
        ]
        table = ["| key | takes | default | what |", "|---|---|---|---|", *rows]
        parts.append(f"## {title}\n\n" + "\n".join(table))
    return "\n\n".join(parts) + "\n"


def what_is(section: str, key: str, told: Mapping[tuple[str, str], str]) -> str:
    """Find what the pages tell of a key, if need be of the same figure in words.

    Examples
    --------
    >>> what_is("fanout", "bandwidth_gb_per_s", {("any", "bandwidth_words_per_cycle"): "fast"})
    'fast'
    """
    bandwidth = re.sub(r"_(bits|bytes|words)_per_cycle|_gb_per_s", "_words_per_cycle", key)
    names = (key, bandwidth, bandwidth.removeprefix("read_").removeprefix("write_"))
    found = (told.get((place, name)) for name in names for place in (section, "any"))
    return next((what for what in found if what), "")


def told_keys(page: str) -> dict[tuple[str, str], str]:
    """Read what a page's tables tell of keys: the section, the keys, and what they do.

    Examples
    --------
    >>> told_keys("| fanout, compute | `mesh` | how many |")
    {('fanout', 'mesh'): 'how many', ('compute', 'mesh'): 'how many'}
    """
    found: dict[tuple[str, str], str] = {}
    rows = re.findall(r"^\|([^|]*)\|([^|]*)\| (.*) \|$", page, flags=re.MULTILINE)
    for sections_, keys, what in rows:
        for section in sections_.replace("`", "").split(","):
            for key in re.findall(r"`(\w+)`", keys):
                found.setdefault((section.strip(), key), what)
    return found


def _kind(field: FieldInfo) -> str:
    return _words(field.annotation).replace("|", "\\|")


def _words(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(words for one in inner if (words := _words(one))))
    if origin in (list, tuple):
        return f"list of {_words(inner[0])}" if inner else "list"
    if origin in (dict, Mapping):
        return f"mapping of {_words(inner[0])} to {_words(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return _KINDS.get(annotation, "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == [] or value == {} or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
