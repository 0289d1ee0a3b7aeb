"""The command `toolkit list`: what has a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

import toolkit
from toolkit.cli.arguments import AsJson
from toolkit.cli.output import print_json, print_text

if TYPE_CHECKING:
    from toolkit.workload.network.built_in import BuiltIn

Entry = dict[str, Any]


class ListKind(StrEnum):
    """What `toolkit list` can list."""

    archs = "archs"
    workloads = "workloads"
    networks = "networks"
    strategies = "strategies"
    conventions = "conventions"


def list_names(
    kind: Annotated[ListKind, typer.Argument(help="What to list.")], json: AsJson = False
) -> None:
    """Look up, print."""
    entries = listing(kind.value)
    if json:
        print_json({kind.value: entries})
    else:
        print_text(listing_text(kind.value, entries))


def _archs() -> list[Entry]:
    from toolkit.arch.files import load_template
    from toolkit.arch.summary import summarize

    entries = []
    for name in toolkit.arch_names():
        template = load_template(name)
        file = template.file()
        sums = summarize(file)
        entries.append(
            {
                "name": name,
                "kernel": file.kernel,
                "word_bits": list(sums.word_bits) or None,
                "lanes": sums.lanes,
                "on_chip_bytes": sums.on_chip_bytes,
                "description": file.description,
                "parameters": template.parameters,
                "ranges": {key: str(found) for key, found in template.ranges.items()},
            }
        )
    return entries


def _workloads() -> list[Entry]:
    workloads = map(toolkit.load_workload, toolkit.workload_names())
    return [
        {"name": w.name, "kernel": w.kernel, "sizes": dict(w.sizes), "macs": w.macs}
        for w in workloads
    ]


def _networks() -> list[Entry]:
    from toolkit.workload.network.built_in import COUNTS, NETWORKS

    entries = []
    for name, network in NETWORKS.items():
        parameters, macs = COUNTS[name]
        entries.append(
            {
                "name": name,
                "parameters": parameters,
                "macs": macs,
                "dims": dict(network.dims),
                "precisions": [network.precision, *_others(network)],
            }
        )
    return entries


def _others(network: BuiltIn) -> list[str]:
    return [name for name in network.precisions if name != network.precision]


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
    "networks": _networks,
    "strategies": _strategies,
    "conventions": _conventions,
}


def listing(kind: str) -> list[Entry]:
    """List what has a name, each with its name first.

    Parameters
    ----------
    kind : {"archs", "workloads", "networks", "strategies", "conventions"}
        What to list.

    Examples
    --------
    >>> import toolkit
    >>> [entry["name"] for entry in toolkit.listing("strategies")][:2]
    ['greedy', 'anneal']
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
    units = _UNITS.get(kind, {})
    rows = [
        [
            _with_unit(value, units[key]) if key in units else _cell(value)
            for key, value in entry.items()
        ]
        for entry in entries
    ]
    if kind == "conventions":
        rows = [list(row) for row in zip(entries[0], *rows, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)


_UNITS = {
    "archs": {"word_bits": "bits", "lanes": "lanes", "on_chip_bytes": "bytes on chip"},
    "networks": {"parameters": "parameters", "macs": "MACs"},
}
"""Figures of each kind, which text says what they are of."""


def _with_unit(value: object, unit: str) -> str:
    values = value if isinstance(value, list) else [value]
    return f"{'/'.join('-' if x is None else f'{x:,.0f}' for x in values)} {unit}"


def _cell(value: object) -> str:
    if isinstance(value, dict) and any(isinstance(entry, str) for entry in value.values()):
        return "; ".join(f"{name} {text}" for name, text in value.items())
    if isinstance(value, dict):
        return " ".join(f"{name}={number}" for name, number in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
