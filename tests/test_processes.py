"""Functions in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
