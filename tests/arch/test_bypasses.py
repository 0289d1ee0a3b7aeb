from __future__ import annotations

import pytest

from toolkit.arch import Architecture, Compute, Memory, arch_names, check_bypasses, load_arch
from toolkit.errors import ArchitectureError
from toolkit.workload import Tensor, Term, Workload, gemm

DRAM = Memory("DRAM", None, 64.0, 64.0, 4.0, 4.0)
MAC = Compute("MAC", 0.2)
SUM = Workload(
    "sum",
    "add",
    {"M": 4},
    tuple(
        Tensor(name, "output" if name == "total" else "input", ((Term("M"),),))
        for name in ("left", "right", "total")
    ),
)


def arch(*bypasses: str) -> Architecture:
    buffer = Memory("Buffer", 64, 1.0, 1.0, 4.0, 4.0, bypasses=bypasses)
    return Architecture("tiny", (DRAM, buffer, MAC))


@pytest.mark.parametrize("name", arch_names())
def test_packaged_architectures_speak_of_roles(name: str) -> None:
    check_bypasses(load_arch(name), gemm(4, 2, 3))


@pytest.mark.parametrize("bypass", ["left", "total", "input", "weight", "output"])
def test_tensors_and_roles_are_understood(bypass: str) -> None:
    check_bypasses(arch(bypass), SUM)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ArchitectureError) as caught:
        check_bypasses(arch("input", "lefft"), SUM)
    assert caught.value.source == "tiny"
    assert caught.value.key == "levels[1].bypasses"
    assert str(caught.value).endswith(
        "Buffer bypasses 'lefft' (did you mean 'left'?), which is neither a role nor a tensor of "
        "sum; known: input, weight, output, left, right, total"
    )
