"""Keys in bits, bytes or seconds, and how they become whole words and words per cycle."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from toolkit.arch.levels import UNLIMITED_BANDWIDTH
from toolkit.records import Record
from toolkit.workload.kernel import MAX_BITS

Bits = Annotated[int, Field(ge=1, le=MAX_BITS)]
"""Bits of a word or a value."""

_Capacity = Annotated[int, Field(ge=1, le=2**63 - 1)]
# Far beyond any hardware, and small enough that no cost overflows.
_Words = Annotated[float, Field(ge=1e-9, le=2 * UNLIMITED_BANDWIDTH)]
_Bandwidth = Annotated[float, Field(ge=1e-9, le=1e15)]

_Burst = Annotated[int, Field(ge=1, le=2**31)]
_BURSTS = {"burst_words": 0, "burst_bits": 1, "burst_bytes": 8}
"""Keys for the length of a burst, and bits of their units; of words the file says it itself."""

_UNITS = ("words_per_cycle", "bits_per_cycle", "bytes_per_cycle", "gb_per_s")

BANDWIDTH_FORMS = tuple(
    tuple(f"{which}bandwidth_{unit}" for which in sides)
    for unit in _UNITS
    for sides in (("",), ("read_", "write_"))
)
"""Keys that give the bandwidth of a memory together."""

PORT_BANDWIDTHS = tuple(form for form in BANDWIDTH_FORMS if len(form) == 1)
"""Those of one port."""

_IN_BITS = [key for form in BANDWIDTH_FORMS[2:] for key in form]


class PortBandwidth(Record):
    """Bandwidth of one port, in one of several units."""

    bandwidth_words_per_cycle: _Words | None = None
    bandwidth_bits_per_cycle: _Bandwidth | None = None
    bandwidth_bytes_per_cycle: _Bandwidth | None = None
    bandwidth_gb_per_s: _Bandwidth | None = None

    def in_bits(self) -> list[str]:
        """List the bandwidths in use that need the bits of a word."""
        return [key for key in _IN_BITS if getattr(self, key, None) is not None]

    def per_second(self) -> list[str]:
        """List the keys in use that need a clock."""
        return [key for key in self.in_bits() if key.endswith("_per_s")]


class Bandwidths(PortBandwidth):
    """Bandwidths of both ways, together or each; what they are counted in has so many bits."""

    read_bandwidth_words_per_cycle: _Words | None = None
    write_bandwidth_words_per_cycle: _Words | None = None
    read_bandwidth_bits_per_cycle: _Bandwidth | None = None
    write_bandwidth_bits_per_cycle: _Bandwidth | None = None
    read_bandwidth_bytes_per_cycle: _Bandwidth | None = None
    write_bandwidth_bytes_per_cycle: _Bandwidth | None = None
    read_bandwidth_gb_per_s: _Bandwidth | None = None
    write_bandwidth_gb_per_s: _Bandwidth | None = None
    word_bits: Bits | None = None


class BitwiseMemory(Bandwidths):
    """What a memory entry may say in bits."""

    capacity_bits: _Capacity | None = None
    capacity_bytes: _Capacity | None = None
    packed: bool | None = None
    burst_words: _Burst | None = None
    burst_bits: _Burst | None = None
    burst_bytes: _Burst | None = None

    def check_bits(self) -> None:
        """Refuse what would have to be turned into words if nobody says how long these are.

        Raises
        ------
        ValueError
            Naming the key, or if there is not room for one word.
        """
        keys = [
            key
            for key in ("capacity_bits", "capacity_bytes", "packed", "burst_bits", "burst_bytes")
            if getattr(self, key) is not None
        ]
        need_word_bits([*keys, *self.in_bits()], self.word_bits)
        for key, bits in (("capacity_bits", 1), ("capacity_bytes", 8)):
            given = getattr(self, key)
            if given is not None and given * bits < (self.word_bits or 0):
                raise ValueError(
                    f"{key}: expected room for a word of {self.word_bits} bits, got {given}"
                )
        self._check_burst()

    def _check_burst(self) -> None:
        given = self.burst_keys()
        if len(given) > 1:
            raise ValueError(f"expected one of {', '.join(_BURSTS)}; got {', '.join(given)}")
        for key in given:
            bits = getattr(self, key) * _BURSTS[key]
            if _BURSTS[key] and bits % (self.word_bits or 1):
                raise ValueError(
                    f"{key}: expected whole words of {self.word_bits} bits, got {bits} bits"
                )

    def burst_keys(self) -> list[str]:
        """List the keys in use that give the length of a burst."""
        return [key for key in _BURSTS if getattr(self, key) is not None]

    def words_per_burst(self) -> int:
        """Words of a burst; 1 if no key says it."""
        for key in self.burst_keys():
            given: int = getattr(self, key)
            return given * _BURSTS[key] // (self.word_bits or 1) if _BURSTS[key] else given
        return 1

    def whole_words(self) -> int | None:
        """Capacity that is given in bits or bytes, in whole words; None if neither is."""
        bits = 8 * self.capacity_bytes if self.capacity_bytes is not None else self.capacity_bits
        return None if bits is None or self.word_bits is None else bits // self.word_bits


def need_word_bits(keys: list[str], word_bits: int | None) -> None:
    """Refuse keys that have to be turned into words if nobody says how long these are.

    Raises
    ------
    ValueError
        Naming the first key.
    """
    if keys and word_bits is None:
        raise ValueError(f"{keys[0]}: expected word_bits with it")


def words_per_cycle(
    key: str, bandwidth: float, word_bits: int | None, clock_mhz: float | None
) -> float:
    """Turn the bandwidth given by a key into words of so many bits."""
    if key.endswith("_words_per_cycle") or word_bits is None:
        return bandwidth
    if key.endswith("_bits_per_cycle"):
        return bandwidth / word_bits
    if key.endswith("_bytes_per_cycle"):
        return 8 * bandwidth / word_bits
    assert clock_mhz is not None  # The file has been checked.
    return 8000 * bandwidth / (clock_mhz * word_bits)
