"""What levels are made of, and a user's own figures of them."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.arguments import store_plain_numbers

MEMORIES = ("sram", "register-file", "lpddr4", "lpddr", "ddr3", "ddr4", "hbm2", "hbm3", "hbm4")
"""Components of memories."""

OFF_CHIP = MEMORIES[2:]
"""Those that take no area of the chip, and whose power is not the chip's."""

VECTOR_UNIT = "vector_unit"
"""What components call it, beside the names of levels."""

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


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """A user's own figures of one instance of a level; None keeps ours.

    Parameters
    ----------
    read_energy_pj, write_energy_pj : float or None
        Of one access, which moves `Memory.values_per_wordline` words; of a compute level the
        read is one multiply-accumulate.
    leakage_pj_per_cycle, area_um2 : float or None
        While powered; on the chip.
    """

    read_energy_pj: float | None = None
    write_energy_pj: float | None = None
    leakage_pj_per_cycle: float | None = None
    area_um2: float | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)
