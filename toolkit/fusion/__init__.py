"""Layer fusion: which layers of a network share tiles on chip, what that costs and saves.

What it offers is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "folded": ("FoldedGraph", "FoldedLayer", "fold"),
    "group_plan": ("Assumptions", "GroupPlan"),
    "groups": ("candidates", "check_group", "check_partition"),
    "levels": ("fusion_level", "fusion_levels"),
    "mapped": ("GroupCost", "MappedModel"),
    "objective": ("GroupModel", "Option", "TrafficModel"),
    "partition": ("Boundary", "FusionResult"),
    "patterns": ("PATTERNS", "Pattern", "chain", "find_pattern", "matches"),
    "plan": ("best_plan", "refine"),
    "search": ("FUSION_STRATEGIES", "cost_partition", "find_partition"),
}

__all__ = [
    "FUSION_STRATEGIES",
    "PATTERNS",
    "Assumptions",
    "Boundary",
    "FoldedGraph",
    "FoldedLayer",
    "FusionResult",
    "GroupCost",
    "GroupModel",
    "GroupPlan",
    "MappedModel",
    "Option",
    "Pattern",
    "TrafficModel",
    "best_plan",
    "candidates",
    "chain",
    "check_group",
    "check_partition",
    "cost_partition",
    "find_partition",
    "find_pattern",
    "fold",
    "fusion_level",
    "fusion_levels",
    "matches",
    "refine",
]

if TYPE_CHECKING:
    from toolkit.fusion.folded import FoldedGraph, FoldedLayer, fold
    from toolkit.fusion.group_plan import Assumptions, GroupPlan
    from toolkit.fusion.groups import candidates, check_group, check_partition
    from toolkit.fusion.levels import fusion_level, fusion_levels
    from toolkit.fusion.mapped import GroupCost, MappedModel
    from toolkit.fusion.objective import GroupModel, Option, TrafficModel
    from toolkit.fusion.partition import Boundary, FusionResult
    from toolkit.fusion.patterns import PATTERNS, Pattern, chain, find_pattern, matches
    from toolkit.fusion.plan import best_plan, refine
    from toolkit.fusion.search import FUSION_STRATEGIES, cost_partition, find_partition


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
