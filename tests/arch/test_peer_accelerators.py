"""ZigZag's accelerators."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated

import toolkit
from toolkit.arch import Fanout, Memory, arch_definition, arch_to_yaml, load_arch, load_template
from toolkit.arch.peers import own_form
from toolkit.arch.schema import ArchitectureFile
from toolkit.errors import ArchitectureError
from toolkit.records import validate
from toolkit.yaml_files import parse_yaml

# archs/gemmini.yaml, for ZigZag: words of 8 bits, sums too.
GEMMINI = """
name: twin
memories:
  Register:
    size: 8
    r_cost: 0.01
    w_cost: 0.01
    area: 0
    latency: 1
    operands: [I2]
    ports:
    - {name: r, type: read, bandwidth_min: 8, bandwidth_max: 8, allocation: ["I2, tl"]}
    - {name: w, type: write, bandwidth_min: 8, bandwidth_max: 8, allocation: ["I2, fh"]}
    served_dimensions: []
  Accumulator:
    size: 32768
    r_cost: 16.04
    w_cost: 16.04
    area: 0
    latency: 1
    operands: [O]
    ports:
    - {name: r, type: read, bandwidth_min: 8, bandwidth_max: 32, allocation: ["O, tl", "O, th"]}
    - {name: w, type: write, bandwidth_min: 8, bandwidth_max: 32, allocation: ["O, fh", "O, fl"]}
    served_dimensions: [D2]
  Scratchpad:
    size: 4194304
    r_cost: 55.52
    w_cost: 55.52
    area: 0
    latency: 1
    operands: [I1, I2]
    ports:
    - name: rw
      type: read_write
      bandwidth_min: 8
      bandwidth_max: 256
      allocation: ["I1, tl", "I2, tl", "I1, fh", "I2, fh"]
    served_dimensions: [D1, D2]
    # The cost above is of 16 words.
    r_cost: 111.04
    w_cost: 111.04
  DRAM:
    size: 100000000000
    r_cost: 256.0
    w_cost: 256.0
    area: 0
    latency: 1
    operands: [I1, I2, O]
    ports:
    - name: r
      type: read
      bandwidth_min: 8
      bandwidth_max: 32
      allocation: ["I1, tl", "I2, tl", "O, tl"]
    - {name: w, type: write, bandwidth_min: 8, bandwidth_max: 32, allocation: ["O, fl"]}
    served_dimensions: [D1, D2]
operational_array:
  unit_energy: 0.28
  unit_area: 1
  dimensions: [D1, D2]
  sizes: [16, 16]
"""
OLD_PORTS = """    r_bw: 64
    w_bw: 32
    r_port: 1
    w_port: 0
    rw_port: 1
    ports:
    - {fh: rw_port_1, tl: r_port_1}
"""
MAPPING = """
levels:
- {level: DRAM, factors: {M: 12, K: 3}, order: [M, K, N]}
- {level: Scratchpad, factors: {N: 4}, order: [M, K, N]}
- {level: D1, factors: {M: 16}}
- {level: Accumulator, factors: {K: 2, N: 2}, order: [M, K, N]}
- {level: D2, factors: {K: 16}}
- {level: Register, factors: {N: 16}, order: [M, K, N]}
- {level: MAC}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "twin.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def evaluated(arch: toolkit.Architecture, mapping: str) -> toolkit.Evaluation:
    workload = toolkit.gemm(192, 96, 128)
    return toolkit.evaluate(toolkit.mapping_from_text(mapping, arch, workload), arch, workload)


def test_gemmini_as_zigzag_has_it_costs_what_gemmini_costs(tmp_path: Path) -> None:
    twin = evaluated(load_arch(write(tmp_path, GEMMINI) + ":output_bits=8"), MAPPING)
    own = MAPPING.replace("D1", "SARows").replace("D2", "SACols").replace("MAC", "Compute")
    original = evaluated(load_arch("gemmini"), own)
    assert twin.energy_pj == pytest.approx(original.energy_pj, rel=1e-12)
    assert twin.latency_cycles == original.latency_cycles


def test_figures_carry_over(tmp_path: Path) -> None:
    arch = load_arch(write(tmp_path, GEMMINI))
    register, accumulator = arch.memories[3], arch.memories[2]
    assert [level.name for level in arch.levels] == [
        "DRAM",
        "Scratchpad",
        "D1",
        "Accumulator",
        "D2",
        "Register",
        "MAC",
    ]
    assert (register.capacity_words, register.bypasses) == (1, ("input", "output"))
    # Sums are 16 bits wide: half as many words, each half of a port, twice as dear.
    assert accumulator.capacity_words == 2048
    assert (accumulator.read_bandwidth, accumulator.write_bandwidth) == (2.0, 2.0)
    assert accumulator.read_energy_pj == pytest.approx(8.02)
    assert arch.memories[1].read_bandwidth == 16.0
    assert arch.compute.mac_energy_pj == 0.28


