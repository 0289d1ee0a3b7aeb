"""Mappings and their costs drawn: records against the model, and that all can be read."""

from __future__ import annotations

import math

import numpy as np
import pytest
from study.pictures.clear import assert_clear

import toolkit
from toolkit.search.landscape import random_values, sample_landscape
from toolkit.study.pictures.costs import cost_picture, draw_costs
from toolkit.study.pictures.map_space import draw_space, landscape_picture, space_picture
from toolkit.study.pictures.mapping import draw_mapping, mapping_picture

CASES = {
    "gemm": ("eyeriss", "gemm:M=30,K=77,N=50"),
    "conv": ("simba-conv", "conv:M=16,C=9,P=14,Q=14,R=3,S=3,stride=2"),
    "bits": ("gemmini-ws", "conv:M=16,C=8,P=7,Q=7,R=3,S=3"),
}


def evaluated(case: str) -> toolkit.Evaluation:
    arch, workload = CASES[case]
    problem = toolkit.make_problem(toolkit.load_arch(arch), toolkit.load_workload(workload))
    result = toolkit.search_mappings(problem, "random", budget=toolkit.Budget(evaluations=300))
    return toolkit.evaluate(result.mapping, problem.arch, problem.workload)


@pytest.fixture(scope="module", params=CASES)
def evaluation(request: pytest.FixtureRequest) -> toolkit.Evaluation:
    return evaluated(request.param)


def test_tiles_are_those_of_the_model(evaluation: toolkit.Evaluation) -> None:
    picture = mapping_picture(evaluation)
    uses = {use.level: use for use in evaluation.memories}
    held = {(entry.level, entry.tensor) for entry in evaluation.accesses}
    for level in picture.levels:
        if level.spatial:
            continue
        use = uses[level.name]
        words = sum(tile.words for tile in level.tiles if tile.words is not None)
        assert math.ceil(words) == use.words
        assert level.share == pytest.approx(use.capacity_used or 0.0)
        assert level.share == pytest.approx(sum(tile.share for tile in level.tiles), abs=0.1)
        for tile in level.tiles:
            assert (tile.words is None) != ((level.name, tile.tensor) in held)


def test_loops_are_those_of_the_text_and_move_what_they_index(
    evaluation: toolkit.Evaluation,
) -> None:
    picture, workload = mapping_picture(evaluation), evaluation.workload
    text = toolkit.render(evaluation.mapping, evaluation.arch, workload)
    lines = [line.strip() for line in text.splitlines() if "for " in line]
    loops = [loop for level in picture.levels for loop in level.loops]
    assert [f"{loop.text}{f'  # {loop.cut}' * bool(loop.cut)}" for loop in loops] == lines
    assert [loop.depth for loop in loops] == list(range(len(loops)))
    for loop in loops:
        dimension = loop.text.split("for ")[1].split(" ")[0]
        for tensor, moves in zip(workload.tensors, loop.moves, strict=True):
            written = str(tensor.indices).lower()
            assert moves == (f"dimension='{dimension}'" in written)
    assert picture.ragged == ("#" in text)


def test_bars_add_up_to_the_costs(evaluation: toolkit.Evaluation) -> None:
    picture = cost_picture(evaluation)
    assert math.fsum(bar.total for bar in picture.energy) == pytest.approx(evaluation.energy_pj)
    levels = {entry.level: entry.energy_pj for entry in evaluation.energies}
    assert {bar.name: pytest.approx(bar.total) for bar in picture.energy} == levels
    assert picture.run.total == pytest.approx(evaluation.latency_cycles)
    busy = [port.busy_cycles for use in evaluation.movers for port in use.ports]
    assert [bar.total for bar in picture.ports] == pytest.approx(busy)
    names = {
        name for bar in (*picture.energy, picture.run, *picture.ports) for name, _ in bar.parts
    }
    assert names <= set(picture.colors)


def test_nothing_is_cut_or_overlaps(evaluation: toolkit.Evaluation) -> None:
    assert_clear(draw_mapping(mapping_picture(evaluation)))
    assert_clear(draw_costs(cost_picture(evaluation)))


def test_results_lie_where_random_mappings_say() -> None:
    problem = toolkit.make_problem(toolkit.load_arch("eyeriss"), toolkit.gemm(12, 8, 4))
    values = random_values(problem, 200, seed=3)
    assert len(values) == 200 and (values == random_values(problem, 200, seed=3)).all()
    best, middle = float(values.min()), float(np.median(values))
    results = [("b", middle), ("a", best), ("c", best / 2)]
    picture = space_picture(problem, {"random": values}, results, best / 3)
    assert picture.counts["random"].sum() == 200
    assert [(mark.name, mark.place) for mark in picture.marks] == [("c", 2), ("a", 1), ("b", 0)]
    assert "none of 200 random mappings is as good" in picture.marks[0].text
    same = int((values <= best).sum())
    assert f"{same} of 200 random mappings" in picture.marks[1].text
    assert picture.bound is not None and picture.bound.value < picture.marks[0].value
    assert picture.edges[0] < picture.bound.value and picture.edges[-1] > values.max() * 1e-12
    assert picture.title.startswith("gemm:M=12,K=8,N=4 on eyeriss: ")
    assert_clear(draw_space(picture))


def test_values_that_have_no_logarithm_are_drawn_as_well() -> None:
    arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(12, 8, 4)
    problem = toolkit.make_problem(
        arch, workload, objective=lambda energy, cycles, _: 1e4 - cycles
    )
    picture = space_picture(problem, {"random": random_values(problem, 50)}, [("a", 0.0)])
    assert picture.edges[0] < 0 and picture.counts["random"].sum() == 50
    assert np.diff(picture.edges) == pytest.approx(
        np.full(60, picture.edges[1] - picture.edges[0])
    )
    assert_clear(draw_space(picture))


def test_descents_have_a_histogram_of_their_own() -> None:
    arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(12, 8, 4)
    problem = toolkit.make_problem(arch, workload, factors="perfect")
    found = sample_landscape(problem, 60, seed=3, descend=True)
    assert (random_values(problem, 60, seed=3) == found.drawn).all()
    proof = toolkit.search_mappings(problem, "exact")
    picture = landscape_picture(found, proof)
    assert {kind: int(counts.sum()) for kind, counts in picture.counts.items()} == {
        "drawn": 60,
        "descended": 60,
    }
    assert {mark.name for mark in picture.marks} == {"best of these", "exact"}
    assert picture.bound is not None and picture.edges[0] < picture.bound.value
    figure = draw_space(picture)
    assert len(figure.axes) == 2
    assert_clear(figure)
