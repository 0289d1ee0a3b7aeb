"""The command `toolkit evaluate`, and an evaluation as a report or as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import toolkit
from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    BiasRead,
    BypassName,
    Estimates,
    LatencyCorrection,
    MappingFile,
    MappingFormat,
    PadToMapping,
    WorkloadWords,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.output import Record, Report, aligned, heading, print_json, print_report, table
from toolkit.cli.problems import evaluated, read_mapped
from toolkit.cli.report import PictureFolder, ReportFile, check_pictures, drawings, write_pictures
from toolkit.workload.bits import bits_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.model.tables import MemoryUse, TensorAccesses


def evaluate_mapping(
    arch: Arch,
    workload: WorkloadWords,
    mapping: MappingFile,
    format: MappingFormat = "auto",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
    switch: Switches = [],  # noqa: B006 - typer copies it
    latency_correction: LatencyCorrection = None,
    pad: PadToMapping = [],  # noqa: B006 - typer copies it
    bypass: BypassName = "permitted",
    bias_read: BiasRead = False,
    estimates: Estimates = [],  # noqa: B006 - typer copies it
    allow_python: AllowPython = False,
    report: ReportFile = None,
    out: PictureFolder = None,
    json: AsJson = False,
) -> None:
    """Read, evaluate, draw, print."""
    check_pictures(report, out)
    problem, read = read_mapped(
        trusted(arch, allow_python),
        [trusted(word, allow_python) for word in workload],
        mapping,
        format,
        conventions=read_conventions(conventions, switch, steady=steady),
        pad=pad,
        bias_read=bias_read,
        bypass=bypass,
        estimates=estimates,
    )
    evaluation = evaluated(read, problem)
    if latency_correction is not None:
        evaluation = toolkit.latency_correction(latency_correction).corrected(evaluation)
    written = write_pictures(
        report,
        out,
        f"{problem.workload.name} on {problem.arch.name}",
        lambda: drawings().evaluation_drawings(evaluation),
        lambda: evaluation_report(problem, evaluation),
    )
    if json:
        print_json({**evaluation_record(problem, evaluation), **written.asked()})
    else:
        print_report([*evaluation_report(problem, evaluation), *written.lines()])


def evaluation_record(problem: toolkit.Problem, evaluation: toolkit.Evaluation) -> Record:
    """Describe what a mapping costs."""
    workload = problem.workload
    bits = bits_of(workload)
    return {
        **evaluation.to_dict(),
        "kernel": workload.kernel,
        "sizes": dict(workload.sizes),
        **({"bits": bits} if bits else {}),
        "notes": [*problem.notes, *evaluation.notes],
    }


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
        f"Accesses ({_counted(evaluation)}, total of all instances and the whole run)",
        _access_table(evaluation),
        *_network_tables(evaluation),
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
        outermost_supplies=problem.conventions.charge_bypassing_outermost,
    )
    return ["Loop nest (tiles and capacities in words per instance)", nest]


def format_energy(energy_pj: float) -> str:
    """Write an energy in the unit that suits it, and in pJ.

    Examples
    --------
    >>> format_energy(80838500000.0)
    '80.8385 mJ (8.08385e+10 pJ)'
    """
    from toolkit.display import short_energy

    short = short_energy(energy_pj, 6)
    return short if short.endswith(" pJ") else f"{short} ({energy_pj:.6g} pJ)"


def _utilization(evaluation: toolkit.Evaluation) -> str:
    fanouts = math.prod(level.mesh for level in evaluation.arch.fanouts)
    instances = fanouts * evaluation.arch.compute.mesh
    used = round(evaluation.utilization * instances)
    return f"{100 * evaluation.utilization:.4g} % ({used:,} of {instances:,} MAC lanes)"


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
    return table(columns, rows, gap=2)


def _time_table(evaluation: toolkit.Evaluation) -> RenderableType:
    latency = evaluation.latency_cycles
    headings = _port_headings(evaluation.memories)
    rows = [
        (
            entry.level,
            f"{entry.instances:,}",
            f"{entry.words:,}",
            "unlimited" if entry.usable_words is None else f"{entry.usable_words:,.10g}",
            "" if entry.capacity_used is None else f"{100 * entry.capacity_used:.1f}",
            *_ports_busy(entry, latency, len(headings)),
            f"{entry.stall_cycles:,.6g}",
        )
        for entry in evaluation.memories
    ]
    columns = (
        "level",
        "instances\nused",
        "used\nwords",
        "usable\nwords",
        "used %",
        *headings,
        "stall\ncycles",
    )
    return table(columns, rows)


def _port_headings(memories: Sequence[MemoryUse]) -> tuple[str, ...]:
    if all(len(entry.ports) == 1 for entry in memories):
        return ("port\nbusy %",)
    if any(entry.directions is None for entry in memories):
        return ("ports\nbusy %",)
    return ("reads\nbusy %", "writes\nbusy %")


def _ports_busy(entry: MemoryUse, latency: float, columns: int) -> tuple[str, ...]:
    """Busy percent of the ports of a memory by column: all of them in one, or by direction."""
    busy = [f"{100 * use.busy_cycles / latency:.1f}" for use in entry.ports]
    if columns > 1:
        return busy[0], busy[-1]
    if len(busy) == 1:
        return (busy[0],)
    named = zip(entry.ports, busy, strict=True)
    return ("\n".join(f"{use.port.name.rsplit(' ', 1)[0]} {share}" for use, share in named),)


def _counted(evaluation: toolkit.Evaluation) -> str:
    """What accesses are counted in."""
    has_bits = any(entry.words is not None for entry in evaluation.accesses)
    return "values, and the words that they take" if has_bits else "words"


def _network_tables(evaluation: toolkit.Evaluation) -> Report:
    """Lay out what crosses fanouts with wires, and how those of limited bandwidth keep up."""
    if not evaluation.networks:
        return []
    rows = [
        (
            row.level,
            row.tensor,
            f"{row.sent:,}",
            f"{row.delivered:,}",
            f"{row.collected:,}",
            f"{row.returned:,}",
            *(() if row.words is None else (f"{row.words:,.6g}",)),
            f"{row.energy_pj:,.4g}",
        )
        for network in evaluation.networks
        for row in network.crossings
    ]
    crossings = [row for network in evaluation.networks for row in network.crossings]
    words = ("words",) if any(row.words is not None for row in crossings) else ()
    columns = ("level", "tensor", "sent", "delivered", "collected", "returned", *words, "pJ")
    title = f"Networks ({_counted(evaluation)}, total of all instances and the whole run)"
    laid: Report = ["", title, table(columns, rows)]
    ways = [
        (
            f"{use.level} {use.port.name}",
            f"{use.needed_bandwidth:,.4g}",
            f"{use.port.bandwidth:,.4g}",
            f"{100 * use.busy_cycles / evaluation.latency_cycles:.1f}",
            f"{network.stall_cycles * (use is network.slowest_port):,.6g}",
        )
        for network in evaluation.networks
        for use in network.ports
    ]
    if ways:
        headings = ("level", "needed words\nper cycle", "available", "busy %", "stall\ncycles")
        laid += ["", table(headings, ways)]
    return laid


def _access_table(evaluation: toolkit.Evaluation) -> RenderableType:
    has_bursts = any(entry.fetched_words is not None for entry in evaluation.accesses)
    rows = [
        (
            entry.level,
            entry.tensor,
            f"{entry.reads:,}",
            f"{entry.updates:,}",
            f"{entry.fills:,}",
            f"{entry.drains:,}",
            *(() if entry.words is None else (entry.bits_text, f"{entry.words:,.10g}")),
            *((_fetched(entry),) if has_bursts else ()),
        )
        for entry in evaluation.accesses
    ]
    columns = ["level", "tensor", "reads", "updates", "fills", "drains"]
    if any(entry.words is not None for entry in evaluation.accesses):
        columns += ["bits", "words"]
    return table([*columns, "in bursts"] if has_bursts else columns, rows)


def _fetched(entry: TensorAccesses) -> str:
    """Words of whole bursts; empty where single words are moved."""
    return "" if entry.fetched_words is None else f"{entry.fetched_words:,.10g}"
