"""The command line as a page of the reference, from what its own help is made of."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from toolkit.cli.app import COMMANDS, Commands


def command_page() -> str:
    """Write all commands with their arguments and options in Markdown."""
    built = Commands()
    parts = ["# Command line\n\nWhat `toolkit COMMAND --help` says, of all commands."]
    parts += [_command(name, built[name]) for name in COMMANDS]
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Any) -> str:
    entry = COMMANDS[name]
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    table = ["| argument or option | what | default |", "|---|---|---|", *rows]
    examples = re.sub(r"\n+", "\n", entry.epilog.partition("\n\n")[2])
    return (
        f"## toolkit {name}\n\n{_cell(entry.help)} `{entry.in_python}`\n\n"
        + "\n".join(table)
        + f"\n\n```text\n{examples}\n```"
    )


def _row(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    names = [*parameter.opts, *getattr(parameter, "secondary_opts", ())] if option else []
    shown = " ".join([", ".join(names), _metavar(parameter)]).strip()
    default = parameter.default
    known = default not in (None, False, (), []) and not callable(default)
    value = f"`{getattr(default, 'value', default)}`" if known else ""
    required = "required" if parameter.required else value
    return f"| `{shown}` | {_cell(parameter.help or '')} | {required} |"


def _metavar(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    if parameter.metavar is None and isinstance(kind, type) and issubclass(kind, Enum):
        return ",".join(str(choice.value) for choice in kind)
    return "" if kind is bool else str(parameter.metavar or "N")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
