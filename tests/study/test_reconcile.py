"""The page "Comparing with other tools": what it says is what is computed and was recorded."""

from __future__ import annotations

import gzip
import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from golden import golden_case

import toolkit
from toolkit.arch.levels import Memory
from toolkit.mapping.files import mapping_from_dict
from toolkit.mapping.peers.zigzag import mapping_from_zigzag

STUDIES = Path(__file__).parents[2] / "studies"
FILES = STUDIES / "zigzag_gemmini"
PAGE = (STUDIES.parent / "docs" / "comparing_with_other_tools.md").read_text(encoding="utf-8")
RECORDED = json.loads((FILES / "recorded.json").read_text())
BASE = RECORDED["base"]
ACCELERATOR = yaml.safe_load((FILES / "accelerator.yaml").read_text())
VARIANTS = [name for name in RECORDED if name not in ("made_with", "window")]
HEADS: tuple[str, ...] = ("stall_slack_comb", "data_onloading_cycle", "data_offloading_cycle")
HEADS += ("systolic_drain_cycle", "latency_total2")


SCRIPT = SimpleNamespace(**runpy.run_path(str(STUDIES / "reconcile_gemm.py")))
EXACT: dict[str, float] = SCRIPT.ours(toolkit.EXACT)
PAID: dict[str, float] = SCRIPT.zigzags("memory_word_access")


def changed_scratchpad(**changes: Any) -> toolkit.Architecture:
    levels = [
        replace(level, **changes) if level.name == "Scratchpad" else level
        for level in SCRIPT.ARCH.levels
    ]
    return replace(SCRIPT.ARCH, levels=tuple(levels))


def latency(arch: toolkit.Architecture, conventions: toolkit.Conventions = toolkit.EXACT) -> float:
    return toolkit.evaluate(
        SCRIPT.MAPPING, arch, SCRIPT.GEMM, conventions=conventions
    ).latency_cycles


def test_the_page_shows_what_the_script_prints() -> None:
    assert f"```text\n{SCRIPT.report()}\n```\n" in PAGE


@pytest.mark.parametrize("name", VARIANTS)
def test_the_page_shows_what_zigzag_said_of_every_variant(name: str) -> None:
    run = RECORDED[name]
    cells = [f"{run['energy_total']:,.0f}", *(f"{run[head]:,.0f}" for head in HEADS)]
    assert re.search(rf"\| `{name}`: [^|]+ \| {re.escape(' | '.join(cells))} \|\n", PAGE)


def test_factorflow_itself_said_the_same_of_this_mapping() -> None:
    with gzip.open(Path(__file__).parents[1] / "data" / "golden.jsonl.gz", "rt") as lines:
        record = next(json.loads(line) for line in lines if '"mapper-gemmini-KQV"' in line)
    case, ours = golden_case(record), SCRIPT.ours(toolkit.FACTORFLOW)
    factors = [dict(level.factors) for level in SCRIPT.MAPPING.levels]
    dims = case.workload.dimensions
    theirs = [dict(zip(dims, row, strict=True)) for row in case.factors.tolist()]
    assert theirs == [{d: level.get(d, 1) for d in dims} for level in factors]
    assert ours["energy, pJ"] == pytest.approx(case.expected["energy_pj"], rel=1e-12)
    assert ours["latency, cycles"] == case.expected["latency_cc"]


def test_four_rows_explain_the_energy_of_zigzag() -> None:
    pj = {memory.name: memory.read_energy_pj for memory in SCRIPT.ARCH.memories}
    rows = {k: PAID[k] - n for k, n in EXACT.items() if k.split()[0] in pj and PAID[k] != n}
    explained = sum(more * pj[key.split()[0]] for key, more in rows.items())
    assert len(rows) == 4
    assert PAID["energy, pJ"] - EXACT["energy, pJ"] == pytest.approx(explained, rel=1e-9)


def test_zigzag_leaves_out_first_reads_of_partial_sums_but_pays_for_them() -> None:
    moved = SCRIPT.zigzags("data_elem_move_count")
    elsewhere = [key for key in EXACT if "," not in key and moved[key] != EXACT[key]]
    assert elsewhere == ["Register    weight  reads"]


def test_zigzags_latency_is_the_sum_of_its_parts() -> None:
    parts = ("ideal_temporal_cycle", *HEADS[:-1])
    assert BASE["latency_total2"] == sum(BASE[part] for part in parts)
    assert BASE["ideal_temporal_cycle"] == SCRIPT.GEMM.macs / 256
    ends = BASE["data_onloading_cycle"] + BASE["data_offloading_cycle"]
    stall = EXACT["latency, cycles"] - ends - BASE["ideal_temporal_cycle"]
    assert stall == 1_572_864
    assert stall - 17 == BASE["stall_slack_comb"]


