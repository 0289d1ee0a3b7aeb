"""Small architectures and workloads, a hypothesis strategy, and brute-force validity."""

from __future__ import annotations

import itertools
from math import prod

import numpy as np
from hypothesis import strategies as st

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Compute, Fanout, Memory
from toolkit.mapping.space import MapSpace
from toolkit.workload.kernel import Tensor, Term, Workload

Tiling = tuple[tuple[int, ...], ...]


def gemm(m: int, k: int, n: int) -> Workload:
    return Workload(
        "small",
        "gemm",
        {"M": m, "K": k, "N": n},
        (
            Tensor("In", "input", ((Term("K"),), (Term("N"),))),
            Tensor("W", "weight", ((Term("M"),), (Term("K"),))),
            Tensor("Out", "output", ((Term("M"),), (Term("N"),))),
        ),
    )


def conv1d(m: int, p: int, r: int, stride: int = 1, dilation: int = 1) -> Workload:
    return Workload(
        "strip",
        "conv1d",
        {"M": m, "P": p, "R": r},
        (
            Tensor("In", "input", ((Term("P", stride), Term("R", dilation)),)),
            Tensor("W", "weight", ((Term("M"),), (Term("R"),))),
            Tensor("Out", "output", ((Term("M"),), (Term("P"),))),
        ),
    )


def conv2d(**sizes: int) -> Workload:
    full = {d: sizes.get(d, 2) for d in "MPQCRS"}
    return Workload(
        "layer",
        "conv",
        full,
        (
            Tensor("In", "input", ((Term("C"),), (Term("P"), Term("R")), (Term("Q"), Term("S")))),
            Tensor("W", "weight", tuple((Term(d),) for d in "MCRS")),
            Tensor("Out", "output", tuple((Term(d),) for d in "MPQ")),
        ),
    )


def constraints(*texts: str) -> tuple[FactorConstraint, ...]:
    parsed = []
    for text in texts:
        dimension, relation, value = text.split()
        parsed.append(FactorConstraint(dimension, relation, int(value)))  # type: ignore[arg-type]
    return tuple(parsed)


def memory(
    name: str, words: int | None = None, *rules: str, order: str = "", **options: object
) -> Memory:
    return Memory(
        name,
        words,
        1.0,
        1.0,
        1.0,
        1.0,
        constraints=constraints(*rules),
        loop_order=tuple(order),
        **options,  # type: ignore[arg-type]
    )


def fanout(name: str, mesh: int, dims: str, *rules: str) -> Fanout:
    return Fanout(name, mesh, tuple(dims), constraints=constraints(*rules))


def arch(*levels: Memory | Fanout, name: str = "tiny") -> Architecture:
    return Architecture(name, (*levels, Compute("MAC", 1.0)))


EYERISS = arch(
    memory("DRAM"),
    memory("GlobalBuffer", 131072, bypasses=("weight",)),
    fanout("SACols", 14, "MK"),
    fanout("SARows", 12, "M"),
    memory("InRegister", 24, "M == 1", "K == 1", "N == 1", bypasses=("weight", "output")),
    memory("WRegister", 384, "M == 1", "N == 1", bypasses=("input", "output")),
    memory("OutRegister", 32, "K == 1", "N == 1", bypasses=("input", "weight")),
    name="eyeriss",
)
"""Eyeriss as FactorFlow describes it, for GEMMs."""


def is_valid(space: MapSpace, tiling: Tiling) -> bool:
    """Check one tiling rule by rule, with scalars, counting windows one value at a time."""
    names = space.workload.dimensions
    for d, name in enumerate(names):
        if prod(row[d] for row in tiling) != space.workload.sizes[name]:
            return False
    if leaves_sums_apart(space, tiling):
        return False
    for i, (level, row) in enumerate(zip(space.arch.levels, tiling, strict=True)):
        factor = dict(zip(names, row, strict=True))
        if any(not c.allows(factor[c.dimension]) for c in level.constraints):
            return False
        if isinstance(level, Memory):
            extent = {name: prod(r[d] for r in tiling[i:]) for d, name in enumerate(names)}
            if level.capacity_words is not None:
                words = sum(
                    count_words(tensor, whole(space, tiling, i, tensor) or extent, space.footprint)
                    for tensor in space.workload.tensors
                    if holds(level, tensor)
                )
                if words > level.capacity_words / level.multiple_buffering:
                    return False
        elif prod(row) > level.mesh or any(
            f > 1 and name not in level.dimensions for name, f in factor.items()
        ):
            return False
    return True


