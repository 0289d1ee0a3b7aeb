"""The manual page of the command, in roff, from what its own help is made of.

Wheels install `docs/toolkit.1`, which is written by ``python -m toolkit.cli.site.manual FILE``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit.cli.app import COMMANDS, Commands, app
from toolkit.cli.site.commands import Told, examples, told_parameters
from toolkit.version import __version__

_STATUSES = {
    "0": "Done.",
    "1": "Nothing was found, or the output was closed early.",
    "2": "Wrong input: one message on standard error, nothing on standard output.",
    "130": "Interrupted; what had been found is printed and kept.",
}
_FILES = {
    "~/.cache/accel-search-toolkit": "Compiled code, mappings of layers, the documentation as a "
    "site; made anew if deleted.",
}


def manual_page() -> str:
    """Write the manual: what `toolkit` is, and every command with its options and examples."""
    import typer

    built = Commands()
    parts = [
        f'.TH TOOLKIT 1 "" "accel\\-search\\-toolkit {__version__}"',
        ".SH NAME",
        "toolkit \\- search mappings, fusion and hardware of spatial DNN accelerators",
        ".SH SYNOPSIS",
        ".B toolkit\n.I COMMAND\n.RI [ ARGUMENTS ]\n.RI [ OPTIONS ]",
        ".SH DESCRIPTION",
        _text(str(app.info.help)),
        ".PP",
        _text(str(app.info.epilog)),
        ".SH OPTIONS",
        *_entries(told_parameters(typer.main.get_command(app))),
        ".SH COMMANDS",
        *(part for name in COMMANDS for part in _command(name, built[name])),
        ".SH EXIT STATUS",
        *(_entry(_bold(status), what) for status, what in _STATUSES.items()),
        ".SH FILES",
        *(_entry(f"\\fI{_text(path)}\\fR", what) for path, what in _FILES.items()),
        ".SH SEE ALSO",
        _text("The documentation, without a network: toolkit docs."),
    ]
    return "\n".join(parts) + "\n"


def _command(name: str, command: Any) -> list[str]:
    told = list(told_parameters(command))
    given = " ".join(one.value for one in told if not one.names)
    return [
        f".SS toolkit {_text(name)} {_text(given)}".rstrip(),
        _text(COMMANDS[name].help),
        *_entries(told),
        ".PP\n.EX",
        *(_text(line) for line in examples(name)),
        ".EE\n.PP",
        _text(COMMANDS[name].in_python),
    ]


def _entries(told: Iterable[Told]) -> list[str]:
    return [_entry(_names(one), _with_default(one)) for one in told]


def _names(told: Told) -> str:
    names = ", ".join(_bold(name) for name in told.names)
    return f"{names} \\fI{_text(told.value)}\\fR".strip() if told.value else names


def _with_default(told: Told) -> str:
    if told.default in ("", "required"):
        return told.help
    return f"{told.help} By default {told.default}."


def _entry(head: str, what: str) -> str:
    return f".TP\n{head}\n{_text(what)}"


def _bold(text: str) -> str:
    return f"\\fB{_text(text)}\\fR"


def _text(text: str) -> str:
    r"""Write text so that roff prints it as it is.

    Examples
    --------
    >>> print(_text(".x --seed C:\\n"))
    \&.x \-\-seed C:\en
    """
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(manual_page(), encoding="utf-8")
