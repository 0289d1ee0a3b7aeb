"""Measures the search over hardware: strategies, joint against two steps, speed, two workers.

Every strategy scores the same number of hardware points of Gemmini within an area budget, layers
mapped by the same mapper. Points that exceed the budget are known before anything is mapped, so
that the random baseline draws none.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import toolkit
from toolkit.codesign.job import Job, JobSettings, make_job
from toolkit.codesign.scoring import Scorer
from toolkit.study.codesign import compare_hardware
from toolkit.study.hardware_plan import Plan
from toolkit.study.hardware_study import make_study
from toolkit.study.shared import open_shared

NETWORKS = Path(__file__).parent.parent.parent / "tests" / "data" / "networks"
MODELS = {"resnet18": {}, "bert_layer": {"batch": 1, "seq": 128}}
ALONE = ("joint-gradient", "tpe", "gp", "nsga2", "random", "random-mappings")
FUSED = ("joint-gradient", "two-step", "random")
RANGES = {
    "side": list(range(4, 65, 4)),
    "scratchpad_words": list(range(8_192, 1_048_577, 8_192)),
    "accumulator_words": list(range(64, 4_097, 64)),
}
COLUMNS = ["strategy", "edp_j_cycles", "best_edp_j_cycles", "worst_edp_j_cycles"]
COLUMNS += ["baseline_ratio", "latency_cycles", "energy_pj", "area_um2", "samples", "seconds"]


def job_for(model: str, **settings: object) -> Job:
    graph = toolkit.load_network(NETWORKS / f"{model}.onnx", MODELS[model], fold_batch_norm=True)
    given = {"ranges": RANGES, "area_budget_um2": 2e6, **settings}
    return make_job("gemmini-ws", [graph], JobSettings(**given))


def compare(model: str, strategies: tuple[str, ...], samples: int, seeds: int, where: str, **more):
    start = time.perf_counter()
    found = compare_hardware(
        job_for(model, **more),
        strategies,
        storage=where,
        samples=samples,
        seeds=seeds,
        name=f"{model} {more}",
        cache=False,
    )
    print(f"\n{model} {more}: {samples} points, {seeds} seeds", end=" ")
    print(f"in {time.perf_counter() - start:.0f} s")
    print(found.strategy_table()[COLUMNS].to_string(index=False), flush=True)


def points_per_second(points: int = 200) -> None:
    """The inner mapper on hardware points of ResNet-18, cold, in one process."""
    scorer = Scorer(job_for("resnet18"), cache=False)
    import numpy as np

    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(points):
        scorer.score(scorer.job.space.sample(rng).parameters)
    print(f"\n{points} points of ResNet-18: {time.perf_counter() - start:.0f} s, one process")


def workers(storage: str, count: int, samples: int) -> float:
    """Trials per second of so many worker processes, from the first trial to the last."""
    name = f"{count} workers {time.time()}"
    with open_shared(storage) as opened:
        make_study(opened, job_for("resnet18"), Plan("random", 0, samples), name)
    words = [sys.executable, "-m", "toolkit", "worker", storage, "--study", name, "--no-cache"]
    started = [subprocess.Popen(words, stderr=subprocess.DEVNULL) for _ in range(count)]
    for process in started:
        process.wait()
    import optuna

    with open_shared(storage) as opened:
        trials = optuna.load_study(study_name=name, storage=opened).trials
    # Importing and compiling takes as long for any number of trials.
    done = sorted(t.datetime_complete for t in trials if t.datetime_complete is not None)[count:]
    return (len(done) - 1) / (done[-1] - done[0]).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=30, help="points of a run without fusion")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--fused-samples", type=int, default=12, help="points of a fused run")
    parser.add_argument("--fused-seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for the storages; a new one by default")
    options = parser.parse_args()
    folder = options.out or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    points_per_second()
    rates = [workers(str(folder / "workers.journal"), count, 40) for count in (1, 2)]
    print(f"one worker {rates[0]:.2f} points/s, two {rates[1]:.2f}: {rates[1] / rates[0]:.2f}x")
    for model in MODELS:
        alone = str(folder / f"{model}.journal")
        compare(model, ALONE, options.samples, options.seeds, alone)
        where = str(folder / f"{model}-fused.journal")
        fused = (options.fused_samples, options.fused_seeds)
        compare(model, FUSED, *fused, where, fusion="greedy")


if __name__ == "__main__":
    main()
