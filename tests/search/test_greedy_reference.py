"""Greedy on full-size layers, against proved optima and FactorFlow's best results.

All values are EDP in J·cycle under FactorFlow's conventions, as its model gives them.
"""

from __future__ import annotations

import pytest

from toolkit.arch import load_arch
from toolkit.model import FACTORFLOW
from toolkit.search import make_problem, search_mappings
from toolkit.workload import Workload, conv2d, gemm

PROVED = [
    ("eyeriss", gemm(3072, 1024, 4096, name="KQV"), 10849959.632270314),
    ("eyeriss", gemm(4096, 64, 4096, name="KTQ"), 122704.7060114296),
    ("eyeriss", gemm(64, 4096, 4096, name="VScores"), 126779.49610396747),
    ("eyeriss", gemm(1024, 1024, 4096, name="Out"), 1834620.1212028505),
    ("eyeriss", gemm(1024, 8192, 1024, name="MB2"), 7296551.972280583),
    ("eyeriss", gemm(8, 8192, 8, name="MB3"), 0.38960520757247996),
]

# The first is where both of its mappers stop far from the optimum.
FACTORFLOW_BEST = [
    ("simba", gemm(3072, 1024, 4096, name="KQV"), 0.985 * 7420018.859752388),
    ("simba", gemm(8192, 1024, 8, name="MB5"), 3171.0229037056),
    ("tpu", gemm(64, 4096, 4096, name="VScores"), 44239.01527031154),
    ("eyeriss-conv", conv2d(512, 256, 7, 7, 3, 3, stride=2, name="VII"), 147.51230072979456),
    ("simba-conv", conv2d(512, 256, 7, 7, 3, 3, stride=2, name="VII"), 225.5658193531699),
    ("tpu-conv", conv2d(512, 256, 7, 7, 3, 3, stride=2, name="VII"), 214.72138619781117),
    ("gemmini-conv", conv2d(128, 128, 28, 28, 3, 3, name="V"), 65.06582350233599),
]


def edp(arch: str, workload: Workload) -> float:
    """Find the EDP that greedy reaches, in J·cycle."""
    problem = make_problem(load_arch(arch), workload, conventions=FACTORFLOW)
    return search_mappings(problem).edp_pj_cycles / 1e12


def label(value: object) -> str | None:
    return value.name if isinstance(value, Workload) else None


@pytest.mark.parametrize(("arch", "workload", "optimum"), PROVED, ids=label)
def test_proved_optima_are_reached_and_never_beaten(
    arch: str, workload: Workload, optimum: float
) -> None:
    assert optimum * (1 - 1e-9) <= edp(arch, workload) <= optimum * 1.001


def test_gemmini_optimum() -> None:
    assert edp("gemmini", gemm(3072, 1024, 4096)) == pytest.approx(908546, rel=1e-3)


@pytest.mark.parametrize(("arch", "workload", "reference"), FACTORFLOW_BEST, ids=label)
def test_no_worse_than_factorflow(arch: str, workload: Workload, reference: float) -> None:
    assert edp(arch, workload) <= reference * (1 + 1e-9)
