"""The command `toolkit show`: what a name stands for, as YAML."""

from __future__ import annotations

import os
from enum import StrEnum
from os import PathLike
from typing import Annotated

import typer

import toolkit
from toolkit.cli.arguments import AllowPython, AsJson, trusted
from toolkit.cli.output import print_json, print_text
from toolkit.errors import InputError


class ShowKind(StrEnum):
    """What `toolkit show` can show."""

    arch = "arch"
    workload = "workload"


Picture = Annotated[
    str | None,
    typer.Option(
        "--picture",
        metavar="FILE",
        help="Also draw the machine, into a file named .svg or .png: its hierarchy, what "
        "memories hold, and areas where they are known.",
        show_default=False,
    ),
]
Node = Annotated[
    float | None,
    typer.Option(
        "--node",
        metavar="NM",
        help="Areas of the picture as estimated for this technology node, 3 to 90 nm.",
        show_default=False,
    ),
]


def show_definition(
    kind: Annotated[ShowKind, typer.Argument(help="What to show.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or a file.")],
    allow_python: AllowPython = False,
    picture: Picture = None,
    node: Node = None,
    json: AsJson = False,
) -> None:
    """Load, draw, print."""
    from toolkit.yaml_files import parse_yaml

    given = trusted(name, allow_python)
    if picture is not None:
        draw(kind.value, given, picture, node)
    elif node is not None:
        raise InputError("means nothing without --picture", source="--node")
    text = definition(kind.value, given)
    if json:
        print_json({kind.value: parse_yaml(text.encode(), source=name)})
    else:
        print_text(text)


def definition(kind: str, name: str | os.PathLike[str]) -> str:
    """Write an architecture (kind ``arch``) or a workload as YAML.

    An architecture with parameters is written as its file has it, unless `name` gives some.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> import toolkit
    >>> print(toolkit.definition("workload", "gemm:M=8,K=4,N=2"), end="")
    name: gemm:M=8,K=4,N=2
    kernel: gemm
    sizes: {M: 8, K: 4, N: 2}
    """
    from toolkit.arch import arch_definition

    if kind == "workload":
        return toolkit.workload_to_yaml(toolkit.load_workload(name))
    return arch_definition(name)


def draw(kind: str, name: str | PathLike[str], path: str, node: float | None) -> None:
    """Draw a machine into a file.

    Raises
    ------
    InputError
        If it is not a machine, is unknown, or the file cannot be written.
    MissingPackageError
        If Matplotlib is not installed.
    """
    from toolkit.arch.files import load_arch_file
    from toolkit.arch.technology import Technology, priced
    from toolkit.cli.report import check_picture
    from toolkit.study.pictures.canvas import write_canvas
    from toolkit.study.pictures.machine import draw_machine, machine_picture

    if kind != ShowKind.arch.value:
        raise InputError(f"draws machines; expected arch, got {kind}", source="--picture")
    check_picture(path)
    arch = toolkit.load_arch(name)
    if node is not None:
        file = load_arch_file(name)
        arch = priced(file.architecture(), file.components(), Technology(node), energies=False)
    write_canvas(path, draw_machine(machine_picture(arch)))
