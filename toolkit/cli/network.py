"""The command `toolkit network`: a whole model, every distinct layer mapped once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.fusion import (
    MOST_LAYERS,
    Fusion,
    FusionGroup,
    FusionLevel,
    GroupLength,
    check_options,
)
from toolkit.cli.options import Arch, AsJson, ConventionsName, ObjectiveName

if TYPE_CHECKING:
    from toolkit.search.network import LayerProgress

Model = Annotated[str, typer.Argument(metavar="MODEL", help="An ONNX file.")]
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
        "images:0=1, or how often a Loop runs, such as LOOP:iterations=20; repeat for several.",
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
        "(~/.cache/accel-search-toolkit/layers on Linux).",
        show_default=False,
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Search every layer, and keep nothing.")]


_STARTING = "searching (the first run on a machine compiles the cost model for up to a minute)"


def map_whole_network(
    model: Model,
    arch: Arch,
    strategy: Strategy = "greedy",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    evaluations: Evaluations = None,
    seconds: Seconds = None,
    seed: Seed = 0,
    dim: Dims = [],  # noqa: B006 - typer copies it
    unknown: Unknown = "error",
    fold_batch_norm: FoldBatchNorm = False,
    no_pad: NoPad = False,
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
    from toolkit.cli.network_output import network_report, write_results
    from toolkit.cli.output import print_json, print_report
    from toolkit.errors import InputError
    from toolkit.model.conventions import conventions_named
    from toolkit.search.result import Budget
    from toolkit.study.storage.files import Results

    if cache is not None and no_cache:
        raise InputError("given with --no-cache; expected one of them", source="--cache")
    fused_layers = check_options(fusion, fusion_level, group, group_length, jobs)
    counting, budget = conventions_named(conventions), Budget(evaluations, seconds)
    accelerator = toolkit.load_arch(arch)
    if out is not None:
        from toolkit.study.storage.files import make_folder

        make_folder(out)
    graph = toolkit.load_network(
        model,
        read_dims(dim),
        unknown=unknown,  # type: ignore[arg-type]  # It is checked there.
        fold_batch_norm=fold_batch_norm,
    )
    if fused_layers:
        from toolkit.cli.fusion import fuse_network, fusion_record, fusion_report, write_fusion
        from toolkit.search.network import LayerSearch
        from toolkit.search.objective import objective_named

        given = LayerSearch(
            strategy, budget, seed, objective_named(objective), counting, not no_pad
        )
        place = not no_cache if cache is None else cache
        priced, fused = fuse_network(
            graph,
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
    with _watched() as on_layer:
        result = toolkit.map_network(
            graph,
            accelerator,
            strategy,
            budget=budget,
            objective=objective,
            conventions=counting,
            seed=seed,
            pad=not no_pad,
            jobs=jobs,
            cache=not no_cache if cache is None else cache,
            on_layer=on_layer,
        )
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
    from toolkit.yaml_files import describe

    sizes: dict[str, int] = {}
    for word in words:
        name, equals, size = word.rpartition("=")
        if not (name and equals and size.isascii() and size.isdigit() and len(size) < 19):
            raise InputError(f"expected NAME=SIZE, got {describe(word)}", source="--dim")
        if name in sizes:
            raise InputError(f"{describe(name)} is given twice", source="--dim")
        sizes[name] = int(size)
    return sizes


@contextmanager
def _watched() -> Iterator[Callable[[LayerProgress], None]]:
    """Show progress on standard error: a bar on a terminal, else a line per search."""
    with _bar() if sys.stderr.isatty() else _lines() as show:
        yield show


@contextmanager
def _lines() -> Iterator[Callable[[LayerProgress], None]]:
    def show(progress: LayerProgress) -> None:
        if not progress.cached:
            line = f"{progress.done}/{progress.total} {_ended(progress)}"
            print(line, file=sys.stderr, flush=True)

    yield show


@contextmanager
def _bar() -> Iterator[Callable[[LayerProgress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    text = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(20), MofNCompleteColumn(), Elapsed(), text)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(_STARTING, total=None)

        def show(progress: LayerProgress) -> None:
            done, total = progress.done, progress.total
            bar.update(task, completed=done, total=total, description=_ended(progress))

        yield show


def _ended(progress: LayerProgress) -> str:
    """Say which layer's workload is mapped."""
    cost = progress.cost
    if cost is None:
        how = "no mapping"
    else:
        how = f"{cost.energy_pj:.4g} pJ, {cost.latency_cycles:,.0f} cycles"
        how += f", {cost.evaluations:,} evaluations"
    return f"{progress.layer} ({progress.workload.name}): {how}"
