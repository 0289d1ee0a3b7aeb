"""The table of what leads from layers on their own to fused groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.cli.output import empty_table
from toolkit.display import short_energy

if TYPE_CHECKING:
    from rich.table import Table

    from toolkit.fusion import Step


def steps_table(steps: Sequence[Step]) -> Table:
    """A row per step: where the way begins, what each thing changes, where it ends."""
    table = empty_table()
    table.add_column("", overflow="fold")
    for head in ("energy", "cycles", "DRAM\nwords", "EDP\nJ·cycle"):
        table.add_column(head, justify="right")
    for step in steps:
        change = step.change
        table.add_row(step.detail, *_cells(change or step.after.row(), signed=change is not None))
    if len(steps) > 1:
        table.add_row("in total", *_cells(steps[-1].after.row(), signed=False))
    return table


def _cells(row: dict[str, float], *, signed: bool) -> tuple[str, ...]:
    sign = "+" if signed else ""
    energy = short_energy(abs(row["energy_pj"]))
    plus = sign if row["energy_pj"] >= 0 else "-"
    return (
        f"{plus}{energy}",
        f"{row['latency_cycles']:{sign},.0f}",
        f"{row['dram_words']:{sign},}",
        f"{row['edp_pj_cycles'] * 1e-12:{sign}.6g}",
    )
