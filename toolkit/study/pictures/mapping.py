"""A mapping drawn: its loops, which tensors each moves on, and the tiles that memories hold.

A record first (`mapping_picture`), which is what tests look at; drawn by Matplotlib, narrow enough
to be read on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.mapping.loop_nest import NestLevel, NestLoop, nest_levels, statement
from toolkit.model.evaluate import Evaluation
from toolkit.study.pictures.canvas import canvas
from toolkit.study.pictures.look import (
    COLORS,
    GREY,
    INK,
    LIGHT_GREY,
    MEDIUM,
    PAPER,
    QUIET,
    SMALL,
    TINY,
    drawn,
    heading_lines,
    lighter,
    tensor_colors,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_ROW, _GAP = 0.19, 0.11
"""Inches: of a line, between levels."""

_LOOPS, _MARK, _SPACE, _TILES = 2.35, 0.22, 0.22, 1.75
"""Inches: least width of the loops, distance of the squares beside them, and from these to tiles,
and width of what is said of tiles."""

_CODE, _NAME, _NOTE = 0.054, 0.078, 0.052
"""Inches: rather too much for a letter of a loop, of the name of a level, of small text."""

_INDENT, _LEFT = 0.06, 0.12
"""Inches by which each loop is moved in, and where the outermost text begins."""

_CUT = COLORS[1]
_MONOSPACE = "DejaVu Sans Mono"
_FULL = 1e-9


@dataclass(frozen=True, slots=True)
class DrawnLoop:
    """A loop as it is drawn.

    Parameters
    ----------
    text : str
        As in the loop nest.
    cut : str
        What is cut off; empty if nothing is.
    moves : tuple of bool
        By tensor: whether each iteration needs other values of it; all others are used again.
    depth : int
        Loops outside.
    """

    text: str
    cut: str
    moves: tuple[bool, ...]
    depth: int


@dataclass(frozen=True, slots=True)
class DrawnTile:
    """What a memory holds of a tensor, or that it passes by.

    Parameters
    ----------
    tensor : str
        Its name.
    words : float or None
        Of one instance; None if the tensor passes the memory by.
    share : float
        Fraction of the capacity that all copies take; 0 of an unlimited memory.
    text : str
        The same in words.
    """

    tensor: str
    words: float | None
    share: float
    text: str


@dataclass(frozen=True, slots=True)
class DrawnLevel:
    """A level as it is drawn.

    Parameters
    ----------
    name, note : str
        Of the level; how full a memory is, or how much of a mesh is used.
    spatial : bool
        Whether its loops run in parallel.
    share : float
        Fraction of the capacity or the mesh that is used; 0 of an unlimited memory.
    loops : tuple of DrawnLoop
        Outermost first.
    tiles : tuple of DrawnTile
        Of a memory, by tensor.
    """

    name: str
    note: str
    spatial: bool
    share: float
    loops: tuple[DrawnLoop, ...]
    tiles: tuple[DrawnTile, ...]

    @property
    def rows(self) -> int:
        """Lines that it takes."""
        return 1 + max(len(self.loops), len(self.tiles))


@dataclass(frozen=True)
class MappingPicture:
    """A mapping.

    Parameters
    ----------
    title, statement : str
        What runs on what; what the innermost loop does.
    levels : tuple of DrawnLevel
        Outermost first.
    colors : dict of str to str
        By tensor.
    """

    title: str
    statement: str
    levels: tuple[DrawnLevel, ...]
    colors: dict[str, str]

    @property
    def ragged(self) -> bool:
        """Whether any loop is cut off."""
        return any(loop.cut for level in self.levels for loop in level.loops)

    @property
    def marks(self) -> float:
        """Inches from the left to the squares beside the loops: all text has room before them."""
        needed = [_LOOPS]
        for level in self.levels:
            needed.append(_NAME * len(level.name) + _NOTE * len(level.note))
            needed += [
                _INDENT * loop.depth + _CODE * len(loop.text) + _NOTE * (len(loop.cut) + 2)
                for loop in level.loops
            ]
        return _LEFT + max(needed) + 0.15

    @property
    def tiles(self) -> float:
        """Inches from the left to what is said of tiles."""
        return self.marks + _MARK * len(self.colors) + _SPACE

    @property
    def width(self) -> float:
        """Inches."""
        longest = max((len(tile.text) for level in self.levels for tile in level.tiles), default=0)
        return self.tiles + max(_TILES, _NOTE * longest + 0.8) + _LEFT


def mapping_picture(evaluation: Evaluation) -> MappingPicture:
    """Work out the picture of the mapping that was evaluated."""
    workload, conventions = evaluation.workload, evaluation.conventions
    nest = nest_levels(
        evaluation.mapping,
        evaluation.arch,
        workload,
        footprint=conventions.window_footprint,
        outermost_supplies=conventions.charge_bypassing_outermost,
    )
    indexed = [
        {term.dimension for index in tensor.indices for term in index}
        for tensor in workload.tensors
    ]
    levels, depth = [], 0
    for entry in nest:
        loops = []
        for loop in entry.loops:
            moves = tuple(loop.dimension in names for names in indexed)
            loops.append(DrawnLoop(_loop_text(entry, loop), loop.cut, moves, depth))
            depth += 1
        names = [tensor.name for tensor in workload.tensors]
        levels.append(_level(entry, tuple(loops), names))
    title = f"{workload.name} on {evaluation.arch.name}"
    return MappingPicture(title, statement(workload), tuple(levels), tensor_colors(workload))


def _loop_text(entry: NestLevel, loop: NestLoop) -> str:
    word = "parallel-for" if entry.spatial else "for"
    return f"{word} {loop.dimension.lower()} in 0..{loop.iterations}"


def _level(entry: NestLevel, loops: tuple[DrawnLoop, ...], tensors: list[str]) -> DrawnLevel:
    if entry.spatial:
        note = f"{entry.used:,} of {entry.mesh:,} instances"
        return DrawnLevel(entry.level, note, True, entry.used / entry.mesh, loops, ())
    room = entry.capacity_words
    held = {tile.tensor: tile for tile in entry.held}
    tiles = []
    for name in tensors:
        if name in held:
            tile = held[name]
            share = tile.words * entry.copies / room if room else 0.0
            text = f"{name} {tile.words:,.10g}{' for the whole run' * tile.stays}"
            tiles.append(DrawnTile(name, tile.words, share, text))
        else:
            chosen = " by choice" if name in entry.left_out else ""
            tiles.append(DrawnTile(name, None, 0.0, f"{name} passes by{chosen}"))
    if room is None:
        note, share = f"{entry.total_words:,} words, unlimited", 0.0
    else:
        share = entry.total_words * entry.copies / room
        copies = f" × {entry.copies:g}" if entry.copies != 1 else ""
        note = f"{entry.total_words:,}{copies} of {room:,} words"
    return DrawnLevel(entry.level, note, False, share, loops, tuple(tiles))


@drawn
def draw_mapping(picture: MappingPicture) -> Canvas:
    """Draw a mapping with Matplotlib.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    from matplotlib.font_manager import FontProperties

    rows = sum(level.rows for level in picture.levels)
    heading = heading_lines(picture.title, picture.width)
    heads = 0.3 + 0.15 * len(heading) + 0.042 * max(map(len, picture.colors))
    height = heads + 0.72 + 0.18 * picture.ragged + rows * _ROW + len(picture.levels) * _GAP
    figure = canvas(picture.width, height)
    figure.set_layout_engine("none")
    axes: Axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, picture.width), ylim=(height, 0))
    axes.axis("off")
    axes.text(_LEFT, 0.12, "\n".join(heading), fontsize=MEDIUM, weight="bold", va="top")
    _draw_heads(axes, picture, heads)
    y = heads + 0.05
    for level in picture.levels:
        _draw_level(axes, level, y, picture)
        y += level.rows * _ROW + _GAP
    code = FontProperties(family=_MONOSPACE, size=TINY)
    axes.text(_LEFT, y + 0.06, picture.statement, va="center", fontproperties=code)
    _draw_legend(axes, picture, y + 0.32)
    return figure


