"""Pictures of mapped networks: what they show, and that they can be drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from search.network.layers import network, product, relu, tensor, total

import toolkit
from toolkit.errors import InputError
from toolkit.study.pictures.network import energy_graph, write_pictures
from toolkit.study.pictures.roofline import roofline
from toolkit.workload.network import Layer

ARCH = toolkit.load_arch("eyeriss")


def mapped(*layers: Layer) -> toolkit.NetworkResult:
    budget = toolkit.Budget(evaluations=100)
    return toolkit.map_network(network(*layers), ARCH, budget=budget, cache=False, jobs=1)


def residual() -> tuple[Layer, ...]:
    """Two branches that meet, a view on one of them, and a constant that is moved."""
    view = Layer("v", "Reshape", "view", (tensor("a", 8),), (), (tensor("v", 8),))
    constant = Layer("c", "Expand", "movement", (tensor("w", 1),), (), (tensor("c", 8),))
    both = (tensor("b", 8), tensor("v", 8), tensor("c", 8))
    joined = Layer("s", "Sum", "elementwise", both, (), (tensor("s", 8),), elements=8)
    return (
        product("a", toolkit.gemm(8, 4, 6)),
        view,
        relu("b", "a", 8),
        constant,
        joined,
    )


def test_the_roof_is_the_array_or_the_dram() -> None:
    picture = roofline(mapped(product("a", toolkit.gemm(8, 4, 6), repetitions=3)))
    assert (picture.peak, picture.bandwidth) == (168.0, 8.0)
    assert (picture.roof(1.0), picture.roof(21.0), picture.roof(100.0)) == (8.0, 168.0, 168.0)
    (point,) = picture.points
    assert point.performance <= picture.roof(point.intensity)
    # Without repetitions it lies at the same place.
    (once,) = roofline(mapped(product("a", toolkit.gemm(8, 4, 6)))).points
    assert (once.intensity, once.performance) == (point.intensity, point.performance)


def test_layers_stand_below_those_they_read_from() -> None:
    picture = energy_graph(mapped(*residual()))
    assert [layer.name for layer in picture.nodes] == ["a", "b", "s"]
    assert set(picture.layout.edges) == {("a", "b"), ("b", "s"), ("a", "s")}
    rows = {name: y for name, (_, y) in picture.layout.places.items()}
    assert rows == {"a": 0.0, "b": 1.0, "s": 2.0}


def test_ways_around_other_layers_go_beside_them() -> None:
    layout = energy_graph(mapped(*residual())).layout
    assert len(layout.way("a", "b", 0.5)) == 2
    assert min(x for x, _ in layout.way("a", "s", 0.5)[1:-1]) > layout.places["b"][0]
    assert max(x for x, _ in layout.way("a", "s", -0.5)[1:-1]) < layout.places["b"][0]


def test_layers_of_a_row_do_not_overlap() -> None:
    layers = [relu(f"r{i}", "a", 8) for i in range(5)]
    picture = energy_graph(mapped(product("a", toolkit.gemm(8, 4, 6)), *layers))
    columns = sorted(picture.layout.places[f"r{i}"][0] for i in range(5))
    assert [b - a for a, b in zip(columns, columns[1:], strict=False)] == pytest.approx([1.0] * 4)


def test_long_networks_go_on_in_further_columns() -> None:
    layers = [total("r0", "x", 8), *(total(f"r{i}", f"r{i - 1}", 8) for i in range(1, 100))]
    layout = energy_graph(mapped(*layers)).layout
    columns, rows = layout.extent
    assert rows < 60
    assert columns > 1
    assert len(set(layout.places.values())) == 100
    assert sum(layout.goes_on(a, b) for a, b in layout.edges) == round((columns - 1) / 1.4)


@pytest.mark.parametrize("layers", [residual(), ()])
def test_pictures_are_written(tmp_path: Path, layers: tuple[Layer, ...]) -> None:
    paths = write_pictures(tmp_path, mapped(*layers))
    assert [path.name for path in paths] == [
        "roofline.png",
        "roofline.html",
        "graph.png",
        "graph.html",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[::2])
    assert "https://cdn" not in paths[1].read_text()[:10_000]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_pictures(tmp_path / "none", mapped(*residual()))
