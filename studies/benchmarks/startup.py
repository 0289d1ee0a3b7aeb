"""How long does a user wait before anything is searched?

CPU seconds, of this process and its children, medians over several runs: the first answers after
an installation, with a cache that is empty; starting the commands after that; reading networks
(Llama 2 with 7 billion parameters included) and peers' mappings; drawing random mappings.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

import toolkit
from toolkit.mapping import MapSpace, sample
from toolkit.mapping.peers.timeloop import mapping_from_timeloop, mapping_to_timeloop
from toolkit.study.script import Arguments, positive, run_script

ROOT = Path(__file__).parents[2]
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MAPPINGS = 1000
TOOLKIT = ("-m", "toolkit")
MAP = (*TOOLKIT, "map", "eyeriss", "bert-large/KQV")


def cpu_seconds() -> float:
    """What the processors spent on this process and on those it waited for."""
    own = time.process_time()
    try:
        import resource
    except ImportError:  # Windows counts no children.
        return own
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + children.ru_utime + children.ru_stime


def python(*words: str, cache: Path | None = None) -> Callable[[], object]:
    """A run of Python in the repository's folder, if asked for with a cache of its own."""
    command = [sys.executable, *words]
    environment = (
        dict(os.environ) if cache is None else {**os.environ, "XDG_CACHE_HOME": str(cache)}
    )
    return lambda: subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment
    )


def spent_by(wait: Callable[[], object]) -> float:
    """CPU seconds of one wait."""
    before = cpu_seconds()
    wait()
    return cpu_seconds() - before


def first_answers(runs: int) -> dict[str, list[float]]:
    """CPU seconds of the first two searches after an installation, which compile."""
    spent: dict[str, list[float]] = {
        "first toolkit map": [],
        "first --strategy exact after it": [],
    }
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            for times, words in zip(spent.values(), ((), ("--strategy", "exact")), strict=True):
                times.append(spent_by(python(*MAP, *words, cache=Path(folder))))
    return spent


def print_row(name: str, spent: list[float]) -> None:
    print(f"{name:36}{statistics.median(spent):12.3f}{min(spent):9.3f}{max(spent):9.3f}")


def reading_mappings() -> None:
    arch, layer = toolkit.load_arch("gemmini-ws"), toolkit.load_workload("resnet18/L1+")
    found = toolkit.search_mappings(
        toolkit.make_problem(arch, layer), "random", budget=toolkit.Budget(evaluations=10)
    )
    text = mapping_to_timeloop(found.mapping, arch, layer)
    for _ in range(MAPPINGS):
        mapping_from_timeloop(text, arch, layer)


def drawing_mappings() -> None:
    space = MapSpace(toolkit.load_arch("eyeriss"), toolkit.load_workload("bert-large/KQV"))
    sample(space, 20 * MAPPINGS, np.random.default_rng(0))


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--runs", type=positive, default=5)
    parser.add_argument(
        "--cold-runs", type=positive, default=1, help="runs with nothing compiled yet"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        llama = Path(folder) / "llama.onnx"
        python("studies/networks/llama.py", str(llama))()
        positions = {"batch": 1, "seq": 1, "past": 1023}
        waits: dict[str, Callable[[], object]] = {
            "import toolkit": python("-c", "import toolkit"),
            "toolkit --version": python(*TOOLKIT, "--version"),
            "toolkit --help": python(*TOOLKIT, "--help"),
            "toolkit list archs": python(*TOOLKIT, "list", "archs"),
            "toolkit map eyeriss bert-large/KQV": python(*MAP),
            "ResNet-50 to a graph": lambda: toolkit.load_network(LIGHT / "light_resnet50.onnx"),
            "Llama 2 7B to a graph": lambda: toolkit.load_network(llama, positions),
            f"{MAPPINGS:,} mappings of Timeloop's": reading_mappings,
            f"{20 * MAPPINGS:,} random mappings": drawing_mappings,
        }
        print(f"{'':36}{'CPU seconds':>12}{'least':>9}{'most':>9}")
        for name, spent in first_answers(arguments.cold_runs).items():
            print_row(name, spent)
        for name, wait in waits.items():
            wait()
            print_row(name, [spent_by(wait) for _ in range(arguments.runs)])


if __name__ == "__main__":
    run_script(main)
