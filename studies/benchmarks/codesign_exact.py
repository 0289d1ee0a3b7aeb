"""Measures proofs over hardware: the spaces of codesign.py, and how far a search is from them.

Every space is asked for its best energy-delay product within 2 mm^2, with the mappings of all
layers chosen together; printed is the best point, the bound, and what closed the boxes.
"""

from __future__ import annotations

import time

from codesign import job_for

from toolkit.codesign.exact import Progress, prove_hardware
from toolkit.codesign.exact.question import question_of
from toolkit.study.script import Arguments, run_script

# Template, network, fraction of the bound to end within, seconds, seconds for one front.
RUNS = (
    ("gemmini-ws", "resnet18", 0.001, 600.0, None),
    ("gemmini-ws", "bert_base", 0.01, 600.0, None),
    ("gemmini-ws-fine", "resnet18", 0.001, 600.0, None),
    ("gemmini-ws-fine", "bert_base", 0.01, 600.0, None),
    ("eyeriss-like", "resnet18", 0.1, 1800.0, 60.0),
)
SHOWN_SECONDS = 30.0


class Watcher:
    """Prints the best value and the bound now and then."""

    def __init__(self) -> None:
        self.shown = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.seconds < self.shown + SHOWN_SECONDS:
            return
        self.shown = progress.seconds
        best = "none" if progress.best is None else f"{progress.best.value * 1e-12:,.6g}"
        bound = f"{progress.bound * 1e-12:,.6g}"
        print(f"  {progress.seconds:5.0f} s: best {best}, bound {bound} J*cycle", flush=True)


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("--templates", default="gemmini-ws,gemmini-ws-fine,eyeriss-like")
    parser.add_argument("--models", default="resnet18,bert_base")
    parser.add_argument("--factors", default="perfect", choices=["perfect", "ragged"])
    options = parser.parse_args()
    for template, model, within, seconds, layer_seconds in RUNS:
        if template not in options.templates.split(","):
            continue
        if model not in options.models.split(","):
            continue
        job = job_for(template, model, factors=options.factors)
        print(f"{job.title}, {job.space.size:,} points, to {within:.2%}:", flush=True)
        cpu = time.process_time()
        proof = prove_hardware(
            question_of(job),
            seconds=seconds,
            within=within,
            layer_seconds=layer_seconds,
            on_progress=Watcher(),
        )
        spent = f"{proof.seconds:.0f} s, {time.process_time() - cpu:.0f} s of one core"
        print(f"  bound {proof.bound * 1e-12:,.6g} J*cycle, gap {proof.gap:.3%}, in {spent}")
        if proof.best is not None:
            best = ", ".join(f"{name} {value}" for name, value in proof.best.parameters.items())
            print(f"  best {proof.best.value * 1e-12:,.6g} J*cycle: {best}")
        for closing, (boxes, points) in proof.closings().items():
            print(f"  {closing}: {points:,} points in {boxes:,} boxes")
        print(f"  {proof.proofs} fronts proved", *proof.notes, sep="\n  ", flush=True)


if __name__ == "__main__":
    run_script(main)