def _draw_heads(axes: Axes, picture: MappingPicture, y: float) -> None:
    for x, words in (
        (_LEFT, "loops, outermost first"),
        (picture.tiles, "tiles of one instance, in words"),
    ):
        axes.text(x, y - 0.06, words, fontsize=TINY, color=QUIET, va="center")
    for i, (name, shade) in enumerate(picture.colors.items()):
        axes.text(
            picture.marks + _MARK * (i + 0.5) - 0.05,
            y,
            name,
            fontsize=TINY,
            color=shade,
            weight="bold",
            rotation=40,
            rotation_mode="anchor",
            va="baseline",
        )


def _draw_level(axes: Axes, level: DrawnLevel, top: float, picture: MappingPicture) -> None:
    from matplotlib.patches import Rectangle

    left, right = picture.tiles, picture.width - _LEFT
    axes.add_patch(
        Rectangle((_LEFT - 0.06, top), right - _LEFT + 0.1, _ROW, fc=LIGHT_GREY, ec="none")
    )
    middle = top + _ROW / 2
    axes.text(_LEFT, middle, level.name, fontsize=SMALL, weight="bold", va="center")
    axes.text(picture.marks - 0.08, middle, level.note, fontsize=TINY, va="center", ha="right")
    _draw_use(axes, level, (left, top + 0.05, right - left, _ROW - 0.1), picture)
    for row, loop in enumerate(level.loops, start=1):
        _draw_loop(axes, loop, top + (row + 0.5) * _ROW, level.spatial, picture)
    for row, tile in enumerate(level.tiles, start=1):
        y, shade = top + (row + 0.5) * _ROW, picture.colors[tile.tensor]
        known = tile.words is not None
        axes.add_patch(
            Rectangle(
                (left, y - 0.045),
                0.09,
                0.09,
                facecolor=shade if known else PAPER,
                edgecolor=shade,
                linestyle="-" if known else ":",
                linewidth=0.8,
            )
        )
        ink = INK if known else QUIET
        axes.text(left + 0.16, y, tile.text, fontsize=TINY, va="center", color=ink)
        if tile.share > _FULL:
            shown = _percent(tile.share)
            axes.text(right, y, shown, fontsize=TINY, va="center", ha="right", color=ink)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "< 0.1%"


