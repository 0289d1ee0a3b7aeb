from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.arch import (
    Architecture,
    Compute,
    FactorConstraint,
    Fanout,
    Memory,
    MemoryPort,
    Wires,
    load_arch,
    load_arch_file,
)
from toolkit.arch.levels import Layout
from toolkit.errors import ArchitectureError
from toolkit.workload import workload_names

DRAM = "{memory: D, capacity_words: unlimited, access_energy_pj: 64, bandwidth_words_per_cycle: 8}"
MAC = "{compute: MAC, mac_energy_pj: 0.2}"


def load(folder: Path, text: str) -> Architecture:
    path = folder / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return load_arch(path)


def levels(*entries: str) -> str:
    return "name: tiny\nlevels:\n" + "".join(f"  - {entry}\n" for entry in entries)


def memory(**changes: str) -> str:
    fields = {
        "memory": "B",
        "capacity_words": "64",
        "access_energy_pj": "1",
        "bandwidth_words_per_cycle": "2",
        **changes,
    }
    return "{" + ", ".join(f"{k}: {v}" for k, v in fields.items() if v) + "}"


def fanout(**changes: str) -> str:
    fields = {"fanout": "F", "mesh": "4", "dimensions": "[M, K]", **changes}
    return "{" + ", ".join(f"{k}: {v}" for k, v in fields.items() if v) + "}"


def test_every_field_reaches_its_level(tmp_path: Path) -> None:
    arch = load(
        tmp_path,
        """
name: full
description: one of each
kernel: gemm
levels:
  - memory: DRAM
    capacity_words: unlimited
    read_energy_pj: 3
    write_energy_pj: 5
    read_bandwidth_words_per_cycle: 7
    write_bandwidth_words_per_cycle: 11
  - fanout: Rows
    mesh: 13
    dimensions: [M, K]
    constraints: [M == 13]
    multicast: false
    reduction: true
    selective_reduction: true
    pe_to_pe: true
    power_gating: true
    area_um2: 17
  - memory: Buffer
    capacity_words: 19
    wordline_energy_pj: 46
    values_per_wordline: 2
    bandwidth_words_per_cycle: 29
    leakage_pj_per_cycle: 0.5
    bypasses: [weight, bias]
    multiple_buffering: 2
    multiple_reuses: false
    constraints: [K <= 4, "N >= 2"]
    loop_order: [M, _, N]
    ports: shared
    may_bypass: [input, total]
    area_um2: 31
  - compute: MAC
    mac_energy_pj: 0.25
    cycles: 2
    mesh: 3
    dimensions: [N]
    leakage_pj_per_cycle: 0.125
    constraints: [N == 3]
    area_um2: 37
""",
    )
    assert arch == Architecture(
        "full",
        (
            Memory("DRAM", None, 3.0, 5.0, 7.0, 11.0),
            Fanout(
                "Rows", 13, ("M", "K"), multicast=False, selective_reduction=True, pe_to_pe=True,
                power_gating=True, constraints=(FactorConstraint("M", "==", 13),), area_um2=17.0,
            ),
            Memory(
                "Buffer", 19, 23.0, 23.0, 14.5, 14.5, leakage_pj_per_cycle=0.5,
                bypasses=("weight", "bias"), multiple_buffering=2.0, multiple_reuses=False,
                constraints=(FactorConstraint("K", "<=", 4), FactorConstraint("N", ">=", 2)),
                loop_order=("M", "_", "N"), area_um2=31.0, values_per_wordline=2,
                shared_port=True, may_bypass=("input", "total"),
            ),
            Compute(
                "MAC", 0.25, 2, 3, ("N",), 0.125, (FactorConstraint("N", "==", 3),), 37.0
            ),
        ),
    )  # fmt: skip


def test_wordline_energies_are_shared_by_their_values(tmp_path: Path) -> None:
    entry = memory(
        access_energy_pj="",
        wordline_read_energy_pj="6",
        wordline_write_energy_pj="9",
        values_per_wordline="4",
    )
    buffer = load(tmp_path, levels(DRAM, entry, MAC)).memories[1]
    assert (buffer.read_energy_pj, buffer.write_energy_pj) == (1.5, 2.25)


