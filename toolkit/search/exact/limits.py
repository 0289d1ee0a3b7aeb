"""What limits the latency of a mapping: ports, and what lanes and ports wait for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from toolkit.arch.ports import EXCHANGED
from toolkit.model.plan_ports import Port
from toolkit.search.problem import Problem

LANES = Port("lanes", (), 1.0)
"""Stands for the lanes, that wait as the levels inside of a memory do, where ports are listed."""


class Limit(NamedTuple):
    """What limits the latency: a port of a level that can be busy, or lanes that may wait.

    Attributes
    ----------
    level : int
        At which its words are counted.
    port : Port
        With the kinds of words that count.
    outside, first, last : int
        It waits for memories outside of these levels: for what they cannot hide, for their first
        tiles, and for their last ones to leave.
    """

    level: int
    port: Port
    outside: int
    first: int
    last: int


def limits_of(problem: Problem) -> list[Limit]:
    """List what limits the latency (`toolkit.model.totals.note_ports`)."""
    plan, tables = problem.plan, problem.tables
    levels, found = len(plan.arch.levels), []

    def limit(m: int, port: Port, kinds: frozenset[str], outside: int) -> Limit:
        first = outside if kinds & {"reads", "fills"} else levels
        last = outside if kinds & {"updates", "drains"} else levels
        passing = tuple(kind for kind in port.kinds if kind in kinds)
        return Limit(m, replace(port, kinds=passing), outside, first, last)

    for m, port in plan.ports:
        if not math.isfinite(port.bandwidth):
            continue
        kinds = plan.passing(m, port)
        if not tables.switches.waits:
            found.append(Limit(m, port, m, m, m))
            continue
        exchanged = kinds & EXCHANGED if tables.levels[m].is_memory else frozenset[str]()
        if exchanged:
            found.append(limit(m, port, exchanged, m + 1))
        if kinds - exchanged:
            found.append(limit(m, port, kinds, m))
    if tables.switches.waits or tables.shape.stationary >= 0:
        found.append(Limit(levels, LANES, levels, levels, levels))
    return found
