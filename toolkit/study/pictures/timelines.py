"""Pictures of what the largest groups of a partition keep on chip, layer by layer.

Each is a record first (`DrawnTimeline`, from `toolkit.fusion.timeline`): words by tensor while
each layer runs, in a step of the loops that it runs in.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from toolkit.fusion.partition import FusionResult
from toolkit.fusion.tile_names import tile_text
from toolkit.fusion.timeline import GroupTimeline, timeline
from toolkit.study.pictures.canvas import canvas, page, write_figures
from toolkit.study.pictures.look import COLORS, NARROW, SMALL, TINY, color, drawn, heading_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from plotly.graph_objects import Figure

MOST_GROUPS = 4
"""Groups that are shown: those of the most layers."""

MOST_TENSORS = 2 * len(COLORS)
"""Tensors of a group with a look of their own: those that take the most room. Once all colours are
used they recur hatched."""

_PLOT, _HEAD, _LETTER = 230, 40, 6.6
"""Pixels of a page: height of a plot and of the title above it, width of a letter."""

_LETTERS = 110
"""Of a line of a title: as wide as a plot with its legend."""

_OTHERS = "#bdbdbd"
_CAPACITY = "#000000"


@dataclass(frozen=True)
class Series:
    """One tensor, or all that have no look of their own.

    Parameters
    ----------
    name : str
        Of the tensor, or how many others there are.
    color : str
        Of its bars.
    hatched : bool
        Whether they are.
    words : tuple of int
        On chip, phase by phase.
    """

    name: str
    color: str
    hatched: bool
    words: tuple[int, ...]


@dataclass(frozen=True)
class DrawnTimeline:
    """A group in the picture.

    Parameters
    ----------
    title : str
        Its number, as in tables, its tile, and how full the fusion level gets.
    layers : tuple of str
        The layer that runs in each phase.
    steps : int
        Of the group.
    series : tuple of Series
        From the bottom of the stack to its top.
    capacity_words : int
        Room of the fusion level.
    """

    title: str
    layers: tuple[str, ...]
    steps: int
    series: tuple[Series, ...]
    capacity_words: int

    @property
    def peak_words(self) -> int:
        """Words of the highest stack."""
        return max(map(sum, zip(*(series.words for series in self.series), strict=True)))

    @property
    def shows_room(self) -> bool:
        """Whether the room of the fusion level is near enough to be in the picture."""
        return self.capacity_words <= 2 * self.peak_words

    @property
    def top(self) -> float:
        """Words up to which the axis goes: names of steps stand above the bars."""
        return 1.16 * max(self.peak_words, self.capacity_words if self.shows_room else 0)

    @property
    def step(self) -> str:
        """Which steps are drawn."""
        return "the only step" if self.steps == 1 else f"each of {self.steps:,} steps"


def drawn_timelines(result: FusionResult) -> tuple[DrawnTimeline, ...]:
    """Choose the largest groups, and the tensors that are worth a colour."""
    if result.given is None:
        return ()
    order = sorted(
        (i for i, group in enumerate(result.partition) if len(group) > 1),
        key=lambda i: (-len(result.partition[i]), i),
    )
    found = []
    for number in sorted(order[:MOST_GROUPS]):
        plan = result.plans[number]
        tile = tile_text(plan, result.graph)
        beside = result.prefetch.beside(number) if result.prefetch is not None else {}
        line = timeline(plan, result.graph, result.given, beside)
        title = f"group {number}" + (f", tile {tile}" if tile else ", whole tensors")
        found.append(_drawn(title, line))
    return tuple(found)


def _drawn(title: str, line: GroupTimeline) -> DrawnTimeline:
    largest = sorted(line.tensors, key=lambda n: -max(p.words.get(n, 0) for p in line.phases))
    own = [name for name in line.tensors if name in largest[:MOST_TENSORS]]
    rest = [name for name in line.tensors if name not in own]
    series = [
        Series(
            name,
            color(i),
            i >= len(COLORS),
            tuple(phase.words.get(name, 0) for phase in line.phases),
        )
        for i, name in enumerate(own)
    ]
    if rest:
        words = tuple(sum(p.words.get(name, 0) for name in rest) for p in line.phases)
        series.append(Series(f"{len(rest)} others", _OTHERS, False, words))
    title += f": at most {line.peak_words:,} of {line.capacity_words:,} words"
    if line.elsewhere:
        title += f"; {len(line.elsewhere)} more tensors on " + ", ".join(
            sorted(set(line.elsewhere.values()))
        )
    layers = tuple(phase.layer for phase in line.phases)
    return DrawnTimeline(title, layers, line.steps, tuple(series), line.capacity_words)


def write_timelines(folder: str | os.PathLike[str], result: FusionResult) -> tuple[Path, ...]:
    """Draw ``fusion_timelines`` as PNG, SVG and page, if any group has several layers.

    Raises
    ------
    MissingPackageError
        If plotly or Matplotlib is not installed.
    InputError
        If a file cannot be written.
    """
    pictures = drawn_timelines(result)
    if not pictures:
        return ()
    figures = draw_timelines(pictures), timelines_page(pictures)
    return write_figures(folder, "fusion_timelines", *figures)


@drawn
def draw_timelines(pictures: tuple[DrawnTimeline, ...], *, narrow: bool = False) -> Canvas:
    """Draw groups below each other with Matplotlib, the layers of each from left to right.

    Where that is narrow, they go on from top to bottom.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    if narrow:
        return _narrow(pictures)
    names = max(len(layer) for picture in pictures for layer in picture.layers)
    phases = max(len(picture.layers) for picture in pictures)
    legend = max(len(series.name) for picture in pictures for series in picture.series)
    width = 1.2 + max(0.22 * phases, 4.5) + 0.055 * legend + 0.5
    figure = canvas(width, len(pictures) * (2.6 + 0.055 * names))
    for number, picture in enumerate(pictures):
        axes = figure.add_subplot(len(pictures), 1, number + 1)
        _draw(axes, picture)
        axes.set_title("\n".join(wrap(picture.title, _LETTERS)), fontsize=SMALL, loc="left")
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(
            handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=6.5
        )
    return figure