def test_energies_of_words_are_not_shared_by_their_wordline(tmp_path: Path) -> None:
    both = memory(values_per_wordline="4")
    each = memory(
        access_energy_pj="", read_energy_pj="1.5", write_energy_pj="2", values_per_wordline="4"
    )
    found = [load(tmp_path, levels(DRAM, entry, MAC)).memories[1] for entry in (both, each)]
    assert [(m.read_energy_pj, m.write_energy_pj) for m in found] == [(1.0, 1.0), (1.5, 2.0)]
    assert [m.values_per_wordline for m in found] == [4, 4]


def test_named_ports(tmp_path: Path) -> None:
    text = "read: {serves: [reads], bandwidth_words_per_cycle: 3}, any: " + ANY
    both = ports(text, component="sram", word_bits="8", sram_ports="2")
    file = tmp_path / "a.yaml"
    arch = load(tmp_path, levels(DRAM, both, MAC))
    buffer = arch.memories[1]
    assert buffer.ports == (
        MemoryPort("read", ("reads",), 3.0),
        MemoryPort("any", ("reads", "updates", "fills", "drains"), 2.0),
    )
    assert (buffer.read_bandwidth, buffer.write_bandwidth, buffer.bandwidth) == (0, 0, 5)
    assert load_arch_file(file).components()["B"].ports == 2


def test_named_ports_in_bits_and_per_second(tmp_path: Path) -> None:
    text = (
        "read: {serves: [reads], bandwidth_bits_per_cycle: 96}, "
        "drain: {serves: [drains], bandwidth_gb_per_s: 1.6}, "
        "any: {serves: [updates, fills], bandwidth_bytes_per_cycle: 4}"
    )
    arch = load(tmp_path, "clock_mhz: 200\n" + levels(DRAM, ports(text, word_bits="16"), MAC))
    assert [port.bandwidth for port in arch.memories[1].ports] == [6, 4, 2]


@pytest.mark.parametrize(
    ("keys", "wires"),
    [
        ({"unicast_energy_pj": "3"}, Wires(3.0, 3.0, 3.0)),
        ({"unicast_energy_pj": "3", "reduction_energy_pj": "1"}, Wires(3.0, 3.0, 1.0)),
        (
            {"wire_energy_pj_per_bit_mm": "0.125", "hop_mm": "0.5", "word_bits": "16"},
            Wires(2.5, 1.0, 1.0, word_bits=16),
        ),
        (
            {"wire_energy_pj_per_bit_hop": "0.25", "word_bits": "8"},
            Wires(5.0, 2.0, 2.0, word_bits=8),
        ),
        (
            {"unicast_energy_pj": "3", "bandwidth_bytes_per_cycle": "6", "word_bits": "12"},
            Wires(3.0, 3.0, 3.0, 2.0, 2.0, word_bits=12),
        ),
        (
            {"wire_energy_pj_per_bit_hop": "0.25", "word_bits": "8", "multicast": "false"},
            Wires(5.0, 5.0, 2.0, word_bits=8),
        ),
        ({"bandwidth_words_per_cycle": "6"}, Wires(read_bandwidth=3.0, write_bandwidth=3.0)),
        ({"read_bandwidth_words_per_cycle": "6"}, Wires(read_bandwidth=6.0)),
    ],
)
def test_wires_of_a_fanout_of_four(keys: dict[str, str], wires: Wires, tmp_path: Path) -> None:
    assert load(tmp_path, levels(DRAM, fanout(**keys), MAC)).fanouts[0].wires == wires


def ports(text: str, bypasses: str = "[]", **keys: str) -> str:
    return memory(bandwidth_words_per_cycle="", ports=f"{{{text}}}", bypasses=bypasses, **keys)


ANY = "{serves: [reads, updates, fills, drains], bandwidth_words_per_cycle: 2}"
OUT = "[output]"


