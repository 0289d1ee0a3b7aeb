"""Outcomes of runs as Optuna studies, written so that a killed process can go on, and read back.

A study is one run. Its trials are the improvements of the search (or the points of the front),
not every evaluation; what was asked and the totals are attributes, and a note and plots tell
optuna-dashboard's readers. The attribute ``finished`` is written last: a study without it is half
of a killed run, and is done again.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from toolkit.arch import arch_to_yaml
from toolkit.errors import InputError
from toolkit.mapping.files import mapping_from_dict
from toolkit.mapping.loop_nest import render
from toolkit.mapping.mapping import Mapping
from toolkit.messages import describe
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.search.front import FrontPoint
from toolkit.search.result import TracePoint
from toolkit.study.storage.opening import guarded, storage_name
from toolkit.study.storage.runs import Outcome, Run
from toolkit.study.storage.trials import (
    MAPPING,
    RECORDED,
    dashboard_attributes,
    make_trials,
    trial_costs,
    trial_value,
)
from toolkit.study.units import common_unit
from toolkit.version import __version__
from toolkit.workload import workload_to_yaml

Attributes = dict[str, Any]

PROBLEM, RESULT, TRACE, FINISHED = "problem", "result", "trace", "finished"
BREAKDOWN, NEST = "breakdown", "loop_nest"

_PACKAGES = ("numba", "numpy", "optuna", "scipy", "torch")


def problem_record(run: Run) -> Attributes:
    """Write a problem and its budget as plain data, by which a study is recognised.

    Raises
    ------
    InputError
        If the objective is a Python function, which cannot be written down, or a name or figure
        cannot be written to a file.
    """
    problem, objective = run.problem, run.problem.objective
    if objective.function is not None:
        raise InputError(
            f"{objective} is a Python function, which a storage cannot hold; compare without "
            "a storage, or by an objective such as energy*latency^2",
            key="objective",
        )
    # What factors are searched is said apart, where they are others than there once were alone: so
    # that older studies of the same question go on. So are bypasses that mappings choose.
    conventions = asdict(problem.conventions)
    del conventions["factors"]
    ragged = {"factors": problem.factors} if problem.factors != "perfect" else {}
    return {
        "arch": arch_to_yaml(problem.arch),
        "workload": workload_to_yaml(problem.workload),
        "conventions": conventions,
        "objective": {
            "name": objective.name,
            "powers": list(objective.powers),
            "front": list(objective.front),
        },
        "bias_read": problem.bias_read,
        "budget": asdict(run.budget),
        **ragged,
        **({"bypasses": "chosen"} if problem.choices else {}),
    }


def recorded_outcomes(
    storage: BaseStorage, runs: Sequence[Run], *, name: str | None = None
) -> list[Outcome]:
    """Read back those of `runs` that a storage holds finished.

    Parameters
    ----------
    storage : BaseStorage
        Where to look.
    runs : sequence of Run
        What to look for.
    name : str, optional
        How messages call the storage.

    Raises
    ------
    InputError
        If a study has the name of a run but holds another problem, or the storage fails.
    """
    shown = name or storage_name(storage)
    with guarded(shown):
        summaries = optuna.get_all_study_summaries(storage, include_best_trial=False)
        known = {summary.study_name: summary.user_attrs for summary in summaries}
    found = []
    for run in runs:
        asked = problem_record(run)
        if run.name not in known:
            continue
        attributes = known[run.name]
        with guarded(shown):
            trials = optuna.load_study(study_name=run.name, storage=storage).get_trials(False)
        if PROBLEM in attributes or trials:
            _check_same(attributes.get(PROBLEM), asked, run.name, shown)
        if attributes.get(FINISHED) is True:
            found.append(_outcome(run, attributes, trials))
    return found


def record(storage: BaseStorage, outcome: Outcome, *, name: str | None = None) -> None:
    """Write an outcome as a study; what a killed process left of it is replaced.

    Parameters
    ----------
    storage : BaseStorage
        Where to write.
    outcome : Outcome
        What to write.
    name : str, optional
        How messages call the storage.

    Raises
    ------
    InputError
        If the storage fails.
    """
    run = outcome.run
    evaluation, nest = _evaluated(outcome)
    names, trials = make_trials(outcome, _best_attributes(evaluation, nest), datetime.now())
    shown = dashboard_attributes(outcome, evaluation, nest)
    with guarded(name or storage_name(storage)):
        if run.name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=run.name, storage=storage)
        study = optuna.create_study(
            storage=storage, study_name=run.name, directions=["minimize"] * len(names)
        )
        study.set_metric_names(names)
        # The dashboard shows them in this order, so the long one comes last.
        for key, value in _about(outcome).items():
            study.set_user_attr(key, value)
        # Without the problem a study with trials would be taken for somebody else's.
        study.set_user_attr(PROBLEM, problem_record(run))
        for key, value in shown.items():
            storage.set_study_system_attr(study._study_id, key, value)
        study.add_trials(trials)
        study.set_user_attr(FINISHED, True)


def _about(outcome: Outcome) -> Attributes:
    """Say who ran what with which versions, and what came out."""
    run, objective = outcome.run, outcome.run.problem.objective
    front = bool(objective.front)
    best = None
    if outcome.mapping is not None:
        scale, unit = common_unit(outcome.objective, objective.unit)
        best = f"{outcome.objective / scale:.6g} {unit}".rstrip()
    about: Attributes = {
        "strategy": run.strategy,
        "seed": run.seed,
        "best": best,
        "recorded": RECORDED[front],
        "notes": list(run.problem.notes),
        "versions": versions(),
        RESULT: {
            "evaluations": outcome.evaluations,
            "invalid_evaluations": outcome.invalid,
            "duplicate_evaluations": outcome.duplicates,
            "seconds": outcome.seconds,
            "objective_bound": outcome.bound,
            "stopped": outcome.stopped,
            "error": outcome.error,
        },
    }
    if outcome.mapping is not None:
        about[RESULT] |= {
            "objective_value": outcome.objective,
            "energy_total_pj": outcome.energy_pj,
            "latency_cycles": outcome.latency_cycles,
            "utilization_fraction": outcome.utilization,
        }
    if front:
        about[TRACE] = [[p.evaluations, p.seconds, p.objective] for p in outcome.trace]
    return about


def versions() -> dict[str, str]:
    """Name the versions that a result depends on."""
    found = {"python": platform.python_version(), "toolkit": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _evaluated(outcome: Outcome) -> tuple[Evaluation | None, str]:
    """Evaluate the best mapping, if there is one, and write its loop nest."""
    mapping, problem = outcome.mapping, outcome.run.problem
    if mapping is None:
        return None, ""
    evaluation = evaluate(
        mapping,
        problem.arch,
        problem.workload,
        conventions=problem.conventions,
        bias_read=problem.bias_read,
    )
    nest = render(
        mapping,
        problem.arch,
        problem.workload,
        footprint=problem.conventions.window_footprint,
        outermost_supplies=problem.conventions.charge_bypassing_outermost,
    )
    return evaluation, nest


def _best_attributes(evaluation: Evaluation | None, nest: str) -> Attributes:
    """Describe the best mapping: itself, its loop nest, and where energy and cycles go."""
    if evaluation is None:
        return {}
    breakdown = evaluation.to_dict()
    return {MAPPING: breakdown.pop("mapping"), BREAKDOWN: breakdown, NEST: nest}


def _outcome(run: Run, attributes: Attributes, trials: Sequence[FrozenTrial]) -> Outcome:
    """Read an outcome back from the attributes and trials of its finished study."""
    result, problem = attributes[RESULT], run.problem

    def mapping_of(trial: FrozenTrial) -> Mapping:
        data = trial.user_attrs[MAPPING]
        return mapping_from_dict(data, problem.arch, problem.workload, source=run.name)

    best = next((trial for trial in trials if BREAKDOWN in trial.user_attrs), None)
    if problem.objective.front:
        trace = [TracePoint(*point) for point in attributes[TRACE]]
    else:
        trace = [
            TracePoint(t.user_attrs["evaluations"], t.user_attrs["seconds"], trial_value(t))
            for t in trials
        ]
    nothing = float("nan")
    return Outcome(
        run,
        result.get("objective_value", float("inf")),
        result.get("energy_total_pj", nothing),
        result.get("latency_cycles", nothing),
        result.get("utilization_fraction", nothing),
        result["evaluations"],
        result["invalid_evaluations"],
        result["duplicate_evaluations"],
        result["seconds"],
        tuple(trace),
        None if best is None else mapping_of(best),
        tuple(
            FrontPoint(*trial_costs(t), mapping_of(t))
            for t in trials
            if t.user_attrs.get("on_front")
        ),
        result["objective_bound"],
        result["error"],
        # Not said by older versions.
        bool(result.get("stopped", False)),
    )


def _check_same(there: object, asked: Attributes, study: str, storage: str) -> None:
    """Refuse a study that holds another problem than the one asked, naming both."""
    if there == asked:
        return
    if not isinstance(there, dict):
        what = "trials that are not of this toolkit"
    else:
        key = next(key for key in {**asked, **there} if there.get(key) != asked.get(key))
        here, wanted = _difference(there.get(key), asked.get(key))
        what = f"another problem: {key} is {here} there, but {wanted} was asked"
    raise InputError(
        f"study {study!r} in {storage} holds {what}; choose another storage", key="storage"
    )


def _difference(there: object, asked: object) -> tuple[str, str]:
    """Show two different values, of long ones only the first part that differs."""
    if isinstance(there, dict) and isinstance(asked, dict):
        keys = [k for k in {**asked, **there} if there.get(k) != asked.get(k)]
        return tuple(  # type: ignore[return-value]
            ", ".join(f"{key} = {_shown(side.get(key))}" for key in keys)
            for side in (there, asked)
        )
    if isinstance(there, str) and isinstance(asked, str):
        lines = [text.splitlines() + [""] for text in (there, asked)]
        pairs = zip(*lines, strict=False)
        return next(
            ((describe(a.strip()), describe(b.strip())) for a, b in pairs if a != b),
            ("shorter", "longer") if len(there) < len(asked) else ("longer", "shorter"),
        )
    return _shown(there), _shown(asked)


def _shown(value: object) -> str:
    """Name a value, short lists by what they hold."""
    short = isinstance(value, list | tuple) and len(str(value)) <= 60
    return str(value) if short else describe(value)
