"""The batched model on torch tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from oracle.strategies import Case, cases

from toolkit.model import EXACT, FACTORFLOW, Conventions, batch_cost, make_plan
from toolkit.model.plan import Plan

from .nests import fanout, gemm, mapped, memory


@pytest.mark.parametrize("conventions", [EXACT, FACTORFLOW], ids=lambda c: c.name)
@given(case=cases())
def test_torch_counts_as_numpy_does(conventions: Conventions, case: Case) -> None:
    arch, workload, factors, order, bias_read = case
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    expected = batch_cost(plan, factors[None].astype(np.float64), order[None])
    got = batch_cost(
        plan, torch.tensor(factors[None], dtype=torch.float64), torch.tensor(order[None])
    )
    assert got.energy_pj.item() == pytest.approx(expected.energy_pj.item(), rel=1e-12)
    assert got.latency_cycles.item() == pytest.approx(expected.latency_cycles.item(), rel=1e-12)
    assert got.utilization.item() == pytest.approx(expected.utilization.item(), rel=1e-12)
    for key, entry in expected.accesses.items():
        for kind in ("reads", "updates", "fills", "drains"):
            assert getattr(got.accesses[key], kind).item() == getattr(entry, kind).item()


def gemm_plan() -> tuple[Plan, torch.Tensor, torch.Tensor]:
    """DRAM k, m outside a buffer m, n on two rows k of MACs; outputs return to the DRAM."""
    steps = (
        (memory("dram", read_pj=64.0, write_pj=64.0, read_bandwidth=2.0), {"k": 2, "m": 2}),
        (fanout(4), {"k": 2}),
        (memory("buffer", read_bandwidth=1.0, leakage=0.5), {"m": 2, "n": 4}),
    )
    mapping, arch, work = mapped(gemm(4, 4, 4), *steps)
    order = torch.tensor([[[1, 0, 2], [0, 1, 2], [0, 2, 1], [0, 1, 2]]])
    factors = torch.tensor(
        [[[entry.factor(d) for d in work.dimensions] for entry in mapping.levels]],
        dtype=torch.float64,
    )
    return make_plan(arch, work, EXACT), factors, order


@pytest.mark.parametrize("name", ["energy_pj", "latency_cycles", "edp_pj_cycles", "utilization"])
def test_costs_have_gradients(name: str) -> None:
    plan, factors, order = gemm_plan()
    factors.requires_grad_()
    getattr(batch_cost(plan, factors, order), name).sum().backward()
    assert factors.grad is not None
    assert torch.isfinite(factors.grad).all()
    assert (factors.grad != 0).any()


def test_gradients_are_those_of_the_formula() -> None:
    """Outputs return once for every k at the DRAM: reads are (k - 1) m n of the DRAM's tiles.

    With m = 2 tiles of 2 x 4 outputs, one more k costs 16 reads and, by the same token, 16
    updates; a step in k at the fanout, which reduces, costs neither.
    """
    plan, factors, order = gemm_plan()
    factors.requires_grad_()
    outputs = batch_cost(plan, factors, order).accesses[0, 2]
    reads = torch.autograd.grad(outputs.reads.sum(), factors, retain_graph=True)[0]
    updates = torch.autograd.grad(outputs.updates.sum(), factors)[0]
    k = 1
    assert (outputs.reads.item(), outputs.updates.item()) == (16, 32)
    assert (reads[0, 0, k].item(), updates[0, 0, k].item()) == (16, 16)
    assert (reads[0, 1, k].item(), updates[0, 1, k].item()) == (0, 0)
