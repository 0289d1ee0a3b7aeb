"""Hypothesis profiles, and the option that names the golden files to check.

``pytest tests --hypothesis-profile thorough`` draws thirty times as many examples, always others.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from toolkit.compilation import warm_up

PACKAGED = tuple(
    Path(__file__).parent / "data" / name
    for name in ("golden.jsonl.gz", "golden_settings.jsonl.gz")
)

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "ci",
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=SLOW,
)
settings.register_profile("thorough", max_examples=900, deadline=None, suppress_health_check=SLOW)
settings.load_profile("ci")


UNRENDERED = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<svg viewBox='0 0 1 1'></svg>"}


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn and not rendered, which takes longer than most of what they show.

    `tests/study/pictures` renders all kinds of them.
    """
    name = "toolkit.study.pictures.canvas._bytes"
    monkeypatch.setattr(name, lambda figure, kind, *salt: UNRENDERED[kind])


def pytest_configure(config: pytest.Config) -> None:
    """Compile once for all processes of a run, which would each compile the same."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        warm_up()


def pytest_collection_finish() -> None:
    """Spare the collector of garbage all that was imported: it takes a twentieth of the time."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden",
        action="append",
        metavar="FILE",
        help="golden cases to check instead of the packaged ones (.jsonl or .jsonl.gz)",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden_file" in metafunc.fixturenames:
        given = metafunc.config.getoption("golden")
        files = [Path(name).resolve() for name in given] if given else PACKAGED
        metafunc.parametrize("golden_file", files, ids=[path.name for path in files])
