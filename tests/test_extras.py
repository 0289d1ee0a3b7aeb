"""Packages that only some uses need."""

from __future__ import annotations

import sys
from math import sqrt

import pytest

from toolkit import extras
from toolkit.codesign.registry import HARDWARE_STRATEGIES
from toolkit.errors import MissingPackageError
from toolkit.search import STRATEGIES


def test_functions_are_loaded_by_name() -> None:
    assert extras.load("math:sqrt", "this strategy", "torch", "strategy") is sqrt


def test_what_lacks_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.startswith("toolkit.search.gradient")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingPackageError) as caught:
        extras.load("toolkit.search.gradient:gradient", "this strategy", "torch", "strategy")
    assert str(caught.value) == (
        "strategy: this strategy needs torch, which is not installed; "
        "pip install 'accel-search-toolkit[torch]'"
    )


def test_a_sampler_lacks_what_is_its_own_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    STRATEGIES["tpe"].load()
    with pytest.raises(MissingPackageError, match=r"needs cmaes.*\[cmaes\]"):
        STRATEGIES["cmaes"].load()


def test_packages_that_others_import_late_are_asked_for_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    entry = extras.LateEntry("math:sqrt", "Roots.", extra="torch", packages=("torch",))
    with pytest.raises(MissingPackageError, match="this strategy needs torch"):
        entry.load()
    assert extras.LateEntry("math:sqrt", "Roots.").load() is sqrt


def test_a_process_over_hardware_says_that_it_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"^strategies: .* needs torch, .*\[torch\]"):
        HARDWARE_STRATEGIES["gp"].load()
