"""Finding the best mapping: problems, budgets, strategies, and one function that runs them.

The package is callable: ``toolkit.search(problem)`` is `toolkit.search.registry.search`. What it
offers is loaded when it is first used, because reading results back needs no search.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "evaluator": ("Evaluator", "checked_cost"),
    "front": ("FrontPoint",),
    "landscape": ("Landscape", "sample_landscape"),
    "objective": ("OBJECTIVES", "Objective", "objective_named"),
    "problem": ("Problem", "make_problem"),
    "registry": ("STRATEGIES", "Entry", "Strategy", "search"),
    "result": ("Budget", "SearchResult", "TracePoint"),
}

__all__ = [
    "OBJECTIVES",
    "STRATEGIES",
    "Budget",
    "Entry",
    "Evaluator",
    "FrontPoint",
    "Landscape",
    "Objective",
    "Problem",
    "SearchResult",
    "Strategy",
    "TracePoint",
    "checked_cost",
    "make_problem",
    "objective_named",
    "sample_landscape",
    "search",
]

if TYPE_CHECKING:
    from toolkit.search.evaluator import Evaluator, checked_cost
    from toolkit.search.front import FrontPoint
    from toolkit.search.landscape import Landscape, sample_landscape
    from toolkit.search.objective import OBJECTIVES, Objective, objective_named
    from toolkit.search.problem import Problem, make_problem
    from toolkit.search.registry import STRATEGIES, Entry, Strategy, search
    from toolkit.search.result import Budget, SearchResult, TracePoint


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)


class _CallablePackage(ModuleType):
    # Python binds the name `toolkit.search` to this package whenever a module in it is
    # imported, so the function of that name is reached through it.
    @property
    def __call__(self) -> Callable[..., SearchResult]:
        from toolkit.search.registry import search

        return search

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        """Pickle by name like other modules, so that functions of scripts reach workers."""
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _CallablePackage
