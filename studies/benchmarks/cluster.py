"""How much faster are two workers of a cluster than one, on 40 layers and 2 architectures?

    python studies/benchmarks/cluster.py [WORKERS [LAYERS]]

Starts a scheduler and workers on this machine and maps the same layers on one of them and on all,
without caches; both must say the same. Workers share this machine's cores with whatever else runs
on it, so that the speed-up is told twice: of the clock, and as the work (processor seconds of all
workers) over that of the worker that had most to do, which is what other machines would take.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

import toolkit
from toolkit.study.script import Arguments, positive, run_script

ARCHS = ("eyeriss", "simba")


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """Start processes; yields the address of their scheduler."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rpartition(":")[2]
    commands = [("dask_scheduler", "--host", "127.0.0.1", "--port", port)]
    commands += [("dask_worker", address, "--nthreads", "1", "--no-nanny")] * workers
    started = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{name}", *words, "--no-dashboard"],
            stderr=subprocess.DEVNULL,
        )
        for name, *words in commands
    ]
    try:
        yield address
    finally:
        for process in started:
            process.kill()


def layers(count: int) -> toolkit.LayerGraph:
    """A network of different matrix products, about as large as those of transformers."""
    net = toolkit.NetworkByHand("layers")
    for i in range(count):
        net.add_layer(f"layer{i}", toolkit.gemm(256 + 48 * i, 768, 512 + 16 * (i % 7)))
    return net.graph()


def measured(workers: int, count: int) -> tuple[float, list[float], list[object]]:
    """Seconds of the clock, processor seconds of each worker, and what was found."""
    graph, archs = layers(count), [toolkit.load_arch(name) for name in ARCHS]
    with cluster(workers) as address:
        time.sleep(0.5)
        with toolkit.Cluster(address).connected() as connected:
            connected.client.wait_for_workers(workers)
            # What every process does once is not what takes time on long lists.
            connected.client.run(warmed)
            before = connected.client.run(time.process_time)
            begun = time.perf_counter()
            found = toolkit.compare_networks([graph], archs, jobs=connected, cache=False)
            clock = time.perf_counter() - begun
            after = connected.client.run(time.process_time)
    spent = [after[name] - before[name] for name in sorted(after)]
    return clock, spent, [[layer.cost for layer in result.layers] for result in found.results]


def warmed() -> int:
    """Search once, so that imports and compiled code are there."""
    toolkit.map_network(layers(1), toolkit.load_arch("eyeriss"), jobs=1, cache=False)
    return os.getpid()


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("workers", nargs="?", type=positive, default=2)
    parser.add_argument("layers", nargs="?", type=positive, default=40)
    given = parser.parse_args()
    one, several = (measured(count, given.layers) for count in (1, given.workers))
    print(f"{given.layers} layers on {', '.join(ARCHS)}; results alike: {one[2] == several[2]}")
    for count, (clock, spent, _) in ((1, one), (given.workers, several)):
        each = ", ".join(f"{seconds:.1f}" for seconds in spent)
        print(f"{count} workers: {clock:.1f} s of the clock, processor seconds {each}")
    work = one[1][0] / max(several[1])
    print(f"speed-up of the clock {one[0] / several[0]:.2f}, of work {work:.2f}")


if __name__ == "__main__":
    run_script(main)
