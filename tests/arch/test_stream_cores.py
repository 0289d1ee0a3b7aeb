"""Stream's cores and chips."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from mutations import mutated

from toolkit.arch import Architecture, load_arch
from toolkit.arch.peers.stream import chip_core, joined_cores
from toolkit.errors import ArchitectureError
from toolkit.peer_files import Document
from toolkit.yaml_files import parse_yaml

CORE = """
name: tile
type: zigzag.compute
memories:
  sums:
    size: 1_024
    r_cost: 0.5
    w_cost: 0_2
    area: 0
    latency: 1
    operands: [O]
    ports:
    - {name: r, type: read, bandwidth_min: 16, bandwidth_max: 16, allocation: ["O, tl", "O, th"]}
    - {name: w, type: write, bandwidth_min: 16, bandwidth_max: 16, allocation: ["O, fh", "O, fl"]}
    served_dimensions: [D2]
  sram:
    size: 65536
    r_cost: 8
    w_cost: 8
    area: 0
    latency: 1
    operands: [I1, I2, O]
    ports:
    - name: rw
      type: read_write
      bandwidth_min: 64
      bandwidth_max: 64
      allocation: ["I1, tl", "I1, fh", "I2, tl", "I2, fh", "O, tl", "O, fh", "O, th", "O, fl"]
    served_dimensions: [D1, D2]
operational_array: {unit_energy: 0.1, unit_area: 1, dimensions: [D1, D2], sizes: [4, 8]}
operator_types: [Conv, Gemm]
"""
HOLDS = """
name: {name}
type: zigzag.offchip
memories:
  {name}:
    size: {bits}
    r_cost: 640
    w_cost: 640
    area: 0
    latency: 1
    operands: [I1, I2, O]
    ports:
    - name: rw
      type: read_write
      bandwidth_min: 64
      bandwidth_max: 64
      allocation: ["I1, tl", "I1, fh", "I2, tl", "I2, fh", "O, tl", "O, fh", "O, th", "O, fl"]
    served_dimensions: [D1]
operational_array: {{unit_energy: 0, unit_area: 0, dimensions: [D1], sizes: [0]}}
"""
CHIP = """
name: chip
cores:
  0: tile.yaml
  1: ./cores/tile.yaml
  2: elsewhere/hardware/cores/shared.yaml
  3: dram.yaml
