from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit import text_files
from toolkit.errors import InputError
from toolkit.text_files import write_text_atomically


def test_writing_replaces_the_whole_file_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomically(path, "old, and longer")
    path.chmod(0o640)
    write_text_atomically(path, "néw")
    assert path.read_text(encoding="utf-8") == "néw"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_text_atomically(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "x"


def test_what_killed_processes_left_is_cleared(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here = text_files._HERE
    dead = tmp_path / f".a.yaml.{here}-{process.pid}-0123456789ab.tmp"
    alive = tmp_path / f".a.yaml.{here}-{os.getpid()}-0123456789ab.tmp"
    elsewhere = tmp_path / f".a.yaml.{here}2-{process.pid}-0123456789ab.tmp"
    theirs = tmp_path / ".a.yaml.tmp"
    for path in (dead, alive, elsewhere, theirs):
        path.touch()
    write_text_atomically(tmp_path / "b.yaml", "b")
    assert not dead.exists()
    assert alive.exists() and elsewhere.exists() and theirs.exists()


def test_a_folder_need_not_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    write_text_atomically(tmp_path / "a.yaml", "a")
    assert (tmp_path / "a.yaml").read_text() == "a"


def test_failed_writes_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="cannot be written"):
        write_text_atomically(path, "\ud800")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left on device"):
        write_text_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "missing/a.txt", "a\0b"])
def test_places_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        write_text_atomically(os.path.join(tmp_path, name), "x")
    assert list(tmp_path.iterdir()) == []


def test_devices_are_not_replaced() -> None:
    with pytest.raises(InputError, match="not a regular file"):
        write_text_atomically("/dev/null", "x")
    assert Path("/dev/null").is_char_device()
