"""Learnable tilings: a module of torch for layers that the cost model treats alike.

What is costed is the point of the factors' simplex (`simplex`) nearest to the parameters, and
`Tilings.project_` returns to it after a step of an optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from toolkit.arch.architecture import Architecture
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.mapping import BoolArray, IntArray
from toolkit.mapping.rounding import Rounding
from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.model.cost import BatchCost, batch_cost
from toolkit.search.gradient.alternatives import Alternatives, fixed_alternatives
from toolkit.search.gradient.relaxed_cost import StraightThrough, binding, exceeding, limits, need
from toolkit.search.gradient.simplex import Onto, Simplex, make_simplex
from toolkit.search.moves import first_orders, move_space
from toolkit.search.problem import Problem

Start = tuple[IntArray, IntArray]
"""Factors and loop orders of one mapping, [levels, dimensions]."""

ArchAt = Callable[[Architecture, int], Architecture]
"""Changes figures of the levels of an architecture, for so many repetitions of all starts."""


@dataclass(frozen=True, eq=False)
class RoundedTilings:
    """Tilings near to real ones.

    Parameters
    ----------
    factors, order : int64 array, shape (rows, levels, dimensions)
        Iterations and loop orders.
    choice : int64 array, shape (rows,)
        Place among the module's choices of bypasses that each answers.
    valid : bool array, shape (rows,)
        Which are valid mappings.
    """

    factors: IntArray
    order: IntArray
    choice: IntArray
    valid: BoolArray


class Tilings(torch.nn.Module):
    """Learnable tilings of layers whose tensors are indexed alike, several of each.

    Row ``layer * starts + start`` of all arrays is one tiling.

    Parameters
    ----------
    problems : sequence of Problem
        Of every layer; on the same levels, with the same tensors. Only sizes differ.
    factors : int64 array, shape (rows, levels, dimensions)
        Where tilings set out.
    order : int64 array, shape (rows, levels, dimensions)
        Their loop orders.
    alternatives : Alternatives, optional
        Loop orders and bypasses that are learned, too; by default orders stay, and what the
        problems hold is held.

    Attributes
    ----------
    logs : Parameter, float64, shape (rows, levels, dimensions)
        Logarithms of factors.
    starts : int
        Tilings of each layer.

    Raises
    ------
    InputError
        If the layers are not alike, or the rows no multiple of them.
    """

    orders: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor
    total: torch.Tensor

    def __init__(
        self,
        problems: Sequence[Problem],
        factors: IntArray,
        order: IntArray,
        alternatives: Alternatives | None = None,
    ) -> None:
        super().__init__()
        _check_alike(problems, len(factors))
        self.problems = tuple(problems)
        self.starts = len(factors) // len(problems)
        self.alternatives = alternatives or fixed_alternatives(problems, order)
        parts = [make_simplex(problem.space) for problem in problems]
        for name in ("lower", "upper", "total"):
            rows = torch.stack([getattr(part, name) for part in parts])
            # One layer's bounds are looked up for all rows alike, in a third of the time.
            several = rows.repeat_interleave(self.starts, dim=0)
            self.register_buffer(name, rows if len(parts) == 1 else several)
        self.logs = torch.nn.Parameter(torch.tensor(np.log(factors.astype(np.float64))))
        self.project_()
        self._bound = self._limits()
        self._roundings: dict[tuple[int, int], Rounding] = {}

    @property
    def simplex(self) -> Simplex:
        """Where logarithms of factors lie."""
        return Simplex(self.lower, self.upper, self.total)

    @torch.no_grad()
    def project_(self) -> None:
        """Return to the simplex, after a step of an optimiser."""
        self.logs.copy_(self.simplex.project(self.logs))

    @torch.no_grad()
    def shake_(self, scale: float, draw: np.random.Generator) -> None:
        """Add normal noise to logarithms of factors, but to those of first starts."""
        shaken = torch.tensor(draw.normal(0.0, scale, tuple(self.logs.shape)))
        shaken[:: self.starts] = 0.0
        self.logs.add_(shaken.to(self.logs.device))
        self.project_()

    def factors(self) -> torch.Tensor:
        """Real factors that multiply to the sizes, within their bounds, with gradients.

        Returns
        -------
        float64 tensor, shape (rows, levels, dimensions)
        """
        found: torch.Tensor = Onto.apply(self.logs, self.simplex)  # type: ignore[no-untyped-call]
        return found.exp()

    def costs(
        self,
        factors: torch.Tensor,
        chances: torch.Tensor | None = None,
        arch_at: ArchAt | None = None,
    ) -> Iterator[tuple[torch.Tensor | None, BatchCost]]:
        """Cost all alternatives of all rows.

        Parameters
        ----------
        factors : float64 tensor, shape (rows, levels, dimensions)
            As of `factors`.
        chances : float64 tensor, shape (choices, orders, rows), optional
            Of the alternatives; needed where there are several.
        arch_at : callable, optional
            Gives levels the figures of other hardware.

        Yields
        ------
        chance : float64 tensor, shape (orders * rows,), or None
            Of a choice with each order; None where there is nothing to choose.
        cost : BatchCost
            Of as many mappings.
        """
        orders = self.alternatives.orders
        repeated = factors.repeat(len(orders), 1, 1) if len(orders) > 1 else factors
        for number, problems in enumerate(self.alternatives.problems):
            plan = problems[0].plan
            if arch_at is not None:
                plan = replace(plan, arch=arch_at(plan.arch, len(repeated) // self.starts))
            with StraightThrough():
                cost = batch_cost(plan, repeated, orders.flatten(0, 1))
            yield (None if chances is None else chances[number].flatten()), cost

    def need(
        self, level: int, factors: torch.Tensor, chances: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Instances or usable words that tilings ask of a level, expected over the choices.

        Returns
        -------
        float64 tensor, shape (rows,)
        """
        spaces = [problems[0].space for problems in self.alternatives.problems]
        if chances is None or level not in spaces[0].memory_levels:
            return need(spaces[0], level, factors)
        # One sum for every choice: which order it runs in changes no tile.
        each = torch.stack([need(space, level, factors) for space in spaces])
        return (chances.sum(dim=1) * each).sum(dim=0)

    def penalties(
        self, needs: Mapping[int, torch.Tensor], most: Mapping[int, Any] | None = None
    ) -> dict[str, torch.Tensor]:
        """Penalties for capacities and meshes, 0 where everything fits.

        Parameters
        ----------
        needs : mapping of int to float64 tensor, shape (rows,)
            By level number, as of `need`.
        most : mapping of int to float or float64 tensor, shape (rows,), optional
            Limits that replace those of the architecture.

        Returns
        -------
        dict of str to float64 tensor, shape (rows,)
        """
        none = torch.zeros_like(self.logs[:, 0, 0])
        found = {"capacity": none, "mesh": none}
        for level, amount in needs.items():
            kind = "capacity" if level in self.problems[0].space.memory_levels else "mesh"
            limit = (most or {}).get(level, self._bound.get(level))
            if limit is not None:
                found[kind] = found[kind] + exceeding(amount / limit)
        return found

    @property
    def limited_levels(self) -> list[int]:
        """Levels that have a limit, outermost first."""
        return list(limits(self.problems[0].space))

    @property
    def bound_levels(self) -> list[int]:
        """Levels whose limits some tiling may exceed."""
        return list(self._bound)

    def outside(self) -> torch.Tensor:
        """How far parameters are off the simplex, that is how invalid, shape (rows,)."""
        return self.simplex.outside(self.logs)

    @torch.no_grad()
    def rounded(self) -> RoundedTilings:
        """Round every row to a valid tiling nearby, with its likeliest order and bypasses."""
        logs = self.factors().log().cpu().numpy()
        order, choice = self.alternatives.likeliest()
        factors = np.ones(logs.shape, dtype=np.int64)
        valid = np.zeros(len(logs), dtype=np.bool_)
        layers = np.arange(len(logs)) // self.starts
        for layer, number in sorted(set(zip(layers.tolist(), choice.tolist(), strict=True))):
            rows = np.flatnonzero((layers == layer) & (choice == number))
            factors[rows], valid[rows] = self._rounding(layer, number).round(logs[rows])
        return RoundedTilings(factors, order, choice, valid)

    def _rounding(self, layer: int, choice: int) -> Rounding:
        key = layer, choice
        if key not in self._roundings:
            self._roundings[key] = Rounding(self.alternatives.problems[choice][layer].space)
        return self._roundings[key]

    def _limits(self) -> dict[int, float]:
        """Limits of levels that some layer may exceed under some choice."""
        spaces = [p.space for problems in self.alternatives.problems for p in problems]
        levels = sorted({level for space in spaces for level in binding(space)})
        most = {level: value for space in spaces for level, value in limits(space).items()}
        return {level: most[level] for level in levels}


