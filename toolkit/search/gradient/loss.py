"""What a descent over real-valued tilings minimises, by the one cost model run by torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from toolkit.mapping.space import MapSpace
from toolkit.model.cost import batch_cost
from toolkit.search.problem import Problem
from toolkit.workload.distinct import distinct_values
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


def excess(space: MapSpace, factors: torch.Tensor) -> torch.Tensor:
    """Penalty for tiles that exceed capacities and for products that exceed meshes.

    Returns
    -------
    float64 tensor, shape (batch,)
        0 where everything fits.
    """
    over = torch.zeros_like(factors[:, 0, 0])
    for level in space.spatial_levels.tolist():
        over = over + _penalty(factors[:, level].prod(dim=1) / float(space.mesh[level]))
    extents = torch.ones_like(factors[:, 0])
    outer = space.shape[0]
    for m in reversed(range(len(space.memory_levels))):
        level = int(space.memory_levels[m])
        extents = extents * factors[:, level:outer].prod(dim=1)
        outer = level
        if space.binding[m]:
            over = over + _penalty(tile_words(space, m, extents) / float(space.capacity[m]))
    return over


def _penalty(ratio: torch.Tensor) -> torch.Tensor:
    over = ratio.log().clamp(min=0)
    return LINEAR * over + QUADRATIC * over**2


def tile_words(space: MapSpace, memory: int, extents: torch.Tensor) -> torch.Tensor:
    """Words of a memory's tiles, as `MapSpace.memory_words` counts them."""
    words = torch.zeros_like(extents[:, 0])
    for tensor, stored in zip(space.workload.tensors, space.holds[memory], strict=True):
        if stored:
            words = words + _tensor_words(space, tensor, extents)
    return words


def _tensor_words(space: MapSpace, tensor: Tensor, extents: torch.Tensor) -> torch.Tensor:
    words = torch.ones_like(extents[:, 0])
    for index in tensor.indices:
        columns = [extents[:, space.dimensions.index(term.dimension)] for term in index]
        words = words * _window(space, index, columns)
    return words


def _window(space: MapSpace, index: Index, columns: list[torch.Tensor]) -> torch.Tensor:
    coefficients = [term.coefficient for term in index]
    if space.footprint == "stride_blind":
        coefficients = [1] * len(columns)
    # Windows of three strided terms have no closed form: from first to last is their bound.
    bounding = space.footprint == "bounding" or len(columns) > 2
    if not bounding or len(set(coefficients)) == 1:
        return distinct_values(columns, coefficients)  # type: ignore[no-any-return]
    spans = [c * (x - 1) for c, x in zip(coefficients, columns, strict=True)]
    return sum(spans, start=torch.ones_like(columns[0]))
