"""A picture of serving: cycles and energy of a token over the length of its context.

A record first (`serving_picture`), which is what tests look at; drawn by Matplotlib and plotly.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.display import energy_unit
from toolkit.search.network.serving import PARTS, ServingResult
from toolkit.study.pictures.canvas import canvas, page, write_figures
from toolkit.study.pictures.look import MEDIUM, NARROW, color, drawn, heading_lines
from toolkit.study.units import cycles_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Stack:
    """One figure of a token, by what it is spent on.

    Parameters
    ----------
    label : str
        What it is, with its unit.
    parts : dict of str to tuple of float
        By part, a value per context.
    """

    label: str
    parts: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class ServingPicture:
    """Stacks over the length of the context.

    Parameters
    ----------
    title : str
        What is served, and where.
    contexts : tuple of int
        Tokens in the cache of one sequence.
    stacks : tuple of Stack
        Plots, from the left.
    """

    title: str
    contexts: tuple[int, ...]
    stacks: tuple[Stack, ...]


def serving_picture(result: ServingResult) -> ServingPicture:
    """Work out the picture: cycles of a step, and energy of each token in it."""
    unit, scale = energy_unit(max(step.total_pj for step in result.steps) / result.batch)
    most = max(sum(step.cycles.values()) for step in result.steps)
    words, count = cycles_unit(most)
    cycles = {part: tuple(step.cycles[part] / count for step in result.steps) for part in PARTS}
    energy = {
        part: tuple(step.energy_pj[part] / (scale * result.batch) for step in result.steps)
        for part in PARTS
    }
    return ServingPicture(
        f"{result.name} on {result.arch.name}, {result.batch} at a time",
        tuple(step.context for step in result.steps),
        (Stack(f"{words} per token", cycles), Stack(f"energy per token ({unit})", energy)),
    )


def write_pictures(folder: str | os.PathLike[str], result: ServingResult) -> tuple[Path, ...]:
    """Draw ``serving.png``, ``.svg`` and ``.html`` in a folder.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    picture = serving_picture(result)
    return write_figures(folder, "serving", draw_serving(picture), serving_page(picture))


@drawn
def draw_serving(picture: ServingPicture, *, narrow: bool = False) -> Canvas:
    """Draw stacks with Matplotlib: side by side, or where that is narrow below each other.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    count = len(picture.stacks)
    figure = canvas(NARROW, 3.2 * count + 0.8) if narrow else canvas(11, 4.2)
    plots = figure.subplots(count, 1) if narrow else figure.subplots(1, count)
    for axes, stack in zip(plots, picture.stacks, strict=True):
        colors = [color(place) for place in range(len(stack.parts))]
        axes.stackplot(
            picture.contexts,
            *stack.parts.values(),
            labels=list(stack.parts),
            colors=colors,
            alpha=0.85,
        )
        if len(picture.contexts) == 1:
            # A stack over one place has no width.
            axes.bar(picture.contexts, [sum(v[0] for v in stack.parts.values())], color=colors[0])
        axes.set_xlabel("tokens in the cache")
        axes.set_ylabel(stack.label)
        axes.set_ylim(bottom=0)
        axes.margins(x=0)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 2 if narrow else len(labels)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    if narrow:
        figure.suptitle("\n".join(heading_lines(picture.title, NARROW)), fontsize=MEDIUM)
    else:
        figure.suptitle(picture.title)
    return figure


def serving_page(picture: ServingPicture) -> Figure:
    """Draw stacks with plotly.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    figure = page(len(picture.stacks), horizontal_spacing=0.1)
    for column, stack in enumerate(picture.stacks, start=1):
        for place, (part, values) in enumerate(stack.parts.items()):
            figure.add_scatter(
                x=picture.contexts,
                y=values,
                mode="lines+markers",
                line={"color": color(place)},
                stackgroup=stack.label,
                name=part,
                legendgroup=part,
                showlegend=column == 1,
                hovertemplate=f"{part}<br>%{{x:,}} tokens<br>%{{y:.5g}}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(title="tokens in the cache", row=1, col=column)
        figure.update_yaxes(title=stack.label, rangemode="tozero", row=1, col=column)
    figure.update_layout(title=picture.title, height=460)
    return figure
