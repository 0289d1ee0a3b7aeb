"""How long does one step of a training loop take: all layers of ResNet-18, forward and backward?

On Gemmini with all its sizes open; medians of several steps after one to warm up.
"""

from __future__ import annotations

import statistics
import time

import torch

import toolkit
from toolkit.objectives import HardwareProblem, NetworkProblem, for_torch
from toolkit.study.script import Arguments, positive, run_script


def step_seconds(model: torch.nn.Module, steps: int) -> tuple[float, float]:
    """Medians of wall-clock and CPU seconds."""
    wall, cpu = [], []
    for _ in range(steps + 1):
        start = time.perf_counter(), time.process_time()
        model.zero_grad()
        costs = model()
        (costs.log_cost((1, 1, 1)) + costs.penalty()).sum().backward()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return statistics.median(wall[1:]), statistics.median(cpu[1:])


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--starts", type=positive, default=16)
    parser.add_argument("--steps", type=positive, default=7)
    parser.add_argument("--device", default="cpu", help="where torch runs, such as cuda")
    given = parser.parse_args()
    space = toolkit.hardware_space("gemmini-ws-fine")
    graph = toolkit.load_network("resnet18")
    network = NetworkProblem(graph, space.build(space.default).arch)
    hardware = HardwareProblem(space, [graph])
    everything = {"choose": ("hardware", "mappings", "fusion"), "orders": "relaxed"}
    rows = {
        "mappings": (network, {}),
        "and hardware": (hardware, {}),
        "and fusion and loop orders": (hardware, everything),
    }
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for name, (what, options) in rows.items():
            model = for_torch(what, starts=given.starts, device=given.device, **options)
            wall, cpu = step_seconds(model, given.steps)
            print(
                f"{threads} threads, {name:<28}{model.mappings:>6} mappings"
                f"{wall:>8.3f} s{cpu:>8.3f} CPU s"
            )


if __name__ == "__main__":
    run_script(main)
