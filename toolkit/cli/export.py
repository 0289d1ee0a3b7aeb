"""Mappings written for other tools: the text, and the same as a record."""

from __future__ import annotations

from typing import Any

import toolkit
from toolkit.mapping.peers.formats import mapping_to_text
from toolkit.yaml_files import write_text_atomically


def export_record(
    problem: toolkit.Problem, mapping: toolkit.Mapping, format: str
) -> dict[str, Any]:
    """Write a mapping in one of `toolkit.MAPPING_FORMATS` and say what it is.

    Returns
    -------
    dict
        ``arch``, ``workload``, ``format`` and ``text``.

    Raises
    ------
    InputError
        If `format` is unknown, or cannot express the mapping.
    """
    text = mapping_to_text(mapping, problem.arch, problem.workload, format=format)
    return {
        "arch": problem.arch.name,
        "workload": problem.workload.name,
        "format": format,
        "text": text,
    }


def save_export(path: str, record: dict[str, Any], mapping: toolkit.Mapping) -> None:
    """Write the text of `export_record` to a file; our own format is JSON in a ``.json`` file.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    if record["format"] == "toolkit":
        toolkit.write_mapping(path, mapping)
    else:
        write_text_atomically(path, record["text"])
