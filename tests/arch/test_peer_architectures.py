"""Timeloop's architectures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated

import toolkit
from toolkit.arch import Compute, FactorConstraint, Fanout, Memory, arch_definition, load_arch
from toolkit.arch.files import load_arch_file
from toolkit.arch.peers import own_form, split_files
from toolkit.arch.schema import ArchitectureFile
from toolkit.errors import ArchitectureError
from toolkit.peer_files import TIMELOOP_TAGS
from toolkit.records import validate
from toolkit.yaml_files import parse_yaml

# The same row-stationary design twice. Spatial constraints name the level outside in v0.3.
OLD = """
architecture:
  version: 0.3
  subtree:
  - name: system
    local:
    - {name: DRAM, class: DRAM, attributes: {width: 64, block-size: 4, word-bits: 16}}
    subtree:
    - name: chip
      attributes: {technology: 45nm}
      local:
      - name: buffer
        class: smartbuffer_SRAM
        attributes:
          {memory_depth: 1024, memory_width: 64, word-bits: 16, block-size: 4,
           read_bandwidth: 16, write_bandwidth: 8}
      - name: ring
        class: XY_NoC
        attributes: {datawidth: 16}
      - name: Dummy[0..13]
        class: regfile
        attributes: {depth: 16, width: 16, word-bits: 16, meshX: 14}
      subtree:
      - name: PE[0..167]
        local:
        - {name: inputs, class: reg, attributes: {depth: 12, width: 16, meshX: 14}}
        - {name: weights, class: reg, attributes: {depth: 192, width: 16, meshX: 14}}
        - {name: sums, class: reg, attributes: {depth: 16, width: 16, meshX: 14}}
        - {name: mac, class: intmac, attributes: {datawidth: 16, meshX: 14}}
"""
OLD_CONSTRAINTS = """
architecture_constraints:
  targets:
  - {target: sums, type: bypass, bypass: [Inputs, Weights], keep: [Outputs]}
  - {target: weights, type: datatype, bypass: [Inputs, Outputs], keep: [Weights]}
  - {target: inputs, type: dataspace, bypass: [Weights, Outputs], keep: [Inputs]}
  - {target: Dummy, type: bypass, bypass: [Inputs, Outputs, Weights]}
  - {target: buffer, type: bypass, bypass: [Weights], keep: [Inputs, Outputs]}
  - {target: buffer, type: utilization, min: 0.5}
  - {target: buffer, type: spatial, permutation: NCPRS QK, split: 7, factors: N1 C1 P1 R1 S1}
  - {target: Dummy, type: spatial, permutation: NPQR SCK, split: 4, factors: N=1 P=1 Q=1 R=1 S0}
  - {target: weights, type: temporal, permutation: NKPQS CR, factors: N1 K1 P1 Q1 S1 R0}
"""
NEW = """
architecture:
  version: 0.4
  nodes:
  - !Container {name: system, attributes: {datawidth: 16}}
  - !Component {name: DRAM, class: DRAM, attributes: {width: 64, block_size: 4}}
  - !Container {name: chip, attributes: {technology: 45nm}}
  - !Component
    name: buffer
    class: smartbuffer_SRAM
    attributes: {depth: 1024, width: 64, read_bandwidth: 16, write_bandwidth: 8}
    constraints:
      dataspace: {keep: [Inputs, Outputs], bypass: [Weights]}
  - !Container
    name: column
    spatial: {meshX: 14}
    constraints:
      spatial: {permutation: [N, C, P, R, S, Q, K], factors: [N=1, C=1, P=1, R=1, S=1]}
  - !Container
    name: PE
    spatial: {meshY: 12}
    constraints:
      spatial: {permutation: [N, P, Q, R, S, C, K], factors: [N=1, P=1, Q=1, R=1]}
  - !Parallel
    nodes:
    - !Component
      name: inputs
      class: regfile
      attributes: {depth: 12, width: 16}
      constraints: {dataspace: {keep: [Inputs]}}
    - !Hierarchical
      nodes:
      - !Component
        name: weights
        class: regfile
        attributes: {depth: 192, width: 16}
        constraints:
          dataspace: {keep: [Weights]}
          temporal:
            permutation: [N, K, P, Q, S, C, R]
            factors: [N=1, K=1, P=1, Q=1, S=1]
    - !Component
      name: sums
      class: regfile
      attributes: {depth: 16, width: 16}
      constraints: {dataspace: {keep: [Outputs]}}
    - !Nothing
  - !Component {name: mac, class: intmac, attributes: {multiplier_width: 16}}
