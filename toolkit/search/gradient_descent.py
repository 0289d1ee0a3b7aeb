"""Adam on a batch of real-valued tilings that stay on their simplex."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from toolkit.mapping.lattice import FloatArray
from toolkit.mapping.mapping import IntArray
from toolkit.search.gradient_loss import excess, log_objective
from toolkit.search.gradient_relaxation import make_simplex
from toolkit.search.problem import Problem
from toolkit.search.torch_threads import one_thread

RATE = 0.3
"""Step in units of the logarithm of a factor."""
MEMORY = (0.9, 0.99)
"""Decay of Adam's means of gradients and of their squares, per step."""
_EPSILON = 1e-3


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
