"""The layers of a network while they are rewritten: who makes and who reads a tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from toolkit.workload.network.layer import Layer, TensorInfo

PRODUCT_KERNELS = ("gemm", "batched-gemm")


class Wiring:
    """Layers by name, any of which may be replaced by another that reads and makes the same.

    Parameters
    ----------
    layers : iterable of Layer
        In an order in which they can run.
    inputs, outputs : iterable of TensorInfo
        Of the network.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        inputs: Iterable[TensorInfo] = (),
        outputs: Iterable[TensorInfo] = (),
    ) -> None:
        self._layers = {layer.name: layer for layer in layers}
        self.inputs = frozenset(tensor.name for tensor in inputs)
        self.outputs = frozenset(tensor.name for tensor in outputs)
        self._makers = {t.name: layer.name for layer in self.layers for t in layer.outputs}
        self._readers: dict[str, list[str]] = {}
        for layer in self.layers:
            for name in dict.fromkeys(tensor.name for tensor in layer.inputs):
                self._readers.setdefault(name, []).append(layer.name)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All of them, in their order."""
        return tuple(self._layers.values())

    def put(self, layer: Layer) -> None:
        """Replace the layer of this name."""
        before = self._layers[layer.name]
        self._layers[layer.name] = layer
        for name in {t.name for t in before.inputs} - {t.name for t in layer.inputs}:
            self._readers[name].remove(layer.name)
        for name in {t.name for t in layer.inputs} - {t.name for t in before.inputs}:
            self._readers.setdefault(name, []).append(layer.name)

    def add_after(self, name: str, layer: Layer) -> None:
        """Add a layer behind another."""
        entries = []
        for entry in self.layers:
            entries.append(entry)
            if entry.name == name:
                entries.append(layer)
        self._layers = {entry.name: entry for entry in entries}
        self._makers.update((tensor.name, layer.name) for tensor in layer.outputs)
        for tensor in dict.fromkeys(tensor.name for tensor in layer.inputs):
            self._readers.setdefault(tensor, []).append(layer.name)

    def drop(self, layer: Layer) -> None:
        """Remove a layer that nobody needs."""
        del self._layers[layer.name]
        for tensor in layer.inputs:
            names = self._readers.get(tensor.name, [])
            if layer.name in names:
                names.remove(layer.name)

    def drop_unread(self, layer: Layer) -> None:
        """Remove a layer if nobody reads what it makes, and then those before it."""
        if layer.name not in self._layers:
            return
        if any(made.name in self.outputs or self.readers(made.name) for made in layer.outputs):
            return
        self.drop(layer)
        for tensor in layer.inputs:
            maker = self.maker(tensor.name)
            if maker is not None:
                self.drop_unread(maker)

    def maker(self, tensor: str) -> Layer | None:
        """The layer that makes a tensor."""
        return self._layers.get(self._makers.get(tensor, ""))

    def readers(self, tensor: str) -> list[Layer]:
        """Layers that read a tensor."""
        return [self._layers[name] for name in self._readers.get(tensor, ())]

    def source(self, tensor: str) -> str:
        """The tensor that is shown under this name, views of it undone."""
        layer = self.maker(tensor)
        while layer is not None and layer.cost_class == "view" and len(layer.inputs) == 1:
            tensor = layer.inputs[0].name
            layer = self.maker(tensor)
        return tensor

    def uses(self, tensor: TensorInfo) -> Iterator[Use]:
        """Who reads a tensor, views of it followed, or that it is an output of the network."""
        if tensor.name in self.outputs:
            yield Use(None, tensor)
        for layer in self.readers(tensor.name):
            if layer.cost_class == "view":
                for shown in layer.outputs:
                    yield from self.uses(shown)
            else:
                yield Use(layer, tensor)


@dataclass(frozen=True)
class Use:
    """A reader of a tensor, None if it leaves the network, and the name under which it reads."""

    reader: Layer | None
    tensor: TensorInfo

    @property
    def is_product(self) -> bool:
        """Whether it is an operand of a matrix product."""
        workload = self.reader.workload if self.reader is not None else None
        return workload is not None and workload.kernel in PRODUCT_KERNELS

    @property
    def of_two_activations(self) -> bool:
        """Whether it is one of two activations that are multiplied."""
        return self.is_product and self.reader is not None and len(self.reader.inputs) == 2


def with_input(layer: Layer, tensor: TensorInfo) -> tuple[TensorInfo, ...]:
    """The inputs of a layer, one of them replaced by another of its name."""
    return tuple(tensor if own.name == tensor.name else own for own in layer.inputs)
