"""All strategies over hardware by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from toolkit.codesign.scoring import Scorer
from toolkit.errors import InputError
from toolkit.extras import LateEntry
from toolkit.messages import suggest

STARTS = 10
"""Random points before a model of the others guides: a model of fewer misleads, and more are spent
blindly of the few that a search can afford."""

MakeSampler = Callable[[Scorer, int], BaseSampler]
"""Makes a sampler of Optuna's for a job, from a seed of 32 bits."""


@dataclass(frozen=True, slots=True)
class HardwareEntry(LateEntry[MakeSampler]):
    """A strategy, loaded as `toolkit.extras.LateEntry` says.

    Parameters
    ----------
    fused : bool
        Whether points are scored with fused layers, where the job fuses any; otherwise only the
        best point is, at the end.
    mapper : str or None
        Searches layers instead of the job's own mapper.
    starts : int
        Points within the budgets that are drawn at random before it begins.
    remembers : bool
        Whether its sampler lives as long as its worker, rather than for one trial.
    baseline : bool
        Whether others have to be better than it to be worth their while: it draws, follows a
        written rule, or mutates what was best, and knows nothing of how costs come about.
    proves : bool
        Whether it bounds what any strategy can find, and chooses points by that alone
        (`toolkit.codesign.exact`); its sampler is asked for none.
    maps : bool
        Whether its sampler brings the mappings along by which points are scored
        (`toolkit.codesign.brought`), so that no mapper searches layers again.
    """

    fused: bool = True
    mapper: str | None = None
    starts: int = 0
    remembers: bool = False
    baseline: bool = False
    proves: bool = False
    maps: bool = False

    key: ClassVar[str] = "strategies"


HARDWARE_STRATEGIES: dict[str, HardwareEntry] = {
    "joint-gradient": HardwareEntry(
        "toolkit.codesign.joint_gradient.sampler:joint_gradient",
        "DOSA's path: tilings of all layers descend together, hardware follows from them.",
        remembers=True,
        extra="torch",
    ),
    "two-step": HardwareEntry(
        "toolkit.codesign.joint_gradient.sampler:two_step",
        "The same for layers that are not fused; the best hardware is fused afterwards.",
        fused=False,
        remembers=True,
        extra="torch",
    ),
    "dosa": HardwareEntry(
        "toolkit.codesign.dosa.sampler:dosa",
        "DOSA as published: mappings descend from random hardware, and are rounded to divisors.",
        fused=False,
        remembers=True,
        extra="torch",
        maps=True,
    ),
    "pattern-search": HardwareEntry(
        "toolkit.codesign.pattern_search:pattern_search",
        "Steps and exchanges from the rule's best points; mappings of all layers chosen together.",
        fused=False,
        remembers=True,
        maps=True,
    ),
    "tpe": HardwareEntry(
        "toolkit.codesign.samplers:tpe",
        "Optuna's tree-structured Parzen estimator over hardware.",
        starts=STARTS,
    ),
    "nsga2": HardwareEntry(
        "toolkit.codesign.samplers:nsga2",
        "Optuna's NSGA-II over hardware.",
    ),
    "gp": HardwareEntry(
        "toolkit.codesign.samplers:gp",
        "Optuna's Gaussian process over hardware.",
        starts=STARTS,
        extra="torch",
        # Optuna imports them only when the first trial is asked for.
        packages=("scipy", "torch"),
    ),
    "cma-es": HardwareEntry(
        "toolkit.codesign.evolution:cma_es",
        "An evolution strategy (CMA-ES) over hardware, from the best points of fill-area.",
        extra="cmaes",
        baseline=True,
    ),
    "exact": HardwareEntry(
        "toolkit.codesign.samplers:random",
        "Branch and bound: the best point of the space, proved, or a bound when the time is over.",
        fused=False,
        proves=True,
    ),
    "random": HardwareEntry(
        "toolkit.codesign.samplers:random",
        "Hardware at random within the budgets, mapped as by all others: the baseline.",
        baseline=True,
    ),
    "random-mappings": HardwareEntry(
        "toolkit.codesign.samplers:random",
        "Hardware at random, and as many mappings at random as others search: DOSA's baseline.",
        mapper="random",
        baseline=True,
    ),
    "fill-area": HardwareEntry(
        "toolkit.codesign.area_filling:fill_area",
        "What one would write down: small registers, the area filled with units, then buffers.",
        remembers=True,
        baseline=True,
    ),
}


def hardware_strategy(name: str) -> HardwareEntry:
    """Look a strategy up.

    Raises
    ------
    InputError
        If there is none of that name; the message lists those there are.
    """
    if name not in HARDWARE_STRATEGIES:
        raise InputError(
            f"unknown strategy {name!r}{suggest(str(name), HARDWARE_STRATEGIES)}; "
            f"expected one of {', '.join(HARDWARE_STRATEGIES)}",
            key="strategies",
        )
    return HARDWARE_STRATEGIES[name]


class SeededSampler(BaseSampler):
    """Gives every trial a sampler of its own, seeded by the number of the trial.

    So one worker repeats itself under the same seed, and several never draw the same numbers.
    A strategy that remembers keeps one sampler, seeded by the number of its first trial.
    """

    def __init__(self, entry: HardwareEntry, scorer: Scorer, seed: int) -> None:
        self._make, self._keeps = entry.load(), entry.remembers
        self._starts, self._random = entry.starts, hardware_strategy("random").load()
        self._scorer, self._seed = scorer, seed
        self._samplers: dict[int, BaseSampler] = {}

    def _of(self, number: int) -> BaseSampler:
        key = 0 if self._keeps else number
        if key not in self._samplers:
            self._samplers.clear()
            drawn = np.random.SeedSequence([self._seed, number]).generate_state(1)
            make = self._make if number >= self._starts else self._random
            self._samplers[key] = make(self._scorer, int(drawn[0]))
        return self._samplers[key]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Pass on."""
        return self._of(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Pass on."""
        return dict(self._of(trial.number).sample_relative(study, trial, search_space))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Pass on."""
        sampler = self._of(trial.number)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Pass on."""
        self._of(trial.number).before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Any
    ) -> None:
        """Pass on."""
        self._of(trial.number).after_trial(study, trial, state, values)
