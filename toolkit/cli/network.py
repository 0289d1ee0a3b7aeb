"""The command `toolkit network`: a whole model, every distinct layer mapped once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import typer

from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    AsJsonLines,
    BypassName,
    ClusterAddress,
    Estimates,
    Experts,
    FactorsName,
    KvCache,
    ObjectiveName,
    Pad,
    Quiet,
    read_arch,
    read_jobs,
    read_pad,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.fusion import (
    Fusion,
    FusionGroup,
    FusionLevel,
    GroupLength,
    Prefetch,
    check_options,
)
from toolkit.cli.fusion_overhead import OverheadCycles, OverheadEnergy, read_overhead
from toolkit.cli.network_options import (
    Bits,
    CacheFolder,
    Dims,
    Evaluations,
    FoldBatchNorm,
    Folder,
    Jobs,
    Model,
    NoCache,
    NoPad,
    OverlapVector,
    Seconds,
    Seed,
    Strategy,
    Unknown,
    read_bits,
    read_budget,
    read_dims,
)
from toolkit.cli.network_report import network_report
from toolkit.cli.report import (
    ReportFile,
    check_pictures,
    drawings,
    warn_of_missing,
    write_pictures,
)
from toolkit.cli.serving import (
    DEFAULT_DECODE,
    Batch,
    Decode,
    Prefill,
    check_serving,
    read_roles,
    serving_report,
    write_serving,
)
from toolkit.fusion import MOST_MAPPED_LAYERS

if TYPE_CHECKING:
    from toolkit.cli.output import Record
    from toolkit.cli.progress import Reporter
    from toolkit.search.network import LayerProgress, NetworkResult
    from toolkit.study.storage.files import Results
    from toolkit.workload.network import LayerGraph


def map_whole_network(
    context: typer.Context,
    model: Model,
    arch: Arch,
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
    prefill: Prefill = None,
    decode: Decode = None,
    batch: Batch = None,
    bits: Bits = "file",
    kv_cache: KvCache = "in-place",
    experts: Experts = None,
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: Pad = [],  # noqa: B006 - typer copies it
    no_pad: NoPad = False,
    overlap_vector: OverlapVector = False,
    jobs: Jobs = None,
    cluster: ClusterAddress = None,
    out: Folder = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    fusion: Fusion = None,
    fusion_level: FusionLevel = None,
    group: FusionGroup = [],  # noqa: B006 - typer copies it
    group_length: GroupLength = None,
    fusion_overhead_pj: OverheadEnergy = None,
    fusion_overhead_cycles: OverheadCycles = None,
    prefetch: Prefetch = False,
    estimates: Estimates = [],  # noqa: B006 - typer copies it
    allow_python: AllowPython = False,
    report: ReportFile = None,
    json: AsJson = False,
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Load, map, write tables and pictures, print."""
    import toolkit
    from toolkit.cli.output import print_report
    from toolkit.cli.progress import Reporter
    from toolkit.errors import InputError
    from toolkit.study.storage.files import Results
    from toolkit.workload.network.operators.call import KvCache as WaysToGrow

    reporter = Reporter.of(quiet, json, json_lines)
    if cache in get_args(WaysToGrow):
        kv_cache, cache = str(cache), None
    if cache is not None and no_cache:
        raise InputError("given with --no-cache; expected one of them", source="--cache")
    if pad and no_pad:
        raise InputError("given with --no-pad; expected one of them", source="--pad")
    padding = read_pad(pad) or not no_pad
    fused_layers = check_options(fusion, fusion_level, group, group_length, pad, prefetch=prefetch)
    overhead = read_overhead(fusion_overhead_pj, fusion_overhead_cycles, fused_layers=fused_layers)
    counting = read_conventions(conventions, switch, steady=steady)
    budget = read_budget(evaluations, seconds)
    accelerator = toolkit.with_bypass_rule(
        read_arch(trusted(arch, allow_python), estimates),
        bypass,  # type: ignore[arg-type]  # It is checked there.
    )
    check_pictures(report)
    workers = read_jobs(context, jobs, cluster)
    if out is not None:
        from toolkit.study.storage.files import make_folder

        make_folder(out)
        warn_of_missing(out)
    load = partial(
        toolkit.load_network,
        unknown=unknown,  # type: ignore[arg-type]  # It is checked there.
        fold_batch_norm=fold_batch_norm,
        bits=read_bits(bits),
        kv_cache=kv_cache,  # type: ignore[arg-type]  # It is checked there.
        experts=experts,
    )
    serves = check_serving(prefill, decode, batch)
    for option, chosen in (("--overlap-vector", overlap_vector), ("--prefill", serves)):
        if fused_layers and chosen:
            raise InputError("given with --fusion; expected one of them", source=option)
    place = not no_cache if cache is None else cache
    if fused_layers:
        from toolkit.cli.fusion import fuse_network, fusion_record, fusion_report, write_fusion
        from toolkit.fusion import steps_to_fused
        from toolkit.search.network import LayerSearch
        from toolkit.search.objective import objective_named

        given = LayerSearch(
            strategy,
            budget,
            seed,
            objective_named(objective),
            counting,
            padding,
            factors,  # type: ignore[arg-type]  # It is checked there.
        )
        graph = load(model, read_dims(dim))
        priced, fused = fuse_network(
            graph,
            accelerator,
            fusion or "exact",
            reporter=reporter,
            search=given,
            level=fusion_level,
            groups=group,
            most_layers=group_length or MOST_MAPPED_LAYERS,
            overhead=overhead,
            prefetch=prefetch,
            jobs=workers or 1,
            cache=place,
        )
        steps = steps_to_fused(priced, fused, graph)
        written = write_fusion(out, fused) if out is not None else Results()
        written = written.also(
            write_pictures(
                report,
                None,
                f"{_name(graph)} on {accelerator.name}, fused",
                lambda: drawings().fusion_drawings(fused, accelerator),
                lambda: fusion_report(priced, fused, steps, Results()),
            )
        )
        if reporter.json:
            reporter.print_json({**fusion_record(priced, fused, steps), **written.record()})
        else:
            print_report(fusion_report(priced, fused, steps, written))
        return
    with watched(reporter, kept=bool(place)) as on_layer:
        run = partial(
            toolkit.map_network,
            arch=accelerator,
            strategy=strategy,
            budget=budget,
            objective=objective,
            conventions=counting,
            seed=seed,
            pad=padding,
            factors=factors,  # type: ignore[arg-type]  # It is checked there.
            overlap_vector=overlap_vector,
            jobs=workers,
            cache=place,
            on_layer=on_layer,
        )
        if serves:
            from toolkit.search.network.serving import serve
            from toolkit.workload.network.decoding import find_decoder

            served = serve(
                find_decoder(model, read_roles(dim)),
                partial(load, model),
                run,
                prompt=prefill or 1,
                decode=decode or DEFAULT_DECODE,
                batch=batch or 1,
            )
        else:
            result = run(load(model, read_dims(dim)))
    if serves:
        written = write_serving(served, out) if out is not None else Results()
        written = written.also(
            write_pictures(
                report,
                None,
                f"{served.name} on {accelerator.name}, serving",
                lambda: drawings().serving_drawings(served),
                lambda: serving_report(served, Results()),
            )
        )
        if reporter.json:
            reporter.print_json({**served.to_dict(), **written.record()})
        else:
            print_report(serving_report(served, written))
        return
    written = write_results(result, out) if out is not None else Results()
    written = written.also(
        write_pictures(
            report,
            None,
            f"{_name(result.graph)} on {accelerator.name}",
            lambda: drawings().network_drawings(result),
            lambda: network_report(result, Results()),
        )
    )
    if reporter.json:
        reporter.print_json({**result.to_dict(), **written.record()})
    else:
        print_report(network_report(result, written))


