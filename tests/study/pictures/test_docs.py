"""What the page about pictures says runs as it is typed."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from toolkit.cli.app import main

PAGE = Path(__file__).parents[3] / "docs" / "pictures.md"
COMMANDS = re.findall(r"^\$ toolkit (.*)$", PAGE.read_text(), flags=re.MULTILINE)


def test_code(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried > 9) == (0, True)
    assert {path.name for path in tmp_path.iterdir()} == {"machine.svg", "gemm.html"}


@pytest.mark.parametrize("words", COMMANDS)
def test_commands(words: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toolkit.search.network.cache.user_cache_path", lambda *_: tmp_path)
    assert main(shlex.split(words)) == 0
    (named,) = re.findall(r"--(?:report|picture) (\S+)", words)
    assert 10_000 < (tmp_path / named).stat().st_size < 1_000_000


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 4
