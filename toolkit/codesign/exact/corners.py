"""Relaxed hardware of a box: every figure as good as it is anywhere in it.

A mapping that is valid on some point of a box is valid on its relaxed corner, and costs no more
energy or cycles there. What a level takes and gives by itself follows from the few parameters that
its entry in the template names, and is looked up for all their values, so that nothing need rise
or fall one way. What it gets from other levels are wires alone, which are no shorter where areas
and meshes are larger. So they, and the area of the chip, are least at one corner of a box, if
areas and meshes go one way in every parameter. Parameters in which they do not, and those that
change what is no figure (bits, a constraint with ``==``), are given their values one by one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

import numpy as np

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arch.expressions import Number
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.arch.technology import Technology, WireEstimate
from toolkit.codesign.budgets import dram_bits_per_cycle
from toolkit.codesign.exact.boxes import Box, whole
from toolkit.codesign.exact.part_figures import (
    AREA,
    BANDWIDTHS,
    CAPACITY,
    CONSTRAINT,
    MESH,
    PEAK,
    Numbers,
    Part,
    PartTable,
    numbers_of,
    peak_pj_per_cycle,
    with_numbers,
)
from toolkit.codesign.space import HardwarePoint, HardwareSpace
from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray
from toolkit.model.conventions import Conventions
from toolkit.model.plan import gates_idle_instances

MOST_ENTRIES = 50_000
"""Most values together of the parameters that one level takes: a minute of building."""
KEPT_POINTS = 5_000
"""Points that a space keeps before a fresh one goes on."""
ROUNDED = 1 - 1e-12
"""What is left of a difference of rounded numbers that must not be too large."""


class _Unwired(Technology):
    """The same technology with wires that cost nothing: levels have figures of their own alone."""

    def wires(self, bits: float, length_mm: float) -> WireEstimate:
        """Nothing, whatever the length."""
        return WireEstimate(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Corner:
    """What a box has at best.

    Parameters
    ----------
    arch : Architecture
        On which every mapping costs no more than on any point of the box where it is valid.
    area_um2, power_mw : float
        No point of the box has less.
    """

    arch: Architecture
    area_um2: float
    power_mw: float


@dataclass(eq=False)
class Corners:
    """Makes relaxed corners of the boxes of one space.

    Parameters
    ----------
    space : HardwareSpace
        Whose boxes.
    conventions : Conventions
        How costs are counted: whether idle instances leak.

    Raises
    ------
    InputError
        If a level takes parameters of too many values.
    """

    space: HardwareSpace
    conventions: Conventions
    _spaces: dict[bool, HardwareSpace] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.names = tuple(self.space.ranges)
        self._unwired = _Unwired(
            **{f: getattr(self.space.technology, f) for f in _technology_fields()}
        )
        self.tables = tuple(self._list_tables())

    @cached_property
    def one_by_one(self) -> dict[str, str]:
        """Parameters that are given their values one by one, and why."""
        found = {}
        for axis, name in enumerate(self.names):
            reason = self._reason(axis)
            if reason and len(self.space.ranges[name].values) > 1:
                found[name] = reason
        return found

    def _reason(self, axis: int) -> str:
        for table in self.tables:
            if table.changes_kind(axis):
                return f"{table.name} is of another kind at other values"
        return self._wanders(axis)

    def _wanders(self, axis: int) -> str:
        """Say which areas, meshes or powers do not all go one way along a parameter."""
        signs: set[int] = set()
        for table, figure in self._lean_figures:
            signs |= table.directions(figure, axis)
            if len(signs) > 1:
                return f"{figure} of {table.name} does not rise or fall as areas elsewhere do"
        return ""

    @cached_property
    def _lean_figures(self) -> tuple[tuple[PartTable, str], ...]:
        """What has to be least at one and the same corner.

        Areas outside of all fanouts lengthen no wires, and count each for itself.
        """
        power = (PEAK, *BANDWIDTHS)
        names = (MESH, *power) if self.space.power_budget_mw is not None else (MESH,)
        inside = self.tables[self._alone :]
        return (
            *((table, AREA) for table in inside),
            *((table, name) for table in self.tables for name in names),
        )

    @cached_property
    def _alone(self) -> int:
        """Levels outside of all fanouts, of which there is one each."""
        levels = self._build(self.space.smallest).arch.levels
        return next(i for i, x in enumerate(levels) if isinstance(x, Fanout | Compute))

    @cached_property
    def lean_at_last(self) -> tuple[bool, ...]:
        """Of every parameter, whether areas are least at its last value."""
        return tuple(
            any(-1 in table.directions(figure, axis) for table, figure in self._lean_figures)
            for axis in range(len(self.names))
        )

    def corner(self, box: Box) -> Corner:
        """Relax the hardware of a box, which must hold one value of each of `one_by_one`."""
        arch = self.lean(box)
        if box.is_point:
            return Corner(
                replace(arch, name=self.space.template.source), *self.area_and_power(box)
            )
        plain = self._lean_point(box, wired=False)
        parts = [with_numbers(rest, best) for best, rest in (t.best(box) for t in self.tables)]
        unit = next((part for part in parts if isinstance(part, VectorUnit)), None)
        levels: list[Level] = [part for part in parts if not isinstance(part, VectorUnit)]
        idle = self._idle_shares(arch, levels)
        for i, (level, wired, own) in enumerate(
            zip(levels, arch.levels, plain.arch.levels, strict=True)
        ):
            level = replace(level, area_um2=None)
            if not isinstance(level, Fanout) and idle[i] < 1:
                leaking = level.leakage_pj_per_cycle * idle[i] * ROUNDED
                level = replace(level, leakage_pj_per_cycle=leaking)
            levels[i] = _with_wires(level, wired, own)
        relaxed = replace(
            arch, name=self.space.template.source, levels=tuple(levels), vector_unit=unit
        )
        return Corner(relaxed, *self.area_and_power(box))

    @cached_property
    def sizing(self) -> tuple[int, ...]:
        """Places of the parameters that change a capacity, a mesh or a constraint."""
        return tuple(
            axis
            for axis in range(len(self.names))
            if any(
                table.directions(figure, axis)
                for table in self.tables
                for figure in table.figures
                if figure in (CAPACITY, MESH) or figure.startswith(CONSTRAINT)
            )
        )

    @cached_property
    def meshing(self) -> frozenset[int]:
        """Places of the parameters that change a mesh."""
        return frozenset(
            axis
            for axis in range(len(self.names))
            if any(table.directions(MESH, axis) for table in self.tables)
        )

    @cached_property
    def spreads(self) -> dict[str, tuple[float, float]]:
        """Of memories whose words may become dearer: by how much (pJ), read and written."""
        found = {}
        for table in self.tables:
            energies = [table.figures.get(f"{way}_energy_pj") for way in ("read", "write")]
            ranges = [0.0 if x is None else float(np.ptp(x)) for x in energies]
            if any(ranges):
                found[table.name] = (ranges[0], ranges[1])
        return found

    def narrow(self, box: Box) -> Architecture:
        """The relaxed corner with the least meshes and ``<=`` that there are in the box."""
        arch = self.corner(box).arch
        levels: list[Level] = []
        for table, level in zip(self.tables, arch.levels, strict=False):
            least = {
                name: float(values[table.entries(box)].min())
                for name, values in table.figures.items()
                if name == MESH or name.startswith(CONSTRAINT)
            }
            levels.append(cast(Level, with_numbers(level, numbers_of(level)[0] | least)))
        return replace(arch, levels=tuple(levels))

    def area_and_power(self, box: Box) -> tuple[float, float]:
        """Area (um^2) and power (mW) that no point of a box undercuts."""
        point = self._lean_point(box)
        least = point.area_um2
        for table, level in zip(self.tables[: self._alone], point.arch.levels, strict=False):
            if AREA in table.figures and level.area_um2 is not None:
                least -= level.area_um2 - float(table.figures[AREA][table.entries(box)].min())
        return least * ROUNDED, point.power_mw * ROUNDED

    def dram_gb_per_s(self, box: Box) -> float:
        """What memories off the chip move at most, of which no point of a box has less.

        In GB/s; 0 without a budget for it.
        """
        if self.space.dram_budget_gb_per_s is None:
            return 0.0
        point = self._lean_point(box)
        slowest = tuple(
            cast(
                Level, with_numbers(level, {**numbers_of(level)[0], **table.least_bandwidths(box)})
            )
            for table, level in zip(self.tables, point.arch.levels, strict=False)
        )
        arch = replace(point.arch, levels=slowest)
        bits = sum(dram_bits_per_cycle(arch, point.components))
        return bits / 8 * self.space.technology.clock_ghz * ROUNDED

    def lean(self, box: Box) -> Architecture:
        """The point of a box with the least meshes, and the least areas inside of fanouts."""
        return self._lean_point(box).arch

    def _lean_point(self, box: Box, *, wired: bool = True) -> HardwarePoint:
        return self._build(box.parameters(self.space.ranges, self.lean_at_last), wired=wired)

    @cached_property
    def widest(self) -> tuple[Numbers, ...]:
        """Of every level the most of its mesh and of its ``<=`` in the whole space."""
        levels = len(self.lean(whole(self.space.ranges)).levels)
        return tuple(
            {
                name: float(np.nanmax(values))
                for name, values in table.figures.items()
                if name == MESH or name.startswith(CONSTRAINT)
            }
            for table in self.tables[:levels]
        )

    def _idle_shares(self, arch: Architecture, best: list[Level]) -> list[float]:
        """Of every level, the instances that leak where there are fewest over those relaxed."""
        shares, fewest, most = [], 1, 1
        for level, own in zip(best, arch.levels, strict=True):
            shares.append(fewest / most)
            if not isinstance(level, Fanout) or not isinstance(own, Fanout):
                continue
            if not gates_idle_instances(arch, own, self.conventions):
                fewest, most = fewest * own.mesh, most * level.mesh
        return shares

    def _build(self, parameters: Mapping[str, Number], *, wired: bool = True) -> HardwarePoint:
        """Build a point, and forget most of them again."""
        space = self._spaces.get(wired)
        if space is None or len(space._built) > KEPT_POINTS:
            technology = self.space.technology if wired else self._unwired
            space = self._spaces[wired] = replace(self.space, technology=technology)
        return space.build(parameters)

    def _list_tables(self) -> Iterable[PartTable]:
        template, ranges = self.space.template, self.space.ranges
        first = self._build(self.space.smallest, wired=False).arch
        places: list[int | None] = list(range(len(first.levels)))
        for place in (*places, None) if first.vector_unit is not None else places:
            axes = tuple(
                self.names.index(name) for name in template.taken_by(place, tuple(ranges))
            )
            axes = tuple(sorted(axes))
            part = _part(first, place)
            name = "the vector unit" if isinstance(part, VectorUnit) else part.name
            sizes = tuple(len(ranges[self.names[a]].values) for a in axes)
            if math.prod(sizes) > MOST_ENTRIES:
                taken = ", ".join(self.names[a] for a in axes)
                raise InputError(
                    f"{name} takes {taken}, which have {math.prod(sizes):,} values together; "
                    f"expected at most {MOST_ENTRIES:,} for a proof: fewer values, or some fixed",
                    source=template.source,
                    key="ranges",
                )
            yield self._table(name, place, axes, sizes)

    def _table(
        self, name: str, place: int | None, axes: tuple[int, ...], sizes: tuple[int, ...]
    ) -> PartTable:
        ranges = self.space.ranges
        columns: dict[str, FloatArray] = {}
        rests: dict[Part, int] = {}
        kinds = np.zeros(sizes, dtype=np.int64)
        for entry in itertools.product(*map(range, sizes)):
            chosen = {
                self.names[a]: ranges[self.names[a]].values[i]
                for a, i in zip(axes, entry, strict=True)
            }
            built = self._build({**self.space.smallest, **chosen}, wired=False)
            part = _part(built.arch, place)
            numbers, rest = numbers_of(part)
            numbers[PEAK] = peak_pj_per_cycle(part)
            kinds[entry] = rests.setdefault(rest, len(rests))
            for figure, number in numbers.items():
                column = columns.setdefault(figure, np.full(sizes, np.nan))
                column[entry] = number
        return PartTable(name, axes, columns, kinds, tuple(rests))


def _technology_fields() -> tuple[str, ...]:
    return tuple(Technology.__dataclass_fields__)


def _part(arch: Architecture, place: int | None) -> Part:
    if place is not None:
        return arch.levels[place]
    assert arch.vector_unit is not None
    return arch.vector_unit


def _with_wires(best: Level, wired: Level, own: Level) -> Level:
    """Add what words take on the shortest wires to a memory's own energies."""
    if not (isinstance(best, Memory) and isinstance(wired, Memory) and isinstance(own, Memory)):
        return best
    read = max(wired.read_energy_pj - own.read_energy_pj, 0.0)
    written = max(wired.write_energy_pj - own.write_energy_pj, 0.0)
    if not read and not written:
        return best
    return replace(
        best,
        read_energy_pj=(best.read_energy_pj + read) * ROUNDED,
        write_energy_pj=(best.write_energy_pj + written) * ROUNDED,
    )
