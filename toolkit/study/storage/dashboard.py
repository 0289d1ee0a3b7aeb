"""optuna-dashboard on a storage that comparisons were recorded in."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna

from toolkit.arguments import plain_integer
from toolkit.errors import InputError
from toolkit.extras import missing
from toolkit.study.storage.opening import Storage, connect, guarded, storage_name, storage_path

HOST, PORT = "127.0.0.1", 8080

_MAX_PORT = 65535


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that listens, but does not answer yet.

    Parameters
    ----------
    url : str
        Where a browser finds it.
    studies : int
        How many the storage holds now.
    server : WSGIServer
        Its ``serve_forever`` answers until it is shut down.
    """

    url: str
    studies: int
    server: WSGIServer


@contextmanager
def open_dashboard(storage: Storage, *, host: str = HOST, port: int = PORT) -> Iterator[Dashboard]:
    """Listen with optuna-dashboard on a storage until the block ends.

    The dashboard shows what is recorded meanwhile, too. Whoever reaches it may also change notes
    and delete studies: leave the host as it is on machines that others use.

    Parameters
    ----------
    storage : path-like, str or BaseStorage
        A storage that exists; see `toolkit.study.storage.opening.open_storage`.
    host : str
        Name or address of this machine to listen on.
    port : int
        From 0, for any free one, to 65535.

    Raises
    ------
    MissingPackageError
        If optuna-dashboard is not installed.
    InputError
        If there is no such storage, it cannot be used, or the host or port cannot be listened on.

    Examples
    --------
    >>> import toolkit
    >>> problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2))
    >>> few = toolkit.Budget(evaluations=10)
    >>> done = toolkit.compare([problem], ["random"], few, 1, storage="comparison.journal")
    >>> with toolkit.open_dashboard("comparison.journal", port=0) as dashboard:
    ...     print(dashboard.studies)  # and dashboard.server.serve_forever()
    1
    """
    try:
        from optuna_dashboard import wsgi
    except ImportError as cause:
        package = cause.name or "optuna_dashboard"
        raise missing("the dashboard", package, "dashboard") from cause
    port = plain_integer(port)
    if type(port) is not int or not 0 <= port <= _MAX_PORT:
        raise InputError(f"{port!r} is not an integer from 0 to {_MAX_PORT}", key="port")
    opened = _existing(storage)
    with guarded(storage_name(storage)):
        studies = len(optuna.get_all_study_names(opened))
        application = wsgi(opened)
    with _listening(application, host, port) as server:
        number = server.server_address[1]
        place = f"[{host}]" if ":" in host else host
        yield Dashboard(f"http://{place}:{number}/", studies, server)


def _existing(storage: Storage) -> Any:
    """Connect to a storage; a file that does not exist is not created."""
    with guarded(storage_name(storage)):
        path = storage_path(storage)
        if path is not None and not path.exists():
            raise InputError(
                f"{path} does not exist; toolkit compare writes such files", key="storage"
            )
        if path is not None and not path.is_file():
            raise InputError(f"{path} is not a regular file", key="storage")
    return connect(storage)


@contextmanager
def _listening(application: Any, host: str, port: int) -> Iterator[WSGIServer]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        kind = type("Server", (_Server,), {"address_family": family})
        server: WSGIServer = make_server(host, port, application, kind, _Handler)
    except (OSError, OverflowError, UnicodeError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        taken = getattr(cause, "errno", None) in (errno.EADDRINUSE, errno.EACCES)
        hint = "; choose another port, or 0 for any" if taken else ""
        raise InputError(
            f"cannot listen on port {port} of {host!r}: {reason}{hint}",
            key="port" if taken else "host",
        ) from None
    with server:
        yield server


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread of its own, which ends with the process."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers that leave in the middle of an answer are nobody's concern."""


class _Handler(WSGIRequestHandler):
    """Keeps quiet about requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
