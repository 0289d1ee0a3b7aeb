"""Words that values take in memories, and energy of operands, by their bits.

Where the workload or the memory says nothing of bits, a value is a word. Outputs take the bits of
partial sums wherever they may still be incomplete (`Tensor.sum_bits`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Compute, Memory
from toolkit.errors import ArchitectureError, DoesNotFitError
from toolkit.workload.kernel import Tensor, Workload


def sum_bits(tensor: Tensor) -> int | None:
    """Bits of a value that may be incomplete: of an operand, or of a partial sum."""
    return tensor.bits if tensor.sum_bits is None else tensor.sum_bits


def words_per_value(memory: Memory, bits: int | None) -> Fraction:
    """Words that a value of so many bits takes in a memory.

    Examples
    --------
    >>> words_per_value(Memory("Buffer", 64, 1, 1, 1, 1, word_bits=32), 8)
    Fraction(1, 4)
    """
    if bits is None or memory.word_bits is None or not memory.packed:
        return Fraction(1)
    return Fraction(bits, memory.word_bits)


@dataclass(frozen=True, slots=True)
class Footing:
    """How values count against the capacity of one memory, in whole numbers.

    Parameters
    ----------
    units : tuple of int
        Per tensor, what one value takes.
    units_per_word : int
        What a word has room for.
    """

    units: tuple[int, ...]
    units_per_word: int


def footing(arch: Architecture, workload: Workload, memory: Memory) -> Footing:
    """Find the largest unit that divides a word and all values.

    Outputs count as partial sums, but as results in the outermost memory, which has them in the
    end.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.workload import gemm, with_bits
    >>> arch, workload = load_arch("gemmini-ws"), with_bits(gemm(4, 2, 3), 4, sum_bits=32)
    >>> footing(arch, workload, arch.memories[1])
    Footing(units=(1, 1, 8), units_per_word=2)
    """
    if memory.word_bits is None or all(t.bits is None for t in workload.tensors):
        return Footing((1,) * len(workload.tensors), 1)
    outermost = memory.name == arch.memories[0].name
    words = [
        words_per_value(memory, t.bits if outermost else sum_bits(t)) for t in workload.tensors
    ]
    per_word = math.lcm(*(x.denominator for x in words))
    return Footing(tuple(int(x * per_word) for x in words), per_word)


def check_bits(arch: Architecture, workload: Workload) -> None:
    """Refuse values wider than the words in which they have to lie one by one, or than all MACs.

    Raises
    ------
    DoesNotFitError
        Naming the level, its bits and the tensor's.
    ArchitectureError
        If the compute level has no energy for so many bits.
    """
    mac_energy_pj(arch, workload)
    for i, memory in enumerate(arch.levels):
        if not isinstance(memory, Memory) or memory.packed or memory.word_bits is None:
            continue
        for tensor in workload.tensors:
            bits = sum_bits(tensor)
            if bits is not None and holds(memory, tensor) and bits > memory.word_bits:
                what = "values" if bits == tensor.bits else "partial sums"
                raise DoesNotFitError(
                    f"{memory.name} has words of {memory.word_bits} bits that are not packed, "
                    f"too narrow for {what} of {tensor.name} ({bits} bits); expected at least as "
                    "many, or packed: true",
                    source=arch.name,
                    key=f"levels[{i}].word_bits",
                )


def mac_energy_pj(arch: Architecture, workload: Workload) -> float:
    """Energy of one multiply-accumulate of a workload: of its widest operand.

    Where the compute level has no figure for so many bits, that of the next wider ones counts.

    Raises
    ------
    ArchitectureError
        If the operands are wider than all that it has figures for.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> from toolkit.workload import gemm
    >>> mac_energy_pj(load_arch("gemmini-ws"), gemm(4, 2, 3))
    0.5608
    """
    compute: Compute = arch.compute
    operands = [t.bits for t in workload.tensors if t.role != "output" and t.bits is not None]
    if not operands or not compute.energies_by_bits:
        return compute.mac_energy_pj
    for bits, energy in compute.energies_by_bits:
        if bits >= max(operands):
            return energy
    raise ArchitectureError(
        f"{compute.name} has energies for operands of "
        f"{', '.join(str(bits) for bits, _ in compute.energies_by_bits)} bits, but those of "
        f"{workload.name} have {max(operands)}; expected an entry for as many",
        source=arch.name,
        key=f"levels[{len(arch.levels) - 1}].mac_energy_pj",
    )


def operand_bits(arch: Architecture) -> int | None:
    """Bits of the operands that an architecture computes with; None if it does not say.

    Those of its widest multipliers, or of the narrowest words in which operands lie.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> operand_bits(load_arch("gemmini-ws"))
    8
    """
    if arch.compute.energies_by_bits:
        return arch.compute.energies_by_bits[-1][0]
    words = [
        memory.word_bits
        for memory in arch.memories
        if memory.word_bits is not None and not {"input", "weight"} <= set(memory.bypasses)
    ]
    return min(words, default=None)


def accumulator_bits(arch: Architecture) -> int | None:
    """Bits of the words that partial sums are in next to the lanes; None if they are not known.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> accumulator_bits(load_arch("gemmini-ws"))
    32
    """
    inner = [memory for memory in arch.memories if "output" not in memory.bypasses]
    return inner[-1].word_bits if inner else None


def multiplier_passes(arch: Architecture, workload: Workload) -> int:
    """Products of its widest multipliers that make one of a workload's operands.

    Of operands cut into as many parts as a multiplier takes, every part of the one meets every
    part of the other. 1 where the compute level says nothing of widths, or the workload of bits.

    Examples
    --------
    >>> from toolkit.workload import gemm, with_bits
    >>> mac = Compute("MAC", 0.7, energies_by_bits=((8, 0.2), (16, 0.7)))
    >>> arch = Architecture("chip", (Memory("DRAM", None, 1, 1, 1, 1), mac))
    >>> multiplier_passes(arch, with_bits(gemm(4, 2, 3), input_bits=32, weight_bits=16))
    2
    """
    table = arch.compute.energies_by_bits
    if not table:
        return 1
    operands = [t.bits for t in workload.tensors if t.role != "output" and t.bits is not None]
    return math.prod(-(-bits // table[-1][0]) for bits in operands)


def in_passes(arch: Architecture, workload: Workload) -> Architecture:
    """The architecture as operands wider than its multipliers see it: slower and dearer."""
    passes, compute = multiplier_passes(arch, workload), arch.compute
    if passes == 1:
        return arch
    slow = replace(
        compute,
        cycles=compute.cycles * passes,
        mac_energy_pj=passes * compute.energies_by_bits[-1][1],
        word_bits=None,
        energies_by_bits=(),
    )
    return replace(arch, levels=(*arch.levels[:-1], slow))