offchip_core_id: 3
unit_energy_cost: 0
core_connectivity:
- {type: link, cores: [0, 2], bandwidth: 64}
- {type: bus, cores: [1, 3], bandwidth: 64}
"""


def folder_of(place: Path) -> Path:
    cores = place / "cores"
    cores.mkdir(exist_ok=True)
    (cores / "tile.yaml").write_text(CORE)
    (cores / "shared.yaml").write_text(HOLDS.format(name="shared", bits="8_000_000"))
    (cores / "dram.yaml").write_text(HOLDS.format(name="dram", bits=10**10))
    (place / "chip.yaml").write_text(CHIP)
    return cores


def capacities(arch: Architecture) -> list[tuple[str, float | None]]:
    return [(memory.name, memory.capacity_words) for memory in arch.memories]


OWN = [("sram", 8192), ("sums", 64)]
DRAM = ("dram", 10**10 // 8)
SHARED = ("shared", 10**6)


def test_a_core_is_an_accelerator(tmp_path: Path) -> None:
    arch = load_arch(folder_of(tmp_path) / "tile.yaml")
    assert capacities(arch) == OWN
    assert [level.mesh for level in arch.fanouts] == [4, 8]
    assert arch.memories[1].write_energy_pj == 2.0


def test_memories_are_put_around_a_core(tmp_path: Path) -> None:
    cores = folder_of(tmp_path)
    names = "+".join(f"{cores}/{name}.yaml" for name in ("tile", "shared", "dram"))
    arch = load_arch(names)
    assert capacities(arch) == [DRAM, SHARED, *OWN]
    assert arch.memories[0].read_energy_pj == 640 * 8 / 64
    assert arch.name == "tile"
    with pytest.raises(ArchitectureError, match="expected a core with multipliers first"):
        load_arch(f"{cores}/dram.yaml+{cores}/tile.yaml")
    with pytest.raises(ArchitectureError, match="no multipliers; join it behind a core, such as"):
        load_arch(cores / "dram.yaml")


def test_a_chip_gives_one_core_with_what_lies_around_it(tmp_path: Path) -> None:
    folder_of(tmp_path)
    chip = str(tmp_path / "chip.yaml")
    first = load_arch(f"{chip}:core=0")
    assert first.name == "chip-tile:core=0"
    assert capacities(first) == [DRAM, SHARED, *OWN]
    assert capacities(load_arch(chip, {"core": 1, "output_bits": 32})) == [
        DRAM, ("sram", 8192), ("sums", 32)
    ]  # fmt: skip


def test_a_chip_with_one_core_needs_no_number(tmp_path: Path) -> None:
    folder_of(tmp_path)
    text = CHIP.replace("  1: ./cores/tile.yaml\n", "").replace("cores: [1, 3]", "cores: [0, 3]")
    (tmp_path / "chip.yaml").write_text(text)
    assert capacities(load_arch(tmp_path / "chip.yaml")) == [DRAM, SHARED, *OWN]


def test_a_memory_that_a_core_has_as_its_own_is_not_there_twice(tmp_path: Path) -> None:
    folder_of(tmp_path)
    (tmp_path / "chip.yaml").write_text(CHIP + "memory_aliases:\n- [2.shared, 0.sram]\n")
    assert capacities(load_arch(f"{tmp_path}/chip.yaml:core=0")) == [DRAM, *OWN]


def test_a_precision_is_the_default_of_bits(tmp_path: Path) -> None:
    cores = folder_of(tmp_path)
    (cores / "tile.yaml").write_text(
        CORE + "operand_precision: {input: bf16, accumulator: fp32}\n"
    )
    assert capacities(load_arch(cores / "tile.yaml")) == [("sram", 4096), ("sums", 32)]
    arch = load_arch(f"{cores}/tile.yaml:weight_bits=8,input_bits=8")
    assert capacities(arch) == [("sram", 8192), ("sums", 32)]


@pytest.mark.parametrize(
    ("old", "new", "settings", "message"),
    [
        (
            "",
            "",
            "",
            r"holds 2 cores that compute; choose one .* such as chip.yaml:core=0, of 0, 1",
        ),
        ("", "", ":core=3", "no core that computes is called '3'; expected one of 0, 1"),
        ("0: tile.yaml", "0: other.yaml", ":core=0", r"cores\[?.*0.*no file 'other.yaml' beside"),
        ("0: tile.yaml", "0: ../tile.yaml", ":core=0", "lies outside of the folder of the chip"),
        ("0: tile.yaml", "0: 7", ":core=0", "expected text, got 7"),
        ("[0, 2]", "[0, 2, 4]", ":core=0", "connected to several memories"),
    ],
)
def test_chips_that_cannot_be_read(
    tmp_path: Path, old: str, new: str, settings: str, message: str
) -> None:
    folder_of(tmp_path)
    text = CHIP.replace("  3: dram", "  4: shared.yaml\n  3: dram").replace(old, new, 1)
    (tmp_path / "chip.yaml").write_text(text)
    with pytest.raises(ArchitectureError, match=message):
        load_arch(f"{tmp_path}/chip.yaml{settings}")


def test_cores_of_ai_engines_are_refused(tmp_path: Path) -> None:
    text = "{name: tile, type: aie2.compute, memory: {capacity: 524288, bandwidth_min: 512}}"
    (tmp_path / "tile.yaml").write_text(text)
    with pytest.raises(ArchitectureError, match="type: cores of AI engines give neither energies"):
        load_arch(tmp_path / "tile.yaml")


INLINE = {
    **parse_yaml(CHIP.encode(), source="chip"),  # type: ignore[dict-item]
    "cores": {
        "0": parse_yaml(CORE.encode(), source="core"),
        "2": parse_yaml(HOLDS.format(name="shared", bits=800).encode(), source="core"),
        "3": parse_yaml(HOLDS.format(name="dram", bits=800).encode(), source="core"),
    },
}


@given(mutated(INLINE))
def test_broken_chips_are_read_or_refused(data: object) -> None:
    if not isinstance(data, dict) or not {"cores", "core_connectivity"} <= data.keys():
        return
    try:
        found = chip_core(Document(data, "chip"), "chip.yaml", {"core": 0})
        joined_cores([found])
    except ArchitectureError as error:
        assert str(error).startswith("chip")
