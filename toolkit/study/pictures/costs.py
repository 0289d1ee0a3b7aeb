"""Bars of what one mapping costs: energy by level and tensor, cycles by what they are spent on.

A record first (`cost_picture`), which is what tests look at; drawn by Matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolkit.display import energy_unit, short_energy
from toolkit.model.evaluate import Evaluation
from toolkit.model.reuse import movements
from toolkit.model.tables import PortUse
from toolkit.model.words import CycleParts, cycle_parts, energy_parts
from toolkit.study.pictures.canvas import canvas
from toolkit.study.pictures.look import (
    COLORS,
    GREY,
    INK,
    MEDIUM,
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

_WIDTH, _ROW = 5.4, 0.26
_ROOM = 0.3
"""Share of a plot that is kept right of the longest bar, for what is written there."""

MACS, LEAKAGE = "multiply-accumulates", "leakage"
_OTHER_COLORS = {MACS: QUIET, LEAKAGE: GREY, "all traffic": GREY}

IDEAL = "work"
# None of them is that of a tensor of three.
_LOST_COLORS = {
    "idle instances": COLORS[4],
    "cut-off tiles": "#8c6d1f",
    "waits": COLORS[5],
    "stalls": COLORS[3],
    "hops": "#000000",
    "rounded up": GREY,
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A stack of parts.

    Parameters
    ----------
    name : str
        A level, a port, or the run.
    parts : tuple of (str, float)
        A tensor or what else it is, and how much: pJ or cycles.
    note : str
        What all of it is, in words.
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    note: str

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(value for _, value in self.parts)


@dataclass(frozen=True)
class CostPicture:
    """What a mapping costs.

    Parameters
    ----------
    title : str
        What runs on what, and its cost.
    energy : tuple of Bar
        By level, outermost first: all bars together are the energy (pJ).
    run : Bar
        Cycles of the run: all parts together are the latency.
    ports : tuple of Bar
        Cycles in which one instance of each port transfers words, outermost first; where the port
        serves several tensors they are divided by the words of all instances.
    colors : dict of str to str
        By tensor, and of all other parts.
    """

    title: str
    energy: tuple[Bar, ...]
    run: Bar
    ports: tuple[Bar, ...]
    colors: dict[str, str]


def cost_picture(evaluation: Evaluation) -> CostPicture:
    """Work out the bars of the mapping that was evaluated."""
    workload = evaluation.workload
    energy, cycles = evaluation.energy_pj, evaluation.latency_cycles
    title = f"{workload.name} on {evaluation.arch.name}: {short_energy(energy)}, "
    title += f"{cycles:,.0f} cycles"
    colors = {**tensor_colors(workload), **_OTHER_COLORS, IDEAL: QUIET, **_LOST_COLORS}
    moved = _moved(evaluation)
    ports = tuple(
        _port(evaluation, port, moved) for use in evaluation.movers for port in use.ports
    )
    run = _run(cycle_parts(evaluation))
    return CostPicture(title, _energy(evaluation), run, ports, colors)


def _energy(evaluation: Evaluation) -> tuple[Bar, ...]:
    parts: dict[str, dict[str, float]] = {entry.level: {} for entry in evaluation.energies}
    for part in energy_parts(evaluation):
        row = parts.setdefault(part.level, {})
        name = part.tensor or part.what
        row[name] = row.get(name, 0.0) + part.energy_pj
    order = [tensor.name for tensor in evaluation.workload.tensors] + [MACS, LEAKAGE]
    total = evaluation.energy_pj or 1.0
    bars = []
    for level, row in parts.items():
        own = sum(row.values())
        note = f"{short_energy(own, 3)}, {own / total:.1%}"
        bars.append(Bar(level, tuple((n, row[n]) for n in order if row.get(n)), note))
    return tuple(bars)


def _moved(evaluation: Evaluation) -> dict[tuple[str, str], dict[str, float]]:
    """Words by level and kind of traffic, tensor by tensor."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for movement in movements(evaluation):
        row = found.setdefault((movement.level, movement.kind), {})
        row[movement.tensor] = row.get(movement.tensor, 0.0) + movement.charged_words
    return found


