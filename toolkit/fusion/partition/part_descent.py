"""Real-valued tilings of one part of a layer, for a descent that many parts share."""

from __future__ import annotations

import math

import numpy as np
import torch

from toolkit.mapping.mapping import IntArray
from toolkit.model.cost import batch_cost
from toolkit.search.gradient.descent import adam
from toolkit.search.gradient.relaxed_cost import excess
from toolkit.search.gradient.tilings import Tilings, first_tilings
from toolkit.search.problem import Problem


class PartDescent:
    """Tilings of one problem, several per start; loop orders stay as they are drawn.

    A start's cost is the mean over its tilings, weighed by how good each is: their loop orders
    are a soft choice, too.

    Parameters
    ----------
    problem : Problem
        The part, lowered, on the architecture as it sees it.
    starts : int
        Descents side by side.
    tilings : int
        Tilings of each.
    draw : numpy.random.Generator
        The only source of randomness.

    Attributes
    ----------
    energy, latency : float64 tensor, shape (starts,)
        Mean of the tilings, pJ and cycles, as last costed.
    best_energy_pj, best_cycles : float
        Of the best valid mapping so far, by the objective of the problem.
    factors, order : int64 array, shape (levels, dimensions)
        That mapping.
    """

    def __init__(
        self, problem: Problem, starts: int, tilings: int, draw: np.random.Generator
    ) -> None:
        self.problem = problem
        factors, order = first_tilings(problem, starts * tilings, draw)
        self.tilings = Tilings([problem], factors, order)
        self._adam = adam([self.tilings.logs])
        self._shape = (starts, tilings)
        self._value = math.inf
        self._take(factors, order)
        with torch.no_grad():
            self.relax()

    def relax(self, temperature: float = 1.0) -> torch.Tensor:
        """Cost the tilings with gradients.

        Parameters
        ----------
        temperature : float
            How much worse tilings count, in units of the logarithm of the objective.

        Returns
        -------
        float64 tensor, shape (starts,)
            By how much they exceed what fits, as a penalty.
        """
        self._adam.zero_grad()
        factors = self.tilings.factors()
        ((_, cost),) = self.tilings.costs(factors)
        over = excess(self.problem.space, factors)
        costs = (cost.energy_pj, cost.latency_cycles, cost.utilization)
        value = over.clone()
        for power, column in zip(self.problem.objective.powers, costs, strict=True):
            value = value + power * column.log() if power else value
        weight = torch.softmax(-value.reshape(self._shape).detach() / temperature, dim=1)
        energy, latency, penalty = (
            (weight * column.reshape(self._shape)).sum(dim=1) for column in (*costs[:2], over)
        )
        self.energy, self.latency = energy, latency
        return penalty

    def step(self) -> torch.Tensor:
        """Take one step of Adam along the gradient that `relax` was asked for.

        Returns
        -------
        float64 tensor, shape (starts,)
            Largest slopes: how much the objective depends on this part.
        """
        gradient = self.tilings.logs.grad
        self.energy, self.latency = self.energy.detach(), self.latency.detach()
        if gradient is None:
            return torch.zeros(self._shape[0], dtype=torch.float64)
        size = gradient.abs().amax(dim=(1, 2))
        # Parts whose gradients are small are to move as far as others.
        gradient /= size.clamp(min=1e-30)[:, None, None]
        self._adam.step()
        self.tilings.project_()
        return size.reshape(self._shape).sum(dim=1)

    def round(self) -> None:
        """Round all tilings to valid mappings nearby, and remember the best."""
        found = self.tilings.rounded()
        if found.valid.any():
            self._take(found.factors[found.valid], found.order[found.valid])

    def _take(self, factors: IntArray, order: IntArray) -> None:
        cost = batch_cost(self.problem.plan, factors.astype(np.float64), order)
        values = self.problem.objective.value(
            cost.energy_pj, cost.latency_cycles, cost.utilization
        )
        row = int(np.argmin(values))
        if float(values[row]) < self._value:
            self._value = float(values[row])
            self.factors, self.order = factors[row], order[row]
            self.best_energy_pj = float(cost.energy_pj[row])
            self.best_cycles = float(cost.latency_cycles[row])
