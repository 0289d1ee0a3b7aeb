"""Pictures of partitions: what they show is what tables say, and nothing hides anything."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from examples import examples
from fusion.networks import random_network, residual
from fusion.test_mapped import model
from hypothesis import given
from hypothesis import strategies as st
from study.pictures.clear import assert_fits

import toolkit
from toolkit.fusion import Assumptions, FusionResult, TrafficModel, find_partition
from toolkit.study.pictures.drawings import fusion_drawings
from toolkit.study.pictures.fusion import FusionGraph, fusion_graph, write_fusion_pictures
from toolkit.study.pictures.group_boxes import LABEL_INDENT
from toolkit.study.pictures.timelines import (
    MOST_GROUPS,
    MOST_TENSORS,
    drawn_timelines,
    write_timelines,
)

SEEDS = st.integers(0, 10**6)


def partition(seed: int, words: int) -> FusionResult:
    assumed = Assumptions(words, loops=1)
    return find_partition(TrafficModel(random_network(seed, 7), assumed), reasons=False)


@given(SEEDS, st.sampled_from([20, 60, 150]))
@examples(12)
def test_groups_and_layers_are_those_of_the_table(seed: int, words: int) -> None:
    result = partition(seed, words)
    picture = fusion_graph(result)
    table = result.table().set_index("group")
    assert [box.number for box in picture.boxes.boxes] == list(table.index)
    for layer in picture.layers:
        assert layer.name in result.partition[layer.group]
        assert layer.alone == (table.layers[layer.group] == 1)
    for box in picture.boxes.boxes:
        row = table.loc[box.number]
        moved = row.dram_input_words + row.dram_output_words + row.dram_weight_words
        assert box.heading[0] == f"group {box.number}: {moved:,} DRAM words"
        if row.tile:
            assert box.heading[2] == f"tile {row.tile}"


@given(SEEDS, st.sampled_from([20, 60, 150, 1000]))
@examples(12)
def test_boxes_hold_their_layers_and_nothing_else(seed: int, words: int) -> None:
    picture = fusion_graph(partition(seed, words))
    boxes = picture.boxes
    for a, b in combinations(boxes.boxes, 2):
        assert a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
    by_number = {box.number: box for box in boxes.boxes}
    for layer, (x, y) in zip(picture.layers, picture.places, strict=True):
        box = by_number[layer.group]
        assert box.left < x and x + LABEL_INDENT <= box.right
        assert box.top + 0.13 * len(box.heading) < y < box.bottom
    assert max(box.right for box in boxes.boxes) <= boxes.width
    assert max(box.bottom for box in boxes.boxes) <= boxes.height


@given(SEEDS, st.sampled_from([20, 60, 150]))
@examples(12)
def test_every_tensor_is_shown_once(seed: int, words: int) -> None:
    result = partition(seed, words)
    picture = fusion_graph(result)
    group_of = {layer.name: layer.group for layer in picture.layers}
    drawn = {(way.source, way.target) for way in picture.boxes.ways}
    for source, target in result.graph.edges:
        if (source, target) in drawn:
            continue
        assert str(group_of[target]) in picture.boxes.elsewhere[source][1].partition("→")[2]
        incoming = picture.boxes.elsewhere[target][1].partition("→")[0]
        assert str(group_of[source]) in incoming.partition("←")[2]
    for way, _ in picture.edges():
        assert way.inside == (group_of[way.source] == group_of[way.target])


@given(SEEDS, st.sampled_from([20, 60, 1000]))
@examples(12)
def test_lines_of_two_tensors_never_lie_on_each_other(seed: int, words: int) -> None:
    picture = fusion_graph(partition(seed, words))
    for (way, _), (other, _) in combinations(picture.edges(), 2):
        if way.source == other.source:
            continue
        for (x, low, high), (x2, low2, high2) in ((_down(way.places), _down(other.places)),):
            assert abs(x - x2) > 0.02 or high <= low2 or high2 <= low


def _down(places: tuple[tuple[float, float], ...]) -> tuple[float, float, float]:
    """The vertical part of a way: where it is, and from where to where it goes."""
    start, end = places if len(places) == 2 else places[1:3]
    assert start[0] == end[0]
    return start[0], start[1], end[1]


def test_long_networks_stand_in_columns() -> None:
    """As wide as high, if that can be: a column is no longer than its share."""
    from fusion.networks import conv, network, tensor

    from toolkit.fusion import fold

    layers = [conv("c0", tensor("x", 2, 8), 2)]
    for i in range(1, 60):
        layers.append(conv(f"c{i}", layers[-1].outputs[0], 2))
    graph = fold(network(layers))
    result = find_partition(TrafficModel(graph, Assumptions(100)), "none", reasons=False)
    boxes = fusion_graph(result).boxes
    assert len({box.left for box in boxes.boxes}) > 2
    assert 0.4 < boxes.width / boxes.height < 3
    crossing = [words.split() for _, words in boxes.elsewhere.values()]
    assert all(arrow in "←→" and number.isdigit() for arrow, number in crossing)


def test_timelines_are_those_of_the_largest_groups() -> None:
    result = find_partition(
        TrafficModel(random_network(11), Assumptions(60, loops=2)), reasons=False
    )
    shown = drawn_timelines(result)
    sizes = sorted((len(g) for g in result.partition if len(g) > 1), reverse=True)
    assert len(shown) == min(len(sizes), MOST_GROUPS)
    for picture in shown:
        number = int(picture.title.split(",")[0].removeprefix("group "))
        plan = result.plans[number]
        assert picture.peak_words == plan.peak_words
        assert len(picture.series) <= MOST_TENSORS + 1
        assert {*picture.layers} == plan.group


def test_small_tensors_share_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.study.pictures.timelines.MOST_TENSORS", 2)
    result = find_partition(TrafficModel(residual(), Assumptions(1000)))
    (picture,) = drawn_timelines(result)
    (plan,) = result.plans
    assert picture.series[-1].name.endswith("others")
    assert picture.peak_words == plan.peak_words


def test_mapped_groups_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    result = find_partition(model(residual()))
    assert_fits(fusion_drawings(result, toolkit.load_arch("eyeriss")))
    files = [*write_fusion_pictures(tmp_path, result), *write_timelines(tmp_path, result)]
    assert repr(result).startswith("<FusionResult ") and "against unfused" in repr(result)
    assert result._repr_html_().count("<tr>") >= len(result.groups) + 5
    assert [file.name for file in files] == [
        "fusion.png",
        "fusion.svg",
        "fusion.html",
        "fusion_timelines.png",
        "fusion_timelines.svg",
        "fusion_timelines.html",
    ]
    for file in files:
        if file.suffix == ".png":
            assert file.read_bytes().startswith(b"\x89PNG")
    text = files[2].read_text()
    assert "goes through DRAM" in text and "a group of several layers" in text
    assert "group 0: " in text and "stem" in text


def test_without_groups_there_is_no_timeline(tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    result = find_partition(TrafficModel(residual(), Assumptions(3)), reasons=False)
    assert drawn_timelines(result) == ()
    assert write_timelines(tmp_path, result) == ()
    assert not list(tmp_path.iterdir())


def test_a_group_with_one_step_says_so() -> None:
    result = find_partition(TrafficModel(residual(), Assumptions(10**6)), reasons=False)
    (picture,) = drawn_timelines(result)
    assert picture.step == "the only step"
    assert not picture.shows_room
    assert isinstance(fusion_graph(result), FusionGraph)
