"""How the layers of a network are searched."""

from __future__ import annotations

from dataclasses import dataclass, field

from toolkit.model.conventions import EXACT, Conventions
from toolkit.records import check_integer
from toolkit.search.objective import OBJECTIVES, Objective
from toolkit.search.result import Budget


@dataclass(frozen=True)
class LayerSearch:
    """How every layer is searched.

    Parameters
    ----------
    strategy : str
        A key of `toolkit.STRATEGIES`.
    budget : Budget
        Limits of the search of each workload.
    seed : int
        Seed of all randomness, the same for each.
    objective : Objective
        What each search minimises.
    conventions : Conventions
        How costs are counted.
    pad : bool
        Whether sizes may be rounded up where constraints of the architecture do not divide
        them.

    Raises
    ------
    InputError
        If the seed is no integer from 0.
    """

    strategy: str = "greedy"
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    objective: Objective = OBJECTIVES["edp"]
    conventions: Conventions = EXACT
    pad: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_integer(self.seed, 0, "seed"))
