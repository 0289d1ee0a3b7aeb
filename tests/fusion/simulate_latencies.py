"""Executes the latencies of many groups and networks: the long run of two tests.

``PYTHONPATH=tests python -m fusion.simulate_latencies 100`` takes some ten minutes; the test suite
(`tests/fusion/test_group_latency.py`, `tests/fusion/test_prefetch.py`) looks at a few.
"""

from __future__ import annotations

import sys

from fusion.networks import random_network
from fusion.products import products
from fusion.step_simulation import run
from fusion.test_group_latency import drawn_work, port_of
from fusion.test_prefetch import check_executed, drawn_network

from toolkit.fusion import FoldedGraph

ROOMS = (40, 90, 200, 600, 2000)
PAIRS = [(room, shared) for room in ROOMS for shared in (False, True)]


def group_slack(graph: FoldedGraph, seed: int, room: int, shared: bool) -> float | None:
    """By which factor the model is slower than the execution."""
    work = drawn_work(graph, frozenset(graph.names), room, seed, port_of(shared))
    if work is None:
        return None
    found, ran = work.latency(), run(work, shared)
    assert ran.cycles <= found.cycles * (1 + 1e-9), (seed, room, shared, graph.names)
    return found.cycles / ran.cycles


def main(count: int) -> None:
    slacks, networks = [], 0
    for seed in range(count):
        graphs = [random_network(seed, 6), products(seed)]
        for room, shared in PAIRS:
            slacks += [group_slack(graph, seed, room, shared) for graph in graphs]
            drawn = drawn_network(seed, room, port_of(shared))
            if drawn is not None:
                check_executed(*drawn, room, shared)
                networks += 1
    known = sorted(slack for slack in slacks if slack is not None)
    middle, most = known[len(known) // 2], known[-1]
    exact = sum(slack < 1 + 1e-9 for slack in known)
    print(f"{len(known)} groups: {exact} exact, median {middle:.3f}, at most {most:.3f} times")
    print(f"{networks} networks whose prefetch was executed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
