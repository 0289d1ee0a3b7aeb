"""Pictures of mapped networks: what they show, and that they can be drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from search.network.layers import network, product, relu, tensor, total
from study.pictures.clear import assert_fits

import toolkit
from toolkit.errors import InputError
from toolkit.study.pictures.bars import layer_bars, named_layers
from toolkit.study.pictures.drawings import network_drawings, networks_drawings
from toolkit.study.pictures.network import box_lines, energy_graph, write_pictures
from toolkit.study.pictures.networks import networks_picture
from toolkit.study.pictures.networks import write_pictures as write_comparison
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
    (point,) = picture.layers
    assert point.performance <= picture.roof(point.intensity)
    # Without repetitions it lies at the same place.
    (once,) = roofline(mapped(product("a", toolkit.gemm(8, 4, 6)))).layers
    assert (once.intensity, once.performance) == (point.intensity, point.performance)


def test_every_memory_on_chip_has_a_roof_of_all_its_instances() -> None:
    picture = roofline(mapped(product("a", toolkit.gemm(64, 64, 64))))
    assert [roof.memory for roof in picture.roofs] == [memory.name for memory in ARCH.memories]
    buffers = {roof.memory: roof.bandwidth for roof in picture.roofs}
    # One buffer of two ports, and registers in each of 168 elements.
    by_name = {memory.name: memory for memory in ARCH.memories}
    assert buffers["GlobalBuffer"] == by_name["GlobalBuffer"].bandwidth
    assert buffers["WRegister"] == 168 * by_name["WRegister"].bandwidth
    moved = {point.memory for point in picture.on_chip}
    assert moved == {"GlobalBuffer", "InRegister", "WRegister", "OutRegister"}


@pytest.mark.parametrize("arch", ["eyeriss", "gemmini-ws", "simba", "tpu"])
def test_no_layer_is_above_a_roof(arch: str) -> None:
    layers = (
        product("a", toolkit.gemm(64, 64, 64)),
        product("b", toolkit.gemm(300, 7, 1)),
        total("c", "b", 4000),
        total("d", "c", 64, operations_per_element=50),
    )
    budget = toolkit.Budget(evaluations=100)
    result = toolkit.map_network(
        network(*layers), toolkit.load_arch(arch), budget=budget, cache=False, jobs=1
    )
    picture = roofline(result)
    assert [point.vector for point in picture.layers] == [False, False, True, True]
    for point in picture.points:
        limit = picture.lanes if point.vector else picture.peak
        (roof,) = (r for r in picture.roofs if r.memory == point.memory)
        assert point.performance <= 1.000001 * min(limit, point.intensity * roof.bandwidth)
    assert set(picture.by_operator()) == {"MatMul", "CumSum, VectorUnit"}


def test_bars_add_up_to_what_layers_cost() -> None:
    result = mapped(*residual())
    picture = layer_bars(result)
    costly = [layer for layer in result.layers if layer.cost or layer.vector]
    assert picture.layers == tuple(layer.name for layer in costly)
    for parts, costs in (
        (picture.energy_pj, [layer.energy_pj for layer in costly]),
        (picture.cycles, [layer.latency_cycles for layer in costly]),
    ):
        sums = [sum(values) for values in zip(*(part.values for part in parts), strict=True)]
        assert sums == pytest.approx(costs)
    energy, cycles = (
        [part.name for part in parts] for parts in (picture.energy_pj, picture.cycles)
    )
    assert energy[0] == "DRAM"
    assert "VectorUnit waits" in cycles
    shades = [part.color for part in picture.cycles]
    assert len(set(shades)) == len(shades)


def test_so_many_names_are_shown_as_have_room() -> None:
    layers = [total(f"r{i}", f"r{i - 1}", 8 + 100 * (i == 37)) for i in range(100)]
    picture = layer_bars(mapped(*layers))
    assert named_layers(picture, 100) == list(range(100))
    some = named_layers(picture, 10)
    assert 37 in some
    assert len(some) <= 10
    assert min(b - a for a, b in zip(some, some[1:], strict=False)) >= 10


def test_boxes_hold_whole_names() -> None:
    name = "/layer1/layer1.0/downsample/downsample.0/BatchNormalization"
    (layer,) = mapped(relu(name, "x", 8)).layers
    *lines, energy = box_lines(layer)
    assert "".join(lines) == name
    assert len(lines) > 1
    assert max(map(len, lines)) <= 26
    assert energy == "1.09 nJ"


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
        "roofline.svg",
        "roofline.html",
        "layers.png",
        "layers.svg",
        "layers.html",
        "graph.png",
        "graph.svg",
        "graph.html",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[::3])
    assert "https://cdn" not in paths[2].read_text()[:10_000]


def test_nothing_is_cut_on_a_desk_or_on_a_phone() -> None:
    assert_fits(network_drawings(mapped(*residual())))


def test_networks_side_by_side(tmp_path: Path) -> None:
    graphs = [
        network(product("a", toolkit.gemm(8, 4, 6)), name="one"),
        network(relu("r", "x", 64), name="two"),
    ]
    search = toolkit.LayerSearch(budget=toolkit.Budget(evaluations=100))
    archs = [ARCH, toolkit.load_arch("simba")]
    found = toolkit.compare_networks(graphs, archs, search, cache=False, jobs=1)
    picture = networks_picture(found)
    assert picture.networks == ("one", "two")
    energy, cycles, efficiency = picture.figures
    rows = found.rows()
    assert energy.label == "energy (nJ)"
    assert energy.values["simba"][0] == pytest.approx(rows[1]["energy_total_pj"] / 1e3)
    assert cycles.values["eyeriss"] == (rows[0]["latency_cycles"], rows[2]["latency_cycles"])
    # No multiply-accumulates, no efficiency; a logarithmic axis has no place for 0.
    assert math.isnan(efficiency.values["eyeriss"][1])
    assert_fits(networks_drawings(found))
    paths = write_comparison(tmp_path, found)
    assert [path.name for path in paths] == ["networks.png", "networks.svg", "networks.html"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_pictures(tmp_path / "none", mapped(*residual()))
