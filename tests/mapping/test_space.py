import pickle
from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import InputError, MappingError, WorkloadError
from toolkit.mapping.explain import violations
from toolkit.mapping.mapping import LevelMapping, Mapping, from_arrays
from toolkit.mapping.space import MapSpace

from .spaces import (
    EYERISS,
    arch,
    as_tiling,
    conv1d,
    count_words,
    fanout,
    gemm,
    is_valid,
    memory,
    spaces,
    whole,
)


@st.composite
def spaces_and_tilings(draw):
    space = draw(spaces())
    levels, dimensions = space.shape
    values = st.sampled_from([1, 1, 1, 2, 3, 4, 6])
    random = draw(st.lists(values, min_size=levels * dimensions, max_size=levels * dimensions))
    factors = np.array(random, dtype=np.int64).reshape(levels, dimensions)
    if draw(st.booleans()):
        # Usually no product is right; make most of them so.
        for d, size in enumerate(space.sizes):
            rest = int(size)
            for level in range(1, levels):
                factors[level, d] = np.gcd(factors[level, d], rest)
                rest //= int(factors[level, d])
            factors[0, d] = rest
    return space, factors


@examples(150)
@given(spaces_and_tilings())
def test_check_agrees_with_the_rules_one_by_one(drawn):
    space, factors = drawn
    order = np.tile(np.arange(3), (4, 1))
    expected = is_valid(space, as_tiling(factors))
    assert space.check_factors(factors[None]).tolist() == [expected]
    assert space.check(factors[None], order[None]).tolist() == [expected]
    mapping = from_arrays(factors, order, space.arch, space.workload)
    assert (violations(space, mapping) == ()) == expected


@given(spaces_and_tilings())
def test_footprints_count_the_values_of_every_window(drawn):
    space, factors = drawn
    if (factors.prod(axis=0) != space.sizes).any():  # Then "all" says nothing.
        space = replace(space, outermost_supplies=True)
    expected = []
    for level in space.memory_levels:
        extent = dict(zip("MPR", np.prod(factors[level:], axis=0).tolist(), strict=True))
        held = space.holds[len(expected)]
        expected.append(
            sum(
                count_words(
                    tensor,
                    whole(space, as_tiling(factors), int(level), tensor) or extent,
                    space.footprint,
                )
                for tensor, stored in zip(space.workload.tensors, held, strict=True)
                if stored
            )
        )
    assert space.footprints(factors[None]).tolist() == [expected]


def test_check_treats_rows_independently():
    space = MapSpace(arch(memory("DRAM"), memory("Buffer", 12)), gemm(4, 2, 2))
    small = [[4, 2, 2], [1, 1, 1], [1, 1, 1]]
    large = [[1, 1, 1], [4, 2, 2], [1, 1, 1]]
    wrong = [[4, 2, 1], [1, 1, 1], [1, 1, 1]]
    batch = np.array([large, small, wrong, small])
    assert space.check_factors(batch).tolist() == [False, True, False, True]


def test_check_of_an_empty_batch():
    space = MapSpace(EYERISS, gemm(4, 2, 2))
    assert space.check(np.empty((0, 8, 3), np.int64), np.empty((0, 8, 3), np.int64)).shape == (0,)


def test_products_that_wrap_around_are_not_valid():
    space = MapSpace(arch(memory("DRAM"), memory("Buffer")), gemm(1, 1, 1))
    factors = np.ones((1, 3, 3), dtype=np.int64)
    factors[0, :, 0] = [2**32, 2**31, 2]
    assert not space.check_factors(factors)[0]


def test_edges_of_capacity():
    workload = conv1d(1, 3, 2, stride=2)
    factors = np.array([[[1, 1, 1], [1, 3, 2], [1, 1, 1]]])
    for words, fits in [(11, True), (10, False)]:
        space = MapSpace(arch(memory("DRAM"), memory("Buffer", words)), workload)
        assert space.check_factors(factors).tolist() == [fits]
    # Without strides the window takes 3 + 2 - 1 words instead of 6.
    blind = MapSpace(arch(memory("DRAM"), memory("Buffer", 9)), workload, "stride_blind")
    assert blind.check_factors(factors).tolist() == [True]


