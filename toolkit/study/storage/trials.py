"""What optuna-dashboard shows of a recorded run: its trials, a note and plots.

Notes
-----
The note and the plots are written the way `optuna_dashboard.save_note` and
`save_plotly_graph_object` keep them, as system attributes of a study, so that recording needs
neither that package nor plotly. The dashboard cuts texts into attributes of 2,045 characters, as
Optuna's databases once demanded, and reads any number of them; one is written in a quarter of the
time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from toolkit.mapping.files import mapping_to_dict
from toolkit.mapping.mapping import IntArray, to_arrays
from toolkit.model.evaluate import Evaluation
from toolkit.search.front import FrontPoint
from toolkit.search.optuna_samplers.objective import LEGACY_CONSTRAINTS
from toolkit.search.problem import Problem
from toolkit.study.storage.runs import Outcome
from toolkit.study.units import common_unit, format_value, proof_of

MAPPING, BEST, ON_FRONT = "mapping", "best", "on_front"
EVALUATIONS, SECONDS = "evaluations", "seconds"
VALUE, COSTS = "objective_value", "energy_pj_latency_cycles"

_CONSTRAINT = "broken rules"

NOTE_VERSION, NOTE_TEXT = "dashboard:note_ver", "dashboard:note_str:0"
"""System attributes of a study by which optuna-dashboard finds its note."""

_PLOT = "dashboard:plot_data:{}:0"

CONVERGENCE, ENERGY = "convergence", "energy"
"""What the dashboard calls the plots; parts of a web page are named so."""

RECORDED = {
    False: "Trials are the improvements of the search, in order: the best value after so many "
    "evaluations and seconds. Evaluations that improved nothing are counted, not recorded. The "
    "last trial is the best and holds the mapping and what it costs. Parameters are tile factors, "
    "by level and dimension; their importances are of improvements alone.",
    True: "Trials are the front: mappings that no other one met beats in both costs, by rising "
    "energy. Other evaluations are counted, not recorded. The trial with the attribute best has "
    "the lowest product of both and holds what it costs. Parameters are tile factors, by level "
    "and dimension.",
}
"""What the trials of a study are, by whether its objective asks for a front."""

_DIGITS = 6
_BLUE, _ORANGE = "#0072b2", "#d55e00"

Parameters = dict[str, tuple[int, BaseDistribution]]


def make_trials(
    outcome: Outcome, best: dict[str, Any], ended: datetime
) -> tuple[list[str], list[FrozenTrial]]:
    """Name the values of the trials of an outcome and make them.

    Every trial has parameters, as optuna-dashboard 0.21 divides by their number: tile factors
    where mappings are known, else how many evaluations were spent until then. Their values are
    in units that suit the best one; as they are found, they are attributes.

    Parameters
    ----------
    outcome : Outcome
        Its front becomes the trials where the objective asks for one, else its trace.
    best : dict
        Attributes of the trial of the best mapping.
    ended : datetime
        When the run did; trials last from one improvement to the next, or as long as the run.
    """
    objective = outcome.run.problem.objective
    began = ended - timedelta(seconds=outcome.seconds)
    if objective.front:
        energy = common_unit(outcome.energy_pj, "pJ")
        latency = common_unit(outcome.latency_cycles, "cycles")
        trials = _front_trials(outcome, best, (energy[0], latency[0]))
        timed = [_timed(trial, began, ended) for trial in trials]
        return [f"energy ({energy[1]})", f"latency ({latency[1]})"], timed
    scale, unit = common_unit(outcome.objective, objective.unit)
    times = [began, *(began + timedelta(seconds=point.seconds) for point in outcome.trace)]
    timed = [
        _timed(trial, *times[i : i + 2])
        for i, trial in enumerate(_trace_trials(outcome, best, scale))
    ]
    return [f"{objective.name} ({unit})" if unit else objective.name], timed


def _timed(trial: FrozenTrial, began: datetime, ended: datetime) -> FrozenTrial:
    """Say when a trial was made, for timelines."""
    trial.datetime_start, trial.datetime_complete = began, ended
    return trial


def trial_value(trial: FrozenTrial) -> float:
    """The value of an improvement, in the unit of the objective."""
    # Older versions recorded it unscaled.
    return float(trial.user_attrs.get(VALUE, trial.values[0]))


def trial_costs(trial: FrozenTrial) -> tuple[float, float]:
    """Energy in pJ and latency in cycles of a point of the front."""
    energy, latency = trial.user_attrs.get(COSTS, trial.values)
    return float(energy), float(latency)


def _trace_trials(outcome: Outcome, best: dict[str, Any], scale: float) -> Iterator[FrozenTrial]:
    """Make a trial of each improvement; the last one is the best."""
    parameters = _trace_parameters(outcome)
    for i, (point, chosen) in enumerate(zip(outcome.trace, parameters, strict=True), start=1):
        attributes: dict[str, Any] = {
            EVALUATIONS: point.evaluations,
            SECONDS: point.seconds,
            VALUE: point.objective,
        }
        yield _trial(
            [point.objective / scale],
            chosen,
            {**attributes, **(best if i == len(outcome.trace) else {})},
        )


def _trace_parameters(outcome: Outcome) -> list[Parameters]:
    """Take tile factors as parameters, or where they are not known how much had been spent."""
    trace = outcome.trace
    if trace and all(point.factors for point in trace):
        return _tile_factors(np.array([point.factors for point in trace]), outcome.run.problem)
    most = max((point.evaluations for point in trace), default=1)
    spent = IntDistribution(1, max(most, 1), log=True)
    return [{EVALUATIONS: (max(point.evaluations, 1), spent)} for point in trace]


def _front_trials(
    outcome: Outcome, best: dict[str, Any], scales: tuple[float, float]
) -> Iterator[FrozenTrial]:
    """Make a trial of each point of the front, and of the best mapping if it is not on it."""
    points = list(outcome.front)
    if outcome.mapping is not None:
        own = FrontPoint(outcome.energy_pj, outcome.latency_cycles, outcome.mapping)
        points += [] if own in points else [own]
    problem = outcome.run.problem
    arrays = [to_arrays(point.mapping, problem.arch, problem.workload)[0] for point in points]
    parameters = _tile_factors(np.array(arrays), problem) if points else []
    for i, (point, factors) in enumerate(zip(points, parameters, strict=True)):
        attributes: dict[str, Any] = {MAPPING: mapping_to_dict(point.mapping)}
        if point.mapping == outcome.mapping:
            attributes = {**best, BEST: True}
        costs = point.energy_pj, point.latency_cycles
        attributes |= {ON_FRONT: i < len(outcome.front), COSTS: list(costs)}
        values = [cost / scale for cost, scale in zip(costs, scales, strict=True)]
        yield _trial(values, factors, attributes)


def _tile_factors(factors: IntArray, problem: Problem) -> list[Parameters]:
    """Take tile factors as parameters, of those levels and dimensions that any mapping tiles."""
    workload, levels = problem.workload, problem.arch.levels
    names = workload.dimensions
    tiled = [(int(i), int(d)) for i, d in np.argwhere((factors > 1).any(axis=0))] or [(0, 0)]
    distributions = {d: IntDistribution(1, workload.sizes[names[d]], log=True) for _, d in tiled}
    return [
        {f"{levels[i].name} {names[d]}": (int(row[i, d]), distributions[d]) for i, d in tiled}
        for row in factors
    ]


def _trial(values: list[float], parameters: Parameters, attributes: dict[str, Any]) -> FrozenTrial:
    return create_trial(
        values=values,
        params={name: value for name, (value, _) in parameters.items()},
        distributions={name: distribution for name, (_, distribution) in parameters.items()},
        user_attrs=attributes,
        system_attrs={LEGACY_CONSTRAINTS: [0.0]},
        constraints={_CONSTRAINT: 0.0},
    )


def dashboard_attributes(
    outcome: Outcome, evaluation: Evaluation | None, nest: str
) -> dict[str, Any]:
    """Make the system attributes that optuna-dashboard reads of a study.

    Parameters
    ----------
    outcome : Outcome
        What the study records.
    evaluation : Evaluation or None
        Of its mapping, if it found one.
    nest : str
        The loop nest of its mapping, as text.
    """
    attributes: dict[str, Any] = {NOTE_VERSION: 1, NOTE_TEXT: note(outcome, evaluation, nest)}
    if outcome.trace:
        attributes[_PLOT.format(CONVERGENCE)] = json.dumps(_convergence_plot(outcome))
    if evaluation is not None:
        attributes[_PLOT.format(ENERGY)] = json.dumps(_energy_plot(evaluation))
    return attributes


def note(outcome: Outcome, evaluation: Evaluation | None, nest: str) -> str:
    """Write a run as Markdown: the problem, what was found, the loop nest, where energy goes."""
    problem = outcome.run.problem
    parts = [
        f"# {_escaped(problem.workload.name)} on {_escaped(problem.arch.name)}",
        _rows(("", ""), [*_asked(outcome), *_found(outcome)]),
    ]
    if outcome.error:
        parts += ["## Nothing found", _escaped(outcome.error)]
    if evaluation is not None:
        parts += [
            "## Best loop nest",
            "Tiles and capacities in words per instance.",
            f"```text\n{nest.rstrip()}\n```",
            "## Where the energy goes",
            "Total of all instances and the whole run.",
            _rows(("level", "energy (pJ)", "share (%)"), _energy_rows(evaluation)),
        ]
    held = RECORDED[bool(problem.objective.front)]
    return "\n\n".join([*parts, "## What this study holds", held]) + "\n"


def _asked(outcome: Outcome) -> list[tuple[str, str]]:
    run, problem = outcome.run, outcome.run.problem
    sizes = ", ".join(f"{dim} = {size}" for dim, size in problem.workload.sizes.items())
    limits = {"evaluations": run.budget.evaluations, "seconds": run.budget.seconds}
    budget = [f"{limit:,} {unit}" for unit, limit in limits.items() if limit is not None]
    return [
        ("workload", f"{problem.workload.kernel}: {sizes}"),
        ("conventions", problem.conventions.name + (", bias read" * problem.bias_read)),
        ("strategy", f"{run.strategy}, seed {run.seed}"),
        ("budget", " and ".join(budget)),
        *(("note", text) for text in problem.notes),
    ]


def _found(outcome: Outcome) -> list[tuple[str, str]]:
    objective = outcome.run.problem.objective
    found = []
    if outcome.mapping is not None:
        found = [
            ("objective", f"**{format_value(outcome.objective, objective)}**"),
            ("energy, total", f"{outcome.energy_pj:.{_DIGITS}g} pJ"),
            ("latency", f"{outcome.latency_cycles:,.0f} cycles"),
            ("utilization", f"{100 * outcome.utilization:.4g} %"),
        ]
    status = proof_of(outcome.objective, outcome.bound, objective, stopped=outcome.stopped)
    if status:
        found.append(("status", status))
    effort = f"{outcome.seconds:.3g} s"
    if outcome.evaluations is not None:
        counts = {"invalid": outcome.invalid, "costed before": outcome.duplicates}
        known = [f"{count:,} {what}" for what, count in counts.items() if count is not None]
        aside = f" ({', '.join(known)})" if known else ""
        effort = f"{outcome.evaluations:,} evaluations{aside} in {effort}"
    return [*found, ("effort", effort)]


def _energy_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    return [
        (entry.level, f"{entry.energy_pj:.{_DIGITS}g}", f"{100 * entry.share:.2f}")
        for entry in evaluation.energies
    ]


def _rows(heads: tuple[str, ...], rows: list[Any]) -> str:
    """Write a table of Markdown, as GitHub understands it."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(_in_cell, line))} |" for line in lines)


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Keep names from files from being read as Markdown or HTML."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+!|~" else c for c in text)


