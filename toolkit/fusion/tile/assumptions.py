"""What a fused group may do: loops, halos, schedules, where its tensors may wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.errors import InputError
from toolkit.fusion.tile.residency import Home

Halo = Literal["retain", "mixed", "recompute"]
"""What becomes of positions that neighbouring tiles share.

- ``retain``: kept on chip; everything is made or loaded once;
- ``mixed``: kept along inner loops, made or loaded again along the outermost one;
- ``recompute``: made or loaded again along all.
"""

HALOS: tuple[Halo, ...] = ("retain", "mixed", "recompute")

Schedule = Literal["time-shared", "pipelined"]
"""Whether the layers of a group take turns on the whole array, or each has a part of it."""

LOOPS = 4
"""Most loops of a nest: attention has four that matter (heads, queries, keys, values)."""

MOST_NESTS = 700
"""Orders of loops per group: all of four loops over six ranks."""


@dataclass(frozen=True)
class Assumptions:
    """What a fused group may do.

    Parameters
    ----------
    capacity_words : int
        Words of the fusion level.
    loops : int
        Most loops of a nest; 1 with halos retained is tiles of whole rows, or of one other rank.
    nests : int
        Orders of loops that are looked at per group; groups of many ranks have shorter nests, over
        the ranks that cut most layers.
    halos : tuple of Halo
        Ways to treat a halo, tried one by one for each tensor.
    schedule : {"time-shared", "pipelined"}
        How the layers of a group share the array.
    weights_stay : bool
        Whether the fusion level can hold weights.
    sums_cut : bool
        Whether loops may cut what a layer sums over, or along which it keeps a state. Where they
        do, sums go on from step to step, which costs nothing in words of DRAM and yet something.
    weights_cut : bool
        Whether loops may cut weights; otherwise they go over rows and columns, batches and heads.
    double_buffered : bool
        Whether the next tile from DRAM comes while the present one is used, and the last one goes
        while others run. Otherwise tiles are there once, while they are used, and transfers take
        time of their own.
    least_steps : int
        Nests of fewer steps are passed over: the fewest words may be moved in a single step, in
        which layers wait for all loads, and stores for all layers. The bound does not know of it.
    pass_by : tuple of str
        Which activations may pass by the fusion level on their way from DRAM or to it: ``input``,
        ``output``, both or none.
    inner : tuple of Home
        Further memories, inside the fusion level, that tensors between layers can wait on.
    outer : Home or None
        The fusion level, where there are inner ones.
    """

    capacity_words: int
    loops: int = LOOPS
    nests: int = MOST_NESTS
    halos: tuple[Halo, ...] = HALOS
    schedule: Schedule = "time-shared"
    weights_stay: bool = True
    sums_cut: bool = True
    weights_cut: bool = True
    double_buffered: bool = True
    least_steps: int = 1
    pass_by: tuple[str, ...] = ()
    inner: tuple[Home, ...] = ()
    outer: Home | None = None

    def __post_init__(self) -> None:
        if self.capacity_words < 1:
            raise InputError(
                f"expected at least 1 word, got {self.capacity_words}", key="capacity_words"
            )
        if self.loops not in range(1, LOOPS + 1):
            raise InputError(f"expected 1 to {LOOPS}, got {self.loops!r}", key="loops")
        if self.least_steps < 1:
            raise InputError(f"expected at least 1, got {self.least_steps}", key="least_steps")
        if self.schedule == "pipelined" and not self.double_buffered:
            raise InputError(
                "expected double-buffered tiles of layers that run at once", key="double_buffered"
            )
        if not self.halos or not set(self.halos) <= set(HALOS):
            raise InputError(
                f"expected some of {', '.join(HALOS)}, got {self.halos!r}", key="halos"
            )
