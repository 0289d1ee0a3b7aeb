"""A layer as a module of torch: learnable tilings in, differentiable costs and mappings out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from toolkit.arch.architecture import Architecture
from toolkit.arch.technology import known_area_um2
from toolkit.errors import InputError
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.messages import describe, suggest
from toolkit.model.cost import BatchCost
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.search.chosen_mappings import checked_start
from toolkit.search.evaluator import Evaluator
from toolkit.search.gradient.alternatives import Noise, Relaxing, make_alternatives
from toolkit.search.gradient.candidates import candidates, score
from toolkit.search.gradient.tilings import ArchAt, Tilings, first_tilings
from toolkit.search.problem import Problem
from toolkit.search.result import Budget, SearchResult

Adjust = Callable[[BatchCost], tuple[torch.Tensor, ...]]
"""Tells energy in pJ and cycles of a batch."""

WEIGHTS: Mapping[str, float] = {"capacity": 1.0, "mesh": 1.0, "validity": 1.0, "budget": 3.0}
"""Weights of penalties by default, in units of the logarithm of an objective such as EDP."""


@dataclass(frozen=True, eq=False)
class RelaxedCosts:
    """What real-valued mappings cost; float64 tensors with gradients.

    Parameters
    ----------
    latency_cycles, energy_pj : tensor, shape (starts,)
        In total.
    area_um2 : tensor, shape (starts,), or None
        Of the chip; None where the architecture does not give it.
    layer_latency_cycles, layer_energy_pj : tensor, shape (layers, starts)
        Of one run of each distinct layer.
    penalties : dict of str to tensor, shape (starts,)
        ``capacity`` and ``mesh`` for what tiles need more than there is, ``validity`` for
        parameters off their simplex, and of hardware ``budget`` for area and power; 0 where all
        is within its limits.
    hardware : tensor, shape (starts, parameters), or None
        Logarithms of the sizes of the hardware, where these are learned or follow.
    """

    latency_cycles: torch.Tensor
    energy_pj: torch.Tensor
    area_um2: torch.Tensor | None
    layer_latency_cycles: torch.Tensor
    layer_energy_pj: torch.Tensor
    penalties: dict[str, torch.Tensor]
    hardware: torch.Tensor | None = None

    def log_cost(self, powers: Sequence[float]) -> torch.Tensor:
        """Logarithm of a product of powers of energy, latency and area; shape (starts,).

        Raises
        ------
        InputError
            If there are not three powers, or the area is asked for, and not known.
        """
        if len(powers) != 3:
            raise InputError(
                f"expected one each of energy, latency and area, got {len(powers)}", key="powers"
            )
        total = torch.zeros_like(self.energy_pj)
        costs = (self.energy_pj, self.latency_cycles, self.area_um2)
        for power, value in zip(powers, costs, strict=True):
            if power and value is None:
                raise InputError("no level may leave its area open where that counts", key="area")
            if power and value is not None:
                total = total + power * value.clamp(min=1e-300).log()
        return total

    def penalty(self, weights: Mapping[str, float] = WEIGHTS) -> torch.Tensor:
        """Sum of the penalties, each by its weight, 0 by default; shape (starts,).

        Raises
        ------
        InputError
            If there is no such penalty.
        """
        for name in weights:
            if name not in WEIGHTS:
                raise InputError(
                    f"unknown penalty {name!r}{suggest(str(name), WEIGHTS)}; expected some of "
                    f"{', '.join(WEIGHTS)}",
                    key="weights",
                )
        none = torch.zeros_like(self.energy_pj)
        return sum((weights.get(name, 0.0) * v for name, v in self.penalties.items()), none)


@dataclass(frozen=True)
class RoundedLayer:
    """The best mapping that a rounding found.

    Parameters
    ----------
    mapping : Mapping
        Valid.
    evaluation : Evaluation
        By the true model.
    objective : float
        Of the problem.
    evaluations : int
        Mappings that the rounding costed.
    """

    mapping: LoopMapping
    evaluation: Evaluation
    objective: float
    evaluations: int


class DoubleModule(torch.nn.Module):
    """A module that changes places, but never its numbers: costs need the digits of float64.

    So it may be a part of another one that is made ``float`` or ``half``.
    """

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        def moved(tensor: torch.Tensor) -> torch.Tensor:
            found = fn(tensor)
            return found if found.dtype == tensor.dtype else tensor.to(found.device)

        return super()._apply(moved, recurse)  # type: ignore[no-untyped-call]


def drawn_noise(source: torch.Generator, temperature: float, noise: float) -> Noise | None:
    """Noise of one step, if any.

    Raises
    ------
    InputError
        If the temperature is not above 0, or the noise below.
    """
    if not temperature > 0:
        raise InputError(f"expected above 0, got {describe(temperature)}", key="temperature")
    if not noise >= 0:
        raise InputError(f"expected 0 or more, got {describe(noise)}", key="noise")
    return Noise(source, noise) if noise else None


class RelaxedLayer(DoubleModule):
    """Learnable tilings of one layer, many starts side by side.

    Parameters
    ----------
    problem : Problem
        What is mapped.
    starts : int
        Tilings.
    orders, bypasses : {"fixed", "relaxed"}
        Whether loop orders and optional bypasses are learned, too
        (`toolkit.search.gradient.alternatives`).
    seed : int
        Of where tilings set out, and of noise.
    """

    def __init__(
        self,
        problem: Problem,
        starts: int = 16,
        *,
        orders: Relaxing = "fixed",
        bypasses: Relaxing = "fixed",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.problem = problem
        draw = np.random.default_rng(seed)
        factors, order = first_tilings(problem, starts, draw)
        chosen = make_alternatives([problem], order, orders=orders, bypasses=bypasses, seed=seed)
        self.tilings = Tilings([problem], factors, order, chosen)
        self._source = torch.Generator().manual_seed(seed)
        self._evaluator = Evaluator(problem, Budget())

    @property
    def evaluations(self) -> int:
        """Mappings costed so far, real-valued or rounded."""
        return self._evaluator.evaluations

    def forward(self, temperature: float = 1.0, noise: float = 0.0) -> RelaxedCosts:
        """Cost all tilings.

        Parameters
        ----------
        temperature : float
            Divides logits of loop orders and bypasses.
        noise : float
            Gumbel noise that is added to these, in units of its own.

        Raises
        ------
        InputError
            If the temperature is not above 0, or the noise below.
        """
        tilings = self.tilings
        drawn = drawn_noise(self._source, temperature, noise)
        chances = tilings.alternatives.chances(temperature, drawn)
        factors = tilings.factors()
        energy, latency = expected_costs(tilings, factors, chances)
        self._evaluator.spend(tilings.alternatives.count * len(factors), invalid=0)
        needs = {level: tilings.need(level, factors, chances) for level in tilings.bound_levels}
        penalties = {**tilings.penalties(needs), "validity": tilings.outside()}
        area = constant_area(self.problem.arch, energy)
        return RelaxedCosts(latency, energy, area, latency[None], energy[None], penalties)

    def project_(self) -> None:
        """Return to valid factors, after a step of an optimiser."""
        self.tilings.project_()

    def minimal_hardware(self) -> dict[str, torch.Tensor]:
        """Instances and words that tilings need of each level with a limit, [starts]."""
        tilings, levels = self.tilings, self.problem.arch.levels
        factors, chances = tilings.factors(), tilings.alternatives.chances()
        return {
            levels[level].name: tilings.need(level, factors, chances)
            for level in tilings.limited_levels
        }

    def round(self) -> RoundedLayer | None:
        """Round all tilings, and take the best by the true model; None if none is valid."""
        problem, found = self.problem, candidates(self.tilings, self.tilings.rounded(), 0)
        self._evaluator.spend(len(found), invalid=0)
        if not found:
            return None
        costs = score(problem, found)
        best = int(np.argmin(costs.objective))
        mapping = found[best].mapping(problem)
        evaluation = evaluate(
            mapping,
            problem.arch,
            problem.workload,
            conventions=problem.conventions,
            bias_read=problem.bias_read,
        )
        value = float(costs.objective[best])
        self._evaluator.report(value, *checked_start(problem, mapping, "rounded"))
        return RoundedLayer(mapping, evaluation, value, len(found))

    def result(self, strategy: str, seed: int = 0) -> SearchResult:
        """Wrap up all roundings until now, for `toolkit.study` to compare.

        Evaluations are mappings costed, real-valued ones included.

        Raises
        ------
        DoesNotFitError
            If none found a valid mapping.
        """
        return self._evaluator.result(strategy, seed, None)


def constant_area(arch: Architecture, like: torch.Tensor) -> torch.Tensor | None:
    """Area of an architecture that stays, as a tensor; None where it does not give it."""
    area = known_area_um2(arch)
    return None if area is None else torch.full_like(like, area)


def expected_costs(
    tilings: Tilings,
    factors: torch.Tensor,
    chances: torch.Tensor | None,
    arch_at: ArchAt | None = None,
    adjust: Adjust | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Energy in pJ and cycles of all rows, expected over loop orders and bypasses.

    Parameters
    ----------
    factors, chances, arch_at
        As `Tilings.costs` takes them.
    adjust : callable, optional
        Tells energy and cycles of a batch in another way than the cost model.

    Returns
    -------
    energy_pj, latency_cycles : float64 tensor, shape (rows,)
    """
    energy = latency = torch.zeros_like(factors[:, 0, 0])
    for chance, cost in tilings.costs(factors, chances, arch_at):
        spent = (cost.energy_pj, cost.latency_cycles) if adjust is None else adjust(cost)
        if chance is not None:
            spent = tuple((chance * each).reshape(-1, len(factors)).sum(dim=0) for each in spent)
        energy, latency = energy + spent[0], latency + spent[1]
    return energy, latency
