"""Energy and latency that no mapping undercuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from search.drawn_wide import draw_wide

import toolkit
from toolkit.arch import Architecture, Compute, Fanout, Memory
from toolkit.mapping import sample
from toolkit.model import EXACT, FACTORFLOW, TIMELOOP, batch_cost
from toolkit.model.floor import least_cycles, least_energy_pj
from toolkit.workload import conv2d, gemm

DRAM = Memory("DRAM", None, 100, 100, 8, 8)
BUFFER = Memory("Buffer", 1000, 7, 11, 8, 8)
REGISTER = Memory("Register", 3, 2, 3, 8, 8)
MAC = Compute("MAC", 0.5)


def arch(*inside: Memory | Fanout) -> Architecture:
    return Architecture("small", (DRAM, BUFFER, *inside, MAC))


def test_every_step_visits_the_registers() -> None:
    rows = Fanout("Rows", 4, ("M", "K"))
    # 8 * 6 * 5 steps read two operands, write a sum and read 2 of 6 in at most 4 instances again.
    energy = 240 * (0.5 + 2 + 2 + 3 + 2 * (1 - 4 / 6))
    assert least_energy_pj(arch(rows, REGISTER), gemm(8, 6, 5), EXACT) == pytest.approx(energy)
    assert least_cycles(arch(rows, REGISTER), gemm(8, 6, 5)) == 240 / 4


def test_what_fanouts_share_is_read_once() -> None:
    rows = Fanout("Rows", 4, ("M",))
    # Inputs are shared by up to four rows, weights and outputs by none; nothing is summed apart.
    energy = 240 * (0.5 + 7 + 7 / 4 + 11 + 7 * (1 - 1 / 6))
    assert least_energy_pj(arch(rows), gemm(8, 6, 5), EXACT) == pytest.approx(energy)
    alone = arch(replace(rows, multicast=False))
    more = 240 * (0.5 + 7 + 7 + 11 + 7 * (1 - 1 / 6))
    assert least_energy_pj(alone, gemm(8, 6, 5), EXACT) == pytest.approx(more)
    # Three rows have work.
    assert least_cycles(arch(rows), gemm(3, 6, 5)) == 30


def test_memories_that_may_hold_anything() -> None:
    cheap = replace(BUFFER, read_energy_pj=1, write_energy_pj=1)
    machine = Architecture("small", (DRAM, replace(cheap, bypasses=("weight",)), MAC))
    free = least_energy_pj(machine, gemm(2, 2, 2), EXACT, anywhere=("DRAM", "Buffer"))
    assert free == 8 * (0.5 + 1 + 1 + 1 + 1 * (1 - 1 / 2))
    assert least_energy_pj(machine, gemm(2, 2, 2), EXACT) == free + 8 * 99


def test_lanes_that_keep_operands_promise_nothing() -> None:
    assert least_energy_pj(arch(), gemm(8, 6, 5), FACTORFLOW) == 240 * 0.5
    kept_outside = least_energy_pj(arch(), gemm(8, 6, 5), TIMELOOP)
    assert kept_outside == least_energy_pj(arch(), gemm(8, 6, 5), EXACT)


def test_an_axis_may_lie_along_another() -> None:
    columns = Fanout("Columns", 14, ("Q",))
    assert least_cycles(arch(columns), conv2d(1, 1, 12, 1, 1, 1)) == 1


def test_no_mapping_is_below() -> None:
    closest = np.inf
    timeloop = (draw_wide(seed, TIMELOOP) for seed in range(40))
    for problem in filter(None, (*map(draw_wide, range(160)), *timeloop)):
        factors, order = sample(problem.space, 40, np.random.default_rng(0))
        cost = batch_cost(problem.plan, factors.astype(float), order)
        energy = least_energy_pj(problem.arch, problem.workload, problem.conventions)
        cycles = least_cycles(problem.arch, problem.workload)
        assert (cost.energy_pj >= energy * (1 - 1e-12)).all()
        assert (cost.latency_cycles >= cycles * (1 - 1e-12)).all()
        if problem.conventions.transfers == "per_instance" and energy:
            closest = min(closest, float((cost.energy_pj / energy).min()))
    assert closest < 1.01


@pytest.mark.parametrize("name", ["eyeriss-conv", "simba-conv", "gemmini-ws"])
def test_the_best_mapping_is_not_far_above(name: str) -> None:
    machine, layer = toolkit.load_arch(name), conv2d(64, 64, 14, 14, 3, 3)
    found = toolkit.search_mappings(
        toolkit.make_problem(machine, layer, objective="energy"), "greedy"
    )
    assert 0.5 < least_energy_pj(machine, layer, EXACT) / found.energy_pj <= 1
