"""What `toolkit network --fusion` prints, and the same as data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from toolkit.cli.fusion_steps import steps_table
from toolkit.cli.output import Report, aligned, empty_table
from toolkit.display import short_energy
from toolkit.search.status import describe_proof, describe_status, within_best

if TYPE_CHECKING:
    from toolkit.fusion import Boundary, FusionChance, FusionResult, MappedModel, Option, Step
    from toolkit.study.storage.files import Results


# More than a screen of reasons or chances is not read; --json and --out have all.
_MOST_BOUNDARIES = 40


def fusion_report(
    model: MappedModel, result: FusionResult, steps: Sequence[Step], written: Results
) -> Report:
    """Lay out a partition: its groups, what it saves, and why it ends where it does."""
    name = result.graph.graph.get("name") or "network"
    report: Report = [
        f"{name} on {model.arch.name}, fused at {model.memory.name} "
        f"({model.given.capacity_words:,} words)"
        + "".join(f" and {h.name} ({h.capacity_words:,})" for h in model.given.inner)
        + f": {len(result.graph)} layers after folding, "
        f"{len(result.groups)} groups ({result.strategy})",
        _group_table(model, result),
        "",
        *aligned(_facts(model, result)),
        "",
        "From layers on their own to fused groups",
        steps_table(steps),
        "",
        "Where the energy goes",
        *_energies(model, result),
    ]
    if result.chances:
        report += ["", "How likely the descent ended to fuse", *_chances(result)]
    if result.boundaries:
        report += ["", "Why groups end", *_boundaries(result)]
    report += [f"note: {note}" for note in result.notes]
    return [*report, "", *written.lines()] if written.files else report


def fusion_record(
    model: MappedModel, result: FusionResult, steps: Sequence[Step]
) -> dict[str, Any]:
    """All of it as JSON-able data; energies in pJ, latencies in cycles, traffic in words."""
    after, before = _both(model, result)
    totals = {"fused": after, "unfused": before}
    return {
        "network": result.graph.graph.get("name", ""),
        "arch": model.arch.name,
        "strategy": result.strategy,
        "objective": result.objective,
        "fusion_level": model.memory.name,
        "inner_levels": [home.name for home in model.given.inner],
        "capacity_words": model.given.capacity_words,
        "overhead": {"energy_pj": model.overhead.energy_pj, "cycles": model.overhead.cycles},
        "prefetch": model.prefetch,
        "hidden_cycles": result.hidden_cycles,
        "value": result.value,
        "unfused_value": result.unfused_value,
        "bound": result.bound,
        "bound_within": result.bound_within,
        "bound_layers": result.bound_layers,
        "proved": result.proved,
        "status": describe_status(within_best(result.value, result.bound)),
        "within_fraction": within_best(result.value, result.bound),
        "most_layers": result.most_layers,
        "down_sets": result.down_sets,
        "groups_costed": result.costed,
        "seconds": result.seconds,
        "totals": totals,
        "steps": [step.record() for step in steps],
        "mappings": model.costs.status,
        "notes": list(result.notes),
        "groups": [
            {
                **row,
                **_hidden(result, number),
                "names": sorted(plan.group, key=result.graph.positions.__getitem__),
            }
            for number, (row, plan) in enumerate(
                zip(_plain_rows(result), result.plans, strict=True)
            )
        ],
        "exact_value": result.exact_value,
        "above_exact": result.above_exact,
        "chances": result.chance_table().to_dict("records"),
        "boundaries": result.boundary_table().to_dict("records"),
    }


def _plain_rows(result: FusionResult) -> list[dict[str, Any]]:
    import json

    rows: list[dict[str, Any]] = json.loads(result.table().to_json(orient="records"))
    return rows


def _hidden(result: FusionResult, number: int) -> dict[str, dict[str, int]]:
    """Words of a group that neighbouring groups hide, where they do."""
    if result.prefetch is None:
        return {}
    entry = result.prefetch.groups[number]
    return {"early_words": dict(entry.early_words), "late_words": dict(entry.late_words)}


def _both(model: MappedModel, result: FusionResult) -> tuple[dict[str, Any], dict[str, Any]]:
    """What all groups cost together, and all layers on their own."""
    return (
        _totals(model, result.groups, result.hidden_cycles),
        _totals(model, result.unfused),
    )


def _totals(
    model: MappedModel, options: Sequence[Option], hidden_cycles: float = 0.0
) -> dict[str, Any]:
    costs = [model.cost(option.plan) for option in options]
    energy = math.fsum(cost.energy_pj for cost in costs)
    latency = math.fsum(cost.latency_cycles for cost in costs) - hidden_cycles
    levels: dict[str, float] = {}
    for cost in costs:
        for name, value in cost.levels.items():
            levels[name] = levels.get(name, 0.0) + value
    return {
        "dram_words": sum(cost.plan.dram_words for cost in costs),
        "energy_pj": energy,
        "latency_cycles": latency,
        "edp_pj_cycles": energy * latency,
        "levels_pj": levels,
    }


def _proof(result: FusionResult, bound: float) -> str:
    """Say how good the partition is, with a bound in the unit that reports have for it."""
    shown = {
        "edp": f"{bound * 1e-12:.5g} J·cycle",
        "energy": short_energy(bound),
        "latency": f"{math.floor(bound):,} cycles",
        "dram": f"{math.floor(bound):,} DRAM words",
    }[result.objective]
    return describe_proof(result.value, bound, shown)


def _facts(model: MappedModel, result: FusionResult) -> list[tuple[str, str]]:
    after, before = _both(model, result)

    def change(key: str) -> str:
        share = after[key] / before[key] - 1 if before[key] else 0.0
        return f"{share:+.1%}"

    # It speaks of all partitions, plans and mappings.
    status, mappings = _proof(result, result.bound), model.costs.status
    if result.strategy == "exact" and not result.proved:
        limit = f", in groups of up to {result.most_layers} layers" if result.most_layers else ""
        status = f"best of the plans and mappings tried{limit}; {status}"
    against = []
    if result.above_exact is not None:
        against = [("against exact", _above_exact(result.above_exact, result.most_layers))]
    shorter = []
    if result.bound_within is not None:
        layers = f"groups up to {result.bound_layers} layers"
        shorter = [(layers, _proof(result, result.bound_within))]
    return [
        ("DRAM words", f"{after['dram_words']:,} ({change('dram_words')} against unfused)"),
        ("energy", f"{short_energy(after['energy_pj'])} ({change('energy_pj')})"),
        ("latency", f"{after['latency_cycles']:,.0f} cycles ({change('latency_cycles')})"),
        *_prefetched(result),
        ("EDP", f"{after['edp_pj_cycles'] * 1e-12:.5g} J·cycle ({change('edp_pj_cycles')})"),
        ("partition", status),
        *shorter,
        *([("mappings", f"{mappings}, each layer or part on its own")] if mappings else []),
        *against,
        ("search", f"{result.costed:,} groups costed in {result.seconds:.1f} s"),
    ]


def _prefetched(result: FusionResult) -> list[tuple[str, str]]:
    """The row that says what groups hide under each other, where they are to."""
    if result.prefetch is None:
        return []
    early, late = (
        sum(sum(words.values()) for words in column)
        for column in zip(
            *((g.early_words, g.late_words) for g in result.prefetch.groups), strict=True
        )
    )
    row = f"{result.hidden_cycles:,.0f} cycles: {early:,} words come early, {late:,} leave late"
    return [("hidden by prefetch", row)]


def _energies(model: MappedModel, result: FusionResult) -> list[str]:
    after, before = (totals["levels_pj"] for totals in _both(model, result))
    rows = [
        (name, f"{short_energy(after.get(name, 0.0))} (unfused {short_energy(energy)})")
        # What only groups have, such as the overhead of fusing, comes last.
        for name, energy in (before | {name: 0.0 for name in after if name not in before}).items()
    ]
    return list(aligned(rows))


def _group_table(model: MappedModel, result: FusionResult) -> Any:
    from toolkit.fusion.tile_names import tile_text

    table = empty_table()
    for head in ("group", "layers", "tile", "steps"):
        table.add_column(head, overflow="fold")
    heads = ["held\nwords", "weights\nkept", "DRAM\nwords", "energy", "cycles"]
    for head in (*heads, *(["hidden\ncycles"] if result.prefetch else [])):
        table.add_column(head, justify="right")
    for number, option in enumerate(result.groups):
        cost = model.cost(option.plan)
        plan = cost.plan
        names = sorted(plan.group, key=result.graph.positions.__getitem__)
        ends = names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]} ({len(names)})"
        table.add_row(
            str(number),
            ends,
            tile_text(plan, result.graph),
            str(plan.steps),
            f"{plan.footprint_words:,}",
            f"{plan.resident_words:,}",
            f"{plan.dram_words:,}",
            short_energy(cost.energy_pj),
            f"{cost.latency_cycles:,.0f}",
            *([f"{result.prefetch.groups[number].hidden_cycles:,.0f}"] if result.prefetch else []),
        )
    return table


def _above_exact(above: float, most_layers: int | None) -> str:
    """Say how far a partition is from the best one of the same groups."""
    among = "" if most_layers is None else f" of groups of up to {most_layers} layers"
    if above <= 0:
        return f"the best partition{among}"
    return f"{above:.2%} above the best partition{among}"


def _chances(result: FusionResult) -> list[str]:
    home = {name: group for group in result.partition for name in group}
    rows = [
        (
            _pair(c),
            f"{c.probability:.1%}" + ("; fused" if c.target in home[c.source] else ""),
        )
        for c in result.chances[:_MOST_BOUNDARIES]
    ]
    more = len(result.chances) - len(rows)
    return [*aligned(rows), *([f"and {more} more"] if more else [])]


def _pair(entry: Boundary | FusionChance) -> str:
    """Two layers: one makes what the other reads, or both read the same."""
    if entry.shared:
        return f"{entry.tensor} -> {entry.source}, {entry.target}"
    return f"{entry.source} -> {entry.target}"


def _boundaries(result: FusionResult) -> list[str]:
    rows = [
        (_pair(b), f"{b.words:,} words; {b.reason}: {b.detail}")
        for b in result.boundaries[:_MOST_BOUNDARIES]
    ]
    more = len(result.boundaries) - len(rows)
    return [*aligned(rows), *([f"and {more} more"] if more else [])]
