"""The command `toolkit map`: what a search found, how it went, and what it proved."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated, Any

import typer

import toolkit
from toolkit.__main__ import INTERRUPTED
from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    AsJsonLines,
    BiasRead,
    BypassName,
    Estimates,
    FactorsName,
    ObjectiveName,
    Pad,
    Quiet,
    WorkloadWords,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.evaluate import evaluation_record, evaluation_report, format_energy
from toolkit.cli.output import Record, Report, print_report, table
from toolkit.cli.problems import check_writable, evaluated, read_problem, read_valid_mapping
from toolkit.cli.progress import Reporter, point_record, watched
from toolkit.cli.report import PictureFolder, ReportFile, check_pictures, drawings, write_pictures
from toolkit.display import format_count
from toolkit.errors import InputError
from toolkit.search.status import COSTED_IN_FULL, describe_proof
from toolkit.study.units import format_value, plain_value

_SHOWN = ((1.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
"""Powers of the objectives that stand among the figures of any mapping: EDP, energy, latency."""

_RULES = (
    ("by_compulsory_traffic", "compulsory traffic"),
    ("by_least_energy", "least energy"),
    ("by_least_latency", "least latency"),
    ("by_labels", "searched"),
    ("empty", "empty"),
    ("unfinished", "unfinished"),
)


def map_workload(
    arch: Arch,
    workload: WorkloadWords,
    strategy: Annotated[
        str,
        typer.Option(metavar="NAME", help="How to search; see: toolkit list strategies."),
    ] = "greedy",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
    switch: Switches = [],  # noqa: B006 - typer copies it
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")] = 0,
    evaluations: Annotated[
        int | None,
        typer.Option(min=1, max=10**18, help="Most mappings to cost.", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Longest time to search.", show_default=False)
    ] = None,
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    fix: Annotated[
        str | None,
        typer.Option(
            metavar="spatial:FILE",
            help="Unroll on every spatial level what the mapping in the file does; the rest is "
            "searched.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Search from the mapping in this file alone: descend by single moves until none "
            "improves it.",
        ),
    ] = None,
    estimates: Estimates = [],  # noqa: B006 - typer copies it
    save: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the mapping: JSON if named .json, else YAML."),
    ] = None,
    allow_python: AllowPython = False,
    report: ReportFile = None,
    out: PictureFolder = None,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Search, save, draw, print."""
    from toolkit.search.basin import basin

    reporter = Reporter.of(quiet, json, json_lines)
    if save is not None:
        check_writable(save)
    check_pictures(report, out)
    if start is not None and strategy != "greedy":
        raise InputError(
            f"given with --strategy {strategy}; expected one of them, as a start alone is "
            "descended from as greedy does",
            source="--start",
        )
    budget = toolkit.Budget(evaluations=evaluations, seconds=seconds)
    counting = read_conventions(conventions, switch, steady=steady)
    problem = read_problem(
        trusted(arch, allow_python),
        [trusted(word, allow_python) for word in workload],
        objective,
        counting,
        pad,
        bias_read,
        factors,
        bypass,
        fix,
        estimates,
    )
    starts = [] if start is None else [read_valid_mapping(start, problem)]
    with watched(reporter, problem, strategy, budget) as on_improvement:
        result = toolkit.search_mappings(
            problem,
            basin if starts else strategy,
            budget=budget,
            seed=seed,
            on_improvement=on_improvement,
            warm_starts=starts,
        )
    evaluation = evaluated(result.mapping, problem)
    if save is not None:
        toolkit.write_mapping(save, result.mapping)
    printed = [] if reporter.json and report is None else result_report(result, evaluation)
    written = write_pictures(
        report,
        out,
        f"{problem.workload.name} on {problem.arch.name}: {strategy}",
        lambda: drawings().search_drawings(result, evaluation),
        lambda: printed,
    )
    if reporter.json:
        reporter.print_json({**result_record(result, evaluation), **written.asked()})
    else:
        print_report([*printed, *written.lines()])
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)


def result_record(result: toolkit.SearchResult, evaluation: toolkit.Evaluation) -> Record:
    """Describe what a search found, with the full evaluation of the mapping."""
    from toolkit.mapping.files import mapping_to_dict

    problem = result.problem
    return {
        "strategy": result.strategy,
        "conventions": problem.conventions.name,
        "factors": problem.factors,
        "bypass_choices": problem.choices.total,
        "objective": problem.objective.name,
        "objective_unit": problem.objective.unit,
        "seed": result.seed,
        "objective_value": result.objective,
        "objective_bound": result.bound,
        "proved": result.proved,
        "status": result.status,
        "within_fraction": result.within_fraction,
        "certificate": _proof_record(result),
        "evaluations": result.evaluations,
        "invalid_evaluations": result.invalid,
        "duplicate_evaluations": result.duplicates,
        "interrupted": result.interrupted,
        "search_seconds": result.seconds,
        "trace": [point_record(point) for point in result.trace],
        "front": [
            {
                "energy_total_pj": point.energy_pj,
                "latency_cycles": point.latency_cycles,
                "mapping": mapping_to_dict(point.mapping),
            }
            for point in result.front
        ],
        **evaluation_record(problem, evaluation),
    }


