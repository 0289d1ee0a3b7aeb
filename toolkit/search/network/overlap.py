"""Layers side by side: some on the array, others on the vector unit, where both are free."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import networkx as nx

from toolkit.arch.architecture import Architecture
from toolkit.arch.ports import TRAFFIC
from toolkit.model.conventions import Conventions
from toolkit.model.plan_ports import port_cycles
from toolkit.search.network.result import LayerResult

ARRAY, VECTOR_UNIT = "array", "vector unit"


@dataclass(frozen=True, slots=True)
class Task:
    """A layer as a schedule sees it.

    Parameters
    ----------
    unit : {"array", "vector unit"}
        What it keeps busy. A layer that rescales what leaves the array counts as the array's.
    cycles : float
        How long it takes alone.
    outside_share : float
        Part of this time in which the outermost memories move its words, at most 1.
    """

    unit: str
    cycles: float
    outside_share: float


def task_of(layer: LayerResult, arch: Architecture, conventions: Conventions) -> Task:
    """Say what a layer keeps busy, and for how long."""
    words: dict[str, dict[str, float]] = {}
    moved = (
        [(t.memory, t.read_words, t.written_words) for t in layer.cost.dram] if layer.cost else []
    )
    if layer.vector is not None:
        moved.append((arch.memories[0].name, layer.vector.dram_reads, layer.vector.dram_writes))
    for memory, reads, writes in moved:
        own = words.setdefault(memory, dict.fromkeys(TRAFFIC, 0.0))
        own["reads"] += reads
        own["updates"] += writes
    memories = [memory for memory in arch.memories if memory.name in words]
    busy = [port_cycles(memory, conventions, words[memory.name]) for memory in memories]
    cycles = layer.latency_cycles
    share = layer.repetitions * max(busy, default=0.0) / cycles if cycles else 0.0
    return Task(ARRAY if layer.cost is not None else VECTOR_UNIT, cycles, min(share, 1.0))


def overlapped_cycles(graph: nx.DiGraph, tasks: Mapping[str, Task]) -> float:
    """Cycles until all layers have run, each as soon as its unit and its operands are there.

    One layer at a time runs on the array and one on the vector unit, in the order of the network.
    While two run whose words together are more than the outermost memories can move, both slow
    down alike.

    Parameters
    ----------
    graph : DiGraph
        Layers by name; an edge leads to one that needs the results of another.
    tasks : mapping of str to Task
        By the name of every layer.

    Examples
    --------
    >>> graph = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    >>> tasks = {name: Task(ARRAY, 10, 0.2) for name in "abd"} | {"c": Task(VECTOR_UNIT, 7, 0.4)}
    >>> overlapped_cycles(graph, tasks), overlapped_cycles(graph, tasks | {"c": tasks["b"]})
    (30.0, 40.0)
    """
    waiting = list(nx.lexicographical_topological_sort(graph, key=_places(graph).__getitem__))
    done: set[str] = set()
    left: dict[str, float] = {}
    now = 0.0
    while waiting or left:
        _start(graph, tasks, waiting, left, done)
        if not left:
            continue
        asked = math.fsum(tasks[name].outside_share for name in left)
        slower = max(asked, 1.0)
        step = min(left.values())
        now += step * slower
        left = {name: cycles - step for name, cycles in left.items()}
        done |= {name for name, cycles in left.items() if cycles <= 0}
        left = {name: cycles for name, cycles in left.items() if cycles > 0}
    return now


def _places(graph: nx.DiGraph) -> dict[str, int]:
    return {name: place for place, name in enumerate(graph)}


def _start(
    graph: nx.DiGraph,
    tasks: Mapping[str, Task],
    waiting: list[str],
    left: dict[str, float],
    done: set[str],
) -> None:
    """Start what can run now; what takes no time is done at once."""
    busy = {tasks[name].unit for name in left}
    for name in list(waiting):
        task, needed = tasks[name], graph.predecessors(name)
        free = task.unit not in busy or not task.cycles
        if not free or not _all_in(needed, done):
            # Layers of one unit keep their order.
            busy.add(task.unit)
        elif task.cycles:
            left[name] = task.cycles
            busy.add(task.unit)
            waiting.remove(name)
        else:
            done.add(name)
            waiting.remove(name)
        if len(busy) == len((ARRAY, VECTOR_UNIT)):
            return


def _all_in(names: Iterable[str], done: set[str]) -> bool:
    return all(name in done for name in names)
