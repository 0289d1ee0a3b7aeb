"""The command `toolkit network`: a whole model, every distinct layer mapped once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from toolkit.cli.arguments import (
    Arch,
    AsJson,
    BypassName,
    ConventionsName,
    Experts,
    FactorsName,
    KvCache,
    ObjectiveName,
    Pad,
    Steady,
    conventions_name,
    read_pad,
)
from toolkit.cli.fusion import (
    MOST_LAYERS,
    Fusion,
    FusionGroup,
    FusionLevel,
    GroupLength,
    check_options,
)
from toolkit.cli.output import Report, aligned, empty_table
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
from toolkit.search.registry import STRATEGIES
from toolkit.search.status import COSTED_IN_FULL, describe_status
from toolkit.study.units import short_bytes, short_energy

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.search.network import LayerProgress, LayerResult, NetworkResult
    from toolkit.study.storage.files import Results

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An ONNX file, or a network that toolkit list networks names, with a precision "
        "behind it if wanted: llama3-8b:int4.",
    ),
]
Strategy = Annotated[
    str,
    typer.Option(metavar="NAME", help="How to search; see: toolkit list strategies."),
]
Evaluations = Annotated[
    int | None,
    typer.Option(
        min=1, max=10**18, help="Most mappings to cost for one workload.", show_default=False
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(help="Longest time to search one workload.", show_default=False),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all randomness.")]
Dims = Annotated[
    list[str],
    typer.Option(
        "--dim",
        metavar="NAME=SIZE",
        help="Size of a dynamic dimension, such as batch=1, of an axis of a tensor, such as "
        "images:0=1, or how often a Loop runs, such as LOOP:iterations=20; total=4096 says how "
        "much of a longer cache is in use; repeat for several.",
    ),
]
Unknown = Annotated[
    str,
    typer.Option(
        metavar="WAY", help="What becomes of unknown operators: error, free or elementwise."
    ),
]
FoldBatchNorm = Annotated[
    bool,
    typer.Option(
        "--fold-batch-norm", help="Fold batch normalizations into the layers before them."
    ),
]
Bits = Annotated[
    str,
    typer.Option(
        metavar="BITS",
        help="Bits of values: as the types in the file say (file), of all, such as 8, "
        "weight=4,activation=8,sum=32, or none, so that each takes a word (word).",
    ),
]
OverlapVector = Annotated[
    bool,
    typer.Option(
        "--overlap-vector",
        help="Run layers of the vector unit beside those of the array, where both are free.",
    ),
]
NoPad = Annotated[
    bool,
    typer.Option(
        "--no-pad", help="Refuse sizes that constraints do not divide, instead of rounding up."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Processes; as many as there are cores by default, one under --fusion.",
        show_default=False,
    ),
]
Folder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Write tables as CSV and Parquet, and pictures as PNG and HTML.",
        show_default=False,
    ),
]
CacheFolder = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Keep results of searches here; by default in the user's cache folder "
        "(~/.cache/accel-search-toolkit/layers on Linux). The words in-place and copied mean "
        "--kv-cache instead.",
        show_default=False,
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Search every layer, and keep nothing.")]


_MOST_NOTES = 12
"""Notes that are printed; more than a screen of them are not read."""


def map_whole_network(
    model: Model,
    arch: Arch,
    strategy: Strategy = "greedy",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
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
    out: Folder = None,
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    fusion: Fusion = None,
    fusion_level: FusionLevel = None,
    group: FusionGroup = [],  # noqa: B006 - typer copies it
    group_length: GroupLength = None,
    json: AsJson = False,
) -> None:
    """Load, map, write tables and pictures, print."""
    import toolkit
    from toolkit.cli.output import print_json, print_report
    from toolkit.errors import InputError
    from toolkit.model.conventions import conventions_named
    from toolkit.search.result import Budget
    from toolkit.study.storage.files import Results
    from toolkit.workload.network.operators.call import KvCache as WaysToGrow

    if cache in get_args(WaysToGrow):
        kv_cache, cache = str(cache), None
    if cache is not None and no_cache:
        raise InputError("given with --no-cache; expected one of them", source="--cache")
    if pad and no_pad:
        raise InputError("given with --no-pad; expected one of them", source="--pad")
    padding = read_pad(pad) or not no_pad
    fused_layers = check_options(fusion, fusion_level, group, group_length, jobs, pad)
    counting = conventions_named(conventions_name(conventions, steady=steady))
    budget = Budget(evaluations, seconds)
    accelerator = toolkit.with_bypass_rule(
        toolkit.load_arch(arch),
        bypass,  # type: ignore[arg-type]  # It is checked there.
    )
    if out is not None:
        from toolkit.study.storage.files import make_folder

        make_folder(out)
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
        priced, fused = fuse_network(
            load(model, read_dims(dim)),
            accelerator,
            fusion or "exact",
            search=given,
            level=fusion_level,
            groups=group,
            most_layers=group_length or MOST_LAYERS,
            cache=place,
        )
        written = write_fusion(out, fused) if out is not None else Results()
        if json:
            print_json({**fusion_record(priced, fused), **written.record()})
        else:
            print_report(fusion_report(priced, fused, written))
        return
    with watched() as on_layer:
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
            jobs=jobs,
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
        if json:
            print_json({**served.to_dict(), **written.record()})
        else:
            print_report(serving_report(served, written))
        return
    written = write_results(result, out) if out is not None else Results()
    if json:
        print_json({**result.to_dict(), **written.record()})
    else:
        print_report(network_report(result, written))


def read_dims(words: Sequence[str]) -> dict[str, int]:
    """Read sizes of dimensions, such as ``batch=1``.

    Raises
    ------
    InputError
        If a word is not of this form, or a name is given twice.

    Examples
    --------
    >>> read_dims(["batch=1", "images:0=4"])
    {'batch': 1, 'images:0': 4}
    """
    from toolkit.errors import InputError
    from toolkit.messages import describe

    sizes: dict[str, int] = {}
    for word in words:
        name, equals, size = word.rpartition("=")
        if not (name and equals and size.isascii() and size.isdigit() and len(size) < 19):
            raise InputError(f"expected NAME=SIZE, got {describe(word)}", source="--dim")
        if name in sizes:
            raise InputError(f"{describe(name)} is given twice", source="--dim")
        sizes[name] = int(size)
    return sizes


def read_bits(text: str) -> str | dict[str, int]:
    """Read bits of values, such as ``file``, ``8`` or ``weight=4,activation=8,sum=32``.

    Raises
    ------
    InputError
        If the text is not of one of these forms, or a key is given twice.

    Examples
    --------
    >>> read_bits("8,sum=32")
    {'weight': 8, 'activation': 8, 'sum': 32}
    """
    from toolkit.errors import InputError
    from toolkit.messages import describe

    if text in ("file", "word"):
        return text
    found: dict[str, int] = {}
    for word in text.split(","):
        key, equals, size = word.rpartition("=")
        keys = (key.strip(),) if equals else ("weight", "activation")
        size = size.strip()
        if not (size.isascii() and size.isdigit() and len(size) < 6 and all(keys)):
            raise InputError(
                f"expected file, word, a number, or some of weight=N,activation=N,sum=N, "
                f"got {describe(text)}",
                source="--bits",
            )
        for name in keys:
            if name in found:
                raise InputError(f"{describe(name)} is given twice", source="--bits")
            found[name] = int(size)
    return found


@contextmanager
def watched() -> Iterator[Callable[[LayerProgress], None]]:
    """Show progress on standard error: a bar on a terminal, else a line per search."""
    from toolkit.cli.progress import counted

    with counted() as show:
        yield lambda progress: show(
            progress.done, progress.total, _ended(progress), read_back=progress.cached
        )


def _ended(progress: LayerProgress) -> str:
    """Say which layer's workload is mapped."""
    cost = progress.cost
    if cost is None:
        how = "no mapping"
    else:
        how = f"{cost.energy_pj:.4g} pJ, {cost.latency_cycles:,.0f} cycles"
        how += f", {cost.evaluations:,} evaluations"
    return f"{progress.layer} ({progress.workload.name}): {how}"


