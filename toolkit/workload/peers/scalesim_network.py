"""SCALE-Sim's topologies as layer graphs."""

from __future__ import annotations

import os
from pathlib import Path

from toolkit.workload.distinct import count_window
from toolkit.workload.kernel import Tensor, Workload
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer, TensorInfo
from toolkit.workload.peers.scalesim import read_topology

_UNSTATED = "float32"


def read_scalesim_network(path: str | os.PathLike[str]) -> LayerGraph:
    """Read a topology as layers one after the other.

    The file does not say which layer reads from which, so that every input is one of the
    network's; nor does it say how many bits values have.

    Raises
    ------
    WorkloadError
        Naming file, line, column, value and expectation.
    """
    layers = []
    for row in read_topology(os.fspath(path)):
        by_role = {t.role: _info(row.name, t, row.workload) for t in row.workload.tensors}
        layers.append(
            Layer(
                name=row.name,
                operator="Gemm" if row.workload.kernel == "gemm" else "Conv",
                cost_class="einsum",
                inputs=(by_role["input"],),
                weights=(by_role["weight"],),
                outputs=(by_role["output"],),
                parameters=(by_role["weight"],),
                workload=row.workload,
            )
        )
    return LayerGraph.from_layers(
        layers,
        name=Path(path).stem,
        inputs=tuple(layer.inputs[0] for layer in layers),
        outputs=tuple(layer.outputs[0] for layer in layers),
        warnings=("the topology does not say which layers read from which",),
    )


def _info(layer: str, tensor: Tensor, workload: Workload) -> TensorInfo:
    shape = tuple(
        count_window([workload.sizes[t.dimension] for t in index], [t.coefficient for t in index])
        for index in tensor.indices
    )
    return TensorInfo(f"{layer}.{tensor.role}", shape, _UNSTATED)
