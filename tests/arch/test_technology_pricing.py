"""Architectures with figures of a technology, and with a user's own."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import toolkit
from toolkit.arch import Architecture, Compute, Fanout, Memory, load_arch_file
from toolkit.arch.components import Component
from toolkit.arch.technology import (
    LevelEstimate,
    Technology,
    area_table,
    area_um2,
    peak_power_mw,
    priced,
    read_accelergy,
)
from toolkit.codesign import hardware_space
from toolkit.errors import ArchitectureError

ARCH = Architecture(
    "grid",
    (
        Memory("DRAM", None, 1, 1, 4, 4),
        Memory("Buffer", 65536, 1, 1, 4, 4, values_per_wordline=8),
        Fanout("PEs", 4, ("M",)),
        Compute("MAC", 1, mesh=2),
    ),
)
COMPONENTS = {
    "DRAM": Component("lpddr4", 8),
    "Buffer": Component("sram", 8),
    "MAC": Component("integer-mac", 8, 32),
}
AT_45 = Technology(45, 2.0)

ERT = """\
ERT:
  version: '0.4'
  tables:
    - name: system.chip.buffer[1..4]
      actions:
        - {name: read, arguments: {}, energy: 16}
        - {name: write, arguments: {}, energy: 24}
        - {name: leak, arguments: {}, energy: 0.5}
    - name: system.chip.MAC
      actions: [{name: compute, energy: 0.75}]
