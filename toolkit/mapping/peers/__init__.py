"""Mappings in the formats of other tools: which there are, and which one a text is written in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from toolkit.arch.architecture import Architecture
from toolkit.errors import InputError, MappingError
from toolkit.mapping.files import mapping_from_dict, mapping_to_dict
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.peers.accelforge import mapping_from_accelforge, mapping_to_accelforge
from toolkit.mapping.peers.timeloop import (
    is_compact,
    is_nest,
    mapping_from_timeloop,
    mapping_to_timeloop,
)
from toolkit.mapping.peers.zigzag import is_ordering, mapping_from_zigzag, mapping_to_zigzag
from toolkit.messages import describe, suggest
from toolkit.peer_files import ACCELFORGE_NODES, PEER_TAGS
from toolkit.plug_ins import loaded
from toolkit.text_files import decode, read_bytes
from toolkit.workload.kernel import Workload
from toolkit.yaml_files import dump_yaml, parse_yaml

AUTO = "auto"
"""Stands for the format that `detect_format` finds."""


class Reader(Protocol):
    """Reads a mapping from text."""

    def __call__(
        self, text: str, arch: Architecture, workload: Workload, *, source: str | None = None
    ) -> Mapping:
        """Read one mapping of `workload` on `arch`."""
        ...


@dataclass(frozen=True, slots=True)
class MappingFormat:
    """A way to write mappings down.

    Parameters
    ----------
    description : str
        One line for people.
    read : callable
        From ``(text, arch, workload, source=...)`` to a mapping.
    write : callable
        From ``(mapping, arch, workload)`` to text that `read` reads back.
    """

    description: str
    read: Reader
    write: Callable[[Mapping, Architecture, Workload], str]


def mapping_from_text(
    text: str,
    arch: Architecture,
    workload: Workload,
    *,
    format: str = AUTO,
    source: str | None = None,
) -> Mapping:
    """Read a mapping in any of `MAPPING_FORMATS`.

    Parameters
    ----------
    text : str
        One mapping.
    arch, workload : Architecture, Workload
        What it maps.
    format : str
        A key of `MAPPING_FORMATS`, or ``"auto"`` for what the text looks like.
    source : str, optional
        How messages call the text.

    Raises
    ------
    MappingError
        Naming `source`, the line or key and the reason, if the text is no such mapping. Whether
        its tiles fit is another question: see `toolkit.mapping.violations`.
    InputError
        If `format` is unknown.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.workload import gemm
    >>> arch, workload = load_arch("gemmini"), gemm(4, 2, 8)
    >>> text = "L3[WIO] N8 K2 M4 - L2[WI] - L1[O] - L0[W]"
    >>> mapping_from_text(text, arch, workload).levels[0].factors
    (('M', 4), ('K', 2), ('N', 8))
    """
    found = detect_format(text, source=source) if format == AUTO else format
    return find_format(found, also=AUTO).read(text, arch, workload, source=source)


def mapping_to_text(
    mapping: Mapping, arch: Architecture, workload: Workload, *, format: str
) -> str:
    """Write a mapping in one of `MAPPING_FORMATS`, ended by a line break.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`, or cannot be said in that format.
    InputError
        If `format` is unknown.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> arch, layer = best.problem.arch, best.problem.workload
    >>> print(toolkit.mapping_to_text(best.mapping, arch, layer, format="toolkit").splitlines()[0])
    levels:
    """
    return find_format(format).write(mapping, arch, workload)


def read_mapping_text(path: str | os.PathLike[str]) -> str:
    """Read a file that nobody vouches for as text.

    Raises
    ------
    MappingError
        Naming the file, if it cannot be read, is larger than 1 MiB or not UTF-8.
    """
    source = os.fspath(path)
    return decode(read_bytes(source, MappingError), source, MappingError)


def detect_format(text: str, *, source: str | None = None) -> str:
    """Tell from its contents which of `MAPPING_FORMATS` a text is written in.

    Raises
    ------
    MappingError
        If it is empty, or no YAML either.

    Examples
    --------
    >>> detect_format("L1[WIO] M4 - L0[W] K2X")
    'timeloop'
    >>> detect_format("- name: default")
    'zigzag'
    """
    if is_compact(text):
        return "timeloop"
    if is_ordering(text):
        return "zigzag"
    if is_nest(text):
        return "timeloop"
    data = _parsed(text, source)
    if isinstance(data, dict) and {"inputs", "outputs"} <= set(data):
        raise MappingError(
            "looks like ZigZag's results in JSON; take the loop_ordering.txt beside it",
            source=source,
        )
    if isinstance(data, dict) and "levels" not in data:
        data = data.get("mapping")
        if _has_nodes(data):
            return "accelforge"
        if isinstance(data, list) or (isinstance(data, dict) and "nodes" in data):
            return "timeloop"
    if isinstance(data, list):
        first = data[0] if data else None
        return "timeloop" if isinstance(first, dict) and "target" in first else "zigzag"
    return "toolkit"


def find_format(name: str, *, also: str | None = None) -> MappingFormat:
    """Look up a format.

    Raises
    ------
    InputError
        If there is none of that name; the message lists those there are, and `also`.
    """
    known = (*((also,) if also else ()), *MAPPING_FORMATS)
    if name not in MAPPING_FORMATS:
        raise InputError(
            f"unknown format {describe(name)}{suggest(name, known)}; "
            f"expected one of {', '.join(known)}",
            key="format",
        )
    return MAPPING_FORMATS[name]


def _parsed(text: str, source: str | None) -> object:
    data = text.encode("utf-8", "surrogatepass")
    return parse_yaml(data, source=source or "mapping", error=MappingError, tags=PEER_TAGS)


def _has_nodes(data: object) -> bool:
    """Whether a mapping begins with a node of AccelForge's."""
    nodes = data.get("nodes") if isinstance(data, dict) else None
    first = nodes[0] if isinstance(nodes, list) and nodes else None
    return isinstance(first, dict) and any(tag in ACCELFORGE_NODES for tag in first)


def _read_own(
    text: str, arch: Architecture, workload: Workload, *, source: str | None = None
) -> Mapping:
    """Read our own YAML or JSON, also as part of what ``toolkit map --json`` prints."""
    data = _parsed(text, source)
    if isinstance(data, dict) and "mapping" in data and "levels" not in data:
        data = data["mapping"]
        if data is None:
            raise MappingError("holds no mapping", source=source, key="mapping")
    return mapping_from_dict(data, arch, workload, source=source)


def _write_own(mapping: Mapping, arch: Architecture, workload: Workload) -> str:
    return dump_yaml(mapping_to_dict(mapping))


MAPPING_FORMATS: dict[str, MappingFormat] = {
    "toolkit": MappingFormat("levels with factors and loop orders", _read_own, _write_own),
    "timeloop": MappingFormat(
        "Timeloop: mapping YAML, mapper output, one-line maps",
        mapping_from_timeloop,
        mapping_to_timeloop,
    ),
    "zigzag": MappingFormat(
        "ZigZag: mapping YAML, printed loop orderings", mapping_from_zigzag, mapping_to_zigzag
    ),
    "accelforge": MappingFormat(
        "AccelForge: mapping YAML of one loop nest",
        mapping_from_accelforge,
        mapping_to_accelforge,
    ),
}
"""Formats by name."""

MAPPING_FORMATS |= loaded("toolkit.formats", MappingFormat, (AUTO, *MAPPING_FORMATS))
