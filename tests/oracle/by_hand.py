"""Small mapped workloads, written out, for counts done by hand."""

from __future__ import annotations

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.mapping.mapping import LevelMapping, Mapping, to_arrays
from toolkit.workload.kernel import Workload

from .simulator import Simulation, simulate
from .strategies import tensor

Step = tuple[Level, dict[str, int]]

LANES = Compute("lanes", mac_energy_pj=1.0, mesh=4, dimensions=("m", "k", "n"))


def workload(sizes: dict[str, int], out: str, weight: str, *inputs: str) -> Workload:
    """Write a workload as text; the inputs are called In, In1, ..."""
    named = [tensor(f"In{i or ''}", "input", text) for i, text in enumerate(inputs)]
    ends = (tensor("W", "weight", weight), tensor("Out", "output", out))
    return Workload("case", "case", sizes, (*named, *ends))


def gemm(m: int, k: int, n: int) -> Workload:
    """Write ``Out[m,n] += W[m,k] * In[k,n]``."""
    return workload({"m": m, "k": k, "n": n}, "m,n", "m,k", "k,n")


def conv(p: int, r: int, window: str, m: int = 1) -> Workload:
    """Write ``Out[m,p] += W[m,r] * In[window]``."""
    return workload({"m": m, "p": p, "r": r}, "m,p", "m,r", window)


def memory(name: str, bypasses: tuple[str, ...] = (), multiple_reuses: bool = True) -> Memory:
    """Build a memory of which only the behaviour matters."""
    return Memory(
        name, None, 1.0, 1.0, 1.0, 1.0, bypasses=bypasses, multiple_reuses=multiple_reuses
    )


def fanout(multicast: bool = True, selective: bool = False, name: str = "fanout") -> Fanout:
    """Build a fanout that reduces just as it multicasts."""
    dimensions = ("m", "k", "n", "p", "r")
    return Fanout(name, 64, dimensions, multicast, multicast, selective, selective)


def run(
    work: Workload, *steps: Step, bias_read: bool = False, holds: list[str] | None = None
) -> Simulation:
    """Simulate levels with their loops, outermost first in both; lanes follow if not given.

    `holds` has a word per memory with a mark per tensor, ``x`` where it is held.
    """
    if not isinstance(steps[-1][0], Compute):
        steps = (*steps, (LANES, {}))
    arch = Architecture("case", tuple(level for level, _ in steps))
    mapped = Mapping(
        tuple(
            LevelMapping(
                level.name,
                tuple(loops.items()),
                (*loops, *(d for d in work.dimensions if d not in loops)),
            )
            for level, loops in steps
        )
    )
    marks = None if holds is None else np.array([[c == "x" for c in row] for row in holds])
    return simulate(arch, work, *to_arrays(mapped, arch, work), bias_read, marks)


DRAM = memory("dram")
BUFFER = memory("buffer")
