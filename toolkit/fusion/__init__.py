"""Layer fusion: which layers of a network share tiles on chip, what that costs and saves.

A network is folded (`folding`, with what `axes` says of each operator), and its legal groups are
known (`groups`, `patterns`). How a group runs is chosen in `tile`; what that costs is told by a
model (`group_model` by traffic, `mapped` by mapping every part, see `plan_cost`); which groups
there are is searched in `partition`, what none of them undercuts is proved in `partition_bound`,
and what they save is told apart in `baseline`.

What it offers is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

MOST_MAPPED_LAYERS = 12
"""Layers of a group that a search over mapped layers finds, unless it is told otherwise: the
number of groups to cost grows fast with it."""

_HOMES = {
    "baseline": ("Step", "Totals", "steps_to_fused"),
    "folded": ("FoldedGraph", "FoldedLayer"),
    "folding": ("fold",),
    "group_model": ("FusionOverhead", "GroupModel", "Option", "TrafficModel"),
    "groups": ("candidates", "check_group", "check_partition"),
    "mapped": ("MappedModel",),
    "partition.registry": ("FUSION_STRATEGIES", "cost_partition", "find_partition"),
    "partition.result": ("Boundary", "FusionChance", "FusionResult"),
    "patterns": ("PATTERNS", "Pattern", "chain", "find_pattern", "matches"),
    "plan_cost": ("GroupCost",),
    "prefetch": ("Prefetched", "PrefetchedNetwork"),
    "tile.assumptions": ("Assumptions",),
    "tile.choice": ("best_plan",),
    "tile.group_plan": ("GroupPlan",),
    "tile.residency": ("fusion_level", "fusion_levels"),
}

__all__ = [
    "FUSION_STRATEGIES",
    "MOST_MAPPED_LAYERS",
    "PATTERNS",
    "Assumptions",
    "Boundary",
    "FoldedGraph",
    "FoldedLayer",
    "FusionChance",
    "FusionOverhead",
    "FusionResult",
    "GroupCost",
    "GroupModel",
    "GroupPlan",
    "MappedModel",
    "Option",
    "Pattern",
    "Prefetched",
    "PrefetchedNetwork",
    "Step",
    "Totals",
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
    "steps_to_fused",
]

if TYPE_CHECKING:
    from toolkit.fusion.baseline import Step, Totals, steps_to_fused
    from toolkit.fusion.folded import FoldedGraph, FoldedLayer
    from toolkit.fusion.folding import fold
    from toolkit.fusion.group_model import FusionOverhead, GroupModel, Option, TrafficModel
    from toolkit.fusion.groups import candidates, check_group, check_partition
    from toolkit.fusion.mapped import MappedModel
    from toolkit.fusion.partition.registry import FUSION_STRATEGIES, cost_partition, find_partition
    from toolkit.fusion.partition.result import Boundary, FusionChance, FusionResult
    from toolkit.fusion.patterns import PATTERNS, Pattern, chain, find_pattern, matches
    from toolkit.fusion.plan_cost import GroupCost
    from toolkit.fusion.prefetch import Prefetched, PrefetchedNetwork
    from toolkit.fusion.tile.assumptions import Assumptions
    from toolkit.fusion.tile.choice import best_plan
    from toolkit.fusion.tile.group_plan import GroupPlan
    from toolkit.fusion.tile.residency import fusion_level, fusion_levels


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
