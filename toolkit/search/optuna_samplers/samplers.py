"""Optuna's samplers, a row of one table each: its settings, and how it is driven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    TPESampler,
)

from toolkit.processes import one_torch_thread
from toolkit.search.evaluator import Evaluator
from toolkit.search.optuna_samplers.chosen import problem_coding
from toolkit.search.optuna_samplers.driver import drive
from toolkit.search.optuna_samplers.mapping_objective import MappingObjective
from toolkit.search.result import require_limit


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A sampler and how it spends a budget; it is a strategy.

    Parameters
    ----------
    name : str
        Key of `SAMPLERS`.
    kind : callable
        Optuna's class.
    settings : mapping
        What it is made with, besides the seed.
    starts : int
        Mappings that a study sets out from: one with large outer tiles, the others drawn.
    batch : int
        Trials asked for before any of them is told.
    memory : (int, int), optional
        Trials of a study, and how many of the best the next one begins with.
    ordered : bool
        Whether parameters are numbers, for samplers that know nothing else.
    fronts : bool
        Whether it is told the costs of a front, instead of their product.
    packages : tuple of str
        What Optuna imports only when the first trial is asked for.
    setting : callable
        What holds while it runs.
    """

    name: str
    kind: Callable[..., BaseSampler]
    settings: Mapping[str, Any]
    starts: int = 1
    batch: int = 1
    memory: tuple[int, int] | None = None
    ordered: bool = False
    fronts: bool = False
    packages: tuple[str, ...] = ()
    setting: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def __name__(self) -> str:  # What `search` calls a strategy that it is given.
        return self.name

    def make(self, seed: int) -> BaseSampler:
        """Make Optuna's sampler with a seed of 32 bits."""
        return self.kind(**self.settings, seed=seed)

    def __call__(self, evaluator: Evaluator, seed: int) -> None:
        """Spend the budget on what the sampler suggests.

        Raises
        ------
        InputError
            If the budget has no limit.
        DoesNotFitError
            If no valid tiling is found.
        """
        require_limit(evaluator.budget, self.name)
        coding = problem_coding(evaluator.problem, evaluator.starts, ordered=self.ordered)
        objective = MappingObjective(evaluator, coding, fronts=self.fronts, logarithms=True)
        starts = coding.starts(self.starts, evaluator.starts, seed)
        with self.setting():
            drive(objective, self.make, seed, starts, batch=self.batch, memory=self.memory)


SAMPLERS: dict[str, Sampler] = {
    sampler.name: sampler
    for sampler in (
        # Draws each mapping where good ones were denser than others so far. It takes as long as
        # there are trials: hence the memory. The driver starts it, so it needs no start of its
        # own, and there is nobody to lie to where trials come one by one.
        Sampler(
            name="tpe",
            kind=TPESampler,
            settings={"multivariate": True, "n_startup_trials": 1, "constant_liar": False},
            starts=50,
            memory=(300, 100),
            fronts=True,
        ),
        # Crosses the best of each generation; mutations redraw one parameter in a child on
        # average. A generation is evaluated as one batch.
        Sampler(
            name="nsga2",
            kind=NSGAIISampler,
            settings={"population_size": 50},
            starts=50,
            batch=50,
            fronts=True,
        ),
        # Covers the map space evenly by a scrambled Sobol sequence. Nothing is learned, so that
        # the batch only saves time.
        Sampler(
            name="qmc",
            kind=QMCSampler,
            settings={"scramble": True, "warn_independent_sampling": False},
            batch=64,
            ordered=True,
        ),
        # Adapts a normal distribution over the levels of all prime factors.
        Sampler(
            name="cmaes",
            kind=CmaEsSampler,
            settings={"with_margin": True, "warn_independent_sampling": False},
            batch=16,
            ordered=True,
            packages=("cmaes",),
        ),
        # Tries the mapping of largest expected improvement: for few, dear evaluations.
        Sampler(
            name="gp",
            kind=GPSampler,
            settings={"n_startup_trials": 1, "deterministic_objective": True},
            starts=20,
            packages=("scipy", "torch"),
            setting=one_torch_thread,
        ),
    )
}


def __getattr__(name: str) -> Sampler:
    """Look a sampler up, so that the registry loads it by its name as it loads a function.

    Only here, and not when the table is read, are its packages imported: what one sampler lacks
    keeps no other from running, and is told before a search begins.
    """
    if name not in SAMPLERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for package in SAMPLERS[name].packages:
        import_module(package)
    return SAMPLERS[name]