def test_bits_bytes_and_seconds_become_words(tmp_path: Path) -> None:
    outer = memory(
        memory="D",
        capacity_words="unlimited",
        bandwidth_words_per_cycle="",
        bandwidth_gb_per_s="1.6",
        word_bits="16",
    )
    both = memory(
        capacity_words="",
        capacity_bytes="110593",
        bandwidth_words_per_cycle="",
        read_bandwidth_bits_per_cycle="64",
        write_bandwidth_bits_per_cycle="24",
        word_bits="16",
        packed="false",
    )
    inner = memory(
        memory="C",
        capacity_words="",
        capacity_bits="100",
        bandwidth_words_per_cycle="",
        bandwidth_bytes_per_cycle="3",
        word_bits="12",
    )
    arch = load(tmp_path, "clock_mhz: 200\n" + levels(outer, both, inner, MAC))
    dram, first, second = arch.memories
    assert arch.clock_mhz == 200
    assert (dram.read_bandwidth, dram.write_bandwidth) == (2.0, 2.0)
    assert (first.capacity_words, first.read_bandwidth, first.write_bandwidth) == (55296, 4, 1.5)
    assert (first.word_bits, first.packed) == (16, False)
    assert (second.capacity_words, second.read_bandwidth, second.packed) == (8, 1, True)


@pytest.mark.parametrize(
    ("entry", "pj", "bits"),
    [
        ("mac_energy_pj: {16: 0.7, 8: 0.2}", 0.7, None),
        ("mac_energy_pj: {16: 0.7, 8: 0.2}, word_bits: 8", 0.2, 8),
    ],
)
def test_energies_by_bits(entry: str, pj: float, bits: int | None, tmp_path: Path) -> None:
    compute = load(tmp_path, levels(DRAM, f"{{compute: MAC, {entry}}}")).compute
    assert (compute.mac_energy_pj, compute.word_bits) == (pj, bits)
    assert compute.energies_by_bits == ((8, 0.2), (16, 0.7))


