"""Objectives for optimisers of vectors: SciPy, pymoo, nevergrad and others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from toolkit.codesign.problem import HardwareProblem
from toolkit.errors import InputError
from toolkit.objectives.what import What, check_choose, check_what
from toolkit.objectives.with_optuna import for_optuna
from toolkit.search.evaluator import Evaluator
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.problem import Problem
from toolkit.search.result import Budget
from toolkit.search.scipy_optimisers.objective import VectorObjective, vectors_of
from toolkit.search.scipy_optimisers.parameter_vectors import ParameterVectors


@overload
def for_vectors(
    what: Problem,
    *,
    choose: str | Sequence[str] | None = ...,
    encoding: str | None = ...,
    logarithms: bool = ...,
) -> VectorObjective: ...


@overload
def for_vectors(
    what: NetworkProblem | HardwareProblem,
    *,
    choose: str | Sequence[str] | None = ...,
    encoding: str | None = ...,
    logarithms: bool = ...,
) -> ParameterVectors: ...


def for_vectors(
    what: What,
    *,
    choose: str | Sequence[str] | None = None,
    encoding: str | None = None,
    logarithms: bool = False,
) -> VectorObjective | ParameterVectors:
    """Make a function of vectors, to be minimised within its bounds.

    Parameters
    ----------
    what : Problem, NetworkProblem or HardwareProblem
        What is asked.
    choose : str or sequence of str, optional
        What vectors choose, as `toolkit.objectives.for_optuna` says.
    encoding : str, optional
        Of a problem: ``box``, the default, real variables whose every point is a valid mapping;
        or ``moves``, integers with constraints, among which there are neighbours and a greedy
        step. Of networks and hardware: as `toolkit.objectives.for_optuna` says.
    logarithms : bool
        Whether values of a problem are natural logarithms.

    Returns
    -------
    VectorObjective or ParameterVectors
        ``objective(x)`` of one vector or of SciPy's batches [variables, batch],
        ``objective.rows(X)`` of batches [batch, variables], ``bounds``, ``integrality``,
        ``constraints``.

    Raises
    ------
    InputError
        If something else is asked, or an option has no meaning there.
    DoesNotFitError
        If there is no valid mapping.

    Examples
    --------
    >>> import toolkit
    >>> arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2)
    >>> objective = for_vectors(toolkit.make_problem(arch, workload))
    >>> start = objective.starts(1)[0]
    >>> bool(objective(start) == objective.rows(start[None])[0])
    True
    """
    asked = check_what(what)
    if not isinstance(asked, Problem):
        if logarithms:
            raise InputError("only values of a layer's problem are told so", key="logarithms")
        return ParameterVectors(for_optuna(asked, choose=choose, numbers=True, encoding=encoding))
    check_choose(asked, choose)
    evaluator = Evaluator(asked, Budget())
    vectors = vectors_of(evaluator, "box" if encoding is None else encoding)
    return VectorObjective(evaluator, vectors, vectors, logarithms)
