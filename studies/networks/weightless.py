"""Makes ONNX models small: no weights, no notes for debuggers, short names."""

from __future__ import annotations

import onnx


def without_weights(model: onnx.ModelProto, kept_elements: int = 16) -> onnx.ModelProto:
    """Mark large tensors as external, and drop what only debuggers read."""
    for tensor in model.graph.initializer:
        size = max(len(tensor.raw_data), 4 * len(tensor.float_data))
        if size > 8 * kept_elements:
            for field in ("raw_data", "float_data", "int64_data"):
                tensor.ClearField(field)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value="weights.bin")
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    return model


def shortened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Number the tensors between nodes and leave names of nodes to their outputs."""
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    kept |= {tensor.name for tensor in model.graph.initializer}
    made = [name for node in model.graph.node for name in node.output if name not in kept]
    names = {name: f"t{i}" for i, name in enumerate(made)}
    for node in model.graph.node:
        node.ClearField("name")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return model
