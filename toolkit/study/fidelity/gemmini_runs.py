"""Published rows on the machines that were simulated: Gemmini with an array of the row's width."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from toolkit.arch import load_arch
from toolkit.arch.architecture import Architecture
from toolkit.model.gemmini_library import array_width, as_library_runs
from toolkit.study.fidelity.published import PublishedGroup, PublishedResults
from toolkit.workload.bits import with_bits

_ARCH = "gemmini-rtl"
_VALUE_BITS, _SUM_BITS = 8, 32
_CAPACITIES = {"Scratchpad": "scratchpad_words", "Accumulator": "accumulator_words"}


def simulated(results: PublishedResults, *, by_library: bool) -> PublishedResults:
    """Put rows on ``gemmini-rtl`` with an array of the width that was simulated.

    Files of RTL results name the hardware that their mappings were searched on, with a larger
    array than was simulated. Values get 8 bits, their sums 32.

    Parameters
    ----------
    results : PublishedResults
        The rows; their capacities are kept.
    by_library : bool
        Whether layers and mappings become those that Gemmini's library runs
        (`toolkit.model.gemmini_library`); otherwise they stay as published.

    Returns
    -------
    PublishedResults
        The same rows, in groups of one layer on one array.
    """
    groups = (part for group in results.groups for part in _by_width(group, by_library))
    return replace(results, groups=tuple(groups))


def _by_width(group: PublishedGroup, by_library: bool) -> Iterator[PublishedGroup]:
    width = array_width(group.workload, group.factors)
    for side in np.unique(width).tolist():
        chosen = width == side
        workload, factors, order = group.workload, group.factors[chosen], group.order[chosen]
        if by_library:
            workload, factors, order, _ = as_library_runs(workload, factors)
        yield PublishedGroup(
            _simulated_arch(group.arch, side),
            with_bits(workload, _VALUE_BITS, sum_bits=_SUM_BITS),
            group.rows[chosen],
            factors,
            order,
        )


def _simulated_arch(arch: Architecture, side: int) -> Architecture:
    parameters = {"side": side}
    for memory in arch.memories:
        if memory.name in _CAPACITIES and memory.capacity_words is not None:
            parameters[_CAPACITIES[memory.name]] = memory.capacity_words
    return load_arch(_ARCH, parameters)