def result_report(result: toolkit.SearchResult, evaluation: toolkit.Evaluation) -> Report:
    """Lay out what a search found: how it went, then the evaluation."""
    problem = result.problem
    asked = ", ragged factors" if problem.factors == "ragged" else ""
    asked += ", bypasses chosen" if problem.choices else ""
    facts = [
        (
            "search",
            f"{result.strategy}, objective {problem.objective}, seed {result.seed}{asked}",
        ),
        ("effort", _effort(result)),
    ]
    if result.problem.objective.powers not in _SHOWN or result.problem.objective.function:
        facts.append(("objective", format_value(result.objective, result.problem.objective)))
    facts += _proof_facts(result)
    report = evaluation_report(result.problem, evaluation, facts)
    return [*report, "", *_front(result)] if result.front else report


def _effort(result: toolkit.SearchResult) -> str:
    spent = f"{result.evaluations:,} evaluations in {result.seconds:.2f} s"
    spent += ", interrupted" if result.interrupted else ""
    certificate = result.certificate
    if certificate is None or certificate.enumerated:
        return spent
    return f"{spent} ({COSTED_IN_FULL})"


def _front(result: toolkit.SearchResult) -> Report:
    """Lay out the trade-offs; the mapping shown above is the one of least EDP."""
    rows = [
        (
            f"{point.energy_pj:.6g}",
            f"{point.latency_cycles:,.0f}",
            f"{point.energy_pj * point.latency_cycles * 1e-12:.6g}",
        )
        for point in result.front
    ]
    known = "all there are" if result.proved else "as far as found"
    title = f"Best trade-offs of energy and latency ({known}; --json has their mappings)"
    return [title, table(("energy pJ", "latency cycles", "EDP J·cycle"), rows, gap=3)]


def _proof_record(result: toolkit.SearchResult) -> dict[str, Any] | None:
    """Describe the certificate of a result, None where it has none.

    ``tilings_covered`` is counted once more here, along the paths that the search follows, if
    it was finished. Ragged ones are too many to count.
    """
    if result.certificate is None:
        return None
    record: dict[str, Any] = asdict(result.certificate)
    if not result.certificate.enumerated and _countable(result):
        tilings, orders = _covered(result)
        record |= {"tilings_covered": tilings, "orders_per_tiling": orders}
    return record


FEW = 1 << 16
"""Effort for a count that a line of a report is worth; beyond it there is an estimate."""


def _proof_facts(result: toolkit.SearchResult) -> list[tuple[str, str]]:
    """Tell what is known of a result, and what the search behind it covered, for people."""
    shown = "" if result.bound is None else _bound(result.bound, result.problem.objective)
    state = describe_proof(result.objective, result.bound, shown, stopped=result.stopped)
    facts = [("status", state)] if state else []
    certificate = result.certificate
    if certificate is None:
        return facts
    if certificate.enumerated:
        return [*facts, ("proof", f"{certificate.enumerated:,} mappings costed one by one")]
    counts = [(getattr(certificate, key), name) for key, name in _RULES]
    rules = ", ".join(f"{count:,} {name}" for count, name in counts if count)
    if _countable(result):
        tilings, orders = _covered(result)
        facts.append(("covers", f"{tilings:,} tilings × {orders:,} loop orders"))
    elif not certificate.unfinished and not result.problem.choices:
        size = toolkit.space_size(result.problem.space, effort=FEW)
        about = "" if size.tilings_exact else "about "
        tilings_text = f"{about}{format_count(size.tilings)} tilings"
        facts.append(("covers", f"{tilings_text} × {size.orders:,} loop orders"))
    spatial = f"{certificate.spatial_choices:,} choices of spatial factors{_over(result)}"
    return [*facts, ("proof", f"{spatial}: {rules}")]


def _countable(result: toolkit.SearchResult) -> bool:
    """Whether what a proof covered can be counted in no time."""
    certificate, problem = result.certificate, result.problem
    finished = certificate is not None and not certificate.unfinished
    return finished and problem.factors == "perfect" and not problem.choices


def _over(result: toolkit.SearchResult) -> str:
    choices = result.problem.choices
    return f" over {choices.total:,} choices of bypasses" if choices else ""


def _bound(bound: float, objective: toolkit.Objective) -> str:
    """Write a bound as the figure that it bounds is written above."""
    if objective.unit == "pJ":
        return format_energy(bound)
    if objective.unit == "cycles":
        # Rounded down: a bound still.
        return f"{math.floor(bound):,} cycles"
    return plain_value(bound, objective)


def _covered(result: toolkit.SearchResult) -> tuple[int, int]:
    from toolkit.search.exact import covered_tilings

    orders = math.prod(rule.admissible for rule in result.problem.space.order_rules)
    return covered_tilings(result.problem), orders
