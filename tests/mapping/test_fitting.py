from dataclasses import replace

import pytest
from examples import examples
from hypothesis import given

from toolkit.arch.constraints import FactorConstraint
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping.fitting import fit
from toolkit.mapping.space import MapSpace
from toolkit.mapping.tilings import start_point

from .spaces import (
    EYERISS,
    all_valid,
    arch,
    as_tiling,
    conv1d,
    conv2d,
    fanout,
    gemm,
    memory,
    spaces,
)


def rules(fitted, level):
    return [str(c) for c in fitted.arch.levels[level].constraints]


def test_what_fits_is_left_alone():
    workload = gemm(3072, 1024, 4096)
    fitted = fit(EYERISS, workload)
    assert fitted.arch == EYERISS
    assert fitted.workload is workload
    assert fitted.notes == ()


def test_large_constraints_shrink():
    rows = fanout("Rows", 256, "M", "M == 256")
    machine = arch(memory("DRAM"), rows, memory("Reg", None, "M >= 4"))
    fitted = fit(machine, gemm(64, 2, 2))
    assert rules(fitted, 1) == ["M == 64"]
    assert rules(fitted, 2) == ["M >= 1"]
    assert fitted.notes == (
        "Rows: M == 256 shrinks to 64, all of M = 64",
        "Reg: M >= 4 shrinks to 1, what outer levels leave of M = 64",
    )


def test_an_equality_must_divide():
    machine = arch(memory("DRAM"), fanout("Rows", 16, "M", "M == 16"))
    message = (
        r"^tiny: small does not fit, because Rows requires M == 16, "
        r"which does not divide M = 100; padding M to 112 would fit \(allow pad: M\)$"
    )
    with pytest.raises(DoesNotFitError, match=message):
        fit(machine, gemm(100, 2, 2))


def test_an_equality_must_divide_what_is_left():
    rows = fanout("Rows", 16, "M", "M == 16")
    machine = arch(memory("DRAM"), memory("Buffer", None, "M == 4"), rows)
    with pytest.raises(DoesNotFitError, match="divide the 25 left of M = 100; padding M to 128"):
        fit(machine, gemm(100, 2, 2))


def test_no_padding_is_proposed_where_none_helps():
    machine = arch(memory("DRAM", None, "M == 4"), fanout("Rows", 16, "M", "M == 16"))
    with pytest.raises(DoesNotFitError, match="left of M = 100$"):
        fit(machine, gemm(100, 2, 2))


def test_padding_rounds_up():
    machine = arch(memory("DRAM"), fanout("Rows", 16, "M", "M == 16"))
    for pad in ("all", "M", ["M", "N"]):
        fitted = fit(machine, gemm(100, 2, 2), pad=pad)
        assert dict(fitted.workload.sizes) == {"M": 112, "K": 2, "N": 2}
        assert fitted.notes == ("padded M from 100 to 112: 12 % more multiply-accumulates",)


def test_padding_is_for_named_dimensions_only():
    machine = arch(memory("DRAM"), fanout("Rows", 16, "M", "M == 16"))
    with pytest.raises(DoesNotFitError, match="M == 16"):
        fit(machine, gemm(100, 2, 2), pad=["K"])
    with pytest.raises(InputError, match="pad: unknown dimension 'Q'; expected 'all' or some of"):
        fit(machine, gemm(100, 2, 2), pad=["Q"])


def test_padding_helps_a_prime_past_upper_bounds():
    machine = arch(memory("DRAM", None, "M <= 4"), memory("Buffer", None, "M <= 4"))
    message = "no split of M = 13 .*DRAM at most 4.*padding M to 16"
    with pytest.raises(DoesNotFitError, match=message):
        fit(machine, gemm(13, 2, 2))
    assert fit(machine, gemm(13, 2, 2), pad="M").workload.sizes["M"] == 16


def test_upper_bounds_too_small_for_any_padding():
    machine = arch(memory("DRAM", None, "M <= 4"), memory("Buffer", None, "M <= 4"))
    with pytest.raises(DoesNotFitError, match="Buffer at most 4$"):
        fit(machine, gemm(10_007, 2, 2), pad="all")


def test_a_lower_bound_takes_a_larger_divisor():
    machine = arch(memory("DRAM"), memory("Buffer", None, "M >= 5"))
    fitted = fit(machine, gemm(12, 2, 2))
    assert rules(fitted, 1) == ["M >= 5"]
    start = start_point(MapSpace(fitted.arch, fitted.workload))
    assert as_tiling(start) == ((2, 2, 2), (6, 1, 1), (1, 1, 1))


def test_a_lower_bound_makes_room_for_an_inner_equality():
    machine = arch(memory("DRAM"), memory("Buffer", None, "M >= 3"), memory("Reg", None, "M == 3"))
    fitted = fit(machine, gemm(12, 1, 1))
    assert as_tiling(start_point(MapSpace(fitted.arch, fitted.workload))) == (
        (1, 1, 1),
        (4, 1, 1),
        (3, 1, 1),
        (1, 1, 1),
    )


