"""Ranges of parameters in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch import load_arch, load_template
from toolkit.arch.ranges import Range, parse_range
from toolkit.errors import ArchitectureError

TEXT = """\
name: grid
parameters: {{side: 16, words: = 4 * side}}
ranges: {ranges}
levels:
  - {{memory: DRAM, capacity_words: = words, access_energy_pj: 1, bandwidth_words_per_cycle: 8}}
  - {{fanout: Rows, mesh: = side, dimensions: [M]}}
  - {{compute: MAC, mac_energy_pj: 1}}
"""

RANGES = st.one_of(
    st.builds(
        lambda low, count: parse_range({"from": low, "to": low * 2**count, "step": "double"}),
        st.integers(1, 100),
        st.integers(0, 12),
    ),
    st.builds(
        lambda low, step, count: parse_range(
            {"from": low, "to": low + step * count, "step": step}
        ),
        st.integers(1, 100),
        st.integers(1, 9),
        st.integers(0, 40),
    ),
    st.lists(st.integers(1, 1000), min_size=1, max_size=9, unique=True).map(
        lambda values: parse_range(sorted(values))
    ),
)


@pytest.mark.parametrize(
    ("data", "values", "encoding", "text"),
    [
        ({"from": 4, "to": 40, "step": "double"}, (4, 8, 16, 32), "log2", "4..32 doubling"),
        ({"from": 2, "to": 5}, (2, 3, 4, 5), "index", "2..5"),
        ({"from": 4, "to": 17, "step": 4}, (4, 8, 12, 16), "index", "4..16 by 4"),
        ([1, 2, 4, 8], (1, 2, 4, 8), "log2", "1..8 doubling"),
        ([8, 12, 32], (8, 12, 32), "index", "8, 12, 32"),
        ([0.5], (0.5,), "index", "0.5"),
    ],
)
def test_forms(data: object, values: tuple[float, ...], encoding: str, text: str) -> None:
    found = parse_range(data)
    assert (found.values, found.encoding, str(found)) == (values, encoding, text)


@given(RANGES)
def test_codes_go_both_ways(found: Range) -> None:
    low, high = found.bounds
    for value in found.values:
        assert low <= found.encode(value) <= high
        assert found.decode(found.encode(value)) == value
    assert found.decode(low - 5) == found.values[0]
    assert found.decode(high + 5) == found.values[-1]


@given(RANGES, st.integers(1, 1200))
def test_rounding_up(found: Range, wanted: int) -> None:
    enough = [value for value in found.values if value >= wanted]
    assert found.round_up(wanted) == (min(enough) if enough else None)


def write(tmp_path: Path, ranges: str) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(TEXT.format(ranges=ranges))
    return path


def test_ranges_stand_beside_the_parameters(tmp_path: Path) -> None:
    path = write(tmp_path, "{side: {from: 8, to: 32, step: double}, words: [32, 100]}")
    template = load_template(path)
    assert template.ranges["side"].values == (8, 16, 32)
    assert template.ranges["words"].values == (32, 100)
    # They bind searches over hardware alone.
    assert load_arch(path, {"side": 12}).fanouts[0].mesh == 12


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ("{side: []}", "grid.yaml: ranges.side: the range is empty"),
        ("{side: {from: 32, to: 8}}", "ranges.side: reversed: from 32 is larger than to 8"),
        ("{sidee: [16]}", r"unknown parameter 'sidee' \(did you mean 'side'\?\)"),
        ("{side: [8, 32]}", "ranges.side: the default 16 is not in the range 8, 32"),
        ("{side: [16, 8]}", "8 follows 16; expected ascending values"),
        ("{side: [0, 16]}", "entry 0: expected a positive number up to 1e15, got 0"),
        ("{side: {from: 16}}", "has no to; expected a list of numbers, or from and to"),
        ("{side: {from: 1, to: 16, by: 3}}", "unknown key 'by'"),
        ("{side: {from: 1, to: 16, step: 0}}", "step: expected a positive integer or double"),
        ("{side: {from: 1, to: 1000000}}", "1000000 values; expected at most 100000"),
        ("{side: wide}", "expected a list of numbers, or from and to .*, got 'wide'"),
        ("[side]", "ranges: expected a mapping of parameters to ranges, got a list"),
    ],
)
def test_mistakes(tmp_path: Path, ranges: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_template(write(tmp_path, ranges))
