"""The command `toolkit worker`: take part in searches over hardware, on any machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.arguments import AsJson

if TYPE_CHECKING:
    from toolkit.study.hardware.workers import SampleProgress

StorageArgument = Annotated[
    str,
    typer.Argument(
        metavar="STORAGE",
        help="Where toolkit codesign records: a file, postgresql://HOST/NAME, or "
        "grpc://HOST:PORT of a toolkit proxy.",
    ),
]
StudyName = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="NAME",
        help="Join this study alone; by default all that have not ended, one after the other.",
        show_default=False,
    ),
]
Heartbeat = Annotated[
    int,
    typer.Option(
        min=1,
        max=3600,
        metavar="SECONDS",
        help="Time between two signs of life; after six missing ones a trial is taken over.",
    ),
]
Most = Annotated[
    int | None,
    typer.Option(min=1, help="Points to score, at most.", show_default=False),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Keep no mappings on this machine.")]


def join_studies(
    storage: StorageArgument,
    study: StudyName = None,
    most: Most = None,
    heartbeat: Heartbeat = 10,
    no_cache: NoCache = False,
    json: AsJson = False,
) -> None:
    """Open the storage, score points of its studies until they end, print how many."""
    from toolkit.cli.output import print_json, print_text
    from toolkit.study.hardware.asked import join_studies as join
    from toolkit.study.storage.opening import storage_name

    with in_arguments():
        scored = join(
            storage,
            study,
            most=most,
            heartbeat=heartbeat,
            cache=not no_cache,
            on_sample=show_sample,
        )
    if json:
        print_json({"storage": storage_name(storage), "scored": scored})
    else:
        lines = [f"{count:,} points scored in {name}" for name, count in scored.items()]
        print_text("\n".join(lines) + "\n")


def show_sample(progress: SampleProgress) -> None:
    """Tell of one point on standard error."""
    score = progress.score
    sizes = " ".join(f"{name}={value}" for name, value in score.parameters.items())
    if score.reason:
        what = f"does not run: {score.reason}"
    else:
        costs = score.energy_pj, score.latency_cycles, score.area_um2
        objective = progress.objective
        what = (
            f"{objective.heading} {objective.described(*costs)}, {score.area_um2 * 1e-6:.4g} mm²"
        )
        broken = [name for name, excess in score.constraints.items() if excess > 0]
        what += f", beyond the {' and '.join(broken)} budget" if broken else ""
    line = f"{progress.study} {progress.done}/{progress.samples} {sizes}: {what}"
    print(line, file=sys.stderr, flush=True)


@contextmanager
def in_arguments() -> Iterator[None]:
    """Write of the storage as of the argument that it is here."""
    from toolkit.errors import InputError

    try:
        yield
    except InputError as error:
        if error.source is not None or error.key != "storage":
            raise
        raise InputError(str(error).removeprefix("storage: "), key="STORAGE") from error
