"""What is no real number of a mapping, relaxed: loop orders and bypasses as chances.

Each tiling has a logit for every loop order of a list, and one for every tensor that a memory may
leave out. Costs are expectations over both, so that gradients tell which order and which bypass
would have been better; colder, they come down to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from toolkit.errors import InputError
from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.space import MapSpace
from toolkit.search.problem import Problem

Relaxing = Literal["fixed", "relaxed"]

MOST_CHOICES = 8
"""Choices of bypasses of which expectations are taken: each is a plan, costed by itself."""

_SPREAD = 0.3
"""Standard deviation of first logits, so that starts differ."""


class Alternatives(torch.nn.Module):
    """Chances of loop orders and of bypasses, of every row of a module of tilings.

    Parameters
    ----------
    problems : sequence of sequence of Problem
        For every choice of bypasses, the problems of all layers.
    orders : int64 array, shape (orders, rows, levels, dimensions)
        Loop orders that each row may take.
    held : float64 array, shape (choices, pairs)
        Whether a choice holds each optional pair of memory and tensor.
    seed : int
        Of first logits.

    Attributes
    ----------
    order_logits : Parameter, float64, shape (rows, orders), or None
        Of the loop orders; None of a single one.
    hold_logits : Parameter, float64, shape (rows, pairs), or None
        Of holding each optional pair; None of a single choice.
    """

    orders: torch.Tensor
    held: torch.Tensor

    def __init__(
        self,
        problems: Sequence[Sequence[Problem]],
        orders: IntArray,
        held: FloatArray,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.problems = tuple(map(tuple, problems))
        self.register_buffer("orders", torch.tensor(orders))
        self.register_buffer("held", torch.tensor(held, dtype=torch.float64))
        draw, rows = np.random.default_rng(seed), orders.shape[1]

        def logits(count: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.tensor(draw.normal(0.0, _SPREAD, (rows, count))))

        self.order_logits = logits(len(orders)) if len(orders) > 1 else None
        self.hold_logits = logits(held.shape[1]) if len(held) > 1 else None

    @property
    def count(self) -> int:
        """How many there are of each row."""
        return len(self.problems) * len(self.orders)

    def chances(self, temperature: float = 1.0, noise: Noise | None = None) -> torch.Tensor | None:
        """Probability of every choice with every order; None where there is one of both.

        Parameters
        ----------
        temperature : float
            Divides all logits.
        noise : Noise, optional
            Draws Gumbel noise that is added to logits.

        Returns
        -------
        float64 tensor, shape (choices, orders, rows)
        """
        if self.order_logits is None and self.hold_logits is None:
            return None
        rows = self.orders.shape[1]
        single = torch.ones((rows, 1), dtype=torch.float64, device=self.orders.device)
        choices = orders = single
        if self.hold_logits is not None:
            choices = _softmax(self.hold_logits @ self.held.T, temperature, noise)
        if self.order_logits is not None:
            orders = _softmax(self.order_logits, temperature, noise)
        return choices.T[:, None] * orders.T[None]

    def likeliest(self) -> tuple[IntArray, IntArray]:
        """Loop order [rows, levels, dimensions] and place of the choice [rows] of every row."""
        rows = self.orders.shape[1]
        place = torch.zeros(rows, dtype=torch.int64, device=self.orders.device)
        choice = place
        if self.order_logits is not None:
            place = self.order_logits.argmax(dim=1)
        if self.hold_logits is not None:
            choice = (self.hold_logits @ self.held.T).argmax(dim=1)
        every = torch.arange(rows, device=place.device)
        return self.orders[place, every].cpu().numpy(), choice.cpu().numpy()


@dataclass(frozen=True, eq=False)
class Noise:
    """Gumbel noise.

    Parameters
    ----------
    source : torch.Generator
        What it is drawn from.
    scale : float
        How large it is.
    """

    source: torch.Generator
    scale: float

    def like(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw noise for logits."""
        uniform = torch.rand(logits.shape, generator=self.source, dtype=torch.float64)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-9, 1.0)) + 1e-9)
        return self.scale * gumbel.to(logits.device)


def _softmax(logits: torch.Tensor, temperature: float, noise: Noise | None) -> torch.Tensor:
    noisy = logits if noise is None else logits + noise.like(logits)
    return torch.softmax(noisy / temperature, dim=1)


def fixed_alternatives(problems: Sequence[Problem], order: IntArray) -> Alternatives:
    """Every row has the order that it has, and holds what its problem holds."""
    return Alternatives([problems], order[None], np.ones((1, 0)))


def make_alternatives(
    problems: Sequence[Problem],
    order: IntArray,
    *,
    orders: Relaxing = "fixed",
    bypasses: Relaxing = "fixed",
    seed: int = 0,
) -> Alternatives:
    """List loop orders and bypasses that layers may take.

    Parameters
    ----------
    problems : sequence of Problem
        Of layers that are alike.
    order : int64 array, shape (rows, levels, dimensions)
        What rows have; one of those that they may take.
    orders : {"fixed", "relaxed"}
        Whether there are, besides, those in which a tensor stays: for each of the tensors one.
    bypasses : {"fixed", "relaxed"}
        Whether optional bypasses are chosen: among all choices that have room for all layers, or
        if these are more than `MOST_CHOICES`, among so many of them.
    seed : int
        Of these, and of first logits.

    Raises
    ------
    InputError
        If one is neither, or no choice has room for all layers.
    """
    for key, given in (("orders", orders), ("bypasses", bypasses)):
        if given not in get_args(Relaxing):
            raise InputError(f"expected fixed or relaxed, got {given!r}", key=key)
    listed = order[None]
    if orders == "relaxed":
        stationary = _stationary(problems[0].space, order)
        listed = np.concatenate([listed, stationary])
    if bypasses == "fixed" or not problems[0].choices:
        return Alternatives([problems], listed, np.ones((1, 0)), seed)
    numbers = _possible(problems, np.random.default_rng(seed))
    chosen = [[problem.choices.problem_of(n) for problem in problems] for n in numbers]
    pairs = len(problems[0].choices.pairs)
    held = np.array([[not n >> bit & 1 for bit in range(pairs)] for n in numbers], dtype=float)
    return Alternatives(chosen, listed, held, seed)


def _possible(problems: Sequence[Problem], rng: np.random.Generator) -> list[int]:
    """Choices that every layer can make: all, or some of them."""
    choices = problems[0].choices
    few = choices.total <= 4 * MOST_CHOICES
    tried = range(choices.total) if few else choices.draw(4 * MOST_CHOICES, rng).tolist()
    tried = dict.fromkeys([choices.first, *tried])
    found = [n for n in tried if all(p.choices.admits(n) for p in problems)]
    if not found:
        raise InputError("no choice has room for all layers; expected fixed", key="bypasses")
    return found[:MOST_CHOICES]


def _stationary(space: MapSpace, order: IntArray) -> IntArray:
    """For every tensor, orders whose innermost loops leave it where it is.

    Memories whose loop order is given keep what they have.
    """
    found = np.repeat(order[None], len(space.workload.tensors), axis=0)
    for t in range(len(found)):
        row = np.argsort(~space.coupled[t], kind="stable")
        for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
            if rule.check(row[None]).all():
                found[t, :, level] = row
    return found