BAD_LEVELS = [
    (
        memory(overlap="double"),
        r"levels\[1\]\.overlap: expected one of always, double-buffered, never, got 'double'",
    ),
    (memory(word_bits="0"), r"levels\[1\]\.word_bits: expected at least 1, got 0"),
    (memory(burst_words="0"), r"levels\[1\]\.burst_words: expected at least 1, got 0"),
    (memory(burst_words="1.5"), r"levels\[1\]\.burst_words: expected an integer, got 1.5"),
    (memory(burst_bytes="64"), r"levels\[1\]: burst_bytes: expected word_bits with it"),
    (
        memory(burst_words="4", burst_bytes="64", word_bits="8"),
        "expected one of burst_words, burst_bits, burst_bytes; got burst_words, burst_bytes",
    ),
    (
        memory(burst_bits="20", word_bits="8"),
        "burst_bits: expected whole words of 8 bits, got 20 bits",
    ),
    (memory(burst_bytes="1", word_bits="16"), "burst_bytes: expected whole words of 16 bits"),
    (memory(burst_words="8"), r"levels\[1\]\.burst_words: only the outermost memory has a lay"),
    (memory(layout="[M]"), "layout: expected burst_words, burst_bits or burst_bytes with it"),
    (memory(burst_words="8", layout="[M, K, M]"), r"layout: names M twice; expected each once"),
    (memory(burst_words="8", layout="{weigth: [M]}"), r"layout\.weigth: unknown key"),
    (memory(whole_wordlines="true"), "whole_wordlines: expected values_per_wordline with it"),
    (memory(packed="1", word_bits="8"), r"levels\[1\]\.packed: expected true or false, got 1"),
    (memory(packed="false"), r"levels\[1\]: packed: expected word_bits with it"),
    (
        memory(capacity_words="", capacity_bytes="64"),
        r"levels\[1\]: capacity_bytes: expected word_bits with it",
    ),
    (
        memory(capacity_words="", capacity_bits="7", word_bits="8"),
        r"levels\[1\]: capacity_bits: expected room for a word of 8 bits, got 7",
    ),
    (
        memory(capacity_bytes="64", word_bits="8"),
        r"expected one of capacity_words, capacity_bits, .* got capacity_words, capacity_bytes",
    ),
    (
        memory(bandwidth_words_per_cycle="", bandwidth_bits_per_cycle="8"),
        r"levels\[1\]: bandwidth_bits_per_cycle: expected word_bits with it",
    ),
    (
        memory(bandwidth_words_per_cycle="", bandwidth_gb_per_s="8", word_bits="8"),
        r"levels\[1\]\.bandwidth_gb_per_s: expected clock_mhz of the architecture with it",
    ),
    (
        memory(bandwidth_bytes_per_cycle="8", word_bits="8"),
        "got bandwidth_words_per_cycle, bandwidth_bytes_per_cycle",
    ),
    (
        "{compute: C, mac_energy_pj: {8.5: 1}}",
        r"levels\[1\]\.mac_energy_pj: expected bits of an operand, 1 to 4096, as keys, got '8.5'",
    ),
    ("{compute: C, mac_energy_pj: {8: -1}}", r"mac_energy_pj\[8\]: expected at least 0, got -1"),
    ("{compute: C, mac_energy_pj: {}}", "mac_energy_pj: expected at least 1 entries"),
    (
        "{compute: C, mac_energy_pj: {8: 1}, word_bits: 16}",
        "mac_energy_pj: no entry for word_bits 16; got 8",
    ),
    ("{compute: C, mac_energy_pj: 1, word_bits: 8}", "word_bits: expected component with it"),
    (memory(mesh="4"), r"levels\[1\]\.mesh: unknown key; known keys: .*capacity_words"),
    (memory(bypases="[input]"), r"levels\[1\]\.bypases: unknown key \(did you mean 'bypasses'"),
    (memory(memory="''"), r"levels\[1\]\.memory: expected 1 to 500"),
    (memory(memory="5"), r"levels\[1\]\.memory: expected text, got 5"),
    (memory(memory="D"), r"a\.yaml: levels: level names repeat: D"),
    (memory(capacity_words=""), r"levels\[1\]\.capacity_words: this key is required"),
    (memory(capacity_words="0"), r"capacity_words: expected a positive .* unlimited, got 0"),
    (memory(capacity_words="-5"), "got -5"),
    (memory(capacity_words="1.5"), "got 1.5"),
    (memory(capacity_words="true"), "got true"),
    (memory(capacity_words=".inf"), "got inf"),
    (memory(capacity_words="infinite"), "got 'infinite'"),
    (memory(capacity_words="18446744073709551615"), "below 2\\^63"),
    (memory(capacity_words="[1]"), "got a list"),
    (memory(capacity_words="null"), r"levels\[1\]\.capacity_words: has no value"),
    (memory(access_energy_pj="-1"), r"access_energy_pj: expected at least 0.*, got -1"),
    (memory(access_energy_pj=".nan"), "access_energy_pj: expected a finite number, got nan"),
    (memory(access_energy_pj="1e999"), "access_energy_pj: expected a finite number, got inf"),
    (memory(access_energy_pj="'1'"), "access_energy_pj: expected a number, got '1'"),
    (memory(access_energy_pj="yes"), "access_energy_pj: expected a number, got 'yes'"),
    (memory(access_energy_pj="true"), "access_energy_pj: expected a number, got true"),
    (memory(access_energy_pj=""), r"levels\[1\]: expected energy as access_energy_pj; .*got none"),
    (memory(read_energy_pj="1"), "got access_energy_pj, read_energy_pj"),
    (memory(access_energy_pj="", read_energy_pj="1"), "got read_energy_pj"),
    (memory(access_energy_pj="", wordline_energy_pj="1"), "got wordline_energy_pj"),
    (memory(access_energy_pj="", values_per_wordline="4"), "got values_per_wordline"),
    (memory(values_per_wordline="0"), "values_per_wordline: expected at least 1"),
    (memory(bandwidth_words_per_cycle="0"), "expected at least 1e-09, got 0"),
    (memory(bandwidth_words_per_cycle="5e-324"), "expected at least 1e-09"),
    (memory(bandwidth_words_per_cycle=""), "expected bandwidth as bandwidth_words_per_cycle;"),
    (memory(read_bandwidth_words_per_cycle="1"), "got bandwidth_words_per_cycle, read_bandw"),
    (memory(leakage_pj_per_cycle="-0.1"), "leakage_pj_per_cycle: expected at least 0"),
    (memory(area_um2="-1"), "area_um2: expected at least 0"),
    (memory(multiple_buffering="0.5"), "multiple_buffering: expected at least 1"),
    (memory(ports="both"), "ports: 'both' is not shared .one port"),
    (memory(ports="5"), "ports: 5 is not shared .one port"),
    (
        memory(ports="{p: {serves: [reads], bandwidth_words_per_cycle: 1}}"),
        r"levels\[1\]: bandwidth_words_per_cycle: expected none beside ports",
    ),
    (ports(""), r"levels\[1\]\.ports: expected at least 1 entries, got"),
    (ports("p: 3"), r"levels\[1\]\.ports\.p: expected a mapping, got 3"),
    (ports("p: {serves: [reads]}"), r"ports\.p\.bandwidth_words_per_cycle: this key is required"),
    (
        ports("p: {serves: [reads], bandwidth_words_per_cycle: 0}"),
        r"ports\.p\.bandwidth_words_per_cycle: expected at least 1e-09, got 0",
    ),
    (
        ports("p: {serves: [], bandwidth_words_per_cycle: 1}"),
        r"levels\[1\]\.ports\.p\.serves: expected at least 1 entries",
    ),
    (
        ports("p: {serves: [reads, reads], bandwidth_words_per_cycle: 1}"),
        r"ports\.p\.serves: names reads twice",
    ),
    (
        ports("p: {serves: [reads, fill], bandwidth_words_per_cycle: 1}"),
        r"ports\.p\.serves\[1\]: expected some of reads, .*got 'fill' .did you mean 'fills'",
    ),
    (
        ports("p: {serves: [reads, updates], bandwidth_words_per_cycle: 1}"),
        r"levels\[1\]\.ports: no port serves drains, fills; expected a port for each of reads",
    ),
    (
        ports(f"p: {ANY}, q: {{serves: [updates, drains], bandwidth_words_per_cycle: 1}}", OUT),
        r"levels\[1\]\.ports\.q\.serves: updates and drains: never passes this memory",
    ),
    (
        ports("p: {serves: [reads], bandwidth_bits_per_cycle: 8, bandwidth_words_per_cycle: 1}"),
        r"levels\[1\]\.ports\.p: expected bandwidth as .*; got bandwidth_words_per_cycle, bandw",
    ),
    (
        ports("p: {serves: [reads], bandwidth_bits_per_cycle: 8}"),
        r"levels\[1\]: ports\.p\.bandwidth_bits_per_cycle: expected word_bits with it",
    ),
    (
        ports(
            "p: {serves: [reads, updates, fills, drains], bandwidth_gb_per_s: 8}", word_bits="8"
        ),
        r"levels\[1\]\.ports\.p\.bandwidth_gb_per_s: expected clock_mhz of the architecture",
    ),
    (ports(f"p: {ANY}", sram_ports="2"), r"levels\[1\]: sram_ports: expected component with it"),
    (
        memory(component="sram", word_bits="8", ports="2", sram_ports="2"),
        r"levels\[1\]: ports: the number of SRAM ports stands in sram_ports already",
    ),
    (memory(multiple_reuses="1"), "multiple_reuses: expected true or false, got 1"),
    (memory(bypasses="input"), r"levels\[1\]\.bypasses: expected a list, got 'input'"),
    (memory(bypasses="[input, 1]"), r"levels\[1\]\.bypasses\[1\]: expected text, got 1"),
    (memory(bypasses="[input, input]"), "bypasses: names input twice"),
    (memory(may_bypass="input"), r"levels\[1\]\.may_bypass: expected a list, got 'input'"),
    (memory(may_bypass="[input, input]"), "may_bypass: names input twice"),
    (
        memory(bypasses="[weight]", may_bypass="[input, weight]"),
        r"levels\[1\]: may_bypass: weight is in bypasses already",
    ),
    (memory(loop_order="[M, K, M]"), "loop_order: names M twice"),
    (memory(loop_order="[_, _]"), "loop_order: names no dimension"),
    (memory(loop_order="['*']"), r"loop_order\[0\]: expected a name of letters"),
    (memory(constraints="[M == 2, M == 3]"), r"levels\[1\]: constraints: M == 2 and M == 3"),
    (memory(constraints="[M >= 3, M <= 2]"), "M >= 3 and M <= 2 contradict"),
    (memory(constraints="[M = 2]"), r"constraints\[0\]: expected a dimension.*got 'M = 2'"),
    (
        memory(constraints="[{M: 2}]"),
        r"constraints\[0\]: expected text such as M == 16, got a map",
    ),
    (memory(constraints="{M: 2}"), r"constraints: expected a list, got a mapping"),
    (fanout(mesh=""), r"levels\[1\]\.mesh: this key is required"),
    (fanout(mesh="0"), r"levels\[1\]\.mesh: expected at least 1, got 0"),
    (fanout(mesh="4.0"), "mesh: expected an integer, got 4.0"),
    (fanout(mesh="true"), "mesh: expected an integer, got true"),
    (fanout(mesh="99999999999999999999"), "mesh: expected at most 2147483648"),
    (fanout(dimensions="[]"), "dimensions: expected at least 1 entries"),
    (fanout(dimensions="[M, M]"), "dimensions: names M twice"),
    (fanout(dimensions="M"), "dimensions: expected a list, got 'M'"),
    (fanout(dimensions="['_']"), r"dimensions\[0\]: expected a name of letters"),
    (fanout(constraints="[N == 2]"), "N == 2 cannot hold: N is not among the dimensions here"),
    (fanout(unicast_energy_pj="-1"), r"levels\[1\]\.unicast_energy_pj: expected at least 0"),
    (fanout(multicast_energy_pj="1"), "expected energy of wires as unicast_energy_pj; or"),
    (fanout(hop_mm="1"), "wire_energy_pj_per_bit_mm with hop_mm; .* got hop_mm"),
    (
        fanout(unicast_energy_pj="1", multicast_energy_pj="1", multicast="false"),
        "multicast_energy_pj: needs multicast: true",
    ),
    (
        fanout(unicast_energy_pj="1", reduction_energy_pj="1", reduction="false"),
        "reduction_energy_pj: needs reduction: true",
    ),
    (fanout(bandwidth_words_per_cycle="0"), "bandwidth_words_per_cycle: expected at least 1e-09"),
    (
        fanout(bandwidth_words_per_cycle="2", read_bandwidth_words_per_cycle="2"),
        "got bandwidth_words_per_cycle, read_bandwidth_words_per_cycle",
    ),
    (
        fanout(wire_energy_pj_per_bit_hop="1"),
        "wire_energy_pj_per_bit_hop: expected word_bits with it",
    ),
    (
        fanout(read_bandwidth_bits_per_cycle="8"),
        "read_bandwidth_bits_per_cycle: expected word_bits with it",
    ),
    (fanout(word_bits="8"), "word_bits: expected an energy or a bandwidth of wires with it"),
    (
        fanout(bandwidth_gb_per_s="8", word_bits="8"),
        r"levels\[1\]\.bandwidth_gb_per_s: expected clock_mhz of the architecture with it",
    ),
    (fanout(word_bits="0"), "word_bits: expected at least 1, got 0"),
    (fanout(selective_multicast="true", multicast="false"), "needs multicast: true"),
    (fanout(selective_reduction="true", reduction="false"), "needs reduction: true"),
    ("{compute: C, mac_energy_pj: 1}", "exactly one compute level must come last"),
    ("{memory: A, fanout: B}", r"levels\[1\]: expected a mapping with one of memory, fanout"),
    ("{}", r"levels\[1\]: expected a mapping with one of memory, fanout, compute"),
    ("DRAM", r"levels\[1\]: expected a mapping with one of memory, fanout, compute"),
    ("[memory]", r"levels\[1\]: expected a mapping with one of memory, fanout, compute"),
    ("", r"levels\[1\]: expected a mapping with one of memory, fanout, compute"),
]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"burst_words": "4"}, 4),
        ({"burst_bits": "96", "word_bits": "12"}, 8),
        ({"burst_bytes": "64", "word_bits": "16"}, 32),
        ({}, 1),
    ],
)
def test_bursts_in_words(keys: dict[str, str], words: int, tmp_path: Path) -> None:
    arch = load(tmp_path, levels(memory(**keys), MAC))
    assert arch.memories[0].burst_words == words


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("[M, N, K]", Layout(*3 * [("M", "N", "K")])),
        ("{weight: [K, M], output: [N, M]}", Layout((), ("K", "M"), ("N", "M"))),
    ],
)
def test_layouts_of_all_tensors_or_by_role(text: str, layout: Layout, tmp_path: Path) -> None:
    arch = load(tmp_path, levels(memory(burst_words="4", layout=text), MAC))
    assert arch.memories[0].layout == layout


