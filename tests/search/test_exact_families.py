"""What mappings with the same spatial factors cost at least, against mappings that have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from search.drawn import draw_problem
from search.drawn_wide import draw_wide

from toolkit import load_arch
from toolkit.errors import ToolkitError
from toolkit.mapping import sample
from toolkit.model import EXACT
from toolkit.search import Problem, make_problem
from toolkit.search.evaluator import Evaluator, checked_cost
from toolkit.search.exact import prove
from toolkit.search.exact.families import FamilyBounds, spatial_families
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget
from toolkit.workload import gemm

TOLERANCE = 1e-9
MOST = 2_000


def check_families(problem: Problem, families: np.ndarray, count: int, seed: int) -> None:
    bounds = FamilyBounds(problem, families)
    spatial = problem.space.spatial_levels
    numbers = {own[spatial].tobytes(): i for i, own in enumerate(families)}
    factors, order = sample(problem.space, count, np.random.default_rng(seed))
    for own, loops in zip(factors, order, strict=True):
        pj, cycles, _ = checked_cost(problem, own, loops)
        number = numbers[own[spatial].tobytes()]
        assert bounds.energy_pj[number] <= pj * (1 + TOLERANCE)
        assert bounds.cycles[number] <= cycles * (1 + TOLERANCE)
        for bound in (bounds.closer, bounds.closest):
            others, least = bound(number)
            assert bounds.lanes_pj[number] + others <= pj * (1 + TOLERANCE)
            assert least <= cycles * (1 + TOLERANCE)


@examples(20)
@given(st.integers(0, 10**6), st.sampled_from(["perfect", "ragged"]))
@example(903, "perfect").via("a port that serves what is read, but not what is drained")
def test_no_mapping_costs_less_than_its_family(seed: int, factors: str) -> None:
    for draw in (draw_problem, draw_wide):
        drawn = draw(seed)
        if drawn is None:
            continue
        try:
            problem = make_problem(
                drawn.arch,
                drawn.workload,
                conventions=EXACT,
                bias_read=drawn.bias_read,
                factors=factors,
            )
            families = spatial_families(problem, MOST)
            if families is not None and len(families):
                check_families(problem, families, 5, seed)
        except ToolkitError:
            continue


def test_the_best_family_has_the_least_energy_of_all() -> None:
    problem = make_problem(load_arch("eyeriss"), gemm(32, 24, 16), factors="perfect")
    families = spatial_families(problem, MOST)
    assert families is not None
    bounds = FamilyBounds(problem, families)
    solved = [bounds.closest(i)[0] + bounds.lanes_pj[i] for i in range(len(families))]
    energy = replace(problem, objective=OBJECTIVES["energy"])
    least, _ = prove(Evaluator(energy, Budget()))
    assert np.isclose(min(solved), least, rtol=TOLERANCE)


def test_too_many_families_are_not_listed() -> None:
    problem = make_problem(load_arch("eyeriss"), gemm(32, 24, 16), factors="perfect")
    families = spatial_families(problem, MOST)
    assert families is not None
    assert spatial_families(problem, len(families) // 2) is None
    whole = families.prod(axis=1)
    assert (problem.space.sizes % whole == 0).all()
