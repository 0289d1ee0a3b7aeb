"""What `toolkit network` prints of a network that serves: its first token, and all that follow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.output import Report, aligned, empty_table
from toolkit.display import short_energy
from toolkit.search.network.serving import ATTENTION, OTHER, PARTS, WEIGHTS
from toolkit.study.units import short_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.search.network.serving import ServingResult, Step
    from toolkit.study.storage.files import Results

Prefill = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=2**24,
        help="Serve with a model that has a cache: tokens of a prompt.",
        show_default=False,
    ),
]
Decode = Annotated[
    int | None,
    typer.Option(
        min=1, max=2**24, help="Tokens that are made from the prompt.", show_default=False
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(min=1, max=2**20, help="Prompts at a time.", show_default=False),
]
DEFAULT_DECODE = 128
"""Tokens that are made where only a prompt is given: enough to see a context grow."""


def check_serving(prefill: int | None, decode: int | None, batch: int | None) -> bool:
    """Whether a network is to serve.

    Raises
    ------
    InputError
        If tokens or sequences are given without a prompt.
    """
    from toolkit.errors import InputError

    if prefill is not None:
        return True
    for option, given in (("--decode", decode), ("--batch", batch)):
        if given is not None:
            raise InputError("given without --prefill; expected both", source=option)
    return False


def read_roles(words: list[str]) -> dict[str, int | str]:
    """Read sizes of dimensions, or what they are: ``batch=1``, ``n_ctx=past``.

    Raises
    ------
    InputError
        If a word is not of this form, or a name is given twice.
    """
    from toolkit.cli.network_options import read_dims

    roles = {}
    sizes = []
    for word in words:
        name, _, role = word.rpartition("=")
        if role.isidentifier() and name:
            roles[name] = role
        else:
            sizes.append(word)
    return {**read_dims(sizes), **roles}


def serving_report(result: ServingResult, written: Results) -> Report:
    """Lay out what a network costs as it answers."""
    report: Report = [
        f"{result.name} on {result.arch.name}: {result.prompt:,} tokens of prompt, "
        f"{result.decode:,} made, {result.batch:,} at a time",
        _table(result),
        "",
        *aligned(_facts(result)),
    ]
    notes = dict.fromkeys(
        warning for step in (result.prefill, *result.steps) for warning in step.result.warnings
    )
    if notes:
        report += ["", "Notes", *(f"  {note}" for note in notes)]
    return [*report, "", *written.lines()] if written.files else report


def _table(result: ServingResult) -> RenderableType:
    table = empty_table()
    heads = ("tokens\nin the cache", "new\ntokens", "cycles", "energy")
    shares = [f"{part}\n% of cycles" for part in PARTS]
    words = ("DRAM\nwords", "weights\n% of words", "cache\n% of words")
    for head in (*heads, *shares, *words):
        table.add_column(head, justify="right")
    for step in (result.prefill, *result.steps):
        total, moved = step.latency_cycles or 1.0, step.dram_words or 1
        apart = sum(step.cycles.values()) or total
        table.add_row(
            f"{step.context:,}",
            f"{step.new:,}",
            f"{step.latency_cycles:,.0f}",
            short_energy(step.total_pj),
            *(f"{100 * step.cycles[part] / apart:.1f}" for part in PARTS),
            f"{step.dram_words:,}",
            f"{100 * step.weight_words / moved:.1f}",
            f"{100 * step.cache_words / moved:.1f}",
        )
    return table


def _facts(result: ServingResult) -> list[tuple[str, str]]:
    first, per_token = result.prefill, result.cycles_per_token
    rate = result.tokens_per_second
    clock = result.arch.clock_mhz
    clocked = f" at {clock:g} MHz" if clock is not None else ""
    return [
        ("first token", _time(result, first.latency_cycles) + f", {short_energy(first.total_pj)}"),
        (
            "next tokens",
            f"{_time(result, per_token)} each, {short_energy(result.pj_per_token)} per token; "
            f"{_growth(result.steps)}",
        ),
        (
            "tokens",
            (f"{rate:,.4g} per second{clocked}, " if rate is not None else "")
            + f"{result.tokens_per_joule:,.4g} per joule, of {result.batch:,} sequences",
        ),
        (
            "cache",
            f"{short_bytes(result.kv_bytes)} in the end, "
            f"{short_bytes(result.kv_bytes_per_token)} per token",
        ),
        ("weights", short_bytes(result.weight_bytes)),
        (
            "parts",
            f"{WEIGHTS}: layers that multiply by weights; {ATTENTION}: products of activations, "
            f"and what is between them; {OTHER}: the rest",
        ),
    ]


def _time(result: ServingResult, cycles: float) -> str:
    seconds = result.seconds(cycles)
    return f"{cycles:,.0f} cycles" + ("" if seconds is None else f" ({1000 * seconds:,.4g} ms)")


def _growth(steps: tuple[Step, ...]) -> str:
    shortest, longest = steps[0], steps[-1]
    if shortest is longest:
        return "mapped at one context"
    return (
        f"{shortest.latency_cycles:,.0f} to {longest.latency_cycles:,.0f} cycles as the context "
        f"grows, mapped at {len(steps)} lengths and interpolated between"
    )


def write_serving(result: ServingResult, folder: str) -> Results:
    """Write the tables of a network that serves, and pictures where their libraries are installed.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    import pandas as pd

    from toolkit.study.storage.files import with_pictures, write_tables

    tables = {"serving": result.table(), "totals": pd.DataFrame([result.totals()])}

    def draw() -> tuple[Path, ...]:
        from toolkit.study.pictures.serving import write_pictures

        return write_pictures(folder, result)

    return with_pictures(write_tables(tables, folder), draw)
