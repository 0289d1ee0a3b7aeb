"""Fusion and mappings by one gradient: chances of groups and real-valued tilings of their parts.

Every part of a layer that some group may run has a tiling of its own, as in DOSA: real factors on
a simplex, costed by the one cost model. Chances of groups and of their ways to run weigh what
these cost to an expected energy and latency, whose logarithms are descended: one objective, which
reaches the fusion decisions and the factors alike. At intervals factors are rounded to valid
mappings and a partition is read off; both are scored as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from toolkit.arch.architecture import Architecture
from toolkit.errors import InputError
from toolkit.fusion.group_model import GroupModel, Option, total_costs, value_of
from toolkit.fusion.mapped import MappedModel
from toolkit.fusion.partition.gradient import (
    RATE,
    Relaxation,
    fusion_chances,
    measured,
    read_off,
    relax,
    temperature_at,
)
from toolkit.fusion.partition.part_descent import PartDescent
from toolkit.fusion.partition.result import Found, FusionChance
from toolkit.processes import one_torch_thread
from toolkit.search.network.workloads import problem_of
from toolkit.workload.kernel import Workload

STARTS, TILINGS, STEPS, READ_EVERY = 4, 32, 60, 10
"""Starts side by side, tilings of a part in each, steps of Adam, and after how many of them all
is rounded."""

ACTIVE = 48
"""Parts whose factors move in a step: those with the largest share of the expected costs. Each
costs all its tilings anew, with gradients; the others hardly change the objective."""


def joint(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Descend decisions and tilings together, as `JointDescent` does.

    Raises
    ------
    InputError
        If the model does not map layers, or as `JointDescent` does.
    """
    if not isinstance(model, MappedModel):
        raise InputError("'joint' needs a model that maps layers", key="fusion")
    descent = JointDescent(model, most_layers, seed)
    found = descent.descend()
    own = found.value / value_of(total_costs(found.groups)) - 1
    note = (
        f"tilings of {found.parts} parts of layers descended with the decisions; with them alone "
        f"the objective is {own:+.2%} against the model's own mappings, which are shown"
    )
    result = Found(found.groups, notes=(note,), chances=found.chances)
    return measured(model, descent.relaxation, most_layers, result)


@dataclass(frozen=True)
class Terms:
    """How costs of all ways to run all groups follow from those of the mappings of parts.

    Parameters
    ----------
    uses : tensor, shape (options, parts)
        How often a way to run a group maps a part.
    energy, cycles : tensor, shape (options,)
        What is spent besides: transfers, and the vector unit.
    dram, edges : tensor, shape (options,)
        Cycles of the port to DRAM, which overlap, and of first load and last store, which do
        not.
    columns : tuple of int
        Which costs are asked for: energy in pJ (0), latency in cycles (1).
    """

    uses: torch.Tensor
    energy: torch.Tensor
    cycles: torch.Tensor
    dram: torch.Tensor
    edges: torch.Tensor
    columns: tuple[int, ...]

    def costs(self, energy: torch.Tensor, latency: torch.Tensor) -> torch.Tensor:
        """Costs of all options; shape (starts, options, costs).

        Parameters
        ----------
        energy, latency : tensor, shape (starts, parts)
            Of the mappings.
        """
        spent = self.energy + energy @ self.uses.T
        cycles = torch.maximum(self.cycles + latency @ self.uses.T, self.dram) + self.edges
        return torch.stack([spent, cycles], dim=-1)[:, :, list(self.columns)]


@dataclass(frozen=True)
class Joint:
    """What a joint descent found.

    Parameters
    ----------
    groups : tuple of Option
        The partition, priced by the model with its own mappings.
    costs : tuple of float
        What it costs with the mappings of the descent.
    parts : int
        Parts of layers that were mapped.
    chances : tuple of FusionChance
        Probabilities that the start ended with in which the partition was found.
    """

    groups: tuple[Option, ...]
    costs: tuple[float, ...]
    parts: int
    chances: tuple[FusionChance, ...] = ()

    @property
    def value(self) -> float:
        """The objective value with the mappings of the descent."""
        return value_of(self.costs)


