import math

import pytest
from examples import examples
from hypothesis import given

from toolkit.mapping.counting import space_size
from toolkit.mapping.space import MapSpace

from .spaces import EYERISS, all_valid, arch, conv2d, fanout, gemm, memory, spaces


@examples(75)
@given(spaces())
def test_counts_are_those_of_brute_force(space):
    size = space_size(space)
    assert size.tilings == len(all_valid(space))
    assert size.tilings_exact
    assert size.standard_error == 0


def test_unlimited_memories_are_counted_by_combinatorics():
    machine = arch(memory("DRAM"), memory("L2"), memory("L1"), memory("L0"))
    size = space_size(MapSpace(machine, gemm(2**20, 3**10, 5**6)))
    assert size.tilings_exact
    # Four memories share the primes; the compute level takes none.
    assert size.tilings == math.comb(23, 3) * math.comb(13, 3) * math.comb(9, 3)
    assert size.method == "product of the dimensions' splits"


def test_counts_exceed_64_bits():
    machine = arch(*(memory(f"L{i}") for i in range(30)))
    size = space_size(MapSpace(machine, gemm(2**30, 2**30, 2**30)))
    assert size.tilings == math.comb(59, 29) ** 3
    assert size.mappings == size.tilings * 6**30


def test_eyeriss_gemm_against_a_published_enumeration():
    size = space_size(MapSpace(EYERISS, gemm(3072, 1024, 4096)))
    # 18 million points with one order per class at the two memories that have a choice.
    assert size.tilings == 2_005_646
    assert size.tilings_exact


def test_orders_and_classes():
    machine = arch(memory("DRAM"), memory("Buffer", order="MC"))
    size = space_size(MapSpace(machine, conv2d()))
    assert size.orders == 720 * 360
    factorflow = space_size(MapSpace(arch(memory("DRAM")), conv2d()), rule="factorflow")
    assert factorflow.order_classes == 57


def test_an_empty_space():
    machine = arch(memory("DRAM", None, "M == 1"), memory("Buffer", 2))
    size = space_size(MapSpace(machine, gemm(4, 1, 1)))
    assert (size.tilings, size.tilings_exact) == (0, True)


def test_an_estimate_says_so_and_is_close():
    space = MapSpace(EYERISS, gemm(768, 1024, 512))
    exact = space_size(space)
    guess = space_size(space, effort=100, seed=5)
    assert not guess.tilings_exact
    assert "random draws were valid" in guess.method
    assert guess.standard_error > 0
    assert abs(guess.tilings - exact.tilings) < 5 * guess.standard_error
    assert guess == space_size(space, effort=100, seed=5)


@pytest.mark.parametrize("mesh", [1, 5, 36])
def test_a_shared_mesh_is_counted_exactly(mesh):
    space = MapSpace(arch(memory("DRAM"), fanout("PEs", mesh, "MK")), gemm(6, 6, 1))
    assert space_size(space).tilings == sum(
        m * k <= mesh for m in (1, 2, 3, 6) for k in (1, 2, 3, 6)
    )
