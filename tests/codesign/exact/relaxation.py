"""Relaxed corners: what runs on a point of a box runs on its corner, and costs no more there."""

from __future__ import annotations

import random

import numpy as np

from toolkit.codesign.exact import Question
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.corners import Corners
from toolkit.codesign.exact.layers import Proofs
from toolkit.codesign.exact.mix import mix_of
from toolkit.errors import DoesNotFitError
from toolkit.mapping.sampling import sample
from toolkit.search.evaluator import Evaluator
from toolkit.search.problem import Problem
from toolkit.search.result import Budget

_MAPPINGS = 400


def draw_box(corners: Corners, rng: random.Random) -> Box:
    """Any box whose parameters of other kinds have one value."""
    sides = []
    for name, found in corners.space.ranges.items():
        first, last = sorted(rng.choices(range(len(found.values)), k=2))
        sides.append((first, first if name in corners.one_by_one else last))
    return Box(tuple(sides))


def check_corners(question: Question, seed: int, boxes: int = 2) -> int:
    """Draw boxes, points and mappings; returns how many mappings were compared."""
    rng, compared = random.Random(seed), 0
    corners = Corners(question.space, question.conventions)
    proofs = Proofs(question.conventions, question.factors)
    ranges = question.space.ranges
    for _ in range(boxes):
        box = draw_box(corners, rng)
        inside = Box(tuple((i, i) for i in (rng.randint(*side) for side in box.sides)))
        point = question.space.build(inside.parameters(ranges, (False,) * len(ranges)))
        corner = corners.corner(box)
        assert corner.area_um2 <= point.area_um2
        assert corner.power_mw <= point.power_mw
        mix = mix_of(question.networks, point.arch)
        for demand in mix.demands:
            pairs = zip(
                demand.beside(corner.arch, question.conventions),
                demand.beside(point.arch, question.conventions),
                strict=True,
            )
            assert all(relaxed <= own * (1 + 1e-12) for relaxed, own in pairs)
        for workload in mix.workloads:
            try:
                own = proofs.stated(point.arch, workload)
                relaxed = proofs.stated(corner.arch, workload)
            except DoesNotFitError:
                continue
            if own.workload != relaxed.workload:
                continue  # Padded otherwise, which a proof looks out for.
            compared += _compare(own, relaxed, seed)
    return compared


def _compare(own: Problem, relaxed: Problem, seed: int) -> int:
    rng = np.random.default_rng(seed)
    try:
        factors, orders = sample(own.space, _MAPPINGS, rng)
    except DoesNotFitError:
        return 0
    costs, valid = Evaluator(own, Budget()).costs(factors, orders, np.zeros(len(factors), int))
    best, fits = Evaluator(relaxed, Budget()).costs(factors, orders, np.zeros(len(factors), int))
    assert fits[valid].all()
    assert (best[valid, :2] <= costs[valid, :2] * (1 + 1e-12)).all()
    return int(valid.sum())