def test_a_repeated_key_counts_last(tmp_path: Path) -> None:
    assert load_arch(write(tmp_path, GEMMINI)).memories[1].read_energy_pj == pytest.approx(3.47)


def test_fanouts_take_any_layer(tmp_path: Path) -> None:
    arch = load_arch(write(tmp_path, GEMMINI))
    for workload in (toolkit.gemm(2, 3, 4), toolkit.grouped_conv2d(2, 3, 4, 5, 6, 3, 3, n=2)):
        problem = toolkit.make_problem(arch, workload)
        assert {f.dimensions for f in problem.arch.fanouts} == {
            tuple(d for d in arch.fanouts[0].dimensions if d in workload.sizes)
        }
        assert len(problem.arch.fanouts[0].dimensions) == len(workload.dimensions)
        assert problem.notes == ()


def test_older_ports_carry_over(tmp_path: Path) -> None:
    start = GEMMINI.index("    ports:")
    end = GEMMINI.index("    served_dimensions", start)
    arch = load_arch(write(tmp_path, GEMMINI[:start] + OLD_PORTS + GEMMINI[end:]))
    register = arch.memories[3]
    assert (register.read_bandwidth, register.write_bandwidth) == (8.0, 4.0)
    assert register.read_energy_pj == pytest.approx(0.01 / 8)
    assert register.write_energy_pj == pytest.approx(0.01 / 4)


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("sizes: [16, 16]", "sizes: [16, 16]\n  systolic_dimensions: [D2]", "pe_to_pe"),
        ("served_dimensions: []", "served_dimensions: []\n    force_double_buffering: true", "2"),
        ("bandwidth_min: 8, bandwidth_max: 8, a", "bandwidth_min: 32, bandwidth_max: 32, a", "4"),
    ],
)
def test_options_carry_over(tmp_path: Path, old: str, new: str, check: str) -> None:
    arch = load_arch(write(tmp_path, GEMMINI.replace(old, new)))
    register = arch.memories[3]
    found = {
        "pe_to_pe": arch.fanouts[1].pe_to_pe and not arch.fanouts[0].pe_to_pe,
        "2": register.multiple_buffering == 2,
        "4": register.values_per_wordline == 4,
    }
    assert found[check]


def test_dataflows_restrict_the_fanouts(tmp_path: Path) -> None:
    text = GEMMINI + "dataflows:\n  D1: ['K, 16']\n  D2: ['C, 8', 'OX, 2']\n"
    first, second = load_arch(write(tmp_path, text)).fanouts
    assert first.dimensions == ("M",)
    assert second.dimensions == ("K", "C", "Q", "P")


def test_widths_of_the_array_are_defaults(tmp_path: Path) -> None:
    text = GEMMINI + "  input_precision: [16, 4]\n"
    assert load_arch(write(tmp_path, text)).memories[3].capacity_words == 2
    assert load_arch(write(tmp_path, text) + ":weight_bits=8").memories[3].capacity_words == 1


def test_it_can_be_shown_and_kept_as_a_file_of_ours(tmp_path: Path) -> None:
    path = write(tmp_path, GEMMINI) + ":output_bits=8"
    arch = load_arch(path)
    assert arch.name == "twin:output_bits=8"
    (tmp_path / "own.yaml").write_text(arch_definition(path), encoding="utf-8")
    assert load_arch(tmp_path / "own.yaml") == arch
    assert load_template(write(tmp_path, GEMMINI)).parameters == {}


REGISTERS = GEMMINI.replace("served_dimensions: []", "served_dimensions: [D1]")


def test_memories_that_do_not_nest_need_consent(tmp_path: Path) -> None:
    path = write(tmp_path, REGISTERS)
    with pytest.raises(ArchitectureError, match=r"served_dimensions: one instance.*nest=1"):
        load_arch(path)
    arch = load_arch(f"{path}:nest=1")
    assert instances(arch)["Register"] == 256


def test_one_outermost_memory_needs_consent(tmp_path: Path) -> None:
    end = GEMMINI.rindex("[D1, D2]\noperational")
    path = write(tmp_path, f"{GEMMINI[:end]}[D1]\noperational" + GEMMINI.split("operational")[1])
    with pytest.raises(ArchitectureError, match="memories.DRAM.served_dimensions: serves D1 and"):
        load_arch(path)
    assert instances(load_arch(path, {"nest": 1}))["DRAM"] == 1


def instances(arch: toolkit.Architecture) -> dict[str, int]:
    found, count = {}, 1
    for level in arch.levels:
        if isinstance(level, Memory):
            found[level.name] = count
        elif isinstance(level, Fanout):
            count *= level.mesh
    return found


