"""The least hardware for mappings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

import toolkit
from toolkit.arch import Architecture
from toolkit.codesign import HardwareSpace, hardware_space, minimal_hardware, requirements
from toolkit.codesign.minimal import Use
from toolkit.errors import DoesNotFitError, InputError
from toolkit.mapping import LevelMapping, Mapping, MapSpace, sample, violations
from toolkit.mapping.mapping import from_arrays, to_arrays

TEXT = """\
name: grid
kernel: gemm
parameters: {rows: 8, buffer_words: 1024, row_words: 16, buffer_bandwidth: 16, bits: 8}
ranges:
  rows: {from: 1, to: 8}
  buffer_words: {from: 16, to: 1024, step: 16}
  row_words: {from: 2, to: 16, step: double}
  buffer_bandwidth: {from: 1, to: 16}
  bits: [8, 16]
levels:
  - memory: DRAM
    capacity_words: unlimited
    access_energy_pj: = bits
    bandwidth_words_per_cycle: 32
    component: lpddr4
    word_bits: = bits
  - memory: Buffer
    capacity_words: = buffer_words
    access_energy_pj: 1
    bandwidth_words_per_cycle: = buffer_bandwidth
    multiple_buffering: 2
    component: sram
    word_bits: = bits
  - {fanout: Rows, mesh: = rows, dimensions: [M, K]}
  - memory: Registers
    capacity_words: = row_words
    access_energy_pj: 0.1
    bandwidth_words_per_cycle: = row_words
    component: register-file
    word_bits: = bits
  - {compute: MAC, mac_energy_pj: 1, component: integer-mac, word_bits: = bits}
