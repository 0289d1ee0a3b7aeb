"""The command `toolkit show`: what a name stands for, as YAML."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

import toolkit
from toolkit.cli.arguments import AllowPython, AsJson, trusted
from toolkit.cli.output import print_json, print_text


class ShowKind(StrEnum):
    """What `toolkit show` can show."""

    arch = "arch"
    workload = "workload"


def show_definition(
    kind: Annotated[ShowKind, typer.Argument(help="What to show.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or a file.")],
    allow_python: AllowPython = False,
    json: AsJson = False,
) -> None:
    """Load, print."""
    from toolkit.yaml_files import parse_yaml

    text = definition(kind.value, trusted(name, allow_python))
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
