"""The model as an objective: for Optuna studies, optimisers of vectors and torch training loops.

The pieces stand in the rooms of their subjects, whose own strategies use them; here is the door:
what is asked about (`what`), and a function per kind of optimiser.

What it offers is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "what": ("HardwareProblem", "NetworkProblem"),
    "with_optuna": ("for_optuna",),
    "with_vectors": ("for_vectors",),
}

__all__ = ["HardwareProblem", "NetworkProblem", "for_optuna", "for_vectors"]

if TYPE_CHECKING:
    from toolkit.objectives.what import HardwareProblem, NetworkProblem
    from toolkit.objectives.with_optuna import for_optuna
    from toolkit.objectives.with_vectors import for_vectors


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