def keeper(space: MapSpace, tensor: Tensor) -> int:
    """Level of the outermost memory that holds a tensor; 0 where the outermost one supplies."""
    levels = enumerate(space.arch.levels)
    held = [i for i, level in levels if isinstance(level, Memory) and holds(level, tensor)]
    return 0 if space.outermost_supplies or not held else held[0]


def whole(space: MapSpace, tiling: Tiling, i: int, tensor: Tensor) -> dict[str, int] | None:
    """Extents of all that the first instance of a keeper sees, one iteration at a time."""
    if i == 0 or keeper(space, tensor) != i:
        return None
    extents = {}
    for d, name in enumerate(space.workload.dimensions):
        seen, stride = {0}, 1
        for k in reversed(range(len(tiling))):
            turns = tiling[k][d]
            if k >= i or isinstance(space.arch.levels[k], Memory):
                seen = {x + stride * turn for x in seen for turn in range(turns)}
            stride *= turns
        seen = {x for x in seen if x < space.workload.sizes[name]}
        wide = any(name in [t.dimension for t in x] for x in tensor.indices if len(x) > 1)
        extents[name] = max(seen) + 1 if wide else len(seen)
    return extents


def leaves_sums_apart(space: MapSpace, tiling: Tiling) -> bool:
    """Whether fanouts outside of the output's keeper unroll what does not tell outputs apart."""
    output = space.workload.output
    alone = [index[0].dimension for index in output.indices if len(index) == 1]
    return any(
        tiling[i][d] > 1 and name not in alone and isinstance(space.arch.levels[i], Fanout)
        for i in range(keeper(space, output))
        for d, name in enumerate(space.workload.dimensions)
    )


def count_words(tensor: Tensor, extent: dict[str, int], rule: str) -> int:
    words = 1
    for index in tensor.indices:
        if rule == "stride_blind":
            words *= sum(extent[term.dimension] for term in index) - len(index) + 1
            continue
        steps = [range(0, t.coefficient * extent[t.dimension], t.coefficient) for t in index]
        words *= len({sum(values) for values in itertools.product(*steps)})
    return words


def splits(size: int, levels: int) -> list[tuple[int, ...]]:
    """List all ways to write `size` as an ordered product, by trying every divisor."""
    if levels == 1:
        return [(size,)]
    return [
        (f, *rest)
        for f in range(1, size + 1)
        if size % f == 0
        for rest in splits(size // f, levels - 1)
    ]


def all_valid(space: MapSpace) -> set[Tiling]:
    columns = [splits(size, len(space.arch.levels)) for size in space.workload.sizes.values()]
    crossed = (tuple(zip(*choice, strict=True)) for choice in itertools.product(*columns))
    return {tiling for tiling in crossed if is_valid(space, tiling)}


def as_tiling(factors: np.ndarray) -> Tiling:
    return tuple(tuple(row) for row in factors.tolist())


@st.composite
def spaces(draw: st.DrawFn) -> MapSpace:
    """Draw tiny map spaces in which constraints, meshes and capacities often bind."""
    workload = conv1d(
        draw(st.sampled_from([1, 2, 4, 6])),
        draw(st.sampled_from([1, 3, 4, 6])),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 2)),
    )
    rule = st.builds(
        "{} {} {}".format,
        st.sampled_from("MPR"),
        st.sampled_from(["==", "<=", ">="]),
        st.integers(1, 4),
    )
    rules = st.lists(rule, max_size=1)
    dims = st.sampled_from(["", "M", "MP", "RP", "MPR"])
    bypasses = st.sampled_from([(), ("weight",), ("input",), ("output", "input")])
    passed = draw(bypasses)
    outer_bypasses = draw(st.sampled_from([(), (), ("weight",), ("input",), ("output", "input")]))
    outer = memory(
        "DRAM", None, *draw(rules), bypasses=tuple(x for x in outer_bypasses if x not in passed)
    )
    spatial = fanout("PEs", draw(st.integers(1, 6)), draw(dims), *draw(rules))
    inner = memory(
        "Register",
        draw(st.one_of(st.none(), st.integers(2, 40))),
        *draw(rules),
        bypasses=passed,
        multiple_buffering=draw(st.sampled_from([1.0, 2.0])),
    )
    footprint = draw(st.sampled_from(["distinct", "stride_blind"]))
    levels = [outer, spatial, inner]
    if draw(st.booleans()):
        levels.insert(1, memory("Buffer", None, bypasses=outer.bypasses))
    supplies = draw(st.sampled_from([False, False, False, True]))
    return MapSpace(arch(*levels), workload, footprint, outermost_supplies=supplies)
