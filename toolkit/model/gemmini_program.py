"""What Gemmini's runtime executes for a mapping, counted from the mapping alone.

The cost model counts words that move; a real Gemmini also spends cycles on every tile, every
instruction and every short row of memory. These are counted here, as features of a fitted
latency (see `toolkit.model.correction`). What the runtime does was worked out from the published
RTL runs: none takes fewer cycles than its blocks of weights meet output pixels, and the fastest
takes 0.06 % more. Why it does so is a conjecture.

- The array is as wide as the mapping unrolls M and C, rounded up to a power of two. Tiles are cut
  into blocks of that width, and partly filled blocks cost as much as full ones.
- Every DRAM tile loads its inputs and weights anew, whatever the loop order.
- Convolutions run with square outputs, of the longer side.
- Matrix products (filters of one value and a single output column) take tiles in whole blocks of
  the array: one for every 16 elements of the mapping's tile, at least one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Workload

FloatArray = NDArray[np.float64]

ACTIVITIES = (
    "run",
    "tile",
    "array_cycle",
    "instruction",
    "input_word",
    "input_row",
    "weight_word",
)
"""What costs cycles, in the order of `program_counts`:

run
    One per layer.
tile
    A DRAM tile: one pass of the loops inside the outermost memory.
array_cycle
    Per block of weights one for each output pixel of the tile, at least as many as the array is
    wide (which is how long the next block of weights takes to load).
instruction
    Per block of weights and output column, one for each array width of output rows.
input_word, input_row, weight_word
    Loaded from DRAM, tile by tile; a row is what lies together, up to four array widths.
"""

_RUNTIME_BLOCK = 16
_BLOCKS_PER_ROW = 4


@dataclass(frozen=True, slots=True)
class _Tiles:
    """DRAM tiles of a batch, arrays of shape [batch]: how many, and what one holds."""

    count: FloatArray
    blocks: FloatArray
    """Blocks of weights."""
    rows: FloatArray
    columns: FloatArray
    pixels: FloatArray
    """Input pixels of one channel."""
    channels: FloatArray
    filters: FloatArray
    taps: FloatArray


def array_width(workload: Workload, factors: IntArray) -> FloatArray:
    """Width of the array that a mapping on Gemmini needs: a power of two, shape [batch].

    Parameters
    ----------
    workload : Workload
        A convolution with the dimensions M, P, Q, C, R and S.
    factors : int array, shape (batch, 7, dimensions)
        Factors on the seven levels of ``gemmini-ws``.
    """
    position = {d: i for i, d in enumerate(workload.dimensions)}
    columns, rows = factors[:, 2, position["M"]], factors[:, 4, position["C"]]
    width: FloatArray = 2.0 ** np.ceil(np.log2(np.maximum(columns, rows)))
    return width


def program_counts(workload: Workload, factors: IntArray) -> FloatArray:
    """Count the activities of a batch of mappings over the whole run.

    Parameters
    ----------
    workload, factors
        As for `array_width`.

    Returns
    -------
    float64 array, shape (batch, activities)
        In the order of `ACTIVITIES`.
    """
    width = array_width(workload, factors)
    sizes = workload.sizes
    if sizes["Q"] == sizes["R"] == sizes["S"] == 1:
        tiles = _product_tiles(workload, factors, width)
    else:
        tiles = _convolution_tiles(workload, factors, width)
    blocks = tiles.count * tiles.blocks
    counts = {
        "run": np.ones(len(factors)),
        "tile": tiles.count,
        "array_cycle": blocks * np.maximum(tiles.rows * tiles.columns, width),
        "instruction": blocks * tiles.columns * np.ceil(tiles.rows / width),
        "input_word": tiles.count * tiles.pixels * tiles.channels,
        "input_row": tiles.count
        * tiles.pixels
        * np.ceil(tiles.channels / (_BLOCKS_PER_ROW * width)),
        "weight_word": tiles.count * tiles.taps * tiles.channels * tiles.filters,
    }
    return np.stack([counts[activity] for activity in ACTIVITIES], axis=1)


def _below_dram(workload: Workload, factors: IntArray) -> dict[str, FloatArray]:
    tile = factors[:, 1:].astype(np.float64).prod(axis=1)
    return {d: tile[:, i] for i, d in enumerate(workload.dimensions)}


def _convolution_tiles(workload: Workload, factors: IntArray, width: FloatArray) -> _Tiles:
    tile, sizes = _below_dram(workload, factors), dict(workload.sizes)
    sizes["P"] = sizes["Q"] = max(sizes["P"], sizes["Q"])
    count = np.ones(len(factors))
    for d, extent in tile.items():
        count = count * np.ceil(sizes[d] / extent)
    pixels = np.ones(len(factors))
    for output, tap in (("P", "R"), ("Q", "S")):
        pixels = pixels * (stride(workload, output) * (tile[output] - 1) + tile[tap])
    taps = tile["R"] * tile["S"]
    blocks = taps * np.ceil(tile["M"] / width) * np.ceil(tile["C"] / width)
    return _Tiles(count, blocks, tile["P"], tile["Q"], pixels, tile["C"], tile["M"], taps)


def _product_tiles(workload: Workload, factors: IntArray, width: FloatArray) -> _Tiles:
    tile, sizes = _below_dram(workload, factors), workload.sizes
    count = np.ones(len(factors))
    blocks, extent = {}, {}
    for d in ("M", "P", "C"):
        of_layer = np.ceil(sizes[d] / width)
        of_tile = np.clip(np.floor(tile[d] / _RUNTIME_BLOCK), 1, of_layer)
        blocks[d] = of_tile
        extent[d] = np.minimum(of_tile * width, sizes[d])
        count = count * np.ceil(of_layer / of_tile)
    one = np.ones(len(factors))
    return _Tiles(
        count,
        blocks["M"] * blocks["C"],
        extent["P"],
        one,
        extent["P"],
        extent["C"],
        extent["M"],
        one,
    )


def stride(workload: Workload, dimension: str) -> int:
    """Coefficient of a dimension in the tensor that it slides over; 1 if it does not."""
    return max(
        term.coefficient
        for tensor in workload.tensors
        for index in tensor.indices
        for term in index
        if term.dimension == dimension
    )
