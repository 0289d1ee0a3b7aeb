"""Saves a model as ONNX Runtime has optimised it, without its weights.

    pip install onnxruntime
    python studies/networks/optimised.py MODEL.onnx OPTIMISED.onnx [--level all]

Weights that are not there are made up first; of the results, only short ones keep their contents:
biases tell how many channels of a block exist.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from weightless import shortened, without_weights

LEVELS = ("none", "basic", "extended", "all")
KEPT_ELEMENTS = 128


def filled(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make up the contents of tensors that have none."""
    draw = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
            values = draw.uniform(0.1, 1, tuple(tensor.dims)).astype(kind)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def optimised(model: onnx.ModelProto, level: str) -> onnx.ModelProto:
    """What ONNX Runtime makes of a model with contents."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.onnx", Path(folder) / "made.onnx"
        onnx.save(model, given)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(made)
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = getattr(levels, f"ORT_ENABLE_{level.upper()}")
        onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        return onnx.load(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("--level", choices=LEVELS, default="all")
    given = parser.parse_args()
    try:
        model = filled(onnx.load(given.model, load_external_data=False))
        result = model if given.level == "none" else optimised(model, given.level)
    except ImportError:
        sys.exit("onnxruntime is not installed; pip install onnxruntime")
    except Exception as cause:  # ONNX Runtime has exceptions of its own.
        sys.exit(f"{given.model}: {cause}")
    onnx.save(shortened(without_weights(result, KEPT_ELEMENTS)), given.made)
    print(f"{given.made}: {given.made.stat().st_size} bytes")


if __name__ == "__main__":
    main()
