"""Where input comes in: command lines, with the files that they read and how these are broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from arch.test_accelforge_archs import ARCH as ACCELFORGE
from arch.test_peer_accelerators import GEMMINI as ZIGZAG
from arch.test_peer_accelerators import MAPPING as ZIGZAG_SPATIAL
from arch.test_peer_architectures import NEW, OLD, WHOLE
from arch.test_scalesim_configs import CONFIG
from arch.test_stream_cores import CORE
from cli.test_estimates import ERT
from cli.test_peers import DESIGN, LAYERS
from mapping.peers.test_timeloop import NEST
from mapping.peers.test_timeloop import YAML as TIMELOOP
from workload import tiny_networks as tiny
from workload.test_accelforge_einsums import CHAIN, CONVOLUTION
from workload.test_peer_workloads import NETWORK, PROBLEM

from fuzz.mutations import broken_bytes, broken_model, broken_words, broken_yaml, other_numbers

DATA = Path(__file__).parent.parent / "data"
ARCHS = Path(__file__).parent.parent.parent / "archs"
ONCE = "--strategy random --evaluations 1"
MAPPED = "explain eyeriss 16 8 4 FILE"
PACKAGED = "eyeriss-like", "gemmini-ws", "simba-conv"
TOPOLOGY = """\
Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 8, 8, 3, 3, 4, 8, 1,
FC, 1, 1, 1, 1, 16, 10, 1,
"""
SMALL = "conv:M=4,C=2,P=3,Q=3,R=2,S=2"
CONV = """
kernel: conv
sizes: {M: 4, P: 3, Q: 3, C: 2, R: 2, S: 1}
"""

Break = Callable[[random.Random, bytes], bytes]
TEXT: tuple[Break, ...] = (other_numbers, broken_bytes)


@dataclass(frozen=True)
class Entrance:
    """One way in.

    Parameters
    ----------
    command : str
        Words, with ``FILE`` for the broken file.
    name : str
        Of the file.
    seeds : sequence of bytes
        Contents that are right.
    breaks : sequence of callable
        How they are broken.
    status : int
        What comes of the right ones.
    """

    command: str
    name: str = ""
    seeds: Sequence[bytes] = ()
    breaks: Sequence[Break] = (broken_yaml, other_numbers, broken_bytes)
    status: int = 0

    def words(self, draw: random.Random, folder: Path) -> list[str]:
        """Write the broken file, if there is one; give the words."""
        words = self.command.split()
        if not self.seeds:
            return broken_words(draw, words)
        return self.given(draw.choice(self.breaks)(draw, draw.choice(self.seeds)), folder)

    def given(self, content: bytes, folder: Path) -> list[str]:
        """Write a file; give the words that read it."""
        words, path = self.command.split(), folder / self.name
        path.write_bytes(content)
        return [str(path) if word == "FILE" else word for word in words]


@cache
def entrances() -> dict[str, Entrance]:
    """All of them by name."""
    archs = [(ARCHS / f"{name}.yaml").read_bytes() for name in PACKAGED]
    others = _bytes(OLD, NEW, WHOLE, ZIGZAG, ACCELFORGE, CORE)
    problems = _bytes(NETWORK, LAYERS, DESIGN, CHAIN, CONVOLUTION, PROBLEM)
    timeloop = "explain gemmini-ws conv:M=8,C=6,P=4,Q=4,R=3,S=1 FILE --format timeloop"
    mapped, text = f"network FILE eyeriss-conv {ONCE} --no-cache --jobs 1", TEXT
    return {
        "architecture": Entrance(f"map FILE {SMALL} {ONCE}", "machine.yaml", archs),
        "machine for products": Entrance(
            f"map FILE 8 4 2 {ONCE}", "machine.yaml", [(ARCHS / "eyeriss.yaml").read_bytes()]
        ),
        "shown": Entrance("show arch FILE", "machine.yaml", archs),
        "accelerator of another tool": Entrance("show arch FILE", "machine.yaml", others),
        "SCALE-Sim": Entrance("show arch FILE", "machine.cfg", _bytes(CONFIG), text, 2),
        "workload": Entrance(f"map eyeriss-conv FILE {ONCE}", "work.yaml", _bytes(CONV)),
        "workload of another tool": Entrance("show workload FILE", "work.yaml", problems),
        "topology": Entrance(mapped, "net.csv", _bytes(TOPOLOGY), text),
        "mapping": Entrance(MAPPED, "mapping.yaml", _bytes(mapping())),
        "mapping in JSON": Entrance(MAPPED, "mapping.json", _bytes(mapping("json")), text),
        "mapping of Timeloop": Entrance(timeloop, "map.yaml", _bytes(TIMELOOP)),
        "nest of Timeloop": Entrance(timeloop, "map.txt", _bytes(NEST), text),
        "mapping of ZigZag": Entrance(
            f"{MAPPED} --format zigzag", "map.yaml", _bytes(ZIGZAG_SPATIAL, mapping("zigzag"))
        ),
        "mapping of AccelForge": Entrance(
            f"{MAPPED} --format accelforge", "map.yaml", _bytes(mapping("accelforge")), text
        ),
        "estimates": Entrance(
            f"map eyeriss 8 4 2 {ONCE} --estimates FILE", "ert.yaml", _bytes(ERT)
        ),
        "network": Entrance(
            f"{mapped} --json", "net.onnx", models(), (*[broken_model] * 4, broken_bytes)
        ),
        "words": Entrance(
            "map eyeriss gemm:M=16,K=8,N=4 --strategy random --evaluations 10 --objective edp "
            # Ten million mappings may be asked for, and take as long.
            "--pad M --seconds 5 --json"
        ),
        "a start alone": Entrance(
            "map eyeriss 16 8 4 --start FILE", "mapping.yaml", _bytes(mapping())
        ),
        "random mappings": Entrance(
            "sample eyeriss 16 8 4 --count 20 --seed 3 --objective edp --factors perfect --json"
        ),
        "switches": Entrance(
            "space eyeriss 8 4 2 --switch window_footprint=stride_blind --switch zero_fills=true"
        ),
        "kernels": Entrance("show workload conv:M=64,C=3,P=112,Q=112,R=7,S=7,stride=2"),
        # There is no such network, nor any energies of SCALE-Sim: what is right is refused late.
        "hardware": Entrance(
            "codesign missing.onnx --template gemmini-ws --range side=4..8 --area-budget 2mm2 "
            "--clock 1GHz --samples 1",
            status=2,
        ),
    }


def mapping(form: str = "yaml") -> str:
    """A mapping of the problem that files of mappings are read for."""
    import tempfile

    import toolkit

    arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(16, 8, 4)
    problem = toolkit.make_problem(arch, workload, factors="perfect")
    found = toolkit.search_mappings(
        problem, "random", budget=toolkit.Budget(evaluations=50)
    ).mapping
    if form in toolkit.MAPPING_FORMATS:
        return toolkit.mapping_to_text(found, problem.arch, problem.workload, format=form)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mapping.{form}"
        toolkit.write_mapping(path, found)
        return path.read_text()


@cache
def models() -> tuple[bytes, ...]:
    """Small networks of many operators."""
    image, x = tiny.value("i", [1, 4, 6, 6]), tiny.value("x", [1, 4, 5])
    tensors = [tiny.weight("f", 8, 4, 3, 3), tiny.weight("w", 5, 3), tiny.weight("b", 5)]
    tensors += [tiny.constant("k", [1]), tiny.constant("two", [1, 4])]
    window = {"pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1]}
    singles = [
        (tiny.node("Conv", "i f", group=1, **window), image),
        (tiny.node("MaxPool", "i", kernel_shape=[2, 2], strides=[2, 2]), image),
        (tiny.node("MatMul", "x w"), x),
        (tiny.node("LayerNormalization", "x b", axis=-1), x),
        (tiny.node("Split", "x two", "y z", axis=2), x),
        (tiny.node("Transpose", "x", perm=[0, 2, 1]), x),
        (tiny.node("Softmax", "x", axis=-1), x),
        (tiny.node("ReduceSum", "x k", keepdims=1), x),
        (tiny.node("Einsum", "x x", equation="bij,bkj->bik"), x),
        (tiny.node("com.microsoft.Attention", "x w b", num_heads=1), x),
    ]
    made = [tiny.model([n], [entry], tensors, n.output) for n, entry in singles]
    chain = [
        tiny.node("Conv", "i f", "c", pads=[1, 1, 1, 1]),
        tiny.node("Relu", "c", "r"),
        tiny.node("GlobalAveragePool", "r", "g"),
        tiny.node("Flatten", "g", "y"),
    ]
    made.append(tiny.model(chain, [image], tensors, ["y"]))
    return tuple(model.SerializeToString() for model in made)


def _bytes(*texts: str) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)
