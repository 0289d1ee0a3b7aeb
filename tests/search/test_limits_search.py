"""Searches of problems of any size: what they return is valid and costs what they say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from examples import examples
from hypothesis import assume, given
from oracle.exact_integers import TooWideError, exact_cost
from oracle.large import large_cases
from oracle.strategies import Case

from toolkit.arch.architecture import Architecture
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Compute, Memory
from toolkit.errors import DoesNotFitError, PrecisionError
from toolkit.mapping import to_arrays, violations
from toolkit.model import STEADY
from toolkit.search import Budget, make_problem, search_mappings
from toolkit.workload import gemm

few = examples(6)


@pytest.mark.parametrize("strategy", ["greedy", "anneal", "random"])
@few
@given(large_cases())
def test_the_cost_found_is_exact(strategy: str, case: Case) -> None:
    """Within rounding, against integers; energies alone differ by more than 2^53."""
    arch, work, _, _, bias_read = case
    levels = tuple(
        level if isinstance(level, Memory) else replace(level, dimensions=work.dimensions)
        for level in arch.levels
    )
    try:
        arch = replace(arch, levels=levels)
        problem = make_problem(
            arch, work, bias_read=bias_read, factors="perfect", conventions=STEADY
        )
        result = search_mappings(problem, strategy, budget=Budget(evaluations=100))
    except (DoesNotFitError, PrecisionError):
        return
    assert violations(problem.space, result.mapping) == ()
    factors, order = to_arrays(result.mapping, problem.arch, work)
    try:
        expected = exact_cost(problem.arch, work, factors.tolist(), order.tolist(), bias_read)
    except TooWideError:
        assume(False)
    assert result.energy_pj == pytest.approx(float(expected.energy_pj), rel=1e-12)
    assert result.latency_cycles == pytest.approx(float(expected.latency_cycles), rel=1e-12)
    assert result.utilization == pytest.approx(float(expected.utilization), rel=1e-12)


def test_padding_beyond_the_limit_is_refused() -> None:
    """Rounding M up to a multiple of 2^16 doubles the multiply-accumulates."""
    buffer = Memory("Buffer", None, 1, 1, 1, 1, constraints=(FactorConstraint("M", "==", 2**16),))
    arch = Architecture("padded", (Memory("DRAM", None, 1, 1, 1, 1), buffer, Compute("MAC", 1)))
    work = gemm(2**16 + 1, 2**18, 3 * 2**17)
    assert work.macs < 2**53
    with pytest.raises(PrecisionError, match=f"multiply-accumulates number {3 * 2**52}, more"):
        make_problem(arch, work, factors="perfect", round_up="all")


def test_tensors_beyond_the_limit_are_refused_before_the_search() -> None:
    arch = Architecture("plain", (Memory("DRAM", None, 1, 1, 1, 1), Compute("MAC", 1)))
    with pytest.raises(PrecisionError, match=f"footprint at DRAM number {2**53 + 2**31 + 2**22}"):
        make_problem(arch, gemm(2**31, 2**22, 1))