def some_tilings(
    problem: Problem, count: int, draw: np.random.Generator, known: Sequence[Start] = ()
) -> list[Start]:
    """What is known, everything outermost, then random valid mappings: at most `count`.

    Where only a search finds valid tilings at all, what is known has to do.
    """
    space = problem.space
    starts = [*known, (start_point(space), first_orders(move_space(space)))][:count]
    with suppress(DoesNotFitError):
        starts += zip(*sample(space, count - len(starts), draw), strict=True)
    return starts


def first_tilings(
    problem: Problem, count: int, draw: np.random.Generator, known: Sequence[Start] = ()
) -> tuple[IntArray, IntArray]:
    """`count` tilings to set out from: `some_tilings`, again and again if these are fewer.

    Returns
    -------
    factors, order : int64 array, shape (count, levels, dimensions)
    """
    starts = some_tilings(problem, count, draw, known)
    rows = [starts[i % len(starts)] for i in range(count)]
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def _check_alike(problems: Sequence[Problem], rows: int) -> None:
    if not problems or rows % len(problems) or rows == 0:
        raise InputError(
            f"{rows} tilings of {len(problems)} layers; expected as many of each", key="factors"
        )
    kinds = {
        (problem.workload.tensors, problem.workload.dimensions, len(problem.arch.levels))
        for problem in problems
    }
    if len(kinds) > 1:
        raise InputError("expected layers whose tensors are indexed alike", key="problems")


def torch_device(device: str | torch.device) -> torch.device:
    """Read a device, and see that it is there.

    Raises
    ------
    InputError
        If torch knows no such device, or this machine has none.
    """
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (AssertionError, RuntimeError) as cause:
        reason = str(cause).partition("\n")[0]
        raise InputError(
            f"{str(device)!r} is not there: {reason}; expected a device of this machine, such as "
            "'cpu'",
            key="device",
        ) from None
    return found
