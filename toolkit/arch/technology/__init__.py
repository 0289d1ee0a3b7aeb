"""Energy, leakage, area and speed of components, and architectures priced with them."""

from toolkit.arch.components import COMPUTES, MEMORIES, OFF_CHIP, Component, LevelEstimate
from toolkit.arch.peers.timeloop_figures import read_accelergy
from toolkit.arch.technology.pricing import (
    LevelArea,
    area_table,
    area_um2,
    known_area_um2,
    peak_power_mw,
    priced,
    with_estimates,
)
from toolkit.arch.technology.technology import (
    InterfaceEstimate,
    MacEstimate,
    MemoryEstimate,
    Technology,
    WireEstimate,
)

__all__ = [
    "COMPUTES",
    "MEMORIES",
    "OFF_CHIP",
    "Component",
    "InterfaceEstimate",
    "LevelArea",
    "LevelEstimate",
    "MacEstimate",
    "MemoryEstimate",
    "Technology",
    "WireEstimate",
    "area_table",
    "area_um2",
    "known_area_um2",
    "peak_power_mw",
    "priced",
    "read_accelergy",
    "with_estimates",
]