"""


IN_BYTES = TEXT.replace("capacity_words: = buffer_words", "capacity_bytes: = buffer_words")


def test_words_of_values_that_have_bits(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(IN_BYTES)
    space = hardware_space(path)
    problem = toolkit.make_problem(
        space.build(space.default).arch,
        toolkit.with_bits(toolkit.gemm(16, 8, 8), 4, sum_bits=20),
        factors="perfect",
    )
    mapping = toolkit.search_mappings(problem, "greedy").mapping
    found = minimal_hardware(space, [(mapping, problem.workload)])
    needs = {need.level: need.amount for need in found.requirements}
    tiles = problem.space.needed_words(1, to_arrays(mapping, problem.arch, problem.workload)[0])
    assert needs["Buffer"] == 2 * tiles  # Two copies, of bytes.
    words = found.point.parameters["buffer_words"]
    assert needs["Buffer"] <= words < needs["Buffer"] + 16
    assert found.point.parameters["bits"] == 8
    evaluated = toolkit.evaluate(mapping, found.point.arch, problem.workload)
    assert evaluated.memories[1].capacity_used <= 1


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> HardwareSpace:
    path = tmp_path_factory.mktemp("codesign") / "grid.yaml"
    path.write_text(TEXT)
    return hardware_space(path)


def drawn(arch: Architecture, workload: toolkit.Workload, seed: int) -> Use:
    """A random valid mapping; constraints must fit."""
    factors, order = sample(MapSpace(arch, workload), 1, np.random.default_rng(seed))
    return from_arrays(factors[0], order[0], arch, workload), workload


def broken(use: Use, arch: Architecture) -> bool:
    mapping, workload = use
    return bool(violations(MapSpace(arch, workload), mapping))


def latency(use: Use, arch: Architecture) -> float:
    mapping, workload = use
    return toolkit.evaluate(mapping, arch, workload).latency_cycles


def check_least(
    space: HardwareSpace, uses: list[Use], reference: Architecture, names: list[str]
) -> None:
    """Valid and no slower than on `reference` at the minimum, and nowhere one step below."""
    minimal = minimal_hardware(space, uses).point
    limits = [latency(use, reference) for use in uses]
    for use, limit in zip(uses, limits, strict=True):
        assert not broken(use, minimal.arch)
        assert latency(use, minimal.arch) <= limit
    for name in names:
        values = space.ranges[name].values
        place = values.index(minimal.parameters[name])
        if place > 0:
            smaller = space.build({**minimal.parameters, name: values[place - 1]}).arch
            assert any(
                broken(use, smaller) or latency(use, smaller) > limit
                for use, limit in zip(uses, limits, strict=True)
            )


SIZED = ["rows", "buffer_words", "row_words", "buffer_bandwidth"]
SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))


@examples(20)
@given(st.lists(SIZES, min_size=1, max_size=3), st.integers(0, 1000))
def test_least_hardware_of_a_grid(
    grid: HardwareSpace, sizes: list[tuple[int, int, int]], seed: int
) -> None:
    largest = grid.build(grid.largest).arch
    uses = [drawn(largest, toolkit.gemm(*size), seed + i) for i, size in enumerate(sizes)]
    first = minimal_hardware(grid, uses).point
    # The bandwidth of the registers follows their words, that of the buffer is its own.
    reference = grid.build({**first.parameters, "buffer_bandwidth": 16}).arch
    check_least(grid, uses, reference, SIZED)


@examples(10)
@given(st.lists(SIZES, min_size=1, max_size=2), st.integers(0, 1000))
def test_least_hardware_as_fast_as_given(
    grid: HardwareSpace, sizes: list[tuple[int, int, int]], seed: int
) -> None:
    given_hardware = {**grid.largest, "buffer_bandwidth": 5, "bits": 16}
    arch = grid.build(given_hardware).arch
    uses = [drawn(arch, toolkit.gemm(*size), seed + i) for i, size in enumerate(sizes)]
    minimal = minimal_hardware(grid, uses, given_hardware).point
    assert minimal.parameters["bits"] == 16
    assert minimal.area_um2 <= grid.build(given_hardware).area_um2
    for use in uses:
        assert not broken(use, minimal.arch)
        assert latency(use, minimal.arch) <= latency(use, arch)
    for name in SIZED:
        values = grid.ranges[name].values
        place = values.index(minimal.parameters[name])
        if place > 0:
            smaller = grid.build({**minimal.parameters, name: values[place - 1]}).arch
            assert any(
                broken(use, smaller) or latency(use, smaller) > latency(use, arch) for use in uses
            )


@examples(10)
@given(st.integers(0, 1000))
def test_least_gemmini(seed: int) -> None:
    space = hardware_space("gemmini-ws")
    arch = space.build(space.largest).arch
    layers = [
        toolkit.conv2d(8, 4, 6, 6, 3, 3),
        toolkit.conv2d(32, 16, 7, 7, 1, 1),
    ]
    uses = [drawn(arch, w, seed + i) for i, w in enumerate(layers)]
    reference = minimal_hardware(space, uses).point.arch
    check_least(space, uses, reference, ["side", "scratchpad_words", "accumulator_words"])


def one_mapping() -> Use:
    """M = 6 over 3 rows, 2 in the buffer's loop; K = 4 in the registers, N = 5 at DRAM."""
    order = ("M", "K", "N")
    return Mapping(
        (
            LevelMapping("DRAM", (("N", 5),), order),
            LevelMapping("Buffer", (("M", 2),), order),
            LevelMapping("Rows", (("M", 3),)),
            LevelMapping("Registers", (("K", 4),), order),
            LevelMapping("MAC", ()),
        )
    ), toolkit.gemm(6, 4, 5)


def test_requirements_by_hand(grid: HardwareSpace) -> None:
    needs = requirements([one_mapping()], grid.build(grid.smallest).arch)
    # Buffer: 6 x 4 weights, 4 inputs, 6 outputs, twice. Registers: 4 + 4 + 1.
    assert [(need.level, need.kind, need.amount) for need in needs] == [
        ("Buffer", "words", 68),
        ("Rows", "instances", 3),
        ("Registers", "words", 9),
        ("MAC", "instances", 1),
    ]


