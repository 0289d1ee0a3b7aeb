"""AccelForge's einsums as a layer graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolkit.errors import WorkloadError
from toolkit.peer_files import Document
from toolkit.workload.distinct import count_window
from toolkit.workload.kernel import Tensor
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.peers.accelforge import Einsum, read_einsums

_UNSTATED = "float32"


def accelforge_network(document: Document) -> LayerGraph:
    """Connect einsums by the names of their tensors.

    Raises
    ------
    WorkloadError
        Naming file, key, value and expectation; also if an einsum reads what a later one makes.
    """
    einsums = read_einsums(document.data, document.source)
    infos: dict[str, TensorInfo] = {}
    layers: list[Layer] = []
    made = {einsum.output.name: number for number, einsum in enumerate(einsums)}
    if len(made) < len(einsums):
        raise WorkloadError("two einsums make one tensor", source=document.source)
    inputs: dict[str, TensorInfo] = {}
    for number, einsum in enumerate(einsums):
        for tensor in einsum.tensors[:-1]:
            if made.get(tensor.name, -1) >= number:
                raise einsum.place.refuse(f"reads {tensor.name}, which a later einsum makes")
        # What is made has the shape that its maker gives it, whoever reads more around it.
        of = {t.name: infos.setdefault(t.name, _info(t, einsum.sizes)) for t in einsum.tensors}
        weights = tuple(
            of[t.name] for t in einsum.tensors if t.role == "weight" and t.name not in made
        )
        read = tuple(of[t.name] for t in einsum.tensors[:-1] if of[t.name] not in weights)
        inputs.update((info.name, info) for info in read if info.name not in made)
        layers.append(_layer(einsum, read, weights, of[einsum.output.name]))
    read_names = {info.name for layer in layers for info in layer.inputs}
    return LayerGraph.from_layers(
        layers,
        name=Path(document.source.partition(" (")[0]).stem,
        inputs=tuple(inputs.values()),
        outputs=tuple(x for layer in layers for x in layer.outputs if x.name not in read_names),
    )


def _layer(
    einsum: Einsum, read: tuple[TensorInfo, ...], weights: tuple[TensorInfo, ...], made: TensorInfo
) -> Layer:
    return Layer(
        name=einsum.name,
        operator="Einsum",
        cost_class="einsum",
        inputs=read,
        weights=weights,
        outputs=(made,),
        parameters=weights,
        workload=einsum.workload(einsum.name),
    )


def _info(tensor: Tensor, sizes: Mapping[str, int]) -> TensorInfo:
    shape = tuple(
        count_window([sizes[t.dimension] for t in index], [t.coefficient for t in index])
        for index in tensor.indices
    )
    return TensorInfo(tensor.name, shape, _UNSTATED)
