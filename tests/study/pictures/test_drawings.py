"""What is drawn of a search over hardware: curves, trade-offs, machines to scale."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codesign.jobs import small_job
from study.pictures.clear import assert_fits

from toolkit.arch import load_arch
from toolkit.codesign.exact.boxes import Box
from toolkit.codesign.exact.certificate import ClosedBox, HardwareProof
from toolkit.codesign.near_best import near_places, parameter_curves
from toolkit.codesign.scoring import Scorer
from toolkit.errors import ArchitectureError
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.pictures.canvas import write_drawings
from toolkit.study.pictures.chip import Block, chip_of
from toolkit.study.pictures.hardware import write_codesign_page
from toolkit.study.pictures.hardware_drawings import chips_of, hardware_drawings
from toolkit.study.pictures.near_best import tradeoffs


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any) -> HardwareComparison:
    return compare_hardware(
        small_job(area_budget_um2=6e5, mapper_evaluations=50),
        ["random", "fill-area"],
        storage=str(tmp_path_factory.mktemp("study") / "a.journal"),
        samples=3,
        jobs=1,
        cache=False,
    )


@pytest.mark.parametrize(
    ("own", "count", "most"), [(0, 100, 9), (99, 100, 9), (50, 100, 5), (2, 4, 9)]
)
def test_places_are_near_and_different(own: int, count: int, most: int) -> None:
    places = near_places(own, count, most)
    assert own in places and places == sorted(set(places))
    assert len(places) == min(count, most)
    assert places[0] >= 0 and places[-1] < count
    assert all(place in places for place in (own - 1, own + 1) if 0 <= place < count)


def test_curves_score_one_parameter_at_a_time_and_know_bounds(found: HardwareComparison) -> None:
    scorer, space = Scorer(found.job, cache=False), found.job.space
    best = {"side": 8, "scratchpad_words": 16384, "accumulator_words": 1024}
    sides = tuple((0, len(r.values) - 1) for r in space.ranges.values())
    place = list(space.ranges).index("side")
    boxes = (
        ClosedBox(Box(sides).with_side(place, 0, 1), 5.0, "open"),
        ClosedBox(Box(sides).with_side(place, 2, 2), math.inf, "area"),
    )
    proof = HardwareProof(None, 5.0, boxes, 0, 0.0)
    curves = {curve.name: curve for curve in parameter_curves(scorer, best, proof)}
    assert set(curves) == set(space.ranges)
    side = curves["side"]
    assert side.values == (4, 8, 16) and side.values[side.at] == 8
    assert side.bounds == (5.0, 5.0, None)
    for value, score, cost in zip(side.values, side.scores, side.found, strict=True):
        assert score.parameters == {**best, "side": value}
        assert cost == scorer.score({**best, "side": value}).edp_pj_cycles
    assert all(bound is None for bound in parameter_curves(scorer, best)[0].bounds)


def test_the_front_in_three_costs_is_what_nothing_beats(found: HardwareComparison) -> None:
    shown = tradeoffs(found)
    every = np.concatenate([strategy.points for strategy in shown])
    for strategy in shown:
        for point, front in zip(strategy.points, strategy.front, strict=True):
            beaten = any((other <= point).all() and (other < point).any() for other in every)
            assert front == (not beaten)
    assert any(any(strategy.front) for strategy in shown)


def test_blocks_tile_a_square_of_the_chips_area(found: HardwareComparison) -> None:
    point = found.job.space.build(found.job.space.default)
    chip = chip_of(point.arch, "default")
    assert chip.area_mm2 == pytest.approx(point.area_um2 * 1e-6)
    side = math.sqrt(chip.area_mm2)
    for i, block in enumerate(chip.blocks):
        assert block.x >= -1e-9 and block.x + block.width <= side + 1e-9
        assert block.y >= -1e-9 and block.y + block.height <= side + 1e-9
        for other in chip.blocks[:i]:
            apart_x = min(block.x + block.width, other.x + other.width) - max(block.x, other.x)
            apart_y = min(block.y + block.height, other.y + other.height) - max(block.y, other.y)
            assert apart_x <= 1e-9 or apart_y <= 1e-9
    assert Block("MAC", 12, 0, 0, 3.0, 1.0).cells() == (6, 2)
    with pytest.raises(ArchitectureError, match="gives no area"):
        chip_of(load_arch("eyeriss"), "without areas")


def test_hardware_shows_itself_in_a_line_and_a_table(found: HardwareComparison) -> None:
    assert found.best is not None and found.best.choice is not None
    side = found.best.choice.parameters["side"]
    assert repr(found).startswith("<HardwareComparison pair on gemmini-ws: ")
    assert f" by {found.best.plan.strategy} at side={side}, " in repr(found)
    text = found._repr_html_()
    assert text.count("<tr>") == 4 and "fill-area" in text and "mm²" in text


def test_all_that_is_drawn_of_hardware(found: HardwareComparison, tmp_path: Path) -> None:
    assert found.best is not None and found.best.choice is not None
    curves = parameter_curves(
        Scorer(found.job, cache=False), found.best.choice.parameters, None, 3
    )
    shown = hardware_drawings(found, curves)
    names = ["pareto", "parameters", "machine", "chips", "tradeoffs"]
    assert [drawing.name for drawing in shown] == names
    assert [drawing.name for drawing in hardware_drawings(found)] == [
        name for name in names if name != "parameters"
    ]
    assert_fits(shown)
    files = write_drawings(shown[3:], tmp_path)
    assert [file.name for file in files] == [
        "chips.png",
        "chips.svg",
        "tradeoffs.png",
        "tradeoffs.svg",
    ]
    page = write_codesign_page(found, tmp_path)
    assert "scatter3d" in page.read_text()
    assert 1 <= len(chips_of(found)) <= 2
