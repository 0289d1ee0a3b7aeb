"""Energy, leakage, area and speed of components, from published figures, at any node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np

from toolkit.arch.components import COMPUTES, OFF_CHIP, LevelEstimate
from toolkit.arch.technology.published import (
    Curve,
    Dram,
    Nodes,
    Operator,
    Surface,
    monotone_surface,
    node_factor,
    published,
)
from toolkit.arguments import store_plain_numbers
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, suggest

NODES_NM = (3.0, 90.0)
"""The smallest and the largest node that all components scale to."""

_KIB_BITS = 8 * 1024
_Figure = Literal["read_energy", "write_energy", "area"]


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """One memory; an access moves all bits of one port.

    Parameters
    ----------
    read_energy_pj, write_energy_pj : float
        Of one access.
    leakage_uw : float
        While powered.
    area_um2 : float
        On the chip; 0 for DRAM.
    bits_per_cycle : float
        That all ports together move at the clock of the technology.
    access_ns : float or None
        From address to data; None where nothing is published.
    """

    read_energy_pj: float
    write_energy_pj: float
    leakage_uw: float
    area_um2: float
    bits_per_cycle: float
    access_ns: float | None = None


@dataclass(frozen=True, slots=True)
class MacEstimate:
    """One multiply-accumulate unit: energy of one operation, leakage while powered, area."""

    energy_pj: float
    leakage_uw: float
    area_um2: float


@dataclass(frozen=True, slots=True)
class WireEstimate:
    """Parallel wires: energy of one word of random data that travels along, and area."""

    energy_pj: float
    area_um2: float


@dataclass(frozen=True, slots=True)
class InterfaceEstimate:
    """The chip's side of a bus to DRAM.

    Parameters
    ----------
    energy_pj : float
        Of moving the bits of one cycle, on the chip's side alone.
    leakage_uw, area_um2 : float
        While powered; on the chip.
    """

    energy_pj: float
    leakage_uw: float
    area_um2: float


@dataclass(frozen=True)
class Technology:
    """A process and a clock.

    Parameters
    ----------
    node_nm : float
        From 3 to 90.
    clock_ghz : float
        Positive.
    operators : {"aladdin", "horowitz"}
        Whose multipliers and adders: registered ones, or combinational ones (with floating
        point).
    estimates : mapping of str to LevelEstimate
        Figures that replace ours, by level name in lower case (see `read_accelergy`).

    Raises
    ------
    ArchitectureError
        If a figure is out of range.

    Examples
    --------
    >>> sram = Technology(45).sram(64 * 8192, 64)
    >>> round(sram.read_energy_pj, 2), round(sram.area_um2)
    (25.87, 209000)
    >>> round(Technology(22).mac(8, 32).energy_pj, 3)
    0.339
    """

    node_nm: float = 45.0
    clock_ghz: float = 1.0
    operators: str = "aladdin"
    estimates: Mapping[str, LevelEstimate] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        store_plain_numbers(self)
        low, high = NODES_NM
        _check("node_nm", self.node_nm, low, high)
        _check("clock_ghz", self.clock_ghz, 1e-6, 1e3)
        known = published().operators
        if self.operators not in known:
            raise ArchitectureError(
                f"unknown operators {describe(self.operators)}"
                f"{suggest(str(self.operators), known)}; expected one of {', '.join(known)}",
                source="technology",
                key="operators",
            )

    def pj_per_cycle(self, leakage_uw: float) -> float:
        """Turn power into energy per cycle."""
        return leakage_uw * 1e-3 / self.clock_ghz

    def sram(self, capacity_bits: float, width_bits: float, ports: int = 1) -> MemoryEstimate:
        """Estimate SRAM of one bank.

        Parameters
        ----------
        capacity_bits, width_bits : float
            Of the whole, and of each port.
        ports : int
            Read-write ports, 1 to 4.

        Examples
        --------
        >>> round(Technology(22).sram(64 * 8192, 64).write_energy_pj, 2)
        4.43
        """
        _check("capacity_bits", capacity_bits, 1, 1e15)
        _check("width_bits", width_bits, 1, 1e9)
        _check("ports", ports, 1, 4)
        figures, nodes = published().sram, published().nodes.sram
        kib = capacity_bits / _KIB_BITS

        def figure(name: _Figure, power: float) -> float:
            grown = _sram_of_width(name, kib, width_bits) * _sram_ports(name)(kib, ports)
            values = getattr(nodes, name)
            return grown * node_factor(nodes.nm, values, self.node_nm, figures.node_nm, power)

        def time(name: Literal["access_time", "cycle_time"]) -> float:
            values = getattr(nodes, name)
            factor = node_factor(nodes.nm, values, self.node_nm, figures.node_nm, 1)
            return _sram_time(name)(kib) * factor

        leaking = figures.leakage_uw_per_kib * kib
        return MemoryEstimate(
            figure("read_energy", 0.5),
            figure("write_energy", 0.5),
            leaking * self._logic("energy", figures.node_nm),
            figure("area", 1),
            ports * width_bits * min(1.0, 1 / (time("cycle_time") * self.clock_ghz)),
            time("access_time"),
        )

    def register_file(self, words: float, word_bits: int) -> MemoryEstimate:
        """Estimate registers, of which each access reads or writes one word.

        Examples
        --------
        >>> [round(Technology(65).register_file(n, 16).read_energy_pj, 2) for n in (24, 384)]
        [0.69, 1.97]
        """
        _check("words", words, 1, 1e15)
        _check("word_bits", word_bits, 1, 1e6)
        figures, sram = published().register_file, published().sram
        energy = word_bits * figures.energy_pj_per_bit * words**figures.words_exponent
        energy *= self._logic("energy", figures.node_nm)
        bits = words * word_bits
        area = bits * figures.area_um2_per_bit * self._logic("area", figures.node_nm)
        leakage = sram.leakage_uw_per_kib * bits / _KIB_BITS
        leakage *= self._logic("energy", sram.node_nm)
        return MemoryEstimate(energy, energy, leakage, area, 2.0 * word_bits)

    def dram(self, kind: str, width_bits: float) -> MemoryEstimate:
        """Estimate DRAM: energy of an access of some bits, peak bandwidth of one channel or stack.

        It does not depend on the node.

        Examples
        --------
        >>> Technology().dram("lpddr4", 64).read_energy_pj
        512.0
        """
        figures = _dram(kind)
        energy = figures.energy_pj_per_bit * width_bits
        peak = figures.peak_gb_per_s * 8 / self.clock_ghz
        return MemoryEstimate(energy, energy, 0.0, 0.0, peak)

    def dram_interface(self, kind: str, bits_per_cycle: float) -> InterfaceEstimate:
        """Estimate the pads and circuits that a bandwidth of DRAM takes on the chip.

        There are as many data pins, in part if need be, as carry the bits at the rate of the kind
        of DRAM. Pads do not shrink with the node; the circuits behind them do, and leak.

        Examples
        --------
        >>> one_gb_per_s = Technology(40).dram_interface("lpddr4", 8)
        >>> round(one_gb_per_s.area_um2), round(one_gb_per_s.energy_pj, 1)
        (203125, 36.6)
        """
        dram, multiplier = _dram(kind), published().operators["aladdin"].integer.multiply
        figures = published().dram_interface[dram.interface]
        pin_gb_per_s = dram.peak_gb_per_s / dram.data_pins
        pins = bits_per_cycle * self.clock_ghz / 8 / pin_gb_per_s
        circuit_um2 = pins * figures.circuit_um2_per_pin
        node = figures.energy_node_nm
        energy = figures.energy_pj_per_bit * (1.0 if node is None else self._logic("energy", node))
        leaking = multiplier.leakage_uw[0] / multiplier.area_um2[0] * circuit_um2
        return InterfaceEstimate(
            bits_per_cycle * energy,
            leaking * self._logic("energy", figures.node_nm),
            pins * figures.pad_um2_per_pin + circuit_um2 * self._logic("area", figures.node_nm),
        )

    def mac(
        self, operand_bits: int, accumulator_bits: int = 32, kind: str = "integer-mac"
    ) -> MacEstimate:
        """Estimate a multiplier of two operands of equal width and the adder of its results.

        Examples
        --------
        >>> round(Technology(45, operators="horowitz").mac(16, 32, "float-mac").energy_pj, 3)
        2.0
        """
        _check("operand_bits", operand_bits, 1, 128)
        _check("accumulator_bits", accumulator_bits, 1, 256)
        library = published().operators[self.operators]
        arithmetic = library.integer if kind == COMPUTES[0] else library.floating_point
        if arithmetic is None or kind not in COMPUTES:
            raise ArchitectureError(
                f"no {kind} among the operators of {self.operators}; expected "
                "integer-mac, or float-mac with the operators of horowitz",
                source="technology",
            )
        pair = ((arithmetic.multiply, operand_bits), (arithmetic.add, accumulator_bits))
        energy, area, leakage = (
            sum(_operator(operator, figure, bits) for operator, bits in pair)
            for figure in ("energy_pj", "area_um2", "leakage_uw")
        )
        factor = self._logic("energy", library.node_nm)
        return MacEstimate(
            energy * factor, leakage * factor, area * self._logic("area", library.node_nm)
        )

    def wires(self, bits: float, length_mm: float) -> WireEstimate:
        """Estimate parallel wires."""
        figures, nodes = published().wires, published().nodes.wire

        def factor(values: list[float], power: float) -> float:
            return node_factor(nodes.nm, values, self.node_nm, figures.node_nm, power)

        energy = figures.energy_pj_per_bit_mm * figures.activity * factor(nodes.energy, 0.5)
        area = figures.area_um2_per_bit_mm * factor(nodes.area, 1)
        return WireEstimate(bits * length_mm * energy, bits * length_mm * area)

    def memory(
        self, kind: str, capacity_words: int | None, word_bits: int, width_bits: float, ports: int
    ) -> MemoryEstimate:
        """Estimate a memory of any kind.

        Raises
        ------
        ArchitectureError
            If memory on the chip is unlimited.
        """
        if kind in OFF_CHIP:
            return self.dram(kind, width_bits)
        if capacity_words is None:
            raise ArchitectureError(f"{kind} of unlimited capacity has no area")
        if kind == "register-file":
            return self.register_file(capacity_words, word_bits)
        return self.sram(capacity_words * word_bits, width_bits, ports)

    def _logic(self, figure: Literal["energy", "area"], from_nm: float) -> float:
        nodes: Nodes = published().nodes.logic
        power = 0.5 if figure == "energy" else 1.0
        return node_factor(nodes.nm, getattr(nodes, figure), self.node_nm, from_nm, power)


def _check(key: str, value: float, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not low <= value <= high:
        raise ArchitectureError(
            f"expected a number from {low:g} to {high:g}, got {describe(value)}",
            source="technology",
            key=key,
        )


def _dram(kind: str) -> Dram:
    known = published().dram
    if kind not in known:
        raise ArchitectureError(
            f"unknown DRAM {describe(kind)}{suggest(str(kind), known)}; "
            f"expected one of {', '.join(known)}",
            source="technology",
        )
    return known[kind]


@cache
def _sram_surface(figure: _Figure) -> Surface:
    sram = published().sram
    table = sram.area_um2 if figure == "area" else getattr(sram, f"{figure}_pj")
    return monotone_surface(sram.kib, sram.width_bits, table, 64, linear=figure == "area")


def _sram_of_width(figure: _Figure, kib: float, width_bits: float) -> float:
    """A figure of one port; beyond the published sizes, too, a wide one costs what narrow ones do.

    There the curves of two widths, each extrapolated for itself, may cross.
    """
    sram, surface = published().sram, _sram_surface(figure)
    if sram.kib[0] <= kib <= sram.kib[-1]:
        return surface(kib, width_bits)
    narrower = (width for width in sram.width_bits if width < width_bits)
    return max(surface(kib, width) for width in (*narrower, width_bits))


@cache
def _sram_ports(figure: _Figure) -> Callable[[float, float], float]:
    ports = published().sram_ports
    factors = np.array(getattr(ports, figure))
    return Surface(np.array(ports.kib), np.array(ports.ports), factors, clamped=True)


@cache
def _sram_time(figure: Literal["access_time", "cycle_time"]) -> Curve:
    sram = published().sram
    return Curve(np.array(sram.kib), np.array(getattr(sram, f"{figure}_ns")))


def _operator(operator: Operator, figure: str, bits: float) -> float:
    """Evaluate a figure of an operator: power laws between its points and beyond them."""
    points, values = operator.bits, getattr(operator, figure)
    inside = min(max(bits, points[0]), points[-1])
    if not all(values):
        return 0.0
    value = Curve(np.array(points), np.array(values), clamped=True)(inside)
    return value * math.pow(bits / inside, operator.exponent)
