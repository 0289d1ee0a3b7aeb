"""The code of the page about objectives runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from objectives.test_mappings import quiet  # noqa: F401 - a fixture

PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text()
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_all_code_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(CODE) == 6
    names: dict[str, object] = {}
    for part in CODE:
        exec(compile(part, "docs/objectives.md", "exec"), names)
    shown = capsys.readouterr().out
    assert "best of this field" in shown
    assert "name: gemmini-ws" in shown


def test_the_readmes_study_runs(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    section = readme.partition("### The model as your objective\n")[2].partition("\n### ")[0]
    assert section.count("\n") <= 25
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert "n_trials=200" in code
    exec(compile(code.replace("n_trials=200", "n_trials=5"), "README.md", "exec"), {})
    assert "DRAM" in capsys.readouterr().out
