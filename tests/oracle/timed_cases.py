"""Small mapped workloads on machines whose ports are narrow and whose memories may wait."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Compute, Fanout, Level, Memory, Overlap
from toolkit.arch.ports import TRAFFIC, MemoryPort
from toolkit.mapping.mapping import IntArray
from toolkit.workload import Workload, conv1d, depthwise_conv2d, gemm, with_bits

from .movements import movements
from .strategies import Case

OVERLAPS: tuple[Overlap, ...] = ("always", "double-buffered", "never")
BANDWIDTHS = (0.25, 0.5, 1 / 3, 1, 1.5, 2, 3, 4, 8)


def draw_case(seed: int, overlaps: tuple[Overlap, ...] = OVERLAPS) -> Case:
    """Draw a case: one to three memories beside the outermost, up to four fanouts.

    Parameters
    ----------
    seed : int
        Of all that is drawn.
    overlaps : tuple of str
        What memories may hide; those that are double-buffered have room for one or two tiles, or
        for one word less than two.
    """
    dice = random.Random(seed)
    workload = _workload(dice)
    arch = _architecture(dice, workload, overlaps)
    if dice.random() < 0.25:
        arch, workload = _with_bits(dice, arch, workload)
    factors = _factors(dice, arch, workload, cut=dice.random() < 0.4)
    order = [dice.sample(range(factors.shape[1]), factors.shape[1]) for _ in arch.levels]
    case = arch, workload, factors, np.array(order, dtype=np.int64), dice.random() < 0.3
    return _with_capacities(dice, case)


def _with_bits(
    dice: random.Random, arch: Architecture, workload: Workload
) -> tuple[Architecture, Workload]:
    levels = (
        replace(level, word_bits=dice.choice((None, 8, 16, 24)))
        if isinstance(level, Memory)
        else level
        for level in arch.levels
    )
    bits = {f"{role}_bits": dice.choice((4, 8, 16)) for role in ("input", "weight", "output")}
    return replace(arch, levels=tuple(levels)), with_bits(workload, **bits)


def _with_capacities(dice: random.Random, case: Case) -> Case:
    arch, *rest = case
    held = movements(*case).held
    levels = list(arch.levels)
    for i, level in enumerate(levels):
        if isinstance(level, Memory) and level.overlap == "double-buffered":
            words = held.get(i, 1)
            room = dice.choice((words, max(2 * words - 1, 1), 2 * words, 2 * words, 3 * words))
            levels[i] = replace(level, capacity_words=room)
    return replace(arch, levels=tuple(levels)), *rest


def _workload(dice: random.Random) -> Workload:
    kind = dice.random()
    if kind < 0.6:
        return gemm(dice.choice((1, 2, 4, 5, 6, 8)), *dice.choices((1, 2, 3, 4, 6, 7), k=2))
    if kind < 0.85:
        m, c, p, r = (dice.choice(x) for x in ((1, 2, 4), (1, 2, 3), (2, 4, 5, 6), (1, 2, 3)))
        return conv1d(m, c, p, r, stride=dice.choice((1, 1, 2)))
    c, p, q = (dice.choice((1, 2, 3, 4)) for _ in range(3))
    return depthwise_conv2d(c, p, q, *dice.choice(((1, 2), (2, 2))))


def _architecture(
    dice: random.Random, workload: Workload, overlaps: tuple[Overlap, ...]
) -> Architecture:
    levels: list[Level] = [_memory(dice, 0, "always")]
    for number in range(dice.choice((1, 1, 2, 2, 3))):
        if dice.random() < 0.3:
            levels.append(_fanout(dice, number, workload))
        levels.append(_memory(dice, number + 1, dice.choice(overlaps)))
    if dice.random() < 0.3:
        levels.append(_fanout(dice, 9, workload))
    levels.append(Compute("lanes", 1.0, cycles=dice.choice((1, 1, 2, 3))))
    return Architecture("drawn", tuple(levels))


def _memory(dice: random.Random, number: int, overlap: Overlap) -> Memory:
    roles = ("input", "weight", "output")
    bypasses = tuple(role for role in roles if number and dice.random() < 0.2)
    memory = Memory(
        f"memory{number}",
        capacity_words=None,
        read_energy_pj=1.0,
        write_energy_pj=1.0,
        bypasses=bypasses if len(bypasses) < len(roles) else (),
        overlap=overlap,
    )
    read, write = dice.choice(BANDWIDTHS), dice.choice(BANDWIDTHS)
    if dice.random() < 0.2:
        return replace(memory, ports=_named_ports(dice))
    return replace(
        memory, read_bandwidth=read, write_bandwidth=write, shared_port=dice.random() < 0.3
    )


def _named_ports(dice: random.Random) -> tuple[MemoryPort, ...]:
    served = [dice.sample(TRAFFIC, dice.randint(1, 3)) for _ in range(dice.randint(1, 3))]
    served[0] += [kind for kind in TRAFFIC if not any(kind in serves for serves in served)]
    return tuple(
        MemoryPort(f"p{i}", tuple(serves), dice.choice(BANDWIDTHS))
        for i, serves in enumerate(served)
    )


def _fanout(dice: random.Random, number: int, workload: Workload) -> Fanout:
    return Fanout(
        f"fanout{number}",
        mesh=64,
        dimensions=tuple(d for d in workload.dimensions if dice.random() < 0.8),
        multicast=dice.random() < 0.7,
        reduction=dice.random() < 0.7,
    )


def _factors(
    dice: random.Random, arch: Architecture, workload: Workload, *, cut: bool
) -> IntArray:
    """Place primes of every size on random levels; where tiles are `cut`, of a larger size."""
    factors = np.ones((len(arch.levels), len(workload.sizes)), dtype=np.int64)
    for d, (dimension, size) in enumerate(workload.sizes.items()):
        places = [
            i
            for i, level in enumerate(arch.levels)
            if isinstance(level, Memory)
            or (isinstance(level, Fanout) and dimension in level.dimensions)
        ]
        padded = size + dice.choice((0, 1, 2)) if cut else size
        for prime in _primes(padded):
            factors[dice.choice(places), d] *= prime
        # No whole iteration may lie beyond the size.
        inside = 1
        for i in range(len(arch.levels) - 1, -1, -1):
            factors[i, d] = min(factors[i, d], math.ceil(size / inside))
            inside *= int(factors[i, d])
    return factors


def _primes(number: int) -> list[int]:
    for prime in range(2, number + 1):
        if number % prime == 0:
            return [prime, *_primes(number // prime)]
    return []
