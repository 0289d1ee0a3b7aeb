"""Databases as storages of Optuna, and its proxy before them.

They may be away for a while, and be met by many at once.
"""

from __future__ import annotations

import functools
import random
import re
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage, get_storage
from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from toolkit.extras import missing
from toolkit.quiet import quiet_optuna

PATIENCE_SECONDS = 300.0
"""For how long a database may be away: a restart takes seconds, moving it minutes."""

FIRST_CONTACTS = 5
"""Tries to make the tables: whoever comes second finds some of them there."""

_BUSY_SECONDS = 60
"""For how long a file of SQLite may be locked by others."""

_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_AWAY = ("08", "57P")
"""Classes of SQL states: connection exceptions, and an operator's intervention."""

_RESTARTING = ("is starting up", "is shutting down", "in recovery mode")
"""What PostgreSQL answers then; of a connection that it refuses drivers give no SQL state."""

_CALLS = re.compile(
    r"(_?create_new|delete_study|_?set_trial|set_study|_?get_|record_)(?!\w*(_without_commit|prepared))"
)
"""Functions of `optuna.storages.RDBStorage` that begin a transaction of their own or look at what
it is; those within one (``_without_commit``) are not begun again."""

P = ParamSpec("P")
R = TypeVar("R")


def open_database(
    url: str,
    *,
    heartbeat_seconds: int | None = None,
    grace_seconds: int | None = None,
    met: bool = False,
) -> BaseStorage:
    """Open a database, its tables made if there are none.

    Parameters
    ----------
    url : str
        As SQLAlchemy has them; PostgreSQL's without a driver takes psycopg.
    heartbeat_seconds, grace_seconds : int, optional
        Between two beats of a running trial, and without any until it is run again by others; by
        default hearts do not beat.
    met : bool
        Whether it answered before, so that it is waited for if it does not. At the first contact
        its name is more likely to be wrong; only if it says that it starts or ends, it is not.

    Raises
    ------
    MissingPackageError
        If psycopg is needed and not installed.
    """
    place = make_url(url)
    if place.drivername.startswith("postgresql") and "+" not in place.drivername:
        if not find_spec("psycopg"):
            shown = place.render_as_string(hide_password=True)
            raise missing(shown, "psycopg", "postgresql", "storage")
        place = place.set(drivername="postgresql+psycopg")
    text = place.render_as_string(hide_password=False)
    lasting = place.drivername.startswith("sqlite")
    engine = {"connect_args": {"timeout": _BUSY_SECONDS}} if lasting else {"pool_pre_ping": True}
    kind = RDBStorage if lasting else patient(PatientDatabase, is_away if met else is_restarting)
    again = Retry() if heartbeat_seconds is not None else None
    with quiet_optuna():
        for last in (*[False] * (FIRST_CONTACTS - 1), True):
            try:
                opened = kind(
                    text,
                    engine_kwargs=engine,
                    heartbeat_interval=heartbeat_seconds,
                    grace_period=grace_seconds,
                    heartbeat_stale_trial_callback=again,
                )
                return get_storage(opened)
            except (IntegrityError, ProgrammingError, StorageInternalError):
                if last:
                    raise
                time.sleep(random.uniform(0.1, 0.5))
    raise AssertionError("the last try returns or raises")


def is_away(error: BaseException | None) -> bool:
    """Whether an error says that there is no connection, not that something is wrong with it."""
    if isinstance(error, _UnansweredError):
        return True
    cause = _cause(error)
    if cause is None:
        return False
    state = getattr(cause.orig, "sqlstate", None)
    refused = type(cause.orig).__name__ in ("OperationalError", "InterfaceError") and state is None
    return cause.connection_invalidated or refused or str(state).startswith(_AWAY)


def is_restarting(error: BaseException | None) -> bool:
    """Whether an error says that there is a database, which starts or ends."""
    cause = _cause(error)
    return cause is not None and any(words in str(cause.orig) for words in _RESTARTING)


def _cause(error: BaseException | None) -> DBAPIError | None:
    """What a driver raised; what SQLAlchemy asks of a lost connection next fails without it."""
    while error is not None and not isinstance(error, DBAPIError):
        error = error.__cause__ or error.__context__
    return error


def patient(
    call: Callable[P, R], away: Callable[[BaseException], bool] = is_away
) -> Callable[P, R]:
    """Let a call of a storage be made again while it is away, saying so once."""

    @functools.wraps(call)
    def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
        start, tries = time.monotonic(), 0
        while True:
            try:
                return call(*args, **kwargs)
            except (SQLAlchemyError, StorageInternalError) as cause:
                if not away(cause) or time.monotonic() - start > PATIENCE_SECONDS:
                    raise
            if tries == 0:
                limit = f"trying again for {PATIENCE_SECONDS:.0f} s"
                print(f"toolkit: the storage does not answer; {limit}", file=sys.stderr)
            time.sleep(_DELAYS[min(tries, len(_DELAYS) - 1)])
            tries += 1

    return waiting


class PatientDatabase(RDBStorage):
    """A database whose calls wait while it is away."""


class PatientProxy(GrpcStorageProxy):
    """A proxy whose calls wait while it is away."""


class _UnansweredError(StorageInternalError):
    """A call that reached no proxy."""


def _told(call: Callable[P, R]) -> Callable[P, R]:
    """Let a call of a proxy fail as one of a database does."""

    @functools.wraps(call)
    def asking(*args: P.args, **kwargs: P.kwargs) -> R:
        import grpc

        try:
            return call(*args, **kwargs)
        except grpc.RpcError as cause:
            # It cancels what it has not answered when it is ended in peace.
            away = cause.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            text = f"the proxy says {cause.code().name}: {cause.details()}"
            raise (_UnansweredError if away else StorageInternalError)(text) from cause

    return asking


# Optuna's cache before a database calls some of its own functions, too.
for _name, _call in list(vars(RDBStorage).items()):
    if _CALLS.match(_name) and callable(_call):
        setattr(PatientDatabase, _name, patient(_call))
for _name, _call in list(vars(GrpcStorageProxy).items()):
    if _CALLS.match(_name) and callable(_call):
        setattr(PatientProxy, _name, patient(_told(_call)))