"""
ENERGIES = """
ERT:
  version: 0.4
  tables:
  - name: top.DRAM[1..1]
    actions: [{name: read, energy: 512.0}, {name: write, energy: 512.0}]
  - name: top.buffer[1..1]
    actions:
    - {name: read, arguments: {address_delta: 0}, energy: 12.0}
    - {name: read, arguments: {address_delta: 1}, energy: 20.0}
    - {name: write, arguments: {}, energy: 16.0}
    - {name: update, arguments: {}, energy: 99.0}
    - {name: leak, arguments: {}, energy: 0.25}
  - name: top.inputs[1..168]
    actions: [{name: read, energy: 0.5}, {name: write, energy: 0.25}]
  - name: top.weights[1..168]
    actions: [{name: read, energy: 2.0}, {name: write, energy: 1.0}]
  - name: top.PE[0..167].sums
    actions:
    - {name: read, energy: 0.3}
    - {name: write, energy: 0.2}
    - {name: update, energy: 0.4}
  - name: top.mac[1..168]
    actions: [{name: compute, energy: 0.75}, {name: leak, energy: 0.125}]
ART:
  tables:
  - {name: "top.buffer[1..1]", area: 1000.0}
"""
# A front end's dump of one layer on 16 processing elements: everything in one file.
WHOLE = """
architecture:
  version: '0.4'
  subtree:
  - name: top
    attributes: {has_power_gating: false}
    local:
    - {name: 'Main[1..1]', class: DRAM, attributes: {width: 256, datawidth: 8}}
    - name: inter_PE_spatial[1..1]
      class: dummy_storage
      attributes: {width: 1, depth: 1, datawidth: 1}
    - name: Global[1..16]
      class: SRAM
      attributes: {depth: 32768, width: 64, datawidth: 8, meshX: 16, meshY: 1}
      enabled: true
    - {name: 'Registers[1..16]', class: regfile, attributes: {depth: 64, width: 8, datawidth: 8}}
    - {name: 'MACC[1..16]', class: intmac, attributes: {datawidth: 8}}
architecture_constraints: {targets: []}
problem:
  shape:
    name: layer
    dimensions: [C, K, R, P]
    data_spaces:
    - {name: Weights, projection: [[[C]], [[K]], [[R]]]}
    - {name: Inputs, projection: [[[C]], [[R], [P]]]}
    - {name: Outputs, projection: [[[K]], [[P]]], read_write: true}
  instance: {C: 32, K: 32, R: 3, P: 16, densities: {}}
mapping:
- {target: Main, type: temporal, factors: 'R=1,P=1,K=1,C=1', permutation: PRKC}
- {target: inter_PE_spatial, type: spatial, factors: 'R=1,P=1,K=1,C=16', permutation: PRKC}
- {target: inter_PE_spatial, type: temporal, factors: 'R=1,P=1,K=1,C=1', permutation: PRKC}
- {target: inter_PE_spatial, type: bypass, bypass: [Weights, Inputs, Outputs]}
- {target: Global, type: temporal, factors: 'R=3,P=1,K=32,C=2', permutation: PRKC}
- {target: Registers, type: temporal, factors: 'R=1,P=16,K=1,C=1', permutation: RPKC}
mapper: {version: '0.4'}
ERT:
  tables:
  - name: top.Main[1..1]
    actions: [{name: read, energy: 2048.0}, {name: write, energy: 2048.0}]
  - name: top.Global[1..16]
    actions:
    - {name: leak, energy: 0.007972}
    - {name: update, energy: 30.878292}
    - {name: read, energy: 43.353054}
    - {name: write, energy: 30.878292}
  - name: top.Registers[1..16]
    actions:
    - {name: leak, energy: 0.000861}
    - {name: read, energy: 0.42564}
    - {name: write, energy: 0.42564}
  - name: top.MACC[1..16]
    actions: [{name: compute, energy: 0.845}]
