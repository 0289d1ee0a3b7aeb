"""Options that say how costs are counted, for all commands that take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

import toolkit
from toolkit.errors import InputError
from toolkit.messages import describe

ConventionsName = Annotated[
    str,
    typer.Option(
        "--conventions",
        metavar="NAME",
        help="How costs are counted: exact, steady, factorflow, timeloop or timeloop-4.",
    ),
]
Steady = Annotated[
    bool,
    typer.Option(
        "--steady",
        help="Count no first fills and last drains: short for --conventions steady.",
    ),
]
Switches = Annotated[
    list[str],
    typer.Option(
        "--switch",
        metavar="NAME=VALUE",
        help="Turn one switch of the conventions, such as free_drains=true (see: toolkit list "
        "conventions); repeat for several.",
    ),
]


def read_conventions(
    name: str, switches: Sequence[str] = (), *, steady: bool = False
) -> toolkit.Conventions:
    """Find the set of conventions that options ask for, with some of its switches turned.

    Raises
    ------
    InputError
        If there is none of that name, options contradict each other, or a switch is unknown,
        given twice or has no such value.

    Examples
    --------
    >>> read_conventions("exact", ["free_drains=true"], steady=True).name
    'steady+free_drains=true'
    """
    from toolkit.model.conventions import conventions_named, switched

    if steady and name not in ("exact", "steady"):
        raise InputError(
            f"given with --conventions {name}; expected it with exact ones alone",
            source="--steady",
        )
    found: dict[str, str] = {}
    for word in switches:
        switch, equals, value = (part.strip() for part in word.partition("="))
        if not equals:
            raise InputError(
                f"expected NAME=VALUE, such as free_drains=true, got {describe(word)}",
                source="--switch",
            )
        if switch in found:
            raise InputError(f"{describe(switch)} is given twice", source="--switch")
        found[switch] = value
    return switched(conventions_named("steady" if steady else name), found)
