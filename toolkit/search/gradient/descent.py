"""Adam on a batch of real-valued tilings that stay on their simplex.

A dimension's factors are a vector of logarithms over the levels that sums to the logarithm of
its size. Vectors leave that simplex at every step of a descent and are projected back onto its
nearest point, which sets factors to exactly 1 (or to another bound) rather than close to it:
the cost model asks of every loop whether it iterates more than once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.gradient.loss import excess, log_objective
from toolkit.search.problem import Problem
from toolkit.search.torch_threads import one_thread

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

    @one_thread()
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
