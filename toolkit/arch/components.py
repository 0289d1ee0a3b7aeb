"""What a level is made of, as an architecture file says it."""

from __future__ import annotations

from dataclasses import dataclass

MEMORIES = ("sram", "register-file", "lpddr4", "lpddr", "ddr3", "ddr4", "hbm2", "hbm3", "hbm4")
"""Components of memories."""

OFF_CHIP = MEMORIES[2:]
"""Those that take no area of the chip, and whose power is not the chip's."""

COMPUTES = ("integer-mac", "float-mac")
"""Components of compute levels."""


@dataclass(frozen=True, slots=True)
class Component:
    """What a level is made of.

    Parameters
    ----------
    kind : str
        One of `MEMORIES` or `COMPUTES`.
    word_bits : int
        Of a word of a memory, or of an operand.
    accumulator_bits : int
        Of the sum, at a compute level.
    ports : int
        Read-write ports of SRAM.
    """

    kind: str
    word_bits: int = 8
    accumulator_bits: int = 32
    ports: int = 1