"""
ART = "ART: {version: '0.4', tables: [{name: 'system.chip.Buffer[1..4]', area: 1234.5}]}\n"


def test_levels_follow_from_the_technology() -> None:
    arch = priced(ARCH, COMPONENTS, AT_45)
    dram, buffer = arch.memories
    pes, mac = arch.fanouts[0], arch.compute
    sram, unit = AT_45.sram(65536 * 8, 64), AT_45.mac(8, 32)
    side_mm = math.sqrt(4 * 2 * unit.area_um2) / 1000
    assert dram.read_energy_pj == 64
    assert buffer.area_um2 == sram.area_um2
    # Eight words of eight bits share a port, and each travels to the units.
    travel = AT_45.wires(8, side_mm).energy_pj
    assert buffer.read_energy_pj == pytest.approx(sram.read_energy_pj / 8 + travel)
    assert buffer.leakage_pj_per_cycle == pytest.approx(sram.leakage_uw * 1e-3 / 2)
    assert mac.mac_energy_pj == unit.energy_pj
    assert mac.area_um2 == 2 * unit.area_um2
    assert pes.area_um2 == pytest.approx(4 * AT_45.wires(8, side_mm / 2).area_um2)


def test_an_interface_of_its_own_takes_area_and_power() -> None:
    without, own = (priced(ARCH, COMPONENTS, AT_45, interfaces=own) for own in (False, True))
    interface = AT_45.dram_interface("lpddr4", 8 * 8)
    assert area_um2(own) - area_um2(without) == pytest.approx(interface.area_um2)
    assert own.memories[0].leakage_pj_per_cycle == pytest.approx(interface.leakage_uw * 1e-3 / 2)
    assert own.memories[0].read_energy_pj == without.memories[0].read_energy_pj
    powers = [
        peak_power_mw(arch, COMPONENTS, AT_45, interfaces=arch is own) for arch in (without, own)
    ]
    drawn = interface.energy_pj * 2 + interface.leakage_uw * 1e-3
    assert powers[1] - powers[0] == pytest.approx(drawn)


def test_lanes_of_a_vector_unit_are_multipliers_and_adders(tmp_path: Path) -> None:
    unit = "vector_unit: {lanes: = lanes, operation_energy_pj: 9, memory: Scratchpad"
    text = toolkit.arch.files.arch_definition("gemmini-ws")
    text = text.replace("parameters:\n", "parameters:\n  lanes: 8\n")
    sections = {"own": ", area_um2: 5}\n", "made": ", lane_bits: 16, component: integer-mac}\n"}
    areas, powers = {}, {}
    for name, rest in sections.items():
        (tmp_path / f"{name}.yaml").write_text(text + unit + rest)
        space = hardware_space(tmp_path / f"{name}.yaml", ranges={"lanes": [8, 16]})
        points = [space.build({**space.default, "lanes": lanes}) for lanes in (8, 16)]
        areas[name] = points[1].area_um2 - points[0].area_um2
        powers[name] = points[1].power_mw - points[0].power_mw
    lane = Technology().mac(16, 16)
    assert areas == pytest.approx({"own": 0.0, "made": 8 * lane.area_um2})
    assert powers == pytest.approx({"own": 8 * 9.0, "made": 8 * lane.energy_pj})
    assert points[1].arch.vector_unit is not None
    assert points[1].arch.vector_unit.operation_energy_pj == pytest.approx(lane.energy_pj)
    wrong = text + unit + ", component: integer-mac}\n"
    (tmp_path / "wrong.yaml").write_text(wrong)
    with pytest.raises(ArchitectureError, match="component: expected lane_bits with it"):
        toolkit.load_arch(tmp_path / "wrong.yaml")


def test_area_adds_up_and_evaluations_agree() -> None:
    arch = priced(ARCH, COMPONENTS, AT_45)
    rows = area_table(arch)
    assert [row.instances for row in rows] == [1, 1, 1, 4]
    assert rows[3].area_total_um2 == pytest.approx(8 * AT_45.mac(8, 32).area_um2)
    assert area_um2(arch) == pytest.approx(sum(row.area_total_um2 for row in rows))
    problem = toolkit.make_problem(arch, toolkit.gemm(4, 4, 4))
    mapping = toolkit.search_mappings(
        problem, "random", budget=toolkit.Budget(evaluations=10)
    ).mapping
    evaluated = toolkit.evaluate(mapping, arch, toolkit.gemm(4, 4, 4))
    assert evaluated.area_um2 == pytest.approx(area_um2(arch))


def test_areas_alone() -> None:
    arch = priced(ARCH, COMPONENTS, AT_45, energies=False)
    assert [level.read_energy_pj for level in arch.memories] == [1, 1]
    assert arch.compute.mac_energy_pj == 1
    assert area_um2(arch) == area_um2(priced(ARCH, COMPONENTS, AT_45))


def test_peak_power() -> None:
    # 4 PEs of 2 MACs of 1 pJ, and 8 words of 1 pJ; DRAM is off the chip.
    assert peak_power_mw(ARCH, COMPONENTS, AT_45) == pytest.approx((4 * 2 + 8) * 2)


@pytest.mark.parametrize("name", ["gemmini-ws", "gemmini-ws:side=32", "eyeriss-like"])
def test_packaged_templates_have_areas(name: str) -> None:
    file = load_arch_file(name)
    arch = priced(file.architecture(), file.components(), Technology(65))
    assert 1e5 < area_um2(arch) < 1e8
    assert toolkit.load_arch(name) == file.architecture()


def test_eyeriss_takes_about_its_die() -> None:
    # 3.5 mm x 3.5 mm in 65 nm; the defaults have 2.4 times its global buffer.
    file = load_arch_file("eyeriss-like")
    total = area_um2(priced(file.architecture(), file.components(), Technology(65, 0.2)))
    assert 4e6 < total < 12.25e6


def test_area_needs_a_component() -> None:
    message = r"grid: levels\[1\] \(Buffer\): gives no area; expected area_um2, or a component"
    with pytest.raises(ArchitectureError, match=message):
        area_um2(ARCH)


def test_narrow_operands_cost_what_a_narrow_unit_does() -> None:
    compute = priced(ARCH, {**COMPONENTS, "MAC": Component("integer-mac", 16, 32)}, AT_45).compute
    energies = dict(compute.energies_by_bits)
    assert list(energies) == [1, 2, 4, 8, 16]
    assert energies[8] == AT_45.mac(8, 32).energy_pj < energies[16] == compute.mac_energy_pj
    own = Technology(45, 2.0, estimates={"mac": LevelEstimate(read_energy_pj=3.0)})
    compute = priced(ARCH, COMPONENTS, own).compute
    assert (compute.mac_energy_pj, compute.energies_by_bits) == (3.0, ())


def test_component_must_suit_its_level() -> None:
    components = {"MAC": Component("sram", 8)}
    message = r"levels\[3\] \(MAC\): component sram does not suit.*integer-mac, float-mac"
    with pytest.raises(ArchitectureError, match=message):
        priced(ARCH, components, AT_45)


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "ERT.yaml", tmp_path / "ART.yaml"]
    for path, text in zip(paths, (ERT, ART), strict=True):
        path.write_text(text)
    return paths


def test_accelergy_tables_are_read(tables: list[Path]) -> None:
    assert read_accelergy(tables) == {
        "buffer": LevelEstimate(16, 24, 0.5, 1234.5),
        "mac": LevelEstimate(read_energy_pj=0.75),
    }


def test_accelergy_tables_replace_ours(tables: list[Path]) -> None:
    arch = priced(ARCH, COMPONENTS, Technology(45, estimates=read_accelergy(tables)))
    ours = priced(ARCH, COMPONENTS, Technology(45))
    buffer = arch.memories[1]
    # An access moves the eight words of a row.
    assert (buffer.read_energy_pj, buffer.write_energy_pj) == (2, 3)
    assert (buffer.leakage_pj_per_cycle, buffer.area_um2) == (0.5, 1234.5)
    assert arch.compute.mac_energy_pj == 0.75
    assert arch.compute.area_um2 == ours.compute.area_um2
    assert arch.memories[0] == ours.memories[0]


def test_accelergy_mistakes(tables: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="ERT.yaml: ERT: .*ERT.yaml gives this section"):
        read_accelergy([tables[0], tables[0]])
    (tmp_path / "other.yaml").write_text("tables: []\n")
    with pytest.raises(ArchitectureError, match="holds neither ERT nor ART"):
        read_accelergy([tmp_path / "other.yaml"])
    technology = Technology(45, estimates={"elsewhere": LevelEstimate()})
    with pytest.raises(ArchitectureError, match="estimates are for elsewhere; expected some for"):
        priced(ARCH, COMPONENTS, technology)
