"""Random mappings, counted and held against what is known to be best."""

from __future__ import annotations

import numpy as np
import pytest

import toolkit
from toolkit.errors import InputError
from toolkit.search.landscape import histogram, sample_landscape


def small(**options: object) -> toolkit.Problem:
    return toolkit.make_problem(
        toolkit.load_arch("eyeriss"),
        toolkit.gemm(12, 8, 6),
        **options,  # type: ignore[arg-type]
    )


def test_values_are_those_of_valid_mappings() -> None:
    problem = small(factors="perfect")
    found = sample_landscape(problem, 300, seed=4, descend=True)
    optimum = toolkit.search_mappings(problem, "exact").objective
    assert found.bottoms is not None
    assert len(found.drawn) == len(found.bottoms) == 300
    np.testing.assert_allclose(found.energy_pj * found.latency_cycles, found.drawn, rtol=1e-12)
    assert (found.bottoms <= found.drawn).all()
    assert found.bottoms.min() >= optimum * (1 - 1e-9)
    assert found.best.objective == pytest.approx(found.bottoms.min(), rel=1e-12)
    table = found.table()
    assert table["sample"].tolist() == list(range(1, 301))
    assert table["descended_value"].tolist() == found.bottoms.tolist()


def test_seeds_draw_other_mappings_and_the_same_again() -> None:
    first, again, other = (sample_landscape(small(), 50, seed=seed) for seed in (1, 1, 2))
    assert first.drawn.tolist() == again.drawn.tolist() != other.drawn.tolist()
    assert "descended" not in first.kinds


def test_bypasses_are_drawn_too() -> None:
    problem = small(bypass="free")
    found = sample_landscape(problem, 30, descend=True)
    held = sample_landscape(small(bypass="fixed"), 30, descend=True)
    assert found.best.objective < held.best.objective


def test_shares_are_counted() -> None:
    found = sample_landscape(small(), 200)
    best = found.best.objective
    told = found.summary(best)["drawn"]
    for near, share in told["within"].items():
        assert share == np.count_nonzero(found.drawn <= best * (1 + near)) / 200
    shares = list(told["quantiles"].values())
    assert shares[0] == best
    assert shares[-1] == found.drawn.max()
    assert shares == sorted(shares)


@pytest.mark.parametrize(
    ("values", "reference"),
    [([3.0], 3.0), ([0.0, 5.0, 1.0], 1.0), ([-2.0, 4.0], -2.0), ([1.0, np.inf, 9.0], 1.0)],
)
def test_every_finite_value_lies_in_a_bin(values: list[float], reference: float) -> None:
    given = np.array(values)
    found = histogram({"drawn": given}, reference, bins=7)
    assert found.counts["drawn"].sum() == np.isfinite(given).sum()
    assert (np.diff(found.edges) > 0).all()


@pytest.mark.parametrize(
    ("options", "count", "seed", "message"),
    [
        ({}, 0, 0, "count: 0 is not an integer from 1"),
        ({}, 5, -1, "seed: -1 is not an integer from 0"),
        ({"objective": "energy,latency"}, 5, 0, "objective: energy,latency asks for a front"),
    ],
)
def test_wrong_input(options: dict[str, str], count: int, seed: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        sample_landscape(small(**options), count, seed=seed)
    assert message in str(caught.value)
