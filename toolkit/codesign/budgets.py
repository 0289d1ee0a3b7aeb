"""Budgets of a hardware space: what counts against them, and whether anything meets them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from toolkit.arch.architecture import Architecture
from toolkit.arch.components import OFF_CHIP, Component
from toolkit.arch.expressions import Number
from toolkit.arch.ranges import parse_range
from toolkit.arch.technology import area_table
from toolkit.arguments import plain_number
from toolkit.errors import InputError
from toolkit.messages import describe

if TYPE_CHECKING:
    from toolkit.codesign.space import HardwareSpace


def dram_bits_per_cycle(arch: Architecture, components: Mapping[str, Component]) -> list[float]:
    """Bits that each memory off the chip moves per cycle."""
    return [
        memory.bandwidth * components[memory.name].word_bits
        for memory in arch.memories
        if memory.name in components and components[memory.name].kind in OFF_CHIP
    ]


def dram_parameters(space: HardwareSpace) -> tuple[str, ...]:
    """Name the parameters that change the bits that memories off the chip move per cycle."""

    def bits(parameters: Mapping[str, Number]) -> list[float]:
        point = space.build(parameters)
        return dram_bits_per_cycle(point.arch, point.components)

    default = space.default
    return tuple(
        name
        for name, found in space.ranges.items()
        if bits({**default, name: found.values[0]}) != bits({**default, name: found.values[-1]})
    )


def within_dram(space: HardwareSpace, paced: Sequence[str]) -> HardwareSpace:
    """Leave out values of the one parameter that is the bandwidth of DRAM, if it is one.

    Raises
    ------
    InputError
        If the file does not say which memory is off the chip.
    """
    if not space.build(space.default).dram_gb_per_s:
        raise InputError(
            "a budget of DRAM needs a memory with a component off the chip (dram, lpddr4, ...)",
            source=space.template.source,
            key="dram_budget_gb_per_s",
        )
    if len(paced) != 1:
        return space
    (name,) = paced
    fits = [
        value
        for value in space.ranges[name].values
        if "DRAM" not in space.excess(space.build({**space.default, name: value}))
    ]
    if not fits:
        return space
    return replace(space, ranges={**space.ranges, name: parse_range(fits)})


def positive_budget(key: str, value: float | None) -> float | None:
    """Check a budget.

    Raises
    ------
    InputError
        If it is given and no positive number.
    """
    value = plain_number(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (number and math.isfinite(value) and value > 0):
        return value
    raise InputError(f"expected a positive number, got {describe(value)}", key=key)


def check_budgets(space: HardwareSpace) -> None:
    """Refuse budgets that even the smallest point exceeds."""
    point = space.build(space.smallest)
    binding = space.excess(point)
    if not binding:
        return
    setting = ", ".join(f"{name}={value}" for name, value in point.parameters.items())
    reasons = []
    if "DRAM" in binding and space.dram_budget_gb_per_s is not None:
        reasons.append(
            f"the budget of {space.dram_budget_gb_per_s:.4g} GB/s of DRAM binds: the least that "
            f"would do is {_upwards(point.dram_gb_per_s)} GB/s"
        )
    rows = sorted(area_table(point.arch), key=lambda row: -row.area_total_um2)
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
