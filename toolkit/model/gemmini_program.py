"""What Gemmini executes for a mapping, counted from the mapping alone.

The cost model counts words that move; a real Gemmini also spends cycles on every tile, every
request to memory and every short row. These are counted here, tile by tile as Gemmini's library
runs them (`toolkit.model.gemmini_library`), for a fitted latency (`toolkit.model.correction`):

    run + sum over tiles of the longest of: setting it up, its array cycles, its transfers
        + a cycle for every row that is loaded because a count wraps around

because one tile is set up while others are loaded and worked on (``LoopConv.scala`` and
``ReservationStation.scala`` of github.com/ucb-bar/gemmini). Array cycles are known from its
sources and not fitted: no published RTL run takes fewer, and the fastest takes 0.004 % more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.model.gemmini_library import (
    SLIDING,
    TILE_ORDER,
    LibraryTiles,
    library_tiles,
    stride,
    wrapped_rows,
)
from toolkit.workload.kernel import Workload

SETUPS = ("product_tile", "convolution_tile")
"""Tiles that are set up, of matrix products and of convolutions."""

TRANSFERS = ("beat", "cache_line", "output_row", "weight_page", "output_page")
"""What passes between the scratchpad, the accumulator and memory:

beat
    16 bytes, the width of the bus, of inputs or weights; each row of a tile (the channels of a
    pixel, the filters of a channel) begins anew.
cache_line
    64 bytes that the cache in front of DRAM, 512 KiB as is Chipyard's default, does not have.
output_row
    Output channels of a pixel, as many as the array is wide.
weight_page, output_page
    Another page of 4 KiB of addresses, of which the DMA remembers four (``tlb_size``).
