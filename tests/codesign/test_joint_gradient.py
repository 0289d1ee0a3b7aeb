"""The joint descent of mappings, hardware and fusion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from codesign.jobs import small_job

from toolkit.codesign.filled_points import FIRST_POINTS, filled_points
from toolkit.codesign.joint_gradient.descent import BATCH, NetworkDescent, Proposal, points_near
from toolkit.codesign.joint_gradient.figures import local_figures, steps_of
from toolkit.codesign.joint_gradient.sampler import GradientSampler
from toolkit.codesign.minimal import requirements
from toolkit.codesign.registry import SeededSampler, hardware_strategy
from toolkit.codesign.scoring import Scorer
from toolkit.fusion.folded import FoldedGraph
from toolkit.study.hardware.plan import Plan
from toolkit.study.hardware.workers import Worker, make_study

ALL = {"side": [4, 8, 16, 32], "accumulator_words": [64, 256, 1024]}
POWERS = (1.0, 1.0, 0.0)


@pytest.fixture
def scorer() -> Scorer:
    """Factors are perfect, as those that descend are."""
    return Scorer(small_job(ranges=ALL, factors="perfect"), cache=False)


def descent_of(
    scorer: Scorer, graphs: Sequence[FoldedGraph] = (), powers: Any = POWERS
) -> NetworkDescent:
    cost = scorer.mapped(scorer.job.space.default)
    rng = np.random.default_rng(0)
    return NetworkDescent(scorer.job.space, cost, scorer.job.networks, powers, rng, graphs)


def test_the_loss_of_a_mapped_network_is_its_cost(scorer: Scorer, monkeypatch: Any) -> None:
    # The hardware stays where the mappings come from.
    monkeypatch.setattr("toolkit.codesign.joint_gradient.hardware.REACH", 0.0)
    loss, _ = descent_of(scorer).loss(0.0)
    mapped = scorer.mapped(scorer.job.space.default)
    assert float(loss[0].detach()) == pytest.approx(math.log(mapped.edp_pj_cycles), rel=1e-9)
    with_area, _ = descent_of(scorer, powers=(1.0, 1.0, 0.5)).loss(0.0)
    area = math.log(mapped.area_um2)
    change = float((with_area - loss)[0].detach())
    assert change == pytest.approx(area / 2, rel=1e-9)


def test_hardware_is_the_most_that_any_mapping_needs(scorer: Scorer, monkeypatch: Any) -> None:
    monkeypatch.setattr("toolkit.codesign.joint_gradient.hardware.REACH", 100.0)
    cost, space = scorer.mapped(scorer.job.space.default), scorer.job.space
    descent = descent_of(scorer)
    factors = [tilings.factors() for tilings in descent._tilings]
    logs = descent.network.hardware_of(factors)[0]
    layers = [layer.cost for layer in cost.networks[0].layers if layer.cost is not None]
    uses = [(layer.mapping, layer.workload) for layer in layers]
    needs = {need.level: need.amount for need in requirements(uses, cost.point.arch)}
    side = max(needs["Columns"], needs["Rows"])
    expected = {"side": side, "accumulator_words": needs["Accumulator"]}
    for (name, found), log in zip(space.ranges.items(), logs.tolist(), strict=True):
        if name in expected:
            least = max(expected[name], found.values[0])
            assert math.exp(log) == pytest.approx(least, rel=1e-9)


def test_figures_are_exact_at_the_point_and_close_to_it(scorer: Scorer) -> None:
    space = scorer.job.space
    figures = local_figures(space, space.default)
    assert {0, 1, 2} == set(figures.sizing().values())
    for point, tolerance in (
        (space.default, 1e-12),
        ({**space.default, "side": 8}, 0.2),
        ({**space.default, "accumulator_words": 256}, 0.2),
    ):
        logs = steps_of(space, point)[None]
        built = space.build(point)
        area = float(figures.figure((-1, "area"), logs))
        assert area == pytest.approx(built.area_um2, rel=tolerance)
        arch = figures.arch_at(logs)
        for level, exact in zip(arch.memories, built.arch.memories, strict=True):
            energy = exact.read_energy_pj
            assert float(level.read_energy_pj) == pytest.approx(energy, rel=tolerance)


def test_a_descent_lowers_its_loss_and_proposes_points(scorer: Scorer) -> None:
    descent = descent_of(scorer)
    before = float(descent.loss(1.0)[0].detach().min())
    proposals = descent.run()
    after = float(descent.loss(1.0)[0].detach().min())
    assert after < before
    assert len(proposals) == 2 * BATCH * 3
    for proposal in proposals:
        for point in points_near(scorer.job.space, proposal):
            scorer.point(point)


def test_rounded_sizes_are_rounded_up(scorer: Scorer) -> None:
    logs = torch.tensor([9.0, 70.0, 20000.0], dtype=torch.float64).log()
    names = list(scorer.job.space.ranges)
    order = [["side", "accumulator_words", "scratchpad_words"].index(name) for name in names]
    up = points_near(scorer.job.space, Proposal(logs[order], 0.0, rounded=True))[0]
    near = points_near(scorer.job.space, Proposal(logs[order], 0.0, rounded=False))[0]
    assert (up["side"], near["side"]) == (16, 8)
    assert (up["accumulator_words"], near["accumulator_words"]) == (256, 64)


def test_fusion_decisions_receive_gradients(scorer: Scorer) -> None:
    fused = Scorer(small_job(ranges=ALL, fusion="exact"), cache=False)
    descent = descent_of(fused, [fused.folded(0)])
    edges = descent.network.edges
    assert edges is not None
    assert [(e.source, e.target, e.words) for e in edges.edges] == [("a", "b", 32 * 24)]
    loss, _ = descent.loss(0.0)
    loss.sum().backward()
    assert bool((edges.logits.grad != 0).all())


def test_proposals_are_new_within_the_budgets_and_seeded() -> None:
    job = small_job(ranges=ALL, area_budget_um2=6e5)

    def drawn(seed: int) -> list[dict[str, Any]]:
        sampler = GradientSampler(Scorer(job, cache=False), seed, fused=True)
        return [sampler.propose() for _ in range(6)]

    points = drawn(1)
    assert len({tuple(point.values()) for point in points}) == 6
    assert all(not job.space.excess(job.space.build(point)) for point in points)
    rule = list(islice(filled_points(job.space), FIRST_POINTS))
    assert points[: len(rule)] == rule
    assert points == drawn(1) != drawn(2)


def test_the_best_point_of_a_small_space_is_found() -> None:
    job = small_job(ranges={"side": [4, 8, 16, 32], "accumulator_words": [64, 256]})
    scorer = Scorer(job, cache=False)
    sampler = GradientSampler(scorer, 0, fused=True)
    found = min(scorer.score(sampler.propose()).edp_pj_cycles for _ in range(7))
    best = min(
        scorer.score({"side": s, "accumulator_words": a, "scratchpad_words": w}).edp_pj_cycles
        for s in (4, 8, 16, 32)
        for a in (64, 256)
        for w in job.space.ranges["scratchpad_words"].values
    )
    assert found <= 1.1 * best


def test_where_layers_fuse_descents_are_made_with_and_without_it() -> None:
    counts = {}
    for fused in (False, True):
        scorer = Scorer(small_job(fusion="exact"), cache=False)
        sampler = GradientSampler(scorer, 0, fused=fused)
        for _ in islice(filled_points(scorer.job.space), FIRST_POINTS):
            sampler.propose()
        assert scorer.descended == 0
        sampler.propose()
        counts[fused] = scorer.descended
    assert counts[True] == 2 * counts[False] > 0


@pytest.mark.parametrize("strategy", ["joint-gradient", "two-step"])
def test_both_are_recorded_as_all_others_are(strategy: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    job = small_job(ranges=ALL, fusion="exact", area_budget_um2=6e5)
    make_study(storage, job, Plan(strategy, 0, 5), "mine")
    worker = Worker(storage, "mine", cache=False)
    assert worker.run() == 5
    fused = {trial.user_attrs["score"]["fused"] for trial in worker.study.trials}
    assert fused == {strategy == "joint-gradient"}
    assert worker.study.user_attrs["choice"]["fused"]
    assert isinstance(worker.study.sampler, SeededSampler)
    assert hardware_strategy(strategy).fused == (strategy == "joint-gradient")
