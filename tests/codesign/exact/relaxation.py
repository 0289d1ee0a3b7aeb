"""Relaxed corners: what runs on a point of a box runs on its corner, and costs no more there."""

from __future__ import annotations

import random

import numpy as np

from toolkit.codesign.exact import Question
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.corners import Corners
from toolkit.codesign.exact.floors import RELAXED, SOLVED, Floors, Rows
from toolkit.codesign.exact.layers import Proofs
from toolkit.codesign.exact.mix import mix_of
from toolkit.codesign.exact.room import Room
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


def check_floors(question: Question, seed: int, boxes: int = 2) -> int:
    """Hold tables by instances against mappings on points; returns how many were compared.

    A box within a larger one, whose closer bounds hold for it, too.
    """
    rng, compared = random.Random(seed), 0
    corners = Corners(question.space, question.conventions)
    floors = Floors(Proofs(question.conventions, question.factors), corners.widest)
    ranges = question.space.ranges
    for _ in range(boxes):
        outer = draw_box(corners, rng)
        inner = Box(
            tuple(tuple(sorted(rng.choices(range(a, b + 1), k=2))) for a, b in outer.sides)
        )
        point = Box(tuple((i, i) for i in (rng.randint(*side) for side in inner.sides)))
        arch = question.space.build(point.parameters(ranges, (False,) * len(ranges))).arch
        area = corners.area_and_power(point)[0]
        known: list[int] = []
        for box in (outer, inner):
            corner = corners.corner(box)
            number, wide = floors.figures(corner.arch)
            known.append(number)
            for workload in mix_of(question.networks, arch).workloads:
                table = floors.table(workload, number, wide)
                room = Room(corners, box, rng.choice([None, area / (1 - 1e-9)]))
                try:
                    rows = floors.rows(corner, room, workload, known)
                    problem = floors.proofs.stated(arch, workload)
                except DoesNotFitError:
                    continue
                if table is None or rows is None or problem.workload != table.problem.workload:
                    continue
                _settle_some(rows, rng)
                compared += _compare_rows(problem, rows, seed)
    return compared


def _settle_some(rows: Rows, rng: random.Random) -> None:
    line = np.array([rng.random(), rng.random()]) / rows.points.min(axis=0)
    for corner in rows.hull():
        rows.settle(line, corner, rng.choice([RELAXED, SOLVED]))
        rows.settle(line, corner, SOLVED)


def _compare_rows(problem: Problem, rows: Rows, seed: int) -> int:
    rng = np.random.default_rng(seed)
    try:
        factors, orders = sample(problem.space, _MAPPINGS, rng)
    except DoesNotFitError:
        return 0
    costs, valid = Evaluator(problem, Budget()).costs(factors, orders, np.zeros(len(factors), int))
    spatial = problem.space.spatial_levels
    places = {rows.table.families[n, spatial].tobytes(): i for i, n in enumerate(rows.numbers)}
    points, hull = rows.points, rows.hull()
    for row in np.flatnonzero(valid):
        place = places[factors[row, spatial].tobytes()]
        assert (points[place] <= costs[row, :2] * (1 + 1e-12)).all()
        assert np.interp(costs[row, 0], *hull.T) <= costs[row, 1] * (1 + 1e-12)
        assert hull[0, 0] <= costs[row, 0] * (1 + 1e-12)
    return int(valid.sum())


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
