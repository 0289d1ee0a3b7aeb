"""Databases that are away for a while, and met by many at once; with a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import optuna
import pytest
from codesign.postgres import pg_ctl, postgres
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import IntegrityError, OperationalError

from toolkit.quiet import quiet_optuna
from toolkit.study.storage import databases
from toolkit.study.storage.databases import (
    PatientProxy,
    is_away,
    is_restarting,
    open_database,
    patient,
)
from toolkit.study.storage.opening import storage_name


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    pytest.importorskip("psycopg")
    with postgres() as place:
        yield place


def test_first_contacts_do_not_race(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(open_database, [url] * 4))
    studies = [optuna.create_study(storage=storage) for storage in opened]
    assert len({study._study_id for study in studies}) == 4


def test_a_database_is_called_by_its_url(url: str) -> None:
    assert storage_name(open_database(url)).startswith("postgresql+psycopg://tests@/postgres")


def test_a_restart_is_waited_for(
    url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "PATIENCE_SECONDS", 30)
    study = optuna.create_study(storage=open_database(url))
    study.tell(study.ask(), 1.0)
    pg_ctl(url, "-m", "fast", "stop")

    def start() -> None:
        time.sleep(1)
        pg_ctl(url, "start")

    back = threading.Thread(target=start)
    back.start()
    study.tell(study.ask(), 2.0)
    back.join()
    assert [trial.value for trial in study.trials] == [1.0, 2.0]
    assert capsys.readouterr().err.count("the storage does not answer") == 1


class RefusedError(Exception):
    sqlstate = None


RefusedError.__name__ = "OperationalError"  # as drivers call it


def test_only_one_that_was_met_is_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(url)
    pg_ctl(url, "-m", "fast", "stop")
    with pytest.raises(OperationalError):
        open_database(url)
    back = threading.Timer(1, pg_ctl, [url, "start"])
    back.start()
    open_database(url, met=True)
    back.join()


def test_one_that_starts_is_there() -> None:
    starting = OperationalError("", None, RefusedError("the database system is starting up"))
    assert is_restarting(starting)
    assert not is_restarting(OperationalError("", None, RefusedError("no connection")))
    assert not is_restarting(ValueError("the database system is starting up"))


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(databases, "_DELAYS", (0.01,))
    calls = []

    @patient
    def call() -> None:
        calls.append(1)
        raise OperationalError("", None, RefusedError("no connection"))

    with pytest.raises(OperationalError):
        call()
    assert len(calls) > 1


def test_a_proxy_is_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    monkeypatch.setattr(databases, "_DELAYS", (0.01,))

    class FailedError(grpc.RpcError):  # type: ignore[misc]
        def __init__(self, code: str) -> None:
            self.code = lambda: getattr(grpc.StatusCode, code)
            self.details = lambda: "in its own words"

    answers = ["UNAVAILABLE", "CANCELLED", "INTERNAL"]

    def answer(request: object) -> SimpleNamespace:
        if answers:
            raise FailedError(answers.pop(0))
        return SimpleNamespace(study_id=7)

    with quiet_optuna():
        proxy = PatientProxy(host="localhost", port=1)
    monkeypatch.setattr(proxy, "_stub", SimpleNamespace(GetStudyIdFromName=answer))
    with pytest.raises(StorageInternalError, match="INTERNAL: in its own words"):
        proxy.get_study_id_from_name("a")
    assert capsys.readouterr().err.count("the storage does not answer") == 1
    assert proxy.get_study_id_from_name("a") == 7
    assert storage_name(proxy) == "grpc://localhost:1"


def test_only_absence_is_waited_for() -> None:
    refused = OperationalError("", None, RefusedError("no connection"))
    wrapped = RuntimeError("commit failed")
    wrapped.__cause__ = refused
    next_one = RuntimeError("invalid transaction")
    next_one.__context__ = refused
    assert is_away(refused) and is_away(wrapped) and is_away(next_one)
    assert not is_away(IntegrityError("", None, ValueError("twice")))
    assert not is_away(ValueError("other"))
