"""Descent of the tilings of all layers together, with the hardware that follows from them.

DOSA's and FA-DOSA's path: factors are real, the cost model is run by torch, and sizes of the
hardware are the largest that any layer's tiles need. The loss is a sum of logarithms of latency,
energy and area; what exceeds ranges and budgets is penalised. Now and then all tilings are
rounded, and the hardware that the rounded ones need is proposed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from toolkit.arch.expressions import Number
from toolkit.arch.levels import Memory
from toolkit.codesign.evaluation import HardwareCost
from toolkit.codesign.joint_gradient.figures import local_figures, steps_of
from toolkit.codesign.joint_gradient.relaxation import EdgeSavings, LayerBatch, gather
from toolkit.codesign.space import HardwareSpace
from toolkit.model.cost import batch_cost
from toolkit.processes import one_torch_thread
from toolkit.search.gradient.descent import StraightThrough, memory_words

BATCH = 4
"""Variants that descend side by side: the mappings as they are, and shaken ones."""

STEPS, ROUND_EVERY = 12, 4
"""Steps of Adam of a descent, and after how many of them tilings are rounded."""

SHAKE = 0.4
"""Standard deviation of what is added to the logarithms of factors of shaken variants."""

_RATE = 0.25
"""Step of Adam in units of the logarithm of a factor: all steps together cross a factor of 20."""

_SOFTNESS = 0.05
"""Temperature of the soft maximum over layers, in logarithms of sizes: small enough to follow the
largest need closely, large enough that gradients reach layers that need almost as much."""

_REACH = math.log(4.0)
"""How far sizes move from where figures were measured: their power laws hold nearby."""

_PENALTY = 6.0
"""Weight of the logarithm of area or power over its budget: above the exponents of costs, so that
exceeding a budget does not pay."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Hardware that a descent arrives at: logarithms of its parameters, and its loss.

    `rounded` tells whether it is what rounded tilings need.
    """

    logs: torch.Tensor
    loss: float
    rounded: bool


class NetworkDescent:
    """Layers of networks that descend together from the mappings of one hardware point.

    Parameters
    ----------
    space : HardwareSpace
        Where hardware may lie.
    cost : HardwareCost
        The point to set out from, and its mappings.
    weights : sequence of float
        Of the networks.
    powers : tuple of float
        Exponents of energy, latency and area.
    rng : numpy.random.Generator
        Shakes variants.
    fusion : EdgeSavings, optional
        What fusing layers would save; it is decided along with the tilings.
    """

    def __init__(
        self,
        space: HardwareSpace,
        cost: HardwareCost,
        weights: Sequence[float],
        powers: tuple[float, float, float],
        rng: np.random.Generator,
        fusion: EdgeSavings | None = None,
    ) -> None:
        self._space, self._powers, self._fusion = space, powers, fusion
        self._figures = local_figures(space, cost.point.parameters)
        self._sizing = self._figures.sizing()
        self._low = steps_of(space, space.smallest)
        self._high = steps_of(space, space.largest)
        largest = space.build(space.largest).arch
        batches, self._energy, self._latency = gather(largest, cost, weights, BATCH, rng, SHAKE)
        self._batches: list[LayerBatch] = batches
        self._free = self._figures.centre.expand(BATCH, -1).clone().requires_grad_()
        self._choice = (
            torch.zeros((BATCH, len(fusion)), dtype=torch.float64, requires_grad=True)
            if fusion is not None
            else None
        )

    @property
    def mappings(self) -> int:
        """Relaxed mappings that every step costs."""
        return sum(len(batch.logs) for batch in self._batches)

    @one_torch_thread()
    def run(self, steps: int = STEPS) -> list[Proposal]:
        """Descend; what every variant arrives at, the lowest loss first."""
        variables = [batch.logs for batch in self._batches] + [self._free]
        variables += [self._choice] if self._choice is not None else []
        adam = torch.optim.Adam(variables, lr=_RATE, betas=(0.8, 0.95))
        found: list[Proposal] = []
        for step in range(1, steps + 1):
            adam.zero_grad()
            loss, hardware = self.loss(step / steps)
            torch.autograd.backward(loss.sum())
            if step % ROUND_EVERY == 0 or step == steps:
                found += self._proposals(loss, hardware, step / steps)
            for batch in self._batches:
                batch.tangent()
            for variable in (self._free, self._choice):
                if variable is not None and variable.grad is not None:
                    variable.grad.nan_to_num_(0.0, 0.0, 0.0)
            adam.step()
            with torch.no_grad():
                for batch in self._batches:
                    batch.project()
                self._free.copy_(torch.minimum(torch.maximum(self._free, self._low), self._high))
        # What rounded tilings need comes first: sizes between them only cost.
        return sorted(found, key=lambda proposal: (not proposal.rounded, proposal.loss))

    def _proposals(
        self, loss: torch.Tensor, hardware: torch.Tensor, progress: float
    ) -> list[Proposal]:
        with torch.no_grad():
            losses = loss.nan_to_num(torch.inf).tolist()
            factors = [batch.rounded() for batch in self._batches]
            chance = self._chance(progress)
            # Decided fusion, and the hard maximum over layers.
            chance = None if chance is None else (chance > 0.5).to(torch.float64)
            needed = self._hardware(factors, chance, softness=0.0)
        return [
            Proposal(logs[b].detach().clone(), losses[b], logs is needed)
            for logs in (needed, hardware)
            for b in range(BATCH)
        ]

    def loss(self, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of every variant [batch], and the hardware that follows [batch, parameters].

        Parameters
        ----------
        progress : float
            From 0 to 1; fusion decisions grow colder.
        """
        factors = [batch.logs.exp() for batch in self._batches]
        chance = self._chance(progress)
        hardware = self._hardware(factors, chance, _SOFTNESS)
        energy = torch.full_like(hardware[:, 0], self._energy)
        latency = torch.full_like(hardware[:, 0], self._latency)
        over = self._beyond(hardware)
        for batch, own in zip(self._batches, factors, strict=True):
            count = len(batch.counts)
            arch = self._figures.arch_at(hardware.repeat(count, 1))
            with StraightThrough():
                cost = batch_cost(replace(batch.problem.plan, arch=arch), own, batch.order)
            spent, cycles = cost.energy_pj, cost.latency_cycles
            if self._fusion is not None and chance is not None:
                dram = arch.memories[0]
                saved = self._fusion.saved_words(batch.names, chance).reshape(-1)
                spent = spent - saved * dram.read_energy_pj
                cycles = self._fusion.latency(cost, saved, dram)
            shape = count, BATCH
            energy = energy + batch.counts @ (spent.reshape(shape) + batch.energies[:, None])
            slowest = torch.maximum(cycles.reshape(shape), batch.latencies[:, None])
            latency = latency + batch.counts @ slowest
            over = over + batch.excess(own).reshape(shape).sum(dim=0)
        area = self._figures.figure((-1, "area"), hardware)
        total = over
        for power, value in zip(self._powers, (energy, latency, area), strict=True):
            if power:
                total = total + power * value.clamp(min=1e-300).log()
        return total, hardware

    def _chance(self, progress: float) -> torch.Tensor | None:
        """Probability that each tensor is fused; colder towards the end of a descent."""
        return None if self._choice is None else torch.sigmoid(self._choice * (1 + 4 * progress))

    def _hardware(
        self, factors: Sequence[torch.Tensor], chance: torch.Tensor | None, softness: float
    ) -> torch.Tensor:
        """Logarithms of the parameters that run all layers; free ones as they are."""
        needs: dict[int, list[torch.Tensor]] = {}
        for batch, own in zip(self._batches, factors, strict=True):
            for (place, field), name in self._sizing.items():
                need = self._need(batch, own, place, field, chance)
                logs = self._figures.log_need((place, field), need, name)
                needs.setdefault(name, []).append(logs.reshape(-1, BATCH))
        columns = list(self._free.unbind(1))
        for name, found in needs.items():
            every = torch.cat(found)
            if softness:
                most = softness * torch.logsumexp(every / softness, dim=0)
            else:
                most = every.amax(dim=0)
            columns[name] = most.clamp(min=float(self._low[name]), max=float(self._high[name]))
        logs = torch.stack(columns, dim=1)
        centre = self._figures.centre
        return centre + (logs - centre).clamp(-_REACH, _REACH)

    def _need(
        self,
        batch: LayerBatch,
        factors: torch.Tensor,
        place: int,
        field: str,
        chance: torch.Tensor | None,
    ) -> torch.Tensor:
        if field == "mesh":
            return factors[:, place].prod(dim=1)
        space = batch.problem.space
        memory = list(space.memory_levels).index(place)
        words = memory_words(space, memory, factors)
        if self._fusion is not None and chance is not None and memory == self._fusion.memory:
            words = words + self._fusion.held_words(batch.names, chance).reshape(-1)
        level = space.arch.levels[place]
        return words * (level.multiple_buffering if isinstance(level, Memory) else 1.0)

    def _beyond(self, hardware: torch.Tensor) -> torch.Tensor:
        """Penalty for area and power over their budgets."""
        over = torch.zeros_like(hardware[:, 0])
        budgets = (
            ("area", self._space.area_budget_um2),
            ("power", self._space.power_budget_mw),
        )
        for name, budget in budgets:
            if budget is not None:
                ratio = (self._figures.figure((-1, name), hardware) / budget).log().clamp(min=0)
                over = over + _PENALTY * (ratio + ratio**2)
        return over


def points_near(space: HardwareSpace, proposal: Proposal) -> list[dict[str, Number]]:
    """Points of the space at proposed sizes: those that run what needs them, or the nearest."""
    point: dict[str, Number] = {}
    for (name, found), log in zip(space.ranges.items(), proposal.logs.tolist(), strict=True):
        value = math.exp(log)
        if proposal.rounded:
            point[name] = found.round_up(value * (1 - 1e-6)) or found.values[-1]
        else:
            point[name] = min(found.values, key=lambda v: abs(math.log(v) - log))  # noqa: B023
    return [point]
