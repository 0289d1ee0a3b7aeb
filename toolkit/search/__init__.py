"""Finding the best mapping: problems, budgets, strategies, and one function that runs them.

What it offers is loaded when it is first used, because reading results back needs no search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "asked": ("map",),
    "evaluator": ("Evaluator", "checked_cost"),
    "explanation": ("Explanation", "explain"),
    "front": ("FrontPoint",),
    "landscape": ("Landscape", "sample_landscape"),
    "objective": ("OBJECTIVES", "Objective", "objective_named"),
    "problem": ("Problem", "make_problem"),
    "registry": ("STRATEGIES", "Entry", "Strategy", "search_mappings"),
    "result": ("Budget", "SearchResult", "TracePoint"),
}

__all__ = [
    "OBJECTIVES",
    "STRATEGIES",
    "Budget",
    "Entry",
    "Evaluator",
    "Explanation",
    "FrontPoint",
    "Landscape",
    "Objective",
    "Problem",
    "SearchResult",
    "Strategy",
    "TracePoint",
    "checked_cost",
    "explain",
    "make_problem",
    "map",
    "objective_named",
    "sample_landscape",
    "search_mappings",
]

if TYPE_CHECKING:
    from toolkit.search.asked import map
    from toolkit.search.evaluator import Evaluator, checked_cost
    from toolkit.search.explanation import Explanation, explain
    from toolkit.search.front import FrontPoint
    from toolkit.search.landscape import Landscape, sample_landscape
    from toolkit.search.objective import OBJECTIVES, Objective, objective_named
    from toolkit.search.problem import Problem, make_problem
    from toolkit.search.registry import STRATEGIES, Entry, Strategy, search_mappings
    from toolkit.search.result import Budget, SearchResult, TracePoint


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
