"""Optuna storages: files and URLs opened so that nothing in them can be lost.

Notes
-----
The default is Optuna's journal file, which is several times faster than SQLite. Medians of two
measurements with Optuna 5.0 of 20 comparison runs, 60 trials each, on two cores that other work
shared; a sync of the disk took 0.2 ms in one and 4 ms in the other:

===============================================  ============  ==============
what                                             journal file  SQLite
===============================================  ============  ==============
open a new storage                               1 ms          1,200-1,600 ms
create a study, set its attributes, note, plots  70-85 ms      340-350 ms
add finished trials, per second                  240-250       24-27
read all 20 runs again                           310-430 ms    1,400-1,500 ms
===============================================  ============  ==============
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from toolkit.errors import InputError
from toolkit.messages import describe
from toolkit.quiet import quiet_optuna
from toolkit.study.storage.databases import open_database

Storage = str | os.PathLike[str] | BaseStorage
"""A file, a URL that Optuna understands, or a storage of Optuna's."""

_SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_SQLITE_MAGIC = b"SQLite format 3\0"
_SQLITE_TABLE = b"CREATE TABLE studies"
_JOURNAL_START = b'{"op_code":'

# A lock of a process that was killed is taken over after so long; one write takes milliseconds.
_STALE_LOCK_SECONDS = 5
# Between two looks at a lock that may be stale; a person does not notice such a delay.
_LOCK_SUFFIX, _LOCK_POLL_SECONDS = ".lock", 0.05


@contextmanager
def open_storage(storage: Storage) -> Iterator[BaseStorage]:
    """Open a storage for writing; a file belongs to this process alone until the block ends.

    Readers, such as optuna-dashboard, are not kept out.

    Parameters
    ----------
    storage : path-like, str or BaseStorage
        A file (SQLite if it is one or is new and named .db, .sqlite or .sqlite3; else a
        journal), a URL such as ``postgresql://host/name``, or a storage of Optuna's.

    Raises
    ------
    InputError
        If it cannot be reached or written, is in use, or is no storage.
    """
    with guarded(storage_name(storage)), ExitStack() as ownership:
        path = storage_path(storage)
        if path is not None:
            ownership.enter_context(held(path))
            if _kind(path) == "journal":
                _cut_torn_line(path)
                _drop_broken_lock(path)
        opened, owned = connect(storage), ownership.pop_all()
    with owned:
        yield opened


def connect(storage: Storage) -> BaseStorage:
    """Open a storage as `open_storage` does, but shared with others.

    Raises
    ------
    InputError
        If it cannot be reached, or is no storage.
    """
    if isinstance(storage, BaseStorage):
        return storage
    with guarded(storage_name(storage)):
        path = storage_path(storage)
        if path is None:
            url = os.fspath(storage)
            is_journal = url.startswith("redis")
            return optuna.storages.get_storage(url) if is_journal else open_database(url)
        if _kind(path) == "sqlite":
            url = URL.create("sqlite", database=str(path)).render_as_string()
            return optuna.storages.get_storage(url)
        # Optuna waits forever for a lock that links to no file, as one of a relative path does.
        lock = JournalFileSymlinkLock(str(path.absolute()), grace_period=_STALE_LOCK_SECONDS)
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def storage_name(storage: Storage) -> str:
    """Name a storage in messages, without the password of its URL."""
    behind = getattr(storage, "_backend", None)
    if isinstance(behind, RDBStorage):  # Optuna puts a cache before databases.
        storage = behind
    if isinstance(storage, GrpcStorageProxy):
        return f"grpc://{storage._host}:{storage._port}"
    if isinstance(storage, RDBStorage):
        storage = storage.url
    if isinstance(storage, BaseStorage):
        return type(storage).__name__
    text = os.fspath(storage)
    if "://" not in text:
        return text
    try:
        return make_url(text).render_as_string(hide_password=True)
    except (SQLAlchemyError, ValueError):
        return describe(text)


def storage_path(storage: Storage) -> Path | None:
    """Return the file of a storage; None if it is not in one.

    Examples
    --------
    >>> storage_path("sqlite:///a.db").name, storage_path("postgresql://localhost/a")
    ('a.db', None)
    """
    if isinstance(storage, RDBStorage):
        storage = storage.url
    if isinstance(storage, BaseStorage):
        return None
    text = os.fspath(storage)
    if not text or "\0" in text:
        raise InputError(f"expected a file or a URL, got {describe(text)}", key="storage")
    if "://" not in text:
        return Path(text)
    url = make_url(text)
    if not url.drivername.startswith("sqlite") or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database))


