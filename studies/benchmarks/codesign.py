"""Measures the search over hardware: strategies, joint against two steps, speed, two workers.

Every strategy scores the same number of hardware points within an area budget, layers mapped by
the same mapper; the mappings that it cost for that, those of descents included, stand beside it.
Points that exceed the budget are known before anything is mapped, so that the random baseline
draws none. Of random-mappings, DOSA's baseline, mappings are random, too. The last line of a table
is its headline: the best strategy against the best baseline that knows nothing of costs. With
--within, `exact` proves to that fraction what the best hardware of each space costs, and every
strategy's gap to the bound is printed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna

import toolkit
from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.codesign.scoring import Scorer
from toolkit.study.hardware.comparison import HardwareComparison
from toolkit.study.hardware.plan import Plan
from toolkit.study.hardware.shared import open_shared
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.hardware.workers import make_study
from toolkit.study.script import Arguments, positive, run_script
from toolkit.study.storage.files import make_folder

NETWORKS = Path(__file__).parent.parent.parent / "tests" / "data" / "networks"
MODELS = {"resnet18": {}, "bert_base": {"batch": 1, "seq": 128}}
BASELINES = ("cma-es", "fill-area", "random", "random-mappings")
ALONE = ("joint-gradient", "pattern-search", "gp", "tpe", "nsga2", *BASELINES)
FUSED = ("joint-gradient", "two-step", "cma-es", "fill-area", "random")
TEMPLATES = ("gemmini-ws-fine", "eyeriss-like")
AREA_UM2 = 2e6
COLUMNS = ["strategy", "objective_value", "best_objective_value", "worst_objective_value"]
COLUMNS += [
    "baseline_ratio",
    "best_baseline_ratio",
    "latency_cycles",
    "energy_pj",
    "area_um2",
    "evaluations",
    "seconds",
]
LOOKS = (5, 10, 20, 50, 100)


def job_for(template: str, model: str, **settings: object) -> Job:
    graph = toolkit.load_network(NETWORKS / f"{model}.onnx", MODELS[model], fold_batch_norm=True)
    given = {"area_budget_um2": AREA_UM2, "factors": "perfect", **settings}
    return make_job(template, [graph], JobSettings(**given))


def compare(
    job: Job,
    strategies: tuple[str, ...],
    samples: int,
    seeds: int,
    where: str,
    within: float | None,
) -> None:
    start = time.perf_counter()
    limits = {"samples": samples, "seeds": seeds, "cache": False, "within": within or 0.0}
    proving = () if within is None else ("exact",)
    found = compare_hardware(job, [*strategies, *proving], storage=where, **limits)
    print(f"\n{job.title}, {job.space.size:,} points, fusion {job.settings.fusion}:", end=" ")
    print(f"{samples} samples, {seeds} seeds in {time.perf_counter() - start:.0f} s")
    table = found.strategy_table()
    print(table[COLUMNS].to_string(index=False, float_format="{:,.5g}".format))
    ratios(found, samples)
    best = table.loc[table["objective_value"].idxmin()]
    print(
        f"headline: {best['strategy']} is {best['best_baseline_ratio']:.2f}x better than "
        f"{best['best_baseline']}, the best baseline ({best['baseline_ratio']:.2f}x than random)"
    )
    if "two-step" in strategies:
        areas(found)
    if found.proof is not None:
        gaps(found)


def gaps(found: HardwareComparison) -> None:
    """Print how far each strategy's choices are from what is proved, over seeds."""
    print(f"proved: at least {found.job.objective.shown(found.proof.bound):,.6g}")
    for strategy in found.strategies:
        own = sorted(found.gap(found.value(r)) for r in found.runs if r.plan.strategy == strategy)
        median = own[(len(own) - 1) // 2]
        print(f"gap of {strategy}: median {median:.2%}, {own[0]:.2%} to {own[-1]:.2%}", flush=True)


def ratios(found: HardwareComparison, samples: int) -> None:
    """Print EDP of random over that of each strategy, medians of seeds, as samples grow."""
    looks = [look for look in LOOKS if look <= samples]
    traces: dict[str, list[list[float]]] = {}
    for run in found.runs:
        traces.setdefault(run.plan.strategy, []).append(run.trace(found.job))

    def median(strategy: str, look: int) -> float:
        return statistics.median(trace[look - 1] for trace in traces[strategy])

    for strategy in traces if "random" in traces else ():
        at = [f"{median('random', look) / median(strategy, look):.2f} at {look}" for look in looks]
        print(f"random / {strategy}: {', '.join(at)}", flush=True)


def areas(found: HardwareComparison) -> None:
    """Print what joint search saves in area at no higher EDP than two steps, seed by seed."""
    runs = {(run.plan.strategy, run.plan.seed): run for run in found.runs}
    seeds = sorted({seed for _, seed in runs})
    edps, sizes = [], []
    for seed in seeds:
        bar = runs["two-step", seed].choice
        joint = [score for score in runs["joint-gradient", seed].scores if score.feasible]
        least = min(joint, key=lambda score: score.edp_pj_cycles)
        edps.append(least.edp_pj_cycles / bar.edp_pj_cycles - 1)
        equal = [s.area_um2 for s in joint if s.edp_pj_cycles <= bar.edp_pj_cycles]
        sizes.append(min(equal, default=float("nan")) / bar.area_um2 - 1)
    print("joint against two-step, EDP by seed:", ", ".join(f"{x:+.1%}" for x in edps))
    print("area at its EDP or less, by seed:", ", ".join(f"{x:+.1%}" for x in sizes), flush=True)


def points_per_second(points: int = 200) -> None:
    """The inner mapper on hardware points of ResNet-18, cold, in one process."""
    scorer = Scorer(job_for("gemmini-ws-fine", "resnet18"), cache=False)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(points):
        scorer.score(scorer.job.space.sample(rng).parameters)
    print(f"\n{points} points of ResNet-18: {time.perf_counter() - start:.0f} s, one process")


def workers(storage: str, count: int, samples: int) -> float:
    """Trials per second of so many worker processes, from the first trial to the last."""
    name = f"{count} workers {time.time()}"
    with open_shared(storage) as opened:
        job = job_for("gemmini-ws-fine", "resnet18")
        make_study(opened, job, Plan("random", 0, samples), name)
    words = [sys.executable, "-m", "toolkit", "worker", storage, "--study", name, "--no-cache"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen(words, **quiet) for _ in range(count)]
    for process in started:
        process.wait()
    with open_shared(storage) as opened:
        trials = optuna.load_study(study_name=name, storage=opened).trials
    # Importing and compiling takes as long for any number of trials.
    done = sorted(t.datetime_complete for t in trials if t.datetime_complete is not None)[count:]
    return (len(done) - 1) / (done[-1] - done[0]).total_seconds()


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--samples", type=positive, default=20, help="points of every run")
    parser.add_argument("--seeds", type=positive, default=5)
    parser.add_argument("--templates", default=",".join(TEMPLATES))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--strategies", help="instead of all; names, separated by commas")
    parser.add_argument("--within", type=float, help="prove each space to this fraction")
    parser.add_argument("--fusion", default="none,greedy", help="of every point; several runs")
    parser.add_argument("--storage", help="which workers share; a journal file by default")
    parser.add_argument("--no-speed", action="store_true", help="compare alone")
    parser.add_argument("--out", type=Path, help="folder for the storages; a new one by default")
    options = parser.parse_args()
    folder = make_folder(options.out or tempfile.mkdtemp())
    jobs = [
        (f"{template}-{model}-{fusion}", job_for(template, model, fusion=fusion))
        for fusion in options.fusion.split(",")
        for template in options.templates.split(",")
        for model in options.models.split(",")
    ]
    if not options.no_speed:
        points_per_second()
        storage = options.storage or str(folder / "workers.journal")
        one, two = (workers(storage, count, 40) for count in (1, 2))
        print(f"one worker {one:.2f} points/s, two {two:.2f}: {two / one:.2f}x")
    for name, job in jobs:
        strategies = ALONE if job.settings.fusion == "none" else FUSED
        if options.strategies:
            strategies = tuple(options.strategies.split(","))
        compare(
            job,
            strategies,
            options.samples,
            options.seeds,
            str(folder / f"{name}.journal"),
            options.within,
        )


if __name__ == "__main__":
    run_script(main)
