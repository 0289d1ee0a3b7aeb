"""The optional section of an architecture file that describes its vector unit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import toolkit
from toolkit.arch import Architecture, Compute, Memory, arch_names, check_bypasses, load_arch
from toolkit.errors import ArchitectureError
from toolkit.workload import Tensor, Term, Workload, gemm

SECTION = "vector_unit: {lanes: 8, operation_energy_pj: 0.5, memory: Buffer}\n"
FILE = """
name: mine
{head}levels:
  - memory: DRAM
    capacity_words: unlimited
    access_energy_pj: 64
    bandwidth_words_per_cycle: 8
  - memory: Buffer
    capacity_words: 64
    access_energy_pj: 1
    bandwidth_words_per_cycle: 8
  - compute: MAC
    mac_energy_pj: 0.2
{tail}
"""


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


def load(folder: Path, tail: str, head: str = "", **parameters: int) -> toolkit.Architecture:
    path = folder / "arch.yaml"
    path.write_text(FILE.format(head=head, tail=tail))
    return toolkit.load_arch(path, parameters)


def test_the_section_is_read_and_written_again(tmp_path: Path) -> None:
    arch = load(tmp_path, SECTION)
    assert arch.vector_unit == toolkit.VectorUnit(8, 0.5, "Buffer")
    text = toolkit.arch_to_yaml(arch)
    assert text.endswith(
        "vector_unit:\n  lanes: 8\n  operation_energy_pj: 0.5\n  memory: Buffer\n"
    )
    (tmp_path / "again.yaml").write_text(text)
    assert toolkit.load_arch(tmp_path / "again.yaml") == arch


def test_without_the_section_there_is_none(tmp_path: Path) -> None:
    arch = load(tmp_path, "")
    assert arch.vector_unit is None
    assert "vector_unit" not in toolkit.arch_to_yaml(arch)


def test_mappings_do_not_depend_on_it(tmp_path: Path) -> None:
    with_unit, without = load(tmp_path, SECTION), load(tmp_path, "")
    costs = []
    for arch in (with_unit, without):
        problem = toolkit.make_problem(arch, toolkit.gemm(8, 4, 2))
        budget = toolkit.Budget(evaluations=50)
        costs.append(toolkit.search_mappings(problem, "random", budget=budget).energy_pj)
    assert costs[0] == costs[1]


def test_figures_may_follow_from_parameters(tmp_path: Path) -> None:
    section = "vector_unit: {lanes: = 2 * side, operation_energy_pj: 1, memory: Buffer}"
    arch = load(tmp_path, section, head="parameters: {side: 4}\n", side=16)
    assert (arch.name, arch.vector_unit) == (
        "mine:side=16",
        toolkit.VectorUnit(32, 1.0, "Buffer"),
    )


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("vector_unit: 8", "vector_unit: expected a mapping, got 8"),
        (
            "vector_unit: {lanes: 0, operation_energy_pj: 1, memory: Buffer}",
            "vector_unit.lanes: expected at least 1, got 0",
        ),
        (
            "vector_unit: {lanes: 8, operation_energy_pj: -1, memory: Buffer}",
            "vector_unit.operation_energy_pj: expected at least 0, got -1",
        ),
        (
            "vector_unit: {lanes: 8, memory: Buffer}",
            "vector_unit.operation_energy_pj: this key is required and missing",
        ),
        (
            "vector_unit: {lanes: 8, operation_energy_pj: 1, memory: Bufer}",
            "vector_unit.memory: unknown memory 'Bufer' (did you mean 'Buffer'?); expected one "
            "of DRAM, Buffer",
        ),
        (
            "vector_unit: {lane: 8, operation_energy_pj: 1, memory: Buffer}",
            "vector_unit.lane: unknown key (did you mean 'lanes'?); known keys: lanes, "
            "operation_energy_pj, memory",
        ),
        (
            "vector_unit: {lanes: = side, operation_energy_pj: 1, memory: Buffer}",
            "vector_unit.lanes: ",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, section: str, message: str) -> None:
    with pytest.raises(ArchitectureError) as raised:
        load(tmp_path, section)
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "arch.yaml"))


@pytest.mark.parametrize("name", arch_names())
def test_packaged_architectures_speak_of_roles(name: str) -> None:
    check_bypasses(load_arch(name), gemm(4, 2, 3))


@pytest.mark.parametrize("bypass", ["left", "total", "input", "weight", "output"])
def test_tensors_and_roles_are_understood(bypass: str) -> None:
    check_bypasses(arch(bypass), SUM)


def test_what_may_be_left_out_is_checked_as_well() -> None:
    buffer = Memory("Buffer", 64, 1.0, 1.0, 4.0, 4.0, may_bypass=("weight", "lefft"))
    machine = Architecture("tiny", (DRAM, buffer, MAC))
    with pytest.raises(ArchitectureError, match="Buffer may bypass 'lefft' .did you mean 'left'"):
        check_bypasses(machine, SUM)


def test_nothing_could_supply_the_outermost_memory() -> None:
    outermost = Memory("DRAM", None, 1.0, 1.0, 4.0, 4.0, may_bypass=("weight",))
    with pytest.raises(ArchitectureError, match="DRAM is the outermost memory, so nothing"):
        Architecture("tiny", (outermost, MAC))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ArchitectureError) as caught:
        check_bypasses(arch("input", "lefft"), SUM)
    assert caught.value.source == "tiny"
    assert caught.value.key == "levels[1].bypasses"
    assert str(caught.value).endswith(
        "Buffer bypasses 'lefft' (did you mean 'left'?), which is neither a role nor a tensor of "
        "sum; known: input, weight, output, left, right, total"
    )


def test_a_vector_unit_may_have_lanes_of_bits_energies_by_bits_and_an_area(tmp_path: Path) -> None:
    section = (
        "vector_unit: {lanes: 8, operation_energy_pj: {32: 2.0, 8: 0.5}, memory: Buffer, "
        "lane_bits: 32, area_um2: 900}\n"
    )
    arch = load(tmp_path, section)
    unit = toolkit.VectorUnit(8, 2.0, "Buffer", 32, ((8, 0.5), (32, 2.0)), 900.0)
    assert arch.vector_unit == unit
    path = tmp_path / "again.yaml"
    path.write_text(toolkit.arch_to_yaml(arch))
    assert toolkit.load_arch(path) == arch
    whole = replace(arch, levels=tuple(replace(level, area_um2=1.0) for level in arch.levels))
    assert toolkit.area_um2(whole) - toolkit.area_um2(replace(whole, vector_unit=None)) == 900.0