def _kind(path: Path) -> str:
    """Tell ``journal`` from ``sqlite`` by what is in a file, or by its name if it is new."""
    if not path.exists() or path.stat().st_size == 0:
        return "sqlite" if path.suffix.lower() in _SQLITE_SUFFIXES else "journal"
    with open(path, "rb") as file:
        start = file.read(len(_SQLITE_MAGIC))
        if start == _SQLITE_MAGIC:
            # The schema of a database of Optuna's stands in its first pages.
            if _SQLITE_TABLE not in file.read(1 << 20):
                raise InputError(f"{path} is a database, but not one of Optuna", key="storage")
            return "sqlite"
    if not start.startswith(_JOURNAL_START):
        raise InputError(f"{path} is neither a journal nor a database of Optuna", key="storage")
    return "journal"


@contextmanager
def held(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a file, made if there is none, alone or together with others that share it."""
    with guarded(describe(str(path))):
        _check_file(path)
    with open(path, "ab") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                # The system takes this lock back from whoever is killed.
                fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{path} is locked: another comparison writes to it; wait for it to end, or "
                    "choose another storage",
                    key="storage",
                ) from None
        yield


def _check_file(path: Path) -> None:
    if not path.name or path.is_dir():
        raise InputError(f"{describe(str(path))} is a folder; expected a file", key="storage")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{describe(str(path))} lies in no folder", key="storage")
    if path.exists() and not path.is_file():
        raise InputError(f"{describe(str(path))} is not a regular file", key="storage")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"{describe(str(path))} may not be written", key="storage")
    # Both kinds put a file next to it while they write.
    if not os.access(path.absolute().parent, os.W_OK):
        raise InputError(f"the folder of {describe(str(path))} may not be written", key="storage")


def _drop_broken_lock(path: Path) -> None:
    """Take away a lock that links to no file once it is stale; Optuna takes over all others."""
    lock = Path(f"{path}{_LOCK_SUFFIX}")
    while lock.is_symlink() and not lock.exists():
        with suppress(FileNotFoundError):
            age = time.time() - lock.lstat().st_mtime
            if not 0 <= age < _STALE_LOCK_SECONDS:
                lock.unlink()
        time.sleep(_LOCK_POLL_SECONDS)


def _cut_torn_line(path: Path) -> None:
    """Take away the line that a killed process did not finish; Optuna would write on behind it."""
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        position, tail = end, b""
        while position > 0 and b"\n" not in tail:
            position = max(position - (1 << 16), 0)
            file.seek(position)
            tail = file.read(end - position)
        torn = len(tail) - (tail.rfind(b"\n") + 1)
        if torn:
            file.truncate(end - torn)
            os.fsync(file.fileno())


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Turn what Optuna and databases raise into one line, and keep Optuna quiet.

    Parameters
    ----------
    name : str
        How messages call the storage; see `storage_name`.

    Raises
    ------
    InputError
        In place of an exception about the storage.
    """
    try:
        with quiet_optuna():
            yield
    except (OSError, OptunaError, SQLAlchemyError, ImportError) as cause:
        # SQLAlchemy's own text goes on with the statement and a link.
        original = getattr(cause, "orig", None) or getattr(cause.__cause__, "orig", None) or cause
        reason = getattr(original, "strerror", None) or str(original)
        raise _unusable(name, "cannot be used", reason) from cause
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as cause:
        if not _raised_by_optuna(cause):
            raise
        reason = f"{type(cause).__name__}: {cause}"
        raise _unusable(name, "is not a storage, or a damaged one", reason) from cause


def _unusable(name: str, what: str, reason: str) -> InputError:
    text = " ".join(reason.split())[:300]
    return InputError(f"{name} {what}: {text}", key="storage")


def _raised_by_optuna(cause: BaseException) -> bool:
    """Whether an exception comes from within Optuna, and so is about what it read."""
    trace, last = cause.__traceback__, ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        last = name if name.partition(".")[0] in ("optuna", "toolkit", "sqlalchemy") else last
        trace = trace.tb_next
    return last.partition(".")[0] in ("optuna", "sqlalchemy")