"""


def write(folder: Path, text: str, name: str = "arch.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def joined(folder: Path, *texts: str) -> str:
    return "+".join(write(folder, text, f"part{i}.yaml") for i, text in enumerate(texts))


def shape(arch: toolkit.Architecture) -> list[tuple[object, ...]]:
    """What both versions say alike: all but the names of fanouts."""
    found: list[tuple[object, ...]] = []
    for level in arch.levels:
        if isinstance(level, Memory):
            found.append((level.name, level.capacity_words, set(level.bypasses)))
        elif isinstance(level, Fanout):
            found.append((level.mesh, set(level.dimensions)))
    return found


def test_both_versions_of_a_design_are_the_same(tmp_path: Path) -> None:
    old = load_arch(joined(tmp_path, OLD, OLD_CONSTRAINTS, ENERGIES))
    new = load_arch(joined(tmp_path, NEW, ENERGIES))
    assert shape(old) == shape(new)
    assert [level.name for level in old.fanouts] == ["buffer_fanout", "Dummy"]
    assert [level.name for level in new.fanouts] == ["column", "PE"]
    for ours, theirs in zip(old.memories, new.memories, strict=True):
        assert ours.read_energy_pj == theirs.read_energy_pj
        assert ours.loop_order == theirs.loop_order
        assert ours.constraints == theirs.constraints


def test_figures_carry_over(tmp_path: Path) -> None:
    arch = load_arch(joined(tmp_path, NEW, ENERGIES))
    dram, buffer, inputs, weights, sums = arch.memories
    assert (dram.capacity_words, dram.read_energy_pj) == (None, 128.0)
    assert (buffer.capacity_words, buffer.values_per_wordline) == (4096, 4)
    # Four words to an access, the dearest read, and the write of whoever fills.
    assert (buffer.read_energy_pj, buffer.write_energy_pj) == (5.0, 4.0)
    assert (buffer.leakage_pj_per_cycle, buffer.area_um2) == (0.25, 1000.0)
    assert (buffer.read_bandwidth, buffer.write_bandwidth) == (16.0, 8.0)
    assert inputs.read_bandwidth == 5e14
    assert (weights.capacity_words, weights.bypasses) == (192, ("input", "output"))
    assert weights.loop_order == ("R", "C")
    assert FactorConstraint("M", "==", 1) in weights.constraints
    assert (sums.read_energy_pj, sums.write_energy_pj) == (0.3, 0.4)
    assert arch.compute == Compute("mac", 0.75, leakage_pj_per_cycle=0.125)
    assert set(arch.fanouts[0].dimensions) == {"M", "Q", "B", "G", "K"}
    assert set(arch.fanouts[1].dimensions) == {"M", "C", "S", "B", "G", "K"}


def test_what_timeloop_leaves_to_its_mappings_is_left_to_ours(tmp_path: Path) -> None:
    main, buffer, registers = load_arch(write(tmp_path, WHOLE)).memories
    assert main.may_bypass == ()
    assert set(buffer.may_bypass) == set(registers.may_bypass) == {"input", "weight", "output"}
    constraint = "constraints: {targets: [{target: Global, type: bypass, KEPT}]}"
    for said, free in (
        ("keep: [Inputs]", {"weight", "output"}),
        ("keep: [Inputs], bypass: [Weights]", {"output"}),
        ("keep_only: [Inputs]", set()),
        ("keep: [Odd]", set()),
    ):
        text = constraint.replace("KEPT", said)
        arch = load_arch(joined(tmp_path, WHOLE, text))
        assert set(arch.memories[1].may_bypass) == free
    arch, workload = load_arch(write(tmp_path, WHOLE)), toolkit.conv1d(32, 32, 16, 3, name="arch")
    bypass = "- {target: Global, type: bypass, keep: [Inputs, Outputs], bypass: [Weights]}"
    text = WHOLE.replace("mapper:", f"{bypass}\nmapper:")
    mapping = toolkit.mapping_from_text(text, arch, workload)
    assert [entry.bypasses for entry in mapping.levels if entry.bypasses] == [("weight",)]


def test_published_results_come_out(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    arch, workload = load_arch(path), toolkit.load_workload(path)
    assert workload == toolkit.conv1d(32, 32, 16, 3, name="arch")
    mapping = toolkit.mapping_from_text(WHOLE, arch, workload)
    evaluation = toolkit.evaluate(mapping, arch, workload, conventions=toolkit.TIMELOOP_4)
    assert evaluation.latency_cycles == 3072
    table = evaluation.energy_table().set_index("level")["energy_total_pj"]
    # From timeloop-model.stats.txt of exercise 04 (cp) of timeloop-accelergy-exercises, in pJ.
    assert table["Main"] == pytest.approx(196608 + 36864 + 32768, abs=0.01)
    assert table["Global"] == pytest.approx(28504.84 + 102355.70 + 107632.27 + 391.84, abs=0.02)
    assert table["Registers"] == pytest.approx(22228.62 + 28766.45 + 41842.11 + 42.32, abs=0.02)
    assert table["MACC"] == pytest.approx(41533.44, abs=0.01)


def test_a_problem_beside_it_names_the_dimensions(tmp_path: Path) -> None:
    assert load_arch(write(tmp_path, WHOLE)).fanouts[0].dimensions == ("C", "M", "R", "P")


def test_energies_are_never_made_up_silently(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match=r"nodes\[1\]: no energy for 'DRAM'.*ERT.yaml"):
        load_arch(write(tmp_path, NEW))
    short = ENERGIES.replace("top.weights", "top.heights")
    with pytest.raises(ArchitectureError, match="table does not give read and write of weights"):
        load_arch(joined(tmp_path, NEW, short))
    arch = load_arch(write(tmp_path, NEW) + ":default_energies=1")
    assert arch.memories[0].read_energy_pj == 200.0
    assert arch.memories[1].read_energy_pj == pytest.approx(2 * (0.49 + 0.02513 * 8))
    assert arch.compute.mac_energy_pj == 0.5608
    # What is given counts.
    arch = load_arch(joined(tmp_path, NEW, ENERGIES) + ":default_energies=1")
    assert arch.memories[1].read_energy_pj == 5.0


def test_energies_may_stand_at_the_levels(tmp_path: Path) -> None:
    arch = load_arch(
        write(
            tmp_path,
            """
