"""The compiled model against the batched one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from oracle.strategies import architectures, mappings, workloads

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.mapping.bounds import usable_words
from toolkit.mapping.mapping import IntArray
from toolkit.model import (
    EXACT,
    FACTORFLOW,
    TIMELOOP,
    TIMELOOP_4,
    Conventions,
    batch_cost,
    make_plan,
)
from toolkit.model.compiled import CompiledModel
from toolkit.model.conventions import map_space
from toolkit.workload.kernel import Workload

many = examples(50)

switches = st.fixed_dictionaries(
    {"free_drains": st.booleans(), "overestimate_windows": st.booleans()}
)

Batch = tuple[Architecture, Workload, IntArray, IntArray, bool]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Draw up to twelve mappings of one workload on an architecture with finite memories."""
    workload = draw(workloads())
    arch = draw(architectures(workload))
    pairs = [draw(mappings(arch, workload)) for _ in range(draw(st.integers(1, 12)))]
    levels = tuple(
        replace(
            level,
            capacity_words=draw(st.one_of(st.none(), st.integers(1, 200))),
            multiple_buffering=draw(st.sampled_from((1.0, 2.0, 1.5))),
            values_per_wordline=draw(st.integers(1, 5)),
        )
        if isinstance(level, Memory)
        else level
        for level in arch.levels
    )
    factors, order = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return replace(arch, levels=levels), workload, factors, order, draw(st.booleans())


def compiled_costs(batch: Batch, conventions: Conventions) -> np.ndarray:
    arch, workload, factors, order, bias_read = batch
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    results = np.full((len(factors), 4), np.nan)
    CompiledModel(plan).cost_batch(factors, order, results)
    return results


@pytest.mark.parametrize("base", [EXACT, FACTORFLOW, TIMELOOP, TIMELOOP_4], ids=lambda c: c.name)
@many
@given(batch=batches(), setting=switches)
def test_same_costs(base: Conventions, batch: Batch, setting: dict[str, bool]) -> None:
    arch, workload, factors, order, bias_read = batch
    conventions = base.with_settings(**setting)
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    expected = batch_cost(plan, factors.astype(np.float64), order)
    got = compiled_costs(batch, conventions)
    np.testing.assert_allclose(got[:, 0], expected.energy_pj, rtol=1e-12)
    np.testing.assert_allclose(got[:, 1], expected.latency_cycles, rtol=1e-12)
    np.testing.assert_allclose(got[:, 2], expected.utilization, rtol=1e-12)


@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
@given(batch=batches())
def test_same_fit(conventions: Conventions, batch: Batch) -> None:
    arch, workload, factors, _, _ = batch
    words = map_space(arch, workload, conventions, "perfect").footprints(factors)
    usable = [usable_words(memory) for memory in arch.memories]
    fits = (words <= usable).all(axis=1)
    assert compiled_costs(batch, conventions)[:, 3].tolist() == fits.tolist()


@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW, TIMELOOP], ids=lambda c: c.name)
@given(batch=batches())
def test_one_mapping_as_in_a_batch(conventions: Conventions, batch: Batch) -> None:
    """To the last digit: batches are costed several mappings at once, the last ones twice."""
    arch, workload, factors, order, bias_read = batch
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    model, alone = CompiledModel(plan), np.full((len(factors), 4), np.nan)
    for row in range(len(factors)):
        one = slice(row, row + 1)
        model.cost_batch(factors[one], order[one], alone[one])
    assert alone.tolist() == compiled_costs(batch, conventions).tolist()
