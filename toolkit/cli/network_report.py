"""What `toolkit network` prints of a mapped network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.cli.output import Report, aligned, empty_table
from toolkit.display import short_energy
from toolkit.search.registry import STRATEGIES
from toolkit.search.status import COSTED_IN_FULL, describe_status
from toolkit.study.units import short_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

    from toolkit.search.network import LayerResult, NetworkResult
    from toolkit.study.storage.files import Results

_MOST_NOTES = 12
"""Notes that are printed; more than a screen of them are not read."""


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