def test_amounts_round_up_to_the_ranges(grid: HardwareSpace) -> None:
    minimal = minimal_hardware(grid, [one_mapping()])
    chosen = minimal.point.parameters
    assert (chosen["buffer_words"], chosen["rows"], chosen["row_words"]) == (80, 3, 16)
    assert chosen["bits"] == 8


def test_networks_take_the_maximum(grid: HardwareSpace) -> None:
    arch = grid.build(grid.largest).arch
    other = drawn(arch, toolkit.gemm(8, 8, 8), 3)
    both = requirements([one_mapping(), other], arch)
    alone = [requirements([use], arch) for use in (one_mapping(), other)]
    assert [need.amount for need in both] == [
        max(a.amount, b.amount) for a, b in zip(*alone, strict=True)
    ]


def test_constraints_that_follow_parameters_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(
        TEXT.replace("dimensions: [M, K]}", "dimensions: [M, K], constraints: [M >= 9 - rows]}")
    )
    space = hardware_space(path)
    mapping, workload = one_mapping()
    # Three of five rows would do, but the fewer there are, the more are asked for.
    assert minimal_hardware(space, [(mapping, workload)]).point.parameters["rows"] == 6


def test_too_much_is_refused(grid: HardwareSpace) -> None:
    levels = one_mapping()[0].levels
    wide = Mapping((*levels[:2], LevelMapping("Rows", (("M", 9),)), *levels[3:]))
    use = wide, toolkit.gemm(18, 4, 5, name="wide")
    message = "wide needs 9 instances of Rows, but the largest hardware of the ranges has 8"
    with pytest.raises(DoesNotFitError, match=message):
        minimal_hardware(grid, [use])
    small = {**grid.largest, "rows": 2}
    with pytest.raises(DoesNotFitError, match="but the hardware given has 2 .rows=2"):
        minimal_hardware(grid, [one_mapping()], small)
    with pytest.raises(InputError, match="no mappings; expected at least one"):
        minimal_hardware(grid, [])


def test_what_a_mapping_leaves_out_or_cuts_off_needs_no_room() -> None:
    arch = toolkit.Architecture(
        "tiny",
        (
            toolkit.Memory("DRAM", None, 64, 64, 8, 8),
            toolkit.Memory("Buffer", 4096, 1, 1, 8, 8, may_bypass=("weight",)),
            toolkit.Compute("MAC", 1.0),
        ),
    )
    workload = toolkit.gemm(9, 5, 1)
    needed = []
    for rows, bypasses in ((5, None), (5, ("weight",)), (9, ("weight",))):
        mapping = Mapping(
            (
                LevelMapping("DRAM", (("M", -(-9 // rows)),)),
                LevelMapping("Buffer", (("M", rows), ("K", 5)), (), bypasses),
                LevelMapping("MAC", ()),
            )
        )
        needed.append(requirements([(mapping, workload)], arch)[0].amount)
    # 5 inputs, 5 or 9 outputs, and 25 weights unless these are left out.
    assert needed == [35, 10, 14]


def test_what_nothing_outside_holds_needs_room_as_a_whole(grid: HardwareSpace) -> None:
    """Tiles of 2 + 2 + 1 words, but all 12 outputs: twice 16 words."""
    arch = grid.build(grid.largest).arch
    passing = replace(
        arch, levels=(replace(arch.levels[0], bypasses=("output",)), *arch.levels[1:])
    )
    factors = np.array([[3, 1, 4], [1, 2, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]])
    workload = toolkit.gemm(3, 2, 4)
    uses = [(from_arrays(factors, np.tile(np.arange(3), (5, 1)), arch, workload), workload)]
    words = [
        {need.level: need.amount for need in requirements(uses, machine)}["Buffer"]
        for machine in (arch, passing)
    ]
    assert words == [2 * 5, 2 * 16]
