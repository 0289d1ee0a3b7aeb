"""What the scripts in ``studies/`` share: wrong input is one line, as of the `toolkit` command."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from toolkit.errors import InputError, ToolkitError

WRONG_INPUT = 2
"""Exit status of commands and scripts that were given something that cannot be used."""


class Arguments(ArgumentParser):
    """The command line of a script.

    Parameters
    ----------
    about : str
        What the script is for; the help shows the first line.
    """

    def __init__(self, about: str) -> None:
        super().__init__(description=about.partition("\n")[0])

    def error(self, message: str) -> NoReturn:
        """Refuse the command line, without a page about how it is written.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(message)


def positive(text: str) -> int:
    """Read a number on a command line of which there must be one at least, as argparse asks.

    Examples
    --------
    >>> positive("3")
    3
    """
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is not an integer from 1")
    return number


def run_script(main: Callable[[], None]) -> NoReturn:
    """Run a script and end the process: with status 0, or 2 and one line about wrong input.

    Parameters
    ----------
    main : callable
        Reads the command line and does the work. Files that cannot be read or written are wrong
        input, too.
    """
    try:
        main()
    except (ToolkitError, OSError) as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    sys.exit(0)
