"""How many cycles does real Gemmini spend on a mapping? Fits the latency correction gemmini-rtl.

Fits cycles per tile, instruction and word to the RTL simulations that DOSA's authors published
(Hong et al., MICRO 2023), judges the fit on layers left out of it, and writes the data file.

    python studies/fit_latency_correction.py FIRESIM.csv.gz [--out FILE.yaml]
"""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path

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
        "hardware": "1 MiB scratchpad, 2048 accumulator words per column, DRAM 8 words per cycle",
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "date": datetime.date.today().isoformat(),
        "script": "studies/fit_latency_correction.py",
    }
    file, scores = latency_fit.fit_correction(results, CYCLES, about, folds=5, repeats=10)
    print("Rank correlation with the RTL within folds of layers left out of the fit")
    print(f"{'latency':12} {'rank':9} {'mean':>7} {'std':>7} {'min':>7} {'max':>7}")
    for name, found in scores.items():
        for rank in ("spearman", "kendall"):
            values = latency_fit.summary(getattr(found, rank)).values()
            print(f"{name:12} {rank:9}", *(f"{value:7.4f}" for value in values))
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
