"""Small files of published results, made of literal rows."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
TIMELOOP = DATA / "timeloop_sample.csv.gz"
FIRESIM = DATA / "firesim_sample.csv.gz"

ROW = {
    "target.cycle": "2304",
    "target.energy": "0.5",
    "mapping.mapping": "L3[WIO] K2 - L2[WI] N1 K4X - L1[O] R3 S3 Q4 C4X - L0[W] P4",
    "arch.name": "gemmini",
    "arch.mac": "1",
    "arch.meshX": "8",
    "arch.mem1_entries": "1024",
    "arch.mem1_word-bits": "32",
    "arch.mem1_shared_bandwidth": "2",
    "arch.mem2_entries": "65536",
    "arch.mem2_word-bits": "8",
    "arch.mem2_instances": "1",
    "arch.mem2_shared_bandwidth": "16",
    "prob.shape": "cnn-layer",
    "prob.C": "4",
    "prob.Hdilation": "1",
    "prob.Hstride": "1",
    "prob.K": "8",
    "prob.N": "1",
    "prob.P": "4",
    "prob.Q": "4",
    "prob.R": "3",
    "prob.S": "3",
    "prob.Wdilation": "1",
    "prob.Wstride": "1",
}
"""A layer of 8 x 4 x 4 x 4 x 3 x 3 = 4608 MACs on an array of 8 x 8."""


def write_rows(path: Path, *rows: dict[str, str]) -> Path:
    """Write a CSV file whose columns are those of the first row."""
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path
