"""Proofs over what memories hide where two tiles may or may not fit.

A memory whose transfers hide where its tiles fit twice is one of two simpler ones: one that hides
everything and has room for half as much, or one that hides nothing. A mapping costs what the
better of the two takes, so that the optimum is that of all such pairs, proved one after the
other against the same best mapping.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.levels import Level, Memory
from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import IntArray
from toolkit.search.chosen_evaluator import ChosenEvaluator
from toolkit.search.evaluator import Costing, Evaluator
from toolkit.search.exact.instance_strategy import InstanceProver
from toolkit.search.exact.spatial import lanes_bound
from toolkit.search.exact.strategy import ROUNDING
from toolkit.search.problem import Problem
from toolkit.search.result import Certificate


class BufferedEvaluator(ChosenEvaluator):
    """Evaluates mappings where every memory hides all or nothing, for a proof.

    Mappings count for the whole search with what they really cost, which is no more.

    Parameters
    ----------
    whole : Evaluator
        Of the problem itself.
    problem : Problem
        One of `decided`.
    """

    def __init__(self, whole: Evaluator, problem: Problem) -> None:
        self._whole, self._choice = whole, 0
        self.problem, self.budget = problem, whole.budget
        self.starts = whole.starts
        self._own_objective = np.inf
        self._best = None
        self._own = Costing(problem)

    def evaluate(
        self, factors: IntArray, order: IntArray, choice: IntArray | None = None
    ) -> NDArray[np.float64]:
        """Cost a batch of mappings, as `Evaluator.evaluate`."""
        count = len(self._whole.evaluate(factors, order))
        costs, valid = self._own.costs(
            np.ascontiguousarray(factors[:count]), np.ascontiguousarray(order[:count])
        )
        values = np.full(count, np.inf)
        values[valid] = self.problem.objective.value(*costs[valid, :3].T)
        if count and values.min() < self._own_objective:
            row = values.argmin()
            self._remember(float(values[row]), factors[row], order[row])
        return values


def undecided(problem: Problem) -> list[int]:
    """Levels of memories that hide what they get and send only where tiles fit twice."""
    if not problem.tables.switches.waits:
        return []
    return [
        i
        for i, level in enumerate(problem.arch.levels)
        if isinstance(level, Memory) and level.overlap == "double-buffered"
    ]


def decided(problem: Problem) -> Iterator[Problem]:
    """Yield the problem for every choice of which of these memories hide everything."""
    places = undecided(problem)
    for hides in itertools.product((True, False), repeat=len(places)):
        levels: list[Level] = list(problem.arch.levels)
        for i, hidden in zip(places, hides, strict=True):
            memory = levels[i]
            assert isinstance(memory, Memory)
            copies = max(2.0, memory.multiple_buffering) if hidden else memory.multiple_buffering
            levels[i] = replace(
                memory, overlap="always" if hidden else "never", multiple_buffering=copies
            )
        yield replace(problem, arch=replace(problem.arch, levels=tuple(levels)))


def prove_buffered(
    prover: InstanceProver,
    prove: Callable[[Evaluator], tuple[float, Certificate]],
) -> tuple[float, Certificate]:
    """Prove the optimum where memories hide what fits twice.

    Parameters
    ----------
    prover : InstanceProver
        Of a problem with such memories; its front, if asked for, ends complete.
    prove : function of Evaluator
        Proves the optimum where all is decided, as `toolkit.search.exact.prove` does.

    Returns
    -------
    bound, certificate
        As `toolkit.search.exact.prove`; sums over all decisions.
    """
    evaluator = prover.evaluator
    prover.first_mapping()
    counts, bounds = Counter(dict.fromkeys(Certificate.__dataclass_fields__, 0)), [math.inf]
    listed = []
    for number, problem in enumerate(decided(evaluator.problem)):
        with suppress(DoesNotFitError):
            listed.append((lanes_bound(problem), number, problem))
    for bound, _, problem in sorted(listed, key=lambda entry: entry[:2]):
        if evaluator.front is None and bound >= evaluator.best_objective * (1 - ROUNDING):
            counts.update(spatial_choices=1, by_compulsory_traffic=1)
        elif evaluator.exhausted:
            counts.update(spatial_choices=1, unfinished=1)
            bounds.append(bound)
        else:
            proved, certificate = prove(BufferedEvaluator(evaluator, problem))
            counts.update(asdict(certificate))
            if certificate.unfinished:
                bounds.append(max(proved, bound))
    return min([prover.best_value(), *bounds]), Certificate(**counts)
