"""The command `toolkit export`: mappings written for other tools."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import toolkit
from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    BypassName,
    MappingFile,
    PadToMapping,
    WorkloadWords,
    trusted,
)
from toolkit.cli.output import print_json, print_text
from toolkit.cli.problems import check_writable, read_mapped


def export_mapping(
    arch: Arch,
    workload: WorkloadWords,
    mapping: MappingFile,
    format: Annotated[
        str, typer.Option(metavar="NAME", help="timeloop, zigzag or toolkit.", show_default=False)
    ],
    pad: PadToMapping = [],  # noqa: B006 - typer copies it
    bypass: BypassName = "permitted",
    save: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write to a file instead.")
    ] = None,
    allow_python: AllowPython = False,
    json: AsJson = False,
) -> None:
    """Read, write."""
    if save is not None:
        check_writable(save)
    problem, read = read_mapped(
        trusted(arch, allow_python),
        [trusted(word, allow_python) for word in workload],
        mapping,
        pad=pad,
        bypass=bypass,
    )
    record = export_record(problem, read, format)
    if save is not None:
        save_export(save, record, read)
    if json:
        print_json(record)
    elif save is None:
        print_text(record["text"])


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
    text = toolkit.mapping_to_text(mapping, problem.arch, problem.workload, format=format)
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
    from toolkit.text_files import write_text_atomically

    if record["format"] == "toolkit":
        toolkit.write_mapping(path, mapping)
    else:
        write_text_atomically(path, record["text"])
