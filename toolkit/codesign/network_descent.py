"""Descent of the tilings of all layers together, with the hardware that follows from them.

DOSA's and FA-DOSA's path: factors are real, the cost model is run by torch, and sizes of the
hardware are the largest that any layer's tiles need. The loss is a sum of logarithms of latency,
energy and area; what exceeds ranges and budgets is penalised.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from toolkit.arch.expressions import Number
from toolkit.codesign.evaluation import HardwareCost
from toolkit.codesign.fusion_relaxation import EdgeSavings
from toolkit.codesign.local_figures import local_figures, steps_of
from toolkit.codesign.space import HardwareSpace
from toolkit.mapping.mapping import to_arrays
from toolkit.model.cost import batch_cost
from toolkit.search.gradient_loss import StraightThrough, excess, tile_words
from toolkit.search.gradient_relaxation import Simplex, make_simplex
from toolkit.search.problem import Problem, make_problem
from toolkit.search.torch_threads import one_thread

BATCH = 4
"""Variants that descend side by side: the mappings as they are, and shaken ones."""

STEPS = 24
"""Steps of Adam between two roundings."""

SHAKE = 0.4
"""Standard deviation of what is added to the logarithms of factors of shaken variants."""

_RATE = 0.12
_SOFTNESS = 0.05
_REACH = math.log(4.0)
_PENALTY = 4.0


@dataclass(eq=False)
class _Layer:
    """One distinct layer: its problem on the largest hardware, and how often it runs.

    `energy_pj` and `latency_cycles` are those of its vector part.
    """

    name: str
    problem: Problem
    simplex: Simplex
    order: torch.Tensor
    logs: torch.Tensor
    count: float
    energy_pj: float
    latency_cycles: float
    names: list[str]


@dataclass(frozen=True, eq=False)
class Proposal:
    """Hardware that a descent arrives at: logarithms of its parameters, and its loss."""

    logs: torch.Tensor
    loss: float


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
        self._energy, self._latency = 0.0, 0.0
        self._layers = self._read(cost, weights, rng)
        self._sizing = self._figures.sizing()
        self._low = steps_of(space, space.smallest)
        self._high = steps_of(space, space.largest)
        self._sized = sorted(set(self._sizing.values()))
        centre = self._figures.centre.expand(BATCH, -1).clone()
        self._free = centre.requires_grad_()
        self._cuts = (
            torch.zeros((BATCH, len(fusion)), dtype=torch.float64, requires_grad=True)
            if fusion is not None
            else None
        )

    def _read(
        self, cost: HardwareCost, weights: Sequence[float], rng: np.random.Generator
    ) -> list[_Layer]:
        """Gather equal layers, and what has no mapping as constants."""
        largest = self._space.build(self._space.largest).arch
        found: dict[object, _Layer] = {}
        for weight, network in zip(weights, cost.networks, strict=True):
            for layer in network.layers:
                times = weight * layer.repetitions
                vector = layer.vector
                energy = vector.energy_pj if vector is not None else 0.0
                latency = vector.latency_cycles if vector is not None else 0.0
                if layer.cost is None:
                    self._energy += times * energy
                    self._latency += times * latency
                    continue
                workload = replace(layer.cost.workload, name="")
                key = (workload, layer.cost.mapping, latency)
                if key not in found:
                    problem = make_problem(largest, workload, pad="all")
                    factors, order = to_arrays(layer.cost.mapping, problem.arch, problem.workload)
                    simplex = make_simplex(problem.space)
                    logs = torch.tensor(np.log(factors.astype(float))).expand(BATCH, -1, -1)
                    shaken = torch.tensor(rng.normal(0, SHAKE, logs.shape))
                    shaken[0] = 0.0
                    found[key] = _Layer(
                        layer.name,
                        problem,
                        simplex,
                        torch.tensor(order).expand(BATCH, -1, -1),
                        simplex.project(logs + shaken).requires_grad_(),
                        0.0,
                        energy,
                        latency,
                        [],
                    )
                found[key].count += times
                found[key].names.append(layer.name)
        return list(found.values())

    @one_thread()
    def run(self, steps: int = STEPS) -> list[Proposal]:
        """Descend; the hardware of every variant, the lowest loss first."""
        variables = [layer.logs for layer in self._layers] + [self._free]
        variables += [self._cuts] if self._cuts is not None else []
        adam = torch.optim.Adam(variables, lr=_RATE, betas=(0.8, 0.95))
        for step in range(steps):
            adam.zero_grad()
            loss, _ = self._loss(step / steps)
            loss.sum().backward()
            with torch.no_grad():
                for variable in variables:
                    if variable.grad is not None:
                        variable.grad.nan_to_num_(0.0, 0.0, 0.0)
                for layer in self._layers:
                    if layer.logs.grad is not None:
                        layer.logs.grad.copy_(layer.simplex.along(layer.logs.grad))
            adam.step()
            with torch.no_grad():
                for layer in self._layers:
                    layer.logs.copy_(layer.simplex.project(layer.logs))
                self._free.copy_(torch.minimum(torch.maximum(self._free, self._low), self._high))
        with torch.no_grad():
            loss, logs = self._loss(1.0)
        order = torch.argsort(loss.nan_to_num(torch.inf)).tolist()
        return [Proposal(logs[b].clone(), float(loss[b])) for b in order]

    def _loss(self, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of every variant [batch], and the hardware that follows [batch, parameters]."""
        factors = [layer.logs.exp() for layer in self._layers]
        chance = self._chance(progress)
        hardware = self._hardware(factors, chance)
        arch = self._figures.arch_at(hardware)
        energy = torch.full_like(hardware[:, 0], self._energy)
        latency = torch.full_like(hardware[:, 0], self._latency)
        over = self._beyond(hardware)
        for layer, own in zip(self._layers, factors, strict=True):
            plan = replace(layer.problem.plan, arch=arch)
            with StraightThrough():
                cost = batch_cost(plan, own, layer.order)
            spent, cycles = cost.energy_pj, cost.latency_cycles
            if self._fusion is not None and chance is not None:
                saved = self._fusion.saved_words(layer.names, chance) / len(layer.names)
                dram = arch.memories[0]
                spent = spent - saved * dram.read_energy_pj
                cycles = self._fusion.latency(cost, saved, dram)
            energy = energy + layer.count * (spent + layer.energy_pj)
            latency = latency + layer.count * cycles.clamp(min=layer.latency_cycles)
            over = over + excess(layer.problem.space, own)
        area = self._figures.figure((-1, "area"), hardware)
        terms = zip(self._powers, (energy, latency, area), strict=True)
        total = sum(
            (power * value.clamp(min=1e-300).log() for power, value in terms if power),
            start=torch.zeros_like(energy),
        )
        return total + over, hardware

    def _chance(self, progress: float) -> torch.Tensor | None:
        """Probability that each candidate is fused; colder towards the end of a descent."""
        return None if self._cuts is None else torch.sigmoid(self._cuts * (1 + 4 * progress))

    def _hardware(
        self, factors: Sequence[torch.Tensor], chance: torch.Tensor | None
    ) -> torch.Tensor:
        """Logarithms of the parameters that run all layers; free ones as they are."""
        needs: dict[int, list[torch.Tensor]] = {name: [] for name in self._sized}
        for layer, own in zip(self._layers, factors, strict=True):
            for (place, field), name in self._sizing.items():
                need = self._need(layer, own, place, field, chance)
                needs[name].append(self._figures.log_need((place, field), need, name))
        columns = list(self._free.unbind(1))
        for name, found in needs.items():
            stacked = torch.stack(found) / _SOFTNESS
            most = _SOFTNESS * torch.logsumexp(stacked, dim=0)
            columns[name] = most.clamp(min=float(self._low[name]), max=float(self._high[name]))
        logs = torch.stack(columns, dim=1)
        centre = self._figures.centre
        return centre + (logs - centre).clamp(-_REACH, _REACH)

    def _need(
        self,
        layer: _Layer,
        factors: torch.Tensor,
        place: int,
        field: str,
        chance: torch.Tensor | None,
    ) -> torch.Tensor:
        space = layer.problem.space
        if field == "mesh":
            return factors[:, place].prod(dim=1)
        memory = list(space.memory_levels).index(place)
        extents = factors[:, place:].prod(dim=1)
        words = tile_words(space, memory, extents)
        if self._fusion is not None and chance is not None and memory == self._fusion.memory:
            words = words + self._fusion.held_words(layer.names, chance)
        return words * space.arch.memories[memory].multiple_buffering

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


def rounded(space: HardwareSpace, logs: torch.Tensor) -> list[dict[str, Number]]:
    """Points of the space near real-valued sizes: rounded up, and to the nearest.

    The first runs what needs these sizes; the second may be the better bargain.
    """
    up: dict[str, Number] = {}
    near: dict[str, Number] = {}
    for (name, found), log in zip(space.ranges.items(), logs.tolist(), strict=True):
        value = math.exp(log)
        up[name] = found.round_up(value * (1 - 1e-6)) or found.values[-1]
        near[name] = min(found.values, key=lambda v: abs(math.log(v) - log))
    return [up] if up == near else [up, near]
