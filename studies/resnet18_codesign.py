"""What should an edge accelerator for ResNet-18 be, and which strategy finds it soonest?

Gives every strategy the same number of hardware points of Gemmini, within an area budget, and
fuses layers on each. Prints a table, draws trade-offs of area and energy-delay product, and
writes the best hardware as an architecture that `toolkit map` and `toolkit network` take.

    python studies/resnet18_codesign.py [SAMPLES] [SEEDS] [FOLDER]
"""

from __future__ import annotations

from pathlib import Path

import toolkit
from toolkit.cli.codesign import write_codesign
from toolkit.codesign.job import JobSettings, make_job
from toolkit.study.hardware.strategies import compare_hardware
from toolkit.study.hardware.workers import SampleProgress
from toolkit.study.script import Arguments, positive, run_script
from toolkit.study.storage.files import make_folder

MODEL = Path(__file__).parent.parent / "tests" / "data" / "networks" / "resnet18.onnx"
STRATEGIES = ("joint-gradient", "two-step", "tpe", "gp", "fill-area", "random")
AREA_MM2 = 2.0


def tell(progress: SampleProgress) -> None:
    edp = progress.score.edp_pj_cycles * 1e-12
    print(f"{progress.study} {progress.done}/{progress.samples}: {edp:.5g} J·cycle", flush=True)


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("samples", nargs="?", type=positive, default=30)
    parser.add_argument("seeds", nargs="?", type=positive, default=3)
    parser.add_argument("folder", nargs="?", default="resnet18_codesign")
    given = parser.parse_args()
    folder = make_folder(given.folder)
    graph = toolkit.load_network(MODEL, {}, fold_batch_norm=True)
    settings = JobSettings(area_budget_um2=AREA_MM2 * 1e6, fusion="greedy")
    job = make_job("gemmini-ws-fine", [graph], settings)
    found = compare_hardware(
        job,
        STRATEGIES,
        storage=str(folder / "codesign.journal"),
        samples=given.samples,
        seeds=given.seeds,
        on_sample=tell,
    )
    columns = ["strategy", "edp_j_cycles", "baseline_ratio", "best_baseline_ratio"]
    columns += ["latency_cycles", "energy_pj", "area_um2", "samples", "seconds", "parameters"]
    print(found.strategy_table()[columns].to_string(index=False))
    print(*write_codesign(found, folder).lines(), sep="\n")


if __name__ == "__main__":
    run_script(main)