"""

ACTIVITIES = ("run", *SETUPS, *TRANSFERS)
"""What costs cycles in a fit; ``run`` is once per layer."""

_BEAT_BYTES = 16
_LINE_BYTES = 64
_CACHE_BYTES = 2**19
_PAGE_BYTES = 4096
_SHORTEST_ROWS = 4
"""Rows that an instruction of the array takes at least (``total_rows`` of ExecuteController)."""


@dataclass(frozen=True, slots=True)
class ProgramCounts:
    """Activities of a batch of mappings, over all tiles of the same shape: up to four of a layer.

    Outputs may leave smaller tiles at the end of either side.

    Parameters
    ----------
    setups : float array, shape (batch, shapes, len(SETUPS))
    array_cycles : float array, shape (batch, shapes)
        Per block of weights a cycle for each output pixel; an instruction takes at most as many of
        an output row as the array is wide, and at least four cycles. The first takes as many as
        the array is wide: so long the next block takes to move in.
    transfers : float array, shape (batch, shapes, len(TRANSFERS))
    wrapped_rows : float array, shape (batch,)
        See `toolkit.model.gemmini_library.wrapped_rows`.
    """

    setups: FloatArray
    array_cycles: FloatArray
    transfers: FloatArray
    wrapped_rows: FloatArray

    def latency_cycles(self, cycles_per: FloatArray) -> FloatArray:
        """Work out the latencies, shape (batch,), from cycles per activity, in their order."""
        run, setup, transfer = np.split(cycles_per, [1, 1 + len(SETUPS)])
        parts = (self.setups @ setup, self.array_cycles, self.transfers @ transfer)
        latency: FloatArray = run + np.maximum.reduce(parts).sum(axis=1) + self.wrapped_rows
        return latency

    def rows(self, chosen: NDArray[np.bool_] | IntArray) -> ProgramCounts:
        """Take some mappings of the batch."""
        return ProgramCounts(
            self.setups[chosen],
            self.array_cycles[chosen],
            self.transfers[chosen],
            self.wrapped_rows[chosen],
        )


def program_counts(workload: Workload, factors: IntArray) -> ProgramCounts:
    """Count the activities of a batch of mappings over the whole run.

    Parameters
    ----------
    workload : Workload
        A convolution with the dimensions M, P, Q, C, R and S.
    factors : int array, shape (batch, 7, dimensions)
        Factors on the seven levels of ``gemmini-ws`` or ``gemmini-rtl``.
    """
    tiles = library_tiles(workload, factors)
    shape, outputs = _shapes(tiles)
    sums = _product({d: tiles.tiles(d) for d in "CRS"})[:, None]
    count = outputs * sums
    steps = {"P": stride(workload, "P"), "Q": stride(workload, "Q")}
    blocks = shape["R"] * shape["S"] * _per(shape["M"], tiles.width[:, None])
    blocks = blocks * _per(shape["C"], tiles.width[:, None])
    rows, columns = (_inputs(tiles, shape, pair, steps) for pair in SLIDING)
    taps, pixels = shape["R"] * shape["S"], shape["P"] * shape["Q"]
    filters = tiles.sizes["M"] / _PAGE_BYTES
    beats = rows * columns * _per(shape["C"], _BEAT_BYTES)
    beats = beats + taps * shape["C"] * _per(shape["M"], _BEAT_BYTES)
    share = count * pixels / (count * pixels).sum(axis=1, keepdims=True)
    transfers = {
        "beat": count * beats,
        "cache_line": share * _lines_missed(tiles, steps)[:, None],
        "output_row": outputs * pixels * _per(shape["M"], tiles.width[:, None]),
        "weight_page": count * taps * np.clip(shape["C"] * filters, 1, shape["C"]),
        "output_page": outputs * shape["Q"] * np.clip(shape["P"] * filters, 1, shape["P"]),
    }
    nothing = np.zeros_like(count)
    return ProgramCounts(
        np.stack([count, nothing] if tiles.product else [nothing, count], axis=2),
        count * blocks * _array_cycles(shape, tiles.width[:, None]),
        np.stack([transfers[name] for name in TRANSFERS], axis=2),
        wrapped_rows(workload, factors),
    )


def _shapes(tiles: LibraryTiles) -> tuple[dict[str, FloatArray], FloatArray]:
    """Extents of the up to four shapes of tiles, [batch, 4], and how many have other outputs."""
    shape = {d: extent.astype(np.float64)[:, None] for d, extent in tiles.extents.items()}
    ends = {}
    for d in "PQ":
        complete = np.floor(tiles.sizes[d] / shape[d])
        rest = tiles.sizes[d] - complete * shape[d]
        extents = np.concatenate([shape[d], np.maximum(rest, 1)], axis=1)
        ends[d] = extents, np.concatenate([complete, rest > 0], axis=1)
    shape["P"], shape["Q"] = np.tile(ends["P"][0], 2), np.repeat(ends["Q"][0], 2, axis=1)
    count = np.tile(ends["P"][1], 2) * np.repeat(ends["Q"][1], 2, axis=1)
    return shape, count * tiles.tiles("M")[:, None]


def _array_cycles(shape: Mapping[str, FloatArray], width: IntArray) -> FloatArray:
    """Cycles of a block of weights: those of its instructions."""
    whole = _per(shape["P"], width) - 1
    last = np.maximum(shape["P"] - whole * width, _SHORTEST_ROWS)
    full = np.maximum(width, _SHORTEST_ROWS)
    first = np.where(whole > 0, full, last)
    cycles: FloatArray = shape["Q"] * (whole * full + last) - first + width
    return cycles


def _inputs(
    tiles: LibraryTiles,
    shape: Mapping[str, FloatArray],
    pair: tuple[str, str],
    steps: Mapping[str, int],
) -> FloatArray:
    """Input rows or columns that a tile loads; filters of one value skip those in between."""
    output, tap = pair
    if tiles.sizes[tap] == 1:
        return shape[output]
    return steps[output] * (shape[output] - 1) + shape[tap]


def _lines_missed(tiles: LibraryTiles, steps: Mapping[str, int]) -> FloatArray:
    """Cache lines that come from DRAM in the whole run, [batch].

    Those of the outermost loop over tiles inside of which all that is touched fits the cache are
    fetched once in each of its iterations; none, if the whole layer fits.
    """
    extents = {d: extent.astype(np.float64) for d, extent in tiles.extents.items()}
    times = _product({d: tiles.tiles(d) for d in tiles.sizes})
    lines = _lines_touched(extents, tiles.sizes, steps)
    missed, fits = lines * times, lines * _LINE_BYTES <= _CACHE_BYTES
    for d in reversed(TILE_ORDER):
        count = tiles.tiles(d)
        extents[d], times = np.minimum(extents[d] * count, tiles.sizes[d]), times / count
        lines = _lines_touched(extents, tiles.sizes, steps)
        fits = fits & (lines * _LINE_BYTES <= _CACHE_BYTES)
        missed = np.where(fits, lines * times, missed)
    return np.where(fits, 0.0, missed)


def _lines_touched(
    extents: Mapping[str, FloatArray], sizes: Mapping[str, int], steps: Mapping[str, int]
) -> FloatArray:
    """Lines that hold a tile of inputs, weights and outputs; channels lie together."""

    def lines(d: str) -> FloatArray:
        if sizes[d] < _LINE_BYTES:
            return np.full_like(extents[d], sizes[d] / _LINE_BYTES)
        return _per(extents[d], _LINE_BYTES)

    rows, columns = (
        steps[output] * (extents[output] - 1) + extents[tap] for output, tap in SLIDING
    )
    weights = extents["R"] * extents["S"] * extents["C"] * lines("M")
    total: FloatArray = (
        rows * columns * lines("C") + weights + extents["P"] * extents["Q"] * lines("M")
    )
    return total


def _per(extent: FloatArray, together: IntArray | int) -> FloatArray:
    """Pieces of a size that an extent takes."""
    pieces: FloatArray = np.ceil(extent / together)
    return pieces


def _product(counts: Mapping[str, IntArray]) -> FloatArray:
    product: FloatArray = np.prod(np.stack([*counts.values()]).astype(np.float64), axis=0)
    return product
