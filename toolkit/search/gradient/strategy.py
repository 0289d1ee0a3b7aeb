"""Rounds of a descent from many starts, each rounded, scored and polished."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.mapping.mapping import FloatArray, IntArray
from toolkit.mapping.rounding import Rounding
from toolkit.search.chosen_walks import Chosen, Walkers
from toolkit.search.compiled_moves import STRICTLY, MoveSpace
from toolkit.search.evaluator import Evaluator
from toolkit.search.gradient.chosen import flip_on, round_choices
from toolkit.search.gradient.descent import Descent
from toolkit.search.gradient.tilings import some_tilings
from toolkit.search.moves import move_space, one_move_away

STARTS = 256
"""Most mappings that descend side by side, as one batch of torch."""
STEPS = 60
"""Steps of Adam of one round, if its evaluations allow."""
INTERVAL = 10
"""Steps between two roundings: a rounding takes an evaluation of each start, as a step does, so
that about a tenth of them goes there."""
POLISH = 0.2
"""Share of a round's evaluations for the discrete descent at its end."""
FINALISTS = 8
"""Rounded mappings that are polished, the best of different starts."""


@dataclass(frozen=True)
class Candidates:
    """Best mapping of every start so far.

    Parameters
    ----------
    factors, order : int64 arrays, shape (starts, levels, dimensions)
        Mappings.
    values : float64 array, shape (starts,)
        Their objective; inf where it is not known.
    """

    factors: IntArray
    order: IntArray
    values: FloatArray

    def improve(self, factors: IntArray, values: FloatArray) -> None:
        """Take over what is better, in place; values may be fewer than starts."""
        better = np.flatnonzero(values < self.values[: len(values)])
        self.factors[better] = factors[better]
        self.values[better] = values[better]

    def best(self, count: int) -> tuple[IntArray, IntArray, FloatArray]:
        """Return the best different ones, at most `count`."""
        both = np.concatenate([self.factors, self.order], axis=1)
        _, first = np.unique(both, axis=0, return_index=True)
        kept = first[np.argsort(self.values[first], kind="stable")][:count]
        kept = kept[self.values[kept] < np.inf]
        return self.factors[kept], self.order[kept], self.values[kept]


def gradient(
    evaluator: Evaluator,
    seed: int,
    *,
    device: str | torch.device = "cpu",
    starts: int = STARTS,
    polish_share: float = POLISH,
) -> None:
    """Descend from many starts, round, score and polish, until the budget is spent.

    Without a limit this ends after one round.

    Parameters
    ----------
    device : str or torch.device
        Where torch runs the cost model: ``functools.partial(gradient, device="cuda")`` is a
        strategy too. Only on the CPU does the same seed promise the same result.
    starts : int
        Most mappings that descend side by side.
    polish_share : float
        Share of a round's evaluations for the discrete descent, from 0 to below 1.

    Raises
    ------
    InputError
        If the objective is a Python function, whose gradient is not known.
    """
    _ = evaluator.powers  # Refuses what has no gradient.
    rng = np.random.default_rng(seed)
    if evaluator.problem.choices:
        _flipping(evaluator, seed, device, starts, polish_share)
        return
    moves, rounding = move_space(evaluator.problem.space), Rounding(evaluator.problem.space)
    while not evaluator.exhausted:
        before = evaluator.evaluations
        count, steps = _schedule(evaluator.remaining_evaluations * (1 - polish_share), starts)
        found = _round(evaluator, rounding, rng, count, steps, device)
        limit = int((evaluator.evaluations - before) * polish_share / (1 - polish_share))
        polish(evaluator, moves, *found.best(FINALISTS), limit=limit)
        if evaluator.budget.unlimited or len(moves.moves) == 0:
            return


def _round(
    evaluator: Evaluator,
    rounding: Rounding,
    rng: np.random.Generator,
    count: int,
    steps: int,
    device: str | torch.device,
) -> Candidates:
    """Descend from `count` starts for some steps; returns the best of each."""
    powers = tuple(evaluator.powers.tolist())
    factors, order = _starts(evaluator, count, rng)
    descent = Descent(evaluator.problem, powers, factors, order, device)
    found = Candidates(factors, order, _unknown(len(factors)))
    _descend(evaluator, descent, rounding, found, steps)
    return found