def network_report(result: NetworkResult, written: Results) -> Report:
    """Lay out a network: its layers, totals, where the energy goes, and what was assumed."""
    shown = [layer for layer in result.layers if layer.cost or layer.vector]
    free = len(result.layers) - len(shown)
    name = result.graph.graph.get("name") or "network"
    views = f"; {free} views cost nothing" if free else ""
    report: Report = [
        f"{name} on {result.arch.name}, {len(result.layers)} layers{views}",
        _layer_table(result, shown),
        "",
        *aligned(_facts(result)),
        "",
        "Where the energy goes",
        *_level_lines(result),
        *_notes(result),
    ]
    return [*report, "", *written.lines()] if written.files else report


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


def _layer_table(result: NetworkResult, shown: Sequence[LayerResult]) -> RenderableType:
    table = empty_table()
    heads = (
        "layer",
        "operator",
        "runs as",
        "times",
        "MACs or\noperations",
        "energy",
        "% of\nenergy",
        "cycles",
        "% of\ncycles",
        "DRAM\nwords",
        "instances\nused %",
    )
    status = bool(result.status)
    for head in (*heads, *(["best\npossible"] if status else [])):
        left = head in ("layer", "operator", "runs as")
        table.add_column(head, justify="left" if left else "right", overflow="fold")
    energy, cycles = result.energy_pj or math.inf, result.latency_cycles or math.inf
    for layer in shown:
        used = "" if layer.cost is None else f"{100 * layer.cost.utilization:.1f}"
        table.add_row(
            layer.name,
            layer.layer.operators,
            layer.lowering,
            f"{layer.repetitions:,}",
            f"{layer.layer.macs or layer.layer.operations:,}",
            short_energy(layer.energy_pj),
            f"{100 * layer.energy_pj / energy:.2f}",
            f"{layer.latency_cycles:,.0f}",
            f"{100 * layer.latency_cycles / cycles:.2f}",
            f"{layer.dram_words:,}",
            used,
            *([_short_status(layer)] if status else []),
        )
    return table


