"""What strategies over hardware found, side by side, and its tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.codesign.exact.certificate import HardwareProof, gap_to
from toolkit.codesign.exact.front_certificate import FrontProof
from toolkit.codesign.job import Job
from toolkit.codesign.registry import hardware_strategy
from toolkit.codesign.scoring import Score
from toolkit.codesign.space import HardwarePoint
from toolkit.display import object_html, short_energy, table_html
from toolkit.study.hardware.plan import Plan

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
    interrupted : bool
        Whether the search was interrupted from the keyboard; it goes on where it is asked for
        again.
    """

    job: Job
    runs: tuple[HardwareRun, ...]
    proof: HardwareProof | None = None
    front: FrontProof | None = None
    interrupted: bool = False

    def __repr__(self) -> str:
        best = self.best
        if best is None or best.choice is None:
            found = "nothing feasible"
        else:
            point = ", ".join(f"{k}={v}" for k, v in best.choice.parameters.items())
            found = f"{self._described(best)} by {best.plan.strategy} at {point}"
        ended = ", interrupted" if self.interrupted else ""
        return f"<HardwareComparison {self.job.title}: {found}{ended}>"

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
        facts += [("ended", "interrupted")] if self.interrupted else []
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


def _value(score: Score, job: Job) -> float:
    return job.objective.value(score.energy_pj, score.latency_cycles, score.area_um2)


def _settings(score: Score) -> str:
    return ",".join(f"{name}={value}" for name, value in score.parameters.items())
