"""The code of the page about objectives runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from objectives.test_mappings import quiet  # noqa: F401 - a fixture

PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_all_code_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(CODE) == 5
    names: dict[str, object] = {}
    for part in CODE:
        exec(compile(part, "docs/objectives.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "best of this field" in shown
    assert "name: gemmini-ws" in shown
