"""Costs of real-valued tilings by the one cost model, run by torch, and what exceeds limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from toolkit.mapping.bounds import FOOTPRINT_GAPS
from toolkit.mapping.space import MapSpace
from toolkit.model.cost import batch_cost
from toolkit.search.problem import Problem
from toolkit.workload.distinct import ALL_GAPS, NO_GAPS, distinct_values
from toolkit.workload.kernel import Index, Tensor

LINEAR, QUADRATIC = 2.0, 2.0
"""Weights of the logarithm of a footprint over its capacity, or a product of factors over its
mesh, and of its square, in units of the logarithm of the objective. Twice the excess is what the
product of two costs gains where both fall in proportion to a tile: exceeding does not pay."""

_TINY = 1e-300
"""Costs count as at least this much, so that their logarithms are finite."""


class StraightThrough(TorchFunctionMode):
    """Rounds as the cost model asks, but lets gradients through as if nothing were rounded."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ceil or func is torch.floor:
            return args[0] + (result - args[0]).detach()
        return result


def log_objective(
    problem: Problem, powers: Sequence[float], factors: torch.Tensor, order: torch.Tensor
) -> torch.Tensor:
    """Logarithm of the objective of real-valued tilings, with gradients.

    Parameters
    ----------
    powers : sequence of float
        Exponents of energy, latency and utilization.
    factors : float64 tensor, shape (batch, levels, dimensions)
        At least 1 each.
    order : int64 tensor, shape (batch, levels, dimensions)
        Loop orders.

    Returns
    -------
    float64 tensor, shape (batch,)
    """
    with StraightThrough():
        cost = batch_cost(problem.plan, factors, order)
    total = torch.zeros_like(factors[:, 0, 0])
    costs = (cost.energy_pj, cost.latency_cycles, cost.utilization)
    for power, values in zip(powers, costs, strict=True):
        if power:
            total = total + power * values.clamp(min=_TINY).log()
    return total


def limits(space: MapSpace) -> dict[int, float]:
    """Instances of spatial levels and usable words of limited memories, by level number."""
    most = {int(level): float(space.mesh[level]) for level in space.spatial_levels}
    for m, limit in enumerate(space.word_limits):
        if limit is not None:
            most[int(space.memory_levels[m])] = float(space.capacity[m])
    return dict(sorted(most.items()))


def binding(space: MapSpace) -> list[int]:
    """Levels whose limits tilings can exceed, by number."""
    memories = space.memory_levels[np.flatnonzero(space.binding)]
    return sorted([*space.spatial_levels.tolist(), *memories.tolist()])


def need(space: MapSpace, level: int, factors: torch.Tensor) -> torch.Tensor:
    """Instances of a spatial level, or usable words of a memory, that tilings ask for.

    Parameters
    ----------
    level : int
        Its number, outermost first.
    factors : float64 tensor, shape (batch, levels, dimensions)
        At least 1 each.

    Returns
    -------
    float64 tensor, shape (batch,)
    """
    memories = space.memory_levels.tolist()
    if level in memories:
        return memory_words(space, memories.index(level), factors)
    return factors[:, level].prod(dim=1)


def excess(space: MapSpace, factors: torch.Tensor) -> torch.Tensor:
    """Penalty for tiles that exceed capacities and for products that exceed meshes.

    Returns
    -------
    float64 tensor, shape (batch,)
        0 where everything fits.
    """
    over, most = torch.zeros_like(factors[:, 0, 0]), limits(space)
    for level in binding(space):
        over = over + exceeding(need(space, level, factors) / most[level])
    return over


def exceeding(ratio: torch.Tensor) -> torch.Tensor:
    """Penalty for a need over its limit; 0 up to a ratio of 1."""
    over = ratio.clamp(min=_TINY).log().clamp(min=0)
    return LINEAR * over + QUADRATIC * over**2


def memory_words(space: MapSpace, memory: int, factors: torch.Tensor) -> torch.Tensor:
    """Words that a memory has to have room for, as `MapSpace.footprints` counts them.

    But for rounding up to whole words.
    """
    level = int(space.memory_levels[memory])
    extents = factors[:, level:].prod(dim=1)
    words, room = torch.zeros_like(extents[:, 0]), space.footings[memory]
    for t in np.flatnonzero(space.holds[memory]).tolist():
        own = extents
        if space.keeping.tensors[memory, t]:
            own = _seen_in_run(space, level, t, factors)
        share = room.units[t] / room.units_per_word
        words = words + share * _tensor_values(space, space.workload.tensors[t], own)
    return words


def _seen_in_run(space: MapSpace, level: int, t: int, factors: torch.Tensor) -> torch.Tensor:
    """Extents of all that an instance sees of a tensor (see `toolkit.mapping.kept.Seen`)."""
    iterations = reach = factors[:, level:].prod(dim=1)
    for m in reversed(space.memory_levels[space.memory_levels < level].tolist()):
        iterations = iterations * factors[:, m]
        reach = reach + (factors[:, m] - 1) * factors[:, m + 1 :].prod(dim=1)
    apart = torch.tensor(space.keeping.in_windows[t], device=factors.device)
    return torch.where(apart, reach, iterations)


def _tensor_values(space: MapSpace, tensor: Tensor, extents: torch.Tensor) -> torch.Tensor:
    values = torch.ones_like(extents[:, 0])
    for index in tensor.indices:
        columns = [extents[:, space.dimensions.index(term.dimension)] for term in index]
        values = values * _window(space, index, columns)
    return values


def _window(space: MapSpace, index: Index, columns: list[torch.Tensor]) -> torch.Tensor:
    gaps = FOOTPRINT_GAPS[space.footprint]
    if gaps == NO_GAPS and len(columns) > 2:
        gaps = ALL_GAPS  # Three strided terms have no closed form: from first to last bounds it.
    coefficients = [term.coefficient for term in index]
    return distinct_values(columns, coefficients, gaps)  # type: ignore[no-any-return]
