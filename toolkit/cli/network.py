"""The command `toolkit network`: a whole model, every distinct layer mapped once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    read_jobs,
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
    read_cache,
    read_dims,
    read_padding,
)
from toolkit.cli.network_report import network_report
from toolkit.cli.problems import read_arch
from toolkit.cli.report import ReportFile, check_output, drawings, finish
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
from toolkit.errors import InputError
from toolkit.fusion import MOST_MAPPED_LAYERS

if TYPE_CHECKING:
    from toolkit.arch import Architecture
    from toolkit.cli.output import Record
    from toolkit.cli.progress import Reporter
    from toolkit.fusion import FusionOverhead
    from toolkit.processes import Jobs as Workers
    from toolkit.search.network import LayerProgress, LayerSearch, NetworkResult
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
    from toolkit.cli.progress import Reporter
    from toolkit.search.objective import objective_named
    from toolkit.workload.network.operators.call import KvCache as WaysToGrow

    reporter = Reporter.of(quiet, json, json_lines)
    if cache in get_args(WaysToGrow):
        kv_cache, cache = str(cache), None
    place, padding = read_cache(cache, no_cache), read_padding(pad, no_pad)
    fused = check_options(fusion, fusion_level, group, group_length, pad, prefetch=prefetch)
    overhead = read_overhead(fusion_overhead_pj, fusion_overhead_cycles, fused_layers=fused)
    serves = check_serving(prefill, decode, batch)
    for option, chosen in (("--overlap-vector", overlap_vector), ("--prefill", serves)):
        if fused and chosen:
            raise InputError("given with --fusion; expected one of them", source=option)
    search = toolkit.LayerSearch(
        strategy,
        read_budget(evaluations, seconds),
        seed,
        objective_named(objective),
        read_conventions(conventions, switch, steady=steady),
        padding,
        factors,  # type: ignore[arg-type]  # It is checked there.
    )
    accelerator = toolkit.with_bypass_rule(
        read_arch(trusted(arch, allow_python), estimates),
        bypass,  # type: ignore[arg-type]  # It is checked there.
    )
    load = partial(
        toolkit.load_network,
        unknown=unknown,  # type: ignore[arg-type]  # It is checked there.
        fold_batch_norm=fold_batch_norm,
        bits=read_bits(bits),
        kv_cache=kv_cache,  # type: ignore[arg-type]  # It is checked there.
        experts=experts,
    )
    check_output(report, out)
    workers = read_jobs(context, jobs, cluster)
    asked = _Asked(load, model, dim, accelerator, search, workers, place, report, out, reporter)
    if fused:
        asked.fuse(
            fusion or "exact",
            level=fusion_level,
            groups=group,
            most_layers=group_length or MOST_MAPPED_LAYERS,
            overhead=overhead,
            prefetch=prefetch,
        )
    elif serves:
        asked.serve(prefill or 1, decode or DEFAULT_DECODE, batch or 1)
    else:
        asked.map(overlap_vector=overlap_vector)


@dataclass(frozen=True)
class _Asked:
    """What is mapped on what, and where its results go.

    Parameters
    ----------
    load : callable
        Reads a model with sizes of its dimensions.
    model : str
        Which.
    dims : list of str
        Sizes, or what dimensions are, as the user gave them.
    arch : Architecture
        The accelerator.
    search : LayerSearch
        How each layer is searched.
    jobs : int, Cluster or None
        Where.
    cache : bool or str
        Whether results of searches are kept, or in which folder.
    report, out : str or None
        The page, and the folder of tables and pictures.
    reporter : Reporter
        Who is told.
    """

    load: Callable[..., LayerGraph]
    model: str
    dims: list[str]
    arch: Architecture
    search: LayerSearch
    jobs: Workers | None
    cache: bool | str
    report: str | None
    out: str | None
    reporter: Reporter

    def map(self, *, overlap_vector: bool) -> None:
        """Map every layer on its own."""
        with watched(self.reporter, kept=bool(self.cache)) as on_layer:
            graph = self.load(self.model, read_dims(self.dims))
            result = self._run(on_layer, overlap_vector=overlap_vector)(graph)
        finish(
            self.reporter,
            self.report,
            f"{_name(result.graph)} on {self.arch.name}",
            lambda: drawings().network_drawings(result),
            partial(network_report, result),
            lambda written: {**result.to_dict(), **written.record()},
            None if self.out is None else write_results(result, self.out),
        )

    def serve(self, prompt: int, decode: int, batch: int) -> None:
        """Map a model that answers, at several lengths of its context."""
        from toolkit.search.network.serving import serve
        from toolkit.workload.network.decoding import find_decoder

        with watched(self.reporter, kept=bool(self.cache)) as on_layer:
            result = serve(
                find_decoder(self.model, read_roles(self.dims)),
                partial(self.load, self.model),
                self._run(on_layer),
                prompt=prompt,
                decode=decode,
                batch=batch,
            )
        finish(
            self.reporter,
            self.report,
            f"{result.name} on {self.arch.name}, serving",
            lambda: drawings().serving_drawings(result),
            partial(serving_report, result),
            lambda written: {**result.to_dict(), **written.record()},
            None if self.out is None else write_serving(result, self.out),
        )

    def fuse(
        self,
        strategy: str,
        *,
        level: str | None,
        groups: list[str],
        most_layers: int,
        overhead: FusionOverhead,
        prefetch: bool,
    ) -> None:
        """Fuse layers into groups, as `fuse_network` does, or as they are given."""
        from toolkit.cli.fusion import fuse_network, write_fusion
        from toolkit.cli.fusion_report import fusion_record, fusion_report
        from toolkit.fusion import steps_to_fused

        graph = self.load(self.model, read_dims(self.dims))
        model, result = fuse_network(
            graph,
            self.arch,
            strategy,
            reporter=self.reporter,
            search=self.search,
            level=level,
            groups=groups,
            most_layers=most_layers,
            overhead=overhead,
            prefetch=prefetch,
            jobs=self.jobs or 1,
            cache=self.cache,
        )
        steps = steps_to_fused(model, result, graph)
        finish(
            self.reporter,
            self.report,
            f"{_name(graph)} on {self.arch.name}, fused",
            lambda: drawings().fusion_drawings(result, self.arch),
            partial(fusion_report, model, result, steps),
            lambda written: {**fusion_record(model, result, steps), **written.record()},
            None if self.out is None else write_fusion(self.out, result),
        )

    def _run(
        self, on_layer: Callable[[LayerProgress], None], *, overlap_vector: bool = False
    ) -> Callable[[LayerGraph], NetworkResult]:
        import toolkit

        search = self.search
        return partial(
            toolkit.map_network,
            arch=self.arch,
            strategy=search.strategy,
            budget=search.budget,
            objective=search.objective,
            conventions=search.conventions,
            seed=search.seed,
            pad=search.pad,
            factors=search.factors,
            overlap_vector=overlap_vector,
            jobs=self.jobs,
            cache=self.cache,
            on_layer=on_layer,
        )


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
