"""Opening Optuna storages: files, URLs, and everything that is none."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.storages import InMemoryStorage, JournalStorage
from study.runs import BUDGET, problem

from toolkit.errors import InputError
from toolkit.study.compare.comparison import compare, execute
from toolkit.study.storage.opening import connect, open_storage, storage_name, storage_path
from toolkit.study.storage.recording import record
from toolkit.study.storage.runs import Run

ENTRY = b'{"op_code":0,"worker_id":"a","study_name":"s","directions":[1]}\n'


@pytest.mark.parametrize("name", ["a.journal", "a", "a.db", "a.sqlite3", "a #1?.db"])
def test_the_name_of_a_new_file_tells_its_kind(tmp_path: Path, name: str) -> None:
    with open_storage(tmp_path / name) as storage:
        optuna.create_study(storage=storage, study_name="s")
    is_database = (tmp_path / name).read_bytes().startswith(b"SQLite format 3\0")
    assert is_database == (".db" in name or ".sqlite3" in name)
    assert optuna.get_all_study_names(connect(tmp_path / name)) == ["s"]


def test_the_content_of_a_file_tells_more_than_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(ENTRY)
    assert isinstance(connect(tmp_path / "a.db"), JournalStorage)


def test_a_url_names_the_same_file_as_its_path(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    assert storage_path(url) == tmp_path / "a.db"
    with open_storage(url) as storage:
        optuna.create_study(storage=storage, study_name="s")
    assert optuna.get_all_study_names(connect(tmp_path / "a.db")) == ["s"]


def test_a_storage_of_optuna_is_taken_as_it_is() -> None:
    storage = InMemoryStorage()
    first = compare([problem()], ["random"], BUDGET, 1, storage=storage)
    assert compare([problem()], ["random"], BUDGET, 1, storage=storage) == first
    assert storage_name(storage) == "InMemoryStorage"


def test_passwords_are_not_shown() -> None:
    assert storage_name("mysql://me:secret@host/a") == "mysql://me:***@host/a"


def test_optuna_is_as_talkative_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    before = optuna.logging.get_verbosity()
    compare([problem()], ["random"], BUDGET, 1, storage=tmp_path / "a")
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")
    assert not [warning for warning in recwarn if "optuna" in warning.filename]


# Torn lines and locks that a killed process left


@pytest.mark.parametrize("tail", [b"{", ENTRY[:-1], b"x" * 200_000])
def test_a_torn_line_is_cut(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(ENTRY + tail)
    with open_storage(path) as storage:
        optuna.create_study(storage=storage, study_name="t")
        assert path.read_bytes().startswith(ENTRY)
    assert sorted(optuna.get_all_study_names(connect(path))) == ["s", "t"]


def test_reading_cuts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    path.write_bytes(ENTRY + b"{")
    connect(path)
    assert path.read_bytes() == ENTRY + b"{"


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    os.symlink(path, f"{path}.lock")
    with open_storage(path) as storage:
        optuna.create_study(storage=storage, study_name="s")
    assert not os.path.lexists(f"{path}.lock")


@pytest.mark.parametrize("target", ["sub/a.journal", "nowhere"])
def test_a_lock_that_links_to_no_file_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    lock = tmp_path / "sub" / "a.journal.lock"
    lock.parent.mkdir()
    lock.symlink_to(target)
    os.utime(lock, (0, 0), follow_symlinks=False)
    with open_storage("sub/a.journal") as storage:
        optuna.create_study(storage=storage, study_name="s")
    assert not os.path.lexists(lock)
    assert optuna.get_all_study_names(connect("sub/a.journal")) == ["s"]


def test_locks_link_to_their_file_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    with open_storage("sub/a.journal") as storage:
        storage._backend._lock.acquire()
        assert Path("sub/a.journal.lock").resolve() == tmp_path / "sub" / "a.journal"
        storage._backend._lock.release()


def test_a_locked_database(tmp_path: Path) -> None:
    path, outcome = tmp_path / "a.db", execute(Run(problem(), "random", 0, BUDGET))
    compare([problem()], ["greedy"], BUDGET, 1, storage=path)
    other = sqlite3.connect(path, isolation_level=None)
    with open_storage(path) as storage:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"a\.db cannot be used: database is locked"):
            record(storage, outcome, name=storage_name(path))
    other.execute("ROLLBACK")
    other.close()
    assert len(optuna.get_all_study_names(connect(path))) == 1


# What is no storage


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "neither a journal nor a database of Optuna"),
        (b"name: eyeriss\n", "neither a journal nor a database of Optuna"),
        (b'{"op_code":0,\n{"op_code":1}\n', "is not a storage, or a damaged one"),
        (b'{"op_code":77,"worker_id":"a"}\n', "is not a storage, or a damaged one"),
        (b'{"op_code":0,"worker_id":"a"}\n', "is not a storage, or a damaged one"),
        (b"SQLite format 3\0" + b"CREATE TABLE studies" + bytes(100), "cannot be used"),
    ],
)
def test_other_files_are_left_alone(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"storage: .*file .*{message}"), open_storage(path):
        pass
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE accounts (name)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="not one of Optuna"), open_storage(path):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "expected a file or a URL, got ''"),
        ("a\0b", "expected a file or a URL"),
        (".", "is a folder"),
        ("a" * 300, "cannot be used: File name too long"),
        ("/nowhere/a.journal", "lies in no folder"),
        ("/dev/null", "is not a regular file"),
        ("/proc/a.journal", "/proc/a.journal cannot be used: No such file"),
        ("sqlite:////proc/a.db", "cannot be used: No such file"),
        ("://", "cannot be used"),
        ("nosuch://host/a", "nosuch://host/a cannot be used"),
        ("postgresql://me:secret@localhost:1/a", r"postgresql://me:\*\*\*@localhost:1/a cannot"),
        ("redis://localhost", "JournalRedisBackend"),
    ],
)
def test_places_that_cannot_be_reached(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message), open_storage(name):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", ["a.journal", "a.db"])
def test_a_folder_that_may_not_be_written(tmp_path: Path, name: str) -> None:
    compare([problem()], ["random"], BUDGET, 1, storage=tmp_path / name)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="may not be written"), open_storage(tmp_path / name):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_errors_of_a_search_are_not_taken_for_those_of_the_storage(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), open_storage(tmp_path / "a"):
        raise ValueError("mine")
