"""Exports the torch models of this folder to ONNX graphs without weights, a few kilobytes each.

    python studies/networks/export.py FOLDER [MODEL ...]

Weights are marked as external data that do not exist: shapes and counts need none.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from weightless import shortened, without_weights

MODELS = ("resnet18", "mobilenet_v2", "vit_b16", "bert_layer", "bert_base", "gpt2_block")


def export(
    model: torch.nn.Module,
    inputs: tuple[torch.Tensor, ...],
    names: list[str],
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    *,
    optimize: bool = True,
) -> onnx.ModelProto:
    # The exporter merges parameters of equal values, as fresh ones are.
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.1, 1.0)
    shapes = None
    if dynamic is not None:
        shapes = tuple(
            {axis: torch.export.Dim(name) for axis, name in dynamic.get(key, {}).items()}
            for key in names
        )
    program = torch.onnx.export(
        model.eval(),
        inputs,
        input_names=names,
        dynamic_shapes=shapes,
        dynamo=True,
        optimize=optimize,
        verbose=False,
    )
    proto = without_weights(program.model_proto)
    return proto if optimize else shortened(proto)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", metavar="model", default=MODELS)
    given = parser.parse_args()
    folder, unknown = given.folder, [name for name in given.models if name not in MODELS]
    if unknown:
        parser.error(f"argument model: expected some of {', '.join(MODELS)}, got {unknown[0]!r}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(str(error))
    for name in given.models:
        module = importlib.import_module(name)
        onnx.save(module.make(), folder / f"{name}.onnx")
        print(f"{name}: {(folder / f'{name}.onnx').stat().st_size} bytes")


if __name__ == "__main__":
    main()
