"""The command `toolkit sample`: what random mappings cost, and where descents from them lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import toolkit
from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    AsJsonLines,
    BiasRead,
    BypassName,
    FactorsName,
    ObjectiveName,
    Pad,
    Quiet,
    WorkloadWords,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.output import Record, Report, aligned, heading, print_report, table
from toolkit.cli.problems import check_writable, evaluated, read_problem
from toolkit.cli.progress import Reporter, watched
from toolkit.cli.report import ReportFile, check_picture, check_pictures, drawings, write_pictures
from toolkit.display import format_count
from toolkit.errors import InputError
from toolkit.study.units import plain_value, proof_of

if TYPE_CHECKING:
    from toolkit.search.landscape import Landscape

MOST = 1_000_000
"""Mappings at most: their arrays take a gigabyte."""
BAR = 40
"""Characters of the longest bar."""


def sample_mappings(
    arch: Arch,
    workload: WorkloadWords,
    count: Annotated[int, typer.Option(min=1, max=MOST, help="How many mappings to draw.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the draw.")] = 0,
    descend: Annotated[
        bool,
        typer.Option(
            "--descend",
            help="Descend from each of them, as greedy does, until no single move improves it: "
            "how much greedy depends on its start.",
        ),
    ] = False,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove", help="Search for the optimum, too, and hold all values against it."
        ),
    ] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Longest time of --prove; what is known by then is told.", show_default=False
        ),
    ] = None,
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
    switch: Switches = [],  # noqa: B006 - typer copies it
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a row for every mapping as CSV.")
    ] = None,
    picture: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw the distribution: .png or .svg."),
    ] = None,
    save: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write the best mapping: JSON if named .json, else YAML."
        ),
    ] = None,
    allow_python: AllowPython = False,
    report: ReportFile = None,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Draw, descend, prove, write, print."""
    reporter = Reporter.of(quiet, json, json_lines)
    for option, path in (("--csv", csv), ("--save", save)):
        if path is not None:
            check_writable(path, option)
    check_picture(picture)
    check_pictures(report)
    if seconds is not None and not prove:
        raise InputError("given without --prove, whose time it limits", source="--seconds")
    budget = toolkit.Budget(seconds=seconds)
    problem = read_problem(
        trusted(arch, allow_python),
        [trusted(word, allow_python) for word in workload],
        objective,
        read_conventions(conventions, switch, steady=steady),
        pad,
        bias_read,
        factors,
        bypass,
    )
    under_way = "descending from" if descend else "drawing"
    with reporter.live(lambda: f"{under_way} {count:,} mappings"):
        found = toolkit.sample_landscape(problem, count, seed=seed, descend=descend)
    reporter.event("drawn", {"count": count, "best_value": found.best.objective})
    proof = None
    if prove:
        with watched(reporter, problem, "exact", budget) as on_improvement:
            proof = toolkit.search_mappings(
                problem,
                "exact",
                budget=budget,
                seed=seed,
                warm_starts=[found.best.mapping],
                on_improvement=on_improvement,
            )
    best = found.best if proof is None else proof
    _write(found, proof, best, csv, picture, save)
    written = write_pictures(
        report,
        None,
        f"{problem.workload.name} on {problem.arch.name}: random mappings",
        lambda: drawings().landscape_drawings(found, proof, evaluated(best.mapping, problem)),
        lambda: sample_report(found, best, proof),
    )
    if reporter.json:
        reporter.print_json({**sample_record(found, best, proof), **written.asked()})
    else:
        print_report([*sample_report(found, best, proof), *written.lines()])


def _write(
    found: Landscape,
    proof: toolkit.SearchResult | None,
    best: toolkit.SearchResult,
    csv: str | None,
    picture: str | None,
    save: str | None,
) -> None:
    from toolkit.text_files import write_text_atomically

    if csv is not None:
        write_text_atomically(csv, found.table().to_csv(index=False))
    if picture is not None:
        from toolkit.study.pictures.canvas import write_canvas
        from toolkit.study.pictures.map_space import draw_space, landscape_picture

        write_canvas(picture, draw_space(landscape_picture(found, proof)))
    if save is not None:
        toolkit.write_mapping(save, best.mapping)


