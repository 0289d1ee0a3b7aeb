"""Networks, fusion and hardware as objectives, alone and together."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from scipy.optimize import differential_evolution

from objectives.test_mappings import quiet  # noqa: F401 - a fixture for all tests here
from toolkit import arch as arches
from toolkit.arch import Architecture
from toolkit.codesign import hardware_space
from toolkit.errors import InputError
from toolkit.fusion import find_partition
from toolkit.fusion.group_model import total_costs, unfused, value_of
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.objectives import HardwareProblem, NetworkProblem, for_optuna, for_vectors
from toolkit.search import Budget
from toolkit.search.network import LayerSearch, NetworkResult, map_network
from toolkit.search.network.problem import MappedLayer
from toolkit.workload import conv2d
from toolkit.workload.network import Layer, LayerGraph, TensorInfo


def network() -> LayerGraph:
    """Three convolutions in a row, the first two alike, with an activation between them."""
    tensors = [TensorInfo(f"t{i}", (1, 8, 8, 8), "int8") for i in range(5)]
    layers = [
        Layer("relu", "Relu", "elementwise", (tensors[0],), (), (tensors[1],), elements=512),
        *(
            Layer(
                f"conv{i}",
                "Conv",
                "einsum",
                (tensors[i],),
                (TensorInfo(f"w{i}", (8, 8, kernel, kernel), "int8"),),
                (tensors[i + 1],),
                workload=conv2d(8, 8, 8, 8, kernel, kernel),
            )
            for i, kernel in ((1, 1), (2, 1), (3, 3))
        ),
    ]
    return LayerGraph.from_layers(layers, name="three", inputs=[tensors[0]], outputs=[tensors[4]])


NETWORK = network()
GEMMINI = arches.load_arch("gemmini")
FEW = LayerSearch("random", Budget(evaluations=20))
ASKED = NetworkProblem(NETWORK, GEMMINI, mapper=FEW, most_layers=3, cache=False)


def test_alike_layers_share_their_parameters() -> None:
    objective = for_optuna(ASKED)
    layers = dict.fromkeys(name.split(".")[0] for name in objective.parameters)
    assert list(layers) == ["conv1", "conv3"]
    params = objective.create_study().ask(objective.parameters).params
    assert objective.mapping(params, "conv2") == objective.mapping(params, "conv1")


def test_a_network_is_costed_as_map_network_does_and_read_back() -> None:
    objective = for_optuna(ASKED)
    study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    objective.enqueue_starts(study, 5)
    study.optimize(objective, n_trials=15)
    for trial in study.trials[::4]:
        assert objective.result(trial).edp_pj_cycles == pytest.approx(trial.value, rel=1e-12)
    known = map_network(NETWORK, GEMMINI, budget=Budget(evaluations=200), cache=False, jobs=1)
    objective.enqueue(study, known)
    study.optimize(objective, n_trials=1)
    assert study.trials[-1].value == pytest.approx(known.edp_pj_cycles, rel=1e-12)
    assert objective.result(study.trials[-1])["conv3"].cost.mapping is not None


def test_layers_are_intermediate_values_for_pruners() -> None:
    objective = for_optuna(ASKED)
    study = objective.create_study(
        sampler=optuna.samplers.RandomSampler(seed=0), pruner=optuna.pruners.MedianPruner(4)
    )
    study.optimize(objective, n_trials=20)
    states = [trial.state for trial in study.trials]
    assert optuna.trial.TrialState.PRUNED in states
    done = next(t for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE)
    assert list(done.intermediate_values) == [0, 1]
    assert done.intermediate_values[0] < done.intermediate_values[1]
    assert done.intermediate_values[1] == pytest.approx(done.value, rel=1e-12)


def test_a_front_of_a_network() -> None:
    objective = for_optuna(NetworkProblem(NETWORK, GEMMINI, "energy,latency"))
    study = objective.create_study(sampler=optuna.samplers.NSGAIISampler(seed=0))
    study.optimize(objective, n_trials=5)
    found = objective.result(study.best_trials[0])
    expected = [found.energy_pj, found.latency_cycles]
    assert study.best_trials[0].values == pytest.approx(expected, rel=1e-12)


def test_fusion_is_cut_edges() -> None:
    objective = for_optuna(ASKED, choose="fusion")
    assert "conv1 > conv2.cut" in objective.parameters
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    objective.enqueue(study, [["conv1", "conv2"]])
    study.optimize(objective, n_trials=6)
    fused = objective.result(study.trials[0])
    assert frozenset(("conv1", "conv2")) in fused.partition
    assert fused.value == pytest.approx(study.trials[0].value, rel=1e-12)
    exact = find_partition(objective.model, "exact", most_layers=3, reasons=False)
    assert exact.value <= study.best_value * (1 + 1e-12)


def test_fusion_and_mappings_together() -> None:
    objective = for_optuna(ASKED, choose=("mappings", "fusion"))
    study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    objective.enqueue_starts(study, 2)
    study.optimize(objective, n_trials=4)
    trial = study.trials[0]  # No layers are fused in it, but each may be cut into tiles.
    alone = for_optuna(ASKED)
    mappings = {name: trial.params[name] for name in alone.parameters}
    apart = value_of(total_costs(unfused(objective.model_of(trial.params))))
    assert apart == pytest.approx(alone.told(mappings).values[0], rel=1e-9)
    assert trial.value <= apart
    assert all(len(group) == 1 for group in objective.result(trial).partition)
    assert objective.result(study.best_trial).value == pytest.approx(study.best_value, rel=1e-12)


SPACE = hardware_space("gemmini-ws", ranges={"side": [4, 8, 16]})
BUILT = HardwareProblem(SPACE, [NETWORK], search=FEW, most_layers=2, cache=False)


@pytest.mark.parametrize(
    "choose", ["hardware", ("hardware", "mappings"), ("hardware", "fusion", "mappings")]
)
def test_hardware_alone_and_with_all_the_rest(choose: Any) -> None:
    objective = for_optuna(BUILT, choose=choose)
    assert objective.parameters["side"].choices == (4, 8, 16)
    study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    objective.enqueue_starts(study, 1)
    objective.enqueue(study, {**SPACE.default, "side": 4})
    study.optimize(objective, n_trials=3)
    assert objective.point(study.trials[1]).parameters["side"] == 4
    text = objective.arch_text(study.best_trial)
    assert text.startswith("name: gemmini-ws")
    again = for_optuna(BUILT, choose=choose).told(study.best_params)
    assert again.values[0] == pytest.approx(study.best_value, rel=1e-12)


def test_budgets_and_misfits_are_constraints() -> None:
    least = SPACE.build(SPACE.smallest).area_um2
    tight = hardware_space("gemmini-ws", ranges={"side": [4, 8, 16]}, area_budget_um2=1.01 * least)
    objective = for_optuna(HardwareProblem(tight, [NETWORK], search=FEW, cache=False))
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    objective.enqueue(study, tight.largest)
    objective.enqueue(study, tight.smallest)
    study.optimize(objective, n_trials=2)
    large, small = study.trials
    assert large.constraints["area"] > 0
    assert large.system_attrs["constraints"] == [max(large.constraints.values())]
    assert not small.constraints
    assert study.best_trial == small


def test_networks_and_hardware_are_functions_of_vectors() -> None:
    objective = for_vectors(ASKED)
    ends = objective.bounds
    rng = np.random.default_rng(0)
    vectors = ends.lb + rng.random((6, len(ends.lb))) * (ends.ub - ends.lb)
    values = objective.rows(vectors)
    np.testing.assert_array_equal(objective(vectors.T), values)
    params = objective.params(vectors[0])
    assert objective.objective.told(params).values[0] == values[0]
    assert objective.params(objective.vector(params)) == params
    built = for_vectors(BUILT)
    found = differential_evolution(
        built, built.bounds, integrality=built.integrality, maxiter=2, popsize=2, rng=0
    )
    assert found.fun == built(found.x)


def test_mappings_of_smaller_hardware_are_rounded_to_valid_ones() -> None:
    objective = for_optuna(BUILT, choose=("hardware", "mappings"))
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    for trial in (study.ask(objective.parameters) for _ in range(5)):
        point = SPACE.build(SPACE.smallest)
        mappings = objective._mappings[0]
        for layer in BUILT.on(0, point.arch).mapped:
            factors, order, choice = mappings.start(layer.name, trial.params, layer.problem)
            space = layer.problem.choices.problem_of(choice).space
            assert space.check(factors[None], order[None])[0]
            mapping = layer.problem.choices.mapping(factors, order, choice)
            to_arrays(mapping, layer.problem.arch, layer.problem.workload)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: for_optuna(ASKED, choose="hardware"), "choose: expected some of mappings, fus"),
        (lambda: for_optuna(BUILT, choose="mappings"), "choose: expected hardware among them"),
        (lambda: for_optuna(BUILT, repaired=False), "repaired: fusion and hardware always"),
        (lambda: for_optuna(ASKED, logarithms=True), "logarithms: only values of a layer's"),
        (lambda: NetworkProblem("three", GEMMINI), "graph: expected LayerGraph"),
        (lambda: NetworkProblem(NETWORK, GEMMINI, "edp_per_utilization"), "asks for utilization"),
        (lambda: HardwareProblem(SPACE, NETWORK), "networks: expected a list of networks"),
        (lambda: HardwareProblem(SPACE, ["three"]), "networks: expected LayerGraph"),
        (lambda: HardwareProblem(SPACE, []), "networks: expected at least one network"),
        (lambda: HardwareProblem(SPACE, [NETWORK], search="greedy"), "search: expected LayerSea"),  # type: ignore[arg-type]
        (lambda: NetworkProblem(NETWORK, GEMMINI, mapper="greedy"), "mapper: expected LayerSear"),  # type: ignore[arg-type]
        (lambda: NetworkProblem(NETWORK, GEMMINI, most_layers=0), "most_layers: 0 is not an int"),
        (
            lambda: for_optuna(ASKED).mapping({}, "conv1"),
            "parameters: has no parameter 'conv1",
        ),
        (
            lambda: for_optuna(
                NetworkProblem(NETWORK, GEMMINI, "energy*latency^2"), choose="fusion"
            ),
            "objective: fusion minimises edp, energy,latency, energy, latency; got energy",
        ),
    ],
)
def test_wrong_questions_are_told(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        act()


def known_mappings(arch: Architecture) -> NetworkResult:
    few = Budget(evaluations=20)
    return map_network(NETWORK, arch, "random", budget=few, cache=False, jobs=1)


def factors_of(mapping: Mapping, layer: MappedLayer) -> list[list[int]]:
    """Loop orders become equivalent ones; factors stay."""
    factors, order = to_arrays(mapping, layer.problem.arch, layer.problem.workload)
    assert layer.problem.space.check(factors[None], order[None])[0]
    found: list[list[int]] = factors.tolist()
    return found


def test_trials_of_everything_become_mappings_and_a_partition() -> None:
    objective = for_optuna(BUILT, choose=("hardware", "fusion", "mappings"))
    largest, groups = SPACE.build(SPACE.largest).arch, [["conv1", "conv2"]]
    known = known_mappings(largest)
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    objective.enqueue(study, SPACE.largest, groups=groups, mappings=known)
    objective.enqueue(study, SPACE.smallest, groups=[], mappings=known)
    study.optimize(objective, n_trials=2)
    large, small = study.trials
    for own, other in zip(
        BUILT.on(0, largest).mapped,
        BUILT.on(0, objective.point(small).arch).mapped,
        strict=True,
    ):
        # On the largest hardware as they are, on others rounded to what is valid.
        cost = known[own.name].cost
        assert cost is not None
        given = factors_of(cost.mapping, own)
        assert factors_of(objective.mapping(large, own.name), own) == given
        assert factors_of(objective.mapping(small, own.name), other) != given
    assert ("conv1", "conv2") in map(tuple, map(sorted, objective.partition(large).partition))
    for trial in study.trials:
        assert objective.partition(trial).value == pytest.approx(trial.value, rel=1e-12)
    assert all(len(group) == 1 for group in objective.partition(small).partition)


def test_mappings_and_a_partition_are_tried_next() -> None:
    objective, known = for_optuna(ASKED, choose=("mappings", "fusion")), known_mappings(GEMMINI)
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    objective.enqueue(study, [["conv1", "conv2"]], known)
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    for own in ASKED.mapped:
        cost = known[own.name].cost
        assert cost is not None
        assert factors_of(objective.mapping(trial, own.name), own) == factors_of(cost.mapping, own)
    assert not trial.params["conv1 > conv2.cut"]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: for_optuna(BUILT).partition(_first(BUILT)), "choose: trials choose no fusion"),
        (lambda: for_optuna(BUILT).mapping(_first(BUILT), "conv1"), "trials choose no mappings"),
        (
            lambda: for_optuna(ASKED, choose="fusion").enqueue(optuna.create_study(), None, {}),
            "mappings: trials choose no mappings here",
        ),
        (
            lambda: for_optuna(ASKED).enqueue(optuna.create_study(), 3),  # type: ignore[arg-type]
            "mappings: expected what toolkit.map_network returns",
        ),
        (lambda: for_optuna(ASKED).params({"conv9": None}), "layer: no layer 'conv9' is mapped"),  # type: ignore[dict-item]
        (lambda: for_optuna(ASKED).enqueue_starts(optuna.create_study(), -1), "count: -1 is not"),
        (lambda: for_optuna(ASKED, notes=True), "notes: only trials of a layer's problem"),
        (lambda: for_vectors(ASKED)(np.full(3, np.nan)), "vectors: expected .* variables"),
    ],
)
def test_what_trials_do_not_choose_is_told(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        act()


def _first(asked: HardwareProblem) -> dict[str, Any]:
    return next(for_optuna(asked).starts(1))