class JointDescent:
    """Decisions and tilings that descend together.

    Parameters
    ----------
    model : MappedModel
        Groups at the cost of mapped layers, which take turns on the array.
    most_layers : int
        Most folded layers of a group.
    seed : int
        Of the mappings that tilings start from.
    starts : int
        Descents side by side, independent of each other.
    tilings : int
        Tilings of a part in each, with loop orders of their own.

    Raises
    ------
    InputError
        If the model minimises DRAM traffic, which no tiling changes, or pipelines.
    """

    def __init__(
        self,
        model: MappedModel,
        most_layers: int,
        seed: int,
        starts: int = STARTS,
        tilings: int = TILINGS,
    ) -> None:
        if model.objective == "dram" or model.given.schedule != "time-shared":
            raise InputError(
                "expected energy, latency or edp, and layers that take turns",
                key="joint descent",
            )
        self.model = model
        self.relaxation: Relaxation = relax(model, most_layers)
        self.starts = starts
        self._tilings = tilings
        self._draw = np.random.default_rng(seed)
        self.parts: list[PartDescent] = []
        self.terms = self._terms()
        shape = (starts, len(self.relaxation.groups))
        self.logits = self.relaxation.first_logits(starts).requires_grad_()
        ways = (*shape, self.relaxation.ways.shape[1])
        self.choice = torch.zeros(ways, dtype=torch.float64, requires_grad=True)
        self.share = torch.ones((starts, len(self.parts)), dtype=torch.float64)

    def loss(self, temperature: float, active: Sequence[int]) -> torch.Tensor:
        """Logarithms of the expected costs, and penalties; shape (starts,).

        Parameters
        ----------
        temperature : float
            Divides all logits.
        active : sequence of int
            Parts whose tilings are costed anew; the others cost what they did last.
        """
        penalty = torch.zeros(self.starts, dtype=torch.float64)
        for number in active:
            over = self.parts[number].relax(temperature)
            penalty = penalty + self.share[:, number] * over
        none = [torch.zeros((self.starts, 0), dtype=torch.float64)]
        energy = torch.cat(none + [part.energy[:, None] for part in self.parts], dim=1)
        latency = torch.cat(none + [part.latency[:, None] for part in self.parts], dim=1)
        costs = self.terms.costs(energy, latency)
        shape = (self.starts, *self.relaxation.ways.shape, costs.shape[-1])
        expected = self.relaxation.expected(
            self.logits, self.choice, temperature, costs.reshape(shape)
        )
        return torch.log(expected).sum(dim=1) + penalty

    @one_torch_thread()
    def descend(self, steps: int | None = None) -> Joint:
        """Descend, round at intervals, and return the best partition that was read off.

        Parameters
        ----------
        steps : int, optional
            Steps of Adam, at least 1; `STEPS` by default.
        """
        steps = STEPS if steps is None else max(steps, 1)
        adam = torch.optim.Adam([self.logits, self.choice], lr=RATE)
        found: list[Joint] = []
        for step in range(steps):
            temperature = temperature_at(step / max(steps - 1, 1))
            active = self._active()
            adam.zero_grad()
            self.loss(temperature, active).sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
            for number in active:
                self.share[:, number] = self.parts[number].step()
            if (step + 1) % READ_EVERY == 0 or step == steps - 1:
                for part in (self.parts[number] for number in active):
                    part.round()
                found += self._read()
        # All starts are read each time, in the same order.
        best = min(range(len(found)), key=lambda place: found[place].value)
        start = best % self.starts
        ended = self.logits.detach()[start : start + 1]
        chances = fusion_chances(self.relaxation, self.model.graph, ended)
        return replace(found[best], chances=chances)

    def _active(self) -> list[int]:
        shares = self.share.amax(dim=0)
        count = min(ACTIVE, len(self.parts))
        return sorted(int(i) for i in shares.topk(count).indices.tolist())

    def _read(self) -> list[Joint]:
        """Of every start, the likeliest partition, at the cost of rounded mappings."""
        energy = torch.tensor([[part.best_energy_pj for part in self.parts]], dtype=torch.float64)
        latency = torch.tensor([[part.best_cycles for part in self.parts]], dtype=torch.float64)
        costs = self.terms.costs(energy, latency)[0]
        width = self.relaxation.ways.shape[1]
        rows = {
            id(option): group * width + way
            for group, options in enumerate(self.relaxation.options)
            for way, option in enumerate(options)
        }
        found = []
        for logits, choice in zip(self.logits.detach(), self.choice.detach(), strict=True):
            groups = read_off(self.relaxation, logits, choice)
            own = costs[[rows[id(option)] for option in groups]].sum(dim=0)
            found.append(Joint(groups, tuple(own.tolist()), len(self.parts)))
        return found

    def _terms(self) -> Terms:
        """Walk all ways to run all groups."""
        width = self.relaxation.ways.shape[1]
        self._places: dict[tuple[object, ...], int] = {}
        uses: list[dict[int, float]] = []
        rest: list[tuple[float, ...]] = []
        for options in self.relaxation.options:
            for way in range(width):
                row, besides = self._explained(options[way] if way < len(options) else options[0])
                uses.append(row)
                rest.append(besides)
        matrix = torch.zeros((len(uses), len(self.parts)), dtype=torch.float64)
        for number, row in enumerate(uses):
            for column, often in row.items():
                matrix[number, column] = often
        energy, cycles, dram, edges = torch.tensor(rest, dtype=torch.float64).T
        columns = {"energy": (0,), "latency": (1,)}.get(self.model.objective, (0, 1))
        return Terms(matrix, energy, cycles, dram, edges, columns)

    def _explained(self, option: Option) -> tuple[dict[int, float], tuple[float, ...]]:
        """How often an option maps each part, and what its mappings do not explain."""
        cost, staged = self.model.cost(option.plan), option.plan.staged
        energy, cycles = cost.energy_pj, cost.compute_cycles
        row: dict[int, float] = {}
        for layer, part, homes, times in self.model.pricing.parts(option.plan):
            mapped = self.model.costs.mapped(layer, part, homes)
            if mapped is None:
                continue
            arch, found = mapped
            number = self._number(arch, found.workload)
            often = float(times * layer.layer.repetitions)
            row[number] = row.get(number, 0.0) + often
            energy -= often * found.energy_pj
            cycles -= often * found.latency_cycles
        if not staged:
            return row, (energy, cycles, 0.0, 0.0)
        edges = cost.latency_cycles - max(cost.compute_cycles, cost.dram_cycles)
        return row, (energy, cycles, cost.dram_cycles, edges)

    def _number(self, arch: Architecture, workload: Workload) -> int:
        """The number of a part; equal ones share their tilings."""
        sizes = tuple(workload.sizes.items())
        key = (workload.kernel, sizes, workload.tensors, arch.levels)
        if key not in self._places:
            self._places[key] = len(self.parts)
            problem = problem_of(arch, workload, self.model.costs.search)
            self.parts.append(PartDescent(problem, self.starts, self._tilings, self._draw))
        return self._places[key]
