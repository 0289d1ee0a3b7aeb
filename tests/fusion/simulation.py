"""Runs a fused group on real numbers: tiles, buffers that forget, and a count of all that moves.

Nothing here knows of intervals, windows or halos: a step asks for positions of the sinks, layers
make what is missing, and buffers drop what no later step asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from toolkit.fusion import FoldedGraph, FoldedLayer, GroupPlan

Mask = NDArray[np.bool_]


@dataclass
class Run:
    """What a run did."""

    outputs: dict[str, NDArray[np.int64]]
    loaded: int = 0
    stored: int = 0
    macs: int = 0
    made: dict[str, int] = field(default_factory=dict)
    passes: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    peak_internal: int = 0


def reference(
    graph: FoldedGraph,
    inputs: Mapping[str, NDArray[np.int64]],
    weights: Mapping[str, NDArray[np.int64]],
) -> dict[str, NDArray[np.int64]]:
    """All tensors of a network, layer by layer."""
    values = dict(inputs)
    for layer in graph.layers:
        rows, columns = layer.output.shape[2:]
        everywhere = np.ones((rows, columns), dtype=bool)
        values[layer.output.name] = compute(layer, values, weights, everywhere)
    return values


def random_data(graph: FoldedGraph) -> tuple[dict[str, NDArray[np.int64]], ...]:
    draw = np.random.default_rng(0)
    inputs = {name: draw.integers(-4, 5, t.shape[1:]) for name, t in graph.inputs.items()}
    weights = {
        layer.name: draw.integers(-2, 3, layer.layer.weights[0].shape)
        for layer in graph.layers
        if layer.layer.weights
    }
    return inputs, weights


def geometry(layer: FoldedLayer) -> tuple[int, int, int]:
    """Kernel, stride and pad."""
    attributes = dict(layer.layer.attributes)
    if layer.layer.operator == "Add":
        return 1, 1, 0
    weights = layer.layer.weights
    kernel = weights[0].shape[2] if weights else attributes["kernel_shape"][0]
    return kernel, attributes["strides"][0], attributes.get("pads", (0,))[0]


def reads(layer: FoldedLayer, wanted: Mask, shape: tuple[int, ...]) -> Mask:
    """Positions of an input that some positions of the output need."""
    kernel, stride, pad = geometry(layer)
    needed = np.zeros(shape[2:], dtype=bool)
    for r, c in zip(*np.nonzero(wanted), strict=True):
        top, left = r * stride - pad, c * stride - pad
        needed[max(top, 0) : max(top + kernel, 0), max(left, 0) : max(left + kernel, 0)] = True
    return needed


def compute(
    layer: FoldedLayer,
    values: Mapping[str, NDArray[np.int64]],
    weights: Mapping[str, NDArray[np.int64]],
    wanted: Mask,
) -> NDArray[np.int64]:
    """Values of an output where they are wanted, 0 elsewhere."""
    kernel, stride, pad = geometry(layer)
    out = np.zeros(layer.output.shape[1:], dtype=np.int64)
    sources = [values[tensor.name] for tensor in layer.inputs]
    low = np.iinfo(np.int64).min if layer.layer.operator == "MaxPool" else 0
    padded = [np.pad(s, ((0, 0), (pad, pad), (pad, pad)), constant_values=low) for s in sources]
    for r, c in zip(*np.nonzero(wanted), strict=True):
        windows = [
            p[:, r * stride : r * stride + kernel, c * stride : c * stride + kernel]
            for p in padded
        ]
        if layer.layer.operator == "Add":
            out[:, r, c] = sum(window[:, 0, 0] for window in windows)
        elif layer.layer.operator == "MaxPool":
            out[:, r, c] = windows[0].max(axis=(1, 2))
        else:
            out[:, r, c] = np.tensordot(weights[layer.name], windows[0], 3)
    return out


def run(graph: FoldedGraph, plan: GroupPlan, anchor: str) -> Run:
    """Run a group whose layers are all of the graph, tile by tile."""
    future = _run(graph, plan, anchor, None)[1]
    return _run(graph, plan, anchor, future)[0]


def _run(
    graph: FoldedGraph, plan: GroupPlan, anchor: str, future: list[dict[str, Mask]] | None
) -> tuple[Run, list[dict[str, Mask]]]:
    inputs, weights = random_data(graph)
    shapes = {t.name: t.shape for la in graph.layers for t in (*la.inputs, la.output)}
    tiles = _tiles(graph, plan, anchor)
    present = {name: np.zeros(shape[2:], dtype=bool) for name, shape in shapes.items()}
    written = {la.output.name: present[la.output.name].copy() for la in graph.layers}
    values = {name: np.zeros(shape[1:], dtype=np.int64) for name, shape in shapes.items()}
    result, asked = Run({name: values[name].copy() for name in written}), []
    stripes = [stripe for stripe, _ in tiles]
    for step, (stripe, wanted) in enumerate(tiles):
        last = step == len(tiles) - 1
        if plan.halo and step and tiles[step - 1][0] != stripe:
            for name, mode in plan.halo.items():
                if mode == "mixed":
                    present[name][:] = False
        needs, missing = _demand(graph, present, written, wanted, last, shapes)
        asked.append(needs)
        for name in inputs:
            result.loaded += int(missing[name].sum()) * shapes[name][1]
            values[name] = np.where(present[name] | missing[name], inputs[name], 0)
            present[name] |= missing[name]
        _execute(
            graph,
            plan,
            present,
            values,
            weights,
            missing,
            written,
            result,
            needs,
            future,
            stripes,
            step,
        )
        for name, mask in present.items():
            if future is not None or plan.halo.get(name) == "recompute":
                mask &= _later(plan, name, mask, future or [], stripes, step)
    return result, asked


def _tiles(graph: FoldedGraph, plan: GroupPlan, anchor: str) -> list[tuple[int, dict[str, Mask]]]:
    """Positions of every sink that each step wants; sinks advance in proportion to their size."""
    sinks = {
        la.output.name: la.output.shape[2:]
        for la in graph.layers
        if not list(graph.successors(la.name))
    }
    base = sinks[anchor]
    size = {2: base[0], 3: base[1]} | {axis: tile for _, axis, tile in plan.tile}
    found = []
    for i in range(-(-base[0] // size[2])):
        for j in range(-(-base[1] // size[3])):
            wanted = {}
            for name, shape in sinks.items():
                t = [size[2] * shape[0] // base[0], size[3] * shape[1] // base[1]]
                mask = np.zeros(shape, dtype=bool)
                mask[i * t[0] : (i + 1) * t[0], j * t[1] : (j + 1) * t[1]] = True
                wanted[name] = mask
            found.append((i, wanted))
    return found


def _demand(
    graph: FoldedGraph,
    present: dict[str, Mask],
    written: dict[str, Mask],
    wanted: dict[str, Mask],
    last: bool,
    shapes: dict[str, tuple[int, ...]],
) -> tuple[dict[str, Mask], dict[str, Mask]]:
    """What a step reads of every tensor, and what of it is not there."""
    needs = {name: np.zeros(shape[2:], dtype=bool) for name, shape in shapes.items()}
    missing = {}
    for name, mask in wanted.items():
        needs[name] |= mask
    for layer in reversed(graph.layers):
        name = layer.output.name
        if last and layer.output.name in graph.outputs:
            needs[name] |= ~written[name]
        missing[name] = needs[name] & ~present[name]
        for tensor in layer.inputs:
            needs[tensor.name] |= reads(layer, missing[name], tensor.shape)
    for name in graph.inputs:
        missing[name] = needs[name] & ~present[name]
    return needs, missing


def _execute(
    graph: FoldedGraph,
    plan: GroupPlan,
    present: dict[str, Mask],
    values: dict[str, NDArray[np.int64]],
    weights: dict[str, NDArray[np.int64]],
    missing: dict[str, Mask],
    written: dict[str, Mask],
    result: Run,
    needs: dict[str, Mask],
    future: list[dict[str, Mask]] | None,
    stripes: list[int],
    step: int,
) -> None:
    for place, layer in enumerate(graph.layers):
        name, todo = layer.output.name, missing[layer.output.name]
        if todo.any():
            for tensor in layer.inputs:
                needed = reads(layer, todo, tensor.shape)
                assert (present[tensor.name] | ~needed).all(), f"{tensor.name} is gone"
            made = compute(layer, values, weights, todo)
            values[name] = np.where(todo, made, values[name])
            present[name] |= todo
            result.passes[layer.name] = result.passes.get(layer.name, 0) + 1
        count = int(todo.sum())
        result.made[layer.name] = result.made.get(layer.name, 0) + count
        result.macs += count * layer.macs // int(np.prod(layer.output.shape[2:]))
        if name in graph.outputs:
            new = todo & ~written[name]
            result.stored += int(new.sum()) * layer.output.shape[1]
            result.outputs[name] = np.where(new, values[name], result.outputs[name])
            written[name] |= new
        for held, mask in present.items():
            words = int(mask.sum()) * values[held].shape[0]
            result.held[held] = max(result.held.get(held, 0), words)
        inside = [la.output.name for la in graph.layers if la.output.name not in graph.outputs]
        now = sum(int(present[n].sum()) * values[n].shape[0] for n in inside)
        result.peak_internal = max(result.peak_internal, now)
        if future is not None:
            _forget(graph, plan, place, present, future, stripes, step)


def _forget(
    graph: FoldedGraph,
    plan: GroupPlan,
    place: int,
    present: dict[str, Mask],
    future: list[dict[str, Mask]],
    stripes: list[int],
    step: int,
) -> None:
    """Drop what has had its last reader in this step and that no later step asks for."""
    for layer in graph.layers[: place + 1]:
        name = layer.output.name
        users = [i for i, la in enumerate(graph.layers) if name in {t.name for t in la.inputs}]
        if not users or max(users) > place:
            continue
        present[name] &= _later(plan, name, present[name], future, stripes, step)


def _later(
    plan: GroupPlan,
    name: str,
    mask: Mask,
    future: list[dict[str, Mask]],
    stripes: list[int],
    step: int,
) -> Mask:
    """What later steps ask for of a tensor that is kept for them."""
    later = np.zeros_like(mask)
    mode = plan.halo.get(name, "retain")
    for other in range(step + 1, len(future)):
        if mode == "retain" or (mode == "mixed" and stripes[other] == stripes[step]):
            later |= future[other][name]
    return later
