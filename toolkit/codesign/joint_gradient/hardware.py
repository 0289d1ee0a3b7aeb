"""Learnable hardware: sizes of a space that follow from what runs, or are learned themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import torch

from toolkit.arch.architecture import Architecture
from toolkit.arch.expressions import Number
from toolkit.arch.levels import Memory
from toolkit.codesign.joint_gradient.figures import (
    local_figures,
    side_by_side,
    steps_of,
)
from toolkit.codesign.space import HardwareSpace
from toolkit.errors import InputError
from toolkit.search.gradient.relaxed_cost import exceeding

Sizes = Literal["needed", "learned"]

SOFTNESS = 0.05
"""Temperature of the soft maximum over layers, in logarithms of sizes: small enough to follow the
largest need closely, large enough that gradients reach layers that need almost as much."""

REACH = math.log(4.0)
"""How far sizes move from where figures were measured: their power laws hold nearby."""


def soft_maximum(logs: torch.Tensor, softness: float = SOFTNESS) -> torch.Tensor:
    """Maximum over the first axis; smooth, unless `softness` is 0."""
    if softness:
        return softness * torch.logsumexp(logs / softness, dim=0)
    return logs.amax(dim=0)


class Hardware(torch.nn.Module):
    """Sizes of a hardware space, and what they make, of several starts.

    Parameters
    ----------
    space : HardwareSpace
        Where hardware may lie.
    parameters : mapping of str to number
        The point to set out from.
    starts : int
        Hardware that is learned side by side.
    sizes : {"needed", "learned"}
        Whether what sizes capacities and meshes is as large as the tilings need, DOSA's way, or
        is learned, so that tilings which need more are penalised. Other parameters are learned in
        any case.

    Attributes
    ----------
    logs : Parameter, float64, shape (starts, learned parameters)
        Logarithms of what is learned; a buffer if that is nothing.

    Raises
    ------
    InputError
        If `sizes` is neither.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(
        self,
        space: HardwareSpace,
        parameters: Mapping[str, Number],
        starts: int,
        sizes: Sizes = "needed",
    ) -> None:
        super().__init__()
        if sizes not in get_args(Sizes):
            raise InputError(f"expected needed or learned, got {sizes!r}", key="sizes")
        self.space, self.sizes = space, sizes
        self.figures = local_figures(space, parameters)
        self.sizing = self.figures.sizing()
        needed = set(self.sizing.values()) if sizes == "needed" else set()
        self.learned = [j for j in range(len(space.ranges)) if j not in needed]
        centre = self.figures.centre[:, self.learned].repeat(starts, 1)
        self.logs: torch.Tensor
        if self.learned:
            self.logs = torch.nn.Parameter(centre)
        else:
            self.register_buffer("logs", centre)
        self.register_buffer("low", steps_of(space, space.smallest))
        self.register_buffer("high", steps_of(space, space.largest))

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        found = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.figures = self.figures.to(self.logs.device)
        return found

    def get_extra_state(self) -> torch.Tensor:
        """Where figures were measured, for a ``state_dict``."""
        return self.figures.centre

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Measure figures there again."""
        self.recentre_(state)

    def forward(
        self, needs: Mapping[int, torch.Tensor], softness: float = SOFTNESS
    ) -> torch.Tensor:
        """Logarithms of all parameters, [starts, parameters].

        Parameters
        ----------
        needs : mapping of int to float64 tensor, shape (layers, starts)
            Instances or usable words that layers ask of levels, by level number.
        softness : float
            Of the maximum over layers; 0 for the hard one.
        """
        columns: list[Any] = [None] * len(self.space.ranges)
        for j, column in zip(self.learned, self._within().unbind(1), strict=True):
            columns[j] = column
        if self.sizes == "needed":
            for j, column in self._asked(needs, softness).items():
                columns[j] = column.clamp(min=float(self.low[j]), max=float(self.high[j]))
        logs, centre = torch.stack(columns, dim=1), self.figures.centre
        return centre + (logs - centre).clamp(-REACH, REACH)

    def needed(
        self, needs: Mapping[int, torch.Tensor], softness: float = SOFTNESS
    ) -> dict[str, torch.Tensor]:
        """Sizes that layers ask for, by parameter, [starts] each; not limited to their ranges.

        Parameters
        ----------
        needs, softness
            As `forward` takes them.
        """
        names = list(self.space.ranges)
        asked = self._asked(needs, softness)
        return {names[j]: asked[j].exp() for j in sorted(asked)}

    def _asked(
        self, needs: Mapping[int, torch.Tensor], softness: float
    ) -> dict[int, torch.Tensor]:
        """Logarithms of the sizes that layers ask for, [starts] by number of the parameter."""
        asked: dict[int, list[torch.Tensor]] = {}
        for (place, field), name in self.sizing.items():
            amount = (needs[place] * self._copies(place)).clamp(min=1e-300)
            logs = self.figures.log_need((place, field), amount, name)
            asked.setdefault(name, []).append(logs)
        return {j: soft_maximum(torch.cat(found), softness) for j, found in asked.items()}

    def limits(self, logs: torch.Tensor) -> dict[int, torch.Tensor]:
        """Instances and usable words that there are of learned sizes, [starts], by level."""
        if self.sizes == "needed":
            return {}
        return {
            place: self.figures.figure((place, field), logs) / self._copies(place)
            for place, field in self.sizing
        }

    def arch_at(self, logs: torch.Tensor) -> Callable[[Architecture, int], Architecture]:
        """What gives an architecture these figures, repeated so often."""
        return lambda arch, times: self.figures.arch_at(logs, times, arch)

    def area_um2(self, logs: torch.Tensor) -> torch.Tensor:
        """Area of the chip, [starts]."""
        return self.figures.figure((-1, "area"), logs)

    def over_budget(self, logs: torch.Tensor) -> torch.Tensor:
        """Penalty for area and power over their budgets, [starts]."""
        over = torch.zeros_like(logs[:, 0])
        budgets = (("area", self.space.area_budget_um2), ("power", self.space.power_budget_mw))
        for name, budget in budgets:
            if budget is not None:
                over = over + exceeding(self.figures.figure((-1, name), logs) / budget)
        return over

    @torch.no_grad()
    def project_(self) -> None:
        """Return learned sizes to their ranges, after a step of an optimiser."""
        self.logs.copy_(self._clamped())

    @torch.no_grad()
    def recentre_(self, logs: torch.Tensor) -> None:
        """Measure figures anew at the points nearest to these parameters [starts, parameters]."""
        found = [local_figures(self.space, nearest(self.space, row)) for row in logs]
        self.figures = side_by_side(found).to(self.logs.device)

    def _within(self) -> torch.Tensor:
        """Learned logarithms within their ranges; gradients pass as if they were not limited."""
        return self.logs + (self._clamped() - self.logs).detach()

    def _clamped(self) -> torch.Tensor:
        low, high = self.low[self.learned], self.high[self.learned]
        centre = self.figures.centre[:, self.learned]
        near = centre + (self.logs - centre).clamp(-REACH, REACH)
        return torch.minimum(torch.maximum(near, low), high)

    def _copies(self, place: int) -> float:
        """Words of capacity for each usable word."""
        level = self.figures.arch.levels[place]
        return level.multiple_buffering if isinstance(level, Memory) else 1.0


def nearest(space: HardwareSpace, logs: torch.Tensor) -> dict[str, Number]:
    """The point of a space whose parameters have the nearest logarithms [parameters]."""

    def closest(values: Sequence[Number], log: float) -> Number:
        return min(values, key=lambda value: abs(math.log(value) - log))

    pairs = zip(space.ranges.items(), logs.tolist(), strict=True)
    return {name: closest(found.values, log) for (name, found), log in pairs}


def enough(space: HardwareSpace, logs: torch.Tensor) -> dict[str, Number]:
    """The least point of a space that has what these logarithms [parameters] say, if one has."""
    pairs = zip(space.ranges.items(), logs.tolist(), strict=True)
    return {
        name: found.round_up(math.exp(log) * (1 - 1e-6)) or found.values[-1]
        for (name, found), log in pairs
    }
