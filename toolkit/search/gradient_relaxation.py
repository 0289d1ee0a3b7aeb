"""Real-valued tilings: logarithms of factors, whose sums and bounds hold by construction.

A dimension's factors are a vector of logarithms over the levels that sums to the logarithm of
its size. Vectors leave that simplex at every step of a descent and are projected back onto its
nearest point, which sets factors to exactly 1 (or to another bound) rather than close to it:
the cost model asks of every loop whether it iterates more than once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace

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
