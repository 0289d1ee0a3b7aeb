"""Small random problems with everything switched on that the model knows."""

from __future__ import annotations

import math
from dataclasses import replace

from search.drawn import ROLES, Dice

from toolkit.arch import Architecture, Compute, Fanout, Leakage, Level, Memory
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Layout
from toolkit.arch.ports import TRAFFIC, MemoryPort
from toolkit.arch.wires import Wires
from toolkit.errors import ToolkitError
from toolkit.model import EXACT, FACTORFLOW, Conventions
from toolkit.search import Problem, make_problem
from toolkit.workload import (
    Workload,
    batched_gemm,
    conv1d,
    conv2d,
    depthwise_conv2d,
    gemm,
    transposed_conv2d,
    with_bits,
)

OBJECTIVES = ("edp", "energy", "latency", "edp_per_utilization", "energy*latency^2")


def draw_wide(seed: int, base: Conventions | None = None, *, bits: bool = True) -> Problem | None:
    """Draw a problem, of `bits` or not; None if constraints and capacities leave nothing.

    Conventions are `base` with some switches turned, or else go round with the seed.
    """
    dice = Dice(seed)
    workload = _workload(dice)
    arch = _with_sharing(_architecture(dice, workload), Dice(seed + 10**7))
    arch = _with_ports(arch, Dice(seed + 2 * 10**7))
    if bits:
        arch, workload = _with_bits(arch, workload, Dice(seed + 3 * 10**7))
    conventions = _conventions(dice, base or (EXACT, FACTORFLOW)[seed // 5 % 2])
    if conventions.transfers != "sequential":
        arch = _with_wires(arch, Dice(seed + 4 * 10**7), bits=bits)
        arch = _with_bursts(arch, workload, Dice(seed + 6 * 10**7))
    arch = _with_wordlines(arch, Dice(seed + 5 * 10**7))
    try:
        problem = make_problem(
            arch,
            workload,
            objective=OBJECTIVES[seed % 5],
            conventions=conventions,
            bias_read=dice.chance(0.3),
            factors="perfect",
        )
        return problem if problem.plan.tensors else None
    except ToolkitError:
        return None


def _with_sharing(arch: Architecture, dice: Dice) -> Architecture:
    """Draw who shares a port or a value; apart, so that all else stays as it was drawn."""
    levels: list[Level] = []
    for level in arch.levels:
        if isinstance(level, Memory):
            level = replace(level, shared_port=dice.chance(0.2))
        elif isinstance(level, Compute):
            level = replace(level, multicast=dice.chance(0.7), reduction=dice.chance(0.7))
        levels.append(level)
    gated = any(level.power_gating for level in arch.fanouts)
    instances = (None, None if gated else "all", "used")[dice.one_of(0, 0, 1, 2)]
    leakage = Leakage(instances, macs=dice.chance(0.8))
    return replace(arch, levels=tuple(levels), leakage=leakage)


def _with_wordlines(arch: Architecture, dice: Dice) -> Architecture:
    """Draw how many words an access takes, which matters under some conventions."""
    levels = [
        replace(level, values_per_wordline=dice.one_of(1, 2, 3, 8))
        if isinstance(level, Memory)
        else level
        for level in arch.levels
    ]
    return replace(arch, levels=tuple(levels))


def _with_bursts(arch: Architecture, workload: Workload, dice: Dice) -> Architecture:
    """Draw bursts of a third of the outermost memories, some with a layout of their own."""
    if dice.chance(0.67):
        return arch
    names, layout = list(workload.dimensions), Layout()
    if dice.chance(0.6):
        orders = []
        for _ in ROLES:
            dice.rng.shuffle(names)
            orders.append(tuple(names))
        layout = Layout(*orders)
    burst = dice.one_of(2, 3, 4, 8, 16, 32)
    outermost = replace(arch.memories[0], burst_words=burst, layout=layout)
    return replace(arch, levels=(outermost, *arch.levels[1:]))


def _with_ports(arch: Architecture, dice: Dice) -> Architecture:
    """Draw named ports for some memories; apart, so that all else stays as it was drawn."""
    levels: list[Level] = []
    for level in arch.levels:
        if isinstance(level, Memory) and dice.chance(0.2):
            served = [list(dice.subset(TRAFFIC, 0.5)) for _ in range(dice.one_of(1, 2, 3))]
            served[0] += [kind for kind in TRAFFIC if not any(kind in x for x in served)]
            ports = (
                MemoryPort(f"p{i}", tuple(x), dice.figure(0.5, 2) * level.bandwidth / len(served))
                for i, x in enumerate(served)
                if x
            )
            level = replace(
                level,
                shared_port=False,
                read_bandwidth=0.0,
                write_bandwidth=0.0,
                ports=tuple(ports),
            )
        levels.append(level)
    return replace(arch, levels=tuple(levels))


def _with_bits(
    arch: Architecture, workload: Workload, dice: Dice
) -> tuple[Architecture, Workload]:
    """Draw bits of values and words, of half of the problems; apart, as who shares is."""
    if dice.chance(0.5):
        return arch, workload
    bits = {f"{role}_bits": dice.one_of(2, 4, 8, 12) for role in ROLES if dice.chance(0.8)}
    if "output_bits" in bits and dice.chance(0.7):
        bits["sum_bits"] = bits["output_bits"] + dice.one_of(1, 4, 16, 24)
    widest, levels = max(bits.values(), default=0), list[Level]()
    for level in arch.levels:
        if isinstance(level, Memory) and dice.chance(0.8):
            word = dice.one_of(3, 4, 8, 16, 32)
            level = replace(level, word_bits=word, packed=word < widest or dice.chance(0.7))
        elif isinstance(level, Compute) and dice.chance(0.5):
            level = replace(level, energies_by_bits=((4, 0.1), (8, 0.3), (12, 0.9)))
        levels.append(level)
    return replace(arch, levels=tuple(levels)), with_bits(workload, **bits)


def _with_wires(arch: Architecture, dice: Dice, *, bits: bool) -> Architecture:
    """Draw wires for half of the fanouts; apart, so that all else stays as it was drawn."""
    levels: list[Level] = []
    for level in arch.levels:
        if isinstance(level, Fanout) and dice.chance(0.5):
            limited = [dice.figure(0.5, 16) if dice.chance(0.6) else math.inf for _ in range(2)]
            energies = [dice.figure(0.1, 20) for _ in range(3)]
            word = dice.one_of(3, 8, 32) if bits and dice.chance(0.5) else None
            level = replace(level, wires=Wires(*energies, *limited, word_bits=word))
        levels.append(level)
    return replace(arch, levels=tuple(levels))


def _conventions(dice: Dice, base: Conventions) -> Conventions:
    if base.transfers == "persistent" and dice.chance(0.5):
        names = ("whole_wordlines", "whole_cycles", "zero_fills", "single_reuse", "shared_ports")
        base = replace(base, **dict.fromkeys(dice.subset(names, 0.3), False))  # type: ignore[arg-type]
    if base.first_and_last and dice.chance(0.5):
        base = replace(base, first_and_last=False)
    if dice.chance(0.2):
        base = base.with_settings(
            free_drains=dice.chance(0.5), overestimate_windows=dice.chance(0.5)
        )
    if dice.chance(0.15):
        base = replace(base, single_reuse=True)
    if dice.chance(0.15):
        base = replace(base, reduction_for_writes=not base.reduction_for_writes)
    if dice.chance(0.1):
        base = replace(base, shared_ports=True)
    if dice.chance(0.1):
        base = replace(base, leakage_until_end=not base.leakage_until_end)
    if dice.chance(0.1):
        base = replace(base, pairwise_windows=not base.pairwise_windows)
    return base


def _workload(dice: Dice) -> Workload:
    kind = dice.one_of(0, 1, 2, 3, 4, 5)
    small = (1, 2, 2, 3, 4)
    if kind == 0:
        return gemm(dice.one_of(1, 2, 4, 6, 8), dice.one_of(2, 3, 4), dice.one_of(1, 2, 4, 7))
    if kind == 1:
        return conv1d(
            dice.one_of(1, 2, 4),
            dice.one_of(1, 2, 3),
            dice.one_of(2, 4, 6),
            dice.one_of(2, 3, 4),
            stride=dice.one_of(1, 2, 3),
            dilation=dice.one_of(1, 2, 3),
        )
    if kind == 2:
        return conv2d(
            dice.one_of(1, 2),
            dice.one_of(1, 2),
            dice.one_of(*small),
            dice.one_of(1, 2, 4),
            dice.one_of(1, 2, 3),
            dice.one_of(1, 2),
            stride=dice.one_of(1, 2),
            dilation=dice.one_of(1, 2, 3),
        )
    if kind == 3:
        return batched_gemm(dice.one_of(1, 2), dice.one_of(2, 4), dice.one_of(2, 3), 2)
    if kind == 4:
        return depthwise_conv2d(dice.one_of(1, 2), dice.one_of(2, 4), 2, dice.one_of(2, 3), 1)
    return transposed_conv2d(dice.one_of(1, 2), 2, dice.one_of(2, 3), 2, 2, 1, stride=2)


def _architecture(dice: Dice, workload: Workload) -> Architecture:
    dimensions = workload.dimensions
    levels: list[Level] = []
    depth = dice.one_of(1, 2, 3, 3, 4)
    for i in range(depth):
        levels.append(_memory(dice, i, depth, workload))
        for j in range(dice.one_of(0, 0, 1, 1, 2)):
            levels.append(_fanout(dice, f"Fanout{i}{j}", dimensions))
    lanes = dice.one_of(1, 1, 2, 4)
    levels.append(
        Compute(
            "MAC",
            dice.figure(0.1, 2),
            cycles=dice.one_of(1, 1, 2),
            mesh=lanes,
            dimensions=dice.subset(dimensions, 0.5) if lanes > 1 else (),
            leakage_pj_per_cycle=dice.one_of(0, 1) / 10,
        )
    )
    return Architecture("drawn", tuple(levels))


def _memory(dice: Dice, i: int, depth: int, workload: Workload) -> Memory:
    bypasses = dice.subset(ROLES, 0.4 if i else 0.1)
    constraints = []
    for d in workload.dimensions:
        if dice.chance(0.12):
            relation = ("<=", "<=", ">=", "==")[dice.one_of(0, 1, 2, 3)]
            constraints.append(FactorConstraint(d, relation, dice.one_of(1, 1, 2)))  # type: ignore[arg-type]
    order: tuple[str, ...] = ()
    if dice.chance(0.2):
        names = list(workload.dimensions)
        dice.rng.shuffle(names)
        order = tuple(n if dice.chance(0.5) else "_" for n in names)
        if dice.chance(0.5):
            order = tuple(n for n in order if n != "_")
    memory = Memory(
        f"Memory{i}",
        dice.one_of(3, 4, 8, 12, 16, 24, 32, 64, 128) if i else None,
        dice.figure(1, 100) / 4**i,
        dice.figure(1, 100) / 4**i,
        dice.figure(0.1, 8) * 4**i,
        dice.figure(0.1, 8) * 4**i,
        leakage_pj_per_cycle=dice.one_of(0, 0, 1, 10) / 10,
        multiple_buffering=dice.one_of(1, 1, 2),
        multiple_reuses=dice.chance(0.6),
        constraints=tuple(constraints),
        loop_order=order,
    )
    return replace(memory, bypasses=bypasses if len(bypasses) < len(ROLES) else ())


def _fanout(dice: Dice, name: str, dimensions: tuple[str, ...]) -> Fanout:
    return Fanout(
        name,
        dice.one_of(2, 2, 3, 4),
        dice.subset(dimensions, 0.5),
        multicast=dice.chance(0.7),
        reduction=dice.chance(0.7),
        selective_multicast=dice.chance(0.25),
        selective_reduction=dice.chance(0.25),
        pe_to_pe=dice.chance(0.3),
        power_gating=dice.chance(0.3),
    )
