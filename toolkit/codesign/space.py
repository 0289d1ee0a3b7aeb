"""Hardware spaces: a template whose parameters have ranges, a technology, and budgets."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.architecture import Architecture
from toolkit.arch.components import Component
from toolkit.arch.expressions import Number
from toolkit.arch.files import load_template
from toolkit.arch.levels import Fanout, Memory
from toolkit.arch.ranges import Range, parse_range
from toolkit.arch.technology import Technology, area_um2, peak_power_mw, priced
from toolkit.arch.template import ArchitectureTemplate
from toolkit.codesign.budgets import (
    check_budgets,
    dram_bits_per_cycle,
    dram_parameters,
    positive_budget,
    within_dram,
)
from toolkit.display import object_html, table_html
from toolkit.errors import ArchitectureError, InputError
from toolkit.mapping.bypasses import Bypass, with_bypass_rule
from toolkit.messages import describe, suggest

_DRAWS = 10_000

DramInterface = Literal["chosen", "always", "never"]
"""When the chip has interfaces of its own to DRAM: where their bandwidth is chosen, and so has to
cost something; on all hardware; or never, because they belong to the rest of a system."""


@dataclass(frozen=True, eq=False)
class HardwarePoint:
    """One choice of parameters, and what it makes.

    Parameters
    ----------
    parameters : mapping of str to number
        Of the parameters that have a range.
    arch : Architecture
        With energies and areas of the technology.
    components : mapping of str to Component
        What levels are made of, by name.
    area_um2, power_mw : float
        Of the chip; the most power it can draw (`toolkit.arch.technology.peak_power_mw`).
    dram_gb_per_s : float
        What all memories off the chip move at most, as far as the file says what they are.
    """

    parameters: Mapping[str, Number]
    arch: Architecture
    components: Mapping[str, Component]
    area_um2: float
    power_mw: float
    dram_gb_per_s: float

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"<HardwarePoint {sizes}: {self.area_um2 * 1e-6:.4g} mm²>"


@dataclass(frozen=True, eq=False)
class HardwareSpace:
    """What may be built; `hardware_space` makes and checks one.

    Parameters
    ----------
    template : ArchitectureTemplate
        The architecture with its parameters open.
    ranges : mapping of str to Range
        Of the parameters to choose; the others keep or follow their defaults.
    technology : Technology
        Gives energies and areas.
    area_budget_um2, power_budget_mw : float or None
        Upper limits.
    energies : bool
        Whether energies and leakage follow from the technology, not from the template.
    bypass : {"permitted", "free", "fixed"}
        Which tensors mappings may leave out of memories (see `toolkit.make_problem`): written into
        all that is built.
    interfaces : bool
        Whether the chip has interfaces of its own to DRAM, which take area and power.
    dram_budget_gb_per_s : float or None
        Upper limit of the bandwidth of DRAM.

    Examples
    --------
    >>> import toolkit
    >>> space = toolkit.hardware_space("gemmini-ws", ranges={"side": [8, 16]})
    >>> space.size
    180
    """

    template: ArchitectureTemplate
    ranges: Mapping[str, Range]
    technology: Technology = field(default_factory=Technology)
    area_budget_um2: float | None = None
    power_budget_mw: float | None = None
    energies: bool = True
    bypass: Bypass = "permitted"
    interfaces: bool = False
    dram_budget_gb_per_s: float | None = None
    _built: dict[tuple[Number, ...], HardwarePoint] = field(
        default_factory=dict, init=False, repr=False
    )

    def __repr__(self) -> str:
        return f"<HardwareSpace {self._name}: {self.size:,} points>"

    def _repr_html_(self) -> str:
        """For notebooks: what may be chosen, and within which budgets."""
        limits = {
            "area": (self.area_budget_um2, 1e-6, "mm²"),
            "power": (self.power_budget_mw, 1e-3, "W"),
            "DRAM": (self.dram_budget_gb_per_s, 1.0, "GB/s"),
        }
        facts = [("points", f"{self.size:,}")] + [
            (name, f"at most {limit * scale:.4g} {unit}")
            for name, (limit, scale, unit) in limits.items()
            if limit is not None
        ]
        rows = [(name, str(found)) for name, found in self.ranges.items()]
        table = table_html(("parameter", "values"), rows, (True, True))
        return object_html(f"Hardware: {self._name}", facts, table)

    @property
    def _name(self) -> str:
        return PurePath(self.template.source).stem

    @property
    def size(self) -> int:
        """Points of the space, those beyond the budgets included."""
        return math.prod(len(found.values) for found in self.ranges.values())

    @property
    def smallest(self) -> dict[str, Number]:
        """Every parameter at the least value of its range."""
        return {name: found.values[0] for name, found in self.ranges.items()}

    @property
    def largest(self) -> dict[str, Number]:
        """Every parameter at the largest value of its range."""
        return {name: found.values[-1] for name, found in self.ranges.items()}

    @property
    def default(self) -> dict[str, Number]:
        """Every parameter at its default, rounded up (or down) into its range."""
        defaults = self.template.parameters
        return {
            name: found.round_up(defaults[name]) or found.values[-1]
            for name, found in self.ranges.items()
        }

    def build(self, parameters: Mapping[str, Number]) -> HardwarePoint:
        """Build a point, be it within the budgets or not; points are kept and built once.

        Raises
        ------
        ArchitectureError
            If a parameter is missing, has no range or is not within it, or the template refuses
            the values.
        """
        key = self._check(parameters)
        if key not in self._built:
            file = self.template.file(parameters)
            components = file.components()
            opened = with_bypass_rule(file.architecture(), self.bypass)
            arch = priced(
                opened,
                components,
                self.technology,
                energies=self.energies,
                interfaces=self.interfaces,
            )
            self._built[key] = HardwarePoint(
                dict(zip(self.ranges, key, strict=True)),
                arch,
                components,
                area_um2(arch),
                peak_power_mw(arch, components, self.technology, interfaces=self.interfaces),
                sum(dram_bits_per_cycle(arch, components)) / 8 * self.technology.clock_ghz,
            )
        return self._built[key]

    def within_area(self, budget_um2: float) -> HardwareSpace:
        """The same space with another budget; both know the points that either has built."""
        other = replace(self, area_budget_um2=budget_um2)
        object.__setattr__(other, "_built", self._built)
        return other

    def free(self) -> tuple[str, ...]:
        """Name the parameters of which more costs neither area nor power, but helps.

        Those that change what levels hold, how fast words move or how many units there are, while
        the area and the most power of the chip stay as they are: a search takes as much of them
        as there is.
        """
        default, names = self.default, []
        for name, found in self.ranges.items():
            ends = [self.build({**default, name: found.values[i]}) for i in (0, -1)]
            costs = [(point.area_um2, point.power_mw) for point in ends]
            if costs[0] == costs[1] and _speeds(ends[0].arch) != _speeds(ends[1].arch):
                names.append(name)
        return tuple(names)

    def shares(self, point: HardwarePoint) -> dict[str, float]:
        """Tell what a point takes of every budget that is set, as the ratio to it."""
        budgets = (
            ("area", point.area_um2, self.area_budget_um2),
            ("power", point.power_mw, self.power_budget_mw),
            ("DRAM", point.dram_gb_per_s, self.dram_budget_gb_per_s),
        )
        return {name: value / budget for name, value, budget in budgets if budget is not None}

    def excess(self, point: HardwarePoint) -> dict[str, float]:
        """Tell which budgets a point exceeds, as the ratio to each; empty if none."""
        return {name: share for name, share in self.shares(point).items() if share > 1}

    def encode(self, parameters: Mapping[str, Number]) -> NDArray[np.float64]:
        """Write a point as codes, one per range (`Range.encode`)."""
        key = self._check(parameters)
        codes = [found.encode(v) for found, v in zip(self.ranges.values(), key, strict=True)]
        return np.array(codes, dtype=np.float64)

    def decode(self, codes: NDArray[np.float64]) -> dict[str, Number]:
        """Return the point with the nearest codes."""
        pairs = zip(self.ranges.items(), codes.tolist(), strict=True)
        return {name: found.decode(code) for (name, found), code in pairs}

    def sample(self, rng: np.random.Generator) -> HardwarePoint:
        """Draw a point within the budgets, all such points alike.

        Raises
        ------
        InputError
            If 10,000 draws find none, although the smallest point is one.
        """
        for _ in range(_DRAWS):
            drawn = {
                name: found.values[int(rng.integers(len(found.values)))]
                for name, found in self.ranges.items()
            }
            point = self.build(drawn)
            if not self.excess(point):
                return point
            self._built.pop(tuple(drawn.values()))
        raise InputError(
            f"no point within the budgets in {_DRAWS} draws; expected narrower ranges",
            source=self.template.source,
        )

    def _check(self, parameters: Mapping[str, Number]) -> tuple[Number, ...]:
        source = self.template.source
        for name in parameters:
            if name not in self.ranges:
                raise ArchitectureError(
                    f"parameter {describe(name)} has no range{suggest(str(name), self.ranges)}; "
                    f"those with one: {', '.join(self.ranges)}",
                    source=source,
                )
        for name, found in self.ranges.items():
            if name not in parameters or parameters[name] not in found.values:
                got = parameters.get(name)
                raise ArchitectureError(
                    f"expected one of {found}, got {describe(got)}",
                    source=source,
                    key=f"parameters.{name}",
                )
        return tuple(parameters[name] for name in self.ranges)


def hardware_space(
    template: str | os.PathLike[str] | ArchitectureTemplate,
    *,
    ranges: Mapping[str, object] | None = None,
    technology: Technology | None = None,
    area_budget_um2: float | None = None,
    power_budget_mw: float | None = None,
    energies: bool = True,
    bypass: Bypass = "permitted",
    dram_interface: DramInterface = "chosen",
    dram_budget_gb_per_s: float | None = None,
) -> HardwareSpace:
    """Say what may be built.

    Parameters
    ----------
    template : str, path-like or ArchitectureTemplate
        As `toolkit.load_template` takes it.
    ranges : mapping of str to range, optional
        Ranges that replace those of the file, or parameters that it gives none: a list of values
        (one value fixes the parameter), or a mapping of ``from``, ``to`` and ``step``.
    technology : Technology, optional
        45 nm at 1 GHz by default.
    area_budget_um2, power_budget_mw : float, optional
        Upper limits of area and of the most power the chip can draw.
    energies : bool
        Whether energies and leakage follow from the technology too; otherwise those of the
        template stay, and areas alone follow.
    bypass : {"permitted", "free", "fixed"}
        Which tensors mappings may leave out of memories, see `toolkit.make_problem`.
    dram_interface : {"chosen", "always", "never"}
        When the area and power of the chip's side of the bus to DRAM count: where ranges leave
        its bandwidth open, always, or never.
    dram_budget_gb_per_s : float, optional
        Upper limit of what memories off the chip move, in GB/s at the technology's clock. Where
        one parameter alone is their bandwidth, its range ends there.

    Raises
    ------
    ArchitectureError
        If a range is empty or reversed, a parameter is unknown, there is no range at all, or a
        level has no area.
    InputError
        If no point meets the budgets; says which one binds and the least that would do.

    Examples
    --------
    >>> space = hardware_space("gemmini-ws", ranges={"side": [8, 16]})
    >>> space.size, str(space.ranges["side"])
    (180, '8..16 doubling')
    """
    opened = template if isinstance(template, ArchitectureTemplate) else load_template(template)
    chosen = dict(opened.ranges)
    for name, data in ({} if ranges is None else ranges).items():
        key = f"ranges.{name}"
        known = opened.parameters
        if name not in known:
            raise ArchitectureError(
                f"unknown parameter {describe(name)}{suggest(str(name), known)}; "
                f"known: {', '.join(known) or 'none'}",
                source=opened.source,
                key=key,
            )
        chosen[name] = parse_range(data, opened.source, key)
    if not chosen:
        raise ArchitectureError(
            "no parameter has a range; expected ranges in the file, such as "
            "side: {from: 4, to: 64, step: double}, or as an argument",
            source=opened.source,
            key="ranges",
        )
    space = HardwareSpace(
        opened,
        chosen,
        technology or Technology(),
        positive_budget("area_budget_um2", area_budget_um2),
        positive_budget("power_budget_mw", power_budget_mw),
        energies,
        bypass,
        dram_budget_gb_per_s=positive_budget("dram_budget_gb_per_s", dram_budget_gb_per_s),
    )
    if dram_interface not in get_args(DramInterface):
        raise InputError(
            f"expected one of {', '.join(get_args(DramInterface))}, got "
            f"{describe(dram_interface)}",
            key="dram_interface",
        )
    paced = dram_parameters(space)
    if dram_interface == "always" or (dram_interface == "chosen" and paced):
        space = replace(space, interfaces=True)
    if space.dram_budget_gb_per_s is not None:
        space = within_dram(space, paced)
    check_budgets(space)
    return space


def _speeds(arch: Architecture) -> list[tuple[object, ...]]:
    """What makes an architecture faster or roomier, level by level."""
    figures: list[tuple[object, ...]] = []
    for level in arch.levels:
        if isinstance(level, Memory):
            figures.append((level.capacity_words, level.bandwidth))
        elif isinstance(level, Fanout):
            wires = level.wires
            speed = () if wires is None else (wires.read_bandwidth, wires.write_bandwidth)
            figures.append((level.mesh, *speed))
        else:
            figures.append((level.mesh, level.cycles))
    unit = arch.vector_unit
    return [*figures, (None if unit is None else unit.lanes,)]
