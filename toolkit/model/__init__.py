"""What a mapping costs: access counts, latency, energy, for one mapping or a batch.

Every formula stands once. An architecture, a workload and `conventions` become a `plan`, which
formulas read as `plan_tables`; the loops of a mapping, or of a batch, are a `nest`. What a tensor
moves is counted in `traffic` (`sequential` for FactorFlow's way, `windows` for sliding windows of
both), what that costs in `totals`. `cost` runs the formulas on arrays, `compiled` as machine code;
`floor` is what no mapping undercuts.

`evaluate` takes one mapping's cost apart (`breakdown`) into the records of `tables`. Why it is so
is said by `words`, with `reuse`, `reasons` and `headroom`. Apart from mappings, `vector_unit`
costs what runs beside the array, and `correction` fits latencies to measurements, from what
`gemmini_program` counts.
"""

from toolkit.model.conventions import (
    CONVENTIONS,
    EXACT,
    FACTORFLOW,
    STEADY,
    TIMELOOP,
    TIMELOOP_4,
    Conventions,
    conventions_named,
    switched,
)
from toolkit.model.cost import BatchCost, batch_cost
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.model.nest import Accesses
from toolkit.model.plan import Plan, make_plan
from toolkit.model.tables import (
    Crossing,
    LevelEnergy,
    MemoryUse,
    NetworkUse,
    PortUse,
    TensorAccesses,
)

__all__ = [
    "CONVENTIONS",
    "EXACT",
    "FACTORFLOW",
    "STEADY",
    "TIMELOOP",
    "TIMELOOP_4",
    "Accesses",
    "BatchCost",
    "Conventions",
    "Crossing",
    "Evaluation",
    "LevelEnergy",
    "MemoryUse",
    "NetworkUse",
    "Plan",
    "PortUse",
    "TensorAccesses",
    "batch_cost",
    "conventions_named",
    "evaluate",
    "make_plan",
    "switched",
]