def _port(
    evaluation: Evaluation, use: PortUse, moved: dict[tuple[str, str], dict[str, float]]
) -> Bar:
    shares: dict[str, float] = {}
    for kind in use.port.kinds:
        for tensor, words in moved.get((use.level, kind), {}).items():
            shares[tensor] = shares.get(tensor, 0.0) + words
    total, busy = sum(shares.values()), use.busy_cycles
    order = [t.name for t in evaluation.workload.tensors if shares.get(t.name)]
    parts = tuple((name, busy * shares[name] / total) for name in order)
    share = busy / evaluation.latency_cycles if evaluation.latency_cycles else 0.0
    name = f"{use.level} {use.port.name}"
    return Bar(name, parts or (("all traffic", busy),), f"busy {share:.1%}")


def _run(parts: CycleParts) -> Bar:
    share = parts.ideal_cycles / parts.latency_cycles if parts.latency_cycles else 0.0
    return Bar("the run", ((IDEAL, parts.ideal_cycles), *parts.lost.items()), f"{share:.1%} work")


@drawn
def draw_costs(picture: CostPicture) -> Canvas:
    """Draw bars with Matplotlib: energy above, cycles below.

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    rows = len(picture.energy), 1 + len(picture.ports)
    figure = canvas(_WIDTH, sum(rows) * _ROW + 2.6)
    energy, cycles = figure.subplots(2, 1, height_ratios=rows)
    most = max((bar.total for bar in picture.energy), default=0.0)
    unit, scale = energy_unit(most)
    _draw_bars(energy, picture.energy, picture.colors, scale)
    energy.set_xlabel(f"energy of all instances ({unit})")
    _draw_bars(cycles, (picture.run, *picture.ports), picture.colors, 1.0)
    cycles.axvline(picture.run.total, color=INK, linewidth=0.7, linestyle=":")
    cycles.set_xlabel("cycles of the run, and those in which a port is busy")
    cycles.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
    cycles.xaxis.get_major_locator().set_params(nbins=4)
    _legend(figure, energy, picture, [n for bar in picture.energy for n, _ in bar.parts])
    _legend(figure, cycles, picture, [n for n, _ in picture.run.parts])
    heading = "\n".join(heading_lines(picture.title, _WIDTH))
    figure.suptitle(heading, fontsize=MEDIUM, weight="bold", x=0.02, ha="left")
    return figure


def _draw_bars(axes: Axes, bars: Sequence[Bar], colors: dict[str, str], scale: float) -> None:
    longest = max((bar.total for bar in bars), default=0.0) / scale or 1.0
    for row, bar in enumerate(bars):
        left = 0.0
        for name, value in bar.parts:
            axes.barh(
                row,
                value / scale,
                0.62,
                left,
                color=colors[name],
                hatch="////" if name == LEAKAGE else None,
                edgecolor=lighter(colors[name], 0.5) if name == LEAKAGE else "none",
            )
            left += value / scale
        axes.text(left + 0.01 * longest, row, bar.note, fontsize=TINY, va="center")
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars], fontsize=SMALL)
    axes.set(ylim=(len(bars) - 0.5, -0.5), xlim=(0, longest * (1 + _ROOM)))
    axes.grid(axis="x", alpha=0.4)
    axes.tick_params(axis="y", length=0)


def _legend(figure: Canvas, axes: Axes, picture: CostPicture, names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    shown = [name for name in picture.colors if name in set(names)]
    handles = [
        Patch(
            facecolor=picture.colors[name],
            hatch="////" if name == LEAKAGE else None,
            edgecolor="white" if name == LEAKAGE else "none",
            label=name,
        )
        for name in shown
    ]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=4,
        handlelength=1.0,
        columnspacing=1.2,
        borderaxespad=0.3,
    )