def test_multiple_buffering_divides_the_capacity():
    factors = np.array([[[1, 1, 1], [2, 2, 2], [1, 1, 1]]])
    for words, fits in [(24, True), (23, False)]:
        machine = arch(memory("DRAM"), memory("Buffer", words, multiple_buffering=2.0))
        assert MapSpace(machine, gemm(2, 2, 2)).check_factors(factors).tolist() == [fits]


def test_loop_orders_count():
    machine = arch(memory("DRAM", order="NM"), memory("Buffer", order="_K_"))
    space = MapSpace(machine, gemm(2, 2, 2))
    factors = np.array([[[2, 2, 2], [1, 1, 1], [1, 1, 1]]] * 3)
    good = [[2, 1, 0], [0, 1, 2], [0, 1, 2]]
    bad_outside = [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    bad_inside = [[2, 1, 0], [1, 0, 2], [0, 1, 2]]
    order = np.array([good, bad_outside, bad_inside])
    assert space.check(factors, order).tolist() == [True, False, False]


def test_violations_name_rules_and_numbers():
    machine = arch(
        memory("DRAM", None, "M <= 2"),
        memory("Buffer", 16, order="NM", multiple_buffering=2.0),
        fanout("Rows", 4, "MK"),
    )
    mapping = Mapping(
        (
            LevelMapping("DRAM", (("M", 3),)),
            LevelMapping("Buffer", (("K", 2),), ("M", "K", "N")),
            LevelMapping("Rows", (("M", 4), ("K", 2), ("N", 2))),
            LevelMapping("MAC", ()),
        )
    )
    assert violations(MapSpace(machine, gemm(16, 4, 2)), mapping) == (
        "factors of M multiply to 12 but M is 16",
        "DRAM: factor 3 of M breaks the constraint M <= 2",
        "Rows: unrolls N by 2 but may unroll M, K",
        "Rows: uses 16 instances (M 4 x K 2 x N 2) but its mesh is 4",
        "Buffer: footprint 32 words > 8 usable (16 / 2 copies)",
        "Buffer: loop order M, K, N does not follow its constraint N, M",
    )


def test_violations_of_a_mapping_for_another_architecture():
    with pytest.raises(MappingError, match="levels"):
        violations(MapSpace(EYERISS, gemm(2, 2, 2)), Mapping(()))


def test_facts():
    space = MapSpace(EYERISS, gemm(12, 7, 1))
    assert space.shape == (8, 3)
    assert space.primes == (((2, 2), (3, 1)), ((7, 1),), ())
    assert space.memory_levels.tolist() == [0, 1, 4, 5, 6]
    assert space.spatial_levels.tolist() == [2, 3, 7]
    assert space.upper[2].tolist() == [12, 7, 1]
    assert space.allowed[3].tolist() == [True, False, False]
    assert space.mesh[[2, 3, 7]].tolist() == [14, 12, 1]
    assert space.capacity.tolist() == [float("inf"), 131072, 24, 384, 32]
    assert space.holds[1].tolist() == [True, False, True]
    assert space.coupled.astype(int).tolist() == [[0, 1, 1], [1, 1, 0], [1, 0, 1]]


def test_spaces_are_values():
    space = MapSpace(EYERISS, gemm(12, 7, 1))
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space
    assert hash(copy) == hash(space)
    assert space != MapSpace(EYERISS, gemm(12, 7, 1), "stride_blind")
    with pytest.raises(ValueError, match="read-only"):
        space.lower[0, 0] = 2


def test_dimensions_that_the_workload_lacks_do_not_matter():
    machine = arch(memory("DRAM", None, "Z == 4", order="ZM"), fanout("Rows", 4, "ZM"))
    space = MapSpace(machine, gemm(2, 1, 1))
    assert space.check_factors(np.array([[[2, 1, 1], [1, 1, 1], [1, 1, 1]]]))[0]


def test_unknown_footprint_rule():
    with pytest.raises(InputError, match="'exact' is not a footprint rule"):
        MapSpace(EYERISS, gemm(2, 2, 2), "exact")


def test_sizes_beyond_exact_counts():
    with pytest.raises(WorkloadError, match=r"sizes\.K: size 9007199254740992 is not between"):
        MapSpace(EYERISS, gemm(2, 2**53, 2))
