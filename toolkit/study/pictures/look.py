"""The one look of all pictures and pages: colours, markers, fonts, lines and legends.

Whatever draws with Matplotlib is marked by `drawn`, which sets all that while it runs and leaves
the settings of whoever calls it as they were; pages of plotly get `PLOTLY` from
`toolkit.study.pictures.canvas.page`, and reports `PAGE_STYLE`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, ParamSpec, TypeVar

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout
from toolkit.extras import missing
from toolkit.model.vector_unit import UNIT
from toolkit.workload.kernel import Workload

Asked = ParamSpec("Asked")
Made = TypeVar("Made")

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which all readers can tell apart."""

# Of what has no black lines of another meaning; brown stands for Okabe and Ito's yellow, which is
# hard to see on white.
_MANY_COLORS = (*COLORS, "#000000", "#8c6d1f")
_MARKERS = ("o", "s", "D", "^", "v", "p", "*", "h")
_LINES = ("solid", "dashed", "dotted")

INK, QUIET, GREY, LIGHT_GREY, PAPER = "#222222", "#666666", "#b0b0b0", "#e6e6e6", "#ffffff"
"""Text; text and lines that stand back; what is left over; bands behind text; ground."""

LARGE, MEDIUM, SMALL, TINY = 10.0, 9.0, 8.0, 7.0
"""Points: titles, labels, legends and ticks, notes inside of plots."""

NARROW = 4.3
"""Inches: width of what a picture is where the screen is that of a phone."""

_HEADING_LETTER = 0.084
"""Inches: rather too much for a letter of `MEDIUM` in bold."""

MATPLOTLIB: dict[Any, Any] = {
    # Comes with Matplotlib, so that pictures are the same everywhere.
    "font.family": "DejaVu Sans",
    "font.size": MEDIUM,
    "text.color": INK,
    "axes.titlesize": LARGE,
    "axes.labelsize": MEDIUM,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "grid.color": GREY,
    "grid.linewidth": 0.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.titlesize": LARGE,
    "figure.facecolor": PAPER,
    "hatch.linewidth": 0.6,
}
"""Settings of Matplotlib's while one of our pictures is drawn."""

PLOTLY: dict[str, Any] = {
    "template": "plotly_white",
    "font": {"family": "DejaVu Sans, Verdana, system-ui, sans-serif", "size": 12, "color": INK},
    "colorway": list(COLORS),
}
"""Layout of every page of plotly's."""

PAGE_STYLE = """
body { font-family: "DejaVu Sans", Verdana, system-ui, sans-serif; color: #222; font-size: .9rem;
       margin: 1.5rem auto; max-width: 86rem; padding: 0 1rem; line-height: 1.45; }
h1 { font-size: 1.4rem; line-height: 1.25; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
h3 { font-size: .95rem; margin: 1.4rem 0 .4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .2rem .7rem; text-align: right; }
td { white-space: nowrap; } th { vertical-align: bottom; }
th { border-bottom: 1px solid #888; white-space: pre-line; font-weight: 600; }
tr:nth-child(even) td { background: #f5f5f5; }
.names1 td:first-child, .names1 th:first-child, .names2 td:nth-child(-n+2),
.names2 th:nth-child(-n+2), td.left, th.left { text-align: left; }
td.left { white-space: normal; overflow-wrap: break-word; }
.scroll { overflow-x: auto; max-width: 100%; } .aside { color: #555; font-size: .85rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0; }
dt { color: #555; } dd { margin: 0; overflow-wrap: anywhere; }
pre { font: .8rem/1.4 "DejaVu Sans Mono", Consolas, monospace; overflow-x: auto; }
.drawn { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
.drawn figure { margin: 0; flex: 1 1 auto; }
.drawn .slim { display: none; }
.drawn svg, .drawn img { max-width: 100%; height: auto; display: block; }
figcaption { color: #555; font-size: .85rem; margin-bottom: .5rem; }
@media (max-width: 46rem) { .drawn .slim { display: block; } .drawn .broad { display: none; } }
@media (max-width: 32rem) { body { padding: 0 .5rem; } th, td { padding: .15rem .4rem; }
       dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .35rem; } }
"""


@dataclass(frozen=True, slots=True)
class Style:
    """A colour as ``#rrggbb``, a line and a marker as Matplotlib names them, a size in points."""

    color: str
    line: str
    marker: str
    size: float


def style(place: int) -> Style:
    """Choose how the strategy at a place in the list of all looks.

    Later markers are smaller, so that those of equal points are all seen.
    """
    turn = place // len(_MANY_COLORS)
    return Style(
        _MANY_COLORS[place % len(_MANY_COLORS)],
        _LINES[turn % len(_LINES)],
        _MARKERS[place % len(_MARKERS)],
        max(13.0 - 1.5 * place, 5.0),
    )


def color(place: int) -> str:
    """Choose the colour of a series, an operator or a group by its place; six recur."""
    return COLORS[place % len(COLORS)]


def lighter(shade: str, share: float = 0.5) -> str:
    """Mix a colour with white.

    Examples
    --------
    >>> lighter("#000000")
    '#7f7f7f'
    """
    channels = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{int(c + (255 - c) * share):02x}" for c in channels)


def tensor_colors(workload: Workload) -> dict[str, str]:
    """A colour for every tensor: the output has one of its own, whatever its place is."""
    inputs = [tensor.name for tensor in workload.tensors if tensor.role != "output"]
    shades = (COLORS[0], COLORS[1], *COLORS[3:])
    found = {name: shades[i % len(shades)] for i, name in enumerate(inputs)}
    return {t.name: found.get(t.name, COLORS[2]) for t in workload.tensors}


def level_colors(arch: Architecture, more: Iterable[str] = ()) -> dict[str, str]:
    """A colour for every level: memories and the compute level, the vector unit, what else is.

    Parameters
    ----------
    arch : Architecture
        Whose levels.
    more : iterable of str
        Other names, such as fanouts that take energy or area.
    """
    named = [level.name for level in arch.levels if not isinstance(level, Fanout)]
    names = dict.fromkeys([*named, UNIT, *more])
    turns = ((name, *divmod(place, len(_MANY_COLORS))) for place, name in enumerate(names))
    return {
        name: lighter(_MANY_COLORS[place], 0.5) if turn else _MANY_COLORS[place]
        for name, turn, place in turns
    }


def heading_lines(title: str, inches: float) -> list[str]:
    """Break a bold heading of a picture that is so many inches wide."""
    return wrap(title, int((inches - 0.2) / _HEADING_LETTER)) or [""]


def drawn(draw: Callable[Asked, Made]) -> Callable[Asked, Made]:
    """Mark a function that draws with Matplotlib: while it runs, all has the one look."""

    @functools.wraps(draw)
    def in_one_look(*args: Asked.args, **kwargs: Asked.kwargs) -> Made:
        try:
            from matplotlib import rc_context
        except ImportError:
            raise missing("a picture", "Matplotlib", "study") from None
        with rc_context(MATPLOTLIB):
            return draw(*args, **kwargs)

    return in_one_look
