"""Storages that several workers share: files, databases with heartbeats, and Optuna's proxy.

A trial belongs to the worker that asked for it for as long as its heart beats. Optuna's databases
keep heartbeats themselves, from the first one on; in journal files and behind the gRPC proxy,
which have none, a beat is a counter in an attribute of the trial, and whoever has not seen it
change for a while takes the trial over. Clocks of machines are never compared.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from toolkit.errors import InputError
from toolkit.extras import missing
from toolkit.quiet import quiet_optuna
from toolkit.study.storage.databases import PATIENCE_SECONDS, PatientProxy, open_database
from toolkit.study.storage.opening import connect, guarded, held, storage_name, storage_path

HEARTBEAT_SECONDS = 10
"""Between two beats, if nothing else is asked: often enough that a lost trial waits a minute, and
far less work for a storage than the trials themselves."""

GRACE_BEATS = 6
"""Beats that may be missing before a trial counts as abandoned; a busy machine or storage misses
some, and whoever is taken over for dead has worked in vain."""

GRPC_PORT = 13000
"""Where Optuna's own proxy listens if nobody says otherwise."""

BEAT = "beat"
"""The attribute of a trial that holds its beats where the storage keeps none; elsewhere it tells
that there was a first one."""

# A proxy that runs answers at once; nobody wants to wait longer to learn of a mistyped name.
_READY_SECONDS = 10
_GRPC = "grpc://"


@contextmanager
def open_shared(
    storage: str, heartbeat: int = HEARTBEAT_SECONDS, *, new: bool = True, met: bool = False
) -> Iterator[BaseStorage]:
    """Open a storage to work on it side by side with others.

    Parameters
    ----------
    storage : str
        A file as for `toolkit.study.storage.opening.open_storage`, a URL of a database such as
        ``postgresql://host/name``, or ``grpc://host:port`` of Optuna's proxy.
    heartbeat : int
        Seconds between two beats.
    new : bool
        Whether a file is made where there is none.
    met : bool
        Whether it answered before, so that it is waited for if it does not.

    Raises
    ------
    InputError
        If it cannot be reached or used, is not there, or a comparison has it for itself.
    MissingPackageError
        If the driver of a database, or grpcio, is not installed.
    """
    if storage.startswith(_GRPC):
        yield _proxy(storage, PATIENCE_SECONDS if met else _READY_SECONDS)
        return
    path = storage_path(storage)
    if path is None:
        yield _with_heartbeat(storage, heartbeat, met=met)
        return
    if not (new or path.exists()):
        raise InputError(
            f"{path} does not exist; toolkit codesign writes such files", key="storage"
        )
    with held(path, shared=True):
        opened = connect(storage)
        if _database(opened):
            opened = _with_heartbeat(f"sqlite:///{path.absolute()}", heartbeat, met=met)
        yield opened


def _with_heartbeat(storage: str, heartbeat: int, *, met: bool) -> BaseStorage:
    grace = GRACE_BEATS * heartbeat
    with guarded(storage_name(storage)):
        return open_database(storage, heartbeat_seconds=heartbeat, grace_seconds=grace, met=met)


def _proxy(storage: str, seconds: float) -> BaseStorage:
    host, _, port = storage.removeprefix(_GRPC).rstrip("/").partition(":")
    if not host or (port and not port.isdigit()):
        raise InputError(f"expected grpc://HOST:PORT, got {storage}", key="storage")
    if not find_spec("grpc"):
        raise missing(storage, "grpcio", "grpc", "storage")
    with quiet_optuna():
        proxy = PatientProxy(host=host, port=int(port or GRPC_PORT))
    try:
        proxy.wait_server_ready(timeout=seconds)
    except Exception as cause:  # grpc raises several kinds of its own
        raise InputError(
            f"{storage} does not answer within {seconds:g} s; is toolkit proxy running there?",
            key="storage",
        ) from cause
    return optuna.storages.get_storage(proxy)


