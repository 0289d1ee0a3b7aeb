"""Energies where a file of another tool gives none, and the user accepts estimates."""

from __future__ import annotations

MAC_PJ = 0.5608
"""pJ per multiply-accumulate: archs/gemmini-ws.yaml, after the DOSA paper, as all of these."""

# pJ per 8-bit word.
_DRAM_PJ, _REGISTER_PJ = 100.0, 0.48746
# Memories of up to so many words count as registers. Their energy and the line through SRAMs
# nearly meet here (0.487 and 0.49 pJ), so that the exact limit hardly matters.
_REGISTER_WORDS = 64


def estimated_pj(capacity_words: int | None, word_bits: int, *, off_chip: bool = False) -> float:
    """Estimate the energy of a word read or written, in pJ: Gemmini's figures, scaled by bits.

    Parameters
    ----------
    capacity_words : int or None
        None for a memory without limit, which is taken to be DRAM.
    word_bits : int
        Bits of a word.
    off_chip : bool
        Whether it is DRAM.

    Examples
    --------
    >>> estimated_pj(None, 16), estimated_pj(64, 8), round(estimated_pj(65536, 8), 3)
    (200.0, 0.48746, 2.098)
    """
    width = word_bits / 8
    if off_chip or capacity_words is None:
        return _DRAM_PJ * width
    if capacity_words <= _REGISTER_WORDS:
        return _REGISTER_PJ * width
    kib = capacity_words * width / 1024
    return (0.49 + 0.02513 * kib) * width
