"""DOSA's descents: roundings, loop orders, the loss, and points that come with mappings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from codesign.jobs import small_job
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from toolkit.codesign.brought import BROUGHT, read_brought
from toolkit.codesign.dosa import sampler as dosa_sampler
from toolkit.codesign.dosa.descent import DosaDescent
from toolkit.codesign.dosa.rounding import nearest_divisor, rounded, stationary_orders
from toolkit.codesign.dosa.sampler import DosaSampler
from toolkit.codesign.scoring import Scorer
from toolkit.codesign.space import hardware_space
from toolkit.errors import DoesNotFitError
from toolkit.search.network import LayerSearch, given_network, map_network, mappings_of
from toolkit.search.problem import make_problem
from toolkit.search.result import Budget
from toolkit.study.hardware.plan import CHOICE, EVALUATIONS, SCORE, Plan
from toolkit.study.hardware.shared import retry
from toolkit.study.hardware.workers import Worker, make_study
from toolkit.workload import conv2d

ALL = {"side": [4, 8, 16, 32], "accumulator_words": [64, 256, 1024]}


ARCH = hardware_space("gemmini-ws", ranges=ALL)
SPACE = make_problem(
    ARCH.build(ARCH.largest).arch, conv2d(m=16, c=4, p=6, q=6, r=3, s=3), factors="perfect"
).space


def plain(**more: Any) -> Any:
    return small_job(ranges=ALL, factors="perfect", **more)


@pytest.fixture
def few(monkeypatch: Any) -> None:
    monkeypatch.setattr(dosa_sampler, "STARTS", 2)
    monkeypatch.setattr(dosa_sampler, "ROUNDS", (3, 2))


def test_divisors_near_a_value() -> None:
    assert [nearest_divisor(value, 12) for value in (0.2, 1.4, 4.9, 5.0, 5.1, 8.9, 9.0)] == [
        1, 1, 4, 6, 6, 6, 12
    ]  # fmt: skip


@given(st.lists(st.floats(0.3, 9.0), min_size=36, max_size=36))
@examples(10)
def test_rounded_factors_are_a_tiling_near_by(drawn: list[float]) -> None:
    space = SPACE
    real = np.array(drawn).reshape(6, 6)
    factors = rounded(space, np.concatenate([np.ones((1, 6)), real]))
    assert space.check_factors(factors[None])[0]


def test_whole_tilings_stay_and_spatial_factors_come_first() -> None:
    space, factors = SPACE, np.ones(SPACE.shape)
    m = space.dimensions.index("M")
    columns = [level.name for level in space.arch.levels].index("Columns")
    factors[columns, m], factors[columns + 1, m], factors[0] = 8.0, 2.0, space.sizes
    factors[0, m] = 1.0
    assert (rounded(space, factors) == factors).all()
    # An accumulator that wants 16 gets what the columns leave.
    factors[columns + 1, m] = 16.0
    assert rounded(space, factors)[columns + 1, m] == 2


def test_orders_keep_each_operand_in_place() -> None:
    workload = conv2d(m=8, c=4, p=6, q=6, r=3, s=3, n=2)
    names = [
        "".join(reversed([workload.dimensions[d] for d in row]))
        for row in stationary_orders(workload).tolist()
    ]
    assert sorted(names) == sorted(["MRSPQCN", "PQNRSCM", "RSCMPQN"])


def test_first_values_are_those_of_the_true_model_on_the_least_hardware() -> None:
    job = plain()
    scorer = Scorer(job, cache=False)
    costs = [
        scorer.mapped({**job.space.default, "side": side, "accumulator_words": 256})
        for side in (8, 32)
    ]
    descent = DosaDescent(job.space, costs, [1.0], (1.0, 1.0, 0.0))
    proposer = DosaSampler(scorer, 0)
    for start, cost in enumerate(costs):
        point, mappings = proposer._least(cost.point.parameters, cost.networks)
        sizes = dict(zip(job.space.ranges, descent._logs[start].exp().tolist(), strict=True))
        for name, found in job.space.ranges.items():
            assert found.round_up(sizes[name] * (1 - 1e-9)) == point[name]
        # Figures around the start are those of the start: on it the loss is what it costs.
        score = scorer.score(cost.point.parameters, mappings=mappings)
        assert score.edp_pj_cycles == pytest.approx(cost.edp_pj_cycles, rel=1e-12)
        with torch.no_grad():
            logs = descent._figures.centre
            layers = descent._layers(descent._factors(), descent._orders(), logs)
            value = float(descent._summed(*layers, logs)[start])
        assert value == pytest.approx(cost.edp_pj_cycles, rel=1e-9)


def test_orders_are_chosen_greedily_and_never_for_the_worse() -> None:
    job = plain()
    scorer = Scorer(job, cache=False)
    cost = scorer.mapped(job.space.default)
    descent = DosaDescent(job.space, [cost], [1.0], (1.0, 1.0, 0.0))
    with torch.no_grad():
        before = float(descent._values(descent._factors(), descent._orders())[0])
        assert descent.round() == 4 * descent.mappings
        after = float(descent._values(descent._factors(), descent._orders())[0])
    assert after <= before * (1 + 1e-12)


def test_a_descent_lowers_its_loss() -> None:
    job = plain(mapper="random", mapper_evaluations=1)
    cost = Scorer(job, cache=False).mapped(job.space.default)
    descent = DosaDescent(job.space, [cost], [1.0], (1.0, 1.0, 0.0))
    descent.run(1)
    before = descent._loss().item()
    descent.run(15)
    assert descent._loss().item() < before


@pytest.mark.usefixtures("few")
def test_points_come_with_their_mappings_and_all_that_they_cost_counts() -> None:
    storage = optuna.storages.InMemoryStorage()
    make_study(storage, plain(), Plan("dosa", 0, 7), "mine")
    worker = Worker(storage, "mine", cache=False)
    worker.run()
    trials = worker.study.get_trials(states=(TrialState.COMPLETE,))
    assert len(trials) == 7
    job = worker.scorer.job
    for trial in trials:
        score = trial.user_attrs[SCORE]
        (mappings,) = read_brought(trial.user_attrs[BROUGHT])
        arch = job.space.build(score["parameters"]).arch
        search = LayerSearch(factors="perfect")
        result = given_network(job.networks[0].graph, arch, mappings, search)
        assert (result.energy_pj, result.latency_cycles) == (
            score["energy_pj"],
            score["latency_cycles"],
        )
        assert score["evaluations"] == 2
    counts = [trial.user_attrs[EVALUATIONS] for trial in trials]
    # Two starts are mapped; a turn of 3 and one of 2 steps, each rounded with 4 orders.
    assert counts[:2] == [402, 402] and counts[6] == 402
    assert counts[2:6] == [2 + 4 * (3 + 4), 2, 2 + 4 * (2 + 4), 2]
    values = [
        t.user_attrs[SCORE]["energy_pj"] * t.user_attrs[SCORE]["latency_cycles"] for t in trials
    ]
    choice = worker.study.user_attrs[CHOICE]
    assert choice["energy_pj"] * choice["latency_cycles"] == min(values)


@pytest.mark.usefixtures("few")
def test_the_same_seed_proposes_the_same_and_the_least_hardware() -> None:
    def proposed(seed: int) -> list[Any]:
        proposer = DosaSampler(Scorer(plain(area_budget_um2=6e5), cache=False), seed)
        return [proposer.propose() for _ in range(3)]

    assert proposed(3) == proposed(3) != proposed(4)
    scorer = Scorer(plain(), cache=False)
    point, mappings = DosaSampler(scorer, 0).propose()
    assert not scorer.score(point, mappings=mappings).reason
    for name in ("side", "accumulator_words", "scratchpad_words"):
        values = scorer.job.space.ranges[name].values
        place = values.index(point[name])
        if place:
            less = {**point, name: values[place - 1]}
            assert scorer.score(less, mappings=mappings).reason


@pytest.mark.usefixtures("few")
def test_what_was_taken_over_keeps_its_point_and_its_mappings() -> None:
    storage = optuna.storages.InMemoryStorage()
    make_study(storage, plain(), Plan("dosa", 0, 2), "mine")
    worker = Worker(storage, "mine", cache=False)
    lost = worker._next()
    assert lost is not None
    retry(worker.study, storage.get_trial(lost._trial_id))
    worker.run()
    first, again = (storage.get_trial(i) for i in (0, 1))
    assert first.state == TrialState.FAIL and again.state == TrialState.COMPLETE
    assert first.params == again.params
    assert first.user_attrs[BROUGHT] == again.user_attrs[BROUGHT]


def test_networks_cost_the_same_by_mappings_that_are_given() -> None:
    job = plain()
    graph, arch = job.networks[0].graph, job.space.build(job.space.largest).arch
    mapped = map_network(graph, arch, budget=Budget(evaluations=300), cache=False, jobs=1)
    mappings = mappings_of(mapped)
    again = given_network(graph, arch, mappings, LayerSearch())
    assert [layer.row() for layer in again.layers] == [
        {**layer.row(), "status": again[layer.name].row()["status"]} for layer in mapped.layers
    ]
    assert again.evaluations == len(mappings) == again.searches
    small = job.space.build(job.space.smallest).arch
    with pytest.raises(DoesNotFitError, match="does not fit"):
        given_network(graph, small, mappings, LayerSearch())
    with pytest.raises(DoesNotFitError, match="no mapping was given"):
        given_network(graph, arch, [None, *mappings[1:]], LayerSearch())


def test_starts_that_are_far_worse_are_drawn_again(monkeypatch: Any) -> None:
    scorer = Scorer(plain(), cache=False)
    proposer = DosaSampler(scorer, 0)
    values = iter([5.0, 51.0, 52.0, 49.0])
    monkeypatch.setattr(proposer, "_value", lambda _: next(values))
    proposer.propose()
    proposer.propose()
    assert len(proposer._starts) == 2 and next(values, math.inf) == math.inf
    assert proposer._lowest == 5.0
