"""Hypothesis strategies for mapped workloads of any magnitude, which no machine could execute."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.mapping.mapping import IntArray
from toolkit.workload.kernel import Workload

from .strategies import Case, tensor

MAX_SIZE = 2**31
MAX_LEVELS = 12

PARTS = (2, 2, 2, 3, 3, 4, 5, 7, 16, 61, 1024, 4099, 65537, 2**20, 1048573, 2**31 - 1, 2**31)
"""What sizes are made of: small and large primes, and powers of two up to the limit."""

COEFFICIENTS = (1, 1, 1, 1, 2, 3, 7, 1024, 65537, 2**20, 2**31 - 1, 2**31)

FIGURES = (0.0, 1e-9, 0.1, 1.0, 3.3, 1e6, 1e15)
BANDWIDTHS = (1e-9, 0.1, 1.0, 3.3, 64.0, 1e15, math.inf)

# Kernel, its dimensions, output, weight and input; A, B and C stand for coefficients.
_KERNELS = (
    ("gemm", "mkn", "m,n", "m,k", "k,n"),
    ("conv", "ngmcpqdrst", "n,g,m,p,q,d", "g,m,c,r,s,t", "n,g,c,Ap+Br,Aq+Cs,d+t"),
    ("conv1d", "mcpr", "m,p", "m,c,r", "c,Ap+Br"),
    ("transposed_conv", "mcpr", "m,Ap+Br", "m,c,r", "c,p"),
    ("even", "pqrs", "p,q", "r,s", "Ap+Ar+As,q"),
    ("nested", "pqrs", "p,q", "r,s", "p,Aq+Br+Cs"),
    ("reduction", "mk", "", "m,k", "m"),
    ("contraction", "abcdefghij", "a,b,c,d,e", "f,g,h,i,j", "a,c,e,g,i"),
)

Draw = st.DrawFn


@st.composite
def large_workloads(draw: Draw) -> tuple[Workload, dict[str, list[int]]]:
    """Draw a workload and what its sizes multiply from.

    Most of them have about 2^53 multiply-accumulates, where rounding begins.
    """
    name, dimensions, *indices = draw(st.sampled_from(_KERNELS))
    letters = {letter: str(draw(st.sampled_from(COEFFICIENTS))) for letter in "ABC"}
    output, weight, read = ("".join(letters.get(x, x) for x in text) for text in indices)
    tensors = (
        tensor("In", "input", read),
        tensor("W", "weight", weight),
        tensor("Out", "output", output),
    )
    parts: dict[str, list[int]] = {d: [] for d in dimensions}
    target = 2 ** draw(st.sampled_from((30, 48, 52, 53, 53, 53, 54, 63, 90)))

    def room(d: str) -> int:
        macs = math.prod(math.prod(p) for p in parts.values())
        return min(target // macs, MAX_SIZE // math.prod(parts[d]))

    for d in draw(st.lists(st.sampled_from(dimensions), min_size=1, max_size=16)):
        fitting = [part for part in PARTS if part <= room(d)]
        if fitting:
            parts[d].append(draw(st.sampled_from(fitting)))
    for d in draw(st.permutations(dimensions)) if draw(st.booleans()) else ():
        parts[d].append(2 ** (room(d).bit_length() - 1))
    sizes = {d: math.prod(parts[d]) for d in dimensions}
    return Workload("large", name, sizes, tensors), parts


@st.composite
def large_architectures(draw: Draw, workload: Workload) -> Architecture:
    """Draw up to twelve levels whose figures lie many orders of magnitude apart."""
    figure, bandwidth = st.sampled_from(FIGURES), st.sampled_from(BANDWIDTHS)
    names = [t.name for t in workload.tensors]
    kinds = draw(st.lists(st.sampled_from("mmmff"), max_size=MAX_LEVELS - 2))
    levels: list[Memory | Fanout] = []
    for i, kind in enumerate(["m", *kinds]):
        if kind == "f":
            mesh = draw(st.sampled_from((1, 7, 2**31)))
            flags = [draw(st.integers(0, 9)) for _ in range(5)]
            levels.append(
                Fanout(
                    f"fanout{i}",
                    mesh,
                    workload.dimensions,
                    multicast=flags[0] > 1,
                    reduction=flags[1] > 1,
                    selective_multicast=flags[2] > 8,
                    selective_reduction=flags[3] > 8,
                    pe_to_pe=flags[4] > 4,
                    power_gating=draw(st.booleans()),
                )
            )
        else:
            passed = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if i else []
            levels.append(
                Memory(
                    f"memory{i}",
                    draw(st.sampled_from((None, None, 2**20, 2**53, 2**63 - 1))),
                    draw(figure),
                    draw(figure),
                    draw(bandwidth),
                    draw(bandwidth),
                    leakage_pj_per_cycle=draw(figure),
                    bypasses=tuple(passed),
                    multiple_reuses=draw(st.booleans()),
                    multiple_buffering=draw(st.sampled_from((1.0, 1.0, 2.0, 3.0))),
                )
            )
    compute = Compute(
        "lanes",
        draw(figure),
        draw(st.sampled_from((1, 3, 2**31))),
        8,
        multicast=draw(st.booleans()),
        reduction=draw(st.booleans()),
    )
    return Architecture("large", (*levels, compute))


@st.composite
def large_cases(draw: Draw) -> Case:
    """Draw ``(arch, workload, factors, order, bias_read)``, each part of a size on a level."""
    workload, parts = draw(large_workloads())
    arch = draw(large_architectures(workload))
    shape = (len(arch.levels), len(workload.sizes))
    factors = np.ones(shape, dtype=np.int64)
    for d, values in enumerate(parts.values()):
        for part in values:
            factors[draw(st.integers(0, shape[0] - 1)), d] *= part
    return arch, workload, factors, draw(loop_orders(*shape)), draw(st.booleans())


@st.composite
def loop_orders(draw: Draw, levels: int, dimensions: int) -> IntArray:
    """Draw a permutation for every level."""
    rng = draw(st.randoms(use_true_random=False))
    return np.array([rng.sample(range(dimensions), dimensions) for _ in range(levels)])
