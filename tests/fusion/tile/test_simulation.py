"""Fused groups against a run on real numbers: the same words, multiplications and buffers."""

from __future__ import annotations

import numpy as np
import pytest
from fusion.networks import add, conv, network, pool, residual, tensor
from fusion.simulation import Run, random_data, reference, run

from toolkit.fusion import FoldedGraph, GroupPlan, fold
from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.cuts import place
from toolkit.fusion.tile.group_plan import Assumptions, made_share, plan_at
from toolkit.fusion.tile.tiling import Halo, Tiling, make_tiling
from toolkit.fusion.tile.windows import Ints


def chain(kernels: tuple[int, ...], rows: int = 9, strides: tuple[int, ...] = ()) -> FoldedGraph:
    layers, source = [], tensor("x", 2, rows)
    for i, kernel in enumerate(kernels):
        stride = strides[i] if strides else 1
        layers.append(conv(f"c{i}", source, 2 + i % 2, kernel, stride))
        source = layers[-1].outputs[0]
    return fold(network(layers))


def branches() -> FoldedGraph:
    """A pooled and a strided branch, and an output in the middle."""
    stem = conv("stem", tensor("x", 1, 8), 2)
    one = conv("one", stem.outputs[0], 2, 3, 2)
    two = pool("two", stem.outputs[0])
    both = add("both", one.outputs[0], two.outputs[0])
    layers = [stem, one, two, both]
    return fold(network(layers, [one.outputs[0], both.outputs[0]]))


GRAPHS = {
    "3x3 chain": chain((3, 3, 3)),
    "mixed kernels": chain((5, 1, 3)),
    "strides": chain((3, 3, 3), 12, (2, 1, 2)),
    "residual": residual(),
    "branches": branches(),
}


def planned(graph: FoldedGraph, tile: dict[int, int], halo: Halo) -> tuple[GroupPlan, Tiling, str]:
    view = GroupView(graph, frozenset(graph.names))
    anchor = view.sinks[0]
    chosen = []
    for axis in tile:
        placement = place(view, anchor, axis)
        assert placement is not None
        chosen.append((anchor.output.name, axis, placement))
    sizes: list[Ints] = [np.array([size]) for size in tile.values()]
    modes = {} if halo == "retain" else dict.fromkeys(view.tensors, halo)
    tiling = make_tiling(view, chosen, sizes, modes)
    held = int(tiling.footprint("time-shared")[0])
    plan = plan_at(tiling, 0, Assumptions(10**9), held, int(tiling.input_words()[0]))
    return plan, tiling, anchor.output.name


def cases() -> list[tuple[str, dict[int, int], Halo]]:
    found: list[tuple[str, dict[int, int], Halo]] = []
    for name in GRAPHS:
        for size in (1, 2, 3):
            found += [(name, {2: size}, "retain"), (name, {2: size}, "recompute")]
        found += [(name, {2: 2, 3: 1}, halo) for halo in ("retain", "mixed", "recompute")]
        found += [(name, {2: 1, 3: 3}, halo) for halo in ("retain", "mixed", "recompute")]
    return found


@pytest.mark.parametrize(("name", "tile", "halo"), cases())
def test_a_run_makes_and_moves_what_the_model_says(
    name: str, tile: dict[int, int], halo: Halo
) -> None:
    graph = GRAPHS[name]
    plan, tiling, anchor = planned(graph, tile, halo)
    done: Run = run(graph, plan, anchor)
    assert done.loaded == plan.input_words
    assert done.stored == plan.output_words
    for layer in graph.layers:
        positions = layer.output.shape[2] * layer.output.shape[3]
        assert done.made[layer.name] == round(made_share(plan, graph, layer.name) * positions)
        assert done.passes[layer.name] <= plan.steps
        assert sum(plan.made[layer.name].values()) == done.passes[layer.name]
    expected = reference(graph, *random_data(graph))
    for output in graph.outputs:
        np.testing.assert_array_equal(done.outputs[output], expected[output])


@pytest.mark.parametrize(("name", "tile", "halo"), cases())
def test_no_buffer_overflows(name: str, tile: dict[int, int], halo: Halo) -> None:
    graph = GRAPHS[name]
    plan, tiling, anchor = planned(graph, tile, halo)
    done = run(graph, plan, anchor)
    windows = tiling._sizes[1][:, 0]
    for words, tensor_name in zip(windows, tiling.view.tensors, strict=True):
        assert done.held[tensor_name] <= words
    facing = {t.name for t in (*tiling.view.external, *tiling.view.leaving)}
    outside = sum(int(w) for w, n in zip(windows, tiling.view.tensors, strict=True) if n in facing)
    assert done.peak_internal + outside <= plan.footprint_words


def test_windows_of_a_chain_are_as_small_as_they_can_be() -> None:
    graph = chain((3, 3, 3))
    plan, tiling, anchor = planned(graph, {2: 3}, "retain")
    done = run(graph, plan, anchor)
    windows = dict(zip(tiling.view.tensors, tiling._sizes[1][:, 0], strict=True))
    assert {name: done.held[name] for name in windows} == windows
