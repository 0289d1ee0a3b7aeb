"""What Gemmini's C library makes of a mapping: it takes the tile sizes and leaves the rest.

Of a mapping the library is told how much of every dimension a tile in the scratchpad holds. In
what order tiles follow each other, and what the array works on at a time, stands in the library
itself (``tiled_conv`` and ``tiled_matmul_outer`` in ``gemmini.h`` of
github.com/ucb-bar/gemmini-rocc-tests):

- Tiles go through output rows, columns and channels, then filter rows and columns, then input
  channels: sums stay in the accumulator until they are complete.
- A tile is cut into blocks of weights as large as the array, whatever the mapping unrolls; all
  output pixels of the tile pass while a block stays.

Worked out from the published RTL runs (Hong et al., MICRO 2023), none of which takes less than
follows from it:

- The array is as wide as the mapping unrolls M and C, rounded up to a power of two.
- Convolutions have square outputs, of the longer side; filters of even size, padded by half of it
  on both sides, leave one output row and column more.
- Matrix products (filters of one value, a single output row) take whole blocks of the array: one
  for every 16 elements of the mapping's tile, at least one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.workload.kernel import Workload

DIMENSIONS = ("M", "P", "Q", "C", "R", "S")
"""Those of a convolution; a batch of one may come before them."""

_DRAM, _COLUMNS, _ACCUMULATOR, _ROWS, _REGISTER = 0, 2, 3, 4, 5
"""Positions among the levels of ``gemmini-ws`` and ``gemmini-rtl``."""

SLIDING = (("Q", "S"), ("P", "R"))
"""Outputs and taps that move along one side of the inputs: rows, then columns."""

TILE_ORDER = "QPMSRC"
"""Loops over tiles, outermost first."""

_BLOCK_ORDER = "MSRCQP"
_RUNTIME_BLOCK = 16
_ITERATOR_BITS = 16


@dataclass(frozen=True, slots=True)
class LibraryTiles:
    """Tiles in the scratchpad that the library runs for a batch of mappings.

    Parameters
    ----------
    product : bool
        Whether the layer is a matrix product.
    width : int array, shape (batch,)
        Rows and columns of the array.
    sizes : mapping of str to int
        Iterations of every dimension, as the library runs the layer.
    extents : mapping of str to int array, shape (batch,)
        How many of them a complete tile holds; the last one along a dimension may be smaller.
    """

    product: bool
    width: IntArray
    sizes: Mapping[str, int]
    extents: Mapping[str, IntArray]

    def tiles(self, dimension: str) -> IntArray:
        """Tiles along a dimension, shape (batch,)."""
        count: IntArray = -(-self.sizes[dimension] // self.extents[dimension])
        return count


def array_width(workload: Workload, factors: IntArray) -> IntArray:
    """Width of the array that a mapping on Gemmini needs: a power of two, shape (batch,).

    Parameters
    ----------
    workload : Workload
        A convolution with the dimensions M, P, Q, C, R and S.
    factors : int array, shape (batch, 7, dimensions)
        Factors on the seven levels of ``gemmini-ws`` or ``gemmini-rtl``.
    """
    position = {d: i for i, d in enumerate(workload.dimensions)}
    columns, rows = factors[:, _COLUMNS, position["M"]], factors[:, _ROWS, position["C"]]
    width: IntArray = 2 ** np.ceil(np.log2(np.maximum(columns, rows))).astype(np.int64)
    return width


def library_tiles(workload: Workload, factors: IntArray) -> LibraryTiles:
    """Work out the tiles of a batch of mappings.

    Parameters
    ----------
    workload, factors
        As for `array_width`.
    """
    width, sizes = array_width(workload, factors), dict(workload.sizes)
    below = factors[:, 1:].prod(axis=1)
    extents = {d: below[:, i] for i, d in enumerate(workload.dimensions)}
    product = sizes["Q"] == sizes["R"] == sizes["S"] == 1
    if product:
        for d in ("M", "P", "C"):
            of_layer = -(-sizes[d] // width)
            extents[d] = width * np.clip(extents[d] // _RUNTIME_BLOCK, 1, of_layer)
    else:
        even = max(sizes["R"], sizes["S"]) % 2 == 0
        sizes["P"] = sizes["Q"] = max(sizes["P"], sizes["Q"]) + int(even)
    extents = {d: np.minimum(extent, sizes[d]) for d, extent in extents.items()}
    return LibraryTiles(product, width, sizes, extents)


def wrapped_rows(workload: Workload, factors: IntArray) -> FloatArray:
    """Count zero rows that tiles load which begin beyond the padded edge of the input.

    The library counts the rows and columns of a tile that are no padding. Here these are fewer
    than none, which wraps around in 16 bits (``small_iterator_bitwidth``, LoopConv.scala): of one
    side, 2^16 are loaded. Of 1,567 published runs 12 have such tiles, and just these took 20 to
    200 times as long as others of their kind.

    Parameters
    ----------
    workload, factors
        As for `array_width`.

    Returns
    -------
    float array, shape (batch,)
        Rows of the scratchpad in the whole run: pixels of as many channels as the array is wide.
    """
    tiles, beyond, along = library_tiles(workload, factors), {}, {}
    if tiles.product:
        return np.zeros(len(factors))
    for output, tap in SLIDING:
        step, size = stride(workload, output), tiles.sizes[tap]
        count, taps = tiles.tiles(output), tiles.tiles(tap)
        beyond[output] = _tiles_beyond(workload, tiles, output, tap)
        along[output] = 1.0 * taps * step * (tiles.sizes[output] - count) + count * size
    rows = beyond["Q"] * along["P"] + beyond["P"] * along["Q"]
    per_pixel = tiles.tiles("M") * tiles.tiles("C") * -(-tiles.extents["C"] // tiles.width)
    wrapped: FloatArray = 2.0**_ITERATOR_BITS * rows * per_pixel
    return wrapped


def _tiles_beyond(workload: Workload, tiles: LibraryTiles, output: str, tap: str) -> IntArray:
    """Count tiles along one side that end before the padded input or begin behind it."""
    step, padding = stride(workload, output), tiles.sizes[tap] // 2
    inputs = max(workload.sizes["P"], workload.sizes["Q"]) * step
    extent, taps, count = tiles.extents[output], tiles.extents[tap], tiles.tiles(output)
    found = np.zeros_like(count)
    for i in range(int(tiles.tiles(tap).max())):
        first = i * taps
        behind = count - 1 - (inputs + padding - first) // (step * extent)
        # Outputs at which the last tap is still before the input.
        before = -(-(padding - first - taps) // step) - extent + 1
        beside = np.clip(behind, 0, count) + np.clip(-(-before // extent), 0, count)
        found += np.where(i < tiles.tiles(tap), beside, 0)
    return found


def stride(workload: Workload, dimension: str) -> int:
    """Coefficient of a dimension in the tensor that it slides over; 1 if it does not."""
    return max(
        term.coefficient
        for tensor in workload.tensors
        for index in tensor.indices
        for term in index
        if term.dimension == dimension
    )


def as_library_runs(
    workload: Workload, factors: IntArray
) -> tuple[Workload, IntArray, IntArray, IntArray]:
    """Rewrite a layer and a batch of its mappings into what the library runs.

    Parameters
    ----------
    workload, factors
        As for `array_width`.

    Returns
    -------
    Workload
        The layer with the sizes that it has there.
    factors, order : int array, shape (batch, 7, dimensions)
        As `toolkit.mapping.to_arrays` describes them; ragged, valid on an array of that width.
        Tiles that cannot be cut into blocks of equal size are rounded up to what can.
    width : int array, shape (batch,)
        Of the array.

    Examples
    --------
    Sixteen filters are a block on an array of 16 x 16, be they unrolled or not:

    >>> import numpy as np
    >>> from toolkit.workload import conv2d
    >>> factors = np.ones((1, 7, 6), dtype=np.int64)
    >>> factors[0, 2:5, 0] = 4, 4, 1  # M: 4 columns, 4 iterations in the accumulator
    >>> factors[0, 4, 3] = 16  # C: all rows
    >>> _, run, _, width = as_library_runs(conv2d(16, 16, 1, 1, 1, 1), factors)
    >>> width.tolist(), run[0, 2:5, 0].tolist()
    ([16], [16, 1, 1])
    """
    tiles, position = library_tiles(workload, factors), {}
    run, order = np.ones_like(factors), np.empty_like(factors)
    for i, d in enumerate(workload.dimensions):
        position[d] = i
        run[:, _DRAM, i] = tiles.tiles(d)
    for d, spatial in (("M", _COLUMNS), ("C", _ROWS)):
        blocks = -(-tiles.extents[d] // tiles.width)
        run[:, _ACCUMULATOR, position[d]] = blocks
        unrolled = run[:, spatial, position[d]] = -(-tiles.extents[d] // blocks)
        run[:, _DRAM, position[d]] = -(-tiles.sizes[d] // (blocks * unrolled))
    for level, dimensions in ((_ACCUMULATOR, "RS"), (_REGISTER, "PQ")):
        for d in dimensions:
            run[:, level, position[d]] = tiles.extents[d]
    first = [i for d, i in position.items() if d not in DIMENSIONS]
    order[:] = first + [position[d] for d in _BLOCK_ORDER]
    order[:, _DRAM] = first + [position[d] for d in TILE_ORDER]
    return replace(workload, sizes=tiles.sizes), run, order, tiles.width
