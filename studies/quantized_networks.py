"""What does a network cost in fewer bits, on hardware of 16 and of 32 bits?

    python studies/quantized_networks.py [MODEL ...] [--evaluations N]

Models are ONNX files or names of built-in networks; MobileNetV2 as exported and quantized by
default. Each is mapped greedily on `eyeriss-like` with energies of the technology, once with the
bits of its types and once with 32 bits for everything.
"""

from __future__ import annotations

import argparse

import pandas as pd

import toolkit
from toolkit.arch import Architecture
from toolkit.arch.technology import priced
from toolkit.errors import ToolkitError

MODELS = ("mobilenet-v2", "mobilenet-v2:int8")


def hardware(bits: int) -> Architecture:
    """An array whose words and multipliers have so many bits."""
    file = toolkit.load_template("eyeriss-like").file({"bits": bits})
    return priced(file.architecture(), file.components(), toolkit.Technology())


def millijoules(model: str, arch: Architecture, evaluations: int, bits: str | int) -> float:
    graph = toolkit.load_network(model, bits=bits)
    budget = toolkit.Budget(evaluations=evaluations)
    return toolkit.map_network(graph, arch, budget=budget).energy_pj / 1e9


def table(models: list[str], evaluations: int) -> pd.DataFrame:
    archs = {f"{bits} bits": hardware(bits) for bits in (16, 32)}
    rows = {
        f"{model}, {how}": {
            name: millijoules(model, arch, evaluations, bits) for name, arch in archs.items()
        }
        for model in models
        for how, bits in (("own bits", "file"), ("all of 32 bits", 32))
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=list(MODELS), metavar="model")
    parser.add_argument("--evaluations", type=int, default=20_000, help="per layer (20,000)")
    given = parser.parse_args()
    try:
        found = table(given.models, given.evaluations)
    except ToolkitError as error:
        parser.error(str(error))
    print("energy in mJ\n" + found.to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
