"""AccelForge's architectures."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from mutations import mutated

import toolkit
from toolkit.arch import Fanout, load_arch
from toolkit.arch.peers import own_form
from toolkit.arch.schema import ArchitectureFile
from toolkit.errors import ArchitectureError
from toolkit.peer_files import ACCELFORGE_TAGS, TIMELOOP_TAGS
from toolkit.records import validate
from toolkit.yaml_files import parse_yaml

ARCH = """
{% set SIZE = SIZE | default("64*8*1024") %}
arch:
  nodes:
  - !Memory
    name: Main
    size: inf
    leak_power: 0
    actions:
    - {name: read, energy: 7e-12, throughput: 8 * 32e9}
    - {name: write, energy: 7e-12, throughput: 8 * 32e9}
    tensors: {keep: ~Intermediates, may_keep: All}
  - !Memory
    name: Buffer
    size: {{SIZE}}
    leak_power: 0.002
    area: 2e-6
    total_latency: max(a.n_calls / a.throughput for a in actions)
    actions:
    - {name: read, energy: 4e-12, throughput: 1e9, bits_per_action: 64}
    - {name: write, energy: 8e-12, throughput: 2e9, bits_per_action: 64}
    tensors: {keep: ~Main, may_keep: All}
  - !Container
    name: PE
    spatial:
    - {name: rows, fanout: 4, reuse: input, min_usage: 1}
    - {name: columns, fanout: 2 * 4, reuse: output}
  - !Memory
    name: Register
    size: weight.bits_per_value if weight else 0
    component_class: Dummy
    tensors: {keep: weight}
  - !Compute
    name: Scalar
    actions: [{name: compute, energy: 0, throughput: 1}]
    enabled: len(All) == 2
  - !Compute
    name: MAC
    actions: [{name: compute, energy: 1e-13, throughput: 1e9}]
    enabled: len(All) == 3
"""


def write(folder: Path, *changes: tuple[str, str]) -> str:
    text = ARCH
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "arch.yaml").write_text(text)
    return str(folder / "arch.yaml")


def test_units_become_words_and_cycles(tmp_path: Path) -> None:
    main, buffer, register = load_arch(write(tmp_path)).memories
    assert main.read_energy_pj == pytest.approx(56.0)
    assert main.read_bandwidth + main.write_bandwidth == pytest.approx(32.0)
    assert buffer.capacity_words == 65536
    assert (buffer.read_energy_pj, buffer.write_energy_pj) == pytest.approx((0.5, 1.0))
    assert (buffer.read_bandwidth, buffer.write_bandwidth) == pytest.approx((8.0, 16.0))
    assert buffer.leakage_pj_per_cycle == pytest.approx(2.0)
    assert buffer.area_um2 == pytest.approx(2e6)
    assert (register.capacity_words, register.read_energy_pj) == (1, 0.0)
    assert load_arch(write(tmp_path)).levels[-1].mac_energy_pj == pytest.approx(0.1)  # type: ignore[union-attr]
    wide = load_arch(write(tmp_path) + ":bits=16").memories[1]
    assert (wide.capacity_words, wide.read_energy_pj) == (32768, pytest.approx(1.0))


def test_sets_say_who_holds_what(tmp_path: Path) -> None:
    _, buffer, register = load_arch(write(tmp_path)).memories
    assert set(buffer.may_bypass) == {"input", "weight", "output"} and not buffer.bypasses
    assert set(register.bypasses) == {"input", "output"} and not register.may_bypass
    kept = load_arch(write(tmp_path, ("keep: ~Main, may_keep: All", "keep: All - weight")))
    assert kept.memories[1].bypasses == ("weight",)


def test_reuse_says_what_an_array_unrolls(tmp_path: Path) -> None:
    rows, columns = (lv for lv in load_arch(write(tmp_path)).levels if isinstance(lv, Fanout))
    assert (rows.mesh, rows.dimensions) == (4, ("M",))
    assert (columns.mesh, columns.dimensions) == (8, ("K", "C", "R", "S"))
    lone = load_arch(write(tmp_path, ("fanout: 4, reuse: input", "fanout: 4, may_reuse: Nothing")))
    assert lone.fanouts[0].dimensions == ("B", "G")


def test_a_template_takes_parameters(tmp_path: Path) -> None:
    assert load_arch(write(tmp_path) + ":SIZE=8192").memories[1].capacity_words == 1024


def test_workloads_of_accelforge_run_on_it(tmp_path: Path) -> None:
    arch = load_arch(write(tmp_path))
    for workload in ("gemm:M=16,K=8,N=4", "conv:M=16,C=8,P=7,Q=7,R=3,S=3"):
        problem = toolkit.make_problem(arch, toolkit.load_workload(workload))
        found = toolkit.search_mappings(problem, "random", budget=toolkit.Budget(evaluations=10))
        assert found.evaluations > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("!Container", "!Toll", "!Toll is not part of one hierarchy of memories; expected"),
        ("len(All) == 2", "len(All) == 3", "one compute unit, innermost, found Scalar, MAC"),
        ("len(All) == 2", "x == 2", "enabled: expected true, false or such as"),
        ("keep: weight}", "keep: weight ^ input}", "expected tensors such as input | output"),
        ("keep: weight}", "keep: ~Buffer}", "what Buffer holds depends on the mapping"),
        ("fanout: 4", "fanout: four", "fanout: expected a number, inf or arithmetic, got 'four'"),
        ("reuse: output", "reuse: All", "its reuse leaves no dimension to unroll"),
        ("keep: ~Intermediates, may_keep: All", "keep: input", "has to hold all tensors"),
        ("component_class: Dummy", "component_class: SRAM", "no energy for 'Register': AccelFo"),
        ("size: inf", "size: 4", "4 bits hold no value of 8 bits"),
        ("name: PE", "nam: PE", r"nam: unknown key \(did you mean 'name'"),
    ],
)
def test_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message.replace("|", r"\|")):
        load_arch(write(tmp_path, (old, new)))


PLAIN = parse_yaml(
    ARCH.partition("%}")[2].replace("{{SIZE}}", "64 * 8").encode(),
    source="plain",
    tags=(*ACCELFORGE_TAGS, *TIMELOOP_TAGS),
)


@given(mutated(PLAIN))
def test_broken_architectures_are_read_or_refused(data: object) -> None:
    try:
        translated, _ = own_form(data, "plain", {})
        validate(ArchitectureFile, translated, source="plain", error=ArchitectureError)
    except ArchitectureError as error:
        assert str(error).startswith("plain: ")
