"""Views moved behind the elementwise layers that follow them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from toolkit.workload.network.layer import Layer, TensorInfo

_SHAPES_ALONE = frozenset(("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
"""Views that leave elements in their order and of their type."""


def views_last(layers: Sequence[Layer], outputs: Iterable[TensorInfo]) -> list[Layer]:
    """Let elementwise layers of one activation work before a change of shape, not behind it.

    Optimizers put views between a product and its activation. What every element becomes does not
    depend on the shape, so that the activation may stand right behind the product, as where it
    was exported, and be applied on its way out.

    Examples
    --------
    >>> x, p = (TensorInfo(name, (4, 2), "int8") for name in "xp")
    >>> v, y = (TensorInfo(name, (8,), "int8") for name in "vy")
    >>> chain = [Layer("m", "MaxPool", "window", (x,), (), (p,)),
    ...          Layer("r", "Reshape", "view", (p,), (), (v,)),
    ...          Layer("a", "Relu", "elementwise", (v,), (), (y,), elements=8)]
    >>> [(layer.name, layer.outputs[0].shape) for layer in views_last(chain, [y])]
    [('m', (4, 2)), ('a', (4, 2)), ('r', (8,))]
    """
    readers = Counter(tensor.name for layer in layers for tensor in {*layer.inputs})
    readers.update(tensor.name for tensor in outputs)
    found: list[Layer] = []
    places: dict[str, int] = {}
    for layer in layers:
        found.append(layer)
        place = len(found) - 1
        # A chain of views is passed one by one.
        while (before := _view_before(found, places, place, readers)) is not None:
            work, view = _exchanged(found[before], found[place])
            found[before], found[place] = work, view
            places[work.outputs[0].name] = before
            places[view.outputs[0].name] = place
            place = before
        places.update((tensor.name, place) for tensor in found[place].outputs)
    return found


def _view_before(
    found: Sequence[Layer], places: dict[str, int], place: int, readers: Counter[str]
) -> int | None:
    """The view of what some layer makes, whose result an elementwise layer alone reads."""
    layer = found[place]
    inputs = {*layer.inputs}
    if layer.cost_class != "elementwise" or layer.weights or len(inputs) != 1:
        return None
    (source,) = inputs
    before = places.get(source.name)
    if before is None or readers[source.name] != 1 or len(layer.outputs) != 1:
        return None
    view = found[before]
    plain = view.operator in _SHAPES_ALONE and len(view.inputs) == len(view.outputs) == 1
    plain = plain and view.inputs[0].name in places
    same = layer.repetitions == view.repetitions and layer.outputs[0].shape == source.shape
    return before if plain and same else None


def _exchanged(view: Layer, layer: Layer) -> tuple[Layer, Layer]:
    source, middle, made = view.inputs[0], view.outputs[0], layer.outputs[0]
    between = TensorInfo(middle.name, source.shape, made.dtype)
    work = replace(layer, inputs=(source,) * len(layer.inputs), outputs=(between,))
    return work, replace(view, inputs=(between,), outputs=(made,))
