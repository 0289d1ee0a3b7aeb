"""Adam on the real-valued factors of all layers, from several starts side by side.

The variables are the factors of all levels but the outermost, in parts of their largest values;
the outermost memory iterates what is left, so that products always hold. Hardware is the least
that runs all layers of a start. The loss is the objective of all layers together; factors below
1, those of the outermost memory included, and hardware beyond the space are penalised in
proportion to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from toolkit.arch.expressions import Number
from toolkit.arch.levels import Memory
from toolkit.codesign.dosa.rounding import rounded, stationary_orders
from toolkit.codesign.evaluation import HardwareCost
from toolkit.codesign.joint_gradient.figures import (
    LocalFigures,
    local_figures,
    side_by_side,
    steps_of,
)
from toolkit.codesign.space import HardwareSpace
from toolkit.mapping.mapping import IntArray, from_arrays, to_arrays
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.model.cost import batch_cost
from toolkit.processes import one_torch_thread
from toolkit.search.gradient.relaxed_cost import StraightThrough, memory_words
from toolkit.search.network import LayerCost
from toolkit.search.problem import Problem, make_problem
from toolkit.workload.kernel import Workload

RATE = 7.5e-5
"""Step of Adam, of a factor's largest value: as published for ResNet-50 and RetinaNet."""

OVERSIZED = 10.0
"""Weight of the square by which hardware exceeds the space, as published for the array."""

_MEASURED = 100
"""Steps after which figures of hardware are measured anew: a step moves sizes by some percent."""


_EXACT = 1 - 1e-9
"""Sizes that are only a rounding of floats above a value are that value."""


@dataclass(eq=False)
class _Row:
    """One distinct layer of one start."""

    start: int
    problem: Problem
    factors: IntArray
    order: IntArray


_Use = tuple[Workload, LoopMapping]


def _use_of(cost: LayerCost) -> _Use:
    return replace(cost.workload, name=""), cost.mapping


@dataclass(eq=False)
class _Group:
    """Rows whose tensors are indexed alike: one batch of the cost model.

    Parameters
    ----------
    rows : tuple of int
        Their places in the list of all rows.
    problem : Problem
        Of the first; only sizes differ.
    starts : int64 tensor, shape (rows,)
        Whose layers they are.
    order : int64 tensor, shape (rows, levels, dimensions)
        Loop orders.
    shares : float64 tensor, shape (rows, levels - 1, dimensions)
        The variables.
    scale : float64 tensor, shape (levels - 1, dimensions)
        Largest values of factors; what shares are of.
    fixed : float64 tensor, shape (rows, levels - 1, dimensions)
        Factors that are no variables; 0 where they are.
    sizes : float64 tensor, shape (rows, dimensions)
    """

    rows: tuple[int, ...]
    problem: Problem
    starts: torch.Tensor
    order: torch.Tensor
    shares: torch.Tensor
    scale: torch.Tensor
    fixed: torch.Tensor
    sizes: torch.Tensor

    def factors(self) -> torch.Tensor:
        """Real factors of all levels [rows, levels, dimensions]; some may be below 1."""
        inner = torch.where(self.fixed > 0, self.fixed, self.shares * self.scale)
        outer = self.sizes / inner.prod(dim=1)
        return torch.cat([outer[:, None], inner], dim=1)

    def set_factors(self, place: int, factors: IntArray) -> None:
        """Go on from the factors of one row, whose loop order stays."""
        own = torch.tensor(factors[1:].astype(np.float64))
        self.shares[place] = own / self.scale


