"""What every proof over hardware has to stand up to: all points, looked at one by one."""

from __future__ import annotations

import itertools
import math

import pytest
from codesign.exact.drawn_spaces import least_value, points_of

from toolkit.codesign.exact import HardwareProof, Question


def all_values(question: Question) -> dict[tuple[float, ...], float]:
    """The optimum of every point; inf where it exceeds a budget or a layer does not run."""
    return {
        tuple(point.values()): least_value(question, point) for point in points_of(question.space)
    }


def check_certificate(
    question: Question, proof: HardwareProof, values: dict[tuple[float, ...], float]
) -> None:
    """Boxes are disjoint and all of the space, and no point is better than its box says."""
    ranges = [found.values for found in question.space.ranges.values()]
    seen = set()
    for entry in proof.boxes:
        for places in itertools.product(*(range(a, b + 1) for a, b in entry.box.sides)):
            point = tuple(found[i] for found, i in zip(ranges, places, strict=True))
            assert point not in seen
            seen.add(point)
            assert entry.bound <= values[point] * (1 + 1e-9)
            if entry.closing in ("area", "power", "DRAM", "unfit"):
                assert values[point] == math.inf
    assert seen == set(values)
    assert proof.bound <= min(values.values()) * (1 + 1e-9)


def check_optimum(question: Question, proof: HardwareProof) -> None:
    """The best point is that of all, and its value is what it costs."""
    values = all_values(question)
    check_certificate(question, proof, values)
    least = min(values.values())
    assert proof.proved
    if least == math.inf:
        assert proof.best is None
        assert proof.bound == math.inf
        return
    assert proof.best is not None
    assert proof.best.value == pytest.approx(least, rel=1e-9)
    assert values[tuple(proof.best.parameters.values())] == pytest.approx(least, rel=1e-9)
    costs = proof.best.energy_pj, proof.best.latency_cycles, proof.best.area_um2
    assert question.objective.value(*costs) == pytest.approx(least, rel=1e-9)
    weights = [use.weight for use in question.networks]
    for i in range(2):
        total = sum(w * costs[i] for w, costs in zip(weights, proof.best.networks, strict=True))
        assert total == pytest.approx(costs_of(proof)[i], rel=1e-9)


def costs_of(proof: HardwareProof) -> tuple[float, float]:
    """Energy and latency of the mix on the best point."""
    assert proof.best is not None
    return proof.best.energy_pj, proof.best.latency_cycles