architecture:
  nodes:
  - !Component
    name: Main
    class: DRAM
    attributes: {word-bits: 8, block-size: 4, vector-access-energy: 10, bandwidth: 6}
  - !Component {name: mac, class: mac, attributes: {energy_per_op: 0.5}}
""",
        )
    )
    memory = arch.memories[0]
    assert (memory.read_energy_pj, memory.write_energy_pj) == (2.5, 2.5)
    assert (memory.read_bandwidth, memory.write_bandwidth) == (3.0, 3.0)
    assert arch.compute.mac_energy_pj == 0.5


def test_a_square_splits_into_rows_and_columns(tmp_path: Path) -> None:
    square = NEW.replace("{meshX: 14}", "{meshX: 14, meshY: 2}").replace(
        "[N, C, P, R, S, Q, K], factors: [N=1, C=1, P=1, R=1, S=1]",
        "[C, S, Q, K], factors: [N=1, P=1, R=1, S<=4], split: 2",
    )
    arch = load_arch(joined(tmp_path, square, ENERGIES))
    rows, columns = arch.fanouts[:2]
    assert (rows.name, rows.mesh) == ("column_X", 14)
    assert (columns.name, columns.mesh) == ("column_Y", 2)
    assert set(rows.dimensions) == {"B", "G", "K", "C", "S"}
    assert set(columns.dimensions) == {"B", "G", "K", "M", "Q"}
    ones = {FactorConstraint(d, "==", 1) for d in "NPR"}
    assert set(rows.constraints) == {*ones, FactorConstraint("S", "<=", 4)}
    assert set(columns.constraints) == ones


def test_all_that_a_design_rules_out_still_fits(tmp_path: Path) -> None:
    arch = load_arch(joined(tmp_path, NEW, ENERGIES))
    problem = toolkit.make_problem(arch, toolkit.conv2d(8, 3, 6, 6, 3, 3))
    column, pe = problem.arch.fanouts
    assert (set(column.dimensions), set(pe.dimensions)) == ({"M", "Q"}, {"M", "C", "S"})


def test_it_can_be_shown_and_kept_as_a_file_of_ours(tmp_path: Path) -> None:
    path = joined(tmp_path, NEW, ENERGIES)
    own = write(tmp_path, arch_definition(path), "own.yaml")
    assert load_arch(own) == load_arch(path)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 999)),
        min_size=1,
        max_size=4,
    )
)
def test_instances_of_both_versions_agree(chain: list[tuple[int, int, int]]) -> None:
    """Give every level a mesh inside of the one before, in either way to say it."""
    table: dict[str, object] = {"vector_access_energy": 1, "energy_per_op": 1}
    nodes: list[object] = [
        {"!Component": {"name": "Main", "class": "DRAM", "attributes": {**table, "datawidth": 8}}}
    ]
    local: list[object] = [
        {"name": "Main", "class": "DRAM", "attributes": {**table, "datawidth": 8}}
    ]
    width = height = 1
    for i, (x, y, words) in enumerate(chain):
        kind = {"name": f"m{i}", "class": "regfile"}
        attributes = {**table, "entries": words}
        nodes.append(
            {"!Component": {**kind, "attributes": attributes, "spatial": {"meshX": x, "meshY": y}}}
        )
        width, height = width * x, height * y
        local.append(
            {
                "class": "regfile",
                "name": f"m{i}[1..{width * height}]",
                "attributes": {**attributes, "meshX": width, "meshY": height},
            }
        )
    nodes.append({"!Component": {"name": "mac", "class": "mac", "attributes": table}})
    local.append(
        {
            "name": f"mac[0..{width * height - 1}]",
            "class": "mac",
            "attributes": {**table, "meshX": width},
        }
    )
    archs = []
    for content in ({"nodes": nodes}, {"subtree": [{"name": "top", "local": local}]}):
        data, _ = own_form({"architecture": content}, "drawn", {})
        archs.append(validate(ArchitectureFile, data, source="drawn").architecture())
    assert [level.mesh for level in archs[0].fanouts] == [m for c in chain for m in c[:2] if m > 1]
    assert shape(archs[0]) == shape(archs[1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth: 1024", "depth: rows*64", r"attributes.depth: expected an integer .* 'rows\*64'"),
        ("depth: 1024", "depth: 1024, sizeKB: 9", "gives sizes that differ"),
        ("width: 64, read", "width: 40, read", "width: 40 bits are no multiple of 16"),
        ("width: 64, read", "width: 64, allow_overbooking: true, read", "overbooking: not mod"),
        ("width: 64, read", "reduction_supported: false, width: 64, read", "cannot accumulate"),
        ("read_bandwidth: 16", "read_bandwidth: fast", "read_bandwidth: expected a number, got"),
        ("class: intmac", "class: adder", "class: 'adder' is not known as a class"),
        ("meshX: 14}", "meshX: 0}", "spatial.meshX: expected an integer from 1"),
        ("meshX: 14}", "meshZ: 14}", "spatial.meshZ: unknown key"),
        ("[N=1, C=1, P=1, R=1, S=1]", "[N~1]", "expected factors such as C=4, M<=8 or S1, got"),
        (
            "keep: [Inputs, Outputs]",
            "keeps: [Inputs]",
            r"keeps: unknown key \(did you mean 'keep'",
        ),
        ("!Container {name: chip", "!Kontainer {name: chip", "tag '!Kontainer' is not accepted"),
        ("- !Component {name: mac", "- {name: mac", "expected a node with a tag"),
        ("class: intmac", "class: SRAM", "expected exactly one compute unit, innermost, found no"),
        ("name: inputs\n", "name: inputs\n      spatial: {meshX: 2}\n", "inside of one branch"),
        ("name: inputs\n", "name: weights\n", "two levels are called 'weights'"),
        ("version: 0.4", "vision: 0.4", "architecture.vision: unknown key"),
        (
            "architecture:",
            "maper: {}\narchitecture:",
            r"maper: unknown key \(did you mean 'mapper'",
        ),
    ],
)
def test_malformed_nodes_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in NEW
    with pytest.raises(ArchitectureError, match=message):
        load_arch(joined(tmp_path, NEW.replace(old, new, 1), ENERGIES))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("PE[0..167]", "PE[0..166]", "meshX 14 times meshY 11 is not the 167 instances"),
        ("PE[0..167]", "PE[9..1]", r"expected a range that rises, got 'PE\[9..1\]'"),
        ("Dummy[0..13]", "Dummy[0..9]", "meshX 14 times meshY 0 is not the 10 instances"),
        (
            "width: 16, meshX: 14}}\n        - {name: w",
            "meshX: 12}}\n        - {name: w",
            "not divide",
        ),
        ("target: sums", "target: summs", "no level is called 'summs'; expected one of"),
        ("type: datatype", "type: datatpe", "expected dataspace, temporal or spatial, got"),
    ],
)
def test_malformed_subtrees_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in OLD + OLD_CONSTRAINTS
    texts = (text.replace(old, new, 1) for text in (OLD, OLD_CONSTRAINTS, ENERGIES))
    with pytest.raises(ArchitectureError, match=message):
        load_arch(joined(tmp_path, *texts))


PARSED = [
    parse_yaml(text.encode(), source="design", tags=TIMELOOP_TAGS)
    for text in (OLD + OLD_CONSTRAINTS + ENERGIES, NEW + ENERGIES, WHOLE)
]


@given(st.sampled_from(PARSED).flatmap(mutated))
def test_broken_architectures_are_read_or_refused(data: object) -> None:
    try:
        translated, _ = own_form(data, "design", {})
        validate(ArchitectureFile, translated, source="design", error=ArchitectureError)
    except ArchitectureError as error:
        assert str(error).startswith("design: ")


def test_files_are_joined_once(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="part1.yaml: architecture: an earlier file"):
        load_arch(joined(tmp_path, NEW, NEW))
    with pytest.raises(ArchitectureError, match="part1.yaml: expected a mapping, to be joined"):
        load_arch(joined(tmp_path, NEW, "- 1"))
    path = write(tmp_path, WHOLE, "a.yaml+b.yaml")
    assert split_files(path) == (path,)


OLDEST = """
arch:
  arithmetic: {instances: 64, meshX: 8, word-bits: 8}
  storage:
  - {name: register, entries: 1, instances: 64, meshX: 8, word-bits: 8}
  - {name: dummy, entries: 0, instances: 8, meshX: 8}
  - {name: sums, entries: 256, depth: 32, width: 256, word-bits: 32}
  - {name: DRAM, technology: DRAM, word-bits: 8, bandwidth: 8}
