"""Which groups there are: searches over partitions, their table, and their results.

Read `registry` for how a partition is searched and priced; a strategy is a function of its table.
"""

from toolkit.fusion.group_model import total_costs
from toolkit.fusion.partition.registry import FUSION_STRATEGIES, cost_partition, find_partition
from toolkit.fusion.partition.result import Boundary, FusionResult

__all__ = [
    "FUSION_STRATEGIES",
    "Boundary",
    "FusionResult",
    "cost_partition",
    "find_partition",
    "total_costs",
]
