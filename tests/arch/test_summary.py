from __future__ import annotations

from pathlib import Path

from toolkit.arch import load_arch_file
from toolkit.arch.summary import ArchitectureSummary, summarize

FILE = """
name: two
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 9, bandwidth_words_per_cycle: 1}
  - memory: Weights
    capacity_words: 100
    access_energy_pj: 9
    bandwidth_words_per_cycle: 1
    bypasses: [input, output]
    component: hbm2
    word_bits: 8
  - {fanout: Rows, mesh: 3, dimensions: [M]}
  - {memory: Sums, capacity_words: 5, access_energy_pj: 1, bandwidth_words_per_cycle: 1BITS}
  - {fanout: Columns, mesh: 7, dimensions: [K]}
  - memory: Register
    capacity_words: 1
    access_energy_pj: 1
    bandwidth_words_per_cycle: 1
    word_bits: 3
  - {compute: MAC, mac_energy_pj: 1, mesh: 2, dimensions: [N]}
"""


def summary(tmp_path: Path, bits: str) -> ArchitectureSummary:
    path = tmp_path / "two.yaml"
    path.write_text(FILE.replace("BITS", bits))
    return summarize(load_arch_file(path))


def test_memories_on_the_chip_are_added_up_over_their_instances(tmp_path: Path) -> None:
    # 3 x 5 x 12 + 21 x 1 x 3 = 243 bits; DRAM of weights is off the chip.
    expected = ArchitectureSummary(word_bits=(3, 12), lanes=42, on_chip_bytes=31)
    assert summary(tmp_path, ", word_bits: 12") == expected


def test_without_bits_of_one_memory_there_is_no_sum(tmp_path: Path) -> None:
    assert summary(tmp_path, "") == ArchitectureSummary((3,), 42, None)
