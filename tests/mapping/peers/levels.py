"""What the tests of peers' formats share."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

import toolkit
from toolkit.mapping.bypasses import held, may_leave_out, with_holds
from toolkit.mapping.mapping import Mapping, from_arrays
from toolkit.mapping.sampling import sample
from toolkit.workload.kernel import Workload

ARCHS = {
    name: toolkit.load_arch(name)
    for name in (
        "eyeriss",
        "eyeriss-conv",
        "gemmini",
        "gemmini-conv",
        "gemmini-ws",
        "simba",
        "simba-conv",
        "tpu",
        "tpu-conv",
    )
}
GEMMINI = ARCHS["gemmini-ws"]
LAYER = toolkit.conv2d(8, 6, 4, 4, 3, 1, name="layer")
COMPACT = "L3[WIO] P4 M2 - L2[WI] N1 K4X - L1[O] Q4 C2 R3 C3X - L0[W] N1"

# By level, outermost first: its loops of more than one iteration.
Loops = list[tuple[str, list[tuple[str, int]]]]


def loops(mapping: Mapping) -> Loops:
    """What matters of a mapping: its loops of more than one iteration, in order."""
    found = []
    for level in mapping.levels:
        names = level.order or sorted(d for d, _ in level.factors)
        each = [(d, level.factor(d)) for d in names if level.factor(d) > 1]
        found.append((level.level, each))
    return found


@st.composite
def workloads(draw: st.DrawFn, kernel: str) -> Workload:
    sizes = st.sampled_from([1, 2, 3, 4, 6, 8, 16])
    if kernel == "gemm":
        return toolkit.gemm(draw(sizes), draw(sizes), draw(sizes))
    return toolkit.conv2d(
        *(draw(sizes) for _ in range(6)),
        n=draw(st.sampled_from([None, 2])),
        stride=draw(st.integers(1, 2)),
    )


@st.composite
def mapped(draw: st.DrawFn) -> tuple[toolkit.Architecture, Workload, Mapping]:
    """Draw a mapping that need not fit, but unrolls only what its levels list."""
    arch = ARCHS[draw(st.sampled_from(sorted(ARCHS)))]
    is_gemm = arch.name in ("eyeriss", "gemmini", "simba", "tpu")
    workload = draw(workloads("gemm" if is_gemm else "conv"))
    factors = np.ones((len(arch.levels), len(workload.dimensions)), dtype=np.int64)
    order = np.tile(np.arange(len(workload.dimensions)), (len(arch.levels), 1))
    for j, (dimension, size) in enumerate(workload.sizes.items()):
        homes = [
            i
            for i, level in enumerate(arch.levels)
            if isinstance(level, toolkit.Memory) or dimension in level.dimensions
        ]
        for prime in primes(size):
            factors[draw(st.sampled_from(homes)), j] *= prime
    for i, level in enumerate(arch.levels):
        if isinstance(level, toolkit.Memory):
            order[i] = draw(st.permutations(range(len(workload.dimensions))))
    return arch, workload, from_arrays(factors, order, arch, workload)


CHOOSING = toolkit.Architecture(
    "choosing",
    (
        toolkit.Memory("DRAM", None, 64, 64, 8, 8),
        toolkit.Memory("Buffer", None, 1, 1, 8, 8, may_bypass=("input", "weight")),
        toolkit.Fanout("Columns", 4, ("M", "K", "Q")),
        toolkit.Fanout("Rows", 3, ("M", "C", "N")),
        toolkit.Memory("Sums", None, 1, 1, 8, 8, bypasses=("input",), may_bypass=("weight",)),
        toolkit.Fanout("Lanes", 3, ("M", "K", "P")),
        toolkit.Memory("Registers", None, 0.1, 0.1, 8, 8, may_bypass=("output", "input")),
        toolkit.Compute("MAC", 1.0),
    ),
)
"""An architecture that leaves much to its mappings."""


@st.composite
def ragged(draw: st.DrawFn) -> tuple[toolkit.Architecture, Workload, Mapping]:
    """Draw a mapping on `CHOOSING` with tiles that are cut off and bypasses that it chooses."""
    sizes = st.integers(1, 60)
    workload = (
        toolkit.gemm(draw(sizes), draw(sizes), draw(sizes))
        if draw(st.booleans())
        else toolkit.conv2d(*(draw(st.integers(1, 13)) for _ in range(6)))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    space = toolkit.MapSpace(CHOOSING, workload, factors="ragged")
    factors, order = sample(space, 1, rng)
    free = may_leave_out(CHOOSING, workload) & (rng.random((4, 3)) < 0.5)
    mapping = from_arrays(factors[0], order[0], CHOOSING, workload)
    holds = held(CHOOSING, workload) & ~free
    return CHOOSING, workload, with_holds(mapping, holds, CHOOSING, workload)


def primes(number: int) -> list[int]:
    for prime in range(2, number + 1):
        if number % prime == 0:
            return [prime, *primes(number // prime)]
    return []
