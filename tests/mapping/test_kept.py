"""What has to stay in one place for the whole run, and what nothing would add up."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import DoesNotFitError
from toolkit.mapping.explain import violations
from toolkit.mapping.fitting import fit
from toolkit.mapping.kept import seen_in_run
from toolkit.mapping.mapping import from_arrays
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import enumerate_tilings

from .spaces import arch, conv1d, fanout, gemm, memory

PASSING = memory("DRAM", bypasses=("output",))
ROWS = fanout("Rows", 4, "MK")


def tiling(*rows: str) -> np.ndarray:
    """Factors of M, K and N (or M, P and R), a level a row, the outermost first."""
    return np.array([[int(f) for f in row.split()] for row in rows], dtype=np.int64)


def broken(space: MapSpace, factors: np.ndarray) -> tuple[str, ...]:
    order = np.tile(np.arange(3), (len(factors), 1))
    found = violations(space, from_arrays(factors, order, space.arch, space.workload))
    assert (found == ()) == bool(space.check_factors(factors[None])[0])
    return found


def test_all_of_the_output_stays_where_nothing_outside_holds_it() -> None:
    """A tile of 2 + 2 + 1 words, but 16 outputs in the whole run."""
    factors = tiling("4 1 4", "1 2 1", "1 1 1")
    space = MapSpace(arch(PASSING, memory("Buffer", 19)), gemm(4, 2, 4))
    assert broken(space, factors) == (
        "Buffer: footprint 20 words > 19 usable; it is the outermost memory that holds Out, of "
        "which it keeps all, 16 words, for the whole run",
    )
    enough = MapSpace(arch(PASSING, memory("Buffer", 20)), gemm(4, 2, 4))
    assert broken(enough, factors) == ()
    assert enough.footprints(factors[None]).tolist() == [[16, 20]]


def test_inputs_that_come_from_nowhere_else_stay_as_well() -> None:
    factors = tiling("4 1 4", "1 2 1", "1 1 1")
    space = MapSpace(
        arch(memory("DRAM", bypasses=("input", "weight")), memory("Buffer", 16)), gemm(4, 2, 4)
    )
    (found,) = broken(space, factors)
    assert "17 words > 16 usable" in found
    assert "holds In and W, of which it keeps all, 16 words" in found


def test_instances_keep_their_share() -> None:
    """Two of M = 8 at once, four times: each of the two sees four, and all of N."""
    machine = arch(PASSING, ROWS, memory("Buffer", 100))
    space = MapSpace(machine, gemm(8, 2, 3))
    factors = tiling("4 1 1", "2 1 1", "1 2 3", "1 1 1")
    assert space.footprints(factors[None])[0, 1] == 4 * 3 + 2 * 3 + 1 * 2
    assert space.keeping.share(1) == "all that an instance sees"


def test_windows_are_kept_from_their_first_to_their_last_value() -> None:
    """Instances take turns: the first has p of 0, 1, 4 and 5, whose windows of 2 end with 6."""
    machine = arch(memory("DRAM", bypasses=("input",)), fanout("PEs", 2, "P"), memory("Reg", 99))
    space = MapSpace(machine, conv1d(1, 8, 2))
    factors = tiling("1 2 1", "1 2 1", "1 2 2", "1 1 1")
    assert space.footprints(factors[None])[0, 1] == 7 + 2 + 2


def test_last_tiles_of_a_first_instance() -> None:
    """5 in tiles of 2 on two instances: the first one sees 0, 1 and 4."""
    seen = seen_in_run(np.array([2.0, 2.0, 2.0]), 2, np.array([True, False, True]), 5.0)
    assert (seen.iterations, seen.reach) == (3, 5)
    machine = arch(PASSING, fanout("Rows", 2, "M"), memory("Buffer", 99))
    space = MapSpace(machine, gemm(5, 1, 1), factors="ragged")
    factors = tiling("2 1 1", "2 1 1", "2 1 1", "1 1 1")
    assert space.footprints(factors[None])[0, 1] == 3 + 2 + 1


def test_copies_of_multiple_buffering_count_for_what_stays() -> None:
    buffer = memory("Buffer", 38, multiple_buffering=2.0)
    found = broken(
        MapSpace(arch(PASSING, buffer), gemm(4, 2, 4)), tiling("4 1 4", "1 2 1", "1 1 1")
    )
    assert "footprint 20 words > 19 usable (38 / 2 copies)" in found[0]


def test_sums_that_nothing_adds_are_not_split() -> None:
    machine = arch(PASSING, ROWS, memory("Buffer"))
    space = MapSpace(machine, gemm(4, 4, 2))
    assert broken(space, tiling("1 1 2", "1 4 1", "4 1 1", "1 1 1")) == (
        "Rows: unrolls K by 4, but nothing outside Buffer holds Out, so that the partial sums of "
        "its instances are never added",
    )
    assert broken(space, tiling("1 4 2", "4 1 1", "1 1 1", "1 1 1")) == ()
    inside = MapSpace(arch(PASSING, memory("Buffer"), ROWS, memory("Reg")), gemm(4, 4, 2))
    assert broken(inside, tiling("1 1 2", "4 1 1", "1 4 1", "1 1 1", "1 1 1")) == ()


def test_a_constraint_that_splits_sums_is_named() -> None:
    machine = arch(PASSING, fanout("Rows", 4, "MK", "K == 4"), memory("Buffer"))
    with pytest.raises(DoesNotFitError, match=r"Rows requires K >= 4, but nothing outside Buffer"):
        fit(machine, gemm(4, 4, 2))


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (
            (memory("Buffer", 8192),),
            r"the outermost memory that holds Out \(Buffer, 8,192 words\) has no room for all of "
            r"it: 9,216 words",
        ),
        (
            (memory("Buffer", 8192, multiple_buffering=2.0),),
            r"\(Buffer, 4,096 usable words\) has no room for all of it: 9,216 words",
        ),
        (
            (ROWS, memory("Buffer", 2000)),
            r"has no room for all that an instance sees of it: at least 2,304 words",
        ),
        (
            (fanout("Rows", 4, "MN"), memory("Buffer", 2000)),
            r"has no room for all that an instance sees of it: at least 2,304 words",
        ),
        (
            (memory("Buffer", 9217),),
            r"Buffer \(one value of each tensor\) takes 9218 words but 9217 are usable; it is the "
            r"outermost memory that holds Out, of which it keeps all, 9216 words",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(levels: tuple, message: str) -> None:
    with pytest.raises(DoesNotFitError, match=message):
        fit(arch(PASSING, *levels), gemm(96, 8, 96))


def test_factorflow_lets_the_outermost_memory_supply_what_it_bypasses() -> None:
    space = MapSpace(
        arch(PASSING, ROWS, memory("Buffer", 5)), gemm(4, 4, 4), outermost_supplies=True
    )
    assert broken(space, tiling("2 2 4", "2 2 1", "1 1 1", "1 1 1")) == ()
    fit(space.arch, space.workload, outermost_supplies=True)
    with pytest.raises(DoesNotFitError):
        fit(space.arch, space.workload)


def test_memories_without_a_limit_keep_anything() -> None:
    space = MapSpace(arch(PASSING, memory("Buffer")), gemm(4, 2, 4))
    held = MapSpace(arch(memory("DRAM"), memory("Buffer")), gemm(4, 2, 4))
    both = [np.concatenate(list(enumerate_tilings(x))) for x in (space, held)]
    np.testing.assert_array_equal(*both)


def test_ragged_tilings_are_cut_off_before_they_are_said_not_to_fit() -> None:
    """A tile of 4 over M = 3 takes three words of W and of Out, not four."""
    machine = arch(memory("DRAM"), memory("Buffer", 7), memory("Reg"))
    space = MapSpace(machine, gemm(3, 1, 1), factors="ragged")
    listed = {tilings.tobytes() for batch in enumerate_tilings(space) for tilings in batch}
    assert tiling("1 1 1", "2 1 1", "2 1 1", "1 1 1").tobytes() in listed
    assert all(space.check_factors(batch).all() for batch in enumerate_tilings(space))
