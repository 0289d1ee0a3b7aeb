"""A machine drawn: its hierarchy, what every level holds to scale, and its area to scale.

A record first (`machine_picture`), which is what tests look at; drawn by Matplotlib, narrow enough
to be read on a phone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Literal

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import UNLIMITED_BANDWIDTH, Compute, Fanout, Memory
from toolkit.arch.technology import area_table
from toolkit.study.pictures.canvas import canvas
from toolkit.study.pictures.chip import Chip, chip_of, draw_chip
from toolkit.study.pictures.look import (
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
    level_colors,
    lighter,
)
from toolkit.study.units import binary_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

_WIDTH, _ROW, _CHIP = 5.2, 0.68, 2.6
"""Inches: of the picture, of a level, of the square that shows areas."""

_INSET, _SPLIT, _UNDER = 0.1, 3.1, 0.09
"""Inches: by which what lies inside of a fanout is moved in, where scales begin, and what a fanout
has below all that is inside."""

_LETTER = 0.049
"""Inches: rather too much for a letter of the facts."""

_MOST_TICKS = 3

_SHADOWS = 2
"""Copies that hint at further instances."""


@dataclass(frozen=True, slots=True)
class DrawnLevel:
    """A level as it is drawn.

    Parameters
    ----------
    name : str
        As in tables.
    kind : {"memory", "fanout", "compute"}
        What it is.
    depth : int
        Fanouts outside of it.
    instances : int
        Of all machine.
    facts : str
        What the file says of it, in a line.
    size : float or None
        Of a memory: bytes of one instance, or words where not all memories say bits; None is
        unlimited.
    mesh : int
        Of a fanout: instances of what is inside.
    """

    name: str
    kind: Literal["memory", "fanout", "compute"]
    depth: int
    instances: int
    facts: str
    size: float | None = None
    mesh: int = 1


@dataclass(frozen=True)
class MachinePicture:
    """A machine.

    Parameters
    ----------
    title : str
        Its name, and how much it computes.
    levels : tuple of DrawnLevel
        Outermost first.
    unit : {"bytes", "words"}
        Of sizes.
    colors : dict of str to str
        By level.
    chip : Chip or None
        Areas, where every level that has one gives it.
    """

    title: str
    levels: tuple[DrawnLevel, ...]
    unit: Literal["bytes", "words"]
    colors: dict[str, str]
    chip: Chip | None

    @property
    def fanouts(self) -> int:
        """How many there are."""
        return sum(level.kind == "fanout" for level in self.levels)


def machine_picture(arch: Architecture) -> MachinePicture:
    """Work out the picture of a machine."""
    in_bytes = all(memory.word_bits is not None for memory in arch.memories)
    levels, depth, instances = [], 0, 1
    for level in arch.levels:
        if isinstance(level, Fanout):
            facts = _fanout(level)
            levels.append(
                DrawnLevel(level.name, "fanout", depth, instances, facts, mesh=level.mesh)
            )
            depth, instances = depth + 1, instances * level.mesh
        elif isinstance(level, Memory):
            size: float | None = level.capacity_words
            if in_bytes and size is not None and level.word_bits is not None:
                size = size * level.word_bits / 8
            facts = _memory(arch, level)
            levels.append(DrawnLevel(level.name, "memory", depth, instances, facts, size))
        else:
            levels.append(DrawnLevel(level.name, "compute", depth, instances, _compute(level)))
    lanes = instances * arch.compute.mesh
    title = f"{arch.name}: {lanes:,} multiply-accumulate{'s' * (lanes > 1)} at a time"
    if arch.clock_mhz is not None:
        title += f", {arch.clock_mhz:g} MHz"
    chip = chip_of(arch, arch.name) if _has_areas(arch) else None
    more = [row.level for row in area_table(arch)] if chip is not None else []
    unit: Literal["bytes", "words"] = "bytes" if in_bytes else "words"
    return MachinePicture(title, tuple(levels), unit, level_colors(arch, more), chip)


def _has_areas(arch: Architecture) -> bool:
    """Whether the area is known of everything on the chip."""
    inside = [level for level in arch.levels[1:] if not isinstance(level, Fanout)]
    return all(level.area_um2 is not None for level in inside)


def _memory(arch: Architecture, memory: Memory) -> str:
    bits = "" if memory.word_bits is None else f"{memory.word_bits}-bit words, "
    read, write = memory.read_energy_pj, memory.write_energy_pj
    energy = f"{read:.3g} pJ" if read == write else f"{read:.3g} and {write:.3g} pJ"
    facts = [f"{bits}{energy} to read{' or' if read == write else ' and'} write"]
    if memory.bandwidth < UNLIMITED_BANDWIDTH:
        facts.append(f"{memory.bandwidth:.4g} words/cycle")
    if memory.bypasses:
        facts.append(f"holds no {', '.join(memory.bypasses)}")
    if arch.vector_unit is not None and arch.vector_unit.memory == memory.name:
        facts.append(f"feeds {arch.vector_unit.lanes} vector lanes")
    return "; ".join(facts)


def _fanout(fanout: Fanout) -> str:
    over = ", ".join(fanout.dimensions) or "nothing"
    shared = [
        word for word, yes in (("multicast", fanout.multicast), ("sums", fanout.reduction)) if yes
    ]
    return f"over {over}" + (f"; {', '.join(shared)}" if shared else "")


def _compute(compute: Compute) -> str:
    cycles = "a cycle" if compute.cycles == 1 else f"{compute.cycles} cycles"
    return f"{compute.mesh} per step of {cycles}, {compute.mac_energy_pj:.3g} pJ each"


@drawn
def draw_machine(picture: MachinePicture) -> Canvas:
    """Draw a machine with Matplotlib: its hierarchy, sizes beside it, areas below.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    rows = _ROW * len(picture.levels) + _UNDER * picture.fanouts
    heading = heading_lines(picture.title, _WIDTH)
    tall = rows + 0.85 + 0.15 * len(heading)
    chip = picture.chip
    figure = canvas(_WIDTH, tall + (_CHIP + 0.7 if chip else 0.0))
    figure.set_layout_engine("none")
    height = float(figure.get_figheight())
    figure.text(
        0.12 / _WIDTH,
        (height - 0.2) / height,
        "\n".join(heading),
        fontsize=MEDIUM,
        weight="bold",
        va="top",
    )
    bottom = (height - tall + 0.55) / height
    share = rows / height
    _draw_hierarchy(figure.add_axes((0.0, bottom, _SPLIT / _WIDTH, share)), picture)
    room = 1 - (_SPLIT + 0.25) / _WIDTH
    _draw_sizes(figure.add_axes(((_SPLIT + 0.1) / _WIDTH, bottom, room, share)), picture)
    if chip is not None:
        side = _CHIP / _WIDTH, (_CHIP - 0.2) / height
        _draw_area(figure.add_axes((0.5 / _WIDTH, 0.5 / height, *side)), picture, chip)
    return figure


