"""Options of `toolkit network --fusion` that say what fusing costs besides the mappings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.fusion import FusionOverhead

OverheadEnergy = Annotated[
    float | None,
    typer.Option(
        "--fusion-overhead-pj",
        metavar="PJ",
        help="Energy that fusing two layers costs besides: a group of n layers pays it n - 1 "
        "times; 0 by default.",
        show_default=False,
    ),
]
OverheadCycles = Annotated[
    float | None,
    typer.Option(
        "--fusion-overhead-cycles",
        metavar="CYCLES",
        help="Cycles that fusing two layers costs besides, likewise; 0 by default.",
        show_default=False,
    ),
]


def read_overhead(
    energy_pj: float | None, cycles: float | None, *, fused_layers: bool
) -> FusionOverhead:
    """Read what fusing costs besides the mappings.

    Raises
    ------
    InputError
        If it is given where no layers are fused, or is no number from 0.
    """
    from toolkit.fusion import FusionOverhead

    options = {"--fusion-overhead-pj": energy_pj, "--fusion-overhead-cycles": cycles}
    for option, value in options.items():
        if value is not None and not fused_layers:
            raise InputError("means nothing without --fusion or --group", source=option)
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(f"expected a number from 0, got {value:g}", source=option)
    return FusionOverhead(energy_pj or 0.0, cycles or 0.0)
