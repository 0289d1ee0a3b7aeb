"""Machines drawn to scale: every level takes the share of the chip that its area is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.arch.architecture import Architecture
from toolkit.arch.technology import area_table
from toolkit.study.pictures.canvas import canvas
from toolkit.study.pictures.look import NARROW, TINY, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_SHADE = 0.6

_LETTER = 0.058
"""Inches: rather too much for a letter of a label."""

MOST_CELLS = 4_096
"""Instances whose borders are drawn; more are only told."""

_LABELLED = 0.045
"""Share of the area of the largest chip from which on a level has its name in it."""


@dataclass(frozen=True)
class Block:
    """One level on a chip; lengths in mm.

    Parameters
    ----------
    level : str
        Its name.
    instances : int
        How many there are.
    x, y, width, height : float
        Where it lies, from the chip's lower left corner.
    """

    level: str
    instances: int
    x: float
    y: float
    width: float
    height: float

    @property
    def area_mm2(self) -> float:
        """Of all instances."""
        return self.width * self.height

    def cells(self) -> tuple[int, int]:
        """Columns and rows of equal cells, one an instance, as square as they can be."""
        pairs = [
            (n, self.instances // n)
            for n in range(1, self.instances + 1)
            if not self.instances % n
        ]
        wanted = self.width / self.height
        return min(pairs, key=lambda p: abs(math.log(p[0] / p[1] / wanted)))


@dataclass(frozen=True)
class Chip:
    """A machine as it is drawn: a square of its area.

    Parameters
    ----------
    title : str
        What it is called.
    blocks : tuple of Block
        Levels that take area, the largest first.
    """

    title: str
    blocks: tuple[Block, ...]

    @property
    def area_mm2(self) -> float:
        """Of all of it."""
        return math.fsum(block.area_mm2 for block in self.blocks)


def chip_of(arch: Architecture, title: str) -> Chip:
    """Lay the levels of an architecture out in a square, by area alone.

    Raises
    ------
    ArchitectureError
        If a level gives no area.
    """
    rows = [
        (row.level, row.instances, row.area_total_um2 * 1e-6)
        for row in area_table(arch)
        if row.area_total_um2 > 0
    ]
    side = math.sqrt(math.fsum(area for _, _, area in rows))
    rows.sort(key=lambda row: -row[2])
    return Chip(title, tuple(_laid(rows, 0.0, 0.0, side, side)))


def _laid(
    rows: Sequence[tuple[str, int, float]], x: float, y: float, width: float, height: float
) -> list[Block]:
    """Cut a rectangle in two along its longer side, as even as may be, and go on with both."""
    if len(rows) <= 1:
        return [Block(level, count, x, y, width, height) for level, count, _ in rows]
    sums = [math.fsum(area for _, _, area in rows[:i]) for i in range(len(rows) + 1)]
    at = min(range(1, len(rows)), key=lambda i: abs(2 * sums[i] - sums[-1]))
    share = sums[at] / sums[-1]
    if width >= height:
        first = _laid(rows[:at], x, y, width * share, height)
        return first + _laid(rows[at:], x + width * share, y, width * (1 - share), height)
    first = _laid(rows[:at], x, y, width, height * share)
    return first + _laid(rows[at:], x, y + height * share, width, height * (1 - share))


@drawn
def draw_chips(
    chips: Sequence[Chip], colors: Mapping[str, str], *, narrow: bool = False
) -> Canvas:
    """Draw machines side by side, or where that is narrow below each other, all to one scale.

    Parameters
    ----------
    chips : sequence of Chip
        At least one.
    colors : mapping of str to str
        By level, in the order of the legend.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    from matplotlib.patches import Patch

    most = max(math.sqrt(chip.area_mm2) for chip in chips)
    if narrow:
        figure = canvas(NARROW, 4.4 * len(chips) + 1.4)
        plots = figure.subplots(len(chips), 1, squeeze=False)[:, 0]
    else:
        figure = canvas(max(4.2 * len(chips), 6.0), 5.2)
        plots = figure.subplots(1, len(chips), squeeze=False)[0]
    for axes, chip in zip(plots, chips, strict=True):
        draw_chip(axes, chip, colors, most)
        axes.set_title(f"{chip.title}\n{chip.area_mm2:.4g} mm²")
    handles = [
        Patch(facecolor=shade, alpha=_SHADE, label=f"{level} {_shares(level, chips)}")
        for level, shade in colors.items()
        if any(block.level == level for chip in chips for block in chip.blocks)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if narrow else 3)
    return figure


def _shares(level: str, chips: Sequence[Chip]) -> str:
    """Shares of the chips that a level takes."""
    shares = [
        sum(block.area_mm2 for block in chip.blocks if block.level == level) / chip.area_mm2
        for chip in chips
    ]
    return ", ".join(f"{share:.1%}" for share in shares)


def draw_chip(axes: Axes, chip: Chip, colors: Mapping[str, str], most: float) -> None:
    """Draw one machine by Matplotlib.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    chip : Chip
        The machine.
    colors : mapping of str to str
        By level.
    most : float
        Side in mm of the largest machine that is drawn to this scale.
    """
    for block in chip.blocks:
        _draw_block(axes, block, colors[block.level], most)
    axes.set(xlim=(0, most * 1.01), ylim=(0, most * 1.01), aspect="equal", xlabel="mm")


def _draw_block(axes: Axes, block: Block, shade: str, most: float) -> None:
    from matplotlib.patches import Rectangle

    place = block.x, block.y
    axes.add_patch(Rectangle(place, block.width, block.height, facecolor=shade, alpha=_SHADE))
    if 1 < block.instances <= MOST_CELLS:
        columns, rows = block.cells()
        xs = [block.x + block.width * i / columns for i in range(1, columns)]
        ys = [block.y + block.height * i / rows for i in range(1, rows)]
        axes.vlines(xs, block.y, block.y + block.height, colors="white", linewidths=0.25)
        axes.hlines(ys, block.x, block.x + block.width, colors="white", linewidths=0.25)
    axes.add_patch(
        Rectangle(place, block.width, block.height, fill=False, edgecolor="black", linewidth=0.8)
    )
    count = f"{block.instances:,} × " if block.instances > 1 else ""
    name, area = f"{count}{block.level}", f"{block.area_mm2:.3g} mm²"
    upright = block.height > 2 * block.width
    room = max(block.height, block.width) if upright else block.width
    inches = room / most * axes.bbox.width / axes.figure.dpi
    if block.area_mm2 >= _LABELLED * most**2 and inches > _LETTER * max(len(name), len(area)):
        axes.text(
            block.x + block.width / 2,
            block.y + block.height / 2,
            f"{name}\n{area}",
            ha="center",
            va="center",
            fontsize=TINY,
            rotation=90 if upright else 0,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.5},
        )