def _draw_hierarchy(axes: Axes, picture: MachinePicture) -> None:
    """Draw levels below each other, those inside of a fanout on sheets, one an instance."""
    from matplotlib.patches import FancyBboxPatch, Rectangle

    end = len(picture.levels) * _ROW
    axes.set(xlim=(0, _SPLIT), ylim=(end + _UNDER * picture.fanouts, 0))
    axes.axis("off")
    for i, level in enumerate(picture.levels):
        left, right = 0.1 + level.depth * _INSET, _SPLIT - 0.05 - level.depth * _INSET / 2
        top = i * _ROW
        if level.kind == "fanout":
            wide, below = right - left - 0.1, _UNDER * (picture.fanouts - level.depth) - 0.02
            for shadow in range(_SHADOWS, -1, -1):
                place = left + 0.035 * shadow, top + 0.06 - 0.03 * shadow
                axes.add_patch(
                    Rectangle(
                        place,
                        wide,
                        end + below - place[1] - 0.03 * shadow,
                        facecolor=PAPER,
                        edgecolor=GREY if shadow else QUIET,
                        linewidth=0.7,
                    )
                )
            _write(axes, left + 0.1, top, level, wide - 0.1)
            continue
        shade = picture.colors[level.name]
        axes.add_patch(
            FancyBboxPatch(
                (left + 0.06, top + 0.1),
                right - left - 0.22,
                _ROW - 0.14,
                boxstyle="round,pad=0,rounding_size=0.04",
                facecolor=lighter(shade, 0.82),
                edgecolor=shade,
                linewidth=0.9,
            )
        )
        _write(axes, left + 0.13, top, level, right - left - 0.32)