"""


def test_the_oldest_form_lists_memories_innermost_first(tmp_path: Path) -> None:
    arch = load_arch(write(tmp_path, OLDEST) + ":default_energies=1")
    assert [(memory.name, memory.capacity_words) for memory in arch.memories] == [
        ("DRAM", None),
        ("sums", 256),
        ("register", 1),
    ]
    assert [level.mesh for level in arch.fanouts] == [8, 8]
    assert arch.memories[0].read_bandwidth == 4.0


@pytest.mark.parametrize(
    ("depth", "words"), [("1024", 4096), ("banks * 512", 4096), ("max(banks, ROWS) * 2", 1600)]
)
def test_figures_are_computed_from_attributes_and_variables(
    tmp_path: Path, depth: str, words: int
) -> None:
    text = NEW.replace("{depth: 1024,", f"{{banks: 2, depth: '{depth}',")
    text = text.replace("{width: 16}", "{width: datawidth}")
    arch = load_arch(joined(tmp_path, text, ENERGIES, "variables: {version: 0.4, ROWS: 200}"))
    assert arch.memories[1].capacity_words == words


def test_instances_are_computed_from_containers_around_them(tmp_path: Path) -> None:
    text = NEW.replace("{technology: 45nm}", "{rows: 12}").replace("meshY: 12", "meshY: rows")
    assert load_arch(joined(tmp_path, text, ENERGIES)) == load_arch(
        joined(tmp_path, NEW, ENERGIES)
    )


def test_entries_count_and_a_depth_that_differs_is_noted(tmp_path: Path) -> None:
    text = NEW.replace("depth: 1024", "entries: 2048, depth: 1024")
    file = load_arch_file(joined(tmp_path, text, ENERGIES))
    assert file.architecture().memories[1].capacity_words == 2048
    assert "buffer: 2048 entries count" in str(file.description)
    text = NEW.replace("depth: 1024", "entries: 4096, depth: 1024")
    assert "entries" not in str(load_arch_file(joined(tmp_path, text, ENERGIES)).description)


def test_a_sparse_accelerator_is_read_as_the_dense_one_on_request(tmp_path: Path) -> None:
    sparse = NEW.replace(
        "{depth: 1024,", "{metadata_storage_width: 8, compression_supported: true, depth: 1024,"
    ).replace(
        "    constraints: {dataspace: {keep: [Outputs]}}",
        "    constraints: {dataspace: {keep: [Outputs]}}\n"
        "      sparse_optimizations: {action_optimization: [{type: gating}]}",
    )
    assert sparse.count("sparse_optimizations") == 1
    path = joined(tmp_path, sparse, ENERGIES)
    with pytest.raises(ArchitectureError, match="dense=1"):
        load_arch(path)
    assert load_arch(path + ":dense=1").levels == load_arch(joined(tmp_path, NEW, ENERGIES)).levels


def test_flattened_files_list_components_in_any_order(tmp_path: Path) -> None:
    text = """
