"""How a model orders the mappings of a layer."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import InputError
from toolkit.study.fidelity import ordering, ordering_by_kind

MEASURED = np.array([100.0, 101.0, 200.0, 400.0, 50.0, 80.0])
LAYERS = [np.arange(4), np.arange(4, 6)]


def test_the_measurements_order_themselves() -> None:
    found = ordering(LAYERS, MEASURED, MEASURED)
    assert (found.pairs, found.right, found.regret, found.faster) == (6, 1.0, 1.0, 0.0)


def test_pairs_count_within_layers_and_ties_half() -> None:
    """100 and 101 are as good as equal: five pairs and one; the model swaps one and ties one."""
    computed = np.array([1.0, 1.0, 3.0, 3.0, 9.0, 8.0])
    found = ordering(LAYERS, computed, MEASURED)
    assert (found.pairs, found.right) == (6, 4.5 / 6)
    assert found.regret == pytest.approx(((100.5 / 100) * (80 / 50)) ** 0.5)
    assert found.worst_regret == pytest.approx(80 / 50)


def test_rows_that_are_faster_than_the_model_says() -> None:
    computed = MEASURED * np.array([1.0, 1.005, 1.02, 2.0, 0.5, 1.0])
    found = ordering(LAYERS, computed, MEASURED)
    assert found.faster == 2 / 6
    assert found.median_error == pytest.approx(0.0125)


def test_layers_of_a_kind_are_ordered_on_their_own() -> None:
    computed = np.array([1.0, 1.0, 3.0, 3.0, 9.0, 8.0])
    kinds = ["a"] * 4 + ["b"] * 2
    found = ordering_by_kind(kinds, LAYERS, computed, MEASURED)
    assert list(found) == ["a", "b"]
    assert (found["a"].pairs, found["a"].right) == (5, 4.5 / 5)
    assert found["a"] == ordering(LAYERS[:1], computed[:4], MEASURED[:4])
    assert (found["b"].pairs, found["b"].right, found["b"].regret) == (1, 0.0, 80 / 50)


def test_a_kind_without_pairs_has_no_order() -> None:
    found = ordering_by_kind(["a", "b"], [np.array([0]), np.array([1])], MEASURED, MEASURED)
    assert np.isnan(found["a"].right)
    assert found["b"].median_error == 0


def test_nothing_to_order_is_refused() -> None:
    with pytest.raises(InputError, match="no two mappings"):
        ordering([np.array([0]), np.array([1])], MEASURED, MEASURED)
