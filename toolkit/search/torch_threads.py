"""One thread for torch while a strategy runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, then as many as before.

    Sums that are split over threads depend on their number, and results must not; and at the
    sizes of a mapping more threads spend their time waiting for each other (3 to 7 times the
    processor time on two shared cores).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
