"""Notebooks as programs: run cell by cell; `python tests/notebooks.py` writes what they print."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any]) -> str:
    """What a cell printed when the notebook was written."""
    return "".join(line for output in cell["outputs"] for line in output["text"])


def printed(cells: list[dict[str, Any]], name: str) -> list[str]:
    """What cells print, one after the other."""
    names: dict[str, object] = {"__name__": name}
    texts = []
    for cell in cells:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile("".join(cell["source"]), name, "exec"), names)
        texts.append(out.getvalue())
    return texts


def rewrite(path: Path) -> None:
    """Run a notebook and keep what it prints in it."""
    notebook = json.loads(path.read_text())
    cells = code_cells(notebook)
    for number, (cell, text) in enumerate(zip(cells, printed(cells, path.name), strict=True), 1):
        lines = text.splitlines(keepends=True)
        output = {"name": "stdout", "output_type": "stream", "text": lines}
        cell["outputs"] = [output] if lines else []
        cell["execution_count"] = number
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        rewrite(path)
