"""Genes decode to mappings and mappings to genes; repairs and shortfalls agree with the rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from search.problems import NOTHING_FITS, PROBLEMS

from toolkit.errors import DoesNotFitError
from toolkit.mapping import MapSpace
from toolkit.mapping.sampling import random_tilings, sample
from toolkit.search.optuna_samplers.alternatives import (
    DivisorChoices,
    DivisorIndex,
    InnermostDimensions,
    PrimeShares,
    SplitIndex,
    apportion,
)
from toolkit.search.optuna_samplers.coding import range_of
from toolkit.search.optuna_samplers.encoding import Genes, OrderClasses, PrimeLevels, Primes
from toolkit.search.optuna_samplers.repairs import Repair, shortfalls

TILINGS: dict[str, Callable[[MapSpace], Genes]] = {
    "levels": PrimeLevels,
    "ordered": lambda space: PrimeLevels(space, ordered=True),
    "shares": PrimeShares,
    "splits": SplitIndex,
    "divisors": DivisorIndex,
    "factors": DivisorChoices,
    "ordered factors": lambda space: DivisorChoices(space, ordered=True),
}

WHOLE = [name for name, make in PROBLEMS.items() if make().factors == "perfect"]
each_problem = pytest.mark.parametrize("name", WHOLE)


def space_of(name: str) -> MapSpace:
    return PROBLEMS[name]().space


def drawn(genes: Genes, count: int, seed: int = 0) -> np.ndarray:
    """Genes at random, int64 [count, parameters]."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(len(range_of(p)), size=count) for p in genes.parameters.values()]
    return np.array(columns, dtype=np.int64).reshape(len(columns), count).T


@each_problem
@pytest.mark.parametrize("coding", TILINGS)
def test_tilings_survive(name: str, coding: str) -> None:
    space = space_of(name)
    genes = TILINGS[coding](space)
    factors = random_tilings(space, 40, np.random.default_rng(0))
    written = genes.encode(factors)
    assert written.shape == (40, len(genes.parameters))
    for column, parameter in zip(written.T, genes.parameters.values(), strict=True):
        assert set(column.tolist()) <= set(range_of(parameter))
    np.testing.assert_array_equal(genes.decode(written), factors)


@each_problem
@pytest.mark.parametrize("coding", ["levels", "ordered", "shares", "splits", "factors"])
def test_products_always_equal_the_sizes(name: str, coding: str) -> None:
    space = space_of(name)
    genes = TILINGS[coding](space)
    factors = genes.decode(drawn(genes, 50))
    np.testing.assert_array_equal(factors.prod(axis=1), np.tile(space.sizes, (50, 1)))


@each_problem
def test_known_orders_survive_and_all_are_admissible(name: str) -> None:
    space = space_of(name)
    _, known = sample(space, 5, np.random.default_rng(1))
    genes = OrderClasses(space, list(known))
    memories = space.memory_levels
    free = [m for m in memories if (space.upper[m] > 1).sum() > 1]
    np.testing.assert_array_equal(genes.decode(genes.encode(known))[:, free], known[:, free])
    order = genes.decode(drawn(genes, 50))
    for rule, level in zip(space.order_rules, memories, strict=True):
        assert rule.check(order[:, level]).all()


@each_problem
def test_innermost_dimensions_are_admissible(name: str) -> None:
    space = space_of(name)
    genes = InnermostDimensions(space)
    order = genes.decode(drawn(genes, 20))
    for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
        assert rule.check(order[:, level]).all()
    assert genes.encode(order).shape == (20, len(genes.parameters))


@each_problem
def test_repair_makes_every_tiling_valid_and_leaves_valid_ones(name: str) -> None:
    space = space_of(name)
    genes, repair = PrimeLevels(space), Repair(space)
    assert space.check_factors(repair.anchor[None]).all()
    assert space.check_factors(repair.apply(genes.decode(drawn(genes, 200)))).all()
    factors = random_tilings(space, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(repair.apply(factors), factors)


@each_problem
def test_repair_of_one_does_not_depend_on_the_others(name: str) -> None:
    space = space_of(name)
    genes, repair = PrimeLevels(space), Repair(space)
    factors = genes.decode(drawn(genes, 60))
    together = repair.apply(factors)
    for row, repaired in zip(factors, together, strict=True):
        np.testing.assert_array_equal(repair.apply(row[None])[0], repaired)


@each_problem
@pytest.mark.parametrize("coding", TILINGS)
def test_shortfalls_are_what_makes_tilings_invalid(name: str, coding: str) -> None:
    space = space_of(name)
    genes = TILINGS[coding](space)
    factors = genes.decode(drawn(genes, 60))
    valid = space.check_factors(factors)
    for row in range(60):
        lacking = shortfalls(space, factors, row)
        assert (not lacking) == valid[row]
        assert all(0 < excess < np.inf for excess in lacking.values())


def test_shortfalls_are_logarithms_of_ratios() -> None:
    space = space_of("lower_bounds")
    assert space.dimensions == ("M", "K", "N")
    # DRAM K <= 3; Buffer M, K >= 2; PEs 8 instances, N >= 2; Reg N >= 2.
    factors = np.array([[[1, 6, 1], [12, 1, 1], [1, 1, 4], [1, 1, 2], [1, 1, 1]]])
    found = shortfalls(space, factors[:, : space.shape[0]], 0)
    assert found["DRAM.K"] == pytest.approx(1.0)
    assert found["Buffer.K"] == pytest.approx(1.0)


def test_nothing_fits_is_said() -> None:
    with pytest.raises(DoesNotFitError):
        Repair(NOTHING_FITS.space)


def test_interchangeable_primes_are_sorted() -> None:
    primes = Primes(space_of("eyeriss"))
    assert primes.labels == ["M.2"] * 3 + ["M.3"] + ["K.2"] * 2 + ["K.5"] + ["N.2"] * 2 + ["N.3"]
    found = primes.find(random_tilings(space_of("eyeriss"), 30, np.random.default_rng(0)))
    assert (np.diff(found[:, :3], axis=1) >= 0).all()


def test_apportioning_gives_out_everything() -> None:
    weights = np.random.default_rng(0).integers(5, size=(100, 6))
    counts = apportion(weights, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts >= 0).all()
    assert (counts[(weights.sum(axis=1) > 0)[:, None] & (weights == 0)] == 0).all()
