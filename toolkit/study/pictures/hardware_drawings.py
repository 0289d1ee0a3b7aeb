"""Which pictures show searches over hardware, and machines side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.codesign.exact.front_certificate import FrontProof
from toolkit.codesign.near_best import ParameterCurve
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.pictures.canvas import Drawing
from toolkit.study.pictures.chip import Chip, chip_of, draw_chips
from toolkit.study.pictures.drawings import machine_drawing
from toolkit.study.pictures.hardware import draw_codesign, strategy_points
from toolkit.study.pictures.look import level_colors
from toolkit.study.pictures.near_best import draw_curves, draw_tradeoffs, tradeoffs

_CHIPS = (
    "Each level takes the share of the square that its area is, all instances together; where it "
    "lies says nothing. Shares in the legend are those of the machines in their order."
)

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


def minimal_drawings(given: Architecture, least: Architecture) -> tuple[Drawing, ...]:
    """Draw a machine, and the least one that its mappings run on."""
    names = [level.name for level in given.levels]
    chips = [chip_of(given, "given"), chip_of(least, "least")]
    colors = level_colors(given, [*names, "vector_unit"])
    return (
        Drawing(
            "chips",
            "Both machines, to scale",
            _CHIPS,
            draw_chips(chips, colors),
            partial(draw_chips, chips, colors, narrow=True),
        ),
        machine_drawing(given, "machine-given", "As given"),
        machine_drawing(least, "machine-least", "The least"),
    )


def hardware_drawings(
    comparison: HardwareComparison, curves: Sequence[ParameterCurve] = ()
) -> tuple[Drawing, ...]:
    """Draw what a search over hardware found.

    Parameters
    ----------
    comparison : HardwareComparison
        What strategies found; without a feasible point there is nothing but how they went.
    curves : sequence of ParameterCurve
        Around the best point (`toolkit.codesign.near_best.parameter_curves`).

    Raises
    ------
    MissingPackageError
        If Matplotlib is not installed.
    """
    space, best = comparison.job.space, comparison.best
    points, title = strategy_points(comparison), comparison.job.title
    drawings = [
        Drawing(
            "pareto",
            "EDP against area, and how fast each strategy found",
            "Area and EDP: feasible points of all seeds, and a line around what they dominate. "
            "Points scored: the median seed's best so far, and a band from the best to the worst "
            "seed.",
            draw_codesign(points, title),
            partial(draw_codesign, points, title, narrow=True),
        )
    ]
    if best is None or best.choice is None:
        return tuple(drawings)
    if curves:
        where = ", ".join(f"{curve.name} {curve.values[curve.at]}" for curve in curves)
        drawings.append(
            Drawing(
                "parameters",
                "What each parameter does",
                f"One parameter at a time, from the best point ({where}), layers mapped by the "
                "mapper of the search; the star is what its strategy found there. Dashes: what no "
                "mapping undercuts on that hardware, as far as a proof tells.",
                draw_curves(curves, comparison.value(best)),
                partial(draw_curves, curves, comparison.value(best), narrow=True),
            )
        )
    largest = space.build(space.largest).arch
    names = [level.name for level in largest.levels]
    chips, colors = chips_of(comparison), level_colors(largest, [*names, "vector_unit"])
    traded, miss = tradeoffs(comparison), comparison.front.miss if comparison.front else None
    return (
        *drawings,
        machine_drawing(
            space.build(best.choice.parameters).arch,
            title=f"The best machine, by {best.plan.strategy}",
        ),
        Drawing(
            "chips",
            "The machines, to scale",
            _CHIPS,
            draw_chips(chips, colors),
            partial(draw_chips, chips, colors, narrow=True),
        ),
        Drawing(
            "tradeoffs",
            "Energy, latency and area",
            "All feasible points of all seeds, from three sides and in three axes; rings: no "
            "other point is better in energy, latency and area." + _missed(comparison.front),
            draw_tradeoffs(traded, miss),
            partial(draw_tradeoffs, traded, miss, narrow=True),
        ),
    )


def _missed(front: FrontProof | None) -> str:
    """Say what a proved front may miss."""
    if front is None or front.miss == math.inf:
        return ""
    return (
        " Those of exact are proved: whatever hardware of these ranges costs, one of them "
        f"exceeds none of the three by more than {front.miss:.2%}."
    )