def _flipping(
    evaluator: Evaluator, seed: int, device: str | torch.device, starts: int, polish_share: float
) -> None:
    """Do the same over all choices of bypasses, see `toolkit.search.gradient.chosen`."""
    rng, walkers = np.random.default_rng(seed), Walkers(evaluator, seed)
    roundings: dict[int, Rounding] = {}

    def polish_flip(
        walker: Chosen, factors: IntArray, order: IntArray, value: float, limit: int
    ) -> None:
        pair = factors[None], order[None]
        polish(walker.evaluator, walker.moves, *pair, np.array([value]), limit=limit)

    while not evaluator.exhausted:
        before = evaluator.evaluations
        count, steps = _schedule(evaluator.remaining_evaluations * (1 - polish_share), starts)
        picked = round_choices(walkers, rng)[:count]
        found = []
        for choice in picked:
            walker = walkers.of(choice)
            if choice not in roundings:
                roundings[choice] = Rounding(walker.space)
            share, own = count // len(picked), walker.evaluator
            found.append((walker, _round(own, roundings[choice], rng, share, steps, device)))
        limit = int((evaluator.evaluations - before) * polish_share / (1 - polish_share) / 2)
        for walker, candidates in found:
            best, each = candidates.best(FINALISTS // len(found)), limit // len(found)
            polish(walker.evaluator, walker.moves, *best, limit=each)
        flip_on(walkers, polish_flip, limit)
        if evaluator.budget.unlimited:
            return


def _unknown(count: int) -> FloatArray:
    return np.full(count, np.inf)


def _schedule(evaluations: float, starts: int) -> tuple[int, int]:
    """Starts and steps of a round: fewer of both, the fewer evaluations there are."""
    steps = int(min(max(math.sqrt(evaluations) / 2, 1), STEPS))
    each = 1 + steps + max(steps // INTERVAL, 1)
    return int(min(max(evaluations // each, 1), starts)), steps


def _starts(
    evaluator: Evaluator, count: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """What the user gave, the best so far, and what `some_tilings` adds to that."""
    known = list(evaluator.warm_starts)
    if evaluator.best is not None:
        known.append(evaluator.best)
    factors, order = zip(*some_tilings(evaluator.problem, count, rng, known), strict=True)
    return np.stack(factors), np.stack(order)


def _descend(
    evaluator: Evaluator, descent: Descent, rounding: Rounding, found: Candidates, steps: int
) -> None:
    """Descend for one round; whatever is scored on the way is remembered."""
    found.improve(found.factors, evaluator.evaluate(found.factors, found.order))
    for step in range(1, steps + 1):
        if evaluator.exhausted or evaluator.remaining_evaluations < len(found.values):
            break
        descent.step()
        # Real-valued tilings are neither valid nor invalid mappings.
        evaluator.spend(len(found.values), invalid=0)
        due = step == steps or (step % INTERVAL == 0 and steps - step >= INTERVAL)
        if due and not evaluator.exhausted:
            found.improve(*_score(evaluator, rounding, descent.logs(), found.order))


def _score(
    evaluator: Evaluator, rounding: Rounding, logs: FloatArray, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """Round every start and score what is valid: rounded factors and values, or inf."""
    factors, valid = rounding.round(logs)
    rows = np.flatnonzero(valid)
    values = _unknown(len(factors))
    if len(rows):
        scored = evaluator.evaluate(factors[rows], order[rows])
        values[rows[: len(scored)]] = scored
    return factors, values


def polish(
    evaluator: Evaluator,
    moves: MoveSpace,
    factors: IntArray,
    order: IntArray,
    values: FloatArray,
    *,
    limit: int,
) -> None:
    """Give each mapping its best neighbour until none improves or the limit is spent.

    Parameters
    ----------
    moves : MoveSpace
        See `toolkit.search.moves.move_space`.
    factors, order : int64 arrays, shape (batch, levels, dimensions)
        Valid mappings, best first.
    values : float64 array, shape (batch,)
        Their objective.
    limit : int
        Most evaluations.
    """
    space, end = evaluator.problem.space, evaluator.evaluations + limit
    while len(values) and not evaluator.exhausted:
        near = [one_move_away(space, moves, *pair) for pair in zip(factors, order, strict=True)]
        owner = np.repeat(np.arange(len(near)), [len(f) for f, _ in near])
        owner = owner[: min(end - evaluator.evaluations, evaluator.remaining_evaluations)]
        if len(owner) == 0:
            return
        near_factors, near_orders = (np.concatenate(arrays) for arrays in zip(*near, strict=True))
        scores = evaluator.evaluate(near_factors[: len(owner)], near_orders[: len(owner)])
        chosen = _best_of_each(owner, scores)
        chosen = chosen[scores[chosen] < values[owner[chosen]] * STRICTLY]
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        factors, order, values = near_factors[chosen], near_orders[chosen], scores[chosen]


def _best_of_each(owner: IntArray, scores: FloatArray) -> IntArray:
    """Row of the lowest score of every owner."""
    ranked = np.lexsort((scores, owner))
    _, first = np.unique(owner[ranked], return_index=True)
    return np.asarray(ranked[first])