def _database(storage: BaseStorage) -> bool:
    return isinstance(getattr(storage, "_backend", storage), RDBStorage)


class Watch:
    """Keeps own trials alive, and takes over those that nobody keeps alive any more.

    Parameters
    ----------
    study : optuna.Study
        Of a storage that `open_shared` opened.
    heartbeat : int
        Seconds between two beats.
    """

    def __init__(self, study: optuna.Study, heartbeat: int = HEARTBEAT_SECONDS) -> None:
        self._study, self._storage = study, study._storage
        self._own = not _database(self._storage)
        self._heartbeat = heartbeat
        self._seen: dict[int, tuple[Any, float]] = {}

    @contextmanager
    def alive(self, trial_id: int) -> Iterator[None]:
        """Let the heart of a trial beat until the block ends."""
        ended = threading.Event()

        def beat() -> None:
            count = 0
            while True:
                # What a beat meets, whoever tells the trial will meet too.
                with suppress(Exception):
                    if not self._own:
                        self._storage.record_heartbeat(trial_id)  # type: ignore[attr-defined]
                    if self._own or count == 0:
                        self._storage.set_trial_user_attr(trial_id, BEAT, count)
                count += 1
                if ended.wait(self._heartbeat):
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def take_over(self) -> None:
        """Fail trials whose heart has stopped, and queue them to be run again."""
        if not self._own:
            with quiet_optuna():
                optuna.storages.fail_stale_trials(self._study)
        now, limit = time.monotonic(), GRACE_BEATS * self._heartbeat
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            beat = trial.user_attrs.get(BEAT)
            if not self._own and beat is not None:
                continue  # Optuna knows of it; a heart that never beat does not exist for it.
            known, since = self._seen.setdefault(trial._trial_id, (beat, now))
            if known != beat:
                self._seen[trial._trial_id] = beat, now
            elif now - since > limit:
                retry(self._study, trial)


def retry(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Fail a running trial and queue its parameters again; tell whether this call did it."""
    try:
        if not study._storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL):
            return False
    except UpdateFinishedTrialError:
        return False
    with quiet_optuna():
        Retry()(study, study._storage.get_trial(trial._trial_id))
    return True


def serve_proxy(
    storage: str, host: str, port: int, on_open: Callable[[], None] | None = None
) -> None:
    """Serve a storage to workers that cannot reach it themselves, until interrupted.

    Parameters
    ----------
    storage : str
        What is served.
    host : str
        Name or address to listen on.
    port : int
        Port to listen on.
    on_open : callable, optional
        Called once the storage is open and nobody else listens there, before workers are served.

    Raises
    ------
    InputError
        If the storage or the port cannot be used.
    MissingPackageError
        If grpcio is not installed.

    Examples
    --------
    >>> from multiprocessing import get_context
    >>> import toolkit
    >>> asked = ("designs.journal", "127.0.0.1", 13000)
    >>> server = get_context("spawn").Process(target=toolkit.serve_proxy, args=asked)
    >>> server.start()
    >>> server.terminate()
    >>> server.join()
    """
    if not find_spec("grpc"):
        raise missing("a proxy", "grpcio", "grpc", "storage")
    with open_shared(storage) as opened, quiet_optuna():
        with _listening(host, port):
            _try_to_listen(host, port)
        if on_open is not None:
            on_open()
        with _listening(host, port):
            optuna.storages.run_grpc_proxy_server(opened, host=host, port=port)


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    """Turn what gRPC and the system raise into one line."""
    try:
        yield
    except (RuntimeError, OSError, OptunaError, SQLAlchemyError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise InputError(
            f"{host}:{port} cannot be listened on: {' '.join(reason.split())[:200]}", key="port"
        ) from None


def _try_to_listen(host: str, port: int) -> None:
    """Notice another server on a port, which gRPC would share with it, so that calls go astray.

    Raises
    ------
    OSError
        If there is one, or no such host.
    """
    (family, _, _, _, address), *_ = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM
    )
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(address)
        tried.listen()
