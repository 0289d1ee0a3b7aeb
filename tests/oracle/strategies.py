"""Hypothesis strategies for small mapped workloads that the simulator can execute."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from toolkit.arch.architecture import Architecture, Leakage
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.arch.ports import TRAFFIC, MemoryPort
from toolkit.arch.wires import Wires
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.workload.bits import ROLE_BITS, with_bits
from toolkit.workload.kernel import Role, Tensor, Term, Workload

Case = tuple[Architecture, Workload, IntArray, IntArray, bool]
"""An architecture, a workload, its ``factors`` and ``order``, and whether biases are read."""

RaggedCase = tuple[Architecture, Workload, IntArray, IntArray, bool, BoolArray | None]
"""A case whose factors may overshoot, and which memories hold which tensors if it is chosen."""

Draw = st.DrawFn

MAX_MACS = 600
SIZES = (1, 2, 3, 4, 6, 8)
RAGGED_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 11, 13)
RAGGED_FACTORS = (1, 1, 1, 1, 2, 2, 3, 4, 5)
LARGE_MESH = 1024
COMPUTE_MESH = 4

_figures = st.floats(0.125, 64.0, width=32)
_coefficients = st.sampled_from((1, 1, 1, 2, 2, 3, 4))
_mostly = st.sampled_from((True, True, True, False))


def tensor(name: str, role: Role, indices: str) -> Tensor:
    """Write a tensor as text: axes part at commas, terms at plus signs, ``2p`` is ``2 * p``."""
    return Tensor(name, role, tuple(_index(text) for text in indices.split(",") if text))


def _index(text: str) -> tuple[Term, ...]:
    terms = []
    for term in text.split("+"):
        name = term.lstrip("0123456789")
        terms.append(Term(name, int(term[: -len(name)] or 1)))
    return tuple(terms)


# Kernel, its dimensions, output, weight, input, further inputs. A, B and C stand for
# coefficients (strides and dilations) that are drawn.
_KERNELS: tuple[tuple[str, ...], ...] = (
    ("gemm", "mkn", "m,n", "m,k", "k,n"),
    ("matrix_vector", "mk", "m", "m,k", "k"),
    ("batched_gemm", "bmkn", "b,m,n", "m,k", "b,k,n"),
    ("fully_batched_gemm", "bmkn", "b,m,n", "b,m,k", "b,k,n"),
    ("conv1d", "mcpr", "m,p", "m,c,r", "c,Ap+Br"),
    ("conv2d", "mcpqrs", "m,p,q", "m,c,r,s", "c,Ap+Br,Aq+Cs"),
    ("conv2d_single_channel", "pqrs", "p,q", "r,s", "Ap+Br,Cq+s"),
    ("depthwise", "cpqr", "c,p,q", "c,r", "c,Ap+Br,q"),
    ("transposed_conv", "mcpr", "m,Ap+Br", "m,c,r", "c,p"),
    ("sums_everywhere", "mpr", "m,p+Ar", "Bm+r", "Ap+Bm"),
    ("three_term_sum", "cprs", "p", "c,r,s", "c,Ap+Br+Cs"),
    ("three_term_output", "cprs", "Ap+Br+Cs", "r,s", "c,p"),
    ("mttkrp", "ijkl", "i,j", "k,j", "i,k,l", "l,j"),
    ("three_windows", "mpr", "m,p", "m,r", "Ap+Br", "p+Cr"),
    ("elementwise", "mn", "m,n", "m", "m,n"),
    ("scaled_sum", "mkn", "m", "", "m,k,n"),
    ("full_reduction", "mk", "", "m,k", "m,k"),
    ("repeated", "mkt", "m", "m,k", "k"),
)


@st.composite
def workloads(draw: Draw, choice: tuple[int, ...] = SIZES) -> Workload:
    """Draw a workload of at most `MAX_MACS`: a named kernel or a random one."""
    kernel = draw(st.sampled_from(_KERNELS))
    if draw(st.integers(0, 4)) == 4:
        tensors = draw(_random_tensors())
        kernel = ("random", "abcde")
    else:
        tensors = _named_tensors(draw, kernel)
    sizes: dict[str, int] = {}
    # Later dimensions get what the budget leaves, so the order in which they are drawn matters.
    for dimension in draw(st.permutations(kernel[1])):
        room = MAX_MACS // math.prod(sizes.values())
        sizes[dimension] = draw(st.sampled_from([size for size in choice if size <= room]))
    return Workload("drawn", kernel[0], {d: sizes[d] for d in kernel[1]}, tensors)


def _named_tensors(draw: Draw, kernel: tuple[str, ...]) -> tuple[Tensor, ...]:
    coefficients = {letter: str(draw(_coefficients)) for letter in "ABC"}
    output, weight, *inputs = (
        "".join(coefficients.get(letter, letter) for letter in indices) for indices in kernel[2:]
    )
    return (
        *(tensor(f"In{i}", "input", indices) for i, indices in enumerate(inputs)),
        tensor("W", "weight", weight),
        tensor("Out", "output", output),
    )


@st.composite
def _random_tensors(draw: Draw) -> tuple[Tensor, ...]:
    """Put every dimension of ``abcde`` on one of up to three axes of every tensor, or on none."""
    roles: list[Role] = ["input", "weight", "output"]
    roles += draw(st.lists(st.sampled_from(["input", "weight"]), max_size=1))
    tensors = []
    for number, role in enumerate(roles):
        axes: list[list[Term]] = [[], [], []]
        for dimension in draw(st.permutations("abcde")):
            axis = draw(st.integers(-1, 2))
            if axis >= 0:
                axes[axis].append(Term(dimension, draw(_coefficients)))
        indices = tuple(tuple(axis) for axis in axes if axis)
        tensors.append(Tensor(f"T{number}", role, indices))
    return tuple(tensors)


_BITS = (None, 1, 4, 8, 8, 12, 16)
"""Bits of a value."""


@st.composite
def architectures(draw: Draw, workload: Workload) -> Architecture:
    """Draw two to five memories and up to three fanouts; every tensor has a holder."""
    memories = draw(st.integers(2, 5))
    bypasses = _bypasses(draw, workload, memories)
    levels: list[Level] = [_memory(draw, i, bypasses[i]) for i in range(memories)]
    for number in range(draw(st.sampled_from((0, 1, 1, 2, 2, 3)))):
        position = draw(st.integers(1, len(levels)))
        levels.insert(position, _fanout(draw, number, workload))
    levels.append(
        Compute(
            "lanes",
            mac_energy_pj=draw(_figures),
            cycles=draw(st.integers(1, 3)),
            mesh=COMPUTE_MESH,
            dimensions=_some_dimensions(draw, workload),
            leakage_pj_per_cycle=draw(_figures),
            multicast=draw(_mostly),
            reduction=draw(_mostly),
        )
    )
    gated = any(isinstance(level, Fanout) and level.power_gating for level in levels)
    instances = draw(st.sampled_from((None, "used", None if gated else "all")))
    leakage = Leakage(instances, draw(_mostly))
    return Architecture("drawn", tuple(levels), leakage=leakage)


def _bypasses(draw: Draw, workload: Workload, memories: int) -> list[tuple[str, ...]]:
    """Draw who holds what, and name the role where a memory bypasses all tensors of it."""
    numbers = list(range(memories))
    bypasses: list[list[str]] = [[] for _ in numbers]
    for each in workload.tensors:
        outermost = [0] if draw(_mostly) else []
        more = st.sets(st.sampled_from(numbers), min_size=0 if outermost else 1)
        holders = {*outermost, *draw(more)}
        for number in numbers:
            if number not in holders:
                bypasses[number].append(each.name)
    by_role = draw(st.booleans())
    for role in ("input", "weight", "output"):
        names = {each.name for each in workload.tensors if each.role == role}
        for bypass in bypasses:
            if by_role and names and names <= set(bypass):
                bypass[:] = [name for name in bypass if name not in names] + [role]
    return [tuple(bypass) for bypass in bypasses]


def _memory(draw: Draw, number: int, bypasses: tuple[str, ...]) -> Memory:
    memory = Memory(
        f"memory{number}",
        capacity_words=None,
        read_energy_pj=draw(_figures),
        write_energy_pj=draw(_figures),
        leakage_pj_per_cycle=draw(_figures),
        bypasses=bypasses,
        multiple_reuses=draw(st.booleans()),
    )
    if draw(st.integers(0, 3)) == 3:
        return replace(memory, ports=draw(named_ports()))
    return replace(
        memory,
        read_bandwidth=draw(_figures),
        write_bandwidth=draw(_figures),
        shared_port=draw(st.booleans()),
    )


@st.composite
def named_ports(draw: Draw) -> tuple[MemoryPort, ...]:
    """Draw up to four ports that together serve everything."""
    kinds = st.lists(st.sampled_from(TRAFFIC), min_size=1, unique=True)
    served = draw(st.lists(kinds, min_size=1, max_size=4))
    lacking = [kind for kind in TRAFFIC if not any(kind in serves for serves in served)]
    served[-1] += lacking
    return tuple(
        MemoryPort(f"p{i}", tuple(serves), draw(_figures)) for i, serves in enumerate(served)
    )


def _fanout(draw: Draw, number: int, workload: Workload) -> Fanout:
    return Fanout(
        f"fanout{number}",
        mesh=LARGE_MESH,
        dimensions=_some_dimensions(draw, workload),
        multicast=draw(_mostly),
        reduction=draw(_mostly),
        selective_multicast=draw(st.booleans()),
        selective_reduction=draw(st.booleans()),
        pe_to_pe=draw(st.booleans()),
        power_gating=draw(st.booleans()),
    )


@st.composite
def wired(draw: Draw, arch: Architecture) -> Architecture:
    """Draw wires for all fanouts but some; what they may take in and hand back is scarce."""
    levels = tuple(
        replace(
            level,
            wires=Wires(
                draw(_figures),
                draw(_figures),
                draw(_figures),
                draw(_figures | st.just(math.inf)),
                draw(_figures | st.just(math.inf)),
                draw(st.sampled_from((None, 3, 8, 16))),
            ),
        )
        if isinstance(level, Fanout) and draw(_mostly)
        else level
        for level in arch.levels
    )
    return replace(arch, levels=levels)


def _some_dimensions(draw: Draw, workload: Workload) -> tuple[str, ...]:
    return tuple(d for d in workload.dimensions if draw(_mostly))


@st.composite
def mappings(draw: Draw, arch: Architecture, workload: Workload) -> tuple[IntArray, IntArray]:
    """Draw ``factors`` and ``order``: every prime on a random level, every loop order random."""
    factors = np.ones((len(arch.levels), len(workload.sizes)), dtype=np.int64)
    for d, (dimension, size) in enumerate(workload.sizes.items()):
        for prime in _primes(size):
            fits = [
                i
                for i, level in enumerate(arch.levels)
                if isinstance(level, Memory)
                or (dimension in level.dimensions and prime * factors[i].prod() <= level.mesh)
            ]
            # Space is scarcer than time and its sharing the subtlest part: offer it twice.
            fits += [i for i in fits if not isinstance(arch.levels[i], Memory)]
            factors[draw(st.sampled_from(fits)), d] *= prime
    return factors, _order(draw, arch, workload)


def _order(draw: Draw, arch: Architecture, workload: Workload) -> IntArray:
    dimensions = range(len(workload.sizes))
    rows = [
        draw(st.permutations(dimensions)) if isinstance(level, Memory) else dimensions
        for level in arch.levels
    ]
    return np.array(rows, dtype=np.int64)


def _primes(number: int) -> list[int]:
    for prime in range(2, number + 1):
        if number % prime == 0:
            return [prime, *_primes(number // prime)]
    return []


@st.composite
def cases(draw: Draw) -> Case:
    """Draw a case to simulate: ``(arch, workload, factors, order, bias_read)``.

    Every tensor of the architecture drawn has at least one holder, and every factor lies on a
    memory, a fanout that may unroll its dimension, or the compute level within its mesh.
    """
    workload = draw(workloads())
    arch = draw(architectures(workload))
    factors, order = draw(mappings(arch, workload))
    return arch, workload, factors, order, draw(st.booleans())


@st.composite
def with_drawn_bits(
    draw: Draw, arch: Architecture, workload: Workload
) -> tuple[Architecture, Workload]:
    """Draw bits of values and of words; words that are too narrow for a value are packed."""
    given = {key: draw(st.sampled_from(_BITS)) for key in ROLE_BITS}
    sums = draw(st.sampled_from((0, 0, 3, 8, 24)))
    output = given["output_bits"]
    chosen = {key: bits for key, bits in given.items() if bits is not None}
    if output is not None and sums:
        chosen["sum_bits"] = output + sums
    widest = max(chosen.values(), default=0)
    levels: list[Level] = []
    for level in arch.levels:
        if isinstance(level, Memory):
            word = draw(st.sampled_from((None, 1, 3, 8, 16, 24, 64)))
            packed = word is None or word < widest or draw(st.booleans())
            level = replace(level, word_bits=word, packed=packed)
        elif isinstance(level, Compute) and draw(st.booleans()):
            table = tuple((bits, draw(_figures)) for bits in (2, 8, 16))
            level = replace(level, energies_by_bits=table)
        levels.append(level)
    return replace(arch, levels=tuple(levels)), with_bits(workload, **chosen)


@st.composite
def cases_with_bits(draw: Draw) -> Case:
    """Draw a case as `cases` does, whose values and words have bits."""
    arch, workload, *rest = draw(cases())
    return *draw(with_drawn_bits(arch, workload)), *rest


@st.composite
def ragged_mappings(
    draw: Draw, arch: Architecture, workload: Workload
) -> tuple[IntArray, IntArray]:
    """Draw ``factors`` that may overshoot, and ``order``.

    All levels' factors are drawn freely. Some memory then turns often enough to reach the size,
    and what lies outside shrinks until no whole iteration is beyond it.
    """
    factors = np.ones((len(arch.levels), len(workload.sizes)), dtype=np.int64)
    memories = [i for i, level in enumerate(arch.levels) if isinstance(level, Memory)]
    for d, (dimension, size) in enumerate(workload.sizes.items()):
        for i, level in enumerate(arch.levels):
            factor = draw(st.sampled_from(RAGGED_FACTORS))
            fits = isinstance(level, Memory) or (
                dimension in level.dimensions and factor * factors[i].prod() <= level.mesh
            )
            factors[i, d] = factor if fits else 1
        filler, extent = draw(st.sampled_from(memories)), 1
        for i in reversed(range(len(arch.levels))):
            if i == filler:
                others = extent * math.prod(factors[:i, d].tolist())
                factors[i, d] = max(factors[i, d], math.ceil(size / others))
            factors[i, d] = min(factors[i, d], math.ceil(size / extent))
            extent *= int(factors[i, d])
    return factors, _order(draw, arch, workload)


@st.composite
def chosen_holders(draw: Draw, arch: Architecture, workload: Workload) -> BoolArray:
    """Draw who holds what, whatever the architecture says; the outermost memory holds all."""
    shape = (len(arch.memories), len(workload.tensors))
    cells = draw(st.lists(st.booleans(), min_size=math.prod(shape), max_size=math.prod(shape)))
    chosen = np.array(cells, dtype=np.bool_).reshape(shape)
    chosen[0] = True
    return chosen


@st.composite
def ragged_cases(draw: Draw) -> RaggedCase:
    """Draw ``(arch, workload, factors, order, bias_read, holds)``, perfect factors among them."""
    workload = draw(workloads(RAGGED_SIZES))
    arch = draw(architectures(workload))
    factors, order = draw(ragged_mappings(arch, workload))
    holds = draw(st.one_of(st.none(), chosen_holders(arch, workload)))
    return arch, workload, factors, order, draw(st.booleans()), holds
