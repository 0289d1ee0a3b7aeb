"""Machines drawn: what stands where, how large, and that all of it can be read."""

from __future__ import annotations

import pytest
from study.pictures.clear import assert_clear

import toolkit
from toolkit.arch.files import load_arch_file
from toolkit.arch.technology import Technology, priced
from toolkit.study.pictures.machine import draw_machine, machine_picture


def priced_gemmini() -> toolkit.Architecture:
    file = load_arch_file("gemmini-ws")
    return priced(file.architecture(), file.components(), Technology())


def test_levels_lie_in_the_fanouts_outside_of_them() -> None:
    picture = machine_picture(toolkit.load_arch("eyeriss"))
    assert [
        (level.name, level.kind, level.depth, level.instances) for level in picture.levels
    ] == [
        ("DRAM", "memory", 0, 1),
        ("GlobalBuffer", "memory", 0, 1),
        ("SACols", "fanout", 0, 1),
        ("SARows", "fanout", 1, 14),
        ("InRegister", "memory", 2, 168),
        ("WRegister", "memory", 2, 168),
        ("OutRegister", "memory", 2, 168),
        ("Compute", "compute", 2, 168),
    ]
    assert picture.title == "eyeriss: 168 multiply-accumulates at a time"
    sizes = {level.name: level.size for level in picture.levels}
    # 131,072 words of 16 bits.
    assert (sizes["DRAM"], sizes["GlobalBuffer"], picture.unit) == (None, 262144, "bytes")
    assert "holds no weight" in picture.levels[1].facts


def test_without_bits_sizes_are_words() -> None:
    levels = (
        toolkit.Memory("DRAM", None, 1.0, 1.0, 1.0, 1.0),
        toolkit.Memory("Buffer", 100, 1.0, 2.0, 1.0, 1.0),
        toolkit.Compute("MAC", 0.5),
    )
    picture = machine_picture(toolkit.Architecture("plain", levels))
    assert (picture.unit, picture.levels[1].size, picture.chip) == ("words", 100, None)
    assert picture.levels[1].facts == "1 and 2 pJ to read and write; 2 words/cycle"
    assert_clear(draw_machine(picture))


def test_areas_are_drawn_where_all_levels_have_one() -> None:
    arch = priced_gemmini()
    chip = machine_picture(arch).chip
    assert chip is not None
    assert chip.area_mm2 == pytest.approx(toolkit.area_um2(arch) * 1e-6)
    assert machine_picture(toolkit.load_arch("gemmini-ws")).chip is None


@pytest.mark.parametrize("name", ["eyeriss", "simba", "tpu-v1", "tensor-core-sm", "nvdla"])
def test_nothing_is_cut_or_overlaps(name: str) -> None:
    assert_clear(draw_machine(machine_picture(toolkit.load_arch(name))))


def test_nothing_of_a_priced_machine_with_a_long_name_is_cut() -> None:
    arch = toolkit.load_arch("gemmini-ws:side=8,scratchpad_words=16384,accumulator_words=256")
    assert_clear(draw_machine(machine_picture(arch)))
    assert_clear(draw_machine(machine_picture(priced_gemmini())))
