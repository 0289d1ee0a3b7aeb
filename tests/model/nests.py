"""Small mapped workloads written as loop nests."""

from __future__ import annotations

from oracle.strategies import tensor

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.mapping import LevelMapping, Mapping
from toolkit.model import STEADY, Conventions, Evaluation, TensorAccesses, evaluate
from toolkit.workload.kernel import Workload

Step = tuple[Level, dict[str, int]]

MAC = Compute("mac", mac_energy_pj=1.0)


def workload(sizes: dict[str, int], out: str, weight: str, inputs: str) -> Workload:
    """Write ``Out[out] += W[weight] * In[inputs]``, axes at commas: ``c, 2p+r``."""
    tensors = (
        tensor("In", "input", inputs),
        tensor("W", "weight", weight),
        tensor("Out", "output", out),
    )
    return Workload("case", "case", sizes, tensors)


def gemm(m: int, k: int, n: int) -> Workload:
    """Write ``Out[m,n] += W[m,k] * In[k,n]``."""
    return workload({"m": m, "k": k, "n": n}, "m,n", "m,k", "k,n")


def conv(p: int, r: int, window: str, m: int = 1) -> Workload:
    """Write ``Out[m,p] += W[m,r] * In[window]``."""
    return workload({"m": m, "p": p, "r": r}, "m,p", "m,r", window)


def memory(
    name: str,
    *bypasses: str,
    words: int | None = None,
    read_pj: float = 1.0,
    write_pj: float = 1.0,
    read_bandwidth: float = float("inf"),
    write_bandwidth: float = float("inf"),
    leakage: float = 0.0,
) -> Memory:
    """Build a memory that is cheap and fast unless told otherwise."""
    return Memory(
        name, words, read_pj, write_pj, read_bandwidth, write_bandwidth, leakage, bypasses
    )


def fanout(
    mesh: int,
    *,
    multicast: bool = True,
    selective_multicast: bool = False,
    selective_reduction: bool = False,
    pe_to_pe: bool = False,
    power_gating: bool = False,
) -> Fanout:
    """Build a fanout that unrolls anything."""
    return Fanout(
        "fanout",
        mesh,
        ("m", "k", "n", "p", "r"),
        multicast,
        True,
        selective_multicast,
        selective_reduction,
        pe_to_pe,
        power_gating,
    )


def mapped(work: Workload, *steps: Step) -> tuple[Mapping, Architecture, Workload]:
    """Map levels with their loops, outermost first in both; one MAC follows if no compute does."""
    if not isinstance(steps[-1][0], Compute):
        steps = (*steps, (MAC, {}))
    mapping = Mapping(
        tuple(
            LevelMapping(
                level.name,
                tuple(loops.items()),
                (*loops, *(d for d in work.dimensions if d not in loops)),
            )
            for level, loops in steps
        )
    )
    return mapping, Architecture("case", tuple(level for level, _ in steps)), work


def run(
    work: Workload, *steps: Step, conventions: Conventions = STEADY, bias_read: bool = False
) -> Evaluation:
    """Evaluate a loop nest."""
    return evaluate(*mapped(work, *steps), conventions=conventions, bias_read=bias_read)


def accesses(result: Evaluation, level: str, name: str) -> TensorAccesses:
    """Return the accesses of one tensor at one memory."""
    return next(a for a in result.accesses if (a.level, a.tensor) == (level, name))
