"""Lanes without work: those of meshes that are not filled, and those that last tiles leave."""

from __future__ import annotations

import math

import numpy as np
import pytest

import toolkit
from toolkit.arch import Architecture, Compute, Fanout, Memory
from toolkit.mapping import LevelMapping, Mapping, from_arrays, sample
from toolkit.model import evaluate
from toolkit.model.conventions import FACTORFLOW
from toolkit.model.lanes import compute_cycles, costed
from toolkit.model.words import cycle_parts
from toolkit.search import make_problem
from toolkit.workload import gemm


def array(rows: int = 4, columns: int = 4) -> Architecture:
    return Architecture(
        "array",
        (
            Memory("DRAM", None, 10.0, 10.0, 1e6, 1e6),
            Fanout("Rows", rows, ("M",)),
            Fanout("Columns", columns, ("N", "M")),
            Memory("Registers", None, 0.1, 0.1, 1e6, 1e6),
            Compute("MAC", mac_energy_pj=0.1),
        ),
    )


def mapping_of(arch: Architecture, factors: dict[str, dict[str, int]]) -> toolkit.Mapping:
    """Dimensions and levels that are left out iterate once; loops stand in the order M, K, N."""
    return Mapping(
        tuple(
            LevelMapping(
                level.name,
                tuple((d, factors.get(level.name, {}).get(d, 1)) for d in "MKN"),
                tuple("MKN") if isinstance(level, Memory) else (),
            )
            for level in arch.levels
        )
    )


@pytest.mark.parametrize("seed", range(20))
def test_all_parts_add_up_to_the_latency(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = (int(rng.integers(1, 30)) for _ in range(3))
    problem = make_problem(array(), gemm(*sizes), factors="ragged")
    factors, orders = sample(problem.space, 1, rng)
    mapping = from_arrays(factors[0], orders[0], problem.arch, problem.workload)
    parts = cycle_parts(evaluate(mapping, problem.arch, problem.workload))
    lost = (*parts.idle, *parts.cut_off, *parts.waits, *parts.stalls)
    total = math.fsum((parts.ideal_cycles, parts.warm_up_cycles, *(p.cycles for p in lost)))
    assert total == pytest.approx(parts.latency_cycles, rel=1e-12)
    assert all(part.cycles >= 0 for part in lost)


def test_last_tiles_and_meshes_are_told_apart() -> None:
    # Rows take 3 of M = 7 at a time, in 3 turns of which the last one has 1 of them.
    mapping = mapping_of(array(), {"DRAM": {"M": 3}, "Rows": {"M": 3}, "Registers": {"N": 2}})
    evaluation = evaluate(mapping, array(), gemm(7, 1, 2), conventions=toolkit.STEADY)
    parts = cycle_parts(evaluation)
    assert evaluation.latency_cycles == 6
    assert [(lost.level, lost.used) for lost in parts.idle] == [
        ("Rows", 3),
        ("Columns", 1),
        ("MAC", 1),
    ]
    (cut,) = parts.cut_off
    assert (cut.dimension, cut.levels, cut.size, cut.tile) == ("M", ("Rows",), 7, 3)
    assert cut.cycles == pytest.approx(6 - 14 / 3)
    assert cut.whole_sizes == (6, 9)
    for size, turns in ((6, 2), (9, 3)):
        whole = mapping_of(
            array(), {"DRAM": {"M": turns}, "Rows": {"M": 3}, "Registers": {"N": 2}}
        )
        assert cycle_parts(evaluate(whole, array(), gemm(size, 1, 2))).cut_off == ()


def test_a_size_below_the_tile_has_no_smaller_whole_size() -> None:
    mapping = mapping_of(array(), {"Rows": {"M": 2}, "Registers": {"M": 4}})
    parts = cycle_parts(evaluate(mapping, array(), gemm(5, 1, 1)))
    assert [cut.whole_sizes for cut in parts.cut_off] == [(8,)]


def test_compute_cycles_are_those_of_the_first_lane() -> None:
    mapping = mapping_of(array(), {"DRAM": {"M": 3}, "Rows": {"M": 3}, "Registers": {"N": 2}})
    cost, factors = costed(mapping, array(), gemm(7, 1, 2), toolkit.EXACT)
    assert compute_cycles(cost, factors) == 6


def test_a_size_without_a_factor_for_the_mesh_is_noted() -> None:
    mapping = mapping_of(array(), {"DRAM": {"M": 7}, "Columns": {"N": 4}})
    (note,) = evaluate(mapping, array(), gemm(7, 1, 4)).notes
    assert note == (
        "less than half of the lanes work: Rows uses 1 of 4 instances: M = 7 has no factor from 2 "
        "to 4; ragged factors (--factors ragged) or a padded size (--pad M) may use more"
    )
    (note,) = evaluate(mapping, array(), gemm(7, 1, 4), conventions=FACTORFLOW).notes
    assert note.endswith("; a padded size (--pad M) may use more")


def test_tiles_that_are_cut_off_are_noted() -> None:
    factors = {"DRAM": {"M": 2, "N": 2}, "Rows": {"M": 4}, "Columns": {"N": 4}}
    (note,) = evaluate(mapping_of(array(), factors), array(), gemm(5, 1, 5)).notes
    assert note == (
        "less than half of the lanes work: Rows unrolls M = 5 in tiles of 4 of which the last is "
        "cut off; M = 4 or 8 would leave no instance without work; Columns unrolls N = 5 in tiles "
        "of 4 of which the last is cut off; N = 4 or 8 would leave no instance without work"
    )
    assert evaluate(mapping_of(array(), factors), array(), gemm(8, 1, 8)).notes == ()


@pytest.mark.parametrize(
    ("sizes", "factors"),
    [
        # Too small for the mesh: no other shape of the tiles helps.
        ((1, 8, 1), {"DRAM": {"K": 8}}),
        # A factor would fit, the mapping does not use it.
        ((8, 1, 4), {"DRAM": {"M": 8, "N": 4}}),
        # More than half of the lanes work.
        ((4, 1, 3), {"Rows": {"M": 4}, "Columns": {"N": 3}}),
    ],
)
def test_nothing_is_noted_where_the_shape_is_not_to_blame(
    sizes: tuple[int, int, int], factors: dict[str, dict[str, int]]
) -> None:
    assert evaluate(mapping_of(array(), factors), array(), gemm(*sizes)).notes == ()
