"""Functions in processes of their own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from toolkit.errors import LostProcessError
from toolkit.processes import in_processes


def directory(_: int) -> str:
    return os.getcwd()


@pytest.mark.parametrize("jobs", [1, 2])
def test_relative_paths_mean_what_they_mean_to_the_caller(
    jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second time, processes are there already.
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found = dict(in_processes(directory, [0, 1, 2], jobs))
        assert found == dict.fromkeys(range(3), str(tmp_path / name))


def _die(number: int) -> int:
    if number:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_process_that_is_killed_is_a_message() -> None:
    with pytest.raises(LostProcessError, match="a process ended before its result came"):
        list(in_processes(_die, [0, 1, 1], 2))
    assert len(list(in_processes(directory, [0, 1], 2))) == 2  # others take their place


def _deaf(_: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_processes_hear_no_interruption_of_the_terminal_but_this_one_does() -> None:
    assert [deaf for _, deaf in in_processes(_deaf, [1, 2, 3], 2)] == [True] * 3
    assert not _deaf(0)
