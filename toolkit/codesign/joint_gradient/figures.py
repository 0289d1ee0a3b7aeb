"""Figures of hardware near a point, differentiable in its sizes.

Energies, bandwidths, capacities, meshes, area and power follow from the parameters of a template
by arbitrary expressions and tables. Near a point they are close to power laws of the parameters,
whose exponents are measured on the neighbouring points of the space.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.levels import Compute, Fanout, Level, Memory
from toolkit.codesign.space import HardwarePoint, HardwareSpace

Figure = Callable[[HardwarePoint], float]

_MEMORY = (
    "capacity_words",
    "read_energy_pj",
    "write_energy_pj",
    "read_bandwidth",
    "write_bandwidth",
    "leakage_pj_per_cycle",
)
_PORT = "ports."
"""What the figure of a named port begins with; its name follows."""
_COMPUTE = ("mac_energy_pj", "leakage_pj_per_cycle")
_FANOUT = ("mesh",)


def steps_of(space: HardwareSpace, parameters: Mapping[str, Number]) -> torch.Tensor:
    """Natural logarithms of the parameters, float64 [parameters]."""
    return torch.tensor([math.log(parameters[name]) for name in space.ranges], dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class LocalFigures:
    """Figures of all levels, and area and power, as power laws around one point or several.

    Or, for every row of a batch, around a point of its own (`side_by_side`).

    Parameters
    ----------
    arch : Architecture
        At one of the points.
    centre : float64 tensor, shape (points, parameters)
        Logarithms of their parameters.
    values : dict
        Figures at the points, by (level number, field), float64 tensors of shape (points,);
        level -1 is the chip.
    exponents : dict
        By the same keys, float64 tensors of shape (points, parameters).
    """

    arch: Architecture
    centre: torch.Tensor
    values: dict[tuple[int, str], torch.Tensor]
    exponents: dict[tuple[int, str], torch.Tensor]

    def figure(self, key: tuple[int, str], logs: torch.Tensor) -> torch.Tensor:
        """Value of a figure at parameters with these logarithms [points, parameters]."""
        return self.values[key] * ((logs - self.centre) * self.exponents[key]).sum(-1).exp()

    def log_need(self, key: tuple[int, str], need: torch.Tensor, name: int) -> torch.Tensor:
        """Logarithm of parameter number `name` at which a figure reaches what is needed.

        Parameters
        ----------
        need : float64 tensor, shape (..., points)
            Of each point.
        """
        exponent = self.exponents[key][:, name]
        return self.centre[:, name] + (need / self.values[key]).log() / exponent

    def arch_at(
        self, logs: torch.Tensor, times: int = 1, arch: Architecture | None = None
    ) -> Architecture:
        """An architecture with figures of shape [times * points]; for the cost model alone.

        Parameters
        ----------
        logs : float64 tensor, shape (points, parameters)
            Of the parameters.
        times : int
            How often all figures are repeated.
        arch : Architecture, optional
            Whose levels have them, such as one with other bypasses.
        """
        levels = (arch or self.arch).levels
        changed = [self._level(i, level, logs, times) for i, level in enumerate(levels)]
        return replace(arch or self.arch, levels=tuple(changed))

    def to(self, device: str | torch.device) -> LocalFigures:
        """The same on a device."""
        return replace(
            self,
            centre=self.centre.to(device),
            values={key: value.to(device) for key, value in self.values.items()},
            exponents={key: row.to(device) for key, row in self.exponents.items()},
        )

    def _level(self, place: int, level: Level, logs: torch.Tensor, times: int) -> Level:
        changed: dict[str, Any] = {
            name: self.figure((place, name), logs).repeat(times)
            for name in _fields(level)
            if name != "capacity_words" and self._varies(place, name)
        }
        if isinstance(level, Memory) and level.ports:
            ports = (
                replace(port, bandwidth=changed.pop(_PORT + port.name, port.bandwidth))
                for port in level.ports
            )
            level = replace(level, ports=tuple(ports))
        return replace(level, **changed) if changed else level

    def _varies(self, place: int, name: str) -> bool:
        exponents = self.exponents.get((place, name))
        if exponents is None:
            return False
        values = self.values[place, name]
        return bool((values != values[0]).any()) or bool((exponents != 0).any())

    def sizing(self) -> dict[tuple[int, str], int]:
        """For every capacity or mesh that parameters change, which one changes it most."""
        found = {}
        for (place, name), exponents in self.exponents.items():
            if name in ("capacity_words", "mesh") and bool((exponents > 0).any()):
                found[place, name] = int(exponents.sum(dim=0).argmax())
        return found

    def rows(self, places: torch.Tensor) -> LocalFigures:
        """Take the figures of some rows, in this order, from those of `side_by_side`."""
        return LocalFigures(
            self.arch,
            self.centre[places],
            {key: value[places] for key, value in self.values.items()},
            {key: row[places] for key, row in self.exponents.items()},
        )


def local_figures(space: HardwareSpace, parameters: Mapping[str, Number]) -> LocalFigures:
    """Measure the figures of a point and of its neighbours, two for every parameter."""
    centre = space.build(parameters)
    values = _figures(centre)
    exponents = {key: np.zeros(len(space.ranges)) for key in values}
    for j, (name, found) in enumerate(space.ranges.items()):
        place = found.index(parameters[name])
        low = found.values[max(place - 1, 0)]
        high = found.values[min(place + 1, len(found.values) - 1)]
        if low == high:
            continue
        ends = [_figures(space.build({**parameters, name: value})) for value in (low, high)]
        for key in values:
            if ends[0][key] > 0 and ends[1][key] > 0:
                exponents[key][j] = math.log(ends[1][key] / ends[0][key]) / math.log(high / low)
    return LocalFigures(
        centre.arch,
        steps_of(space, parameters)[None],
        {key: torch.tensor([value], dtype=torch.float64) for key, value in values.items()},
        {key: torch.tensor(row, dtype=torch.float64)[None] for key, row in exponents.items()},
    )


def side_by_side(figures: Sequence[LocalFigures]) -> LocalFigures:
    """Figures around several points of one space, each for a start of its own."""
    first = figures[0]
    return LocalFigures(
        first.arch,
        torch.cat([one.centre for one in figures]),
        {key: torch.cat([one.values[key] for one in figures]) for key in first.values},
        {key: torch.cat([one.exponents[key] for one in figures]) for key in first.exponents},
    )


def _fields(level: Level) -> tuple[str, ...]:
    if isinstance(level, Memory):
        return (*_MEMORY, *(_PORT + port.name for port in level.ports))
    return _FANOUT if isinstance(level, Fanout) else _COMPUTE


def _figure(level: Level, name: str) -> float | None:
    if name.startswith(_PORT) and isinstance(level, Memory):
        return next(port.bandwidth for port in level.ports if _PORT + port.name == name)
    value: float | None = getattr(level, name)
    return value


def _figures(point: HardwarePoint) -> dict[tuple[int, str], float]:
    found = {(-1, "area"): point.area_um2, (-1, "power"): point.power_mw}
    for i, level in enumerate(point.arch.levels):
        for name in _fields(level):
            value = _figure(level, name)
            if value is not None:
                found[i, name] = float(value)
        if isinstance(level, Compute) and level.mesh > 1:
            found[i, "mesh"] = float(level.mesh)
    return found
