"""Hardware spaces: a template whose parameters have ranges, a technology, and budgets."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.files import load_template
from toolkit.arch.levels import OFF_CHIP, Component, Fanout, Memory
from toolkit.arch.ranges import Range, parse_range
from toolkit.arch.technology import Technology, area_table, area_um2, peak_power_mw, priced
from toolkit.arch.template import ArchitectureTemplate
from toolkit.arguments import plain_number
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
    """

    parameters: Mapping[str, Number]
    arch: Architecture
    components: Mapping[str, Component]
    area_um2: float
    power_mw: float


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
    """

    template: ArchitectureTemplate
    ranges: Mapping[str, Range]
    technology: Technology = field(default_factory=Technology)
    area_budget_um2: float | None = None
    power_budget_mw: float | None = None
    energies: bool = True
    bypass: Bypass = "permitted"
    interfaces: bool = False
    _built: dict[tuple[Number, ...], HardwarePoint] = field(
        default_factory=dict, init=False, repr=False
    )

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
            )
        return self._built[key]

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

    def excess(self, point: HardwarePoint) -> dict[str, float]:
        """Tell which budgets a point exceeds, as the ratio to each; empty if none."""
        budgets = (
            ("area", point.area_um2, self.area_budget_um2),
            ("power", point.power_mw, self.power_budget_mw),
        )
        return {
            name: value / budget
            for name, value, budget in budgets
            if budget is not None and value > budget
        }

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
        _budget("area_budget_um2", area_budget_um2),
        _budget("power_budget_mw", power_budget_mw),
        energies,
        bypass,
    )
    if dram_interface not in get_args(DramInterface):
        raise InputError(
            f"expected one of {', '.join(get_args(DramInterface))}, got "
            f"{describe(dram_interface)}",
            key="dram_interface",
        )
    if dram_interface == "always" or (dram_interface == "chosen" and _chooses_dram(space)):
        space = replace(space, interfaces=True)
    _check_budgets(space)
    return space


def _chooses_dram(space: HardwareSpace) -> bool:
    """Whether a parameter changes the bits that memories off the chip move per cycle."""

    def bits_per_cycle(parameters: Mapping[str, Number]) -> list[float]:
        point = space.build(parameters)
        return [
            memory.bandwidth * point.components[memory.name].word_bits
            for memory in point.arch.memories
            if memory.name in point.components and point.components[memory.name].kind in OFF_CHIP
        ]

    default = space.default
    return any(
        bits_per_cycle({**default, name: found.values[0]})
        != bits_per_cycle({**default, name: found.values[-1]})
        for name, found in space.ranges.items()
    )


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


def _budget(key: str, value: float | None) -> float | None:
    value = plain_number(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (number and math.isfinite(value) and value > 0):
        return value
    raise InputError(f"expected a positive number, got {describe(value)}", key=key)


def _check_budgets(space: HardwareSpace) -> None:
    """Refuse budgets that even the smallest point exceeds."""
    point = space.build(space.smallest)
    binding = space.excess(point)
    if not binding:
        return
    setting = ", ".join(f"{name}={value}" for name, value in point.parameters.items())
    rows = sorted(area_table(point.arch), key=lambda row: -row.area_total_um2)
    reasons = []
    if "area" in binding and space.area_budget_um2 is not None:
        largest = f"{rows[0].level} takes {rows[0].area_total_um2 / 1e6:.4g}"
        reasons.append(
            f"the area budget of {space.area_budget_um2 / 1e6:.4g} mm^2 binds: the smallest area "
            f"that would do is {_upwards(point.area_um2 / 1e6)} mm^2 ({largest})"
        )
    if "power" in binding and space.power_budget_mw is not None:
        reasons.append(
            f"the power budget of {space.power_budget_mw:.4g} mW binds: the least power that "
            f"would do is {_upwards(point.power_mw)} mW"
        )
    raise InputError(
        f"nothing meets the budgets, because {' and '.join(reasons)}, with the smallest hardware "
        f"of these ranges, {setting}",
        source=space.template.source,
    )


def _upwards(value: float) -> str:
    """Write four digits, rounded up so that a budget of that much is met."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    return f"{math.ceil(value / unit * (1 - 1e-12)) * unit:.4g}"
