"""What the scripts that write networks of any size share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import onnx

import toolkit
from toolkit.workload.network.built_in import PRECISIONS, precision_named
from toolkit.workload.network.built_in.builder import Precision


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 1")
    return int(text)


def arguments(description: str, precision: str = "fp32") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("file", help="where the ONNX model goes")
    parser.add_argument("--precision", choices=PRECISIONS, default=precision)
    return parser


def write(
    parser: argparse.ArgumentParser,
    given: argparse.Namespace,
    make: Callable[[Precision], onnx.ModelProto],
) -> None:
    usual = str(parser.get_default("precision"))
    try:
        model = make(precision_named(given.precision, usual))
        onnx.save(model, given.file)
    except (OSError, toolkit.InputError) as error:
        parser.error(str(error))
    graph = model.graph
    print(f"{given.file}: {len(graph.node)} nodes, weights as shapes in weights.bin")
