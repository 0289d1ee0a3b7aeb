"""What the command line prints: one JSON object, or a report for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.cli.proof import proof_facts, proof_record
from toolkit.errors import InputError
from toolkit.mapping.files import mapping_to_dict

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.mapping import SpaceSize

Record = dict[str, Any]
Report = list["RenderableType"]

NOTHING_FOUND = 1
"""Exit status of a command that has printed why none of its searches found anything."""

PLAIN_WIDTH = 200
"""Columns of a report that goes to a file or a pipe."""

_ENERGY_UNITS = (("J", 1e12), ("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3), ("pJ", 1.0))


def print_json(record: Record) -> None:
    """Print one JSON object.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    print_text(json.dumps(record, indent=2, allow_nan=False) + "\n")


def print_text(text: str) -> None:
    """Print text as it is.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    _write(lambda: sys.stdout.write(text))


def print_report(report: Report) -> None:
    """Print a report as wide as the terminal; tables fold their cells where it is narrow.

    Raises
    ------
    InputError
        If standard output cannot be written.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    _write(lambda: console.print(*report, sep="\n"))


def _write(write: Callable[[], object]) -> None:
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as cause:
        raise InputError(
            f"cannot be written: {cause.strerror}", source="standard output"
        ) from None


def result_record(result: toolkit.SearchResult, evaluation: toolkit.Evaluation) -> Record:
    """Describe what a search found, with the full evaluation of the mapping."""
    problem = result.problem
    return {
        "strategy": result.strategy,
        "conventions": problem.conventions.name,
        "objective": problem.objective.name,
        "objective_unit": problem.objective.unit,
        "seed": result.seed,
        "objective_value": result.objective,
        "objective_bound": result.bound,
        "proved": result.proved,
        "certificate": proof_record(result),
        "evaluations": result.evaluations,
        "invalid_evaluations": result.invalid,
        "duplicate_evaluations": result.duplicates,
        "interrupted": result.interrupted,
        "search_seconds": result.seconds,
        "trace": [
            {
                "evaluations": point.evaluations,
                "seconds_since_start": point.seconds,
                "objective_value": point.objective,
            }
            for point in result.trace
        ],
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


def evaluation_record(problem: toolkit.Problem, evaluation: toolkit.Evaluation) -> Record:
    """Describe what a mapping costs."""
    workload = problem.workload
    return {
        **evaluation.to_dict(),
        "kernel": workload.kernel,
        "sizes": dict(workload.sizes),
        "notes": [*problem.notes, *evaluation.notes],
    }


def space_record(problem: toolkit.Problem, size: SpaceSize) -> Record:
    """Describe the size of a map space."""
    return {
        "arch": problem.arch.name,
        "workload": problem.workload.name,
        "conventions": problem.conventions.name,
        "tilings": size.tilings,
        "tilings_exact": size.tilings_exact,
        "tilings_standard_error": size.standard_error,
        "orders_per_tiling": size.orders,
        "order_classes_per_tiling": size.order_classes,
        "mappings": size.mappings,
        "method": size.method,
        "notes": list(problem.notes),
    }


def result_report(result: toolkit.SearchResult, evaluation: toolkit.Evaluation) -> Report:
    """Lay out what a search found: how it went, then the evaluation."""
    facts = [
        ("search", f"{result.strategy}, objective {result.problem.objective}, seed {result.seed}"),
        ("effort", f"{result.evaluations:,} evaluations in {result.seconds:.2f} s"),
    ]
    facts += proof_facts(result)
    report = evaluation_report(result.problem, evaluation, facts)
    return [*report, "", *_front(result)] if result.front else report


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
    return [title, _table(("energy pJ", "latency cycles", "EDP J·cycle"), rows, gap=3)]


def evaluation_report(
    problem: toolkit.Problem,
    evaluation: toolkit.Evaluation,
    facts: Sequence[tuple[str, str]] = (),
) -> Report:
    """Lay out an evaluation: figures, loop nest, where energy and time go, accesses."""
    return [
        heading(problem),
        *aligned(figures(problem, evaluation, facts)),
        "",
        *loop_nest(problem, evaluation),
        "Where the energy goes (total of all instances and the whole run)",
        _energy_table(evaluation),
        "",
        "Where space and time go (per instance; busy: % of the latency; stalls: of the whole run)",
        _time_table(evaluation),
        "",
        "Accesses (words, total of all instances and the whole run)",
        _access_table(evaluation),
    ]


def figures(
    problem: toolkit.Problem,
    evaluation: toolkit.Evaluation,
    facts: Sequence[tuple[str, str]] = (),
) -> list[tuple[str, str]]:
    """Name the main figures of an evaluation, then `facts` and notes."""
    area = evaluation.area_um2
    return [
        ("energy", f"{format_energy(evaluation.energy_pj)} in total"),
        ("latency", f"{evaluation.latency_cycles:,.0f} cycles"),
        ("EDP", f"{evaluation.edp_pj_cycles * 1e-12:.6g} J·cycle"),
        ("utilization", _utilization(evaluation)),
        *([("area", f"{area:.6g} um² in total")] if area is not None else []),
        ("bottleneck", evaluation.bottleneck),
        ("conventions", problem.conventions.name + (", bias read" if problem.bias_read else "")),
        *facts,
        *(("note", note) for note in (*problem.notes, *evaluation.notes)),
    ]


def loop_nest(problem: toolkit.Problem, evaluation: toolkit.Evaluation) -> list[str]:
    """Write the loop nest of an evaluation under a line that names its units."""
    nest = toolkit.render(
        evaluation.mapping,
        problem.arch,
        problem.workload,
        footprint=problem.conventions.window_footprint,
    )
    return ["Loop nest (tiles and capacities in words per instance)", nest]


def space_report(problem: toolkit.Problem, size: SpaceSize) -> Report:
    """Lay out the size of a map space."""
    about = "" if size.tilings_exact else "about "
    error = "" if size.tilings_exact else f" ± {size.standard_error:.2g} (standard error)"
    facts = [
        ("tilings", f"{about}{format_count(size.tilings)}{error}, {size.method}"),
        ("loop orders", f"{format_count(size.orders)} for each tiling"),
        ("order classes", f"{format_count(size.order_classes)} that differ in reuse"),
        ("mappings", f"{about}{format_count(size.mappings)}"),
        *(("note", note) for note in problem.notes),
    ]
    return [heading(problem), *aligned(facts)]


def format_energy(energy_pj: float) -> str:
    """Write an energy in the unit that suits it, and in pJ.

    Examples
    --------
    >>> format_energy(80838500000.0)
    '80.8385 mJ (8.08385e+10 pJ)'
    """
    short = short_energy(energy_pj, 6)
    return short if short.endswith(" pJ") else f"{short} ({energy_pj:.6g} pJ)"


def short_energy(energy_pj: float, digits: int = 4) -> str:
    """Write an energy in the unit that suits it.

    Examples
    --------
    >>> short_energy(80838500000.0)
    '80.84 mJ'
    """
    unit, scale = next((u for u in _ENERGY_UNITS if energy_pj >= u[1]), _ENERGY_UNITS[-1])
    return f"{energy_pj / scale:.{digits}g} {unit}"


def format_count(count: int) -> str:
    """Write a count with separators, or shortly if it is long.

    Examples
    --------
    >>> format_count(1234567), format_count(12**30)
    ('1,234,567', '2.374e+32')
    """
    return f"{count:,}" if count < 10**15 else f"{Decimal(count):.3e}"


def heading(problem: toolkit.Problem) -> str:
    """Say what runs on what."""
    workload = problem.workload
    sizes = ", ".join(f"{d} = {size:,}" for d, size in workload.sizes.items())
    name = f"{workload.name} ({workload.kernel}: {sizes})"
    return f"{name} on {problem.arch.name}, {format_count(workload.macs)} MACs"


def _utilization(evaluation: toolkit.Evaluation) -> str:
    fanouts = math.prod(level.mesh for level in evaluation.arch.fanouts)
    instances = fanouts * evaluation.arch.compute.mesh
    used = round(evaluation.utilization * instances)
    return f"{100 * evaluation.utilization:.4g} % ({used:,} of {instances:,} MAC lanes)"


def aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    """Write labels and texts in two columns."""
    width = max(len(label) for label, _ in facts)
    return [f"  {label:<{width}}  {text}" for label, text in facts]


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, gap: int = 1
) -> RenderableType:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, gap - 1, 0, 0),
    )
    text_columns = ("level", "tensor")
    for column in columns:
        justify = "left" if column in text_columns else "right"
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    return table


