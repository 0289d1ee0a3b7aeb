"""A cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

from toolkit.errors import InputError

ROOT = Path(__file__).parent.parent


@dataclass
class LocalCluster:
    """Processes of a cluster, and the address of its scheduler."""

    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def workers(self) -> list[subprocess.Popen[bytes]]:
        """All but the scheduler, which comes first."""
        return self.processes[1:]

    def add_worker(self, threads: int = 1) -> None:
        """Start a worker, which stays away if it is killed."""
        self._start("dask_worker", self.address, "--nthreads", str(threads), "--no-nanny")

    def _start(self, kind: str, *words: str) -> None:
        # The sources that this process tests, and functions of its tests.
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        }
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{kind}", *words, "--no-dashboard"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
            )
        )

    def wait(self, workers: int) -> None:
        """Wait until so many workers have registered."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
            while len(client.nthreads()) != workers:
                time.sleep(0.05)


@contextmanager
def local_cluster(workers: int) -> Iterator[LocalCluster]:
    """Start a scheduler and workers; whatever is left of them is killed in the end."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = LocalCluster(f"tcp://127.0.0.1:{port}")
    try:
        cluster._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(port))
        for _ in range(workers):
            cluster.add_worker()
        if workers:
            cluster.wait(workers)
        yield cluster
    finally:
        for process in cluster.processes:
            process.kill()
        for process in cluster.processes:
            process.wait()


def process_of(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def fails(number: int) -> int:
    raise InputError(f"number {number}", source="here")
