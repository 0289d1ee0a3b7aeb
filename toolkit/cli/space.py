"""The command `toolkit space`: how large a map space is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import toolkit
from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    BypassName,
    FactorsName,
    Pad,
    Quiet,
    WorkloadWords,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Switches, read_conventions
from toolkit.cli.output import Record, Report, aligned, heading, print_json, print_report
from toolkit.cli.problems import read_problem
from toolkit.cli.progress import Reporter
from toolkit.cli.report import ReportFile, check_pictures, drawings, write_pictures
from toolkit.display import format_count

if TYPE_CHECKING:
    from toolkit.mapping import SpaceSize


FACTORS = {
    "perfect": "perfect: those of a dimension multiply to its size",
    "ragged": "ragged: those of a dimension reach its size, last tiles are cut off",
}


def measure_space(
    arch: Arch,
    workload: WorkloadWords,
    conventions: ConventionsName = "exact",
    switch: Switches = [],  # noqa: B006 - typer copies it
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    allow_python: AllowPython = False,
    report: ReportFile = None,
    json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Count, draw, print."""
    from toolkit.search.space_size import problem_size

    check_pictures(report)
    counting = read_conventions(conventions, switch)
    problem = read_problem(
        trusted(arch, allow_python),
        [trusted(word, allow_python) for word in workload],
        "edp",
        counting,
        pad,
        False,
        factors,
        bypass,
    )
    with Reporter(quiet).live(lambda: "counting tilings, or drawing some where they are too many"):
        size = problem_size(problem)
    written = write_pictures(
        report,
        None,
        f"{problem.workload.name} on {problem.arch.name}: the map space",
        lambda: drawings().map_space_drawings(problem),
        lambda: space_report(problem, size),
    )
    if json:
        print_json({**space_record(problem, size), **written.asked()})
    else:
        print_report([*space_report(problem, size), *written.lines()])


def space_record(problem: toolkit.Problem, size: SpaceSize) -> Record:
    """Describe the size of a map space."""
    return {
        "arch": problem.arch.name,
        "workload": problem.workload.name,
        "conventions": problem.conventions.name,
        "factors": problem.factors,
        "bypass_choices": problem.choices.total,
        "tilings": size.tilings,
        "tilings_exact": size.tilings_exact,
        "tilings_standard_error": size.standard_error,
        "orders_per_tiling": size.orders,
        "order_classes_per_tiling": size.order_classes,
        "mappings": size.mappings,
        "method": size.method,
        "notes": [*problem.notes, *_thinned(problem)],
    }


def _thinned(problem: toolkit.Problem) -> list[str]:
    """Say of which sizes not all tiles are among those counted, and searched."""
    from toolkit.mapping.factors import ALL_EXTENTS, SMALL_EXTENTS

    sizes, ragged = problem.workload.sizes, problem.space.ragged
    large = [
        f"{d} = {n:,}"
        for (d, n), cut in zip(sizes.items(), ragged, strict=True)
        if cut and n > ALL_EXTENTS
    ]
    if not large:
        return []
    return [
        f"{', '.join(large)}: of tiles, those up to {SMALL_EXTENTS:,}, those that cut it into "
        f"up to {SMALL_EXTENTS:,} and its divisors"
    ]


def _bypass_facts(problem: toolkit.Problem) -> list[tuple[str, str]]:
    """Say how many choices of bypasses there are, if any."""
    choices = problem.choices
    if not choices:
        return []
    pairs = f"{len(choices.pairs)} tensors of memories may be left out"
    return [("bypasses", f"{pairs}: {format_count(choices.total)} choices")]


def space_report(problem: toolkit.Problem, size: SpaceSize) -> Report:
    """Lay out the size of a map space."""
    about = "" if size.tilings_exact else "about "
    error = "" if size.tilings_exact else f" ± {size.standard_error:.2g} (standard error)"
    tilings = "tilings" if not problem.choices else "tilings and bypasses"
    facts = [
        ("factors", FACTORS[problem.factors]),
        *_bypass_facts(problem),
        (tilings, f"{about}{format_count(size.tilings)}{error}, {size.method}"),
        ("loop orders", f"{format_count(size.orders)} for each tiling"),
        ("order classes", f"{format_count(size.order_classes)} that differ in reuse"),
        ("mappings", f"{about}{format_count(size.mappings)}"),
        *(("note", note) for note in (*problem.notes, *_thinned(problem))),
    ]
    return [heading(problem), *aligned(facts)]
