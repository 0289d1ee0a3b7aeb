"""What a proof over hardware is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.codesign.evaluation import HardwareObjective, NetworkWeight
from toolkit.codesign.space import HardwareSpace
from toolkit.mapping.space import Factors
from toolkit.model.conventions import EXACT, Conventions


@dataclass(frozen=True, eq=False)
class Question:
    """What is proved.

    Parameters
    ----------
    space : HardwareSpace
        Of which the best point within the budgets is looked for.
    networks : sequence of NetworkWeight
        What runs on it.
    objective : HardwareObjective
        A product of powers of at least 0; no front.
    conventions : Conventions
        How costs are counted.
    factors : {"perfect", "ragged"}, optional
        Which tile factors mappings may have; by default what the conventions say.
    """

    space: HardwareSpace
    networks: Sequence[NetworkWeight]
    objective: HardwareObjective
    conventions: Conventions = EXACT
    factors: Factors | None = None
