"""Strategies over hardware side by side: every one under every seed, as studies of one storage."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna

from toolkit.arguments import check_integer
from toolkit.cluster import Cluster
from toolkit.codesign.exact.certificate import HardwareProof, gap_to
from toolkit.codesign.exact.front import check_within
from toolkit.codesign.exact.front_certificate import FrontProof
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.job import Job
from toolkit.codesign.registry import hardware_strategy
from toolkit.codesign.scoring import Score, Scorer, check_template, score_from_record
from toolkit.codesign.space import HardwarePoint
from toolkit.display import object_html, short_energy, table_html
from toolkit.errors import InputError
from toolkit.processes import available_cores, in_processes
from toolkit.study.hardware.plan import (
    CHOICE,
    Plan,
    evaluations_of,
    score_of,
    scored_trials,
    seconds_of,
)
from toolkit.study.hardware.proving import (
    best_front,
    best_proof,
    front_of,
    proof_of,
    scores_of_front,
)
from toolkit.study.hardware.shared import HEARTBEAT_SECONDS, open_shared
from toolkit.study.hardware.workers import OnBox, OnSample, Worker, make_study, study_name
from toolkit.study.storage.opening import guarded, open_storage, storage_name, storage_path

if TYPE_CHECKING:
    import pandas as pd

BASELINE = "random"
"""What other strategies are compared with, where it took part, beside the best of all that
`HardwareEntry.baseline` marks."""


@dataclass(frozen=True, eq=False)
class HardwareRun:
    """What one strategy found under one seed.

    Parameters
    ----------
    plan : Plan
        Strategy, seed and limits.
    scores : tuple of Score
        Its samples, in order.
    choice : Score or None
        The best feasible one, with fused layers where the job fuses any; None if none is.
    seconds : float
        Spent on choosing and scoring points.
    evaluations : int
        Mappings costed for both, relaxed ones included, and for the choice.
    """

    plan: Plan
    scores: tuple[Score, ...]
    choice: Score | None
    seconds: float
    evaluations: int

    def trace(self, job: Job) -> list[float]:
        """Best objective value after each sample; inf before the first feasible one."""
        best, found = math.inf, []
        for score in self.scores:
            if score.feasible:
                best = min(best, _value(score, job))
            found.append(best)
        return found


@dataclass(frozen=True, eq=False)
class HardwareComparison:
    """What all strategies found.

    Parameters
    ----------
    job : Job
        What was asked.
    runs : tuple of HardwareRun
        Strategies in the order given, each under all seeds.
    proof : HardwareProof or None
        What the storage knows of how good any hardware can be: of this run or of earlier ones.
    front : FrontProof or None
        The same of trade-offs, where the objective asks for them.
    """

    job: Job
    runs: tuple[HardwareRun, ...]
    proof: HardwareProof | None = None
    front: FrontProof | None = None

    def __repr__(self) -> str:
        best = self.best
        if best is None or best.choice is None:
            found = "nothing feasible"
        else:
            point = ", ".join(f"{k}={v}" for k, v in best.choice.parameters.items())
            found = f"{self._described(best)} by {best.plan.strategy} at {point}"
        return f"<HardwareComparison {self.job.title}: {found}>"

    def _repr_html_(self) -> str:
        """For notebooks: a row per strategy with its best hardware, and what is proved."""
        heads = ("strategy", self.job.objective.heading, "area", "energy", "cycles", "hardware")
        rows = []
        for name in self.strategies:
            run = self.best_of(name)
            if run is None or run.choice is None:
                rows.append((name, "nothing feasible", "", "", "", ""))
                continue
            score = run.choice
            rows.append(
                (
                    name,
                    self._described(run),
                    f"{score.area_um2 * 1e-6:.4g} mm²",
                    short_energy(score.energy_pj),
                    f"{score.latency_cycles:,.0f}",
                    ", ".join(f"{k}={v}" for k, v in score.parameters.items()),
                )
            )
        facts = [("points", f"{self.job.space.size:,}")]
        if self.proof is not None and self.best is not None:
            gap = self.gap(self.value(self.best))
            proved = "no hardware of these ranges is better"
            within = f"no hardware is more than {gap:.2%} better"
            facts.append(("proof", proved if self.proof.proved else within))
        left = (True, False, False, False, False, True)
        return object_html(self.job.title, facts, table_html(heads, rows, left))

    def _described(self, run: HardwareRun) -> str:
        """The objective value of the choice of a run, for people."""
        score = run.choice
        assert score is not None
        costs = score.energy_pj, score.latency_cycles, score.area_um2
        return self.job.objective.described(*costs)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(dict.fromkeys(run.plan.strategy for run in self.runs))

    @property
    def best(self) -> HardwareRun | None:
        """The run with the best choice; None if nothing feasible was found."""
        return self._best(self.runs)

    def best_of(self, strategy: str) -> HardwareRun | None:
        """The same among the runs of one strategy."""
        return self._best([run for run in self.runs if run.plan.strategy == strategy])

    def _best(self, runs: Sequence[HardwareRun]) -> HardwareRun | None:
        chosen = [run for run in runs if run.choice is not None]
        return min(chosen, key=self.value, default=None)

    def value(self, run: HardwareRun) -> float:
        """Objective value of the choice of a run; inf if there is none."""
        return math.inf if run.choice is None else _value(run.choice, self.job)

    def gap(self, value: float) -> float:
        """Fraction of the bound by which an objective value exceeds it at most; nan if unknown."""
        if self.proof is None or not 0 < self.proof.bound < math.inf:
            return math.nan
        return gap_to(value, self.proof.bound)

    def point(self, score: Score) -> HardwarePoint:
        """Build the hardware of a score."""
        return self.job.space.build(score.parameters)

    def strategy_table(self) -> pd.DataFrame:
        """One row per strategy; costs are those of the seed whose choice is the median.

        Returns
        -------
        DataFrame
            Columns ``strategy``, ``seeds``, ``found`` (seeds with a feasible point),
            ``objective_value`` (in ``objective_unit``), ``best_objective_value`` and
            ``worst_objective_value`` (over seeds), ``baseline_ratio`` (the median of `BASELINE`
            over this one), ``best_baseline_ratio`` (that of the best of all baselines that took
            part, ``best_baseline``), ``edp_j_cycles``, ``latency_cycles``, ``energy_pj``,
            ``area_um2``, ``power_mw``, ``samples``, ``evaluations`` and ``seconds`` (medians),
            ``parameters``; ``gap_fraction`` is the fraction by which the median exceeds what no
            hardware undercuts, where a proof tells (`proof`).
        """
        import pandas as pd

        rows = [self._row(strategy) for strategy in self.strategies]
        values = {row["strategy"]: row["objective_value"] for row in rows}
        baselines = {
            name: value
            for name, value in values.items()
            if hardware_strategy(name).baseline and not math.isnan(value)
        }
        best = min(baselines, key=lambda name: baselines[name], default="")
        for row in rows:
            own = row["objective_value"]
            row["baseline_ratio"] = values.get(BASELINE, math.nan) / own
            row["best_baseline"] = best
            row["best_baseline_ratio"] = baselines.get(best, math.nan) / own
        return pd.DataFrame(rows)

    def _row(self, strategy: str) -> dict[str, Any]:
        runs = [run for run in self.runs if run.plan.strategy == strategy]
        ranked = sorted(runs, key=self.value)
        median = ranked[(len(ranked) - 1) // 2].choice
        objective, nothing = self.job.objective, math.nan
        values = [objective.shown(self.value(run)) for run in ranked if run.choice is not None]
        return {
            "strategy": strategy,
            "seeds": len(runs),
            "found": len(values),
            "objective_value": nothing
            if median is None
            else objective.shown(_value(median, self.job)),
            "objective_unit": objective.shown_unit,
            "best_objective_value": min(values, default=nothing),
            "worst_objective_value": max(values) if len(values) == len(runs) else nothing,
            "edp_j_cycles": nothing if median is None else median.edp_pj_cycles * 1e-12,
            "latency_cycles": nothing if median is None else median.latency_cycles,
            "energy_pj": nothing if median is None else median.energy_pj,
            "area_um2": nothing if median is None else median.area_um2,
            "power_mw": nothing if median is None else median.power_mw,
            "gap_fraction": nothing if median is None else self.gap(_value(median, self.job)),
            "samples": statistics.median(len(run.scores) for run in runs),
            "evaluations": statistics.median(run.evaluations for run in runs),
            "seconds": statistics.median(run.seconds for run in runs),
            "parameters": "" if median is None else _settings(median),
        }

    def sample_table(self) -> pd.DataFrame:
        """One row per scored point: strategy, seed, sample, parameters, costs, feasible."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "strategy": run.plan.strategy,
                    "seed": run.plan.seed,
                    "sample": i,
                    **score.parameters,
                    "energy_pj": score.energy_pj,
                    "latency_cycles": score.latency_cycles,
                    "edp_pj_cycles": score.edp_pj_cycles,
                    "area_um2": score.area_um2,
                    "objective_value": self.job.objective.shown(_value(score, self.job)),
                    "power_mw": score.power_mw,
                    "feasible": score.feasible,
                    "evaluations": score.evaluations,
                    "seconds": score.seconds,
                    "reason": score.reason,
                }
                for run in self.runs
                for i, score in enumerate(run.scores, start=1)
            ]
        )

    def front_table(self) -> pd.DataFrame:
        """One row per trade-off of the front that is proved, by rising area, then energy.

        Returns
        -------
        DataFrame
            The parameters, ``energy_pj``, ``latency_cycles``, ``edp_pj_cycles``, ``area_um2`` and
            ``power_mw``.
        """
        import pandas as pd

        points = () if self.front is None else self.front.points
        return pd.DataFrame(
            [
                {
                    **point.parameters,
                    "energy_pj": point.energy_pj,
                    "latency_cycles": point.latency_cycles,
                    "edp_pj_cycles": point.energy_pj * point.latency_cycles,
                    "area_um2": point.area_um2,
                    "power_mw": point.power_mw,
                }
                for point in points
            ]
        )


