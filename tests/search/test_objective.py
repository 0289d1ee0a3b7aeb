"""Objectives that users make themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from toolkit.errors import InputError
from toolkit.search import Objective, objective_named
from toolkit.search.objective import log_scale

COSTS = np.ones(3)


@pytest.mark.parametrize(
    ("powers", "expected"),
    [
        ((1.0, 1.0), "exponents of energy, latency and utilization"),
        ((1.0, float("nan"), 0.0), "three finite numbers"),
        (("1", 1.0, 0.0), "three finite numbers"),
        ((0.0, 0.0, 0.0), "not all of them 0"),
        ((1.0, 2000.0, 0.0), "powers up to 16"),
        ((1.0, -17.0, 0.0), "powers up to 16"),
    ],
)
def test_powers(powers: Any, expected: str) -> None:
    with pytest.raises(InputError, match=f"objective: mine: .*{expected}"):
        Objective("mine", powers)


def test_fronts_are_of_energy_and_latency() -> None:
    assert Objective("mine", front=("latency", "energy")).front
    with pytest.raises(InputError, match="front of energy and latency, got .*area"):
        Objective("mine", front=("energy", "area"))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda e, t, u: {}["missing"], "KeyError: 'missing'"),
        (lambda e, t, u: e.nothing, "AttributeError: .*nothing"),
        (lambda e, t, u: e[10**6], "IndexError"),
        (lambda e, t: e, "TypeError"),
        (lambda e, t, u: 3.0, "shape"),
    ],
)
def test_functions_that_fail(function: Callable[..., Any], expected: str) -> None:
    with pytest.raises(InputError, match=f"objective: <lambda> .*{expected}"):
        objective_named(function).value(COSTS, COSTS, COSTS)


@pytest.mark.parametrize("given", ["", "area", "energy^-1", "energy^0", ["edp"], None, 3])
def test_names_that_mean_nothing(given: Any) -> None:
    with pytest.raises(InputError, match="objective: "):
        objective_named(given)


def test_logarithms_rise_throughout() -> None:
    values = np.array([-1e300, -2.0, 0.0, 5e-324, 1.0, 1e300, np.inf])
    assert (np.diff(log_scale(values)) > 0).all()
