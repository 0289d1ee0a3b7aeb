"""Simulated annealing at the speed of the compiled cost model, several chains side by side."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.search.compiled_anneal import ANNEAL
from toolkit.search.compiled_moves import MoveSpace
from toolkit.search.evaluator import ArrayPair, Evaluator
from toolkit.search.moves import LocalSearch, first_orders, move_space

CHAINS = 4
"""Independent chains; fixed, so that the result does not depend on the number of cores."""
LENGTH = 300_000
"""Evaluations of a chain without a budget, and of one cooling within a larger one."""
HOT, COLD = 0.5, 0.002
"""First and last temperature, in units of the logarithm of the objective: one step in e is taken
to a value 65 % higher at first, and 0.2 % higher at last, below which is little but ties."""
ROUNDS = 32
"""Looks at the clock, and reports, while a chain cools: chains wait for each other at each."""
FIRST = 256
"""Evaluations before the first look at the clock: enough to tell the pace, within any limit."""
SHORT = 50_000
"""Evaluations below which a budget is not divided among more chains: one cools slowly instead."""


def anneal(evaluator: Evaluator, seed: int) -> None:
    """Cool several chains of random moves, again and again until the budget is spent."""
    moves = move_space(evaluator.problem.space)
    seeds = np.random.default_rng(seed).integers(2**62, size=CHAINS)
    plan, powers = evaluator.problem.plan, evaluator.powers
    chains = [LocalSearch(plan, moves, powers, int(s)) for s in seeds]
    ANNEAL.load()
    unlimited = evaluator.budget.unlimited
    starts = _starts(evaluator, moves, seed)
    with ThreadPoolExecutor(min(CHAINS, os.cpu_count() or 1)) as pool:
        while True:
            before = evaluator.evaluations
            for chain, start in zip(chains, starts, strict=True):
                chain.start(*start)
            _cool(evaluator, chains, pool)
            if unlimited or evaluator.exhausted:
                return
            if evaluator.evaluations - before <= len(chains):
                return  # The starts have no moves.
            starts = [evaluator.best or start for start in starts]


def _starts(evaluator: Evaluator, moves: MoveSpace, seed: int) -> list[ArrayPair]:
    """One start per chain: what the user gave, everything outermost, random mappings."""
    space = evaluator.problem.space
    starts = [*evaluator.warm_starts, (start_point(space), first_orders(moves))][:CHAINS]
    try:
        factors, orders = sample(space, CHAINS - len(starts), np.random.default_rng(seed))
    except DoesNotFitError:
        return (starts * CHAINS)[:CHAINS]
    return [*starts, *zip(factors, orders, strict=True)]


def _cool(evaluator: Evaluator, chains: list[LocalSearch], pool: ThreadPoolExecutor) -> None:
    """Cool the chains from hot to cold, as slowly as what is left of the budget allows.

    A limit of seconds changes nothing unless it binds: then the rest cools faster.
    """
    active = chains[: max(1, min(CHAINS, evaluator.remaining_evaluations // SHORT))]
    left = _length(evaluator.remaining_evaluations / len(active))
    temperature, cooling = HOT, (COLD / HOT) ** (1 / left)
    part = max(1, left // ROUNDS)
    step = min(FIRST, part)
    while left:
        began = evaluator.seconds
        _advance_all(evaluator, active, pool, step, temperature, cooling)
        if evaluator.exhausted:
            return
        temperature *= cooling**step
        left -= step
        pace = (evaluator.seconds - began) / step
        possible = _seconds_left(evaluator) / pace if pace > 0 else math.inf
        # The first few evaluations are slow, and only tell whether a whole part is possible.
        if possible < (left if step == part else part):
            left = max(1, int(possible))
            cooling = (COLD / temperature) ** (1 / left)
            part = max(1, left // ROUNDS)
        step = min(part, left)


def _length(allowed: float) -> int:
    """Evaluations of one chain's cooling: all allowed, in equal parts of at most `LENGTH`."""
    return math.ceil(allowed / math.ceil(allowed / LENGTH)) if allowed < 2**59 else LENGTH


def _seconds_left(evaluator: Evaluator) -> float:
    limit = evaluator.budget.seconds
    return math.inf if limit is None else max(limit - evaluator.seconds, 0.0)


def _advance_all(
    evaluator: Evaluator,
    chains: list[LocalSearch],
    pool: ThreadPoolExecutor,
    evaluations: int,
    temperature: float,
    cooling: float,
) -> None:
    """Advance the chains side by side and report their best mappings, in their order."""
    before = [chain.spent for chain in chains]
    jobs = [pool.submit(chain.run, ANNEAL, evaluations, temperature, cooling) for chain in chains]
    for job, chain, spent in zip(jobs, chains, before, strict=True):
        job.result()
        chain.count_for(evaluator, spent)
    for chain in chains:
        chain.report_to(evaluator)
