"""Simulated annealing at the speed of the compiled cost model, several chains side by side.

Where bypasses are to be chosen, chains that cooled flip them at every look at the clock: each flip
is judged by the value of the flipped mapping at the present temperature, as every other step is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from toolkit.errors import DoesNotFitError
from toolkit.mapping.sampling import sample
from toolkit.mapping.tilings import start_point
from toolkit.search.chosen_walks import Chosen, Walkers
from toolkit.search.compiled_anneal import ANNEAL
from toolkit.search.compiled_moves import MoveSpace
from toolkit.search.evaluator import ArrayPair, Evaluator, Start
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


class Chain:
    """One chain, in the mappings of a problem in which nothing is optional.

    Parameters
    ----------
    evaluator : Evaluator
        Counts what it spends.
    moves : MoveSpace
        What its steps are drawn from.
    seed : int
        Of its random numbers.
    """

    def __init__(self, evaluator: Evaluator, moves: MoveSpace, seed: int) -> None:
        self._evaluator = evaluator
        self._search = LocalSearch(evaluator.problem.plan, moves, evaluator.powers, seed)

    def start(self, start: Start) -> None:
        """Set out from a mapping."""
        self._search.start(*start[:2])

    def advance(self, evaluations: int, temperature: float, cooling: float) -> None:
        """Take steps; chains may do so side by side."""
        self._before = self._search.spent
        self._search.run(ANNEAL, evaluations, temperature, cooling)

    def count(self) -> None:
        """Tell the evaluator what the last steps took."""
        self._search.count_for(self._evaluator, self._before)

    def report(self) -> None:
        """Tell the evaluator the best mapping so far."""
        self._search.report_to(self._evaluator)

    def flip(self, temperature: float) -> None:
        """Change a choice: there is none."""


class FlippingChain(Chain):
    """A chain that flips choices of bypasses between its steps.

    Parameters
    ----------
    evaluator : Evaluator
        Of the problem with all its choices.
    seed : int
        Of its random numbers.
    """

    def __init__(self, evaluator: Evaluator, seed: int) -> None:
        self._evaluator, self._walkers = evaluator, Walkers(evaluator, seed)
        self._rng = np.random.default_rng([seed, 1])

    def start(self, start: Start) -> None:
        """Set out from a mapping and its choice."""
        self._walker = self._walkers.of(start[2])
        self._evaluator = self._walker.evaluator
        self._search = self._walker.search
        super().start(start)

    def flip(self, temperature: float) -> None:
        """Flip every optional pair in turn, by the rule of Metropolis."""
        choices = self._walkers.whole.problem.choices
        for bit in self._rng.permutation(len(choices.pairs)).tolist():
            other = self._walker.choice ^ 1 << bit
            if choices.admits(other) and not self._evaluator.exhausted:
                self._try(self._walkers.of(other), temperature)

    def _try(self, other: Chosen, temperature: float) -> None:
        walker, value = self._search.walker, float(self._search.state.origin[0])
        factors, order = other.fitted(walker.factors.copy()), walker.order.copy()
        if factors is None:
            return
        found = float(other.evaluator.evaluate(factors[None], order[None])[0])
        if self._accepts(found, value, temperature):
            self.start((factors, order, other.choice))
            # What was costed is not costed again.
            self._search.state.origin = found

    def _accepts(self, found: float, value: float, temperature: float) -> bool:
        if found <= value or value == 0.0:
            return found <= value and found < math.inf
        if found == math.inf:
            return False
        return bool(self._rng.random() < math.exp(-math.log(found / value) / temperature))


def anneal(evaluator: Evaluator, seed: int) -> None:
    """Cool several chains of random moves, again and again until the budget is spent."""
    seeds = np.random.default_rng(seed).integers(2**62, size=CHAINS).tolist()
    ANNEAL.load()
    if evaluator.problem.choices:
        walkers = Walkers(evaluator, seed)
        starts = (walkers.starts(CHAINS) * CHAINS)[:CHAINS]
        _anneal(evaluator, [FlippingChain(evaluator, s) for s in seeds], starts)
        return
    moves = move_space(evaluator.problem.space)
    pairs = _starts(evaluator, moves, seed)
    _anneal(evaluator, [Chain(evaluator, moves, s) for s in seeds], [(*p, 0) for p in pairs])


def _anneal(evaluator: Evaluator, chains: Sequence[Chain], starts: list[Start]) -> None:
    unlimited = evaluator.budget.unlimited
    with ThreadPoolExecutor(min(CHAINS, os.cpu_count() or 1)) as pool:
        while True:
            before = evaluator.evaluations
            for chain, start in zip(chains, starts, strict=True):
                chain.start(start)
            _cool(evaluator, chains, pool)
            if unlimited or evaluator.exhausted:
                return
            if evaluator.evaluations - before <= len(chains):
                return  # The starts have no moves.
            if evaluator.best is not None:
                starts = [(*evaluator.best, evaluator.best_choice)] * len(chains)


def _starts(evaluator: Evaluator, moves: MoveSpace, seed: int) -> list[ArrayPair]:
    """One start per chain: what the user gave, everything outermost, random mappings."""
    space = evaluator.problem.space
    starts = [*evaluator.warm_starts, (start_point(space), first_orders(moves))][:CHAINS]
    try:
        factors, orders = sample(space, CHAINS - len(starts), np.random.default_rng(seed))
    except DoesNotFitError:
        return (starts * CHAINS)[:CHAINS]
    return [*starts, *zip(factors, orders, strict=True)]


def _cool(evaluator: Evaluator, chains: Sequence[Chain], pool: ThreadPoolExecutor) -> None:
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
        before = evaluator.evaluations
        for chain in active:
            chain.flip(temperature)
        if evaluator.exhausted:
            return
        if evaluator.evaluations > before:
            # Flips take from what is left.
            left = min(left, evaluator.remaining_evaluations // len(active))
            cooling = (COLD / temperature) ** (1 / max(left, 1))
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
    chains: Sequence[Chain],
    pool: ThreadPoolExecutor,
    evaluations: int,
    temperature: float,
    cooling: float,
) -> None:
    """Advance the chains side by side and report their best mappings, in their order."""
    jobs = [pool.submit(chain.advance, evaluations, temperature, cooling) for chain in chains]
    for job, chain in zip(jobs, chains, strict=True):
        job.result()
        chain.count()
    for chain in chains:
        chain.report()