def _write(axes: Axes, x: float, top: float, level: DrawnLevel, width: float) -> None:
    """Write the name of a level, how many instances there are, and below it what it is."""
    name = level.name
    if level.kind == "fanout":
        name = f"{level.name}: {level.mesh:,} instances"
    elif level.instances > 1:
        name = f"{level.instances:,} × {level.name}"
    axes.text(x, top + 0.2, name, fontsize=SMALL, weight="bold", va="center")
    facts = "\n".join(wrap(level.facts, int(width / _LETTER)))
    axes.text(x, top + 0.28, facts, fontsize=TINY - 0.5, color=QUIET, va="top", linespacing=1.15)


def _draw_sizes(axes: Axes, picture: MachinePicture) -> None:
    """Draw what memories hold on one logarithmic scale: one instance dark, all of them light."""
    memories = [(i, level) for i, level in enumerate(picture.levels) if level.kind == "memory"]
    known = [level.size for _, level in memories if level.size]
    least = min(known, default=1.0)
    most = max((level.size * level.instances for _, level in memories if level.size), default=1.0)
    low, high = least / 4, most * 4
    end = len(picture.levels) * _ROW + _UNDER * picture.fanouts
    axes.set(xscale="log", xlim=(low, high), ylim=(end, 0))
    for i, level in memories:
        middle, shade = (i + 0.55) * _ROW, picture.colors[level.name]
        if level.size is None:
            axes.barh(
                middle, high - low, 0.14, low, color=LIGHT_GREY, hatch="////", edgecolor=GREY
            )
            text = "unlimited"
        else:
            every = level.size * level.instances
            axes.barh(middle, every - low, 0.14, low, color=lighter(shade, 0.6))
            axes.barh(middle, level.size - low, 0.14, low, color=shade)
            text = _amount(level.size, picture.unit)
            if level.instances > 1:
                text = f"{level.instances:,} × {text} = {_amount(every, picture.unit)}"
        axes.text(low, middle - 0.15, text, fontsize=TINY, va="center")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    ticks = _ticks(low, high)
    axes.set_xticks(ticks, [_amount(value, picture.unit, short=True) for value in ticks])
    axes.tick_params(axis="x", labelsize=TINY)
    axes.minorticks_off()
    axes.grid(axis="x", alpha=0.4)
    label = "dark: one instance, light: all"
    axes.set_xlabel(f"{label} ({picture.unit})", fontsize=TINY, color=QUIET)


def _ticks(low: float, high: float) -> list[float]:
    """Choose powers of two with room for their names: the first step of which few are needed."""
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    step = next(s for s in (1, 2, 3, 4, 6, 8, 10, 20, 40, 80) if (last - first) / s <= _MOST_TICKS)
    return [2.0**p for p in range(-(-first // step) * step, last + 1, step)]


def _amount(count: float, unit: Literal["bytes", "words"], *, short: bool = False) -> str:
    """Write an amount of memory."""
    if unit == "bytes":
        return binary_bytes(count)
    return f"{count:,.0f}" if short else f"{count:,.0f} words"


def _draw_area(axes: Axes, picture: MachinePicture, chip: Chip) -> None:
    """Draw the area of all levels, and a legend beside it."""
    draw_chip(axes, chip, picture.colors, math.sqrt(chip.area_mm2))
    axes.set_title(f"area, to scale: {chip.area_mm2:.4g} mm²", fontsize=SMALL, loc="left")
    for place, block in enumerate(chip.blocks):
        y = 0.95 - 0.11 * place
        axes.text(
            1.05,
            y,
            "■",
            color=picture.colors[block.level],
            fontsize=SMALL,
            transform=axes.transAxes,
        )
        axes.text(
            1.13,
            y,
            f"{block.level}: {block.area_mm2:.3g} mm², {block.area_mm2 / chip.area_mm2:.1%}",
            fontsize=TINY,
            transform=axes.transAxes,
            color=INK,
        )
