"""Where mappings that were found lie among all there are: random ones as a histogram.

A record first (`space_picture`), which is what tests look at; drawn by Matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolkit.search.chosen_mappings import sample_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.problem import Problem
from toolkit.search.result import Budget
from toolkit.search.space_size import problem_size
from toolkit.study.pictures.canvas import canvas
from toolkit.study.pictures.look import (
    GREY,
    INK,
    MEDIUM,
    QUIET,
    SMALL,
    TINY,
    drawn,
    heading_lines,
    style,
)
from toolkit.study.units import plain_value, scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

SAMPLES = 10_000
"""Random mappings of a histogram: what is rarer than that has no bar anyway."""

_BINS, _ASIDE = 60, 0.03
_WIDTH, _HEIGHT, _NAME_ROW = 5.4, 2.8, 0.17
"""Inches: of the picture, without its list of results; of a result in that list."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that was found, or a bound.

    Parameters
    ----------
    name : str
        The strategy, or what else it is.
    value : float
        Of the objective, in the unit of the picture.
    text : str
        The same for people, and how random mappings compare.
    place : int
        Of the strategy among all, for its colour.
    """

    name: str
    value: float
    text: str
    place: int = 0


@dataclass(frozen=True)
class SpacePicture:
    """Random mappings, and results among them.

    Parameters
    ----------
    title : str
        What is mapped on what, and how many mappings there are.
    label : str
        The objective with its unit.
    edges : array, shape (bins + 1,)
        Of the bins, evenly spaced in logarithm, or not where values are not positive.
    counts : int array, shape (bins,)
        Random mappings in each.
    samples : int
        All of them.
    marks : tuple of Mark
        Results, the best first.
    bound : Mark or None
        What no mapping undercuts, if that is known.
    """

    title: str
    label: str
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    samples: int
    marks: tuple[Mark, ...]
    bound: Mark | None


def random_values(problem: Problem, samples: int = SAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Draw random valid mappings and cost them.

    Returns
    -------
    float64 array
        Finite values of the objective, in its own unit; at most `samples`.

    Raises
    ------
    DoesNotFitError
        If no valid mapping is found.
    """
    rng = np.random.default_rng(seed)
    evaluator = Evaluator(problem, Budget(evaluations=samples))
    values = evaluator.evaluate(*sample_mappings(problem, samples, rng))
    return np.asarray(values[np.isfinite(values)], dtype=np.float64)


def space_picture(
    problem: Problem,
    results: Sequence[tuple[str, float]],
    bound: float | None = None,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> SpacePicture:
    """Work out where results lie among random mappings.

    Parameters
    ----------
    problem : Problem
        What was searched.
    results : sequence of (str, float)
        Names of strategies, and values of the objective, in its own unit, that they found.
    bound : float, optional
        What no mapping undercuts.
    samples, seed : int
        Random mappings, and the seed of their drawing.

    Raises
    ------
    DoesNotFitError
        If no valid mapping is found.
    """
    objective = problem.objective
    values = random_values(problem, samples, seed)
    scale, unit = scaled(1.0, objective)
    known = [] if bound is None else [bound]
    edges = _edges(np.array([*values, *(value for _, value in results), *known]) * scale)
    ranked = sorted(enumerate(results), key=lambda entry: entry[1][1])
    marks = tuple(
        Mark(
            name, value * scale, f"{plain_value(value, objective)}; {_share(values, value)}", place
        )
        for place, (name, value) in ranked
    )
    lowest = None
    if bound is not None:
        lowest = Mark("bound", bound * scale, f"{plain_value(bound, objective)}: nothing is below")
    return SpacePicture(
        f"{problem.workload.name} on {problem.arch.name}: {_size(problem)}",
        f"{objective} ({unit})" if unit else f"{objective}",
        edges,
        np.histogram(values * scale, edges)[0],
        len(values),
        marks,
        lowest,
    )


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins that hold all values: evenly spaced in logarithm, if all of them have one."""
    low, high = float(values.min()), float(values.max())
    if low > 0:
        aside = (high / low) ** _ASIDE * 1.01
        return np.geomspace(low / aside, high * aside, _BINS + 1)
    aside = (high - low) * _ASIDE or 1.0
    return np.linspace(low - aside, high + aside, _BINS + 1)


def _share(values: NDArray[np.float64], value: float) -> str:
    """Say how many random mappings are as good as a value."""
    count, samples = int(np.count_nonzero(values <= value)), len(values)
    if count == 0:
        return f"none of {samples:,} random mappings is as good"
    return f"{count:,} of {samples:,} random mappings {'is' if count == 1 else 'are'} as good"


def _size(problem: Problem) -> str:
    size = problem_size(problem)
    total = size.tilings * size.orders
    if total < 10**6:
        return f"{'' if size.tilings_exact else 'about '}{total:,} mappings"
    power = round(math.log10(total)) if total < 10**300 else len(str(total)) - 1
    return f"about 10^{power} mappings"


@drawn
def draw_space(picture: SpacePicture) -> Canvas:
    """Draw a histogram with Matplotlib, results as lines with numbers, listed below.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    listed = len(picture.marks) + (picture.bound is not None)
    heading = heading_lines(picture.title, _WIDTH)
    height = _HEIGHT + _NAME_ROW * listed + 0.15 * len(heading)
    figure = canvas(_WIDTH, height)
    figure.set_layout_engine("none")
    under = 0.62 + _NAME_ROW * listed
    axes: Axes = figure.add_axes(
        (0.12, under / height, 0.85, 1 - (under + 0.3 + 0.15 * len(heading)) / height)
    )
    axes.stairs(picture.counts, picture.edges, fill=True, color=GREY)
    axes.set(xscale="log" if picture.edges[0] > 0 else "linear")
    axes.set_xlim(picture.edges[0], picture.edges[-1])
    axes.set_ylim(0, 1.18 * max(int(picture.counts.max()), 1))
    axes.set_xlabel(picture.label)
    axes.set_ylabel("random mappings")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.0f}")
    axes.grid(axis="y", alpha=0.4)
    axes.set_title("\n".join(heading), fontsize=MEDIUM, weight="bold", loc="left", x=-0.12)
    row = under - 0.55
    entries = [(mark, style(mark.place)) for mark in picture.marks]
    for number, (mark, look) in enumerate(entries):
        axes.axvline(mark.value, color=look.color, linewidth=1.2)
        # Markers at different heights, so that equal results are all seen.
        top = 1.12 - 0.09 * (number % 8)
        axes.plot(
            mark.value,
            top * max(int(picture.counts.max()), 1),
            marker=look.marker,
            color=look.color,
            markersize=6,
            clip_on=False,
        )
        row -= _NAME_ROW
        _list(figure, row / height, mark, look.color, look.marker)
    if picture.bound is not None:
        axes.axvline(picture.bound.value, color=INK, linewidth=1.2, linestyle="--")
        _list(figure, (row - _NAME_ROW) / height, picture.bound, INK, None)
    return figure


def _list(figure: Canvas, y: float, mark: Mark, shade: str, marker: str | None) -> None:
    """Write a result below the plot."""
    from matplotlib.lines import Line2D

    line = Line2D([0.03, 0.065], [y, y], color=shade, marker=marker, markersize=5)
    line.set_linestyle("--" if marker is None else "-")
    figure.add_artist(line)
    figure.text(0.085, y, mark.name, fontsize=SMALL, va="center", color=INK)
    figure.text(0.26, y, mark.text, fontsize=TINY, va="center", color=QUIET)
