"""Runs broken inputs, and tells what came of them that must not."""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import signal
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from fuzz import HANG_SECONDS, MOST_MIB
from fuzz.entrances import entrances
from toolkit.cli.app import main


@dataclass(frozen=True)
class Find:
    """An input and what came of it.

    Parameters
    ----------
    entrance : str
        Where it came in.
    number : int
        Of the input.
    words : list of str
        The command.
    what : str
        What is wrong: the last lines of a traceback, a status, seconds or memory.
    """

    entrance: str
    number: int
    words: list[str]
    what: str


class Hang(BaseException):
    """The time for one input is over."""


def attack(entrance: str, numbers: range) -> Iterator[Find]:
    """Run some inputs of an entrance one after the other in this process.

    Yields
    ------
    Find
        For each input of which something came that must not.
    """
    way, here = entrances()[entrance], os.getcwd()
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            words = way.words(random.Random(f"{entrance}/{number}"), Path(folder))
            os.chdir(folder)
            try:
                what = run(words)
            finally:
                os.chdir(here)
        if what:
            yield Find(entrance, number, words, what)


def run(words: list[str]) -> str:
    """Run one command; say what is wrong, if anything is."""
    out, err = io.StringIO(), io.StringIO()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _limited():
            status = main(words)
    except Hang:
        return f"more than {HANG_SECONDS} seconds"
    except MemoryError:
        return "out of memory"
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        frames = traceback.format_exception(error)[-3:]
        return " | ".join(" ".join(frame.split()) for frame in frames)[-600:]
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if more > MOST_MIB:
        return f"{more:,.0f} MiB"
    if status not in (0, 1, 2):
        return f"status {status}"
    if status == 2 and (out.getvalue() or not err.getvalue().strip()):
        return f"status 2 with output {out.getvalue()[:80]!r} and message {err.getvalue()[:80]!r}"
    if "Traceback" in err.getvalue():
        return err.getvalue()[-600:]
    return ""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
