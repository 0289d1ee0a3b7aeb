"""One mapping's evaluation: figures checked by hand, tables, violations, errors."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from oracle.strategies import Case, cases

from toolkit.arch.architecture import Architecture, Leakage
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Compute
from toolkit.errors import ArchitectureError, MappingError, PrecisionError
from toolkit.mapping import LevelMapping, Mapping, from_arrays
from toolkit.model import (
    EXACT,
    FACTORFLOW,
    TIMELOOP,
    Conventions,
    Evaluation,
    batch_cost,
    evaluate,
    make_plan,
)
from toolkit.model.conventions import map_space

from .nests import Step, accesses, conv, fanout, gemm, mapped, memory, run

DRAM = memory("dram")
BUFFER = memory("buffer")


def slow_dram() -> Evaluation:
    """Four steps n in two halves; the DRAM reads half a word per cycle."""
    dram = memory("dram", read_bandwidth=0.5, read_pj=64.0)
    return run(gemm(1, 1, 4), (dram, {"n": 2}), (memory("buffer", words=8), {"n": 2}))


def test_read_port_decides() -> None:
    """Four values of In and one of W at half a word per cycle: 10 cycles, 6 more than 4 MACs."""
    result = slow_dram()
    dram, buffer = result.memories
    assert result.latency_cycles == 10
    assert (dram.stall_cycles, buffer.stall_cycles) == (6, 0)
    assert (dram.ports[0].busy_cycles, dram.ports[0].limited_cycles) == (10, 10)
    assert dram.ideal_bandwidth["read"] == 5 / 4
    assert result.bottleneck == (
        "dram read port: reads and drains need 1.25 words per cycle and instance, 0.5 available"
    )


def test_write_port_decides() -> None:
    """The buffer receives 4 In, 1 W and 4 updates of Out at one word per cycle: 9 cycles."""
    buffer = memory("buffer", write_bandwidth=1.0)
    result = run(gemm(1, 1, 4), (DRAM, {"n": 4}), (buffer, {}))
    assert result.latency_cycles == result.memories[1].ports[1].limited_cycles == 9
    assert result.memories[1].ports[0].limited_cycles == 4
    assert result.bottleneck.startswith("buffer write port: updates and fills need 2.25 words")


def test_bandwidth_is_per_instance() -> None:
    """Each of two buffers reads 2 In and 2 W and drains 2 Out for its 2 MACs.

    That is 6 words, and 12 cycles at half a word per cycle.
    """
    buffer = memory("buffer", read_bandwidth=0.5)
    result = run(gemm(2, 1, 2), (DRAM, {}), (fanout(2), {"m": 2}), (buffer, {"n": 2}))
    assert result.latency_cycles == 12
    assert result.memories[1].ideal_bandwidth["read"] == 4 / 2
    assert result.memories[1].ideal_bandwidth["drain"] == 2 / 2


def test_the_outermost_stall_hides_inner_ones() -> None:
    """The buffer reads 4 In, 4 W and 3 sums and drains 1: 12 words at 0.75, 16 cycles.

    The DRAM, with 8 words at a quarter, takes 32 whatever happens inside.
    """
    dram = memory("dram", read_bandwidth=0.25)
    buffer = memory("buffer", read_bandwidth=0.75)
    result = run(gemm(1, 4, 1), (dram, {"k": 4}), (buffer, {}))
    assert result.memories[1].ports[0].limited_cycles == 16
    assert result.latency_cycles == 32
    assert result.memories[0].stall_cycles == 16
    assert result.bottleneck.startswith("dram read port: reads and drains need 0.5 words")


def test_compute_decides() -> None:
    """Six steps of three cycles, and two hops."""
    mac = Compute("mac", 1.0, cycles=3)
    steps: tuple[Step, ...] = (
        (DRAM, {"n": 6}),
        (fanout(4, pe_to_pe=True), {"m": 3}),
        (BUFFER, {}),
        (mac, {}),
    )
    result = run(gemm(3, 1, 6), *steps)
    assert result.latency_cycles == 6 * 3 + 2
    assert result.bottleneck == "mac: no memory stalls; plus 2 cycles of hops"
    assert result.utilization == 3 / 4


@pytest.mark.parametrize(("gating", "powered"), [(True, 2), (False, 4)])
def test_leakage_of_idle_instances(gating: bool, powered: int) -> None:
    """Two of four rows work for three cycles; buffers leak 5, MACs 7 and the DRAM 11."""
    mac = Compute("mac", 1.0, leakage_pj_per_cycle=7.0)
    result = run(
        gemm(2, 1, 3),
        (memory("dram", leakage=11.0), {"n": 3}),
        (fanout(4, power_gating=gating), {"m": 2}),
        (memory("buffer", leakage=5.0), {}),
        (mac, {}),
    )
    leaked = [entry.leakage_pj for entry in result.energies]
    assert leaked == [11 * 3, 5 * 3 * powered, 7 * 3 * powered]


@pytest.mark.parametrize(
    ("leakage", "powered", "macs"),
    [
        (Leakage("used"), 2, 2),
        (Leakage("all", macs=False), 4, 0),
        (Leakage("used", macs=False), 2, 0),
    ],
)
def test_leakage_as_the_architecture_says(leakage: Leakage, powered: int, macs: int) -> None:
    """The case above, with a rule for the whole architecture."""
    mac = Compute("mac", 1.0, leakage_pj_per_cycle=7.0)
    dram, rows = memory("dram", leakage=11.0), fanout(4)
    arch = Architecture("a", (dram, rows, memory("buffer", leakage=5.0), mac), leakage=leakage)
    mapping = Mapping(
        tuple(
            LevelMapping(level.name, tuple(factors.items()))
            for level, factors in zip(arch.levels, ({"n": 3}, {"m": 2}, {}, {}), strict=True)
        )
    )
    result = evaluate(mapping, arch, gemm(2, 1, 3))
    leaked = [entry.leakage_pj for entry in result.energies]
    assert leaked == [11 * 3, 5 * 3 * powered, 7 * 3 * macs]


def test_energy_of_a_few_words() -> None:
    """The DRAM reads 5 words at 64 pJ and receives 4 outputs.

    The buffer receives 5 words and 4 updates and reads 4 In, 4 W and 4 Out to drain; 4 MACs.
    """
    result = slow_dram()
    assert [entry.energy_pj for entry in result.energies] == [5 * 64 + 4, 9 + 12, 4]
    assert result.energy_pj == 349
    assert result.edp_pj_cycles == 3490
    assert result.utilized_flops_per_edp == 8 / 3490


def test_area_of_all_instances() -> None:
    """Two clusters of three: outer network 100, inner 2 * 10, buffers and MACs 6 * (5 + 1)."""
    outer = replace(fanout(2), name="outer", area_um2=100.0)
    inner = replace(fanout(3), area_um2=10.0)
    buffer = replace(BUFFER, area_um2=5.0)
    mac = Compute("mac", 1.0, area_um2=1.0)
    steps: tuple[Step, ...] = (DRAM, {"m": 2}), (outer, {}), (inner, {}), (buffer, {}), (mac, {})
    result = run(gemm(2, 1, 1), *steps)
    assert result.area_um2 == 100 + 2 * 10 + 6 * (5 + 1)
    assert result.notes == ("the area lacks dram: no area given",)
    assert (slow_dram().area_um2, slow_dram().notes) == (None, ())


def test_access_table() -> None:
    table = slow_dram().access_table()
    assert list(table.columns) == [
        "level",
        "tensor",
        "used_instances",
        "reads_total_words",
        "updates_total_words",
        "fills_total_words",
        "drains_total_words",
        "energy_total_pj",
    ]
    assert table.to_numpy().tolist() == [
        ["dram", "In", 1, 4, 0, 0, 0, 256.0],
        ["dram", "W", 1, 1, 0, 0, 0, 64.0],
        ["dram", "Out", 1, 0, 4, 0, 0, 4.0],
        ["buffer", "In", 1, 4, 0, 4, 0, 8.0],
        ["buffer", "W", 1, 4, 0, 1, 0, 5.0],
        ["buffer", "Out", 1, 0, 4, 0, 4, 8.0],
    ]
    assert table["reads_total_words"].dtype == np.int64


def test_access_table_leaves_bypassed_tensors_out() -> None:
    result = run(gemm(2, 1, 1), (DRAM, {"m": 2}), (memory("buffer", "W", "input"), {}))
    table = result.access_table()
    assert table[table["level"] == "buffer"]["tensor"].tolist() == ["Out"]


def test_level_table() -> None:
    """Without limits a cell is missing; 2 In, 1 W and 2 Out fill 5 of 8 words."""
    table = slow_dram().level_table().set_index("level")
    assert table.loc["dram", "used_words_per_instance"] == 9
    assert table["capacity_words_per_instance"].isna().tolist() == [True, False]
    assert table.loc["buffer", "capacity_words_per_instance"] == 8
    assert table.loc["buffer", "capacity_used_percent"] == 62.5
    assert table.loc["dram", "stall_cycles_of_run"] == 6
    assert table.loc["dram", "available_read_port_words_per_cycle_per_instance"] == 0.5
    assert table.loc["dram", "ideal_read_words_per_cycle_per_instance"] == 1.25
    assert table.loc["buffer", "ideal_fill_words_per_cycle_per_instance"] == 1.25


def test_energy_table() -> None:
    table = slow_dram().energy_table()
    assert table["level"].tolist() == ["dram", "buffer", "mac"]
    assert table["access_energy_total_pj"].tolist() == [324, 21, 4]
    assert table["share_percent"].tolist() == pytest.approx([32400 / 349, 2100 / 349, 400 / 349])


def test_multiple_buffering_halves_what_is_usable() -> None:
    buffer = replace(memory("buffer", words=8), multiple_buffering=2.0)
    result = run(gemm(1, 1, 4), (DRAM, {"n": 2}), (buffer, {"n": 2}))
    assert result.memories[1].usable_words == 4
    assert result.violations == ("buffer: footprint 5 words > 4 usable (8 / 2 copies)",)
    assert not result.valid


def test_violations_are_named_and_costed_anyway() -> None:
    """Three instances of two, a constraint broken, a dimension that may not be unrolled."""
    mesh = replace(fanout(2), dimensions=("m",))
    dram = replace(DRAM, constraints=(FactorConstraint("n", "<=", 2),))
    result = run(gemm(3, 2, 4), (dram, {"n": 4}), (mesh, {"m": 3, "k": 2}), (BUFFER, {}))
    assert result.violations == (
        "dram: factor 4 of n breaks the constraint n <= 2",
        "fanout: unrolls k by 2 but may unroll m",
        "fanout: uses 6 instances (m 3 x k 2) but its mesh is 2",
    )
    assert result.macs == 24
    assert result.utilization == 3


def test_factors_must_reach_the_sizes() -> None:
    with pytest.raises(MappingError, match="factors of m multiply to 4 but m is 5"):
        run(gemm(5, 1, 1), (DRAM, {"m": 2}), (BUFFER, {"m": 2}))


def test_no_whole_iteration_may_have_nothing_to_do() -> None:
    run(gemm(5, 1, 1), (DRAM, {"m": 3}), (BUFFER, {"m": 2}))
    with pytest.raises(
        MappingError, match="3 times over m in tiles of 2, but 2 times reach its 4"
    ):
        run(gemm(4, 1, 1), (DRAM, {"m": 3}), (BUFFER, {"m": 2}))


def test_factors_must_multiply_to_the_sizes_where_only_whole_tiles_count() -> None:
    with pytest.raises(MappingError, match="factors of m multiply to 6 but m is 5"):
        run(gemm(5, 1, 1), (DRAM, {"m": 3}), (BUFFER, {"m": 2}), conventions=FACTORFLOW)


def test_factors_that_wrap_around_64_bits_are_refused() -> None:
    with pytest.raises(MappingError, match=f"in tiles of {2**62}, but 1 times reach its 1"):
        run(gemm(1, 1, 1), (DRAM, {"m": 2**62}), (BUFFER, {"m": 2**62}))


def test_a_tensor_needs_a_holder() -> None:
    with pytest.raises(ArchitectureError, match="no memory holds the tensor 'W'"):
        run(gemm(1, 1, 1), (memory("dram", "W"), {}), (memory("buffer", "weight"), {}))


def test_costs_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PrecisionError, match="case: the energy of dram is not a finite number"):
        run(gemm(4, 4, 4), (memory("dram", read_pj=1e308), {"m": 4, "k": 4, "n": 4}))


def test_sum_of_energies_that_overflows_is_refused() -> None:
    """The top reads one W, the DRAM one W and one In."""
    top, dram = memory("top", "In", read_pj=1e308), memory("dram", read_pj=5e307)
    with pytest.raises(PrecisionError, match="case: the energy is not a finite number"):
        run(gemm(1, 1, 1), (top, {}), (dram, {}))


def test_evaluations_are_values() -> None:
    result = slow_dram()
    with pytest.raises(FrozenInstanceError):
        result.energy_pj = 0.0  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(result)) == result == slow_dram()


def test_to_dict_is_json() -> None:
    result = slow_dram()
    text = json.dumps(result.to_dict(), allow_nan=False)
    read = json.loads(text)
    assert read == result.to_dict()
    assert read["macs"] == 4
    assert read["energy_total_pj"] == 349
    assert read["accesses"][0]["reads_total_words"] == 4
    assert isinstance(read["accesses"][0]["reads_total_words"], int)
    assert read["memories"][0]["capacity_words_per_instance"] is None
    bandwidth = "available_read_port_words_per_cycle_per_instance"
    assert (read["memories"][0][bandwidth], read["memories"][1][bandwidth]) == (0.5, None)
    assert read["mapping"]["levels"][0]["factors"] == {"n": 2}


def test_json_and_tables_use_the_same_names() -> None:
    result = slow_dram()
    tables = {
        "accesses": result.access_table(),
        "memories": result.level_table(),
        "energies": result.energy_table(),
    }
    for key, table in tables.items():
        for entry in result.to_dict()[key]:
            assert list(entry) == list(table.columns)


SCOPED = ("_total", "_total_words", "_total_pj", "_per_instance", "_of_run", "_percent")


def test_every_figure_names_its_scope() -> None:
    """What is neither a name nor a number of instances says what it is a sum or share of."""
    names = {"level", "tensor", "used_instances", "shared_port"}
    record = slow_dram().to_dict()
    for key in ("accesses", "memories", "energies"):
        for name in set(record[key][0]) - names:
            assert name.endswith(SCOPED), name


def test_shared_ports_move_everything_at_both_bandwidths() -> None:
    """The buffer sends 4 In and 4 W and receives 4 In, 1 W, 4 updates and 4 zeros to start from.

    That is 21 words at 0.5 + 1.5 words per cycle.
    """
    buffer = memory("buffer", read_bandwidth=0.5, write_bandwidth=1.5)
    result = run(gemm(1, 1, 4), (DRAM, {"n": 4}), (buffer, {}), conventions=TIMELOOP)
    (port,) = result.memories[1].ports
    assert (port.port.bandwidth, port.needed_bandwidth) == (2, 21 / 4)
    assert port.busy_cycles == port.limited_cycles == 21 / 2
    assert result.latency_cycles == 11
    assert result.bottleneck.startswith("buffer port: reads, drains, updates and fills need")


def test_one_memory_shares_its_port() -> None:
    """The DRAM sends 4 In and 1 W and receives 4 Out at a word per cycle and direction: 9 at 2."""
    dram = memory("dram", read_bandwidth=1.0, write_bandwidth=1.0)
    apart = run(gemm(1, 1, 4), (dram, {"n": 4}), (BUFFER, {}))
    shared = run(gemm(1, 1, 4), (replace(dram, shared_port=True), {"n": 4}), (BUFFER, {}))
    assert (apart.latency_cycles, shared.latency_cycles) == (5, 4.5)
    assert [len(use.ports) for use in shared.memories] == [1, 2]
    assert shared.level_table()["shared_port"].tolist() == [True, False]
    assert shared.bottleneck.startswith("dram port: reads, drains, updates and fills need 2.25")


def test_free_energy_has_no_share() -> None:
    free = memory("dram", read_pj=0.0, write_pj=0.0)
    result = run(gemm(1, 1, 1), (free, {}), (Compute("mac", 0.0), {}))
    assert result.energy_pj == 0
    assert [entry.share for entry in result.energies] == [0, 0]
    assert result.utilized_flops_per_edp == math.inf
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
@given(case=cases())
def test_evaluate_agrees_with_the_batch(conventions: Conventions, case: Case) -> None:
    """Totals agree, parts add up to them, and a drawn mapping that splits no sums is valid."""
    arch, workload, factors, order, bias_read = case
    result = evaluate(
        from_arrays(factors, order, arch, workload),
        arch,
        workload,
        conventions=conventions,
        bias_read=bias_read,
    )
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    cost = batch_cost(plan, factors[None].astype(np.float64), order[None])
    apart = map_space(arch, workload, conventions, "perfect").keeping.unsummed
    assert result.valid == (not (factors > 1)[apart].any())
    assert result.energy_pj == pytest.approx(cost.energy_pj.item(), rel=1e-12)
    assert result.latency_cycles == cost.latency_cycles.item()
    assert result.utilization == cost.utilization.item()
    assert math.fsum(result.energy_table()["energy_total_pj"]) == result.energy_pj
    assert math.fsum(e.share for e in result.energies) == pytest.approx(1, rel=1e-12)
    by_level = {memory.level: 0.0 for memory in result.memories}
    for entry in result.accesses:
        by_level[entry.level] += entry.energy_pj
    for level in result.energies[:-1]:
        assert by_level[level.level] == pytest.approx(level.access_pj, rel=1e-12)
    for use in result.memories:
        for port in use.ports:
            assert port.busy_cycles <= port.limited_cycles * (1 + 1e-12)
    stalls = any(use.stall_cycles > 0 for use in result.memories)
    assert stalls != result.bottleneck.startswith(f"{arch.compute.name}: no memory stalls")


def test_biases_are_read_on_request() -> None:
    steps: tuple[Step, ...] = (DRAM, {"m": 2}), (BUFFER, {})
    plain = run(gemm(2, 1, 1), *steps)
    biased = run(gemm(2, 1, 1), *steps, bias_read=True)
    assert [accesses(r, "dram", "Out").reads for r in (plain, biased)] == [0, 2]


def test_a_loop_order_left_out_is_the_workloads_own() -> None:
    mapping, arch, work = mapped(conv(4, 3, "p+r"), (DRAM, {"p": 4, "r": 3}), (BUFFER, {}))
    bare = replace(mapping, levels=tuple(replace(e, order=()) for e in mapping.levels))
    ordered = replace(
        mapping, levels=tuple(replace(e, order=("m", "p", "r")) for e in mapping.levels)
    )
    left, right = (evaluate(m, arch, work) for m in (bare, ordered))
    assert left.to_dict() == {**right.to_dict(), "mapping": left.to_dict()["mapping"]}


def test_evaluating_needs_no_heavy_imports() -> None:
    """Tables alone need pandas; torch and numba belong to searches."""
    code = (
        "import sys, toolkit.model; "
        "print(sorted({'pandas', 'torch', 'numba', 'optuna'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("level", "figure", "value"),
    [
        (0, "read_bandwidth", 0.0),
        (0, "write_bandwidth", -1.0),
        (0, "read_energy_pj", -1.0),
        (1, "capacity_words", 0),
        (1, "multiple_buffering", 0.5),
        (1, "leakage_pj_per_cycle", float("nan")),
        (2, "mac_energy_pj", -0.5),
        (2, "cycles", 0),
        (2, "mesh", 0),
    ],
)
def test_figures_that_no_hardware_has_are_refused(level: int, figure: str, value: float) -> None:
    good = run(gemm(4, 1, 1), (DRAM, {"m": 4}), (BUFFER, {}))
    levels = list(good.arch.levels)
    levels[level] = replace(levels[level], **{figure: value})
    arch = replace(good.arch, levels=tuple(levels))
    with pytest.raises(ArchitectureError, match=rf"levels\[{level}\]\.{figure}: .* {value}; exp"):
        evaluate(good.mapping, arch, good.workload)