def _convergence_plot(outcome: Outcome) -> dict[str, Any]:
    """Draw the best value over evaluations, as plain data of plotly's."""
    objective = outcome.run.problem.objective
    unit_scale, unit = common_unit(outcome.objective, objective.unit)
    values = [point.objective / unit_scale for point in outcome.trace]
    steps = [point.evaluations for point in outcome.trace]
    if outcome.evaluations is not None and outcome.evaluations > steps[-1]:
        steps, values = [*steps, outcome.evaluations], [*values, values[-1]]
    scale = "log" if min(values) > 0 and all(map(math.isfinite, values)) else "linear"
    # Of a front, improvements are those of the product.
    name = "·".join(objective.front) or objective.name
    title = f"{name} ({unit})" if unit else name
    return _plot(
        "Best value over evaluations",
        [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "line": {"shape": "hv", "color": _BLUE},
                "x": steps,
                "y": values,
            }
        ],
        {"title": {"text": "evaluations"}, "type": "log", "automargin": True},
        {
            "title": {"text": title},
            "type": scale,
            "exponentformat": "power",
            "automargin": True,
        },
    )


def _energy_plot(evaluation: Evaluation) -> dict[str, Any]:
    """Draw the energy of every level, accesses and leakage, as plain data of plotly's."""
    levels = [entry.level for entry in evaluation.energies]
    scale, unit = common_unit(max(entry.energy_pj for entry in evaluation.energies), "pJ")
    parts = {
        "accesses": (_BLUE, [entry.access_pj / scale for entry in evaluation.energies]),
        "leakage": (_ORANGE, [entry.leakage_pj / scale for entry in evaluation.energies]),
    }
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": energies,
            "y": levels,
            "marker": {"color": color},
        }
        for name, (color, energies) in parts.items()
        if any(energies)
    ]
    return _plot(
        "Where the energy goes",
        bars,
        {"title": {"text": f"energy ({unit}), all instances"}},
        {"autorange": "reversed", "automargin": True},
        barmode="stack",
    )


def _plot(
    title: str,
    traces: list[dict[str, Any]],
    xaxis: dict[str, Any],
    yaxis: dict[str, Any],
    *,
    barmode: str = "group",
) -> dict[str, Any]:
    layout = {"title": {"text": title}, "xaxis": xaxis, "yaxis": yaxis, "barmode": barmode}
    return {"data": traces, "layout": layout}
