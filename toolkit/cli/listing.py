"""What `toolkit list` and `toolkit show` say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import toolkit
from toolkit.arch import arch_definition, load_arch_file, load_template

Entry = dict[str, Any]


def _archs() -> list[Entry]:
    files = {name: load_arch_file(name) for name in toolkit.arch_names()}
    return [
        {
            "name": name,
            "kernel": file.kernel,
            "description": file.description,
            "parameters": file.parameters,
            "ranges": {key: str(found) for key, found in load_template(name).ranges.items()},
        }
        for name, file in files.items()
    ]


def _workloads() -> list[Entry]:
    workloads = map(toolkit.load_workload, toolkit.workload_names())
    return [
        {"name": w.name, "kernel": w.kernel, "sizes": dict(w.sizes), "macs": w.macs}
        for w in workloads
    ]


def _strategies() -> list[Entry]:
    return [
        {"name": name, "fronts": entry.fronts, "description": entry.summary}
        for name, entry in toolkit.STRATEGIES.items()
    ]


def _conventions() -> list[Entry]:
    names = [field.name for field in fields(toolkit.Conventions)]
    return [
        {name: getattr(conventions, name) for name in names}
        for conventions in toolkit.CONVENTIONS.values()
    ]


_LISTINGS: dict[str, Callable[[], list[Entry]]] = {
    "archs": _archs,
    "workloads": _workloads,
    "strategies": _strategies,
    "conventions": _conventions,
}


def listing(kind: str) -> list[Entry]:
    """List what has a name, each with its name first.

    Parameters
    ----------
    kind : {"archs", "workloads", "strategies", "conventions"}
        What to list.
    """
    return _LISTINGS[kind]()


def listing_text(kind: str, entries: Sequence[Entry]) -> str:
    """Write entries as aligned lines; the names come first, or on top for conventions.

    Examples
    --------
    >>> entries = [{"name": "a", "size": 1}, {"name": "bcd", "size": 20}]
    >>> print(listing_text("archs", entries), end="")
    a    1
    bcd  20
    >>> print(listing_text("conventions", entries), end="")
    name  a  bcd
    size  1  20
    """
    rows = [[_cell(value) for value in entry.values()] for entry in entries]
    if kind == "conventions":
        rows = [list(row) for row in zip(entries[0], *rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, dict) and any(isinstance(entry, str) for entry in value.values()):
        return "; ".join(f"{name} {text}" for name, text in value.items())
    if isinstance(value, dict):
        return " ".join(f"{name}={number}" for name, number in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def definition(kind: str, name: str) -> str:
    """Write an architecture (kind ``arch``) or a workload as YAML.

    An architecture with parameters is written as its file has it, unless `name` gives some.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if kind == "workload":
        return toolkit.workload_to_yaml(toolkit.load_workload(name))
    return arch_definition(name)