def _narrow(pictures: tuple[DrawnTimeline, ...]) -> Canvas:
    """Draw groups below each other, the legend of each above its bars."""
    titles = [heading_lines(picture.title, NARROW) for picture in pictures]
    heights = [
        height
        for picture, title in zip(pictures, titles, strict=True)
        for height in (
            0.15 * (len(title) + len(picture.series) + picture.shows_room) + 0.1,
            0.135 * len(picture.layers) + 0.2,
        )
    ]
    figure = canvas(NARROW, sum(heights) + 0.65 * len(pictures))
    plots = figure.subplots(len(heights), 1, height_ratios=heights)
    for above, axes, picture, title in zip(plots[::2], plots[1::2], pictures, titles, strict=True):
        _draw(axes, picture, upright=False)
        above.set_axis_off()
        above.set_title("\n".join(title), fontsize=SMALL, loc="left", va="top", y=1.0)
        above.legend(*axes.get_legend_handles_labels(), loc="lower left", fontsize=TINY)
    return figure


def _draw(axes: Axes, picture: DrawnTimeline, *, upright: bool = True) -> None:
    """Draw stacks of bars, side by side, or where they are not upright below each other."""
    places = range(len(picture.layers))
    bottom = [0] * len(picture.layers)
    for series in picture.series:
        look: dict[str, Any] = {
            "facecolor": series.color,
            "label": series.name,
            "hatch": "////" if series.hatched else None,
            "edgecolor": "white",
            "linewidth": 0.0,
        }
        if upright:
            axes.bar(places, series.words, 0.94, bottom, **look)
        else:
            axes.barh(places, series.words, 0.94, bottom, **look)
        bottom = [low + words for low, words in zip(bottom, series.words, strict=True)]
    if picture.shows_room:
        room = picture.capacity_words
        line = axes.axhline if upright else axes.axvline
        line(room, color=_CAPACITY, lw=0.9, ls="--", label=f"room for {room:,}")
    ends, wide = (-0.5, len(picture.layers) - 0.5), (0, picture.top)
    words, layers = (axes.yaxis, axes.xaxis) if upright else (axes.xaxis, axes.yaxis)
    axes.set(xlim=ends, ylim=wide) if upright else axes.set(xlim=wide, ylim=ends[::-1])
    layers.set_ticks(places, picture.layers, rotation=90 if upright else 0, fontsize=6.5)
    words.set_tick_params(labelsize=TINY)
    words.set_major_formatter(lambda count, _: f"{count:,.0f}")
    if upright:
        middle = (len(picture.layers) - 1) / 2
        axes.text(middle, 0.985 * picture.top, picture.step, fontsize=TINY, ha="center", va="top")
        axes.set_ylabel("words on chip", fontsize=SMALL)
    else:
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel(f"words on chip, in {picture.step}", fontsize=SMALL)


