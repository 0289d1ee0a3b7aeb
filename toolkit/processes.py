"""Cores at work: the same function on many arguments in processes, and one thread for torch."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TypeVar

from toolkit.arguments import check_integer
from toolkit.cluster import Cluster
from toolkit.compilation import is_announced, unannounced
from toolkit.errors import LostProcessError

Jobs = int | Cluster
"""Where tasks run: in so many processes of this machine, or on a cluster."""

# How long a process may outlive a killed parent; looking once a second costs nothing.
_WATCH_SECONDS = 1.0

_SILENT_TRACKERS = "ignore:resource_tracker:UserWarning"
"""As Python's option -W has it."""

_LOST = (
    "a process ended before its result came: killed by somebody, or by the machine for want of "
    "memory; expected fewer of them (--jobs)"
)

A = TypeVar("A")
R = TypeVar("R")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread, then as many as before.

    Sums that are split over threads depend on their number, and results must not; and at the
    sizes of a mapping more threads spend their time waiting for each other (3 to 7 times the
    processor time on two shared cores).
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def check_jobs(jobs: object) -> Jobs:
    """Read an argument that says where tasks run.

    Raises
    ------
    InputError
        If it is neither a number of processes from 1 nor a cluster.

    Examples
    --------
    >>> check_jobs(2), check_jobs(Cluster("tcp://host:8786"))
    (2, Cluster(address='tcp://host:8786'))
    """
    return jobs if isinstance(jobs, Cluster) else check_integer(jobs, 1, "jobs")


def in_processes(
    function: Callable[[A], R], arguments: Sequence[A], jobs: Jobs
) -> Iterator[tuple[int, R]]:
    """Call a function on every argument, in the working directory of the caller.

    Parameters
    ----------
    function : callable
        Found by name in its module.
    arguments : sequence
        What it is called with.
    jobs : int or Cluster
        Processes of this machine, where 1 calls it in this one; or those of a cluster, which
        have working directories of their own.

    Yields
    ------
    int
        Place of the argument.
    object
        The result, in the order in which calls end.

    Raises
    ------
    LostProcessError
        If a process ended before its result came.
    """
    if isinstance(jobs, Cluster):
        if arguments:
            yield from jobs.results(function, arguments)
        return
    if jobs == 1 or len(arguments) < 2:
        yield from enumerate(map(function, arguments))
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    parallel = Parallel(
        n_jobs=min(jobs, len(arguments)),
        backend="loky",
        batch_size=1,
        return_as="generator_unordered",
    )
    here, quiet = os.getcwd(), not is_announced()
    with warnings.catch_warnings():
        # Loky replaces workers that have grown, and warns although nothing is lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        with _deaf_to_interrupts():
            results = parallel(
                delayed(_call)(function, place, argument, os.getpid(), here, quiet)
                for place, argument in enumerate(arguments)
            )
        try:
            yield from results
        except TerminatedWorkerError as cause:
            raise LostProcessError(_LOST) from cause


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let processes that are started meanwhile hear no Ctrl-C, as this one hears it later.

    A terminal sends it to all of them, and those that still import would end with a traceback
    each; this process ends them anyway.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    _start_trackers()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_trackers() -> None:
    """Start the processes that tidy up after others.

    They come with the first process otherwise, and open this one's ears before it. They take
    over the filters of this interpreter: nobody asked what an interrupted one has left to them.
    """
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as tracker_of_loky

    sys.warnoptions.append(_SILENT_TRACKERS)
    try:
        for tracker in (resource_tracker, tracker_of_loky):
            tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_SILENT_TRACKERS)


def _call(
    function: Callable[[A], R], place: int, argument: A, parent: int, here: str, quiet: bool
) -> tuple[int, R]:
    _end_with(parent)
    # Processes outlive a call, and relative paths mean what they mean to the caller now.
    os.chdir(here)
    with unannounced() if quiet else nullcontext():
        return place, function(argument)


@cache
def _end_with(parent: int) -> None:
    """End this process when its parent was killed; nobody would take the result."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
