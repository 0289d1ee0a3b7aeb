"""Architectures in the formats of other tools; FORMATS.md says what carries over and what not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.arch.expressions import Number
from toolkit.errors import ArchitectureError
from toolkit.messages import describe

if TYPE_CHECKING:
    from toolkit.peer_files import Document


def read_arch_data(path: str | os.PathLike[str], given: Mapping[str, Number]) -> Document:
    """Read an architecture file of ours or of another tool as plain data.

    Parameters
    ----------
    path : path-like
        A file. As text, several files of Timeloop's may be joined by ``+``, such as
        ``arch.yaml+constraints.yaml+ERT.yaml``, and a core of Stream's by those that only hold
        memory.
    given : mapping
        Parameters, some of which templates of Timeloop's may take.

    Returns
    -------
    Document
        The data, how messages call the file, and which parameters templates took.

    Raises
    ------
    ArchitectureError
        If a file cannot be read, or two files give the same key.
    """
    from toolkit.peer_files import Document, read_document

    parts = split_files(path)
    if parts[0].lower().endswith(".cfg"):
        from toolkit.arch.peers.scalesim import scalesim_architecture

        read = _named(scalesim_architecture(parts[0], given), given)
        return Document(read, parts[0], frozenset(given))
    documents = [read_document(part, ArchitectureError, given) for part in parts]
    if all(is_accelerator(document.data) for document in documents) and len(parts) > 1:
        from toolkit.arch.peers.stream import joined_cores

        return joined_cores(documents)
    if len(parts) == 1:
        from toolkit.arch.peers.stream import chip_core, is_chip

        only = documents[0]
        return chip_core(only, parts[0], given) if is_chip(only.data) else only
    merged: dict[str, object] = {}
    for part, document in zip(parts, documents, strict=True):
        data = document.data
        if not isinstance(data, Mapping):
            raise ArchitectureError(
                f"expected a mapping, to be joined with other files, got {describe(data)}",
                source=part,
            )
        for key, value in data.items():
            if key in merged:
                raise ArchitectureError("an earlier file gives this key too", source=part, key=key)
            merged[key] = value
    used = frozenset[str]().union(*(document.used for document in documents))
    return Document(merged, "+".join(parts), used)


def split_files(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Split names of files that are joined by ``+``.

    Examples
    --------
    >>> split_files("arch.yaml+ERT.yaml")
    ('arch.yaml', 'ERT.yaml')
    >>> split_files("a+b.yaml")
    ('a+b.yaml',)
    """
    name = os.fspath(path)
    if not isinstance(path, str) or Path(name).is_file():
        return (name,)
    parts = re.split(r"(?i)(?<=\.yaml)\+|(?<=\.yml)\+", name)
    return tuple(parts)


def own_form(
    data: object, source: str, given: Mapping[str, Number], used: frozenset[str] = frozenset()
) -> tuple[object, Mapping[str, Number]]:
    """Translate an architecture of another tool to the plain data of a file of ours.

    Parameters
    ----------
    data : object
        A file as plain data.
    source : str
        The file, for messages.
    given : mapping
        Parameters.
    used : frozenset of str
        Those that the file's templates took, and that mean nothing else.

    Returns
    -------
    (object, mapping)
        The data, and the parameters that are still to be used: none after a translation, all
        of them for a file of ours, which comes back as it is.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation.
    """
    left = {name: value for name, value in given.items() if name not in used}
    # The readers are loaded for files that need them: most are ours.
    if is_accelerator(data):
        from toolkit.arch.peers.zigzag import accelerator

        return _named(accelerator(data, source, left), given), {}
    if isinstance(data, Mapping) and "memory" in data:
        from toolkit.arch.peers.stream import refuse_without_costs

        refuse_without_costs(data, source)
    if is_accelforge(data):
        from toolkit.arch.peers.accelforge import accelforge_architecture

        return _named(accelforge_architecture(data, source, left), given), {}
    if is_architecture(data):
        from toolkit.arch.peers.timeloop import timeloop_architecture

        return _named(timeloop_architecture(data, source, left), given), {}
    return data, left


def is_accelerator(data: object) -> bool:
    """Whether a file holds an accelerator of ZigZag's."""
    return isinstance(data, Mapping) and {"memories", "operational_array"} <= data.keys()


def is_accelforge(data: object) -> bool:
    """Whether a file holds an architecture of AccelForge's."""
    arch = data.get("arch") if isinstance(data, Mapping) else None
    return isinstance(arch, Mapping) and "nodes" in arch


def is_architecture(data: object) -> bool:
    """Whether a file holds an architecture of Timeloop's, or a part of one."""
    return isinstance(data, Mapping) and bool(data.keys() & {"architecture", "arch"})


def _named(data: dict[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """Say in the name which parameters were given."""
    spelt = ",".join(f"{name}={value}" for name, value in given.items())
    return {**data, "name": f"{data['name']}:{spelt}"} if spelt else data