def _energy_table(evaluation: toolkit.Evaluation) -> RenderableType:
    rows = [
        (
            entry.level,
            f"{entry.access_pj:,.4g}",
            f"{entry.leakage_pj:,.4g}",
            f"{entry.energy_pj:,.4g}",
            f"{100 * entry.share:.2f}",
        )
        for entry in evaluation.energies
    ]
    columns = ("level", "accesses pJ", "leakage pJ", "total pJ", "share %")
    return _table(columns, rows, gap=2)


def _time_table(evaluation: toolkit.Evaluation) -> RenderableType:
    latency = evaluation.latency_cycles
    rows = [
        (
            entry.level,
            f"{entry.instances:,}",
            f"{entry.words:,}",
            "unlimited" if entry.usable_words is None else f"{entry.usable_words:,.10g}",
            "" if entry.capacity_used is None else f"{100 * entry.capacity_used:.1f}",
            *(f"{100 * port.busy_cycles / latency:.1f}" for port in entry.ports),
            f"{entry.stall_cycles:,.6g}",
        )
        for entry in evaluation.memories
    ]
    shared = evaluation.conventions.shared_ports
    columns = (
        "level",
        "instances\nused",
        "used\nwords",
        "usable\nwords",
        "used %",
        *(("port\nbusy %",) if shared else ("reads\nbusy %", "writes\nbusy %")),
        "stall\ncycles",
    )
    return _table(columns, rows)


def _access_table(evaluation: toolkit.Evaluation) -> RenderableType:
    rows = [
        (
            entry.level,
            entry.tensor,
            f"{entry.reads:,}",
            f"{entry.updates:,}",
            f"{entry.fills:,}",
            f"{entry.drains:,}",
        )
        for entry in evaluation.accesses
    ]
    columns = ("level", "tensor", "reads", "updates", "fills", "drains")
    return _table(columns, rows)
