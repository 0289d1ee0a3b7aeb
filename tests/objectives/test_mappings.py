"""The mapping of a layer as an objective for Optuna: any study, any sampler, and back."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from mapping.spaces import arch, fanout, memory

from toolkit.errors import InputError
from toolkit.mapping import sample
from toolkit.mapping.mapping import from_arrays, to_arrays
from toolkit.model.evaluate import evaluate
from toolkit.objectives import for_optuna
from toolkit.search import Budget, Problem, make_problem, search_mappings
from toolkit.search.optuna_samplers.encodings import ENCODINGS
from toolkit.study.compare.comparison import compare
from toolkit.workload import conv1d, gemm

SMALL = arch(
    memory("DRAM"),
    memory("Buffer", 64, may_bypass=("weight", "input")),
    fanout("PEs", 4, "MN"),
    memory("Reg", 12),
)


def problem(objective: str = "edp", **given: Any) -> Problem:
    return make_problem(SMALL, gemm(12, 6, 10), objective=objective, **given)


RAGGED = problem(bypass="fixed")
PERFECT = problem(bypass="fixed", factors="perfect")
CHOOSING = problem()


@pytest.fixture(autouse=True)
def quiet() -> Any:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(level)


def test_parameters_are_named_as_mappings_are_read() -> None:
    known = for_optuna(CHOOSING).parameters
    assert known["Buffer.M"] == optuna.distributions.IntDistribution(1, 12, log=True)
    assert "M K N" in known["Buffer.order"].choices
    assert known["Buffer.holds.weight"].choices == (False, True)
    primes = for_optuna(PERFECT).parameters
    assert primes["K.3.1"].choices == ("DRAM", "Buffer", "Reg")
    assert primes["M.2.2"].choices == ("DRAM", "Buffer", "PEs", "Reg")


@pytest.mark.parametrize("asked", [RAGGED, PERFECT, CHOOSING])
def test_a_study_is_costed_as_the_model_does_and_read_back(asked: Problem) -> None:
    objective = for_optuna(asked)
    study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    objective.enqueue_starts(study, 10)
    study.optimize(objective, n_trials=30)
    for trial in study.trials:
        mapping = objective.mapping(trial)
        cost = evaluate(mapping, asked.arch, asked.workload)
        assert trial.value == pytest.approx(cost.energy_pj * cost.latency_cycles, rel=1e-12)
        assert objective.params(mapping).keys() == trial.params.keys()
    assert objective.result("mine").objective == pytest.approx(study.best_value, rel=1e-12)


def test_ask_and_tell() -> None:
    objective = for_optuna(RAGGED)
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    asked = study.ask(objective.parameters)
    study.tell(asked, objective(asked))
    later = study.ask()
    study.tell(later, objective(later))
    assert [trial.params.keys() for trial in study.trials] == [objective.parameters.keys()] * 2
    fixed = optuna.trial.FixedTrial(study.trials[0].params)
    assert objective(fixed) == study.trials[0].value


SAMPLERS: dict[str, tuple[Any, bool]] = {
    "random": (lambda: optuna.samplers.RandomSampler(seed=0), False),
    "tpe": (lambda: optuna.samplers.TPESampler(seed=0, multivariate=True), False),
    "nsga2": (lambda: optuna.samplers.NSGAIISampler(seed=0, population_size=8), False),
    "cmaes": (lambda: optuna.samplers.CmaEsSampler(seed=0), True),
    "qmc": (lambda: optuna.samplers.QMCSampler(seed=0), True),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("asked", [RAGGED, CHOOSING])
def test_any_sampler(name: str, asked: Problem) -> None:
    make, numbers = SAMPLERS[name]
    objective = for_optuna(asked, numbers=numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = objective.create_study(sampler=make())
        study.optimize(objective, n_trials=12)
    assert len(study.trials) == objective.evaluator.evaluations == 12
    assert objective.evaluator.invalid == 0


def test_a_sampler_of_optunahub_from_a_local_file(tmp_path: Path) -> None:
    # What `optunahub.load_local_module` does: a package folder with a sampler's class.
    from importlib.util import module_from_spec, spec_from_file_location

    (tmp_path / "simulated.py").write_text(
        "import numpy as np\n"
        "from optuna.samplers import BaseSampler, RandomSampler\n"
        "class MutatingSampler(BaseSampler):\n"
        "    def __init__(self, seed):\n"
        "        self._random, self._rng = RandomSampler(seed), np.random.default_rng(seed)\n"
        "    def infer_relative_search_space(self, study, trial):\n"
        "        from optuna.search_space import intersection_search_space\n"
        "        return intersection_search_space(study.get_trials(deepcopy=False))\n"
        "    def sample_relative(self, study, trial, space):\n"
        "        done = [t for t in study.trials if t.value is not None]\n"
        "        if not done:\n"
        "            return {}\n"
        "        best = dict(min(done, key=lambda t: t.value).params)\n"
        "        name = list(space)[self._rng.integers(len(space))]\n"
        "        best[name] = self._random.sample_independent(study, trial, name, space[name])\n"
        "        return best\n"
        "    def sample_independent(self, study, trial, name, distribution):\n"
        "        return self._random.sample_independent(study, trial, name, distribution)\n"
    )
    spec = spec_from_file_location("simulated", tmp_path / "simulated.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    objective = for_optuna(CHOOSING)
    study = objective.create_study(sampler=module.MutatingSampler(0))
    study.optimize(objective, n_trials=60)
    drawn = search_mappings(CHOOSING, "random", budget=Budget(evaluations=20))
    assert study.best_value < drawn.objective


def test_two_values_of_a_front() -> None:
    asked = problem("energy,latency")
    objective = for_optuna(asked)
    assert objective.metrics == ("energy (pJ)", "latency (cycles)")
    study = objective.create_study(sampler=optuna.samplers.NSGAIISampler(seed=0))
    study.optimize(objective, n_trials=20)
    for trial in study.best_trials:
        cost = evaluate(objective.mapping(trial), asked.arch, asked.workload)
        assert trial.values == pytest.approx([cost.energy_pj, cost.latency_cycles], rel=1e-12)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("asked", [RAGGED, PERFECT])
def test_a_known_mapping_is_tried_next(encoding: str, asked: Problem) -> None:
    row = ENCODINGS[encoding]
    if (row.ragged if asked is RAGGED else row.whole) is None:
        with pytest.raises(InputError, match=f"encoding: '{encoding}' writes no"):
            for_optuna(asked, encoding=encoding)
        return
    objective = for_optuna(asked, encoding=encoding)
    best = search_mappings(asked, "greedy", budget=Budget(evaluations=500))
    study = objective.create_study()
    if encoding in ("shares", "innermost"):  # Only roughly: not every mapping is one of theirs.
        try:
            objective.enqueue(study, best.mapping)
        except InputError as refused:
            assert "this encoding cannot express its" in str(refused)
            return
    else:
        objective.enqueue(study, best.mapping)
    study.optimize(objective, n_trials=1)
    assert study.best_value == pytest.approx(best.objective, rel=1e-12)
    factors, _ = to_arrays(objective.mapping(study.best_trial), asked.arch, asked.workload)
    np.testing.assert_array_equal(factors, to_arrays(best.mapping, asked.arch, asked.workload)[0])


def test_orders_that_are_no_choice_become_others_of_the_same_cost_or_are_made_one() -> None:
    windows = make_problem(arch(memory("DRAM"), memory("Buffer", 20)), conv1d(6, 4, 3, 2))
    objective = for_optuna(windows)
    factors, orders = sample(windows.space, 40, np.random.default_rng(3))
    refused = 0
    for one, order in zip(factors, orders, strict=True):
        mapping = from_arrays(one, order, windows.arch, windows.workload)
        cost = evaluate(mapping, windows.arch, windows.workload)
        try:
            params = objective.params(mapping)
        except InputError as cause:
            assert "expected an objective with another encoding or with known=" in str(cause)
            refused += 1
            able = for_optuna(windows, known=[mapping])
            assert able.mapping(able.params(mapping)) == mapping
        else:
            (value,) = objective.told(params).values
            assert value == pytest.approx(cost.energy_pj * cost.latency_cycles, rel=1e-12)
    assert refused < 20


def test_broken_rules_are_constraints_that_the_dashboard_reads() -> None:
    objective = for_optuna(PERFECT, repaired=False)
    study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=40)
    broken = [t for t in study.trials if any(v > 0 for v in t.constraints.values())]
    assert len(broken) == objective.evaluator.invalid > 0
    for trial in broken:
        assert math.isfinite(trial.value)
        assert trial.system_attrs["constraints"] == [max(trial.constraints.values())]
    fine = [t for t in study.trials if t not in broken]
    assert study.best_trial in fine
    names = {name for trial in broken for name in trial.constraints}
    assert any(name.startswith("Reg.words") for name in names), names


def test_a_study_is_one_more_row(tmp_path: Path) -> None:
    budget = Budget(evaluations=40)
    objective = for_optuna(RAGGED)
    results = []
    for seed in range(2):
        study = objective.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=40)
        results.append(objective.result_of(study, "my TPE", seed))
        assert results[-1].objective == pytest.approx(study.best_value, rel=1e-12)
        assert results[-1].evaluations == 40
        assert [p.objective for p in results[-1].trace] == sorted(
            {p.objective for p in results[-1].trace}, reverse=True
        )
    storage = tmp_path / "all.journal"
    made = compare([RAGGED], ["random"], budget, 2, storage=storage, results=results)
    assert made.strategies == ("random", "my TPE")
    assert [o.objective for o in made.outcomes[2:]] == [r.objective for r in results]
    again = compare([RAGGED], ["random"], budget, 2, storage=storage, results=results)
    assert [o.objective for o in again.outcomes] == [o.objective for o in made.outcomes]
    names = optuna.get_all_study_names(optuna.storages.JournalStorage(_file(storage)))
    assert any("my TPE, seed 1" in name for name in names)
    with pytest.raises(
        InputError, match="results: my TPE, seed 0 spent 40 evaluations, more than"
    ):
        compare([RAGGED], ["random"], Budget(evaluations=30), 2, results=results)
    with pytest.raises(InputError, match="'my TPE' has no result on"):
        compare([RAGGED, PERFECT], ["random"], budget, 2, results=results)


def _file(path: Path) -> Any:
    return optuna.storages.journal.JournalFileBackend(str(path))


def asked_study(objective: Any, **given: Any) -> optuna.Study:
    return objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0), **given)


def test_a_study_of_other_directions_is_refused() -> None:
    objective = for_optuna(problem("energy,latency"))
    with pytest.raises(InputError, match=r"directions minimize, but .* has 2 to minimize"):
        optuna.create_study().optimize(objective, n_trials=1)
    with pytest.raises(InputError, match="directions maximize"):
        optuna.create_study(direction="maximize").optimize(for_optuna(RAGGED), n_trials=1)


def test_a_trial_of_another_problem_is_refused() -> None:
    other = for_optuna(make_problem(SMALL, gemm(12, 6, 70)))
    study = asked_study(other)
    study.optimize(other, n_trials=1)
    with pytest.raises(InputError, match=r"trial 0: has no parameter|trial 0: Buffer\.|unknown"):
        for_optuna(PERFECT).mapping(study.trials[0])
    beyond = study.trials[0].params | {"Buffer.N": 70}
    with pytest.raises(InputError, match=r"Buffer.N: expected an integer from 1 to 10, got 70"):
        for_optuna(CHOOSING).mapping(beyond)


def test_numbers_only_samplers_are_refused_categories() -> None:
    objective = for_optuna(RAGGED)
    study = objective.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0))
    with pytest.raises(InputError, match="CmaEsSampler knows numbers only.*numbers=True"):
        study.optimize(objective, n_trials=1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"Buffer.M": 13}, "trial 0: Buffer.M: expected an integer from 1 to 12, got 13"),
        ({"Bufer.M": 2}, "trial 0: unknown parameter 'Bufer.M' .did you mean 'Buffer.M'"),
        ({"Buffer.order": "X"}, "Buffer.order: expected one of 'M K N'"),
    ],
)
def test_what_is_enqueued_is_checked(params: dict[str, Any], message: str) -> None:
    objective = for_optuna(RAGGED)
    study = asked_study(objective)
    study.enqueue_trial(params)
    with pytest.raises((InputError, ValueError), match=message):
        study.optimize(objective, n_trials=1)
    with pytest.raises(InputError, match=message.removeprefix("trial 0: ")):
        objective.enqueue_params(asked_study(objective), params)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"choose": "fusion"}, "choose: expected some of mappings, got 'fusion'"),
        ({"encoding": "prims"}, "encoding: unknown encoding 'prims' .did you mean 'primes'"),
    ],
)
def test_wrong_options_are_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        for_optuna(RAGGED, **given)


def test_what_is_no_question_is_told() -> None:
    with pytest.raises(InputError, match="what: expected a Problem .*, got 'eyeriss'"):
        for_optuna("eyeriss")  # type: ignore[call-overload]


@pytest.mark.parametrize("asked", [RAGGED, PERFECT, CHOOSING])
def test_objectives_travel_to_other_processes(asked: Problem) -> None:
    objective = for_optuna(asked)
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    for other in (pickle.loads(pickle.dumps(objective)), copy.deepcopy(objective)):
        assert other.evaluator.evaluations == 3
        for trial in study.trials:
            assert other(optuna.trial.FixedTrial(trial.params)) == trial.value
    assert objective.evaluator.evaluations == 3


def test_samplers_that_cannot_draw_a_parameter_are_told() -> None:
    numbers, samplers = for_optuna(RAGGED, numbers=True), optuna.samplers
    some = {"Buffer.M": [1, 2], "Buffer.K": [1, 5]}
    study = numbers.create_study(sampler=samplers.GridSampler(some))
    with pytest.raises(InputError, match=r"trial 0: .*: GridSampler cannot draw it: .*an int"):
        study.optimize(numbers, n_trials=1)
    whole = {name: [kind.low, kind.high] for name, kind in numbers.parameters.items()}  # type: ignore[attr-defined]
    study = numbers.create_study(sampler=samplers.GridSampler({**whole, "Buffer.M": [1, 99]}))
    with (
        warnings.catch_warnings(),
        pytest.raises(InputError, match="Buffer.M: GridSampler drew 99; expected an integer from"),
    ):
        warnings.simplefilter("ignore")
        study.optimize(numbers, n_trials=64)
    study = numbers.create_study(sampler=samplers.GridSampler(whole))
    study.optimize(numbers, n_trials=5)
    objective = for_optuna(RAGGED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fixed = samplers.PartialFixedSampler({"Buffer.M": 2}, samplers.CmaEsSampler(seed=0))
    study = objective.create_study(sampler=fixed)
    with pytest.raises(InputError, match="CmaEsSampler knows numbers only"):
        study.optimize(objective, n_trials=1)


def test_what_is_infeasible_looks_good_to_no_sampler() -> None:
    for given in ({}, {"logarithms": True}):
        objective = for_optuna(PERFECT, repaired=False, **given)
        study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        inside = dict.fromkeys(objective.parameters, "Reg")
        objective.enqueue_params(study, inside | _orders(objective))
        study.optimize(objective, n_trials=1)
        assert study.trials[0].constraints
        assert objective.evaluator.evaluations == 1
        best = search_mappings(PERFECT, "exhaustive").objective
        assert study.trials[0].value >= (math.log(best) if given else best)


def _orders(objective: Any) -> dict[str, Any]:
    kinds = objective.parameters.items()
    return {name: kind.choices[0] for name, kind in kinds if name.endswith("order")}


def test_parameters_of_ones_own_may_stand_beside() -> None:
    objective = for_optuna(RAGGED)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial({"cooling": 0.5})

    def weighed(trial: optuna.Trial) -> float:
        return float(objective(trial)) * trial.suggest_float("cooling", 0, 1)  # type: ignore[arg-type]

    study.optimize(weighed, n_trials=2)
    assert study.trials[0].params["cooling"] == 0.5
    assert objective.result_of(study, "mine").evaluations == 2
    for name in ("Buffer.holds.weight", "Bufer.M"):  # Of another problem, or a slip of the pen.
        with pytest.raises(InputError, match=f"unknown parameter '{name}'"):
            objective.mapping({**study.trials[0].params, name: 1})


@pytest.mark.parametrize("asked", [RAGGED, PERFECT, CHOOSING])
def test_trials_note_the_factors_of_their_mappings(asked: Problem) -> None:
    objective = for_optuna(asked, notes=True)
    study = objective.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=10)
    names = [level.name for level in asked.arch.levels]
    for trial in study.trials:
        factors, _ = to_arrays(objective.mapping(trial), asked.arch, asked.workload)
        for name, noted in trial.user_attrs.items():
            level, d = name.split(".")
            assert noted == factors[names.index(level), asked.space.dimensions.index(d)]
        assert {"DRAM.M", "Buffer.K", "PEs.N"} <= trial.user_attrs.keys()
    assert not for_optuna(asked).noted(study.trials[0].params)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: for_optuna(RAGGED)(None), "trial: expected a trial of Optuna"),  # type: ignore[arg-type]
        (lambda: for_optuna(RAGGED).mapping(None), "trial: expected a trial of .*, got nothing"),  # type: ignore[arg-type]
        (lambda: for_optuna(RAGGED).enqueue_starts(optuna.create_study(), -1), "count: -1 is not"),
        (lambda: for_optuna(RAGGED).enqueue_starts(optuna.create_study(), 1, -1), "seed: -1 is"),
        (lambda: for_optuna(RAGGED, known=3), "known: expected a list of mappings, got 3"),  # type: ignore[arg-type]
    ],
)
def test_wrong_use_is_told(act: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        act()
