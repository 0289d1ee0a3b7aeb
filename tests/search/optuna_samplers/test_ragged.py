"""Ragged tilings as genes, and their repair."""

from __future__ import annotations

import numpy as np
import pytest
from search.problems import PROBLEMS

from toolkit.mapping.sampling import random_tilings
from toolkit.search.optuna_samplers.alternatives import SizeShares
from toolkit.search.optuna_samplers.coding import range_of
from toolkit.search.optuna_samplers.ragged import FactorChoices, RaggedRepair
from toolkit.search.optuna_samplers.repairs import shortfalls

each_problem = pytest.mark.parametrize("name", ["ragged", "apart"])


def genes_at_random(choices: FactorChoices | SizeShares, count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    ranges = [range_of(p) for p in choices.parameters.values()]
    columns = [np.exp(rng.uniform(0, np.log(r.stop - r.start), count)) for r in ranges]
    first = [r.start for r in ranges]
    return np.array(columns).astype(np.int64).T - 1 + first


@each_problem
def test_tilings_survive(name: str) -> None:
    space = PROBLEMS[name]().space
    choices = FactorChoices(space)
    factors = random_tilings(space, 100, np.random.default_rng(0))
    genes = choices.encode(factors)
    for column, parameter in zip(genes.T, choices.parameters.values(), strict=True):
        assert set(column.tolist()) <= set(range_of(parameter))
    np.testing.assert_array_equal(choices.decode(genes), factors)


@each_problem
def test_repair_makes_every_tiling_valid_and_leaves_valid_ones(name: str) -> None:
    space = PROBLEMS[name]().space
    choices, repair = FactorChoices(space), RaggedRepair(space)
    factors = choices.decode(genes_at_random(choices, 300))
    valid = space.check_factors(factors)
    assert not valid.all()
    repaired = repair.apply(factors)
    assert space.check_factors(repaired).all()
    np.testing.assert_array_equal(repaired[valid], factors[valid])
    broken = np.unique(factors[~valid], axis=0)
    assert len(np.unique(repaired[~valid], axis=0)) > len(broken) / 4


@each_problem
def test_shortfalls_are_what_makes_tilings_invalid(name: str) -> None:
    space = PROBLEMS[name]().space
    choices = FactorChoices(space)
    factors = choices.decode(genes_at_random(choices, 100))
    lacking = [not shortfalls(space, factors, row) for row in range(len(factors))]
    assert lacking == space.check_factors(factors).tolist()


@each_problem
def test_one_alone_is_read_as_among_others(name: str) -> None:
    space = PROBLEMS[name]().space
    choices, repair = FactorChoices(space), RaggedRepair(space)
    genes = genes_at_random(choices, 60)
    together = repair.apply(choices.decode(genes))
    for row, factors in zip(genes, together, strict=True):
        np.testing.assert_array_equal(repair.apply(choices.decode(row[None]))[0], factors)


def test_shares_are_valid_tilings() -> None:
    space = PROBLEMS["ragged"]().space
    shares = SizeShares(space)
    assert space.check_factors(shares.decode(genes_at_random(shares, 100))).all()
    factors = random_tilings(space, 20, np.random.default_rng(0))
    again = shares.decode(shares.encode(factors))
    assert np.abs(np.log2(again / factors)).mean() < 0.5
