import numpy as np
import pytest
from examples import examples
from hypothesis import given

from toolkit.errors import DoesNotFitError, MappingError
from toolkit.mapping.sampling import random_tilings, sample
from toolkit.mapping.space import MapSpace

from .spaces import EYERISS, all_valid, arch, as_tiling, gemm, memory, spaces


@examples(50)
@given(spaces())
def test_samples_are_valid_or_nothing_is(space):
    rng = np.random.default_rng(1)
    if all_valid(space):
        factors, order = sample(space, 50, rng)
        assert factors.shape == order.shape == (50, *space.shape)
        assert space.check(factors, order).all()
    else:
        with pytest.raises(DoesNotFitError, match="no valid tiling exists"):
            sample(space, 50, rng)


@examples(30)
@given(spaces())
def test_samples_reach_every_valid_tiling(space):
    valid = all_valid(space)
    if not 0 < len(valid) <= 200:
        return
    drawn = random_tilings(space, 20 * len(valid) + 200, np.random.default_rng(2))
    assert {as_tiling(f) for f in drawn} == valid


def test_samples_are_uniform_where_little_is_rejected():
    space = MapSpace(arch(memory("DRAM"), memory("Buffer", 30)), gemm(4, 4, 2))
    drawn = random_tilings(space, 20_000, np.random.default_rng(4))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    expected = 20_000 / len(all_valid(space))
    assert len(counts) == len(all_valid(space))
    assert abs(counts - expected).max() < 6 * expected**0.5


def test_samples_depend_on_the_generator_alone():
    space = MapSpace(EYERISS, gemm(48, 16, 8))
    one = sample(space, 500, np.random.default_rng(7))
    same = sample(space, 500, np.random.default_rng(7))
    other = sample(space, 500, np.random.default_rng(8))
    assert (one[0] == same[0]).all()
    assert (one[1] == same[1]).all()
    assert (one[0] != other[0]).any()


def test_tight_spaces_are_sampled_by_repair():
    tight = [memory(f"L{i}", 40) for i in range(4)]
    space = MapSpace(arch(memory("DRAM"), *tight), gemm(2**9, 2**9, 3**6))
    factors, order = sample(space, 2000, np.random.default_rng(9))
    assert space.check(factors, order).all()
    assert len(np.unique(factors, axis=0)) > 1000


def test_orders_follow_their_constraints():
    machine = arch(memory("DRAM", order="NM"), memory("Buffer", order="_K_"))
    space = MapSpace(machine, gemm(4, 4, 4))
    _, order = sample(space, 300, np.random.default_rng(3))
    assert {tuple(o) for o in order[:, 0].tolist()} == {(2, 0, 1), (2, 1, 0), (1, 2, 0)}
    assert {tuple(o) for o in order[:, 1].tolist()} == {(0, 1, 2), (2, 1, 0)}
    assert (order[:, 2] == [0, 1, 2]).all()


def test_counts():
    space = MapSpace(EYERISS, gemm(4, 4, 4))
    assert sample(space, 0, np.random.default_rng(0))[0].shape == (0, 8, 3)
    with pytest.raises(MappingError, match="count: -1 is not"):
        sample(space, -1, np.random.default_rng(0))
