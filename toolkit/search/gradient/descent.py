"""Adam on a batch of real-valued tilings that stay on their simplex.

The loss is the logarithm of the objective by the one cost model, run by torch, plus penalties
for capacities and meshes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.processes import one_torch_thread
from toolkit.search.gradient.relaxed_cost import excess, log_objective
from toolkit.search.gradient.tilings import Tilings, torch_device
from toolkit.search.problem import Problem

RATE = 0.3
"""Step in units of the logarithm of a factor: two or three steps for a factor of 2, so that 60 can
take a large dimension through all levels."""
MEMORY = (0.9, 0.99)
"""Decay of Adam's means of gradients and of their squares, per step; the latter remembers 100
steps, not its usual 1000, since a round has fewer."""
EPSILON = 1e-3
"""Added to the root of Adam's mean square: gradients of logarithms are of the order of 1, so that
only where they vanish does it shorten the step."""


def adam(parameters: Sequence[torch.nn.Parameter]) -> torch.optim.Adam:
    """The optimiser of logarithms of factors."""
    return torch.optim.Adam(parameters, lr=RATE, betas=MEMORY, eps=EPSILON)


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
        self._tilings = Tilings([problem], factors, order).to(torch_device(device))
        self._adam = adam([self._tilings.logs])

    def logs(self) -> FloatArray:
        """Logarithms of the present factors, float64 [batch, levels, dimensions]."""
        return np.asarray(self._tilings.logs.detach().cpu().numpy())

    @one_torch_thread()
    def step(self) -> None:
        """Cost all mappings forward and backward and take one step of Adam."""
        self._adam.zero_grad()
        with torch.enable_grad():
            factors = self._tilings.factors()
            order = self._tilings.alternatives.orders[0]
            losses = log_objective(self._problem, self._powers, factors, order)
            losses = losses + excess(self._problem.space, factors)
            torch.autograd.backward(losses.sum())
        self._adam.step()
        self._tilings.project_()
