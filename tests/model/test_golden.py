"""The model against FactorFlow's own numbers, case by case.

``pytest tests -k golden --golden FILE`` checks any other file of the same format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import GoldenCase, read_golden

from toolkit.arch.levels import Memory
from toolkit.mapping import from_arrays
from toolkit.mapping.bounds import usable_words
from toolkit.mapping.space import MapSpace
from toolkit.model import FACTORFLOW, BatchCost, Conventions, batch_cost, evaluate, make_plan
from toolkit.model.compiled import CompiledModel

RELATIVE_TOLERANCE = 1e-9

ROUNDED = re.compile(r"(energy|latency|edp|spatial_util|wart|stall|cc_per_tile|ideal_bandwidth)")
"""How fields begin that are not counts, words or truths."""

Fields = dict[str, Any]


def conventions(case: GoldenCase) -> Conventions:
    return FACTORFLOW.with_settings(
        free_drains=case.settings.get("free_drains", False),
        overestimate_windows=case.settings.get("overestimate_distinct_values", False),
    )


def evaluated(case: GoldenCase) -> Fields:
    """Fields that `evaluate` gives."""
    mapping = from_arrays(case.factors, case.order, case.arch, case.workload)
    result = evaluate(
        mapping,
        case.arch,
        case.workload,
        conventions=conventions(case),
        bias_read=case.bias_read,
    )
    wart = result.utilized_flops_per_edp
    if not case.settings.get("utilization_in_wart", True):
        wart = result.flops / result.edp_pj_cycles
    return {
        "energy_pj": result.energy_pj,
        "latency_cc": result.latency_cycles,
        "edp_pj_cc": result.edp_pj_cycles,
        "spatial_utilization": result.utilization,
        "wart": wart,
        "valid": result.valid,
        "footprints": {memory.level: memory.words for memory in result.memories},
        "needed": {
            memory.level: {f"ideal_bandwidth_{k}": x for k, x in memory.ideal_bandwidth.items()}
            for memory in result.memories
        },
    }


def levels(case: GoldenCase, cost: BatchCost) -> dict[str, Fields]:
    """Fields of every memory from the batched model."""
    return {case.arch.levels[m].name: memory_fields(case, cost, m) for m in cost.plan.memories}


def memory_fields(case: GoldenCase, cost: BatchCost, m: int) -> Fields:
    role = {tensor.role: t for t, tensor in enumerate(case.workload.tensors)}
    ins, weights, outs = (cost.accesses[m, role[r]] for r in ("input", "weight", "output"))
    nest = cost.nest
    reading, writing = (
        nest.limited[p] for p, (level, _) in enumerate(cost.plan.ports) if level == m
    )
    fields = {
        "in_reads": ins.reads,
        "w_reads": weights.reads,
        "out_reads": outs.reads + outs.drains,
        "in_writes": ins.fills,
        "w_writes": weights.fills,
        "out_writes": outs.updates + outs.fills,
        "last_out_reads": outs.fills,
        "last_out_writes": outs.drains,
        "latency_read_drain": reading,
        "latency_fill_update": writing,
        "cc_per_tile": nest.levels[m].inside_cycles
        / (nest.levels[m].temporal * nest.levels[m].iterations),
        "stall_cycles": nest.levels[m].stall_cycles,
        "active_instances": nest.levels[m].active,
    }
    return {name: value.item() for name, value in fields.items()}


def compiled(case: GoldenCase) -> Fields:
    """Fields that the compiled model gives."""
    plan = make_plan(case.arch, case.workload, conventions(case), bias_read=case.bias_read)
    results = np.zeros((1, 4))
    CompiledModel(plan).cost_batch(case.factors[None], case.order[None], results)
    energy, latency, utilization, fits = results[0].tolist()
    return {
        "energy_pj": energy,
        "latency_cc": latency,
        "spatial_utilization": utilization,
        "fits": fits,
    }


def fits(case: GoldenCase) -> bool:
    """Whether the expected footprints fit."""
    return all(
        case.expected["levels"][level.name]["footprint"] <= usable_words(level)
        for level in case.arch.levels
        if isinstance(level, Memory)
    )


def differs(field: str, got: Any, expected: Any) -> bool:
    """Compare counts, words and truths exactly, other numbers up to rounding."""
    if ROUNDED.match(field.rpartition(".")[2]):
        return not math.isclose(got, expected, rel_tol=RELATIVE_TOLERANCE)
    return bool(got != expected)


def mismatches(case: GoldenCase) -> Iterator[tuple[str, Any, Any]]:
    """Yield field, got and expected wherever they differ; every expected field is compared."""
    plan = make_plan(case.arch, case.workload, conventions(case), bias_read=case.bias_read)
    cost = batch_cost(plan, case.factors[None].astype(np.float64), case.order[None])
    totals = evaluated(case)
    footprints, needed = totals.pop("footprints"), totals.pop("needed")
    expected = dict(case.expected)
    memories = expected.pop("levels")
    space = MapSpace(case.arch, case.workload, "stride_blind", outermost_supplies=True)
    checked = space.check(case.factors[None], case.order[None]).item()
    pairs = [(field, totals[field], value) for field, value in expected.items()]
    pairs.append(("MapSpace.check", checked, expected["valid"]))
    for name, fields in levels(case, cost).items():
        got = fields | {"footprint": footprints[name]} | needed[name]
        pairs += [
            (f"{name}.{field}", got[field], value) for field, value in memories[name].items()
        ]
    inputs = expected | {"fits": fits(case)}
    pairs += [(f"compiled.{field}", got, inputs[field]) for field, got in compiled(case).items()]
    return (pair for pair in pairs if differs(*pair))


def test_golden(golden_file: Path) -> None:
    failures = [
        f"{case.id}: {field}: got {got!r}, expected {expected!r}"
        for case in read_golden(golden_file)
        for field, got, expected in mismatches(case)
    ]
    assert not failures, "\n".join([f"{len(failures)} mismatches", *failures])


@pytest.mark.parametrize(
    ("name", "count"), [("golden.jsonl.gz", 905), ("golden_settings.jsonl.gz", 62)]
)
def test_golden_files_are_complete(name: str, count: int) -> None:
    cases = list(read_golden(Path(__file__).parents[1] / "data" / name))
    assert len({case.id for case in cases}) == len(cases) == count
    assert {case.expected["valid"] for case in cases} == {True, False} or "settings" in name


def test_golden_comparison_notices_a_difference() -> None:
    """One word more or a millionth of the energy is a mismatch; an unknown field an error."""
    case = next(read_golden(Path(__file__).parents[1] / "data" / "golden.jsonl.gz"))
    assert list(mismatches(case)) == []
    memory = next(iter(case.expected["levels"]))
    case.expected["levels"][memory]["w_reads"] += 1
    case.expected["energy_pj"] *= 1 + 1e-6
    fields = [field for field, _, _ in mismatches(case)]
    assert fields == ["energy_pj", f"{memory}.w_reads", "compiled.energy_pj"]
    case.expected["new"] = 1
    with pytest.raises(KeyError):
        list(mismatches(case))
