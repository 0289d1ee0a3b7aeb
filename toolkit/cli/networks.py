"""The command `toolkit networks`: several models on several architectures, in one table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.arguments import (
    AllowPython,
    AsJson,
    AsJsonLines,
    BypassName,
    ClusterAddress,
    Experts,
    FactorsName,
    KvCache,
    ObjectiveName,
    Pad,
    Quiet,
    read_jobs,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.network import watched
from toolkit.cli.network_options import (
    Bits,
    CacheFolder,
    Dims,
    Evaluations,
    FoldBatchNorm,
    Folder,
    Jobs,
    NoCache,
    NoPad,
    Seconds,
    Seed,
    Strategy,
    Unknown,
    read_bits,
    read_budget,
    read_cache,
    read_dims,
    read_padding,
)
from toolkit.cli.output import NOTHING_FOUND, Report, aligned, empty_table
from toolkit.cli.report import ReportFile, check_output, drawings, finish
from toolkit.display import short_energy

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.search.network import NetworkComparison
    from toolkit.search.network.comparison import Pair
    from toolkit.study.storage.files import Results

Models = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL", help="ONNX files, or networks that toolkit list networks names."
    ),
]
Archs = Annotated[
    list[str],
    typer.Option(
        "--arch",
        metavar="ARCH",
        help="An architecture, as the other commands take it; repeat for several.",
    ),
]


def compare_whole_networks(
    context: typer.Context,
    models: Models,
    arch: Archs,
    strategy: Strategy = "greedy",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
    switch: Switches = [],  # noqa: B006 - typer copies it
    evaluations: Evaluations = None,
    seconds: Seconds = None,
    seed: Seed = 0,
    dim: Dims = [],  # noqa: B006 - typer copies it
    unknown: Unknown = "error",
    fold_batch_norm: FoldBatchNorm = False,
    kv_cache: KvCache = "in-place",
    experts: Experts = None,
    bits: Bits = "file",
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    no_pad: NoPad = False,
    jobs: Jobs = None,
    cluster: ClusterAddress = None,
    out: Folder = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    allow_python: AllowPython = False,
    report: ReportFile = None,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Load, map every model on every architecture, write tables and a picture, print."""
    import toolkit
    from toolkit.cli.progress import Reporter
    from toolkit.search.objective import objective_named

    reporter = Reporter.of(quiet, json, json_lines)
    place = read_cache(cache, no_cache)
    search = toolkit.LayerSearch(
        strategy,
        read_budget(evaluations, seconds),
        seed,
        objective_named(objective),
        read_conventions(conventions, switch, steady=steady),
        read_padding(pad, no_pad),
        factors,  # type: ignore[arg-type]  # It is checked there.
    )
    accelerators = [
        toolkit.with_bypass_rule(
            toolkit.load_arch(trusted(name, allow_python)),
            bypass,  # type: ignore[arg-type]  # It is checked there.
        )
        for name in arch
    ]
    check_output(report, out)
    workers = read_jobs(context, jobs, cluster)
    graphs = toolkit.load_networks(
        models,
        read_dims(dim),
        partial(
            toolkit.load_network,
            unknown=unknown,  # type: ignore[arg-type]  # It is checked there.
            fold_batch_norm=fold_batch_norm,
            kv_cache=kv_cache,  # type: ignore[arg-type]  # It is checked there.
            experts=experts,
            bits=read_bits(bits),
        ),
    )
    with watched(reporter, kept=bool(place)) as on_layer:
        found = toolkit.compare_networks(
            graphs,
            accelerators,
            search,
            jobs=workers,
            cache=place,
            on_layer=on_layer,
        )
    finish(
        reporter,
        report,
        f"{', '.join(models)} on {', '.join(arch)}",
        lambda: drawings().networks_drawings(found),
        partial(comparison_report, found),
        lambda written: {**found.to_dict(), **written.record()},
        None if out is None else write_comparison(found, out),
    )
    if not found.results:
        raise typer.Exit(NOTHING_FOUND)


def comparison_report(found: NetworkComparison, written: Results) -> Report:
    """Lay out a comparison: a row per network and architecture, and what has no mapping."""
    search = found.search
    evaluations = sum(result.evaluations for result in found.results)
    reads = sum(result.reads for result in found.results)
    how = (
        f"{search.strategy}, objective {search.objective}, {search.conventions.name} "
        f"conventions: {evaluations:,} evaluations, {reads:,} workloads from the cache"
    )
    refused = [f"  {pair.network} on {pair.arch}: {pair.why}" for pair in found.pairs if pair.why]
    warnings = {
        f"  {result.graph.graph.get('name', '')}: {warning}"
        for result in found.results
        for warning in result.graph.warnings
    }
    report: Report = [
        _table(found.pairs),
        "",
        *aligned([("search", how)]),
    ]
    if refused:
        report += ["", "No mapping", *refused]
    if warnings:
        report += ["", "Notes", *sorted(warnings)]
    return [*report, "", *written.lines()] if written.files else report


def _table(pairs: tuple[Pair, ...]) -> RenderableType:
    table = empty_table()
    rows = [pair.row() for pair in pairs]
    optional = {
        "ms": any(row["seconds"] is not None for row in rows),
        "area\nmm²": any(row["area_mm2"] is not None for row in rows),
        "mappings": any(row["status"] for row in rows),
    }
    heads = (
        "network",
        "arch",
        "MACs",
        "energy",
        "cycles",
        "ms",
        "EDP\nJ·cycle",
        "% of\npeak",
        "DRAM\nwords",
        "TOPS/W",
        "area\nmm²",
        "mappings",
    )
    shown = [head for head in heads if optional.get(head, True)]
    for head in shown:
        left = head in ("network", "arch")
        table.add_column(head, justify="left" if left else "right", overflow="fold")
    for row in rows:
        cells = _cells(row)
        table.add_row(*(cells.get(head, "") for head in shown))
    return table


def _cells(row: dict[str, object]) -> dict[str, str]:
    """Figures as people read them, by heading; without any where there is no mapping."""
    named = {"network": str(row["network"]), "arch": str(row["arch"])}
    if row["energy_total_pj"] is None:
        return {**named, "energy": "no mapping"}

    def number(key: str, scale: float = 1.0, digits: str = ".4g") -> str:
        value = row[key]
        return f"{scale * value:{digits}}" if isinstance(value, int | float) else ""

    words = sum(int(str(row[f"dram_{word}_words"])) for word in ("read", "write"))
    return {
        **named,
        "MACs": number("macs", digits=",.0f"),
        "energy": short_energy(float(str(row["energy_total_pj"]))),
        "cycles": number("latency_cycles", digits=",.0f"),
        "ms": number("seconds", 1e3),
        "EDP\nJ·cycle": number("edp_pj_cycles", 1e-12, ".5g"),
        "% of\npeak": number("peak_fraction", 100, ".2f"),
        "DRAM\nwords": f"{words:,}",
        "TOPS/W": number("tops_per_watt"),
        "area\nmm²": number("area_mm2"),
        "mappings": str(row["status"]),
    }


def write_comparison(found: NetworkComparison, folder: str) -> Results:
    """Write tables of a comparison, and a picture where its libraries are installed.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    from toolkit.study.storage.files import with_pictures, write_tables

    tables = {"networks": found.table(), "layers": found.layer_table()}

    def draw() -> tuple[Path, ...]:
        from toolkit.study.pictures.networks import write_pictures

        return write_pictures(folder, found)

    return with_pictures(write_tables(tables, folder), draw)
