"""A program that uses the toolkit, as its users have them: `mypy --strict` finds nothing in it."""

from __future__ import annotations

from pathlib import Path

import toolkit
from toolkit.errors import InputError


def best_of(names: list[str], evaluations: int) -> dict[str, toolkit.SearchResult]:
    """The best mapping of one matrix product on each architecture."""
    return {
        name: toolkit.map(name, "gemm:M=16,K=8,N=4", "random", evaluations=evaluations)
        for name in names
    }


def report(results: dict[str, toolkit.SearchResult], folder: Path) -> list[str]:
    """A line for each result, and its mapping in a file."""
    lines: list[str] = []
    for name, result in results.items():
        problem: toolkit.Problem = result.problem
        why: toolkit.Explanation = toolkit.explain(result.mapping, problem.arch, problem.workload)
        bound: float | None = result.bound
        toolkit.write_mapping(folder / f"{name}.yaml", result.mapping)
        lines.append(f"{name}: {result.edp_pj_cycles:g} {bound} {why.cycles.latency_cycles:g}")
    return lines


def compared(arch: toolkit.Architecture, workload: toolkit.Workload) -> int:
    """How many runs a comparison has."""
    problem = toolkit.make_problem(arch, workload, objective="energy")
    found = toolkit.compare([problem], ["random", "greedy"], toolkit.Budget(evaluations=20), 1)
    return len(found.outcomes)


def refused(name: str) -> str:
    """What is said about an architecture that there is not."""
    try:
        toolkit.load_arch(name)
    except InputError as error:
        return str(error)
    return ""
