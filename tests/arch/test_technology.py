"""Components against the figures that their sources publish."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch.technology import Technology
from toolkit.arch.technology.published import Curve, monotone_surface, node_factor, published
from toolkit.errors import ArchitectureError

KIB = 8192

# hwcomponents-cacti 1.0.40: node, read pJ, write pJ, mm^2, access ns of 64 KiB, 64-bit port.
CACTI = [
    (45, 25.87, 19.65, 0.209, 1.66),
    (40, 20.87, 16.23, 0.177, 1.55),
    (22, 5.67, 4.43, 0.0586, 0.98),
]

# hwcomponents-library 1.0.58, Aladdin: node, pJ, um^2, uW of an 8-bit multiplier, 32-bit adder.
ALADDIN = [(45, 1.154, 986, 8.5), (40, 1.003, 675, 7.4), (22, 0.339, 247, 2.5)]

NODES = st.floats(3, 90)
BITS = st.floats(KIB / 8, KIB * 65536)
WIDTHS = st.floats(8, 4096)


@pytest.mark.parametrize(("node", "read", "write", "area", "access"), CACTI)
def test_sram_of_cacti(node: float, read: float, write: float, area: float, access: float) -> None:
    sram = Technology(node).sram(64 * KIB, 64)
    assert sram.read_energy_pj == pytest.approx(read, rel=1e-3)
    assert sram.write_energy_pj == pytest.approx(write, rel=1e-3)
    assert sram.area_um2 == pytest.approx(area * 1e6, rel=5e-3)
    assert sram.access_ns == pytest.approx(access, rel=5e-3)


@pytest.mark.parametrize(("node", "energy", "area", "leakage"), ALADDIN)
def test_mac_of_aladdin(node: float, energy: float, area: float, leakage: float) -> None:
    mac = Technology(node).mac(8, 32)
    assert mac.energy_pj == pytest.approx(energy, rel=2e-3)
    assert mac.area_um2 == pytest.approx(area, rel=2e-3)
    assert mac.leakage_uw == pytest.approx(leakage, rel=2e-2)


def test_mac_of_horowitz() -> None:
    at_45 = Technology(45, operators="horowitz")
    assert at_45.mac(8, 8).energy_pj == pytest.approx(0.2 + 0.03)
    assert at_45.mac(8, 32).energy_pj == pytest.approx(0.2 + 0.1)
    assert at_45.mac(32, 32).energy_pj == pytest.approx(3.1 + 0.1)
    assert at_45.mac(16, 16, "float-mac").energy_pj == pytest.approx(1.1 + 0.4)
    assert at_45.mac(32, 32, "float-mac").energy_pj == pytest.approx(3.7 + 0.9)
    assert at_45.mac(32, 32, "float-mac").area_um2 == pytest.approx(7700 + 4184)


@pytest.mark.parametrize(("kib", "horowitz"), [(8, 10), (32, 20), (1024, 100)])
def test_sram_agrees_with_horowitz(kib: float, horowitz: float) -> None:
    # Caches with tags there, bare low-standby-power SRAM here.
    ours = Technology(45).sram(kib * KIB, 64).read_energy_pj
    assert 0.6 * horowitz < ours < 1.1 * horowitz


@pytest.mark.parametrize("kib", [64, 128, 256])
def test_scratchpads_agree_with_dosa(kib: float) -> None:
    per_byte = Technology(40).sram(kib * KIB, 256).read_energy_pj / 32
    assert per_byte == pytest.approx(0.49 + 0.02513 * kib, rel=0.6)


def test_published_sram_grid_at_its_node() -> None:
    sram, at_45 = published().sram, Technology(45)
    for i, kib in enumerate(sram.kib):
        for width, energy in zip(sram.width_bits, sram.write_energy_pj[i], strict=False):
            assert at_45.sram(kib * KIB, width).write_energy_pj == pytest.approx(energy, rel=1e-9)
        column = sram.width_bits.index(64)
        assert at_45.sram(kib * KIB, 64).read_energy_pj == pytest.approx(
            sram.read_energy_pj[i][column]
        )


def test_wider_reads_stay_near_the_published_ones() -> None:
    # Monotone in the width, which CACTI is not: 10.75 pJ with 128 bits, 11.61 pJ with 64.
    sram, at_45 = published().sram, Technology(45)
    for i, kib in enumerate(sram.kib):
        for width, energy in zip(sram.width_bits, sram.read_energy_pj[i], strict=False):
            ours = at_45.sram(kib * KIB, width).read_energy_pj
            assert ours == pytest.approx(energy, rel=0.09)


def test_published_port_factors() -> None:
    at_45 = Technology(45)
    one, two, four = (at_45.sram(64 * KIB, 64, ports) for ports in (1, 2, 4))
    assert two.area_um2 == pytest.approx(2.104 * one.area_um2)
    assert four.read_energy_pj == pytest.approx(2.284 * one.read_energy_pj)
    assert four.bits_per_cycle == pytest.approx(4 * one.bits_per_cycle)


def test_slow_sram_limits_bandwidth() -> None:
    # One access takes 1.651 ns.
    assert Technology(45, 1.0).sram(64 * KIB, 64).bits_per_cycle == pytest.approx(64 / 1.651)
    assert Technology(45, 0.5).sram(64 * KIB, 64).bits_per_cycle == 64


def test_register_files_of_eyeriss_and_aladdin() -> None:
    at_65 = Technology(65)
    assert at_65.register_file(24, 16).read_energy_pj == pytest.approx(0.69, rel=5e-3)
    assert at_65.register_file(384, 16).read_energy_pj == pytest.approx(1.97, rel=5e-3)
    one = Technology(40).register_file(1, 32)
    assert one.read_energy_pj == pytest.approx(32 * 0.009)
    assert one.area_um2 == pytest.approx(32 * 5.98)


@pytest.mark.parametrize(
    ("kind", "pj_per_bit"),
    [("lpddr4", 8), ("lpddr", 40), ("ddr3", 70), ("ddr4", 39), ("hbm2", 6.25), ("hbm3", 4.05)],
)
def test_dram(kind: str, pj_per_bit: float) -> None:
    dram = Technology(22).dram(kind, 64)
    assert dram.read_energy_pj == dram.write_energy_pj == pytest.approx(64 * pj_per_bit)
    assert dram.area_um2 == 0


def test_dram_peaks() -> None:
    # 12.8 GB/s at 1 GHz are 12.8 bytes per cycle.
    assert Technology(clock_ghz=1).dram("lpddr4", 32).bits_per_cycle == pytest.approx(102.4)
    assert Technology(clock_ghz=2).dram("hbm2", 64).bits_per_cycle == pytest.approx(1024)


def test_the_interface_of_designware_and_zkspeed() -> None:
    # 16 bits at 2133 MT/s are 4.266 GB/s; the PHY takes 1.3 mm^2 at 40 nm.
    ddr3 = Technology(40).dram_interface("ddr3", 16)
    pins = 16 / (10.66 * 8 / 64)
    assert ddr3.area_um2 == pytest.approx(1.3e6 / 16 * pins)
    # Two stacks of HBM3.
    stacks = Technology(7).dram_interface("hbm3", 2 * 819.2 * 8)
    assert stacks.area_um2 == pytest.approx(59.2e6, rel=1e-3)
    assert Technology(90).dram_interface("lpddr4", 8).energy_pj == pytest.approx(80)


@pytest.mark.parametrize("kind", ["lpddr4", "ddr4", "hbm2"])
def test_pads_do_not_shrink_and_bandwidth_is_paid_by_the_second(kind: str) -> None:
    at_45, at_7 = (Technology(node).dram_interface(kind, 64) for node in (45, 7))
    assert 0.7 * at_45.area_um2 < at_7.area_um2 <= at_45.area_um2
    twice = Technology(45, 2.0).dram_interface(kind, 64)
    assert twice.area_um2 == pytest.approx(2 * at_45.area_um2)
    assert Technology(45).dram_interface(kind, 128).area_um2 == pytest.approx(twice.area_um2)


def test_wires_of_cacti() -> None:
    # Half of the wires switch.
    wires = Technology(45).wires(2, 3)
    assert wires.energy_pj == pytest.approx(0.5 * 2 * 3 * 0.3757)
    assert wires.area_um2 == pytest.approx(2 * 3 * 90)


@pytest.mark.parametrize("section", ["nodes", "sram", "dram", "operators"])
def test_every_block_names_its_source(section: str) -> None:
    data = published().model_dump()[section]
    blocks = [data] if section == "sram" else list(data.values())
    assert blocks
    assert all(len(block["source"]) > 10 for block in blocks)


@given(bits=BITS, width=WIDTHS, ports=st.integers(1, 4), node=NODES, more=st.floats(1, 10))
def test_sram_grows_with_size_width_ports_and_node(
    bits: float, width: float, ports: int, node: float, more: float
) -> None:
    base = Technology(node).sram(bits, width, ports)
    others = [
        Technology(node).sram(bits * more, width, ports),
        Technology(node).sram(bits, width * more, ports),
        Technology(min(node * more, 90)).sram(bits, width, ports),
        Technology(node).sram(bits, width, min(ports + 1, 4)),
    ]
    for other in others:
        for figure in ("read_energy_pj", "write_energy_pj", "area_um2", "leakage_uw"):
            assert getattr(other, figure) >= getattr(base, figure) * (1 - 1e-9) > 0


@given(words=st.integers(1, 4096), bits=st.integers(1, 64), node=NODES)
def test_registers_grow(words: int, bits: int, node: float) -> None:
    base = Technology(node).register_file(words, bits)
    for other in (
        Technology(node).register_file(words + 1, bits),
        Technology(node).register_file(words, bits + 1),
    ):
        assert other.read_energy_pj > base.read_energy_pj > 0
        assert other.area_um2 > base.area_um2 > 0


@given(
    operands=st.integers(1, 64),
    accumulator=st.integers(1, 64),
    node=NODES,
    library=st.sampled_from(["aladdin", "horowitz"]),
)
def test_macs_grow(operands: int, accumulator: int, node: float, library: str) -> None:
    technology = Technology(node, operators=library)
    base = technology.mac(operands, accumulator)
    wider = technology.mac(operands + 1, accumulator)
    deeper = technology.mac(operands, accumulator + 1)
    for other in (wider, deeper):
        assert other.energy_pj > base.energy_pj > 0
        assert other.area_um2 > base.area_um2 > 0


def test_below_the_smallest_node() -> None:
    factor = node_factor([45, 22], [10, 5], to_nm=11, from_nm=22, power=1)
    assert factor == pytest.approx(0.5)
    assert node_factor([45, 22], [10, 5], 33.5, 45, 1) == pytest.approx(0.75)


def test_curve_is_a_power_law() -> None:
    curve = Curve(np.array([1.0, 4.0]), np.array([2.0, 4.0]))
    assert curve(2) == pytest.approx(2 * 2**0.5)
    assert curve(16) == pytest.approx(8)
    assert curve(0.25) == pytest.approx(1)


def test_surface_keeps_its_anchor_and_grows() -> None:
    surface = monotone_surface([1, 4], [32, 64, 128], [[9, 5], [8, 7, 4]], 64, linear=True)
    assert surface.values.tolist() == [[5, 5, 5], [7, 7, 7]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"node_nm": 1}, "technology: node_nm: expected a number from 3 to 90, got 1"),
        ({"clock_ghz": 0}, "technology: clock_ghz: expected a number from 1e-06 to 1000, got 0"),
        ({"operators": "aladin"}, "did you mean 'aladdin'"),
    ],
)
def test_technology_refuses(options: dict[str, float], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Technology(**options)  # type: ignore[arg-type]


def test_unpublished_components_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="no float-mac among the operators of aladdin"):
        Technology().mac(16, 32, "float-mac")
    with pytest.raises(ArchitectureError, match="unknown DRAM 'ddr5'.*expected one of lpddr4"):
        Technology().dram("ddr5", 64)
    with pytest.raises(ArchitectureError, match="ports: expected a number from 1 to 4, got 8"):
        Technology().sram(KIB, 64, 8)
