"""Networks of a few nodes, written to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import toolkit

DTYPES = {
    "float": TensorProto.FLOAT,
    "half": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}

Shape = Sequence[int | str | None]

PEAK_KIB = """
def peak_kib():
    # What getrusage says counts what the parent held when it started this process.
    try:
        lines = open("/proc/self/status").read().splitlines()
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""
"""A function for processes of their own: the most memory that they held."""


def node(operator: str, inputs: str, outputs: str = "y", **attributes: object) -> onnx.NodeProto:
    """A node called as its operator; operands are separated by blanks, ``-`` leaves one out."""
    domain, _, name = operator.rpartition(".")
    return helper.make_node(
        name,
        ["" if x == "-" else x for x in inputs.split()],
        outputs.split(),
        name=attributes.pop("name", name.lower()),
        domain=domain,
        **attributes,
    )


def value(name: str, shape: Shape | None, dtype: str = "float") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, DTYPES[dtype], shape)


def weight(name: str, *shape: int, dtype: str = "float") -> onnx.TensorProto:
    """A tensor whose contents are in a file that does not exist."""
    tensor = TensorProto(name=name, dims=shape, data_type=DTYPES[dtype])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def constant(name: str, values: object, dtype: str = "int64") -> onnx.TensorProto:
    kind = helper.tensor_dtype_to_np_dtype(DTYPES[dtype])
    return numpy_helper.from_array(np.array(values, dtype=kind), name)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    tensors: Sequence[onnx.TensorProto] = (),
    outputs: Sequence[str] = ("y",),
    *,
    opset: int = 20,
    domains: Mapping[str, int] | None = None,
    values: Sequence[onnx.ValueInfoProto] = (),
) -> onnx.ModelProto:
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(nodes, "tiny", inputs, results, tensors, value_info=values)
    used = {n.domain: 1 for n in nodes if n.domain} | {"": opset} | dict(domains or {})
    imports = [helper.make_opsetid(domain, version) for domain, version in used.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def write(folder: Path, proto: onnx.ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def load(folder: Path, proto: onnx.ModelProto, **options: object) -> toolkit.LayerGraph:
    return toolkit.load_network(write(folder, proto), **options)


def load_one(
    folder: Path,
    single: onnx.NodeProto,
    inputs: Sequence[onnx.ValueInfoProto],
    tensors: Sequence[onnx.TensorProto] = (),
    **options: object,
) -> toolkit.Layer:
    """The only layer of a network of one node."""
    graph = load(folder, model([single], inputs, tensors, outputs=single.output[:1], **options))
    (layer,) = graph.layers
    return layer


def assumptions(graph: toolkit.LayerGraph) -> tuple[str, ...]:
    """Warnings, but for the note that weights of tests are nowhere."""
    return tuple(w for w in graph.warnings if not w.endswith("are not there; read by shape"))
