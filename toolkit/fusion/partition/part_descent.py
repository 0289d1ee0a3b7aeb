"""Real-valued tilings of one part of a layer, for a descent that many parts share."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import torch

from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.model.cost import batch_cost
from toolkit.search.gradient.descent import StraightThrough, excess, make_simplex
from toolkit.search.moves import first_orders, move_space
from toolkit.search.problem import Problem

RATE = 0.3
"""Step in units of the logarithm of a factor."""

_MEMORY = (0.9, 0.99)
"""What Adam keeps of the mean of gradients and of their squares per step: descents are too short
for its usual 0.999."""

_EPSILON = 1e-3
"""Keeps parts whose gradients vanish from moving by noise; gradients are at most 1 here."""


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
        self._simplex = make_simplex(problem.space)
        self._rounding = Rounding(problem.space)
        known = [(start_point(problem.space), first_orders(move_space(problem.space)))]
        with suppress(DoesNotFitError):
            known += zip(*sample(problem.space, starts * tilings - 1, draw), strict=True)
        known = [known[i % len(known)] for i in range(starts * tilings)]
        self._shape = (starts, tilings)
        factors = np.stack([entry[0] for entry in known])
        self._orders = np.stack([entry[1] for entry in known])
        self._order = torch.tensor(self._orders)
        self.logs = torch.tensor(np.log(factors.astype(np.float64)))
        self._mean, self._square = torch.zeros_like(self.logs), torch.zeros_like(self.logs)
        self._steps = 0
        self._value = math.inf
        self._take(factors)
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
        self.logs = self.logs.detach().requires_grad_(torch.is_grad_enabled())
        factors = self.logs.exp()
        with StraightThrough():
            cost = batch_cost(self.problem.plan, factors, self._order)
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
        gradient = self.logs.grad
        self.energy, self.latency = self.energy.detach(), self.latency.detach()
        if gradient is None:
            return torch.zeros(self._shape[0], dtype=torch.float64)
        self._steps += 1
        along = self._simplex.along(torch.nan_to_num(gradient, posinf=0.0, neginf=0.0))
        size = along.abs().amax(dim=(1, 2))
        along = along / size.clamp(min=1e-30)[:, None, None]
        first, second = _MEMORY
        self._mean = torch.lerp(along, self._mean, first)
        self._square = torch.lerp(along**2, self._square, second)
        mean = self._mean / (1 - first**self._steps)
        scale = (self._square / (1 - second**self._steps)).sqrt() + _EPSILON
        self.logs = self._simplex.project(self.logs.detach() - RATE * mean / scale)
        return size.reshape(self._shape).sum(dim=1)

    def round(self) -> None:
        """Round all tilings to valid mappings nearby, and remember the best."""
        factors, valid = self._rounding.round(self.logs.detach().numpy())
        if valid.any():
            self._take(factors, valid)

    def _take(self, factors: IntArray, valid: np.ndarray | None = None) -> None:
        rows = np.arange(len(factors)) if valid is None else np.flatnonzero(valid)
        cost = batch_cost(self.problem.plan, factors[rows].astype(np.float64), self._orders[rows])
        values = self.problem.objective.value(
            cost.energy_pj, cost.latency_cycles, cost.utilization
        )
        row = int(np.argmin(values))
        if float(values[row]) < self._value:
            self._value = float(values[row])
            self.factors, self.order = factors[rows[row]], self._orders[rows[row]]
            self.best_energy_pj = float(cost.energy_pj[row])
            self.best_cycles = float(cost.latency_cycles[row])
