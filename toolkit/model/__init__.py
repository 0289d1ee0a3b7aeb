"""What a mapping costs: access counts, latency, energy, for one mapping or a batch."""

from toolkit.model.conventions import (
    CONVENTIONS,
    EXACT,
    FACTORFLOW,
    TIMELOOP,
    Conventions,
    conventions_named,
)
from toolkit.model.cost import BatchCost, batch_cost
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.model.nest import Accesses
from toolkit.model.plan import Plan, make_plan
from toolkit.model.tables import LevelEnergy, MemoryUse, PortUse, TensorAccesses

__all__ = [
    "CONVENTIONS",
    "EXACT",
    "FACTORFLOW",
    "TIMELOOP",
    "Accesses",
    "BatchCost",
    "Conventions",
    "Evaluation",
    "LevelEnergy",
    "MemoryUse",
    "Plan",
    "PortUse",
    "TensorAccesses",
    "batch_cost",
    "conventions_named",
    "evaluate",
    "make_plan",
]
