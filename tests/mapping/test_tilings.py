import numpy as np
import pytest
from examples import examples
from hypothesis import given

from toolkit.errors import DoesNotFitError, MappingError
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import enumerate_tilings, neighbours, start_point

from .spaces import (
    EYERISS,
    all_valid,
    arch,
    as_tiling,
    fanout,
    gemm,
    memory,
    spaces,
)


@examples(50)
@given(spaces())
def test_enumeration_is_complete_and_without_repetition(space):
    chunks = list(enumerate_tilings(space, chunk=7))
    listed = [as_tiling(factors) for chunk in chunks for factors in chunk]
    assert all(1 <= len(chunk) <= 7 for chunk in chunks)
    assert len(listed) == len(set(listed))
    assert set(listed) == all_valid(space)


def test_the_chunk_does_not_change_the_order():
    space = MapSpace(EYERISS, gemm(12, 8, 6))
    one = np.concatenate(list(enumerate_tilings(space, chunk=5)))
    other = np.concatenate(list(enumerate_tilings(space, chunk=100_000)))
    assert one.tolist() == other.tolist()


def test_enumeration_starts_at_once_in_a_huge_space():
    machine = arch(*(memory(f"L{i}", 10**9) for i in range(5)))
    first = next(enumerate_tilings(MapSpace(machine, gemm(2**10, 3**8, 2**12)), chunk=10))
    assert first.shape == (10, 6, 3)


def test_enumeration_limits():
    machine = arch(*(memory(f"L{i}") for i in range(12)))
    with pytest.raises(MappingError, match="M = 1048576 has .* splits over 13 levels"):
        enumerate_tilings(MapSpace(machine, gemm(2**20, 1, 1)))
    with pytest.raises(MappingError, match="chunk: 0 is not"):
        enumerate_tilings(MapSpace(EYERISS, gemm(2, 2, 2)), chunk=0)


def differ_by_one_prime(a, b):
    changed = [
        (x, y)
        for row_a, row_b in zip(a, b, strict=True)
        for x, y in zip(row_a, row_b, strict=True)
        if x != y
    ]
    columns = {
        d
        for row_a, row_b in zip(a, b, strict=True)
        for d, (x, y) in enumerate(zip(row_a, row_b, strict=True))
        if x != y
    }
    if len(changed) != 2 or len(columns) != 1:
        return False
    ratios = {max(x, y) // min(x, y) for x, y in changed}
    return ratios <= {2, 3} and len(ratios) == 1


@examples(30)
@given(spaces())
def test_neighbours_are_all_valid_tilings_one_prime_away(space):
    valid = sorted(all_valid(space))
    for tiling in valid[:: max(1, len(valid) // 5)]:
        found = [as_tiling(f) for f in neighbours(space, np.array(tiling))]
        assert len(found) == len(set(found))
        assert set(found) == {other for other in valid if differ_by_one_prime(tiling, other)}


@examples(75)
@given(spaces())
def test_the_start_point_is_valid_or_nothing_is(space):
    valid = all_valid(space)
    if valid:
        assert as_tiling(start_point(space)) in valid
    else:
        with pytest.raises(DoesNotFitError, match="no valid tiling exists"):
            start_point(space)


def test_the_start_point_keeps_everything_outside():
    start = start_point(MapSpace(EYERISS, gemm(12, 8, 6)))
    assert as_tiling(start) == ((12, 8, 6), *((1, 1, 1),) * 7)


def test_the_start_point_honours_constraints():
    machine = arch(
        memory("DRAM", None, "N <= 2"),
        memory("Buffer", None, "K >= 3"),
        fanout("Rows", 16, "M", "M == 4"),
    )
    start = start_point(MapSpace(machine, gemm(12, 8, 6)))
    assert as_tiling(start) == ((3, 2, 2), (1, 4, 3), (4, 1, 1), (1, 1, 1))


def test_the_start_point_avoids_a_full_buffer():
    machine = arch(
        memory("DRAM", None, "M <= 1"),
        memory("Buffer", None),
        memory("Register", 3),
    )
    start = start_point(MapSpace(machine, gemm(8, 8, 8)))
    assert as_tiling(start) == ((1, 8, 8), (8, 1, 1), (1, 1, 1), (1, 1, 1))


def test_the_start_point_gives_way_where_a_mesh_is_shared():
    machine = arch(memory("DRAM", None, "M <= 1", "K <= 1"), fanout("PEs", 8, "MK"), memory("Reg"))
    space = MapSpace(machine, gemm(8, 8, 1))
    start = start_point(space)
    assert space.check_factors(start[None])[0]
    assert start[1].prod() <= 8
