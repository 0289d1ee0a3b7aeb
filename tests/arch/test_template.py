from __future__ import annotations

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch import (
    FactorConstraint,
    arch_definition,
    arch_to_yaml,
    load_arch,
    load_arch_file,
    load_template,
)
from toolkit.errors import ArchitectureError
from toolkit.mapping import LevelMapping, Mapping, MapSpace, violations
from toolkit.workload import conv2d

TEXT = """\
name: grid
kernel: gemm
parameters: {side: 16, words: = 4 * side ** 2, share: 0.5}  # as wide as high
levels:
  - {memory: DRAM, capacity_words: unlimited, access_energy_pj: 64, bandwidth_words_per_cycle: 8}
  - memory: Buffer
    capacity_words: = words
    access_energy_pj: = share * sqrt(words)
    bandwidth_words_per_cycle: = 2 * side
    bypasses: [weight]
  - fanout: Rows
    mesh: = side
    dimensions: [M, K]
    constraints: [M == side, K <= side / 2, K >= 1]
  - compute: MAC
    mac_energy_pj: = 1 / 4
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(TEXT)
    return path


def test_defaults_fill_the_file(path: Path) -> None:
    arch = load_arch(path)
    buffer, rows = arch.memories[1], arch.fanouts[0]
    assert arch.name == "grid"
    assert (buffer.capacity_words, buffer.read_energy_pj, buffer.read_bandwidth) == (1024, 16, 16)
    assert rows.mesh == 16
    assert rows.constraints == (
        FactorConstraint("M", "==", 16),
        FactorConstraint("K", "<=", 8),
        FactorConstraint("K", ">=", 1),
    )
    assert arch.compute.mac_energy_pj == 0.25


def test_defaults_that_are_expressions_follow(path: Path) -> None:
    assert load_arch(path, {"side": 8}).memories[1].capacity_words == 256
    assert load_arch(path, {"side": 8, "words": 9}).memories[1].capacity_words == 9


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "grid"),
        ({"side": 16, "words": 1024, "share": 0.5}, "grid"),
        ({"side": 16.0}, "grid"),
        ({"side": 8}, "grid:side=8"),
        ({"side": 8, "words": 256}, "grid:side=8"),
        ({"words": 1024, "side": 8}, "grid:side=8,words=1024"),
        ({"share": 0.25, "side": np.int64(8)}, "grid:side=8,share=0.25"),
        ({"share": 1e-9, "words": Fraction(81)}, "grid:words=81,share=1e-09"),
    ],
)
def test_the_name_tells_what_differs(
    given: dict[str, float], name: str, path: Path, tmp_path: Path
) -> None:
    arch = load_arch(path, given)
    assert arch.name == name
    assert load_arch(f"{path}{name.removeprefix('grid')}") == arch
    (tmp_path / "copy.yaml").write_text(arch_to_yaml(arch, kernel="gemm"))
    assert load_arch(tmp_path / "copy.yaml") == arch


def test_text_and_mapping_complete_each_other(path: Path) -> None:
    expected = load_arch(path, {"side": 8, "share": 2})
    assert load_arch(f"{path}: side = 8 , share=2.0") == expected
    assert load_arch(f"{path}:side=8", {"share": 2}) == expected
    with pytest.raises(ArchitectureError, match=r"side: given as .* and again in param"):
        load_arch(f"{path}:side=8", {"side": 8})


def test_a_file_with_a_colon_in_its_name(tmp_path: Path) -> None:
    for name in ("a:b.yaml", "a:side=3", "gemmini-ws:side=32", "a:b"):
        path = tmp_path / name
        path.write_text(TEXT)
        assert load_arch(str(path)).name == "grid"
        assert load_arch(f"{path}:side=4").name == "grid:side=4"
    with pytest.raises(ArchitectureError, match=r"c:d\.yaml: no such file"):
        load_arch(str(tmp_path / "c:d.yaml"))
    with pytest.raises(ArchitectureError, match="grid:side=8: no such file"):
        load_arch(tmp_path / "grid:side=8")


def test_a_file_may_compute_without_parameters(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(arch_to_yaml(load_arch("tpu")).replace("mesh: 256", "mesh: = 2 ** 8"))
    assert load_arch(path) == load_arch("tpu")


def test_names_may_begin_with_an_equals_sign(path: Path) -> None:
    path.write_text(TEXT.replace("memory: Buffer", "memory: '= side'"))
    arch = load_arch(path)
    assert arch.memories[1].name == "= side"
    path.write_text(arch_to_yaml(arch))
    assert load_arch(path) == arch


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "grid.yaml: expected parameters as NAME=NUMBER, separated by commas, got ''"),
        ("side", "expected parameters as NAME=NUMBER, separated by commas, got 'side'"),
        ("side=8,", "separated by commas, got ''"),
        ("=8", "got '=8'"),
        ("side=", "grid.yaml: parameters.side: expected a number, got ''"),
        ("side=x", "parameters.side: expected a number, got 'x'"),
        ("side=٣", "parameters.side: expected a number, got '٣'"),
        ("side=8,side=8", "parameters.side: given twice"),
        ("sied=8", "unknown parameter 'sied' (did you mean 'side'?); known: side, words, share"),
        ("side=1e99", "parameters.side: expected a number from -1e30 to 1e30, got 1e+99"),
        ("side=" + "9" * 99, "parameters.side: expected a number from -1e30 to 1e30, got 999"),
        ("side=" + "9" * 9999, "parameters.side: expected a number, got '999"),
        (
            "side=7",
            "grid.yaml:side=7: levels[2].constraints[1]: expected a dimension, one of == <= >=, "
            "and an integer from 1 to 2147483648, such as M == 16, got 'K <= 3.5'; "
            "'side / 2' is 3.5 with side = 7",
        ),
        ("side=0", "levels[1].bandwidth_words_per_cycle: expected at least 1e-09, got 0"),
        ("words=0.5", "got 0.5; 'words' is 0.5 with words = 0.5"),
        (
            "words=-1",
            "levels[1].access_energy_pj: 'share * sqrt(words)' has no value with share = 0.5, "
            "words = -1: the square root of a negative number",
        ),
    ],
)
def test_bad_settings(settings: str, message: str, path: Path) -> None:
    with pytest.raises(ArchitectureError) as caught:
        load_arch(f"{path}:{settings}")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"side": "8"}, "parameters.side: expected a number from -1e30 to 1e30, got '8'"),
        ({"side": True}, "got true"),
        ({"side": None}, "got nothing"),
        ({"side": float("nan")}, "got nan"),
        ({"side": 10**400}, "got 1000"),
        ({8: 8}, "unknown parameter 8; known: side"),
        ([("side", 8)], "parameters: expected a mapping of names to numbers, got a list"),
    ],
)
@pytest.mark.parametrize("end", ["", ":share=2"])
def test_bad_arguments(given: object, message: str, end: str, path: Path) -> None:
    with pytest.raises(ArchitectureError) as caught:
        load_arch(f"{path}{end}", given)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eyeriss:side=3", "archs/eyeriss.yaml: unknown parameter 'side'; this architecture has"),
        ("eyeriss:", "archs/eyeriss.yaml: expected parameters as NAME=NUMBER"),
        ("gemini-ws:side=3", "unknown architecture 'gemini-ws' (did you mean 'gemmini-ws'?)"),
        ("foo:bar", "unknown architecture 'foo:bar'"),
        (":", "unknown architecture ':'"),
        ("nowhere.yaml:side=3", "nowhere.yaml: no such file"),
    ],
)
def test_parameters_of_something_else(name: str, message: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        load_arch(name)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mesh: = side", "mesh: = sied", "levels[2].mesh: 'sied': unknown parameter 'sied' (did"),
        ("mesh: = side", "mesh: = side +", "levels[2].mesh: 'side +': not an arithmetic"),
        ("mesh: = side", "mesh: '='", "levels[2].mesh: '': not an arithmetic expression"),
        (
            "mesh: = side",
            "mesh: = side / 32",
            "grid.yaml: levels[2].mesh: expected an integer, got 0.5; "
            "'side / 32' is 0.5 with side = 16",
        ),
        (
            "mesh: = side",
            "mesh: = side / 0",
            "levels[2].mesh: 'side / 0' has no value with side = 16: division by zero",
        ),
        ("M == side", "M == sid", "levels[2].constraints[0]: 'sid': unknown parameter 'sid' (did"),
        ("M == side", "M == = side", "levels[2].constraints[0]: '= side': unexpected '= side'"),
        ("M == side", "M = side", "levels[2].constraints[0]: expected a dimension, one of"),
        ("K >= 1", "K >= side", "levels[2]: constraints: K <= 8 and K >= 16 contradict"),
        ("side: 16", "side: 16, lanes: 2", "parameters.lanes: no expression takes this parameter"),
        ("side: 16", "side: = words", "parameters: defaults refer to each other in a circle: "),
        ("side: 16", "side: = side", "in a circle: side -> side"),
        ("side: 16", "side: = sides", "parameters.side: 'sides': unknown parameter 'sides' (did"),
        ("side: 16", "side: = 1 / 0", "parameters.side: '1 / 0' has no value: division by zero"),
        ("side: 16", "side: x", "parameters.side: expected a number from -1e30 to 1e30 or text"),
        ("side: 16", "side: true", "such as = 2 * side, got true"),
        ("side: 16", "side: [1]", "such as = 2 * side, got a list"),
        ("side: 16", "side: ", "such as = 2 * side, got nothing"),
        ("side: 16", "side: .inf", "such as = 2 * side, got inf"),
        ("side: 16", "'a b': 16", "parameters['a b']: expected a name of letters, digits and _"),
        ("side: 16", "lambda: 16", "parameters.lambda: expected a name"),
        ("side: 16", "min: 16", "parameters.min: expected a name"),
        ("parameters: {", "parameters: [{", "not valid YAML"),
    ],
)
def test_bad_templates(old: str, new: str, message: str, path: Path) -> None:
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ArchitectureError) as caught:
        load_template(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("[1]", "parameters: expected a mapping, got a list"),
        ("5", "parameters: expected a mapping, got 5"),
        ("", "parameters: has no value"),
    ],
)
def test_bad_sections(section: str, message: str, path: Path) -> None:
    path.write_text(f"{arch_to_yaml(load_arch('tpu'))}parameters: {section}\n")
    with pytest.raises(ArchitectureError, match=message):
        load_arch(path)


def test_errors_know_their_place(path: Path) -> None:
    with pytest.raises(ArchitectureError) as caught:
        load_arch(path, {"words": 6.5})
    assert caught.value.source == f"{path}:words=6.5"
    assert caught.value.key == "levels[1].capacity_words"


def test_figures_of_ports_follow_parameters(path: Path) -> None:
    ports = "{read: {serves: [reads, drains], bandwidth_words_per_cycle: = 2 * side}, "
    ports += "write: {serves: [updates, fills], bandwidth_words_per_cycle: 3}}"
    text = TEXT.replace("bandwidth_words_per_cycle: = 2 * side", f"ports: {ports}")
    path.write_text(text)
    template = load_template(path)
    found = [template.architecture({"side": side}).memories[1].ports for side in (4, 8)]
    assert [[port.bandwidth for port in ports] for ports in found] == [[8, 3], [16, 3]]
    path.write_text(text.replace("2 * side", "2 - side"))
    with pytest.raises(ArchitectureError) as caught:
        load_arch(path)
    assert caught.value.key == "levels[1].ports.read.bandwidth_words_per_cycle"
    assert "expected at least 1e-09, got -14; '2 - side' is -14" in str(caught.value)


def test_templates(path: Path) -> None:
    template = load_template(path)
    assert template.parameters == {"side": 16, "words": 1024, "share": 0.5}
    assert template.architecture() == load_arch(path)
    assert template.architecture({"side": 4}) == load_arch(path, {"side": 4})
    assert template.file({"side": 4}).parameters == {"side": 4, "words": 64, "share": 0.5}
    assert template.architecture() == load_arch(path)
    copy = pickle.loads(pickle.dumps(template))
    assert copy.architecture({"side": 4}) == template.architecture({"side": 4})
    assert load_template("eyeriss").parameters == {}
    with pytest.raises(ArchitectureError, match="side=4' gives parameters; expected a name"):
        load_template(f"{path}:side=4")


def test_files_know_what_they_were_filled_with(path: Path) -> None:
    file = load_arch_file(path, {"side": 4})
    assert (file.name, file.kernel) == ("grid:side=4", "gemm")
    assert load_arch_file("eyeriss").parameters == {}


def test_a_template_is_shown_as_written_unless_parameters_are_given(path: Path) -> None:
    path.write_text(TEXT, encoding="utf-8-sig")
    assert arch_definition(path) == TEXT
    filled = load_arch_file(f"{path}:side=16")
    assert arch_definition(f"{path}:side=16") == arch_to_yaml(filled.architecture(), kernel="gemm")


GEMMINI = load_template("gemmini-ws")
SIZES = st.fixed_dictionaries(
    {},
    optional={
        "side": st.integers(1, 128),
        "scratchpad_words": st.integers(1, 2**21),
        "accumulator_words": st.integers(1, 2**17),
        "scratchpad_bandwidth": st.integers(1, 256) | st.floats(0.1, 256),
        "dram_bandwidth": st.floats(1e-6, 1e6),
    },
)


@given(SIZES)
def test_names_lead_back_to_their_hardware(sizes: dict[str, float]) -> None:
    arch = GEMMINI.architecture(sizes)
    assert load_arch(arch.name) == arch
    assert load_arch("gemmini-ws", sizes) == arch


def test_gemmini_ws_has_the_figures_of_its_source() -> None:
    arch = load_arch("gemmini-ws:side=32,scratchpad_words=131072,accumulator_words=512")
    dram, scratchpad, accumulator, register = arch.memories
    assert [level.name for level in arch.levels] == [
        "DRAM", "Scratchpad", "Columns", "Accumulator", "Rows", "Register", "MAC",
    ]  # fmt: skip
    assert [fanout.mesh for fanout in arch.fanouts] == [32, 32]
    # 128 KiB, and 2 KiB per column.
    assert scratchpad.read_energy_pj == pytest.approx(0.49 + 0.02513 * 128)
    assert accumulator.write_energy_pj == pytest.approx(1.94 + 0.1005 * 2)
    assert (dram.read_energy_pj, register.read_energy_pj) == (100, 0.48746)
    assert arch.compute.mac_energy_pj == 0.5608
    # A port carries reads and writes.
    bandwidths = [2 * memory.read_bandwidth for memory in arch.memories[:3]]
    assert bandwidths == [8, 64, 2]


def test_gemmini_ws_takes_a_mapping_of_its_source() -> None:
    workload = conv2d(m=64, c=3, p=112, q=112, r=7, s=7, stride=2)
    arch = load_arch("gemmini-ws:side=32,scratchpad_words=2048,accumulator_words=128")
    loops = {
        "DRAM": "P28 Q56 M8 S7",
        "Scratchpad": "",
        "Columns": "M4",
        "Accumulator": "M2 R7 Q2",
        "Rows": "C3",
        "Register": "P4",
        "MAC": "",
    }
    levels = []
    for level in arch.levels:
        factors = tuple((loop[0], int(loop[1:])) for loop in loops[level.name].split())
        order = tuple(dict.fromkeys([d for d, _ in factors] + list(workload.dimensions)))
        levels.append(LevelMapping(level.name, factors, order if level in arch.memories else ()))
    assert violations(MapSpace(arch, workload), Mapping(tuple(levels))) == ()


@pytest.mark.parametrize(
    ("levels", "message"),
    [("", "levels: this key is required and missing"), ("levels: 3", "levels: expected a list")],
)
def test_templates_without_levels(tmp_path: Path, levels: str, message: str) -> None:
    path = tmp_path / "few.yaml"
    text = f"name: x\nparameters: {{side: 4}}\nvector_unit: {{lanes: = side}}\n{levels}\n"
    path.write_text(text)
    with pytest.raises(ArchitectureError, match=message):
        load_template(path).architecture()
