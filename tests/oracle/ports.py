"""In what time the ports of a memory move given words, without the model's rows of ports."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction

from toolkit.arch.levels import Memory

KINDS = ("reads", "fills", "updates", "drains")
SENT = ("reads", "drains")


def least_cycles(memory: Memory, words: Mapping[str, int | Fraction]) -> Fraction:
    """Least cycles of one instance: no set of kinds may take more than its ports have time for."""
    slowest = Fraction(0)
    for served in itertools.product((False, True), repeat=len(KINDS)):
        kinds = [kind for kind, chosen in zip(KINDS, served, strict=True) if chosen]
        moved = sum(words[kind] for kind in kinds)
        bandwidth = bandwidth_of(memory, kinds)
        if moved and bandwidth != math.inf:
            slowest = max(slowest, moved / bandwidth)
    return slowest


def bandwidth_of(memory: Memory, kinds: list[str]) -> Fraction | float:
    """Words per cycle of all ports together that serve any of some kinds."""
    bandwidths = _bandwidths(memory, kinds)
    return math.inf if math.inf in bandwidths else sum(map(Fraction, bandwidths), Fraction(0))


def _bandwidths(memory: Memory, kinds: list[str]) -> list[float]:
    """Words per cycle of every port that serves any of some kinds."""
    if memory.ports:
        return [port.bandwidth for port in memory.ports if set(port.serves) & set(kinds)]
    reading, writing = any(k in SENT for k in kinds), any(k not in SENT for k in kinds)
    bandwidths = [memory.read_bandwidth] * (reading or memory.shared_port)
    return bandwidths + [memory.write_bandwidth] * (writing or memory.shared_port)