def _draw_use(
    axes: Axes,
    level: DrawnLevel,
    box: tuple[float, float, float, float],
    picture: MappingPicture,
) -> None:
    """Draw how full a memory is, tensor by tensor, or how much of a mesh is used."""
    from matplotlib.patches import Rectangle

    x, y, width, height = box
    room = level.share > _FULL or level.spatial
    if not room:
        return
    axes.add_patch(Rectangle((x, y), width, height, facecolor=PAPER, edgecolor=GREY, lw=0.6))
    parts = [(tile.share, picture.colors[tile.tensor]) for tile in level.tiles]
    for share, shade in [(level.share, QUIET)] if level.spatial else parts:
        axes.add_patch(Rectangle((x, y), width * min(share, 1.0), height, fc=shade, ec="none"))
        x += width * share


def _draw_loop(
    axes: Axes, loop: DrawnLoop, y: float, spatial: bool, picture: MappingPicture
) -> None:
    """Write a loop; a full square says that each iteration needs other values of a tensor."""
    from matplotlib.patches import Rectangle

    x = _LEFT + 0.06 + _INDENT * loop.depth
    label = axes.annotate(
        loop.text,
        (x, y),
        family=_MONOSPACE,
        fontsize=TINY - 0.5,
        fontstyle="italic" if spatial else "normal",
        va="center",
    )
    if loop.cut:
        axes.annotate(
            f"  {loop.cut}",
            (1.0, 0.5),
            xycoords=label,
            fontsize=TINY - 1,
            color=_CUT,
            va="center",
        )
    for i, (moves, shade) in enumerate(zip(loop.moves, picture.colors.values(), strict=True)):
        axes.add_patch(
            Rectangle(
                (picture.marks + _MARK * (i + 0.5) - 0.055, y - 0.055),
                0.11,
                0.11,
                facecolor=shade if moves else PAPER,
                edgecolor=shade if moves else lighter(shade, 0.3),
                linewidth=0.8,
            )
        )


def _draw_legend(axes: Axes, picture: MappingPicture, y: float) -> None:
    from matplotlib.patches import Rectangle

    entries = [("other values every turn", True), ("the same values again", False)]
    x = _LEFT
    for text, moves in entries:
        axes.add_patch(
            Rectangle((x, y - 0.055), 0.11, 0.11, fc=QUIET if moves else PAPER, ec=QUIET, lw=0.8)
        )
        axes.text(x + 0.17, y, text, fontsize=TINY, color=QUIET, va="center")
        x += 1.55
    words = "slanted: in parallel"
    axes.text(x, y, words, fontsize=TINY, color=QUIET, va="center", style="italic")
    if picture.ragged:
        words = "orange: ragged, and what is cut off"
        axes.text(_LEFT, y + 0.18, words, fontsize=TINY, color=_CUT, va="center")
