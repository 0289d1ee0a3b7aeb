from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.arch import (
    Architecture,
    Compute,
    FactorConstraint,
    Fanout,
    Leakage,
    Memory,
    MemoryPort,
    Wires,
    arch_to_yaml,
    load_arch,
)
from toolkit.arch.levels import Layout, Overlap
from toolkit.arch.ports import TRAFFIC
from toolkit.errors import ArchitectureError

AMOUNTS = st.floats(0, 1e12)
BANDWIDTHS = st.floats(1e-9, 1e12)
AREAS = st.none() | AMOUNTS
DIMENSIONS = st.lists(st.sampled_from(["M", "K", "N", "NO", "x_1"]), unique=True)
BYPASSES = st.lists(st.sampled_from(["input", "weight", "bias", "on", "a: b"]), unique=True)


@st.composite
def constraints(draw: st.DrawFn, dimensions: list[str]) -> tuple[FactorConstraint, ...]:
    found = []
    for dimension in draw(st.sets(st.sampled_from(dimensions))) if dimensions else ():
        low, high = sorted(draw(st.lists(st.integers(1, 2**31), min_size=2, max_size=2)))
        found += draw(
            st.sampled_from(
                [
                    [FactorConstraint(dimension, "==", low)],
                    [FactorConstraint(dimension, "<=", high)],
                    [
                        FactorConstraint(dimension, ">=", low),
                        FactorConstraint(dimension, "<=", high),
                    ],
                ]
            )
        )
    return tuple(found)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    orders = st.sampled_from([(), ("M", "K"), ("N", "K", "M")])
    same = draw(orders)
    return (
        Layout(same, same, same)
        if draw(st.booleans())
        else Layout(*draw(st.tuples(*3 * [orders])))
    )


@st.composite
def memories(draw: st.DrawFn, name: str) -> Memory:
    word_bits = draw(st.none() | st.integers(1, 4096))
    bypasses = () if name == "L0" else tuple(draw(BYPASSES))
    free = () if name == "L0" else tuple(draw(BYPASSES))
    memory = Memory(
        name=name,
        capacity_words=draw(st.none() | st.integers(1, 2**63 - 1)),
        read_energy_pj=draw(AMOUNTS),
        write_energy_pj=draw(AMOUNTS),
        read_bandwidth=draw(BANDWIDTHS),
        write_bandwidth=draw(BANDWIDTHS),
        leakage_pj_per_cycle=draw(AMOUNTS),
        bypasses=bypasses,
        word_bits=word_bits,
        packed=word_bits is None or draw(st.booleans()),
        multiple_buffering=draw(st.floats(1, 8)),
        multiple_reuses=draw(st.booleans()),
        constraints=draw(constraints(["M", "K"])),
        loop_order=draw(st.sampled_from([(), ("M", "K"), ("N", "_", "_", "NO")])),
        area_um2=draw(AREAS),
        values_per_wordline=draw(st.integers(1, 2**31)),
        shared_port=draw(st.booleans()),
        may_bypass=tuple(name for name in free if name not in bypasses),
        overlap=draw(st.sampled_from(get_args(Overlap))),
        whole_wordlines=draw(st.booleans()),
    )
    if name == "L0":
        memory = replace(
            memory, burst_words=draw(st.sampled_from((1, 2, 33))), layout=draw(layouts())
        )
    if draw(st.booleans()):
        return memory
    served = [TRAFFIC, *draw(st.lists(st.sampled_from([("reads",), ("reads", "fills")])))]
    ports = (MemoryPort(f"p: {i}", kinds, draw(BANDWIDTHS)) for i, kinds in enumerate(served))
    return replace(
        memory, read_bandwidth=0.0, write_bandwidth=0.0, shared_port=False, ports=tuple(ports)
    )


@st.composite
def fanouts(draw: st.DrawFn, name: str) -> Fanout:
    dimensions = draw(DIMENSIONS.filter(bool))
    multicast, reduction = draw(st.booleans()), draw(st.booleans())
    return Fanout(
        name=name,
        mesh=draw(st.integers(1, 2**31)),
        dimensions=tuple(dimensions),
        multicast=multicast,
        reduction=reduction,
        selective_multicast=multicast and draw(st.booleans()),
        selective_reduction=reduction and draw(st.booleans()),
        pe_to_pe=draw(st.booleans()),
        power_gating=draw(st.booleans()),
        constraints=draw(constraints(dimensions)),
        area_um2=draw(AREAS),
        wires=draw(st.none() | wires(multicast, reduction)),
    )


