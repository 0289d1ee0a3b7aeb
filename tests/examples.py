"""How many examples property tests draw."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_OF_A_COMMIT = 30
"""Examples of the profile `ci` (conftest.py)."""


def examples(count: int) -> settings:
    """Draw so many for a commit, and as many times more as the profile at work does."""
    return settings(
        max_examples=max(1, count * settings().max_examples // _OF_A_COMMIT),
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
        ],
    )