def test_zigzag_was_given_the_same_hardware() -> None:
    theirs = ACCELERATOR["memories"]
    for memory in SCRIPT.ARCH.memories:
        given = theirs[memory.name.lower()]
        reading, writing = (port["bandwidth_max"] / 8 for port in given["ports"])
        assert (reading, writing) == (memory.read_bandwidth, memory.write_bandwidth)
        assert given["r_cost"] == pytest.approx(memory.read_energy_pj * reading)
        assert given["w_cost"] == pytest.approx(memory.write_energy_pj * writing)
        if memory.name != "DRAM":
            assert given["size"] == 8 * memory.capacity_words
    array = ACCELERATOR["operational_array"]
    assert array["sizes"] == [fanout.mesh for fanout in SCRIPT.ARCH.fanouts]
    assert array["unit_energy"] == SCRIPT.ARCH.compute.mac_energy_pj


def test_zigzag_was_given_the_same_loops() -> None:
    text = (FILES / "mapping.yaml").read_text()
    arch, gemm = SCRIPT.ARCH, SCRIPT.GEMM
    theirs = mapping_from_zigzag(text, arch, gemm)
    assert toolkit.render(theirs, arch, gemm) == toolkit.render(SCRIPT.MAPPING, arch, gemm)
    loops = [loop for level in BASE["mapping_dic_origin"]["I"] for loop in level]
    assert loops == yaml.safe_load(text)[0]["temporal_ordering"]


def test_a_wide_port_and_one_pool_stall_only_zigzag() -> None:
    pooled = replace(toolkit.STEADY, shared_ports=True)
    assert latency(changed_scratchpad(read_bandwidth=32.0), toolkit.STEADY) == 50_331_648
    assert latency(SCRIPT.ARCH, pooled) == 50_331_648
    assert RECORDED["wide"]["stall_slack_comb"] > 0
    assert RECORDED["shared"]["stall_slack_comb"] > 0


def test_double_buffering() -> None:
    doubled = changed_scratchpad(multiple_buffering=2)
    (problem,) = toolkit.evaluate(SCRIPT.MAPPING, doubled, SCRIPT.GEMM).violations
    assert "Scratchpad" in problem
    stalls = [
        RECORDED[name]["stall_slack_comb_collect"]["dram"]["r_port_1"]
        for name in ("base", "large")
    ]
    assert stalls == [737_280, 0]


@pytest.mark.parametrize("conventions", toolkit.CONVENTIONS.values(), ids=lambda c: c.name)
def test_the_window_is_kept_by_us_and_sent_again_by_zigzag(
    conventions: toolkit.Conventions,
) -> None:
    arch = toolkit.load_arch("gemmini-conv")
    work = toolkit.load_workload("conv:M=16,C=16,P=64,Q=1,R=3,S=1")
    loops: dict[str, dict[str, int]] = {level.name: {} for level in arch.levels}
    loops |= {"DRAM": {"P": 8}, "Scratchpad": {"R": 3}, "Register": {"P": 8}}
    loops |= {"SARows": {"M": 16}, "SACols": {"C": 16}}
    order = ["M", "Q", "C", "R", "S", "P"]
    levels = [
        {"level": level.name, "factors": loops[level.name]}
        | ({"order": order} if isinstance(level, Memory) else {})
        for level in arch.levels
    ]
    mapping = mapping_from_dict({"levels": levels}, arch, work)
    found = toolkit.evaluate(mapping, arch, work, conventions=conventions)
    assert found.valid
    assert [a.reads for a in found.accesses if (a.level, a.tensor) == ("DRAM", "input")] == [1056]
    assert RECORDED["window"]["data_elem_move_count"]["I"][1]["rd_out_to_low"] == 1280


def known_numbers() -> set[str]:
    """Every number of at least four digits that the page may say.

    Beside what is computed and recorded: the rows of DOSA's two published files.
    """
    macs, hops = SCRIPT.GEMM.macs, 2 * SCRIPT.GEMM.macs
    shown = set(re.findall(r"\d[\d,]*\d", SCRIPT.report()))
    values = [macs, macs / 256, 512 * 512, 16 * 512, 524_288, 2 * 524_288, 4096]
    values += [1_572_864, 737_280, 2 * (512 * 512 + 16 * 512), 1056, 1280]
    values += [12_582_912 * (64 + 2 * 4.01), hops, hops * 0.01, hops * 2 * 0.28]
    values += [RECORDED[name][k] for name in VARIANTS for k in ("energy_total", *HEADS)]
    return shown | {f"{value:,.0f}" for value in [*values, 15_000, 1_567]}


def test_the_page_says_no_number_that_nothing_computes() -> None:
    said = set(re.findall(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])", PAGE))
    assert said - known_numbers() == set()
    assert len(said) > 40
