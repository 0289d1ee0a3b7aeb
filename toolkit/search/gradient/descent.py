"""Adam on a batch of real-valued tilings that stay on their simplex, and what it minimises.

The loss is the logarithm of the objective by the one cost model, run by torch, plus penalties
for capacities and meshes.

A dimension's factors are a vector of logarithms over the levels that sums to the logarithm of
its size. Vectors leave that simplex at every step of a descent and are projected back onto its
nearest point, which sets factors to exactly 1 (or to another bound) rather than close to it:
the cost model asks of every loop whether it iterates more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from toolkit.mapping.bounds import FOOTPRINT_GAPS
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.model.cost import batch_cost
from toolkit.processes import one_torch_thread
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
    for m in np.flatnonzero(space.binding)[::-1].tolist():
        over = over + _penalty(memory_words(space, m, factors) / float(space.capacity[m]))
    return over


def _penalty(ratio: torch.Tensor) -> torch.Tensor:
    over = ratio.log().clamp(min=0)
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


RATE = 0.3
"""Step in units of the logarithm of a factor: two or three steps for a factor of 2, so that 60 can
take a large dimension through all levels."""
MEMORY = (0.9, 0.99)
"""Decay of Adam's means of gradients and of their squares, per step; the latter remembers 100
steps, not its usual 1000, since a round has fewer."""
_EPSILON = 1e-3
"""Added to the root of Adam's mean square: gradients of logarithms are of the order of 1, so that
only where they vanish does it shorten the step."""
BISECTIONS = 40
"""Halvings of the interval that holds a projection's shift; 2^-40 of it is left."""


@dataclass(frozen=True)
class Simplex:
    """Where logarithms of factors may lie.

    Parameters
    ----------
    lower, upper : float64 tensors, shape (levels, dimensions)
        Logarithms of the bounds.
    total : float64 tensor, shape (dimensions,)
        Logarithms of the sizes.
    """

    lower: torch.Tensor
    upper: torch.Tensor
    total: torch.Tensor

    def project(self, logs: torch.Tensor) -> torch.Tensor:
        """Nearest point of the simplex: ``clip(logs - shift)`` with the shift that fits.

        Parameters
        ----------
        logs : float64 tensor, shape (batch, levels, dimensions)
            Any logarithms.

        Returns
        -------
        float64 tensor, shape (batch, levels, dimensions)
            Within the bounds; the sum over the levels is `total` but for rounding.
        """
        below = (logs - self.upper).amin(dim=1)
        above = (logs - self.lower).amax(dim=1)
        for _ in range(BISECTIONS):
            shift = (below + above) / 2
            sums = (logs - shift[:, None]).clamp(self.lower, self.upper).sum(dim=1)
            too_large = sums > self.total
            below = torch.where(too_large, shift, below)
            above = torch.where(too_large, above, shift)
        return (logs - above[:, None]).clamp(self.lower, self.upper)

    def along(self, gradient: torch.Tensor) -> torch.Tensor:
        """Take from a gradient [batch, levels, dimensions] what would leave the sums' plane."""
        free = (self.lower < self.upper).to(gradient.dtype)
        mean = (gradient * free).sum(dim=1) / free.sum(dim=0).clamp(min=1)
        return (gradient - mean[:, None]) * free


def make_simplex(space: MapSpace, device: str | torch.device = "cpu") -> Simplex:
    """Write the sizes and factor bounds of a map space as logarithms."""

    def logs(values: IntArray) -> torch.Tensor:
        return torch.tensor(np.log(values.astype(np.float64)), device=device)

    return Simplex(logs(space.lower), logs(space.upper), logs(space.sizes))


class Descent:
    """Mappings of one problem that descend side by side, each independent of the others.

    Parameters
    ----------
    problem : Problem
        What is searched.
    powers : sequence of float
        Exponents of energy, latency and utilization in the objective.
    factors, order : int64 arrays, shape (batch, levels, dimensions)
        Where to set out; loop orders stay.
    device : str or torch.device
        Where torch runs the cost model.
    """

    def __init__(
        self,
        problem: Problem,
        powers: Sequence[float],
        factors: IntArray,
        order: IntArray,
        device: str | torch.device = "cpu",
    ) -> None:
        self._problem, self._powers = problem, powers
        self._simplex = make_simplex(problem.space, device)
        self._order = torch.tensor(order, device=device)
        self._logs = torch.tensor(np.log(factors.astype(np.float64)), device=device)
        self._mean = torch.zeros_like(self._logs)
        self._square = torch.zeros_like(self._logs)
        self._steps = 0

    def logs(self) -> FloatArray:
        """Logarithms of the present factors, float64 [batch, levels, dimensions]."""
        return np.asarray(self._logs.cpu().numpy())

    @one_torch_thread()
    def step(self) -> None:
        """Cost all mappings forward and backward and take one step of Adam."""
        self._steps += 1
        along = self._simplex.along(self._gradient())
        first, second = MEMORY
        self._mean = torch.lerp(along, self._mean, first)
        self._square = torch.lerp(along**2, self._square, second)
        mean = self._mean / (1 - first**self._steps)
        scale = (self._square / (1 - second**self._steps)).sqrt() + _EPSILON
        self._logs = self._simplex.project(self._logs - RATE * mean / scale)

    def _gradient(self) -> torch.Tensor:
        logs = self._logs.clone().requires_grad_()
        with torch.enable_grad():
            factors = logs.exp()
            losses = log_objective(self._problem, self._powers, factors, self._order)
            losses = losses + excess(self._problem.space, factors)
            (gradient,) = torch.autograd.grad(losses.sum(), logs)
        return torch.nan_to_num(gradient, posinf=0.0, neginf=0.0)
