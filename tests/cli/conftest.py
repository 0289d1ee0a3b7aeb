"""Commands draw in every test, and render what they drew where a test looks at it."""

from __future__ import annotations

import pytest


@pytest.fixture
def rendered() -> None:
    """Pictures are what users get."""


@pytest.fixture(autouse=True)
def _as_quick_as_can_be(request: pytest.FixtureRequest) -> None:
    if "rendered" not in request.fixturenames:
        request.getfixturevalue("unrendered")