def compare_hardware(
    job: Job,
    strategies: Sequence[str],
    *,
    storage: str,
    samples: int,
    seconds: float | None = None,
    evaluations: int | None = None,
    within: float = 0.0,
    seeds: int = 1,
    jobs: int | None = None,
    cluster: Cluster | None = None,
    name: str = "",
    cache: bool | str | os.PathLike[str] = True,
    heartbeat: int = HEARTBEAT_SECONDS,
    on_sample: OnSample | None = None,
    on_box: OnBox | None = None,
) -> HardwareComparison:
    """Let strategies search for hardware, each within the same budget.

    Everything is recorded, and what is there already is not done again; `toolkit worker` may help
    meanwhile from other machines.

    Parameters
    ----------
    job : Job
        What is asked.
    strategies : sequence of str
        Keys of `toolkit.codesign.registry.HARDWARE_STRATEGIES`.
    storage : str
        As for `toolkit.study.hardware.shared.open_shared`.
    samples : int
        Hardware points that each run scores, at most.
    seconds : float, optional
        Time that choosing and scoring them may take.
    evaluations : int, optional
        Mappings that may be costed for both, those of descents included; a point that was
        begun is ended.
    within : float
        Fraction of the bound by which the best point of `exact` may exceed it when it ends.
    seeds : int
        Runs of each strategy, under the seeds 0, 1, ...; one of a strategy that proves.
    jobs : int, optional
        Processes; as many as there are cores by default.
    cluster : Cluster, optional
        Where `exact` proves fronts of layers side by side; the result does not depend on it.
    name : str
        First part of the names of the studies; the networks and the template by default.
    cache : bool or path-like
        Where mappings are kept between runs.
    heartbeat : int
        Seconds between two signs of life of this worker.
    on_sample : callable, optional
        Called after every point, in the process that scored it.
    on_box : callable, optional
        Called after every box that a proof has looked at, in the process that did.

    Raises
    ------
    InputError
        If a strategy is unknown, a layer does not run on the template, or the storage cannot be
        used. Nothing is lost then.
    """
    limits = Plan(BASELINE, 0, samples, seconds, evaluations, within)
    plans = _plans(strategies, seeds, limits)
    for strategy in dict.fromkeys(strategies):
        entry = hardware_strategy(strategy)
        entry.load()
        if entry.proves:
            question_of(job)
            if job.objective.front:
                check_within(within)
    if cluster is not None:
        if not any(hardware_strategy(strategy).proves for strategy in strategies):
            raise InputError(
                f"proofs alone run on it, and {', '.join(strategies)} proves nothing; expected "
                "exact among the strategies (all of them run on machines that take part by "
                "toolkit worker)",
                key="cluster",
            )
        with cluster.connected():
            pass  # It is wrong now, or not at all.
    check_template(Scorer(job, cache=cache))
    named = {study_name(job, plan, name): plan for plan in plans}
    _make_schema(storage)
    with open_shared(storage, heartbeat) as opened:
        for study, plan in named.items():
            make_study(opened, job, plan, study)
    work = partial(_work, storage, cache, heartbeat, cluster, on_sample, on_box)
    processes = jobs or available_cores()
    proving = [name for name, plan in named.items() if hardware_strategy(plan.strategy).proves]
    # Any number of processes share a proof.
    for _ in in_processes(work, [*named, *proving * (processes - 1)], processes):
        pass
    with open_shared(storage, heartbeat) as opened, guarded(storage_name(storage)):
        runs = [_run(opened, study, plan, job) for study, plan in named.items()]
        proof, front = best_proof(opened, job), best_front(opened, job)
    return HardwareComparison(job, tuple(runs), proof, front)