@st.composite
def wires(draw: st.DrawFn, multicast: bool, reduction: bool) -> Wires:
    """Draw figures; where each instance is served on its own, that is unicast."""
    alone, unlimited = draw(AMOUNTS), st.just(math.inf)
    return Wires(
        alone,
        draw(AMOUNTS) if multicast else alone,
        draw(AMOUNTS) if reduction else alone,
        draw(BANDWIDTHS | unlimited),
        draw(BANDWIDTHS | unlimited),
        draw(st.none() | st.integers(1, 64)),
    )


@st.composite
def computes(draw: st.DrawFn, name: str) -> Compute:
    dimensions = draw(DIMENSIONS)
    table = tuple(sorted(draw(st.dictionaries(st.integers(1, 128), AMOUNTS)).items()))
    word_bits = draw(st.sampled_from([None, *(bits for bits, _ in table)])) if table else None
    energy = dict(table)[word_bits or table[-1][0]] if table else draw(AMOUNTS)
    return Compute(
        name=name,
        mac_energy_pj=energy,
        word_bits=word_bits,
        energies_by_bits=table,
        cycles=draw(st.integers(1, 9)),
        mesh=draw(st.integers(1, 9)),
        dimensions=tuple(dimensions),
        leakage_pj_per_cycle=draw(AMOUNTS),
        constraints=draw(constraints(dimensions)),
        area_um2=draw(AREAS),
        multicast=draw(st.booleans()),
        reduction=draw(st.booleans()),
    )


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    middle = [
        draw(memories(f"L{i}") | fanouts(f"L{i}")) for i in range(1, draw(st.integers(1, 4)))
    ]
    name = draw(st.sampled_from(["tiny", "no", "a: b # c", "1e5", "é"]))
    levels = (draw(memories("L0")), *middle, draw(computes("MAC")))
    gated = any(isinstance(level, Fanout) and level.power_gating for level in levels)
    instances = draw(st.sampled_from([None, "used", None if gated else "all"]))
    leakage = Leakage(instances, draw(st.booleans()))
    clock = draw(st.none() | st.floats(1e-6, 1e9))
    return Architecture(name, levels, clock_mhz=clock, leakage=leakage)


@given(arch=architectures())
def test_round_trip(arch: Architecture, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("a") / "a.yaml"
    path.write_text(arch_to_yaml(arch), encoding="utf-8")
    assert load_arch(path) == arch


DRAM = Memory("DRAM", None, 64.0, 64.0, 4.0, 4.0)
ROWS = Fanout("Rows", 4, ("M",))
MAC = Compute("MAC", 0.2)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (
            Architecture("t", (replace(DRAM, read_energy_pj=-1.0), MAC)),
            r"levels\[0\]\.read_energy",
        ),
        (
            Architecture("t", (replace(DRAM, read_bandwidth=0.0), MAC)),
            "read_bandwidth_words_per_cycle",
        ),
        (Architecture("t", (DRAM, replace(MAC, mac_energy_pj=float("nan")))), "finite number"),
        (Architecture("t", (DRAM, replace(ROWS, mesh=0), MAC)), r"levels\[1\]\.mesh"),
        (Architecture("t", (DRAM, replace(ROWS, dimensions=("a b",)), MAC)), "dimensions"),
        (Architecture("", (DRAM, MAC)), "name: expected 1 to 500"),
        (Architecture("\ud800", (DRAM, MAC)), "not valid YAML"),
    ],
)
def test_what_a_file_may_not_hold_is_not_written(arch: Architecture, message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        arch_to_yaml(arch)


def test_names_and_paths() -> None:
    assert load_arch("eyeriss").name == "eyeriss"
    with pytest.raises(ArchitectureError, match="eyeriss: no such file"):
        load_arch(Path("eyeriss"))
    with pytest.raises(ArchitectureError, match="eyeriss.yaml: no such file"):
        load_arch("eyeriss.yaml")


def test_files_need_no_suffix(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    path.write_text(arch_to_yaml(load_arch("tpu")), encoding="utf-8")
    assert load_arch(str(path)) == load_arch("tpu")


@pytest.mark.parametrize("name", ["", "zzz", "../archs/eyeriss", "/dev/zero", "\0", "x" * 9999])
def test_unknown_names_list_the_known(name: str) -> None:
    with pytest.raises(
        ArchitectureError, match="unknown .*one of eyeriss, eyeriss-chip, eyeriss-conv"
    ) as caught:
        load_arch(name)
    assert len(str(caught.value)) < 350


def test_near_names_are_suggested() -> None:
    with pytest.raises(ArchitectureError, match="did you mean 'gemmini-conv'"):
        load_arch("Gemini-conv")
