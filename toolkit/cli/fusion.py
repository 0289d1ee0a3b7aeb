"""Options of `toolkit network --fusion`, what it runs, and which files it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    from toolkit.arch import Architecture
    from toolkit.cli.progress import Reporter
    from toolkit.fusion import FusionOverhead, FusionResult, MappedModel
    from toolkit.processes import Jobs
    from toolkit.search.network import LayerSearch
    from toolkit.study.storage.files import Results
    from toolkit.workload.network import LayerGraph


Fusion = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Fuse layers into groups whose tensors stay on chip: exact, segments, greedy, "
        "nsga2, gradient, joint or none.",
        show_default=False,
    ),
]
FusionLevel = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help="The memory that holds fused tensors; by default the outermost one on chip, and "
        "those inside it where that is cheaper.",
        show_default=False,
    ),
]
FusionGroup = Annotated[
    list[str],
    typer.Option(
        "--group",
        metavar="LAYER,LAYER",
        help="Fuse these layers, instead of a search; repeat for several groups.",
    ),
]
GroupLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Most layers of a group that --fusion finds; 12 by default.",
        show_default=False,
    ),
]

Prefetch = Annotated[
    bool,
    typer.Option(
        "--prefetch",
        help="While a group runs, load what the next one needs first, and store what the one "
        "before made last, in cycles and room that it leaves; off by default: groups run one "
        "after the other.",
    ),
]

_OBJECTIVES = ("edp", "energy", "latency")


def check_options(
    fusion: str | None,
    level: str | None,
    groups: Sequence[str],
    most_layers: int | None,
    pad: Sequence[str] = (),
    *,
    prefetch: bool = False,
) -> bool:
    """Tell whether layers are to be fused.

    Raises
    ------
    InputError
        If an option would do nothing next to the others.
    """
    if fusion is not None and groups:
        raise InputError("given with --fusion; expected one of them", source="--group")
    if fusion is None and most_layers is not None:
        raise InputError("means nothing without --fusion", source="--group-length")
    fused = fusion is not None or bool(groups)
    if level is not None and not fused:
        raise InputError("means nothing without --fusion or --group", source="--fusion-level")
    if prefetch and not fused:
        raise InputError("means nothing without --fusion or --group", source="--prefetch")
    if fused and pad:
        raise InputError(
            "not with --fusion or --group, whose tiles have sizes of their own", source="--pad"
        )
    return fused


def fuse_network(
    graph: LayerGraph,
    arch: Architecture,
    strategy: str,
    *,
    reporter: Reporter,
    search: LayerSearch,
    level: str | None,
    groups: Sequence[str],
    most_layers: int,
    overhead: FusionOverhead,
    prefetch: bool,
    jobs: Jobs,
    cache: bool | str,
) -> tuple[MappedModel, FusionResult]:
    """Search for a partition, or cost the one that is given.

    Raises
    ------
    InputError
        If the objective is not one of fusion, or as `toolkit.fusion.find_partition` does.
    """
    from toolkit.fusion import cost_partition, find_partition
    from toolkit.fusion.fusing import fusion_model

    if search.objective.name not in _OBJECTIVES:
        raise InputError(
            f"expected {', '.join(_OBJECTIVES)} with --fusion, got {search.objective.name!r}",
            source="--objective",
        )
    model = fusion_model(
        graph,
        arch,
        level=level,
        search=search,
        overhead=overhead,
        prefetch=prefetch,
        jobs=jobs,
        cache=cache,
    )
    with _watched(reporter, model):
        if groups:
            given = [[name.strip() for name in words.split(",")] for words in groups]
            return model, cost_partition(model, given)
        return model, find_partition(model, strategy, most_layers=most_layers, seed=search.seed)


@contextmanager
def _watched(reporter: Reporter, model: MappedModel) -> Iterator[None]:
    """Tell how many parts of layers are mapped; an interruption is followed by how to go on."""
    try:
        with _told(reporter, model):
            yield
    except KeyboardInterrupt:
        if model.costs.store is not None:
            what = "parts of layers that are mapped are kept; the same command goes on"
            reporter.say(f"toolkit: {what}")
        raise


@contextmanager
def _told(reporter: Reporter, model: MappedModel) -> Iterator[None]:
    from toolkit.cli.progress import Pace, describe_left

    now = ["costing groups"]
    pace = Pace()

    def mapped(number: int, layer: str) -> None:
        now[:] = [f"{number:,} parts of layers mapped; {layer}"]
        reporter.event("part", {"done": number, "layer": layer})

    def bounded(done: int, total: int) -> None:
        left = describe_left(pace.left(done, total))
        now[:] = [", ".join(filter(None, (f"{done:,} of {total:,} layers bounded", left)))]
        reporter.event("bound", {"done": done, "total": total})

    model.costs.on_search, model.bounds.on_proof = mapped, bounded
    with reporter.live(lambda: now[0]):
        yield


def write_fusion(folder: str, result: FusionResult) -> Results:
    """Write tables and, where their libraries are installed, pictures."""
    from toolkit.study.storage.files import with_pictures, write_tables

    tables = {"fusion_groups": result.table(), "fusion_boundaries": result.boundary_table()}
    if result.chances:
        tables["fusion_chances"] = result.chance_table()

    def draw() -> tuple[Path, ...]:
        from toolkit.study.pictures.fusion import write_fusion_pictures
        from toolkit.study.pictures.timelines import write_timelines

        return (*write_fusion_pictures(folder, result), *write_timelines(folder, result))

    return with_pictures(write_tables(tables, folder), draw)