def _name(graph: LayerGraph) -> str:
    return graph.graph.get("name") or "network"


@contextmanager
def watched(reporter: Reporter, *, kept: bool) -> Iterator[Callable[[LayerProgress], None]]:
    """Tell of every layer's workload that is mapped."""
    with reporter.counted("layers that differ are mapped and kept" if kept else None) as show:

        def mapped(progress: LayerProgress) -> None:
            known, text = progress.cached, _ended(progress)
            show(progress.done, progress.total, text, read_back=known, silent=known)
            reporter.event("layer", _layer_record(progress))

        yield mapped


def _layer_record(progress: LayerProgress) -> Record:
    cost = progress.cost
    return {
        "done": progress.done,
        "total": progress.total,
        "layer": progress.layer,
        "workload": progress.workload.name,
        "energy_total_pj": None if cost is None else cost.energy_pj,
        "latency_cycles": None if cost is None else cost.latency_cycles,
        "evaluations": None if cost is None else cost.evaluations,
        "read_back": progress.cached,
    }


def _ended(progress: LayerProgress) -> str:
    """Say which layer's workload is mapped."""
    cost = progress.cost
    if cost is None:
        how = "no mapping"
    else:
        how = f"{cost.energy_pj:.4g} pJ, {cost.latency_cycles:,.0f} cycles"
        how += f", {cost.evaluations:,} evaluations"
    return f"{progress.layer} ({progress.workload.name}): {how}"


def write_results(result: NetworkResult, folder: str) -> Results:
    """Write the tables of a network, and pictures where their libraries are installed.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    from toolkit.search.network.cycles import layer_parts
    from toolkit.study.storage.files import with_pictures, write_tables

    tables = {
        "layers": result.table(),
        "totals": result.total_table(),
        "levels": result.level_table(),
        **layer_parts(result),
    }

    def draw() -> tuple[Path, ...]:
        from toolkit.study.pictures.network import write_pictures

        return tuple(write_pictures(folder, result))

    return with_pictures(write_tables(tables, folder), draw)
