"""What an architecture file amounts to in a few numbers, as `toolkit list archs` prints them."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.arch.components import OFF_CHIP
from toolkit.arch.levels import Fanout, Memory
from toolkit.arch.schema import ArchitectureFile


@dataclass(frozen=True, slots=True)
class ArchitectureSummary:
    """Bits, lanes and memory of an architecture.

    Parameters
    ----------
    word_bits : tuple of int
        Of the words of the memories on the chip, each once, in rising order; empty if none says.
    lanes : int
        Multiply-accumulates in flight, of all instances.
    on_chip_bytes : int or None
        Of all instances of all memories on the chip, the last byte a whole one; None if one of
        them does not say how many bits its words have.
    """

    word_bits: tuple[int, ...]
    lanes: int
    on_chip_bytes: int | None


def summarize(file: ArchitectureFile) -> ArchitectureSummary:
    """Add up an architecture file.

    Off the chip are the outermost memory and those made of a component of DRAM.

    Examples
    --------
    >>> from toolkit.arch.files import load_arch_file
    >>> summarize(load_arch_file("gemmini-ws"))
    ArchitectureSummary(word_bits=(8, 32), lanes=256, on_chip_bytes=327936)
    """
    arch, components = file.architecture(), file.components()
    instances, bits, total, known = 1, set(), 0, True
    for i, level in enumerate(arch.levels):
        if isinstance(level, Fanout):
            instances *= level.mesh
        component = components.get(level.name)
        off_chip = i == 0 or (component is not None and component.kind in OFF_CHIP)
        if not isinstance(level, Memory) or off_chip:
            continue
        if level.word_bits is None or level.capacity_words is None:
            known = False
        else:
            bits.add(level.word_bits)
            total += instances * level.capacity_words * level.word_bits
    lanes, size = instances * arch.compute.mesh, -(-total // 8)
    return ArchitectureSummary(tuple(sorted(bits)), lanes, size if known else None)
