"""A real PostgreSQL server for tests: Debian's, or the one in the package pgserver."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_FOLDERS = "/usr/lib/postgresql/*/bin"


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server on a socket of its own; yields the URL of an empty database."""
    initdb = _program("initdb")
    if initdb is None:
        yield from _packaged()
        return
    folder = Path(tempfile.mkdtemp(prefix="postgres", dir="/tmp"))
    # PostgreSQL refuses to run as root.
    user = _unprivileged() if os.geteuid() == 0 else None
    data = folder / "data"
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        name = user.pw_name if user is not None else None
        options = {"user": name, "cwd": folder, "check": True, "capture_output": True}
        subprocess.run([initdb, "-D", data, "-U", "tests", "-A", "trust", "--no-sync"], **options)
        control = initdb.with_name("pg_ctl")
        log = folder / "log"
        subprocess.run(
            [control, "-D", data, "-l", log, "-w", "-t", "60", "-o", _settings(folder), "start"],
            **{**options, "capture_output": False, "stdout": subprocess.DEVNULL},
        )
        try:
            yield f"postgresql://tests@/postgres?host={folder}"
        finally:
            stop = [control, "-D", data, "-m", "immediate", "stop"]
            subprocess.run(stop, **{**options, "check": False})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settings(folder: Path) -> str:
    return f"-c listen_addresses= -k {folder} -c fsync=off"


def pg_ctl(url: str, *words: str) -> None:
    """Stop or start the server of a URL that `postgres` yielded."""
    folder = Path(url.rpartition("host=")[2])
    if not (folder / "data").exists():
        pytest.skip("the server of the package pgserver ends with its last client")
    program = _program("pg_ctl")
    assert program is not None
    user = (folder / "data").owner() if os.geteuid() == 0 else None
    command = [program, "-D", folder / "data", "-w", "-l", folder / "log"]
    command += ["-o", _settings(folder), *words]
    subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _packaged() -> Iterator[str]:
    pgserver = pytest.importorskip(
        "pgserver", reason="neither PostgreSQL nor the package pgserver is installed"
    )
    folder = tempfile.mkdtemp(prefix="postgres", dir="/tmp")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _program(name: str) -> Path | None:
    found = sorted(Path("/").glob(f"{_FOLDERS[1:]}/{name}"))
    if found:
        return found[-1]
    plain = shutil.which(name)
    return Path(plain).resolve() if plain else None


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