@st.composite
def accelerators(draw: st.DrawFn) -> tuple[dict[str, object], dict[str, int]]:
    """Draw an accelerator whose memories nest, and the instances that each one has."""
    dimensions = ["D1", "D2", "D3"]
    sizes = dict(zip(dimensions, draw(st.tuples(*[st.integers(1, 32)] * 3)), strict=True))
    order = draw(st.permutations(dimensions))
    served = sorted(draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    memories: dict[str, object] = {}
    expected = {}
    for i, count in enumerate([*served, 3]):
        operands = ["I1", "I2", "O"]
        if count < 3:
            operands = draw(st.lists(st.sampled_from(operands), min_size=1, unique=True))
        memories[f"m{i}"] = {
            "size": draw(st.integers(64, 10**9)),
            "r_cost": draw(st.floats(0, 1000)),
            "w_cost": draw(st.floats(0, 1000)),
            "operands": operands,
            "served_dimensions": order[:count],
            "ports": [
                {
                    "name": "rw",
                    "type": "read_write",
                    "bandwidth_min": 8,
                    "bandwidth_max": draw(st.integers(8, 4096)),
                    "allocation": [f"{o}, {way}" for o in operands for way in ("tl", "fh")],
                }
            ],
        }
        expected[f"m{i}"] = math.prod(sizes[d] for d in order[count:])
    array = {"dimensions": dimensions, "sizes": list(sizes.values()), "unit_energy": 0.5}
    return {"name": "drawn", "memories": memories, "operational_array": array}, expected


@given(accelerators())
def test_sizes_costs_and_instances_carry_over(
    drawn: tuple[dict[str, object], dict[str, int]],
) -> None:
    data, expected = drawn
    translated, left = own_form(data, "drawn", {})
    assert left == {}
    arch = validate(ArchitectureFile, translated, source="drawn").architecture()
    assert instances(arch) == expected
    given_memories = data["memories"]
    assert isinstance(given_memories, dict)
    for memory in arch.memories:
        entry = given_memories[memory.name]
        word = 16 if entry["operands"] == ["O"] else 8
        width = entry["ports"][0]["bandwidth_max"]
        assert memory.capacity_words == entry["size"] // word
        assert memory.read_energy_pj * width / word == pytest.approx(entry["r_cost"])
        assert memory.write_energy_pj * width / word == pytest.approx(entry["w_cost"])
        assert memory.read_bandwidth + memory.write_bandwidth == pytest.approx(width / word)
    text = arch_to_yaml(arch)
    again = validate(ArchitectureFile, parse_yaml(text.encode(), source="again"), source="again")
    assert again.architecture() == arch


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    size: 8\n", "    size: eight\n", "memories.Register.size: expected an integer"),
        ("    size: 8\n", "    size: 4\n", "size: 4 bits hold no value of 8 bits"),
        ("    size: 8\n", "", "memories.Register.size: this key is required and missing"),
        ("r_cost: 0.01", "auto_cost_extraction: true", "memories.Register: r_cost: costs that"),
        ("operands: [I2]", "operands: [W]", r"operands\[0\]: expected 'I1', 'I2' or 'O', got 'W'"),
        ("served_dimensions: []", "served_dimensions: [D3]", "unknown dimension 'D3'; expected"),
        ("served_dimensions: []", "served_dimensions: [X]", "expected an array dimension such"),
        ('"I2, tl"', '"I2, up"', "expected an operand and a direction"),
        ('"I2, tl"', '"I2, fh"', "a port of type read cannot do fh"),
        ('"I2, tl"', "", "no port allows reading"),
        ('"I2, fh"', "", "no port allows writing"),
        ("sizes: [16, 16]", "sizes: [16]", "sizes: expected one for each of D1, D2"),
        ("sizes: [16, 16]", "sizes: [16, 0]", r"sizes\[1\]: expected at least 1, got 0"),
        ("unit_energy: 0.28", "is_imc: true", "computing inside of memories is not modelled"),
        ("unit_energy: 0.28", "", "unit_energy: this key is required and missing"),
        ("    latency: 1\n", "    latncy: 1\n", r"latncy: unknown key \(did you mean 'latency'"),
    ],
)
def test_malformed_accelerators_are_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GEMMINI
    with pytest.raises(ArchitectureError, match=message):
        load_arch(write(tmp_path, GEMMINI.replace(old, new, 1)))


@given(mutated(parse_yaml(GEMMINI.encode(), source="twin", repeats=True)))
def test_broken_accelerators_are_read_or_refused(data: object) -> None:
    try:
        translated, _ = own_form(data, "twin", {})
        validate(ArchitectureFile, translated, source="twin", error=ArchitectureError)
    except ArchitectureError as error:
        assert str(error).startswith("twin: ")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("output_bit=8", r"output_bit: unknown parameter \(did you mean 'output_bits'\?\)"),
        ("output_bits=65", "output_bits: expected 1 to 64 bits, got 65"),
        ("nest=-1", "nest: expected an integer from 0, got -1"),
    ],
)
def test_parameters_are_checked(tmp_path: Path, parameters: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        load_arch(f"{write(tmp_path, GEMMINI)}:{parameters}")
