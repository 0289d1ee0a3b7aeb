"""Where logarithms of factors lie, and how parameters that left return there.

A dimension's factors are a vector of logarithms over the levels that sums to the logarithm of
its size. Vectors leave that simplex at every step of a descent and are projected onto its nearest
point, which sets factors to exactly 1 (or to another bound) rather than close to it: the cost
model asks of every loop whether it iterates more than once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace

BISECTIONS = 40
"""Halvings of the interval that holds a projection's shift; 2^-40 of it is left."""

_CLOSE = 1e-9
"""How close sums of logarithms are to a total where a point counts as one of the simplex."""


@dataclass(frozen=True)
class Simplex:
    """Where logarithms of factors may lie.

    Parameters
    ----------
    lower, upper : float64 tensors, shape (levels, dimensions) or (batch, levels, dimensions)
        Logarithms of the bounds.
    total : float64 tensor, shape (dimensions,) or (batch, dimensions)
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
        mean = (gradient * free).sum(dim=-2) / free.sum(dim=-2).clamp(min=1)
        return (gradient - mean.unsqueeze(-2)) * free

    def outside(self, logs: torch.Tensor) -> torch.Tensor:
        """Squared distances from the bounds and from the sums' plane, shape (batch,)."""
        low, high = (self.lower - logs).clamp(min=0), (logs - self.upper).clamp(min=0)
        plane = logs.sum(dim=1) - self.total
        return (low**2 + high**2).sum(dim=(1, 2)) + (plane**2).sum(dim=1)


def make_simplex(space: MapSpace, device: str | torch.device = "cpu") -> Simplex:
    """Write the sizes and factor bounds of a map space as logarithms."""

    def logs(values: IntArray) -> torch.Tensor:
        return torch.tensor(np.log(values.astype(np.float64)), device=device)

    return Simplex(logs(space.lower), logs(space.upper), logs(space.sizes))


class Onto(torch.autograd.Function):
    """The nearest point of a simplex, whose gradient is what lies along it.

    Factors at a bound keep their gradients, as in a projected descent: a factor of 1 may grow.
    """

    @staticmethod
    def forward(ctx: Any, logs: torch.Tensor, simplex: Simplex) -> torch.Tensor:
        """Project logarithms [batch, levels, dimensions]."""
        ctx.simplex = simplex
        inside = (logs >= simplex.lower) & (logs <= simplex.upper)
        summed = (logs.sum(dim=1) - simplex.total).abs() <= _CLOSE
        if bool(inside.all() & summed.all()):
            return logs.clone()
        return simplex.project(logs)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Take what lies along the simplex."""
        finite = torch.nan_to_num(gradients[0], posinf=0.0, neginf=0.0)
        return ctx.simplex.along(finite), None