architecture:
  local:
  - {name: "chip.PE[0..7].mac", class: intmac, attributes: {meshX: 2}}
  - {name: "chip.PE[0..7].spad", class: regfile, attributes: {depth: 4, width: 16}}
  - {name: "chip.buffer", class: SRAM, attributes: {depth: 64, width: 16}}
"""
    levels = load_arch(write(tmp_path, text) + ":default_energies=1").levels
    meshes = [level.mesh if isinstance(level, Fanout) else level.name for level in levels]
    assert meshes == ["buffer", 2, 4, "spad", "mac"]
    table = "ERT: {tables: [" + ", ".join(
        f"{{name: 'chip.{name}', actions: [{', '.join(actions)}]}}"
        for name, actions in {
            "buffer[1..1]": ("{name: read, energy: 6}", "{name: write, energy: 5}"),
            "PE[0..7].spad": ("{name: read, energy: 2}", "{name: write, energy: 1}"),
            "PE[0..7].mac": ("{name: compute, energy: 3}",),
        }.items()
    ) + "]}"  # fmt: skip
    arch = load_arch(joined(tmp_path, text, table))
    assert [memory.read_energy_pj for memory in arch.memories] == [6, 2]
    twice = text.replace("chip.buffer", "chip.spad")
    names = [
        level.name for level in load_arch(write(tmp_path, twice) + ":default_energies=1").memories
    ]
    assert names == ["chip.spad", "chip.PE.spad"]


def test_old_constraints_may_list_several_of_a_level(tmp_path: Path) -> None:
    listed = """
