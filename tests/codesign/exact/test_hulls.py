"""Hulls of layers: sums of them hold the best of all combinations."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from toolkit.codesign.exact.hulls import cut_hull, lower_hull, product_hull, sum_of_hulls

COSTS = st.floats(0.5, 20.0)
FRONTS = st.lists(
    st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=6), min_size=1, max_size=4
)
DIRECTIONS = np.stack([np.cos(np.linspace(0.05, 1.5, 25)), np.sin(np.linspace(0.05, 1.5, 25))])


@given(FRONTS, st.lists(st.integers(1, 3), min_size=4, max_size=4), st.tuples(COSTS, COSTS))
def test_no_combination_is_better_than_the_best_corner(
    fronts: list[list[tuple[float, float]]], counts: list[int], powers: tuple[float, float]
) -> None:
    points = [np.array(front) for front in fronts]
    hulls = [front[lower_hull(front)] for front in points]
    total = sum_of_hulls(hulls, counts[: len(hulls)])
    value, place = total.least(powers)
    scaled = [count * front for count, front in zip(counts, points, strict=False)]
    sums = np.array([np.sum(chosen, axis=0) for chosen in itertools.product(*scaled)])
    assert value <= (sums[:, 0] ** powers[0] * sums[:, 1] ** powers[1]).min() * (1 + 1e-9)
    picked = [hull[pick] for hull, pick in zip(hulls, total.picks[place], strict=True)]
    weighted = [count * pick for count, pick in zip(counts, picked, strict=False)]
    assert np.allclose(np.sum(weighted, axis=0), total.corners[place])


@given(st.lists(st.tuples(COSTS, COSTS), min_size=1, max_size=6), COSTS, COSTS)
def test_what_is_cut_off_a_hull_is_what_costs_too_little(
    front: list[tuple[float, float]], energy: float, latency: float
) -> None:
    points = np.array(front)
    hull = points[lower_hull(points)]
    cut = cut_hull(hull, energy, latency)
    # In every direction the least of the cut is at least that of both bounds ...
    both = np.maximum((hull @ DIRECTIONS).min(axis=0), np.array([energy, latency]) @ DIRECTIONS)
    assert ((cut @ DIRECTIONS).min(axis=0) >= both * (1 - 1e-9)).all()
    # ... and all that meets both is still above it.
    meeting = np.maximum(hull, [energy, latency])
    assert ((meeting @ DIRECTIONS).min(axis=0) >= (cut @ DIRECTIONS).min(axis=0) - 1e-9).all()


@given(COSTS, COSTS, st.floats(0.1, 400.0))
def test_products_lie_above_their_polygon(energy: float, latency: float, product: float) -> None:
    corners = product_hull(energy, latency, product)
    x = np.geomspace(energy, max(energy, product / latency), 50)
    curve = np.stack([x, np.maximum(product / x, latency)], axis=1)
    assert ((curve @ DIRECTIONS).min(axis=0) >= (corners @ DIRECTIONS).min(axis=0) - 1e-9).all()