def _short_status(layer: LayerResult) -> str:
    cost = layer.cost
    if cost is None:
        return ""
    return describe_status(cost.within_fraction, stopped=cost.stopped, short=True)


def _facts(result: NetworkResult) -> list[tuple[str, str]]:
    mapped = [layer for layer in result.layers if layer.cost]
    operations = sum(layer.layer.operations for layer in result.layers)
    unit = result.vector_unit
    costed = f": {COSTED_IN_FULL}" if STRATEGIES[result.search.strategy].bounds else ""
    assumed = " (assumed: the architecture describes none)" if result.vector_unit_assumed else ""
    return [
        ("energy", f"{short_energy(result.energy_pj)} in total"),
        ("latency", f"{result.latency_cycles:,.0f} cycles, {_order(result)}"),
        ("EDP", f"{result.edp_pj_cycles * 1e-12:.6g} J·cycle"),
        (
            "DRAM",
            f"{result.dram_reads:,} words read, {result.dram_writes:,} written"
            f"{_in_bytes(result.dram_bytes)}",
        ),
        ("MACs", f"{result.macs:,} in {len(mapped)} layers"),
        ("operations", f"{operations:,} on the vector unit"),
        (
            "parameters",
            f"{result.graph.parameters:,}{_in_bytes(result.graph.parameter_bytes)}",
        ),
        *([("mappings", f"{result.status}, each layer on its own")] if result.status else []),
        ("utilization", f"{100 * result.utilization:.2f} % of the peak, over all cycles"),
        (
            "vector unit",
            f"{unit.lanes} lanes, {unit.operation_energy_pj:g} pJ per operation, fed by "
            f"{unit.memory}{assumed}",
        ),
        (
            "search",
            f"{result.search.strategy}, objective {result.search.objective}, "
            f"{result.search.conventions.name} conventions: {result.searches} workloads searched "
            f"({result.evaluations:,} evaluations{costed}), {result.reads} from the cache, "
            f"{result.seconds:.2f} s",
        ),
    ]


def _order(result: NetworkResult) -> str:
    if result.overlapped_cycles is None:
        return "layer after layer"
    apart = math.fsum(layer.latency_cycles for layer in result.layers)
    return f"the vector unit beside the array ({apart:,.0f} one after the other)"


def _in_bytes(count: float | None) -> str:
    return "" if count is None else f" ({short_bytes(count)})"


def _level_lines(result: NetworkResult) -> list[str]:
    energies, total = result.level_energies(), result.energy_pj or math.inf
    width = max((len(name) for name in energies), default=0)
    return [
        f"  {name:<{width}}  {short_energy(energy):>10}  {100 * energy / total:6.2f} %"
        for name, energy in energies.items()
    ]


def _notes(result: NetworkResult) -> list[str]:
    """Warnings, and what lowering and fitting did, each once with the layers it is about."""
    layers: dict[str, list[str]] = {}
    for layer in result.layers:
        for note in layer.notes:
            layers.setdefault(note, []).append(layer.name)
    lines = [f"  {warning}" for warning in result.warnings]
    for note, names in list(layers.items())[:_MOST_NOTES]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{more}: {note}")
    if len(layers) > _MOST_NOTES:
        lines.append(f"  {len(layers) - _MOST_NOTES} further notes: see --json or --out")
    return ["", "Notes", *lines] if lines else []
