"""Small and odd problems that every strategy has to cope with, by name."""

from __future__ import annotations

from collections.abc import Callable

from mapping.spaces import arch, conv1d, fanout, memory
from oracle.strategies import tensor

from toolkit.arch import Architecture, Compute, Fanout, load_arch
from toolkit.mapping.space import Factors
from toolkit.model import EXACT, FACTORFLOW, Conventions
from toolkit.search import Budget, Problem, make_problem
from toolkit.workload import (
    Workload,
    conv2d,
    depthwise_conv2d,
    gemm,
    grouped_conv2d,
    transposed_conv2d,
)

MTTKRP = Workload(
    "mttkrp",
    "mttkrp",
    {"I": 4, "J": 6, "K": 2, "L": 3},
    (
        tensor("T", "input", "I,K,L"),
        tensor("B", "weight", "K,J"),
        tensor("C", "input", "L,J"),
        tensor("A", "output", "I,J"),
    ),
)

GENERIC = arch(memory("DRAM"), memory("Buffer", 40), fanout("PEs", 6, "IJ"), memory("Reg", 12))

LOWER_BOUNDS = arch(
    memory("DRAM", None, "K <= 3"),
    memory("Buffer", 96, "M >= 2", "K >= 2"),
    fanout("PEs", 8, "MN", "N >= 2"),
    memory("Reg", 9, "N >= 2"),
)

PLACEHOLDERS = arch(
    memory("DRAM", order="_K_"),
    memory("Buffer", 64, order="M__"),
    memory("Reg", 12, order="NK"),
)

ONLY_ONE = arch(
    memory("DRAM", None, "M == 2", "K == 1", "N == 3", order="MKN"),
    memory("Reg", 40, "M == 1", "K == 5", "N == 1", order="NKM"),
)

LANES = Architecture(
    "lanes",
    (
        memory("DRAM"),
        memory("Buffer", 48),
        Compute("MAC", 0.5, cycles=2, mesh=6, dimensions=("M", "K")),
    ),
)

NOTHING_FITS = Problem(arch(memory("DRAM", 2)), gemm(2, 2, 2))


APART = arch(
    memory("DRAM"),
    memory("Buffer", 30, "M >= 2"),
    Fanout("PEs", 5, ("M", "P"), selective_multicast=True),
    fanout("Rows", 2, "MR"),
    memory("Reg", 9),
)
"""Windows along P lie apart over its instances, so that M and R alone are ragged."""


def _packaged(
    name: str,
    workload: Workload,
    conventions: Conventions = EXACT,
    factors: Factors = "perfect",
) -> Callable[[], Problem]:
    return lambda: make_problem(
        load_arch(name), workload, conventions=conventions, factors=factors
    )


def _own(
    architecture: Architecture,
    workload: Workload,
    conventions: Conventions = EXACT,
    factors: Factors = "perfect",
) -> Callable[[], Problem]:
    return lambda: make_problem(architecture, workload, conventions=conventions, factors=factors)


BUDGET = 5000
# The strategies whose own work costs milliseconds for each mapping.
SMALLER = {
    "cmaes": 60,
    "dual_annealing": 500,
    "gp": 21,
    "gradient": 1000,
    "nsga2": 60,
    "qmc": 60,
    "scipy": 1000,
    "tpe": 60,
}


def budget_of(strategy: str, evaluations: int = BUDGET) -> Budget:
    return Budget(evaluations=min(evaluations, SMALLER.get(strategy, BUDGET)))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "eyeriss": _packaged("eyeriss", gemm(24, 20, 12), FACTORFLOW),
    "gemmini": _packaged("gemmini", gemm(32, 48, 16)),
    "simba": _packaged("simba", gemm(16, 64, 6), FACTORFLOW),
    "tpu": _packaged("tpu", gemm(512, 200, 8)),
    "strided": _packaged("eyeriss-conv", conv2d(8, 3, 7, 7, 3, 3, stride=2, dilation=(1, 2))),
    "depthwise": _packaged("eyeriss-conv", depthwise_conv2d(12, 14, 14, 3, 3), FACTORFLOW),
    "grouped": _packaged("simba-conv", grouped_conv2d(3, 4, 4, 6, 6, 3, 3, n=2)),
    "transposed": _packaged("gemmini-conv", transposed_conv2d(16, 16, 5, 5, 2, 2, stride=2)),
    "apart": _own(APART, conv1d(7, 6, 3), factors="ragged"),
    "three_inputs": _own(GENERIC, MTTKRP),
    "lower_bounds": _own(LOWER_BOUNDS, gemm(12, 6, 8)),
    "placeholders": _own(PLACEHOLDERS, gemm(6, 8, 4), FACTORFLOW),
    "only_one": _own(ONLY_ONE, gemm(2, 5, 3)),
    "ones": _packaged("simba", gemm(1, 1, 1)),
    "one_dimension": _own(
        arch(memory("DRAM"), memory("Reg", 2)),
        Workload("sum", "sum", {"K": 30}, (tensor("In", "input", "K"), tensor("S", "output", ""))),
    ),
    "ragged": _packaged("eyeriss", gemm(13, 7, 11), factors="ragged"),
    "large_prime": _own(arch(memory("DRAM"), memory("Buffer", 4096)), gemm(65537, 2, 3)),
    "lanes": _own(LANES, gemm(6, 12, 5)),
    "window": _own(
        arch(memory("DRAM"), memory("Buffer", 30), fanout("PEs", 4, "MP"), memory("Reg", 8)),
        conv1d(4, 6, 3, stride=2, dilation=3),
    ),
}