class DosaDescent:
    """Mappings of all layers that descend from several starts, each with hardware of its own.

    Parameters
    ----------
    space : HardwareSpace
        Where hardware may lie.
    starts : sequence of HardwareCost
        Points to set out from, with mappings of all networks.
    weights : sequence of float
        Of the networks.
    powers : tuple of float
        Exponents of energy, latency and area in what is minimised.
    """

    def __init__(
        self,
        space: HardwareSpace,
        starts: Sequence[HardwareCost],
        weights: Sequence[float],
        powers: tuple[float, float, float],
    ) -> None:
        self._space, self._powers, self._steps = space, powers, 0
        self._rows: list[_Row] = []
        self._row_of: list[dict[_Use, int]] = []
        runs: list[tuple[int, float, float]] = []
        fixed = torch.zeros((len(starts), 2), dtype=torch.float64)
        for start, cost in enumerate(starts):
            self._row_of.append({})
            for weight, network in zip(weights, cost.networks, strict=True):
                for layer in network.layers:
                    times, vector = weight * layer.repetitions, layer.vector
                    cycles = vector.latency_cycles if vector is not None else 0.0
                    fixed[start, 0] += times * vector.energy_pj if vector is not None else 0.0
                    if layer.cost is None:
                        fixed[start, 1] += times * cycles
                    else:
                        runs.append((self._add(start, layer.cost), times, cycles))
        self._fixed = fixed
        self._runs = torch.tensor([row for row, _, _ in runs])
        self._times = torch.tensor([times for _, times, _ in runs], dtype=torch.float64)
        self._cycles = torch.tensor([cycles for _, _, cycles in runs], dtype=torch.float64)
        self._start_of = torch.tensor([row.start for row in self._rows])
        self._groups = _grouped(self._rows)
        self._parameters = [dict(cost.point.parameters) for cost in starts]
        self._figures = self._measured(self._parameters)
        self._sizing = self._figures.sizing()
        self._low = steps_of(space, space.smallest)
        self._high = steps_of(space, space.largest)
        self._adam = torch.optim.Adam([group.shares for group in self._groups], lr=RATE)
        with torch.no_grad():
            self._logs = self._hardware(self._factors())
            self._first = self._values(self._factors(), self._orders())

    def _add(self, start: int, cost: LayerCost) -> int:
        """The row of a layer; a new one if none of its start has its workload and mapping."""
        key = _use_of(cost)
        known = self._row_of[start]
        if key not in known:
            known[key] = len(self._rows)
            largest = self._space.build(self._space.largest).arch
            problem = make_problem(largest, key[0], factors="perfect", round_up="all")
            arrays = to_arrays(cost.mapping, problem.arch, problem.workload)
            self._rows.append(_Row(start, problem, *arrays))
        return known[key]

    @property
    def mappings(self) -> int:
        """Mappings that every step costs."""
        return len(self._rows)

    def _factors(self) -> list[torch.Tensor]:
        return [group.factors() for group in self._groups]

    def _orders(self) -> list[torch.Tensor]:
        return [group.order for group in self._groups]

    @one_torch_thread()
    def run(self, steps: int) -> None:
        """Descend so many steps."""
        for _ in range(steps):
            if self._steps % _MEASURED == 0:
                self._figures = self._measured(self._next_points())
            self._steps += 1
            self._adam.zero_grad()
            torch.autograd.backward(self._loss())
            for group in self._groups:
                if group.shares.grad is not None:
                    group.shares.grad.nan_to_num_(0.0, 0.0, 0.0)
            self._adam.step()

    def _loss(self) -> torch.Tensor:
        factors = self._factors()
        # What is below 1 iterates once, and is penalised.
        values = self._values([own.clamp(min=1.0) for own in factors], self._orders())
        beyond = OVERSIZED * self._beyond()
        for group, own in zip(self._groups, factors, strict=True):
            below = (1 - own).clamp(min=0).square().sum(dim=(1, 2))
            beyond = beyond.index_add(0, group.starts, below)
        # Starts are independent of each other, and count alike.
        relative = values / self._first
        return (relative + relative.detach() * beyond).sum()

    def _values(
        self, factors: Sequence[torch.Tensor], orders: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """Objective of every start [starts] with the least hardware for these factors."""
        self._logs = self._hardware(factors)
        energies, latencies = self._layers(factors, orders, self._logs)
        return self._summed(energies, latencies, self._logs)

    def _summed(
        self, energies: torch.Tensor, latencies: torch.Tensor, hardware: torch.Tensor
    ) -> torch.Tensor:
        starts = self._start_of[self._runs]
        slowest = torch.maximum(latencies[self._runs], self._cycles)
        energy = self._fixed[:, 0].index_add(0, starts, self._times * energies[self._runs])
        latency = self._fixed[:, 1].index_add(0, starts, self._times * slowest)
        area = self._figures.figure((-1, "area"), hardware)
        value = torch.ones_like(energy)
        for power, cost in zip(self._powers, (energy, latency, area), strict=True):
            if power:
                value = value * cost**power
        return value

    def _layers(
        self,
        factors: Sequence[torch.Tensor],
        orders: Sequence[torch.Tensor],
        hardware: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy and latency of every row."""
        energies, latencies = (torch.zeros(len(self._rows), dtype=torch.float64) for _ in range(2))
        for group, own, order in zip(self._groups, factors, orders, strict=True):
            arch = self._figures.rows(group.starts).arch_at(hardware[group.starts])
            with StraightThrough():
                cost = batch_cost(replace(group.problem.plan, arch=arch), own, order)
            rows = torch.tensor(group.rows)
            energies = energies.index_put((rows,), cost.energy_pj)
            latencies = latencies.index_put((rows,), cost.latency_cycles)
        return energies, latencies

    def _hardware(self, factors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Logarithms of the least parameters that run all layers [starts, parameters].

        What sizes nothing stays as it was drawn.
        """
        columns = list(self._figures.centre.unbind(1))
        low = self._low
        needs: dict[int, torch.Tensor] = {}
        for group, own in zip(self._groups, factors, strict=True):
            figures = self._figures.rows(group.starts)
            for (place, field), name in self._sizing.items():
                need = self._need(group, own, place, field)
                logs = figures.log_need((place, field), need, name)
                least = needs.setdefault(name, low[name].expand(len(self._parameters)))
                needs[name] = least.scatter_reduce(0, group.starts, logs, "amax")
        for name, found in needs.items():
            columns[name] = found
        return torch.stack(columns, dim=1)

    def _need(self, group: _Group, factors: torch.Tensor, place: int, field: str) -> torch.Tensor:
        if field == "mesh":
            return factors[:, place].prod(dim=1)
        space = group.problem.space
        words = memory_words(space, list(space.memory_levels).index(place), factors)
        level = space.arch.levels[place]
        return words * (level.multiple_buffering if isinstance(level, Memory) else 1.0)

    def _beyond(self) -> torch.Tensor:
        """Squares by which hardware exceeds the largest of the space, or a budget, [starts]."""
        hardware, space = self._logs, self._space
        over = [(hardware - self._high).clamp(max=5.0).exp() - 1]
        for name, budget in (("area", space.area_budget_um2), ("power", space.power_budget_mw)):
            if budget is not None:
                over.append(self._figures.figure((-1, name), hardware)[:, None] / budget - 1)
        return torch.cat(over, dim=1).clamp(min=0).square().sum(dim=1)

    def _next_points(self) -> list[dict[str, Number]]:
        """The point of the space that has room for the hardware of each start."""
        points = []
        for parameters, logs in zip(self._parameters, self._logs.tolist(), strict=True):
            point = dict(parameters)
            for (name, found), log in zip(self._space.ranges.items(), logs, strict=True):
                point[name] = found.round_up(math.exp(log) * _EXACT) or found.values[-1]
            points.append(point)
        return points

    def _measured(self, points: Sequence[Mapping[str, Number]]) -> LocalFigures:
        return side_by_side([local_figures(self._space, point) for point in points])

    @one_torch_thread()
    def round(self) -> int:
        """Round all factors, then choose loop orders layer by layer; descents go on from there.

        Returns
        -------
        int
            Mappings that were costed for that.
        """
        with torch.no_grad():
            for group in self._groups:
                for place, (row, own) in enumerate(
                    zip(group.rows, group.factors().numpy(), strict=True)
                ):
                    space = self._rows[row].problem.space
                    factors = rounded(space, own)
                    if space.check_factors(factors[None])[0]:
                        self._rows[row].factors = factors
                    group.set_factors(place, self._rows[row].factors)
            return self._choose_orders()

    def _choose_orders(self) -> int:
        """Take for one layer after the other the order that is best for the whole network."""
        factors = self._factors()
        hardware = self._logs = self._hardware(factors)
        tried = [self._orders()]
        for stationary in range(max(len(row.problem.workload.tensors) for row in self._rows)):
            tried.append([_with_order(group, stationary) for group in self._groups])
        costs = [self._layers(factors, orders, hardware) for orders in tried]
        energies, latencies = (torch.stack(part) for part in zip(*costs, strict=True))
        chosen = torch.zeros(len(self._rows), dtype=torch.int64)
        every = torch.arange(len(self._rows))
        best = self._summed(energies[chosen, every], latencies[chosen, every], hardware)
        for row, entry in enumerate(self._rows):
            for way in range(1, len(tried)):
                other = chosen.clone()
                other[row] = way
                value = self._summed(energies[other, every], latencies[other, every], hardware)
                if value[entry.start] < best[entry.start]:
                    chosen, best = other, value
        for group, *orders in zip(self._groups, *tried, strict=True):
            stacked = torch.stack(orders)
            places = torch.arange(len(group.rows))
            group.order = stacked[chosen[list(group.rows)], places]
            for place, row in enumerate(group.rows):
                self._rows[row].order = group.order[place].numpy()
        return len(tried) * len(self._rows)

    def mapping(self, start: int, cost: LayerCost) -> LoopMapping:
        """The mapping, as it was last rounded, of a layer that set out with this one."""
        entry = self._rows[self._row_of[start][_use_of(cost)]]
        return from_arrays(entry.factors, entry.order, entry.problem.arch, entry.problem.workload)


def _grouped(rows: Sequence[_Row]) -> list[_Group]:
    alike: dict[object, list[int]] = {}
    for number, row in enumerate(rows):
        workload = row.problem.workload
        alike.setdefault((workload.tensors, workload.dimensions), []).append(number)
    return [_group(rows, tuple(numbers)) for numbers in alike.values()]


def _group(rows: Sequence[_Row], numbers: tuple[int, ...]) -> _Group:
    own = [rows[number] for number in numbers]
    spaces = [row.problem.space for row in own]
    lower, upper, factors = (
        np.stack(arrays)[:, 1:].astype(np.float64)
        for arrays in (
            [space.lower for space in spaces],
            [space.upper for space in spaces],
            [row.factors for row in own],
        )
    )
    scale = torch.tensor(upper.max(axis=0))
    return _Group(
        numbers,
        own[0].problem,
        torch.tensor([row.start for row in own]),
        torch.tensor(np.stack([row.order for row in own])),
        (torch.tensor(factors) / scale).requires_grad_(),
        scale,
        torch.tensor(np.where(lower == upper, lower, 0.0)),
        torch.tensor(np.stack([space.sizes for space in spaces]).astype(np.float64)),
    )


def _with_order(group: _Group, stationary: int) -> torch.Tensor:
    """Orders with another one at the outermost memory, where its rule lets it be."""
    space = group.problem.space
    orders = stationary_orders(group.problem.workload)
    wanted = orders[min(stationary, len(orders) - 1)]
    if not space.order_rules[0].check(wanted[None])[0]:
        return group.order
    changed = group.order.clone()
    changed[:, 0] = torch.tensor(wanted)
    return changed
