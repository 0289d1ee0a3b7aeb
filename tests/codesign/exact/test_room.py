"""Room for instances, against all points of boxes."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from codesign.exact.drawn_spaces import draw_question
from codesign.exact.relaxation import draw_box
from examples import some

from toolkit.arch.levels import Memory
from toolkit.codesign import hardware_space
from toolkit.codesign.exact.boxes import Box, whole
from toolkit.codesign.exact.corners import Corners
from toolkit.codesign.exact.room import Room
from toolkit.model.conventions import EXACT


@pytest.mark.parametrize("seed", some(range(8), 5))
def test_what_some_point_has_room_for_a_box_has_room_for(seed: int) -> None:
    question, rng = draw_question(seed), random.Random(seed)
    corners = Corners(question.space, question.conventions)
    box, ranges = draw_box(corners, rng), question.space.ranges
    corner = (False,) * len(ranges)
    points = [
        question.space.build(Box(tuple((i, i) for i in places)).parameters(ranges, corner))
        for places in itertools.product(*(range(a, b + 1) for a, b in box.sides))
    ]
    budget = rng.choice(points).area_um2
    meshes = [[x.mesh for x in point.arch.levels if not isinstance(x, Memory)] for point in points]
    used = np.array(
        list(itertools.product(*(range(1, max(x) + 2) for x in zip(*meshes, strict=True))))
    )
    holds = Room(corners, box, budget).holds(used)
    for own, fits in zip(used, holds, strict=True):
        has = [
            point
            for point, mesh in zip(points, meshes, strict=True)
            if (own <= mesh).all() and point.area_um2 <= budget
        ]
        assert fits or not has


def test_instances_beyond_the_area_have_no_room() -> None:
    space = hardware_space("gemmini-ws", area_budget_um2=2e6)
    corners, box = Corners(space, EXACT), whole(space.ranges)
    used = np.array([[16, 1, 1], [16, 16, 1], [17, 1, 1], [128, 128, 1], [129, 1, 1]])
    rooms = [Room(corners, box, budget).holds(used).tolist() for budget in (None, 2e6, 1.0)]
    # Both meshes follow one parameter: 17 columns ask for 32, and 32 rows with them.
    sides = [space.build({**space.smallest, "side": side}).area_um2 for side in (16, 32, 128)]
    assert rooms[0] == [True, True, True, True, False]
    assert rooms[1] == [sides[0] <= 2e6, sides[0] <= 2e6, sides[1] <= 2e6, False, False]
    assert rooms[2] == [False] * 5