def test_wordlines_of_one_memory(tmp_path: Path) -> None:
    entry = memory(whole_wordlines="true", values_per_wordline="4")
    lines = load(tmp_path, levels(DRAM, entry, MAC)).memories[1]
    assert (lines.whole_wordlines, lines.values_per_wordline) == (True, 4)


@pytest.mark.parametrize(("entry", "message"), BAD_LEVELS)
def test_bad_levels(entry: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=message) as caught:
        load(tmp_path, levels(DRAM, entry, MAC))
    assert str(caught.value).startswith(str(tmp_path / "a.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping, got nothing"),
        ("- memory: D", "expected a mapping, got a list"),
        ("name: x", "levels: this key is required"),
        ("levels: []", "name: this key is required"),
        ("name: x\nlevels: []", "levels: expected at least 2 entries"),
        ("name: x\nlevels: {a: 1}", "levels: expected a list, got a mapping"),
        ("name: [x]\nlevels: []", "name: expected text, got a list"),
        ("kernel: ''\n" + levels(DRAM, MAC), "kernel: expected 1 to 500"),
        ("kernel: gem\n" + levels(DRAM, MAC), "unknown kernel .gem. .did you mean .gemm."),
        (
            "kernel: gemm\n" + levels(DRAM, "{fanout: F, mesh: 4, dimensions: [m]}", MAC),
            "levels.1. .F.: unknown dimension .m. .did you mean .M.",
        ),
        (
            "kernel: gemm\n" + levels(memory(burst_words="8", layout="{weight: [M, C]}"), MAC),
            "levels.0. .B.: unknown dimension 'C'; gemm has M, K, N",
        ),
        ("levels: x\n" + levels(DRAM, MAC), "levels: line 3: this key appears twice"),
        (levels(MAC, DRAM), r"levels\[0\]: the outermost level must be a memory"),
        (levels(fanout(), MAC), r"levels\[0\]: the outermost level must be a memory"),
        (
            levels(ports(f"p: {ANY}, q: {{serves: [fills], bandwidth_words_per_cycle: 1}}"), MAC),
            r"levels\[0\]\.ports\.q\.serves: fills: never passes this memory .nothing lies outs",
        ),
        (
            levels(memory(may_bypass="[weight]"), MAC),
            r"levels\[0\]\.may_bypass: B is the outermost memory, so nothing could supply weight",
        ),
        (levels(DRAM, memory()), "levels: exactly one compute level must come last"),
        (levels(DRAM, *[fanout(fanout=f"F{i}") for i in range(70)], MAC), "at most 64 entries"),
        (
            levels(memory(bypasses="[weight]"), MAC),
            "levels: every memory bypasses weight; expected one to hold it",
        ),
        (levels("{compute: MAC, mac_energy_pj: 1, cycles: 0}", DRAM), "cycles: expected at least"),
        (
            "leakage: {instances: some}\n" + levels(DRAM, MAC),
            "leakage.instances: expected 'used' or 'all', got .some.",
        ),
        ("leakage: {mac: no}\n" + levels(DRAM, MAC), "leakage.mac: unknown key"),
        (
            "leakage: {instances: all}\n" + levels(DRAM, fanout(power_gating="true"), MAC),
            "leakage.instances: 'all' although F has power_gating: true; expected one of them",
        ),
        (levels(DRAM, "{compute: MAC}"), r"levels\[1\]\.mac_energy_pj: this key is required"),
    ],
)
def test_bad_files(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=message) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "a.yaml"))
    assert "\n" not in str(caught.value)


def test_a_workload_name_is_no_architecture() -> None:
    with pytest.raises(ArchitectureError, match="unknown architecture"):
        load_arch(workload_names()[0])
