"""Whether all that is written in a picture can be read: nothing is cut, nothing overlaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from toolkit.study.pictures.canvas import Drawing

# Letters of neighbouring lines may touch.
_SLACK = 2.0

# Inches that 400 pixels hold without letters of less than 7.
_PHONE = 5.5


def assert_clear(figure: Figure) -> None:
    """Find text outside of a figure, or two texts over each other; slanted ones may be close."""
    boxes = list(_boxes(figure))
    whole = figure.bbox.padded(1.0)
    for text, box, _ in boxes:
        assert whole.contains(box.x0, box.y0) and whole.contains(box.x1, box.y1), text
    straight = [(text, box) for text, box, slanted in boxes if not slanted]
    for i, (text, box) in enumerate(straight):
        for other, near in straight[:i]:
            both = Bbox.intersection(box, near)
            cramped = both is not None and min(both.width, both.height) > _SLACK
            assert not cramped, (text, other)


def assert_fits(drawings: Iterable[Drawing]) -> None:
    """Find pictures that a phone does not show at a size that is read, and what is cut in them."""
    for drawing in drawings:
        shown = drawing.figure if drawing.narrow is None else drawing.narrow()
        assert shown.get_figwidth() <= _PHONE, drawing.name
        if drawing.narrow is not None:
            assert_clear(drawing.figure)
        assert_clear(shown)


def _boxes(figure: Figure) -> Iterator[tuple[str, Bbox, bool]]:
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    figure.draw_without_rendering()
    renderer, hidden = canvas.get_renderer(), _hidden(figure)
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_visible() and text.get_text().strip() and id(text) not in hidden:
            slanted = text.get_rotation() % 90 != 0
            yield text.get_text(), text.get_window_extent(renderer), slanted


def _hidden(figure: Figure) -> set[int]:
    """Labels of axes that are not drawn: all of those that are off, else those beyond the ends."""
    found = set()
    for axes in figure.axes:
        if axes.name == "3d":
            # Where its labels are is only known once they are drawn.
            found |= {id(text) for text in axes.findobj(Text)}
            continue
        for axis in (axes.xaxis, axes.yaxis):
            shown = {axis.label, axis.get_offset_text()}
            shown |= {t for tick in axis._update_ticks() for t in (tick.label1, tick.label2)}
            every = set(axis.findobj(Text))
            found |= {id(text) for text in (every - shown if axes.axison else every)}
    return found