def sample_record(
    found: Landscape, best: toolkit.SearchResult, proof: toolkit.SearchResult | None
) -> Record:
    """Describe the distributions; values are held against the best that is known."""
    from toolkit.mapping.files import mapping_to_dict
    from toolkit.search.landscape import histogram

    problem, bins = found.problem, histogram(found.kinds, best.objective)
    return {
        "arch": problem.arch.name,
        "workload": problem.workload.name,
        "conventions": problem.conventions.name,
        "factors": problem.factors,
        "bypass_choices": problem.choices.total,
        "objective": problem.objective.name,
        "objective_unit": problem.objective.unit,
        "seed": found.seed,
        "count": len(found.drawn),
        "evaluations": found.best.evaluations,
        "best_value": best.objective,
        "bound": None if proof is None else proof.bound,
        "proved": proof is not None and proof.proved,
        "status": "" if proof is None else proof.status,
        "kinds": {
            kind: {
                "quantiles": [
                    {"share": share, "objective_value": value}
                    for share, value in told["quantiles"].items()
                ],
                "within": [
                    {"fraction": near, "share": share} for near, share in told["within"].items()
                ],
            }
            for kind, told in found.summary(best.objective).items()
        },
        "histogram": {
            "edges": bins.edges.tolist(),
            "counts": {kind: counts.tolist() for kind, counts in bins.counts.items()},
        },
        "mapping": mapping_to_dict(best.mapping),
        "notes": list(problem.notes),
    }


def sample_report(
    found: Landscape, best: toolkit.SearchResult, proof: toolkit.SearchResult | None
) -> Report:
    """Lay out the distributions: quantiles, how many are near the best, a histogram."""
    objective = found.problem.objective
    known = "the best of these" if proof is None else "found by exact"
    if proof is not None:
        known = proof_of(proof.objective, proof.bound, objective, stopped=proof.stopped) or known
    facts = [
        ("drawn", f"{len(found.drawn):,} mappings, seed {found.seed}, objective {objective}"),
        ("factors", found.problem.factors),
        ("conventions", found.problem.conventions.name),
        ("effort", f"{found.best.evaluations:,} evaluations"),
        ("best known", f"{plain_value(best.objective, objective)}: {known}"),
        *(("note", note) for note in found.problem.notes),
    ]
    summary = found.summary(best.objective)
    return [
        heading(found.problem),
        *aligned(facts),
        "",
        f"{objective.label} by the share of mappings that are no worse",
        _quantiles(summary, best.objective, objective),
        "",
        "Share of mappings within some percent of the best known",
        _within(summary),
        "",
        "Mappings by how many times the best known they cost",
        *_bars(found, best.objective),
    ]


def _quantiles(
    summary: dict[str, dict[str, Any]], reference: float, objective: toolkit.Objective
) -> Any:
    names = {0.0: "best", 0.5: "median", 1.0: "worst"}
    columns = ["share"]
    for kind in summary:
        columns += [kind, "x best known"]
    shares = next(iter(summary.values()))["quantiles"]
    rows = []
    for share in shares:
        row = [names.get(share, f"{100 * share:g} %")]
        for told in summary.values():
            value = told["quantiles"][share]
            ratio = f"{value / reference:.5g}" if reference > 0 else ""
            row += [plain_value(value, objective), ratio]
        rows.append(row)
    return table(columns, rows, gap=3)


def _within(summary: dict[str, dict[str, Any]]) -> Any:
    nears = next(iter(summary.values()))["within"]
    shares = {kind: told["within"] for kind, told in summary.items()}
    rows = [
        [f"{100 * near:g} %", *(f"{100 * own[near]:.4g} %" for own in shares.values())]
        for near in nears
    ]
    return table(["within", *summary], rows, gap=3)


def _bars(found: Landscape, reference: float) -> list[str]:
    from toolkit.search.landscape import histogram

    bins, lines = histogram(found.kinds, reference), []
    for kind, counts in bins.counts.items():
        lines.append(f"  {kind}")
        most = max(int(counts.max()), 1)
        for low, high, number in zip(
            bins.edges[:-1], bins.edges[1:], counts.tolist(), strict=True
        ):
            # Few are seen, too.
            length = max(round(BAR * number / most), 1 if number else 0)
            lines.append(
                f"  {low:>10.4g} to {high:<10.4g} {'#' * length:<{BAR}} "
                f"{format_count(number)}".rstrip()
            )
    return lines
