"""Problems in the words of the command line: names, files and specifications."""

from __future__ import annotations

from collections.abc import Callable, Collection

from toolkit.arch.architecture import Architecture
from toolkit.arch.files import load_arch
from toolkit.mapping.bypasses import Bypass
from toolkit.mapping.fixed import fix_spatial
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.space import Factors
from toolkit.model.conventions import Conventions, conventions_named
from toolkit.search.objective import Function, Objective
from toolkit.search.problem import Problem, make_problem
from toolkit.search.registry import Strategy, search_mappings
from toolkit.search.result import Budget, SearchResult, TracePoint
from toolkit.workload.kernel import Workload
from toolkit.workload.load import load_workload


def conventions_of(conventions: Conventions | str) -> Conventions:
    """Look conventions up where they are named."""
    return conventions_named(conventions) if isinstance(conventions, str) else conventions


def ask(
    arch: Architecture | str,
    workload: Workload | str,
    *,
    objective: str | Objective | Function = "edp",
    conventions: Conventions | str = "exact",
    bias_read: bool = False,
    pad: Collection[str] | str = (),
    factors: Factors | None = None,
    bypass: Bypass = "permitted",
    fix: Mapping | None = None,
) -> Problem:
    """State a problem, with what is named loaded first; see `map` and `toolkit.make_problem`."""
    loaded = load_arch(arch) if isinstance(arch, str) else arch
    kernel = load_workload(workload) if isinstance(workload, str) else workload
    if fix is not None:
        loaded = fix_spatial(loaded, kernel, fix)
    return make_problem(
        loaded,
        kernel,
        objective=objective,
        conventions=conventions_of(conventions),
        bias_read=bias_read,
        pad=pad,
        factors=factors,
        bypass=bypass,
    )


def map(
    arch: Architecture | str,
    workload: Workload | str,
    strategy: str | Strategy = "greedy",
    *,
    objective: str | Objective | Function = "edp",
    conventions: Conventions | str = "exact",
    seed: int = 0,
    evaluations: int | None = None,
    seconds: float | None = None,
    factors: Factors | None = None,
    bypass: Bypass = "permitted",
    pad: Collection[str] | str = (),
    bias_read: bool = False,
    fix: Mapping | None = None,
    on_improvement: Callable[[TracePoint], None] | None = None,
) -> SearchResult:
    """Search for the best mapping of a workload on an architecture.

    Parameters
    ----------
    arch : Architecture or str
        Or what `toolkit.load_arch` takes, such as ``"gemmini-ws:side=32"``.
    workload : Workload or str
        Or what `toolkit.load_workload` takes, such as ``"gemm:M=128,K=768,N=512"``.
    strategy : str or Strategy
        A key of `toolkit.STRATEGIES`, or a function of your own.
    objective : str, Objective or callable
        What to minimise.
    conventions : Conventions or str
        How costs are counted; a key of `toolkit.CONVENTIONS`.
    seed : int
        Seed of all randomness.
    evaluations, seconds : int and float, optional
        Limits; by default the strategy ends when it has nothing left to try.
    factors, bypass, pad, bias_read
        As `toolkit.make_problem` takes them.
    fix : Mapping, optional
        A mapping whose spatial factors are kept.
    on_improvement : callable, optional
        Called with every new best.

    Returns
    -------
    SearchResult
        Its `problem` has what the mapping is a mapping of.

    Raises
    ------
    ArchitectureError, WorkloadError, InputError
        If something is unknown, malformed or does not fit together.
    DoesNotFitError
        If no valid mapping was found.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", "exact")
    >>> best.status
    'proved optimal'
    """
    problem = ask(
        arch,
        workload,
        objective=objective,
        conventions=conventions,
        bias_read=bias_read,
        pad=pad,
        factors=factors,
        bypass=bypass,
        fix=fix,
    )
    return search_mappings(
        problem,
        strategy,
        budget=Budget(evaluations, seconds),
        seed=seed,
        on_improvement=on_improvement,
    )
