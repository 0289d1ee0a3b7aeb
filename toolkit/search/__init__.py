"""Finding the best mapping: problems, budgets, strategies, and one function that runs them.

The package is callable: ``toolkit.search(problem)`` is `toolkit.search.registry.search`.
"""

import sys
from types import ModuleType

from toolkit.search.evaluator import Evaluator, checked_cost
from toolkit.search.front import FrontPoint
from toolkit.search.objective import OBJECTIVES, Objective, objective_named
from toolkit.search.problem import Problem, make_problem
from toolkit.search.registry import STRATEGIES, Entry, Strategy, search
from toolkit.search.result import Budget, SearchResult, TracePoint

__all__ = [
    "OBJECTIVES",
    "STRATEGIES",
    "Budget",
    "Entry",
    "Evaluator",
    "FrontPoint",
    "Objective",
    "Problem",
    "SearchResult",
    "Strategy",
    "TracePoint",
    "checked_cost",
    "make_problem",
    "objective_named",
    "search",
]


class _CallablePackage(ModuleType):
    # Python binds the name `toolkit.search` to this package whenever a module in it is
    # imported, so the function of that name is reached through it.
    __call__ = staticmethod(search)


sys.modules[__name__].__class__ = _CallablePackage