mapspace:
  targets:
  - name: buffer
    constraints:
    - {type: bypassing, attributes: {keep: [Inputs], bypass: [Weights, Outputs]}}
    - {type: temporal, attributes: {factors: N=1, permutation: CPN}}
"""
    arch = load_arch(joined(tmp_path, OLD, listed) + ":default_energies=1")
    assert set(arch.memories[1].bypasses) == {"weight", "output"}
    assert arch.memories[1].constraints == (FactorConstraint("N", "==", 1),)


def test_parameters_are_values_for_templates(tmp_path: Path) -> None:
    text = NEW.replace("datawidth: 16", "datawidth: {{ bits|default(16) }}", 1)
    path = joined(tmp_path, text, ENERGIES)
    assert load_arch(path).levels == load_arch(joined(tmp_path, NEW, ENERGIES)).levels
    path = joined(tmp_path, text, ENERGIES)
    assert load_arch(path + ":bits=8").memories[1].capacity_words == 8192
    with pytest.raises(ArchitectureError, match="unknown parameter"):
        load_arch(path + ":bit=8")


def test_macros_of_constraints(tmp_path: Path) -> None:
    text = (
        NEW.replace(
            "permutation: [N, P, Q, R, S, C, K], factors: [N=1, P=1, Q=1, R=1]",
            "factors_only: [C<=4, K<=8], maximize_dims: [[K, C]]",
        )
        .replace("factors: [N=1, K=1, P=1, Q=1, S=1]", "factors_only: [C<=2]")
        .replace("split: 7", "split: len(spec.problem.instance)")
        .replace("keep: [Inputs, Outputs], bypass: [Weights]", "bypass_only: [Weights]")
    )
    assert text.count("_only") == 3
    file = load_arch_file(joined(tmp_path, text, ENERGIES))
    arch = file.architecture()
    pe = next(level for level in arch.fanouts if level.name == "PE")
    assert set(pe.dimensions) == {"C", "M"}
    assert set(pe.constraints) >= {FactorConstraint("C", "<=", 4), FactorConstraint("M", "<=", 8)}
    assert "PE: maximize_dims is left to the search" in str(file.description)
    weights = next(memory for memory in arch.memories if memory.name == "weights")
    bounds = {c.dimension: (c.relation, c.value) for c in weights.constraints}
    assert bounds["C"] == ("<=", 2) and bounds["M"] == bounds["R"] == ("==", 1)
    buffer = arch.memories[1]
    assert buffer.bypasses == ("weight",) and not buffer.may_bypass