def test_bounds_of_one_level_that_exclude_each_other():
    machine = arch(memory("DRAM"), fanout("Rows", 4, "M", "M >= 8"))
    with pytest.raises(DoesNotFitError, match="Rows requires M >= 8 but allows at most 4"):
        fit(machine, gemm(16, 1, 1))
    unlisted = arch(memory("DRAM"), fanout("Rows", 4, "K", "M == 2"))
    with pytest.raises(DoesNotFitError, match="Rows requires M >= 2 but allows at most 1"):
        fit(unlisted, gemm(16, 1, 1))


def test_a_mesh_that_constraints_overfill():
    machine = arch(memory("DRAM"), fanout("PEs", 8, "MK", "M == 4", "K == 4"))
    message = r"need 16 instances of PEs \(M 4 x K 4\) but its mesh is 8"
    with pytest.raises(DoesNotFitError, match=message):
        fit(machine, gemm(16, 16, 1))


def test_a_capacity_that_constraints_overfill():
    machine = arch(memory("DRAM"), memory("Buffer", 20), memory("Reg", None, "M == 4", "K == 4"))
    message = r"Buffer \(M 4 x K 4\) takes 24 words but 20 are usable"
    with pytest.raises(DoesNotFitError, match=message):
        fit(machine, gemm(16, 16, 2))


def test_rules_that_only_together_exclude_everything():
    # Four PEs leave tiles of 2 x 2 or larger, which take 8 words.
    outer = memory("DRAM", None, "M <= 1", "K <= 1")
    machine = arch(outer, fanout("PEs", 4, "MK"), memory("Reg", 7))
    with pytest.raises(DoesNotFitError, match="no tiling meets all meshes, capacities and"):
        fit(machine, gemm(4, 4, 1))


def test_dimensions_that_the_workload_lacks_are_dropped():
    machine = arch(
        memory("DRAM", None, "S == 4", "P <= 9", "R <= 9", order="MS"),
        fanout("Rows", 4, "SM"),
        memory("Reg", order="S_M_"),
    )
    fitted = fit(machine, conv1d(4, 4, 1))
    assert set(fitted.arch.dimensions) == {"M", "P", "R"}
    assert fitted.arch.memories[0].loop_order == ("M",)
    assert fitted.arch.memories[1].loop_order == ("_", "M", "_")
    assert fitted.notes == ("S: named by tiny but not in strip, so taken to iterate once",)


def test_a_gemm_on_a_convolution_architecture():
    machine = arch(memory("DRAM"), fanout("PEs", 4, "MCR"), name="gemmini-conv")
    message = "lacks the dimensions C, R .* name its K, N; is gemmini meant"
    with pytest.raises(DoesNotFitError, match=message):
        fit(machine, gemm(4, 4, 4))
    sister = arch(memory("DRAM"), fanout("PEs", 4, "MK"), name="gemmini")
    with pytest.raises(DoesNotFitError, match="is gemmini-conv meant"):
        fit(sister, conv2d())


@examples(100)
@given(spaces())
def test_fit_turns_down_exactly_the_empty_spaces(space):
    try:
        fitted = fit(
            space.arch,
            space.workload,
            footprint=space.footprint,
            outermost_supplies=space.outermost_supplies,
        )
    except DoesNotFitError:
        assert not all_valid(space)
        return
    assert all_valid(replace(space, arch=fitted.arch, workload=fitted.workload))


@examples(50)
@given(spaces())
def test_fitting_twice_changes_nothing(space):
    try:
        once = fit(space.arch, space.workload, pad="all")
    except DoesNotFitError:
        return
    twice = fit(once.arch, once.workload)
    assert (twice.arch, twice.workload) == (once.arch, once.workload)


def test_a_lower_bound_makes_no_room_for_shrinking():
    machine = arch(memory("DRAM"), memory("Buffer", None, "M >= 2"), memory("Reg", None, "M == 5"))
    with pytest.raises(DoesNotFitError, match="M == 5, which does not divide the 12 left"):
        fit(machine, gemm(24, 1, 1))


def test_contradicting_lower_bounds_never_hang():
    levels = [memory(f"L{i}", None, "M >= 2") for i in range(12)]
    machine = arch(memory("DRAM"), *levels, memory("Reg", None, "M == 11"))
    with pytest.raises(DoesNotFitError, match="M == 11"):
        fit(machine, gemm(2**20 * 3**3 * 5**2, 1, 1))


def test_constraints_keep_their_relation():
    machine = arch(memory("DRAM", None, "M <= 99"), memory("Buffer", None, "K >= 2"))
    fitted = fit(machine, gemm(4, 4, 4))
    assert fitted.arch.levels[0].constraints == (FactorConstraint("M", "<=", 99),)
