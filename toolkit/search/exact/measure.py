"""Costs of one transfer without a choice, as an array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.model.compiled_plan import KernelPlan, Scratch
from toolkit.search.exact.compiled_measure import measure_into
from toolkit.search.exact.compiled_words import Rows


def measure(
    plan: KernelPlan,
    rows: Rows,
    r: int,
    n: NDArray[np.float64],
    tau: NDArray[np.float64],
    scratch: Scratch,
) -> NDArray[np.float64]:
    """Costs of row `r` if nothing moves it inside its supplier: energy (pJ), cycles by port."""
    into = np.zeros(rows.coef.shape[1])
    measure_into(plan, rows, r, n, tau, np.ones((4, len(n))), into, scratch)
    return into
