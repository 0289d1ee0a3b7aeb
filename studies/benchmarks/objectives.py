"""What does the model cost as somebody else's objective?

    python studies/benchmarks/objectives.py [TRIALS [SEEDS]]

Processor seconds: of a trial without Optuna's own, of a study of TPE by `study.optimize` beside
the built-in strategy `tpe`, and of SciPy's batches beside the evaluator that they go through.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import optuna
from scipy.stats import mannwhitneyu

import toolkit
from toolkit.objectives import for_optuna, for_vectors
from toolkit.study.script import Arguments, positive, run_script

BATCH, REPEATS = 2000, 9


def seconds(function: Callable[[], object]) -> float:
    """Least processor time of several calls."""
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        spent.append(time.process_time() - start)
    return min(spent)


def own(problem: toolkit.Problem, trials: int, seed: int) -> tuple[float, float]:
    """Best value and processor seconds of a study as a user makes it."""
    start = time.process_time()
    objective = for_optuna(problem)
    sampler = optuna.samplers.TPESampler(multivariate=True, n_startup_trials=1, seed=seed)
    study = objective.create_study(sampler=sampler)
    objective.enqueue_starts(study, 50, seed)
    study.optimize(objective, n_trials=trials)
    return study.best_value, time.process_time() - start


def built_in(problem: toolkit.Problem, trials: int, seed: int) -> tuple[float, float]:
    """The same of the strategy."""
    start = time.process_time()
    found = toolkit.search_mappings(
        problem, "tpe", budget=toolkit.Budget(evaluations=trials), seed=seed
    )
    return found.objective, time.process_time() - start


def report_trial(problem: toolkit.Problem) -> None:
    """What a trial of TPE takes without Optuna's own."""
    objective = for_optuna(problem)
    study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    objective.enqueue_starts(study, 20)
    study.optimize(objective, n_trials=150)
    params = [trial.params for trial in study.trials]
    each = seconds(lambda: [objective.told(p) for p in params]) / len(params)
    print(f"{problem.factors}: a trial without Optuna's own takes {1e3 * each:.2f} ms", flush=True)


def report_batches(problem: toolkit.Problem, encoding: str) -> None:
    """Mappings per second of SciPy's batches, of those of the evaluator."""
    vectors = for_vectors(problem, encoding=encoding)
    batch = np.ascontiguousarray(vectors.starts(BATCH).T)
    arrays = vectors.decoder.decode(batch.T)
    alone = seconds(lambda: vectors.evaluator.evaluate(*arrays))
    share = alone / seconds(lambda: vectors(batch))
    print(f"  {encoding}: {share:.0%} of the evaluator's {BATCH / alone:,.0f} mappings/s")


def report_studies(problem: toolkit.Problem, trials: int, seeds: int) -> None:
    """A user's TPE beside the strategy."""
    rows = [(*own(problem, trials, s), *built_in(problem, trials, s)) for s in range(seeds)]
    ours, seconds_ours, theirs, seconds_theirs = zip(*rows, strict=True)
    p, ratio = mannwhitneyu(ours, theirs).pvalue, median(ours) / median(theirs)
    spent = sum(seconds_ours) / sum(seconds_theirs)
    print(
        f"  TPE, {trials} trials: median {ratio:.3f} of the built-in's over {seeds} seeds "
        f"(Mann-Whitney p {p:.2f}), {spent:.2f} of its time ({sum(seconds_theirs) / seeds:.1f} s)"
    )


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("trials", nargs="?", type=positive, default=300)
    parser.add_argument("seeds", nargs="?", type=positive, default=5)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    arch, workload = toolkit.load_arch("eyeriss"), toolkit.load_workload("bert-large/KQV")
    for factors in ("ragged", "perfect"):
        problem = toolkit.make_problem(arch, workload, factors=factors)
        report_trial(problem)
        for encoding in ("moves", "box"):
            report_batches(problem, encoding)
        report_studies(problem, given.trials, given.seeds)


if __name__ == "__main__":
    run_script(main)
