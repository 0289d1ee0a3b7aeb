"""Processes of many machines: the workers of a dask.distributed cluster, through joblib's backend.

A cluster is started by its own commands, ``dask scheduler`` and ``dask worker``. Tasks of a worker
that is lost are run again on the others; results come back to the process that asked, which alone
reads and writes caches and storages. So workers need this package, and no files.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from toolkit.errors import InputError
from toolkit.extras import missing
from toolkit.messages import describe

A = TypeVar("A")
R = TypeVar("R")

CONNECT_SECONDS = 10.0
"""How long a scheduler has to answer, and its first worker to come up."""

LOST_TOO_OFTEN = "KilledWorker"
"""What a task fails with that several workers did not survive."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of dask.distributed that is running; to be given instead of a number of processes.

    Parameters
    ----------
    address : str
        Of its scheduler, such as ``tcp://host:8786``.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Cluster("tcp://host:8786").address
    'tcp://host:8786'
    """

    address: str

    @contextmanager
    def connected(self) -> Iterator[Connected]:
        """Find out whether it can be used, before any work, and stay connected meanwhile.

        Yields
        ------
        Connected
            To be given in place of this one, which would connect for every bundle of tasks.

        Raises
        ------
        MissingPackageError
            If dask.distributed is not installed.
        InputError
            If nobody answers at the address, there are no workers, or they cannot do the work as
            this process would.
        """
        with self._client() as client:
            yield Connected(self.address, client)

    def results(
        self, function: Callable[[A], R], arguments: Sequence[A]
    ) -> Iterator[tuple[int, R]]:
        """Call a function on every argument, as `toolkit.processes.in_processes` does.

        Raises
        ------
        InputError
            As `connected`; or if the connection is lost, or a task ended several workers.
        """
        with self._client() as client:
            from joblib import Parallel, delayed
            from joblib._dask import DaskDistributedBackend

            class OnWorkers(DaskDistributedBackend):  # type: ignore[misc]
                """The same with one worker as well, whose work joblib would do in this process."""

                def effective_n_jobs(self, n_jobs: int) -> int:
                    return max(int(super().effective_n_jobs(n_jobs)), 2)

            parallel = Parallel(
                n_jobs=-1,
                backend=OnWorkers(client=client),
                batch_size=1,
                return_as="generator_unordered",
            )
            try:
                yield from parallel(
                    delayed(_call)(function, place, argument)
                    for place, argument in enumerate(arguments)
                )
            except Exception as cause:
                if type(cause).__name__ == LOST_TOO_OFTEN:
                    raise self._error(f"one task ended several workers: {cause}") from cause
                if isinstance(cause, OSError) or client.status != "running":
                    said = str(cause).partition("\n")[0]
                    raise self._error(f"the connection was lost: {said}") from cause
                raise

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """Connect, look at the workers, and leave them as they were."""
        library = _library()
        with _quiet():
            try:
                kind = asyncio.run(asyncio.wait_for(_kind_at(self.address), CONNECT_SECONDS))
                if kind != "Scheduler":
                    raise ValueError(f"a {kind.lower()} does; expected the address of a scheduler")
                client = library.Client(
                    self.address, timeout=CONNECT_SECONDS, set_as_default=False
                )
            except Exception as cause:  # Bytes of whatever listens there may mean anything.
                said = " ".join(str(cause).split())[:200] or f"not in {CONNECT_SECONDS:g} s"
                raise self._error(f"no scheduler answers: {said}") from None
            try:
                self._check_workers(client)
                yield client
            finally:
                client.close(timeout=CONNECT_SECONDS)

    def _check_workers(self, client: Any) -> None:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError:
            raise self._error("has no workers; start some: dask worker ADDRESS") from None
        threads = {name: count for name, count in client.nthreads().items() if count > 1}
        if threads:
            name, count = next(iter(sorted(threads.items())))
            raise self._error(
                f"worker {name} runs {count} tasks in one process; expected workers of one "
                "thread: dask worker --nthreads 1 --nworkers N"
            )
        facts: dict[str, Any] = client.run(_facts, on_error="return")
        own = _facts()
        for name, found in sorted(facts.items()):
            if isinstance(found, OSError):
                continue  # It ended as it was asked.
            if isinstance(found, Exception):  # What a worker cannot load comes back as one.
                raise self._error(f"worker {name} lacks this package as it is here: {found}")
            if found != own:
                raise self._error(
                    f"worker {name} has {_shown(found)}; expected what is here, {_shown(own)}"
                )

    def _error(self, message: str) -> InputError:
        return InputError(f"{describe(self.address)}: {message}", key="cluster")


def _library() -> Any:
    """Import dask.distributed.

    Raises
    ------
    MissingPackageError
        If it is not installed.
    """
    try:
        return import_module("distributed")
    except ModuleNotFoundError as cause:
        raise missing("a cluster", str(cause.name), "cluster", key="cluster") from cause


@dataclass(frozen=True, slots=True)
class Connected(Cluster):
    """A cluster that this process is connected to; `Cluster.connected` makes one.

    Parameters
    ----------
    client : distributed.Client
        The connection.
    """

    client: Any = field(repr=False, compare=False)

    @property
    def workers(self) -> int:
        """How many there are now."""
        return len(self.client.nthreads())

    @contextmanager
    def _client(self) -> Iterator[Any]:
        with _quiet():
            yield self.client


async def _kind_at(address: str) -> str:
    """Ask who listens at an address; a client of its own would wait for an answer for ever."""
    async with _library().rpc(address, timeout=CONNECT_SECONDS) as remote:
        identity = await remote.identity()
    return str(identity["type"])


def _call(function: Callable[[A], R], place: int, argument: A) -> tuple[int, R]:
    return place, function(argument)


@cache
def _facts() -> tuple[str, str, str]:
    """What results depend on: the version of Python, of this package, and its sources."""
    from toolkit.version import __version__

    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    python = ".".join(map(str, sys.version_info[:2]))
    return python, __version__, digest.hexdigest()


def _shown(facts: tuple[str, str, str]) -> str:
    python, version, digest = facts
    return f"Python {python} and toolkit {version} (sources {digest[:12]})"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's own log lines off standard error: what matters is raised."""
    handlers = logging.getLogger("distributed").handlers
    for handler in handlers:
        handler.addFilter(_drop)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_drop)


def _drop(record: logging.LogRecord) -> bool:
    return False