def _plans(strategies: Sequence[str], seeds: int, limits: Plan) -> list[Plan]:
    if not strategies:
        raise InputError("expected at least one", key="strategies")
    repeated = sorted({name for name in strategies if strategies.count(name) > 1})
    if repeated:
        raise InputError(f"{', '.join(repeated)} given twice", key="strategies")
    return [
        replace(limits, strategy=strategy, seed=seed)
        for strategy in strategies
        for seed in range(check_integer(seeds, 1, "seeds"))
        if not (seed and hardware_strategy(strategy).proves)
    ]


def _make_schema(storage: str) -> None:
    """Create or repair a file before workers share it; others may have begun already."""
    path = None if "://" in storage and storage_path(storage) is None else storage_path(storage)
    if path is None:
        return
    try:
        with open_storage(storage):
            return
    except InputError as error:
        if "is locked" not in str(error):
            raise


def _work(
    storage: str,
    cache: bool | str | os.PathLike[str],
    heartbeat: int,
    cluster: Cluster | None,
    on_sample: OnSample | None,
    on_box: OnBox | None,
    study: str,
) -> int:
    with open_shared(storage, heartbeat) as opened:
        place = cache if isinstance(cache, bool) else os.fspath(cache)
        worker = Worker(opened, study, cache=place, heartbeat=heartbeat, cluster=cluster)
        return worker.run(on_sample, on_box=on_box)


def _run(storage: optuna.storages.BaseStorage, name: str, plan: Plan, job: Job) -> HardwareRun:
    study = optuna.load_study(study_name=name, storage=storage)
    scored = scored_trials(study)
    front = front_of(study)
    if not hardware_strategy(plan.strategy).proves:
        scored = scored[: plan.samples]
    record = study.user_attrs.get(CHOICE)
    choice = score_from_record(record) if record else None
    # What was fused at the end alone is mapped once more for that.
    fused_last = choice is not None and choice.fused and not hardware_strategy(plan.strategy).fused
    proof = front or proof_of(study)
    return HardwareRun(
        plan,
        tuple(score_of(trial) for trial in scored)
        if front is None
        else tuple(scores_of_front(front, job)),
        choice,
        seconds_of(scored) if proof is None else proof.seconds,
        evaluations_of(scored) + (choice.evaluations if choice and fused_last else 0),
    )


def _value(score: Score, job: Job) -> float:
    return job.objective.value(score.energy_pj, score.latency_cycles, score.area_um2)


def _settings(score: Score) -> str:
    return ",".join(f"{name}={value}" for name, value in score.parameters.items())
