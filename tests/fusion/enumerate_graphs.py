"""Compares exact partitions with all plans of many small graphs: the long run of a test.

``PYTHONPATH=tests python -m fusion.enumerate_graphs 400`` takes about ten minutes; the test suite
(`tests/fusion/partition/test_brute_force.py`) looks at the first 24.
"""

from __future__ import annotations

import sys
from collections import Counter

from fusion.brute_force import Enumerated
from fusion.products import sharing, small

from toolkit.fusion import Assumptions, FoldedGraph, TrafficModel, find_partition

ROOMS = 4
"""Capacities that each graph is looked at with."""


def differences(
    graph: FoldedGraph, name: str, *, ahead: bool = True
) -> tuple[Counter[str], list[str]]:
    """How many capacities a graph was looked at with, and what went wrong.

    Where halos are kept along two axes, bounds may be below what is found, which is then not
    proved; they must not be above what there is.
    """
    loops = 2 if len(graph) <= 4 else 1
    every, wrong = Enumerated(graph, loops, ahead=ahead), []
    count: Counter[str] = Counter()
    for room in every.rooms(ROOMS):
        model = TrafficModel(graph, Assumptions(room, loops=loops, double_buffered=ahead))
        found = find_partition(model, "exact", most_layers=6)
        words = every.words(room)
        count["proved" if found.proved else "not proved"] += 1
        if found.bound > words or (found.proved and found.value != words):
            wrong.append(
                f"{name}, {room} words on chip: {found.value:g} moved, "
                f"bound {found.bound:g}, all plans {words}"
            )
    return count, wrong


def main(graphs: int) -> int:
    """Look at so many graphs; return how many cases went wrong."""
    count: Counter[str] = Counter()
    for seed in range(graphs):
        for made in (small, sharing):
            cases, wrong = differences(made(seed), f"{made.__name__}({seed})")
            count.update(cases)
            count.update(graphs=1, wrong=len(wrong))
            for line in wrong:
                print(line)
    print(", ".join(f"{number} {name}" for name, number in count.items()))
    return count["wrong"]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])) > 0)
