"""How many cycles does real Gemmini spend on a mapping? Fits the latency correction gemmini-rtl.

Fits cycles per tile, beat and page to the RTL simulations that DOSA's authors published (Hong et
al., MICRO 2023), judges the fit on layers and arrays left out of it, and writes the data file.

    python studies/fit_latency_correction.py FIRESIM.csv.gz [--out FILE.yaml]
"""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

import pandas as pd

from toolkit.study.fidelity import latency_fit, read_published
from toolkit.study.script import Arguments, run_script
from toolkit.text_files import write_text_atomically
from toolkit.yaml_files import dump_yaml

CYCLES = "target.gemmini_cycle"


def correction(path: Path) -> str:
    results = read_published(path, [CYCLES])
    about = {
        "name": "gemmini-rtl",
        "description": "cycles of Gemmini's RTL in FireSim, as published with DOSA",
        "hardware": "arrays of 4 x 4 to 64 x 64, scratchpad of 1 MiB, 2048 sums per column",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "date": datetime.date.today().isoformat(),
        "script": "studies/fit_latency_correction.py",
    }
    file = latency_fit.fit_correction(results, CYCLES, about, folds=5, repeats=10)
    scores = file.cross_validation
    print(f"On {scores.grouped_by} left out of the fit; uncorrected: {scores.uncorrected_latency}")
    columns = {"corrected": scores.corrected, "uncorrected": scores.uncorrected}
    shown = {
        name: pd.DataFrame({kind: found.model_dump() for kind, found in figures.items()}).T
        for name, figures in columns.items()
    }
    print(pd.concat(shown, axis=1).drop(columns=[("uncorrected", "rows")]).to_string())
    rows = latency_fit.rows_of(results, CYCLES)
    predict = latency_fit.fitted(latency_fit.counts_of(results), rows.measured, rows.regular)
    kinds = len(set(rows.kinds))
    (unseen,) = latency_fit.hold_out(predict, rows.kinds, rows.width, folds=kinds, repeats=1)
    found = rows.ordered(unseen)[latency_fit.ALL]
    print("On kinds of layers and array widths left out of the fit:")
    print(
        f"{found.right:.4f} of the pairs are right, the median error is {found.median_error:.1%}"
    )
    return dump_yaml(file.model_dump())


def main() -> None:
    parser = Arguments(__doc__)
    parser.add_argument("firesim", type=Path)
    parser.add_argument("--out", type=Path, help="data file to write instead of printing it")
    given = parser.parse_args()
    text = correction(given.firesim)
    if given.out is not None:
        write_text_atomically(given.out, text)
    print(f"\n{text}" if given.out is None else f"wrote {given.out}")


if __name__ == "__main__":
    run_script(main)
