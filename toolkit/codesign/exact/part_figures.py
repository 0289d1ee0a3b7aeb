"""Figures of one level, taken out of it and put back: numbers by name, and what is no figure.

Of every figure it is known which way mappings like it: more room, lanes and bandwidth, and less
energy, leakage, cycles and copies, never make a mapping worse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.architecture import VectorUnit
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.codesign.exact.boxes import Box
from toolkit.mapping.mapping import FloatArray

Part = Level | VectorUnit
"""A level of an architecture, or its vector unit."""

Numbers = dict[str, float]
"""Figures of a part by name."""

_MEMORY = (
    "read_energy_pj",
    "write_energy_pj",
    "read_bandwidth",
    "write_bandwidth",
    "leakage_pj_per_cycle",
    "multiple_buffering",
    "values_per_wordline",
    "burst_words",
)
_COMPUTE = ("mac_energy_pj", "cycles", "mesh", "leakage_pj_per_cycle")
_UNIT = ("lanes", "operation_energy_pj")
_WIRES = (
    "unicast_energy_pj",
    "multicast_energy_pj",
    "reduction_energy_pj",
    "read_bandwidth",
    "write_bandwidth",
)
_WHOLE = {"capacity_words", "mesh", "cycles", "lanes", "values_per_wordline", "burst_words"}
"""Figures that are integers."""

AREA, CAPACITY, MESH = "area_um2", "capacity_words", "mesh"
LEAKAGE, PEAK = "leakage_pj_per_cycle", "peak_pj_per_cycle"
TOGETHER = ("values_per_wordline", "burst_words")
"""Words that a memory moves or charges together: any number of them may suit some mapping best,
and one by one suits all."""
BANDWIDTHS = ("read_bandwidth", "write_bandwidth")
"""Of a memory without ports that have their own."""
CONSTRAINT = "constraints."
"""What the name of a ``<=`` begins with; its dimension follows."""
_PORT, _WIRE, _BITS = "ports.", "wires.", "energies_by_bits."


def more_is_better(figure: str) -> bool:
    """Whether mappings like more of a figure; they like less of all others."""
    last = figure.rpartition(".")[2]
    return (
        last in (CAPACITY, MESH, "lanes", *BANDWIDTHS)
        or figure.startswith((_PORT, CONSTRAINT))
    )  # fmt: skip


def numbers_of(part: Part) -> tuple[Numbers, Part]:
    """Take the figures out of a part.

    Returns
    -------
    numbers : dict of str to float
        By name; what is unlimited or not given is missing.
    rest : Level or VectorUnit
        The part without them: equal rests differ in figures alone.
    """
    numbers: Numbers = {}
    if part.area_um2 is not None:
        numbers[AREA] = part.area_um2
    if isinstance(part, Memory):
        numbers |= {name: float(getattr(part, name)) for name in _MEMORY}
        if part.capacity_words is not None:
            numbers[CAPACITY] = float(part.capacity_words)
        numbers |= {_PORT + port.name: port.bandwidth for port in part.ports}
    elif isinstance(part, Compute):
        numbers |= {name: float(getattr(part, name)) for name in _COMPUTE}
    elif isinstance(part, VectorUnit):
        numbers |= {name: float(getattr(part, name)) for name in _UNIT}
    else:
        numbers[MESH] = float(part.mesh)
        if part.wires is not None:
            numbers |= {_WIRE + name: float(getattr(part.wires, name)) for name in _WIRES}
    if isinstance(part, Compute | VectorUnit):
        numbers |= {f"{_BITS}{bits}": energy for bits, energy in part.energies_by_bits}
    if not isinstance(part, VectorUnit):
        numbers |= {
            f"{CONSTRAINT}{c.dimension}": float(c.value)
            for c in part.constraints
            if c.relation == "<="
        }
    return numbers, with_numbers(part, dict.fromkeys(numbers, 1.0))


def with_numbers(part: Part, numbers: Numbers) -> Part:
    """Put figures in the place of those that a part has; `numbers_of` the other way around."""
    changed: dict[str, Any] = {}
    for name, number in numbers.items():
        if "." not in name:
            changed[name] = round(number) if name in _WHOLE else number
    if isinstance(part, Memory) and part.ports:
        changed["ports"] = tuple(
            replace(port, bandwidth=numbers.get(_PORT + port.name, port.bandwidth))
            for port in part.ports
        )
    if isinstance(part, Fanout) and part.wires is not None:
        given: dict[str, Any] = {
            name: numbers[_WIRE + name] for name in _WIRES if _WIRE + name in numbers
        }
        changed["wires"] = replace(part.wires, **given)
    if isinstance(part, Compute | VectorUnit):
        changed["energies_by_bits"] = tuple(
            (bits, numbers.get(f"{_BITS}{bits}", energy)) for bits, energy in part.energies_by_bits
        )
    if not isinstance(part, VectorUnit):
        changed["constraints"] = tuple(_constraint(c, numbers) for c in part.constraints)
    return replace(part, **changed)


def _constraint(constraint: FactorConstraint, numbers: Numbers) -> FactorConstraint:
    value = numbers.get(CONSTRAINT + constraint.dimension)
    if constraint.relation != "<=" or value is None:
        return constraint
    return replace(constraint, value=round(value))


def peak_pj_per_cycle(part: Part) -> float:
    """Most energy that a part takes in a cycle, as `toolkit.arch.technology.peak_power_mw` has it.

    Examples
    --------
    >>> peak_pj_per_cycle(Memory("Buffer", 64, 2.0, 3.0, 4.0, 4.0, leakage_pj_per_cycle=0.5))
    24.5
    """
    if isinstance(part, Memory):
        dearer = max(part.read_energy_pj, part.write_energy_pj)
        return dearer * part.bandwidth + part.leakage_pj_per_cycle
    if isinstance(part, Compute):
        return part.mesh * part.mac_energy_pj / part.cycles + part.leakage_pj_per_cycle
    return 0.0


@dataclass(frozen=True, eq=False)
class PartTable:
    """Figures of one level, or of the vector unit, for all values of what it takes.

    Parameters
    ----------
    name : str
        Of the level.
    axes : tuple of int
        Places of the parameters that it takes.
    figures : dict of str to float64 array
        One axis per parameter; NaN where a figure is not given.
    kinds : int64 array
        Of the same shape: which of `rests` stands there.
    rests : tuple of Part
        What is no figure.
    """

    name: str
    axes: tuple[int, ...]
    figures: dict[str, FloatArray]
    kinds: NDArray[np.int64]
    rests: tuple[Part, ...]

    def entries(self, box: Box) -> tuple[slice, ...]:
        """Where the entries of a box stand."""
        return tuple(slice(box.sides[a][0], box.sides[a][1] + 1) for a in self.axes)

    def best(self, box: Box) -> tuple[Numbers, Part]:
        """Every figure at its best in a box, and the rest, which is the same in all of it."""
        place = self.entries(box)
        found: Numbers = {}
        for name, values in self.figures.items():
            own = values[place]
            if name == PEAK or np.isnan(own).all():
                continue
            best = float(own.max() if more_is_better(name) else own.min())
            varies = own.max() > own.min()
            found[name] = 1.0 if name in TOGETHER and varies else best
        return found, self.rests[int(self.kinds[place].flat[0])]

    def least_bandwidths(self, box: Box) -> Numbers:
        """The least of every bandwidth of a memory in a box."""
        place = self.entries(box)
        return {
            name: float(values[place].min())
            for name, values in self.figures.items()
            if name in BANDWIDTHS or name.startswith(_PORT)
        }

    def directions(self, figure: str, axis: int) -> set[int]:
        """Signs with which a figure changes along a parameter."""
        if axis not in self.axes or figure not in self.figures:
            return set()
        steps = np.diff(self.figures[figure], axis=self.axes.index(axis))
        return {int(sign) for sign in np.unique(np.sign(steps[~np.isnan(steps)]))} - {0}

    def changes_kind(self, axis: int) -> bool:
        """Whether a parameter changes what is no figure, or whether one is given at all."""
        if axis not in self.axes:
            return False
        along = self.axes.index(axis)
        given = (np.isnan(values) for values in self.figures.values())
        return any(
            bool(np.diff(x.astype(np.int64), axis=along).any()) for x in (self.kinds, *given)
        )
