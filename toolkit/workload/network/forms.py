"""Activations and normalizations that exporters wrote as several operators, as one layer each.

SiLU is a sigmoid and a product, GELU five or eight operators in any order, LayerNormalization up
to ten. Here layers between one tensor and one other are taken together where what they do is
one of the forms below, and nobody else reads what is inside: the layer that results is called
after the operator, and counts its operations as the table of operators does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.workload.network.form_tables import (
    ALIASES,
    ALONE,
    CHAINS,
    CONVERSIONS,
    JOINED,
    LAYER_NORMALIZATION,
    LOG_SOFTMAX,
    OPERATIONS,
    PAIRED,
    PLAIN,
    ROOT_MEAN_SQUARE,
    SHIFTED_SOFTMAX,
    SOFTMAX,
    WEIGHTED,
    Bounds,
)
from toolkit.workload.network.layer import BITS, Attribute, Layer, TensorInfo

MOST_LAYERS = 24
"""Layers that a form has at most, views included."""


_TABLE_BITS = 8
"""Functions of a value of so few bits are looked up in one operation."""


@dataclass(frozen=True)
class Region:
    """Layers between one tensor and one other, which nobody outside reads from.

    Parameters
    ----------
    layers : tuple of Layer
        In an order in which they run.
    source : TensorInfo
        The one activation that they read.
    """

    layers: tuple[Layer, ...]
    source: TensorInfo

    @property
    def last(self) -> Layer:
        """The layer that makes the result."""
        return self.layers[-1]

    @property
    def working(self) -> tuple[Layer, ...]:
        """The layers that compute, rather than show or convert."""
        return tuple(layer for layer in self.layers if not _only_shows(layer))


def fold_forms(layers: Sequence[Layer], outputs: Iterable[TensorInfo]) -> list[Layer]:
    """Take activations and normalizations that are several layers together.

    Parameters
    ----------
    layers : sequence of Layer
        Of a network, in an order in which they can run.
    outputs : iterable of TensorInfo
        What the network makes: no form hides them.

    Returns
    -------
    list of Layer
        In an order in which they can run, each form as one layer called as its last.

    Examples
    --------
    >>> x, s, y = (TensorInfo(name, (4,), "float32") for name in "xsy")
    >>> sigmoid = Layer("s", "Sigmoid", "elementwise", (x,), (), (s,), elements=4)
    >>> product = Layer("m", "Mul", "elementwise", (x, s), (), (y,), elements=4)
    >>> [layer.operator for layer in fold_forms([sigmoid, product], [y])]
    ['Swish']
    """
    kept, found = list(layers), True
    public = {tensor.name for tensor in outputs}
    while found:
        kept, found = _folded_once(kept, public)
    return kept


def _folded_once(layers: list[Layer], public: set[str]) -> tuple[list[Layer], bool]:
    places = {tensor.name: i for i, layer in enumerate(layers) for tensor in layer.outputs}
    readers: dict[str, set[int]] = {}
    for i, layer in enumerate(layers):
        for tensor in layer.inputs:
            readers.setdefault(tensor.name, set()).add(i)
    gone: set[int] = set()
    made: dict[int, Layer] = {}
    # The last layer of a form comes before others that would take a part of it.
    for end in range(len(layers) - 1, -1, -1):
        if end in gone or kind_of(layers[end]) is None:
            continue
        for inside, source in _regions(layers, places, end):
            if inside & gone:
                break
            region = Region(tuple(layers[i] for i in sorted(inside)), source)
            if not _is_private(region, inside, readers, public):
                continue
            form = _recognised(region)
            if form is not None:
                casts = _casts_around(layers, places, readers, public, inside, source, end)
                before = [place for place in casts if place < end]
                after = [place for place in casts if place > end]
                if before:
                    form = replace(form, inputs=layers[before[-1]].inputs)
                if after:
                    form = replace(form, outputs=layers[after[-1]].outputs)
                gone |= inside | set(casts)
                made[end] = form
                break
    kept = [made.get(i, layer) for i, layer in enumerate(layers) if i in made or i not in gone]
    return kept, bool(made)


def _casts_around(
    layers: Sequence[Layer],
    places: Mapping[str, int],
    readers: Mapping[str, set[int]],
    public: set[str],
    inside: set[int],
    source: TensorInfo,
    end: int,
) -> list[int]:
    """Conversions that a form alone needs: from what it reads outwards, then behind it.

    Normalizations are computed in wide floats between two of them, and read and write narrow ones.
    """
    found: list[int] = []
    within = set(inside)
    place = places.get(source.name, -1)
    while place >= 0 and layers[place].operator == "Cast":
        name = layers[place].outputs[0].name
        if name in public or not readers[name] <= within:
            break
        found.append(place)
        within.add(place)
        place = places.get(layers[place].inputs[0].name, -1)
    place = end
    while True:
        name = layers[place].outputs[0].name
        after = readers.get(name, set())
        if name in public or len(after) != 1:
            return found
        (place,) = after
        if layers[place].operator != "Cast":
            return found
        found.append(place)


def _regions(
    layers: Sequence[Layer], places: Mapping[str, int], end: int
) -> Iterator[tuple[set[int], TensorInfo]]:
    """Sets of layers that end at one and read a single activation, growing."""
    inside = {end}
    open_tensors = {tensor.name: tensor for tensor in layers[end].inputs}
    while len(inside) < MOST_LAYERS:
        if len(open_tensors) == 1:
            yield set(inside), next(iter(open_tensors.values()))
        # What is made last cannot be read by others that are still to come in.
        latest = max(open_tensors, key=lambda name: places.get(name, -1), default="")
        place = places.get(latest, -1)
        if place < 0 or not _may_be_inside(layers[place], layers[end]):
            return
        inside.add(place)
        for tensor in layers[place].outputs:
            open_tensors.pop(tensor.name, None)
        open_tensors |= {tensor.name: tensor for tensor in layers[place].inputs}


def _may_be_inside(layer: Layer, last: Layer) -> bool:
    known = _only_shows(layer) or kind_of(layer) is not None
    return known and layer.repetitions == last.repetitions and len(layer.outputs) == 1


def _only_shows(layer: Layer) -> bool:
    return layer.cost_class == "view" or layer.operator in CONVERSIONS


def _is_private(
    region: Region, inside: set[int], readers: Mapping[str, set[int]], public: set[str]
) -> bool:
    """Whether nobody else reads what is inside."""
    hidden = {tensor.name for layer in region.layers[:-1] for tensor in layer.outputs}
    return not hidden & public and all(readers.get(name, set()) <= inside for name in hidden)


def kind_of(layer: Layer) -> str | None:
    """What a layer does in a form; None if it occurs in none."""
    operator = ALIASES.get(layer.operator, layer.operator)
    if layer.cost_class not in ("elementwise", "reduction") or len(layer.outputs) != 1:
        return None
    if layer.weights:
        return WEIGHTED.get(operator) if len(layer.inputs) == 1 else None
    if operator == "Where":
        return operator
    if len(layer.inputs) > 1:
        return PAIRED.get(operator)
    return ALONE.get(operator, operator if operator in PLAIN else None)


def _recognised(region: Region) -> Layer | None:
    """The one layer that a region is, if it is a form."""
    kinds = [kind_of(layer) for layer in region.working]
    if len(kinds) < 2 or None in kinds:
        return None
    counts = Counter(kind for kind in kinds if kind is not None)
    if counts["mean"] or counts["total"] or counts["largest"]:
        return _normalization(region, counts)
    size = region.source.elements
    if any(layer.outputs[0].elements != size for layer in region.working):
        return None
    slopes = [layer for layer in region.working if layer.weights]
    if len(slopes) == 1 and kind_of(slopes[0]) == "gain":
        # A slope per channel: LeakyRelu with weights.
        counts = counts - Counter({"gain": 1}) + Counter({"scale": 1})
        return _layer(region, "PRelu") if _joined_form(counts) == "LeakyRelu" else None
    if slopes:
        return None
    form = CHAINS.get(tuple(kind for kind in kinds if kind is not None))
    if form is not None and not any(len(layer.inputs) > 1 for layer in region.working):
        return _layer(region, form)
    form = _joined_form(counts)
    return None if form is None else _layer(region, form)


def _joined_form(counts: Mapping[str, int]) -> str | None:
    return next((name for name, bounds in JOINED if _fits(counts, bounds)), None)


def _fits(counts: Mapping[str, int], bounds: Mapping[str, Bounds]) -> bool:
    present = {kind for kind, count in counts.items() if count}
    return present <= set(bounds) and all(
        least <= counts.get(kind, 0) <= most for kind, (least, most) in bounds.items()
    )


def _normalization(region: Region, counts: Mapping[str, int]) -> Layer | None:
    """A normalization or softmax along the axes that its means and sums are taken of."""
    reductions = [layer for layer in region.working if layer.operator.startswith("Reduce")]
    axes = {_reduced_axes(layer) for layer in reductions}
    (first, *others) = axes
    if others or not first or region.last.outputs[0].shape != region.source.shape:
        return None
    shape = region.source.shape
    width = math.prod(shape[axis] for axis in first)
    scales = [tensor for layer in region.working for tensor in layer.weights]
    form = _normalizing_form(counts)
    if form is None or any(tensor.elements > width for tensor in scales):
        return None
    return _layer(region, form, (("axis", first[0]),))


def _normalizing_form(counts: Mapping[str, int]) -> str | None:
    if _fits(counts, LAYER_NORMALIZATION):
        return "LayerNormalization"
    if _fits(counts, SOFTMAX) or _fits(counts, SHIFTED_SOFTMAX):
        return "Softmax"
    if _fits(counts, LOG_SOFTMAX):
        return "LogSoftmax"
    squared = counts.get("Pow", 0) + counts.get("times", 0) > 0
    rooted = counts.get("Sqrt", 0) or counts.get("Pow", 0) == 2
    divided = counts.get("over", 0) or counts.get("times", 0)
    if squared and rooted and divided and _fits(counts, ROOT_MEAN_SQUARE):
        return "RMSNormalization"
    return None


def _reduced_axes(reduction: Layer) -> tuple[int, ...]:
    """Axes that a mean or a sum is taken along, from its shapes."""
    before, after = reduction.inputs[0].shape, reduction.outputs[0].shape
    if len(after) == len(before):
        return tuple(axis for axis, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
    kept = len(after)
    return tuple(range(kept, len(before))) if after == before[:kept] else ()


def _layer(region: Region, form: str, attributes: tuple[tuple[str, Attribute], ...] = ()) -> Layer:
    operator, _, variant = form.partition(":")
    if variant == "tanh":
        attributes = (("approximate", variant),)
    reduces = form.endswith(("Normalization", "oftmax"))
    weights = [tensor for layer in region.working for tensor in layer.weights]
    parameters = {t.name: t for layer in region.working for t in layer.parameters}
    return replace(
        region.last,
        operator=operator,
        cost_class="reduction" if reduces else "elementwise",
        inputs=(region.source,),
        weights=tuple(weights),
        parameters=tuple(parameters.values()),
        elements=region.source.elements,
        operations_per_element=1 if _is_looked_up(region) else OPERATIONS[form],
        attributes=attributes,
    )


def _is_looked_up(region: Region) -> bool:
    """Whether a function of one value of 8 bits is a table, as it is for operators on integers."""
    alone = region.last.operator in ALIASES and not any(layer.weights for layer in region.working)
    return alone and BITS[region.source.dtype] <= _TABLE_BITS
