"""The command `toolkit worker`: take part in searches over hardware, on any machine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.arguments import AsJson, AsJsonLines, Quiet
from toolkit.cli.output import Record
from toolkit.cli.progress import Reporter, describe_left

if TYPE_CHECKING:
    from toolkit.study.hardware.workers import BoxProgress, SampleProgress

BOX_SECONDS = 10.0
"""Between two lines about boxes."""

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
    json_lines: AsJsonLines = False,
    quiet: Quiet = False,
) -> None:
    """Open the storage, score points of its studies until they end, print how many."""
    from toolkit.cli.output import print_text
    from toolkit.study.hardware.asked import join_studies as join
    from toolkit.study.storage.opening import storage_name

    reporter = Reporter.of(quiet, json, json_lines)
    told = HardwareTold(reporter)
    with in_arguments():
        scored = join(
            storage,
            study,
            most=most,
            heartbeat=heartbeat,
            cache=not no_cache,
            on_sample=told.sample,
            on_box=told.box,
        )
    if reporter.json:
        reporter.print_json({"storage": storage_name(storage), "scored": scored})
    else:
        lines = [f"{count:,} points scored in {name}" for name, count in scored.items()]
        print_text("\n".join(lines) + "\n")


@dataclass(eq=False)
class HardwareTold:
    """Tells of points and boxes, in whichever process looks at them.

    Parameters
    ----------
    reporter : Reporter
        To whom.
    """

    reporter: Reporter
    _line: float = field(default=-math.inf, init=False)

    def sample(self, progress: SampleProgress) -> None:
        """Tell of one point."""
        said = f"{progress.study} {progress.done}/{progress.samples} {_sample_text(progress)}"
        left = describe_left(progress.seconds_left)
        self.reporter.say(", ".join(filter(None, (said, left))))
        self.reporter.event("point", _sample_record(progress))

    def box(self, progress: BoxProgress) -> None:
        """Tell of one box: to people, who read no hundreds of lines, now and then."""
        if time.monotonic() - self._line >= BOX_SECONDS:
            self._line = time.monotonic()
            said = f"{progress.study}: {_box_text(progress)}"
            left = describe_left(progress.seconds_left)
            self.reporter.say(", ".join(filter(None, (said, left))))
        self.reporter.event("box", _box_record(progress))


def _sample_text(progress: SampleProgress) -> str:
    from toolkit.study.hardware.plan import score_text

    score = progress.score
    sizes = " ".join(f"{name}={value}" for name, value in score.parameters.items())
    return f"{sizes}: {score_text(progress.objective, score)}"


def _sample_record(progress: SampleProgress) -> Record:
    score = progress.score
    return {
        "study": progress.study,
        "done": progress.done,
        "total": progress.samples,
        "parameters": dict(score.parameters),
        "energy_total_pj": score.energy_pj,
        "latency_cycles": score.latency_cycles,
        "area_total_um2": score.area_um2,
        "power_mw": score.power_mw,
        "beyond_budgets": [name for name, excess in score.constraints.items() if excess > 0],
        "reason": score.reason,
    }


def _box_text(progress: BoxProgress) -> str:
    from toolkit.codesign.exact.front import FrontProgress

    proof = progress.proof
    boxes = f"{proof.closed:,} boxes closed, {proof.open:,} open"
    if isinstance(proof, FrontProgress):
        found = f"{boxes}, {proof.points:,} trade-offs"
        # A box that nothing is known of yet may hide anything.
        known = math.isfinite(proof.miss)
        return f"{found}, others missed by {100 * proof.miss:.3g} % at most" if known else found
    if proof.best is None or not proof.bound > 0:
        return boxes
    return f"{boxes}, within {100 * (proof.best.value / proof.bound - 1):.3g} %"


def _box_record(progress: BoxProgress) -> Record:
    from toolkit.codesign.exact.front import FrontProgress

    proof = progress.proof
    boxes = {
        "study": progress.study,
        "closed": proof.closed,
        "open": proof.open,
        "seconds": proof.seconds,
    }
    if isinstance(proof, FrontProgress):
        return {**boxes, "points": proof.points, "missed_fraction": proof.miss}
    best = None if proof.best is None else proof.best.value
    return {**boxes, "objective_value": best, "objective_bound": proof.bound}


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
