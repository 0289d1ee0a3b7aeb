"""The report of a search over hardware: one page, and its pictures as files beside it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.arch.expressions import Number
from toolkit.codesign.near_best import ParameterCurve
from toolkit.study.hardware.strategies import HardwareComparison
from toolkit.study.pictures.canvas import page_head, write_canvas
from toolkit.study.pictures.chip import Chip, chip_of, draw_chips
from toolkit.study.pictures.near_best import (
    draw_curves,
    draw_tradeoffs,
    tradeoff_page,
    tradeoffs,
)
from toolkit.study.storage.files import make_folder
from toolkit.text_files import write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

REPORT = "report.html"
_STYLE = "<style>.drawn svg { max-width: 100%; height: auto; }</style>"
MOST_CHIPS = 4
"""Strategies whose best machines are drawn side by side, the best ones."""


def chips_of(comparison: HardwareComparison) -> tuple[Chip, ...]:
    """The best machines of the best strategies; equal ones are drawn once."""
    found: dict[tuple[tuple[str, Number], ...], list[str]] = {}
    runs = [(name, comparison.best_of(name)) for name in comparison.strategies]
    chosen = [(name, run) for name, run in runs if run is not None and run.choice is not None]
    for name, run in sorted(chosen, key=lambda pair: comparison.value(pair[1])):
        assert run.choice is not None
        found.setdefault(tuple(run.choice.parameters.items()), []).append(name)
    space = comparison.job.space
    return tuple(
        chip_of(space.build(dict(parameters)).arch, ", ".join(names))
        for parameters, names in list(found.items())[:MOST_CHIPS]
    )


def _missed(comparison: HardwareComparison) -> str:
    """Say what a proved front may miss."""
    front = comparison.front
    if front is None or front.miss == math.inf:
        return ""
    return (
        " Those of exact are proved: whatever hardware of these ranges costs, one of them "
        f"exceeds none of the three by more than {front.miss:.2%}."
    )


def write_hardware_report(
    comparison: HardwareComparison,
    curves: Sequence[ParameterCurve],
    folder: str | os.PathLike[str],
) -> tuple[Path, ...]:
    """Write ``report.html``, which needs nothing else, and its pictures as PNG and SVG.

    Parameters
    ----------
    comparison : HardwareComparison
        With at least one feasible point.
    curves : sequence of ParameterCurve
        Around the best point (`toolkit.codesign.near_best.parameter_curves`).
    folder : path-like
        Created if there is none.

    Raises
    ------
    MissingPackageError
        If Matplotlib or plotly is not installed.
    InputError
        If a file cannot be written.
    """
    target, shown, chips = make_folder(folder), tradeoffs(comparison), chips_of(comparison)
    largest = comparison.job.space.build(comparison.job.space.largest).arch
    levels = [level.name for level in largest.levels] + ["vector_unit"]
    pictures: list[tuple[str, str, str, Canvas]] = [
        (
            "chips",
            "The machines, to scale",
            "Each level takes the share of the square that its area is, all instances together; "
            "where it lies says nothing. Shares in the legend are those of the machines from left "
            "to right.",
            draw_chips(chips, levels),
        ),
        (
            "tradeoffs",
            "Energy, latency and area",
            "All feasible points of all seeds, from three sides, and below in axes to be turned."
            + _missed(comparison),
            draw_tradeoffs(shown, None if comparison.front is None else comparison.front.miss),
        ),
    ]
    if curves and comparison.best is not None:
        where = ", ".join(f"{curve.name} {curve.values[curve.at]}" for curve in curves)
        pictures.insert(
            0,
            (
                "parameters",
                "What each parameter does",
                f"One parameter at a time, from the best point ({where}), layers mapped by the "
                "mapper of the search; the star is what its strategy found there. Dashes: what no "
                "mapping undercuts on that hardware, as far as a proof tells.",
                draw_curves(curves, comparison.value(comparison.best)),
            ),
        )
    files, body = [], [page_head(comparison.job.title), _STYLE]
    for name, title, words, figure in pictures:
        for kind in ("png", "svg"):
            files.append(target / f"{name}.{kind}")
            write_canvas(files[-1], figure)
        text = files[-1].read_text(encoding="utf-8")
        body += [f"<h2>{escape(title)}</h2>", f"<p class='aside'>{escape(words)}</p>"]
        body.append(f"<div class='drawn'>{text[text.index('<svg') :]}</div>")
    body.append(tradeoff_page(shown).to_html(full_html=False, include_plotlyjs=True))
    table = comparison.strategy_table().to_html(
        index=False, border=0, classes="names1", float_format=lambda x: f"{x:.5g}"
    )
    body += [f"<h2>Strategies</h2><div class='scroll'>{table}</div>", "</body>\n</html>\n"]
    files.append(target / REPORT)
    write_text_atomically(files[-1], "\n".join(body))
    return tuple(files)
