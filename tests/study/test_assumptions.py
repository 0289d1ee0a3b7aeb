"""The page of assumptions shows what its script prints."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
SCRIPT = SimpleNamespace(**runpy.run_path(str(ROOT / "studies" / "assumption_sizes.py")))
PAGE = (ROOT / "docs" / "assumptions.md").read_text(encoding="utf-8")
SHOWN = PAGE.partition("assumption_sizes.py\n```\n\n```text\n")[2].partition("\n```\n")[0]


def test_the_page_shows_what_assumptions_are_worth() -> None:
    assert SHOWN.split("\n\n")[0].splitlines() == list(SCRIPT.table())


def test_the_page_shows_what_searches_gain_and_what_leaks() -> None:
    freedoms, leaks = SHOWN.split("\n\n")[1:]
    assert freedoms.splitlines() == list(SCRIPT.freedoms())
    assert leaks.splitlines() == list(SCRIPT.leakage())
