"""What is needed of the outputs of layers: windows may pass over some of it, or end before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

import numpy as np
import numpy.typing as npt

from toolkit.fusion.folded import FoldedGraph, FoldedLayer
from toolkit.workload.network.layer import TensorInfo

_Masks = tuple[npt.NDArray[np.bool_], ...]


def needed_shares(graph: FoldedGraph) -> Mapping[str, float]:
    """Share of each layer's output that any plan makes, by the layer's name.

    Groups do not make rows of a tensor between layers that nobody reads. What several layers
    read is at least what that one reads which reads most; what leaves the network is made.

    Examples
    --------
    >>> from toolkit.fusion.folding import fold
    >>> from toolkit.workload.network import Layer, LayerGraph, TensorInfo
    >>> x, y = (TensorInfo(name, (1, 2, 6, 6), "int8") for name in "xy")
    >>> z = TensorInfo("z", (1, 2, 2, 2), "int8")
    >>> one = Layer("relu", "Relu", "elementwise", (x,), (), (y,), elements=72)
    >>> by_three = (("kernel_shape", (2, 2)), ("strides", (3, 3)))
    >>> two = Layer("pool", "MaxPool", "window", (y,), (), (z,), elements=8, attributes=by_three)
    >>> network = LayerGraph.from_layers([one, two], inputs=[x], outputs=[z])
    >>> needed_shares(fold(network))["relu"] == 4 * 4 / (6 * 6)
    True
    """
    masks: dict[str, _Masks] = {}
    for layer in reversed(graph.layers):
        readers = [graph.layer_of(name) for name in graph.readers.get(layer.output.name, ())]
        if graph.leaves(layer) or not readers:
            masks[layer.name] = tuple(np.ones(size, dtype=bool) for size in layer.output.shape)
        else:
            found = [_read(reader, layer.output, masks[reader.name]) for reader in readers]
            masks[layer.name] = max(found, key=lambda each: prod(int(m.sum()) for m in each))
    return {name: prod(float(mask.mean()) for mask in each) for name, each in masks.items()}


def _read(reader: FoldedLayer, tensor: TensorInfo, needed: _Masks) -> _Masks:
    """Positions of an input that a layer reads for what is needed of its output."""
    number = [entry.name for entry in reader.inputs].index(tensor.name)
    found = [np.ones(size, dtype=bool) for size in tensor.shape]
    reached = [(rank.axis, rank.reads[number]) for rank in reader.ranks]
    often = Counter(reach.axis for _, reach in reached if reach is not None)
    for axis, reach in reached:
        if reach is None or axis is None or often[reach.axis] > 1:
            continue
        begins = np.unique(np.flatnonzero(needed[axis]) // reach.share) * reach.stride
        places = (begins - reach.pad)[:, None] + np.arange(reach.extent)
        size = tensor.shape[reach.axis]
        read = np.zeros(size, dtype=bool)
        read[places[(places >= 0) & (places < size)]] = True
        found[reach.axis] = read
    return tuple(found)
