"""Notebooks run, and print what is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from notebooks import FOLDER, code_cells, printed, shown

import toolkit

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_print_what_the_notebook_shows(path: Path) -> None:
    toolkit.warm_up()
    cells = code_cells(json.loads(path.read_text()))
    assert printed(cells, path.name) == [shown(cell) for cell in cells]


def test_there_is_one_of_each_subject() -> None:
    assert len(NOTEBOOKS) == 7
