"""Keys of a memory in bits, bytes or seconds, and how they become whole words and cycles."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from toolkit.records import Record
from toolkit.workload.kernel import MAX_BITS

Bits = Annotated[int, Field(ge=1, le=MAX_BITS)]
"""Bits of a word or a value."""

_Capacity = Annotated[int, Field(ge=1, le=2**63 - 1)]
_Bandwidth = Annotated[float, Field(ge=1e-9, le=1e15)]

_UNITS = ("words_per_cycle", "bits_per_cycle", "bytes_per_cycle", "gb_per_s")

BANDWIDTH_FORMS = tuple(
    tuple(f"{which}bandwidth_{unit}" for which in sides)
    for unit in _UNITS
    for sides in (("",), ("read_", "write_"))
)
"""Keys that give the bandwidth of a memory together."""

_IN_BITS = [key for form in BANDWIDTH_FORMS[2:] for key in form]


class BitwiseMemory(Record):
    """What a memory entry may say in bits."""

    capacity_bits: _Capacity | None = None
    capacity_bytes: _Capacity | None = None
    bandwidth_bits_per_cycle: _Bandwidth | None = None
    read_bandwidth_bits_per_cycle: _Bandwidth | None = None
    write_bandwidth_bits_per_cycle: _Bandwidth | None = None
    bandwidth_bytes_per_cycle: _Bandwidth | None = None
    read_bandwidth_bytes_per_cycle: _Bandwidth | None = None
    write_bandwidth_bytes_per_cycle: _Bandwidth | None = None
    bandwidth_gb_per_s: _Bandwidth | None = None
    read_bandwidth_gb_per_s: _Bandwidth | None = None
    write_bandwidth_gb_per_s: _Bandwidth | None = None
    word_bits: Bits | None = None
    packed: bool | None = None

    def check_bits(self) -> None:
        """Refuse what would have to be turned into words if nobody says how long these are.

        Raises
        ------
        ValueError
            Naming the key, or if there is not room for one word.
        """
        for key in ("capacity_bits", "capacity_bytes", "packed", *_IN_BITS):
            if getattr(self, key) is not None and self.word_bits is None:
                raise ValueError(f"{key}: expected word_bits with it")
        for key, bits in (("capacity_bits", 1), ("capacity_bytes", 8)):
            given = getattr(self, key)
            if given is not None and given * bits < (self.word_bits or 0):
                raise ValueError(
                    f"{key}: expected room for a word of {self.word_bits} bits, got {given}"
                )

    def per_second(self) -> list[str]:
        """List the keys in use that need a clock."""
        return [k for k in _IN_BITS if k.endswith("_per_s") and getattr(self, k) is not None]

    def whole_words(self) -> int | None:
        """Capacity that is given in bits or bytes, in whole words; None if neither is."""
        bits = 8 * self.capacity_bytes if self.capacity_bytes is not None else self.capacity_bits
        return None if bits is None or self.word_bits is None else bits // self.word_bits

    def words_per_cycle(self, key: str, bandwidth: float, clock_mhz: float | None) -> float:
        """Turn the bandwidth given by a key into words of this memory."""
        if key.endswith("_words_per_cycle") or self.word_bits is None:
            return bandwidth
        if key.endswith("_bits_per_cycle"):
            return bandwidth / self.word_bits
        if key.endswith("_bytes_per_cycle"):
            return 8 * bandwidth / self.word_bits
        assert clock_mhz is not None  # The file has been checked.
        return 8000 * bandwidth / (clock_mhz * self.word_bits)
