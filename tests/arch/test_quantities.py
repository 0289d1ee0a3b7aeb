"""Quantities with units in place of plain numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import toolkit
from toolkit.arch import load_template
from toolkit.arch.files import arch_definition
from toolkit.arch.quantities import in_unit, parse_quantity
from toolkit.codesign.range_words import read_ranges
from toolkit.errors import ArchitectureError, InputError

UNIT = """
clock_mhz: 500
vector_unit: {lanes: = lanes, operation_energy_pj: 1, memory: Scratchpad}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Gemmini at 500 MHz with a vector unit, and sizes with units."""
    text = arch_definition("gemmini-ws").replace("parameters:\n", "parameters:\n  lanes: 8 GOPS\n")
    text = text.replace("scratchpad_words: 262144", "scratchpad_words: 256 KiB")
    text = text.replace("{from: 8192, to: 4194304,", "{from: 8KiB, to: 4 MiB,")
    text = text.replace("dram_bandwidth: 8 ", "dram_bandwidth: 6.4 GB/s ")
    path = tmp_path / "units.yaml"
    path.write_text(text + UNIT)
    return path


def test_a_template_in_units(file: Path) -> None:
    template = load_template(file)
    assert template.parameters["scratchpad_words"] == 262_144
    assert template.parameters["dram_bandwidth"] == 12.8
    # Eight thousand million operations per second, five hundred million cycles.
    assert template.parameters["lanes"] == 16
    plain = load_template("gemmini-ws").ranges["scratchpad_words"]
    assert template.ranges["scratchpad_words"].values == plain.values


def test_settings_in_units(file: Path) -> None:
    arch = toolkit.load_arch(f"{file}:scratchpad_words=64KiB,dram_bandwidth=4GB/s")
    dram, scratchpad = arch.memories[:2]
    assert (dram.bandwidth, scratchpad.capacity_words) == (8, 65536)
    # Words of 16 bits, then of 8.
    for settings, words in (("", 32768), ("bits=8,", 65536)):
        read = toolkit.load_arch(f"eyeriss-like:{settings}buffer_words=64KiB")
        assert read.memories[1].capacity_words == words


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("scratchpad_words=64KiB..256KiB", [65536, 131072, 262144]),
        ("scratchpad_words=64,128KiB", [65536, 131072]),
        ("dram_bandwidth=8..32GB/s", [4, 8, 16]),
        ("dram_bandwidth=8GB/s,12.8GB/s", [4, 6.4]),
        ("accumulator_words=2kB,4kB", [500, 1000]),
    ],
)
def test_ranges_in_units(words: str, expected: list[float]) -> None:
    read = read_ranges([words], load_template("gemmini-ws"), clock_ghz=2.0)
    assert list(read.values()) == [expected]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("side=8KiB", "8KiB: expected a plain number, for it is no capacity"),
        ("scratchpad_words=8GB/s", "8GB/s is bytes per second, but it is capacity_words"),
        ("scratchpad_words=8XB", "XB is no unit"),
        ("accumulator_words=5B", "5B is 1.25 in capacity_words of Accumulator"),
        ("sides=8KiB", r"unknown parameter 'sides' \(did you mean 'side'\?\)"),
        ("scratchpad_words=8KiB..4KiB", "reversed"),
        ("scratchpad_words=KiB", "'KiB' is no number"),
    ],
)
def test_units_that_do_not_suit(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_ranges([words], load_template("gemmini-ws"), clock_ghz=1.0)


def test_bytes_of_words_that_are_chosen_too() -> None:
    template = load_template("eyeriss-like")
    with pytest.raises(InputError, match="the bits of a word are chosen, too"):
        read_ranges(["buffer_words=64KiB", "bits=8,16"], template, clock_ghz=1.0)
    fixed = read_ranges(["buffer_words=64KiB", "bits=8"], template, clock_ghz=1.0)
    assert fixed == {"buffer_words": [65536], "bits": [8]}


def test_a_bandwidth_needs_a_clock(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="dram_bandwidth: 8GB/s needs a clock"):
        toolkit.load_arch("gemmini-ws:dram_bandwidth=8GB/s")
    text = arch_definition("gemmini-ws").replace("dram_bandwidth: 8 ", "dram_bandwidth: 8 GBps ")
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(
        ArchitectureError, match=r"parameters.dram_bandwidth: '8 GBps': GBps is no"
    ):
        toolkit.load_arch(tmp_path / "a.yaml")


def test_numbers_are_no_quantities() -> None:
    assert parse_quantity("1e3") is None
    assert parse_quantity("= 2 * side") is None
    assert in_unit("2W", "watts", 1e-3) == 2.0
    assert in_unit("500", "watts", 1e-3) == 0.5
    for text in ("2GB", "two", "2 bananas", "", "-", "nan"):
        with pytest.raises(ValueError):
            in_unit(text, "watts", 1e-3)
