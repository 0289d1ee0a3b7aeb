"""Published rows: what a row means, and what is said of rows that mean nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from study.rows import FIRESIM, ROW, TIMELOOP, write_rows

from toolkit.errors import InputError
from toolkit.study.fidelity import read_published


def test_a_row_is_hardware_layer_and_mapping(tmp_path: Path) -> None:
    results = read_published(write_rows(tmp_path / "rows.csv", ROW))
    (group,) = results.groups
    assert [fanout.mesh for fanout in group.arch.fanouts] == [8, 8]
    assert [memory.capacity_words for memory in group.arch.memories] == [None, 65536, 1024, 1]
    assert dict(group.workload.sizes) == {"M": 8, "P": 4, "Q": 4, "C": 4, "R": 3, "S": 3}
    assert group.factors[0].prod(axis=1).tolist() == [2, 1, 4, 36, 4, 4, 1]
    assert results.lines.tolist() == [2]
    assert {name: values.tolist() for name, values in results.measured.items()} == {
        "target.cycle": [2304.0],
        "target.energy": [0.5],
    }


def test_strides_of_width_go_with_p(tmp_path: Path) -> None:
    results = read_published(write_rows(tmp_path / "rows.csv", ROW | {"prob.Wstride": "2"}))
    (window, *_) = [i for i in results.groups[0].workload.tensors[0].indices if len(i) == 2]
    assert [(term.dimension, term.coefficient) for term in window] == [("P", 2), ("R", 1)]


def test_bandwidths_of_two_ports_add_up(tmp_path: Path) -> None:
    split = {name: value for name, value in ROW.items() if name != "arch.mem2_shared_bandwidth"}
    split |= {"arch.mem2_read_bandwidth": "5", "arch.mem2_write_bandwidth": "7"}
    results = read_published(write_rows(tmp_path / "rows.csv", split))
    scratchpad = results.groups[0].arch.memories[1]
    assert scratchpad.read_bandwidth + scratchpad.write_bandwidth == 12


def test_rows_of_one_layer_and_hardware_share_a_group(tmp_path: Path) -> None:
    rows = (ROW, ROW | {"arch.meshX": "4"}, ROW)
    results = read_published(write_rows(tmp_path / "rows.csv", *rows))
    assert [group.rows.tolist() for group in results.groups] == [[0, 2], [1]]
    assert results.workloads == (results.groups[0].workload,) * 3
    meshes = results.by_row(lambda group: np.full(len(group.rows), group.arch.fanouts[0].mesh))
    assert meshes.tolist() == [8, 4, 8]


WRONG = {
    "product": (
        {"prob.K": "16"},
        "mapping.mapping: factors of M multiply to 8 but M is 16",
    ),
    "dimension": (
        {"mapping.mapping": "L3[WIO] Z2 - L2[WI] N1 - L1[O] N1 - L0[W] N1"},
        "mapping.mapping: .*unknown dimension 'Z'",
    ),
    "level": (
        {"mapping.mapping": "L4[WIO] K2 - L3[WIO] N1 - L2[WI] N1 - L1[O] N1 - L0[W] N1"},
        "mapping.mapping: .*L4",
    ),
    "no mapping": ({"mapping.mapping": "none"}, "mapping.mapping: expected a mapping such as"),
    "mesh": (
        {"arch.meshX": "2"},
        "mapping.mapping: unrolls 4 instances of Columns, the row has 2",
    ),
    "nan": ({"target.energy": "nan"}, "target.energy: expected a number above zero, got 'nan'"),
    "infinite": ({"target.cycle": "inf"}, "target.cycle: expected a number above zero"),
    "zero": ({"target.cycle": "0"}, "target.cycle: expected a number above zero, got '0'"),
    "empty": ({"prob.C": ""}, "prob.C: expected an integer from 1 to 2\\^31, got ''"),
    "fraction": ({"prob.C": "4.0"}, "prob.C: expected an integer from 1 to 2\\^31, got '4.0'"),
    "huge": ({"prob.C": "2147483649"}, "prob.C: expected an integer from 1 to 2\\^31"),
    "batch": ({"prob.N": "2"}, "prob.N: expected 1, got '2'"),
    "other": ({"arch.name": "eyeriss"}, "arch.name: expected gemmini, got 'eyeriss'"),
    "cells": ({"prob.C": "4,4"}, "expected 25 cells, one per column, got 26"),
}


@pytest.mark.parametrize(("change", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_named_by_file_line_and_column(
    change: dict[str, str], reason: str, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.csv", ROW, ROW | change)
    with pytest.raises(InputError, match=f"rows.csv: line 3: {reason}"):
        read_published(path)


@pytest.mark.parametrize("column", ["prob.C", "mapping.mapping", "target.cycle"])
def test_a_missing_column_is_named(column: str, tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != column}
    with pytest.raises(InputError, match=f"line 1: {column}: this column is missing"):
        read_published(write_rows(tmp_path / "rows.csv", row))


def test_missing_bandwidths_are_named(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "arch.mem1_shared_bandwidth"}
    with pytest.raises(InputError, match="arch.mem1_shared_bandwidth: this column is missing"):
        read_published(write_rows(tmp_path / "rows.csv", row))


def test_a_column_given_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(",".join([*ROW, "prob.C"]) + "\n")
    with pytest.raises(InputError, match="line 1: prob.C: this column is given twice"):
        read_published(path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    whole = gzip.compress(write_rows(tmp_path / "rows.csv", ROW).read_bytes())
    for name, data in {
        "cut.csv.gz": whole[:-20],
        "plain.csv.gz": b"a,b\n",
        "bytes.csv": b"\xff\xfe\n",
        "empty.csv": b"",
        "header.csv": ",".join(ROW).encode(),
        "quote.csv": ",".join(ROW).encode() + b'\n"a"b\n',
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_published(tmp_path / name)
    with pytest.raises(InputError, match="nowhere.csv: cannot be read: No such file"):
        read_published(tmp_path / "nowhere.csv")


def test_the_samples_hold_strides_and_tiny_layers() -> None:
    """Chosen per layer, evenly by measured cycles: 6 rows of Timeloop's file, 4 of FireSim's."""
    for path, measured, rows in (
        (TIMELOOP, "target.cycle", 426),
        (FIRESIM, "target.gemmini_cycle", 264),
    ):
        results = read_published(path, [measured])
        strides = {
            term.coefficient
            for workload in results.workloads
            for tensor in workload.tensors
            for index in tensor.indices
            for term in index
        }
        assert len(results) == rows
        assert strides == {1, 2, 4}
        assert min(workload.macs for workload in results.workloads) == 256