def timelines_page(pictures: tuple[DrawnTimeline, ...]) -> Figure:
    """Draw groups below each other with plotly: point at bars for words.

    Raises
    ------
    MissingPackageError
        If plotly is not installed.
    """
    count = len(pictures)
    longest = max(len(layer) for picture in pictures for layer in picture.layers)
    legend = max(len(series.name) for picture in pictures for series in picture.series)
    phases = max(len(picture.layers) for picture in pictures)
    below = round(_LETTER * longest) + 20
    inside = count * _PLOT + (count - 1) * (below + _HEAD)
    figure = page(1, count, vertical_spacing=(below + _HEAD) / inside)
    for number, picture in enumerate(pictures, start=1):
        _add(figure, picture, {"row": number, "col": 1} if count > 1 else {}, number)
        # From the top of its plot downwards.
        above = (number - 1) * (_PLOT + below + _HEAD)
        look = {"y": 1 - above / inside, "x": 1.0, "yanchor": "top", "xanchor": "left"}
        figure.update_layout({_legend(number): look})
    margin = {"l": 90, "r": round(_LETTER * legend) + 60, "t": _HEAD + 30, "b": below}
    figure.update_layout(
        barmode="stack",
        width=margin["l"] + max(28 * phases, 560) + margin["r"],
        height=inside + margin["t"] + margin["b"],
        margin=margin,
        bargap=0.06,
    )
    return figure


def _legend(number: int) -> str:
    return "legend" if number == 1 else f"legend{number}"


def _add(figure: Figure, picture: DrawnTimeline, place: dict[str, int], number: int) -> None:
    """Add a plot: bars, the room, which steps, names of layers."""
    places = list(range(len(picture.layers)))
    for series in picture.series:
        figure.add_bar(
            x=places,
            y=series.words,
            name=series.name,
            legend=_legend(number),
            marker={"color": series.color, "pattern": {"shape": "/" if series.hatched else ""}},
            hovertemplate=f"{series.name}: %{{y:,}} words<extra></extra>",
            **place,
        )
    text = {"showarrow": False, "yref": "y domain", **place}
    figure.add_annotation(x=(len(places) - 1) / 2, y=1.0, yanchor="top", text=picture.step, **text)
    figure.add_annotation(
        x=0,
        xref="x domain",
        xanchor="left",
        y=1.0,
        yanchor="bottom",
        text="<br>".join(wrap(picture.title, _LETTERS)),
        **text,
    )
    if picture.shows_room:
        line = {"color": _CAPACITY, "dash": "dash", "width": 1}
        figure.add_hline(y=picture.capacity_words, line=line, **place)
    figure.update_xaxes(
        tickvals=places,
        ticktext=picture.layers,
        tickangle=-90,
        tickfont={"size": 11},
        range=[-0.5, len(places) - 0.5],
        **place,
    )
    figure.update_yaxes(title_text="words on chip", range=[0, picture.top], **place)
