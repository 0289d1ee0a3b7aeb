"""Web pages in a real browser: Chromium without a window, steered by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

_PATIENCE_MILLISECONDS = 300_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Visit:
    """An open page, and what went wrong on it or was asked of other machines."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def visit(url: str) -> Iterator[Visit]:
    """Open a page; skip the test where there is no Chromium or Playwright."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install playwright"
    )
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(_NAMES)} is on the PATH")
    # Chromium's sandbox refuses to run as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=arguments)
        try:
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(_PATIENCE_MILLISECONDS)
            visited = Visit(page)
            page.on("pageerror", lambda error: visited.errors.append(str(error)))
            page.on("console", lambda message: _note(visited, message))
            page.on("requestfailed", lambda request: visited.errors.append(request.url))
            page.on("request", lambda request: visited.requests.append(request.url))
            page.goto(url)
            yield visited
        finally:
            browser.close()


def _note(visited: Visit, message: Any) -> None:
    if message.type == "error":
        visited.errors.append(f"{message.text} {message.location}")
