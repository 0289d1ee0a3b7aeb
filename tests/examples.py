"""How many examples tests draw, and how many of many cases they try: few for a commit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from hypothesis import HealthCheck, settings

_OF_A_COMMIT = 30
"""Examples of the profile `ci` (conftest.py)."""

CaseT = TypeVar("CaseT")


def examples(count: int) -> settings:
    """Draw so many for a commit, and as many times more as the profile at work does."""
    return settings(
        max_examples=max(1, _more(count)),
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )


def some(cases: Iterable[CaseT], count: int) -> list[CaseT]:
    """Take the first so many for a commit, and as many times more as the profile at work draws."""
    return list(cases)[: _more(count)]


def _more(count: int) -> int:
    return count * settings().max_examples // _OF_A_COMMIT
