"""The way into the command: signals, whatever runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
START = """
import os, signal, sys, types
from toolkit.__main__ import main

def run():
    {}

sys.modules["toolkit.cli.app"] = types.SimpleNamespace(main=run)
sys.exit(main())
"""
LINE = "toolkit: interrupted\n"


def outcome(body: str) -> tuple[int, str, str]:
    """Status, output and messages of the command with another body."""
    done = subprocess.run(
        [sys.executable, "-c", START.format(body.replace("\n", "\n    "))],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_line_and_130(number: signal.Signals) -> None:
    assert outcome(f"os.kill(os.getpid(), {int(number)})") == (130, "", LINE)


def test_a_swallowed_interruption_is_no_success() -> None:
    body = "try: signal.raise_signal(signal.SIGINT)\nexcept BaseException: pass\nreturn 0"
    assert outcome(body) == (130, "", LINE)


def test_what_answered_it_itself_says_no_more() -> None:
    body = "try: signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt: return 130"
    assert outcome(body) == (130, "", "")


def test_the_second_one_ends_at_once() -> None:
    body = (
        "for _ in range(2):\n"
        "    try: signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt: print('cleaning', flush=True)\n"
        "print('never')"
    )
    assert outcome(body) == (130, "cleaning\n", "")


def test_without_a_signal_nothing_changes() -> None:
    assert outcome("return 2") == (2, "", "")


def test_a_module_is_imported_whole_before(tmp_path: Path) -> None:
    # Libraries that call Python while they are imported abort the process when that raises.
    (tmp_path / "native.py").write_text(
        "import signal, time\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "time.sleep(0.2)\n"
        "print('whole', flush=True)\n"
    )
    body = (
        f"sys.path.insert(0, {str(tmp_path)!r})\nimport native\nimport time\n"
        "time.sleep(9)\nprint('never')"
    )
    assert outcome(body) == (130, "whole\n", LINE)


def test_what_python_drops_is_raised_again() -> None:
    body = (
        "import time\n"
        "class Dropped:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "Dropped()\n"
        "print('on', flush=True)\n"
        "time.sleep(9)\nprint('never')"
    )
    assert outcome(body) == (130, "on\n", LINE)


def test_a_library_that_fails_at_tidying_up_ends_no_differently() -> None:
    body = (
        "try: signal.raise_signal(signal.SIGINT)\n"
        "finally: raise RuntimeError('cannot join thread before it is started')"
    )
    assert outcome(body) == (130, "", LINE)


def test_a_fault_without_a_signal_is_no_interruption() -> None:
    status, out, err = outcome("raise RuntimeError('a fault')")
    assert (status, out) == (1, "") and "a fault" in err


def test_a_map_prints_and_saves_the_best_so_far(tmp_path: Path) -> None:
    words = "map eyeriss 64 64 64 --strategy random --seconds 600 --json --save best.yaml"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTING, *words.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, LINE)
    assert '"interrupted": true' in out
    assert (tmp_path / "best.yaml").exists()


INTERRUPTING = """
import signal, sys
from toolkit.search.evaluator import Evaluator
from toolkit.__main__ import main

evaluate, calls = Evaluator.evaluate, []

def interrupted(self, *arguments):
    found = evaluate(self, *arguments)
    calls.append(found)
    if len(calls) == 3:
        signal.raise_signal(signal.SIGINT)
    return found

Evaluator.evaluate = interrupted
sys.exit(main())
"""
