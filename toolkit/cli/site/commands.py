"""The command line as a page of the reference, from what its own help is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from toolkit.cli.app import COMMANDS, Commands


class Told(NamedTuple):
    """What the help of a command tells of one argument or option.

    Parameters
    ----------
    names : tuple of str
        How an option is written; empty for an argument.
    value : str
        What stands for its value; empty for a switch.
    help : str
        In words.
    default : str
        What it is if it is not given, or ``required``, or nothing.
    """

    names: tuple[str, ...]
    value: str
    help: str
    default: str


def told_parameters(command: Any) -> Iterator[Told]:
    """Take the help of a command apart, in its order."""
    for parameter in command.params:
        if parameter.name == "help":
            continue
        option = parameter.param_type_name == "option"
        names = [*parameter.opts, *getattr(parameter, "secondary_opts", ())] if option else []
        default = parameter.default
        known = default not in (None, False, (), []) and not callable(default)
        value = str(getattr(default, "value", default)) if known else ""
        yield Told(
            tuple(names),
            _metavar(parameter),
            " ".join((parameter.help or "").split()),
            "required" if parameter.required else value,
        )


def examples(name: str) -> list[str]:
    """Commands that the help of one shows, as typed."""
    return re.findall(r"^toolkit .*$", COMMANDS[name].epilog, flags=re.MULTILINE)


def command_page() -> str:
    """Write all commands with their arguments and options in Markdown."""
    built = Commands()
    parts = ["# Command line\n\nWhat `toolkit COMMAND --help` says, of all commands."]
    parts += [_command(name, built[name]) for name in COMMANDS]
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Any) -> str:
    entry = COMMANDS[name]
    rows = [_row(told) for told in told_parameters(command)]
    table = ["| argument or option | what | default |", "|---|---|---|", *rows]
    shown = "\n".join(examples(name))
    return (
        f"## toolkit {name}\n\n{_cell(entry.help)} `{entry.in_python}`\n\n"
        + "\n".join(table)
        + f"\n\n```text\n{shown}\n```"
    )


def _row(told: Told) -> str:
    shown = " ".join([", ".join(told.names), told.value]).strip()
    default = told.default
    value = default if default in ("", "required") else f"`{default}`"
    return f"| `{shown}` | {_cell(told.help)} | {value} |"


def _metavar(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if parameter.metavar is None and isinstance(kind, type) and issubclass(kind, Enum):
        return ",".join(str(choice.value) for choice in kind)
    return "" if kind is bool else str(parameter.metavar or "N")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
