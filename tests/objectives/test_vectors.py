"""Problems as functions of vectors: SciPy's optimisers, pymoo, nevergrad."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.optimize import (
    LinearConstraint,
    basinhopping,
    differential_evolution,
    dual_annealing,
    milp,
    minimize,
    shgo,
)

from objectives.test_mappings import CHOOSING, PERFECT, RAGGED, problem
from toolkit.arch import load_arch
from toolkit.errors import InputError
from toolkit.model.evaluate import evaluate
from toolkit.objectives import for_vectors
from toolkit.search import Budget, Problem, make_problem, search_mappings
from toolkit.search.evaluator import Evaluator
from toolkit.search.scipy_optimisers.objective import ENCODINGS, VectorObjective
from toolkit.workload import gemm

each = pytest.mark.parametrize("asked", [RAGGED, PERFECT, CHOOSING])
each_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


def kept(objective: VectorObjective, x: np.ndarray) -> bool:
    """Whether a vector keeps all constraints and bounds."""
    inside = (x >= objective.bounds.lb - 1e-9).all() and (x <= objective.bounds.ub + 1e-9).all()
    for constraint in objective.constraints:
        linear = isinstance(constraint, LinearConstraint)
        values = np.asarray(constraint.A @ x if linear else constraint.fun(x))
        low, high = np.asarray(constraint.lb), np.asarray(constraint.ub)
        inside &= bool((values >= low - 1e-9).all() and (values <= high + 1e-9).all())
    return bool(inside)


@each
@each_encoding
def test_one_and_many_are_costed_alike(asked: Problem, encoding: str) -> None:
    objective = for_vectors(asked, encoding=encoding)
    starts = objective.starts(20, seed=1)
    values = objective.rows(starts)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(objective(starts.T), values)
    assert [objective(x) for x in starts] == values.tolist()
    for x, value in zip(starts[:5], values, strict=False):
        cost = evaluate(objective.mapping(x), asked.arch, asked.workload)
        assert value == pytest.approx(cost.energy_pj * cost.latency_cycles, rel=1e-12)
    logs = for_vectors(asked, encoding=encoding, logarithms=True)
    np.testing.assert_allclose(logs.rows(starts), np.log(values), rtol=1e-12)


@pytest.mark.parametrize("asked", [RAGGED, PERFECT])
def test_constraints_are_what_makes_vectors_valid(asked: Problem) -> None:
    objective = for_vectors(asked, encoding="moves")
    assert objective.integrality.all()
    rng = np.random.default_rng(0)
    vectors = objective.starts(40)
    width = objective.vectors.width
    for x in vectors[20:]:  # Most of these are no mappings any more.
        x[rng.integers(width)] += rng.integers(-1, 2)
    valid = np.isfinite(objective.rows(vectors))
    assert valid[:20].all()
    assert not valid[20:].all()
    assert [kept(objective, x) for x in vectors] == valid.tolist()


@each
def test_every_point_of_the_box_is_valid(asked: Problem) -> None:
    objective = for_vectors(asked)
    assert objective.constraints == ()
    rng = np.random.default_rng(0)
    low, high = objective.bounds.lb, objective.bounds.ub
    points = low + rng.random((50, len(low))) * (high - low)
    assert np.isfinite(objective.rows(points)).all()


def test_a_known_mapping_is_a_vector() -> None:
    best = search_mappings(RAGGED, "greedy", budget=Budget(evaluations=500))
    for encoding in ENCODINGS:
        objective = for_vectors(RAGGED, encoding=encoding)
        assert objective(objective.vector(best.mapping)) == pytest.approx(best.objective)


@each
def test_the_greedy_step_is_a_method_of_minimize_and_of_basinhopping(asked: Problem) -> None:
    objective = for_vectors(asked, encoding="moves", logarithms=True)
    start = objective.starts(1)[0]
    found = minimize(objective, start, method=objective.greedy_step)
    assert found.success
    assert found.fun < objective(start)
    hopped = basinhopping(
        objective,
        start,
        niter=8,
        T=0.01,
        take_step=objective.kick(0),
        minimizer_kwargs={"method": objective.greedy_step},
        rng=0,
    )
    assert hopped.fun <= found.fun
    assert objective.result("hops").objective == pytest.approx(np.exp(hopped.fun))


def test_scipys_global_optimisers() -> None:
    objective = for_vectors(RAGGED)
    evolved = differential_evolution(
        objective,
        objective.bounds,
        integrality=objective.integrality,
        vectorized=True,
        updating="deferred",
        maxiter=15,
        init=objective.starts(20),
        polish=False,
        rng=0,
    )
    annealed = dual_annealing(objective, objective.bounds, maxiter=30, no_local_search=True, rng=0)
    drawn = search_mappings(RAGGED, "random", budget=Budget(evaluations=300)).objective
    assert max(evolved.fun, annealed.fun) < 1.5 * drawn
    assert evolved.fun < drawn


def test_shgo_where_there_are_few_variables() -> None:
    # All factors but those of one dimension stay those of a known mapping.
    objective = for_vectors(RAGGED)
    start = objective.starts(1)[0]

    def few(y: np.ndarray) -> float:
        return float(objective(np.concatenate([y, start[3:]])))

    ends = list(zip(objective.bounds.lb[:3], objective.bounds.ub[:3], strict=True))
    found = shgo(
        few,
        ends,
        n=64,
        sampling_method="sobol",
        minimizer_kwargs={"method": "Nelder-Mead", "options": {"maxiter": 5}},
    )
    assert found.fun < objective(start)


def test_milp_fills_the_lanes_as_far_as_products_and_meshes_allow() -> None:
    objective = for_vectors(PERFECT, encoding="moves")
    found = milp(
        -objective.lanes,
        constraints=objective.constraints[0],
        integrality=objective.integrality,
        bounds=objective.bounds,
    )
    assert found.success
    assert 2**-found.fun == pytest.approx(4.0)  # All of the PEs.
    with pytest.raises(InputError, match="linear programs need exponents"):
        _ = for_vectors(RAGGED, encoding="moves").lanes


def test_pymoos_nsga3_on_a_front() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymoo.algorithms.moo.nsga3 import NSGA3
        from pymoo.core.problem import Problem as PymooProblem
        from pymoo.optimize import minimize as pymoo_minimize
        from pymoo.util.ref_dirs import get_reference_directions

    asked = make_problem(load_arch("eyeriss"), gemm(64, 32, 16), objective="energy,latency")
    objective = for_vectors(asked)

    class Mapping(PymooProblem):  # type: ignore[misc]
        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kw: Any) -> None:
            out["F"] = objective.rows(x)

    low, high = objective.bounds.lb, objective.bounds.ub
    pymoo_problem = Mapping(n_var=len(low), n_obj=2, xl=low, xu=high)
    directions = get_reference_directions("das-dennis", 2, n_partitions=11)
    found = pymoo_minimize(pymoo_problem, NSGA3(directions), ("n_gen", 12), seed=1)
    for x, values in zip(found.X, found.F, strict=True):
        cost = evaluate(objective.mapping(x), asked.arch, asked.workload)
        assert values == pytest.approx([cost.energy_pj, cost.latency_cycles], rel=1e-12)
    assert len(objective.result("nsga3").front) >= 2


def test_nevergrad() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nevergrad

        objective = for_vectors(RAGGED, logarithms=True)
        start = objective.starts(1)[0]
        # Integers have the middle of their cells as ends; nevergrad wants starts inside.
        space = nevergrad.p.Array(init=start).set_bounds(objective.bounds.lb, objective.bounds.ub)
        optimiser = nevergrad.optimizers.OnePlusOne(parametrization=space, budget=150)
        optimiser.parametrization.random_state.seed(0)
        found = optimiser.minimize(objective)
    assert objective(found.value) < objective(start)


def test_batches_are_as_fast_as_the_evaluator_to_within_a_factor() -> None:
    # The measurement itself is `studies/benchmarks/objectives.py`; here only that nothing is
    # costed one by one.
    objective = for_vectors(RAGGED, encoding="moves")
    evaluator = Evaluator(RAGGED, Budget())
    starts = objective.starts(64)
    decoded = objective.decoder.decode(starts)
    np.testing.assert_array_equal(objective.rows(starts), evaluator.evaluate(*decoded))
    assert objective.evaluator.evaluations == 64


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: for_vectors(RAGGED, encoding="boxes"), "encoding: unknown encoding 'boxes'"),
        (lambda: for_vectors(RAGGED)(np.zeros(3)), r"vectors: expected \d+ variables, got"),
        (lambda: for_vectors(RAGGED).greedy_step, "encoding: points of a box have no neighbours"),
        (
            lambda: for_vectors(problem("energy,latency"), encoding="moves").greedy_step,
            "a front has no steepest descent",
        ),
    ],
)
def test_wrong_use_is_told(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        act()


@each
@each_encoding
def test_what_is_no_number_is_no_mapping(asked: Problem, encoding: str) -> None:
    objective = for_vectors(asked, encoding=encoding)
    vectors = objective.starts(3)
    vectors[1, -1] = np.nan
    values = objective.rows(vectors)
    assert np.isfinite(values).tolist() == [True, False, True]
    assert objective(vectors[1]) == np.inf
    with pytest.raises(InputError, match="vectors: expected numbers, got NaN"):
        objective.mapping(vectors[1])
    # Optimisers of real variables look beyond bounds.
    if encoding == "box":
        beyond = np.where(vectors[0] > 0, 1e300, -np.inf)
        assert np.isfinite(objective(np.clip(beyond, -1e300, None)))
        assert np.isfinite(objective(np.full(len(beyond), np.inf)))


@each
def test_objectives_travel(asked: Problem) -> None:
    for encoding in ENCODINGS:
        objective = for_vectors(asked, encoding=encoding)
        starts = objective.starts(3)
        values = objective.rows(starts)
        for other in (pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective)):
            np.testing.assert_array_equal(other.rows(starts), values)
        assert objective.evaluator.evaluations == 3


@each
def test_no_variable_is_fixed(asked: Problem) -> None:
    objective = for_vectors(asked, encoding="moves")
    assert (objective.bounds.lb < objective.bounds.ub).all()
    start = objective.starts(1)[0]
    found = minimize(
        objective,
        start,
        method="COBYLA",
        bounds=objective.bounds,
        constraints=objective.constraints,
        options={"maxiter": 60},
    )
    assert found.fun <= objective(start)


def test_the_greedy_step_says_how_it_ended() -> None:
    objective = for_vectors(RAGGED, encoding="moves")
    step, start, seen = objective.greedy_step, objective.starts(1)[0], []
    whole = minimize(objective, start, method=step, callback=seen.append)
    assert (whole.success, whole.status, len(seen)) == (True, 0, whole.nit)
    short = minimize(objective, start, method=step, options={"maxiter": 1})
    assert (short.success, short.status, short.nit) == (False, 1, 1)
    assert whole.fun <= short.fun < objective(start)
    none = minimize(objective, np.full(len(start), 3.0), method=step)
    assert (none.success, none.status) == (False, 2)
    assert "expected one such as objective.starts" in none.message


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: for_vectors(RAGGED)("x"), "vectors: expected an array of numbers, got 'x'"),  # type: ignore[arg-type]
        (lambda: for_vectors(RAGGED).starts(-1), "count: -1 is not an integer from 0"),
        (lambda: for_vectors(RAGGED, encoding="moves").kick(-1), "seed: -1 is not an integer"),
    ],
)
def test_what_is_no_number_is_told(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        act()
