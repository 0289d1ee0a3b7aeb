import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import WorkloadError
from toolkit.mapping.factors import build_lattice, divisors, prime_factors

from .spaces import splits


@given(st.integers(1, 2**40))
def test_primes_multiply_to_the_number(number):
    factors = prime_factors(number)
    assert math.prod(p**e for p, e in factors) == number
    assert all(prime_factors(p) == ((p, 1),) for p, _ in factors)


def test_primes_of_a_large_semiprime():
    assert prime_factors(94906249 * 3) == ((3, 1), (94906249, 1))


@pytest.mark.parametrize("number", [0, -4, 2**53])
def test_primes_outside_the_exact_range(number):
    with pytest.raises(WorkloadError, match=f"size {number} is not between"):
        prime_factors(number)


@given(st.integers(1, 2000))
def test_divisors_are_those_that_divide(number):
    assert divisors(number).tolist() == [d for d in range(1, number + 1) if number % d == 0]


def test_too_many_divisors():
    with pytest.raises(WorkloadError, match="divisors, more than the 2048"):
        divisors(2**4 * 3**3 * 5**2 * 7**2 * 11 * 13 * 17 * 19 * 23 * 29)


bounds = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 24)), min_size=1, max_size=4
)


def expected_splits(size, rows):
    return {
        split
        for split in splits(size, len(rows))
        if all(lo <= f <= hi for f, (lo, hi, _) in zip(split, rows, strict=True))
        and all(math.prod(split[i:]) <= rows[i][2] for i in range(len(rows)))
    }


@given(st.sampled_from([1, 2, 7, 12, 16, 24]), bounds)
def test_lattice_lists_every_split_once(size, rows):
    lattice = build_lattice(size, *zip(*rows, strict=True))
    listed = [tuple(row) for row in lattice.table().tolist()]
    assert len(listed) == len(set(listed)) == lattice.total
    assert set(listed) == expected_splits(size, rows)


@given(st.sampled_from([1, 2, 7, 12, 16, 24]), bounds)
def test_lattice_ranges_are_those_of_its_splits(size, rows):
    lattice = build_lattice(size, *zip(*rows, strict=True))
    if lattice.total == 0:
        return
    table = lattice.table()
    assert lattice.first().tolist() == table[0].tolist() == max(table.tolist())
    for level in range(len(rows)):
        extents = np.prod(table[:, level:], axis=1)
        assert lattice.extent_range(level) == (extents.min(), extents.max())
        assert lattice.factor_range(level) == (table[:, level].min(), table[:, level].max())


def test_lattice_samples_uniformly():
    lattice = build_lattice(24, [1, 1, 2], [24, 4, 24])
    drawn = lattice.sample(40_000, np.random.default_rng(1))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = 40_000 / lattice.total
    assert len(counts) == lattice.total
    assert abs(counts - expected).max() < 6 * math.sqrt(expected)


def test_lattice_counts_beyond_64_bits():
    assert build_lattice(2**40, [1] * 60, [2**40] * 60).total == math.comb(99, 59)
