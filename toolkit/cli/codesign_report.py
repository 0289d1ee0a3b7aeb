"""What `toolkit codesign` prints, or writes as JSON: strategies, the best hardware, the proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.codesign.exact.front_certificate import FrontProof
    from toolkit.study.hardware.comparison import HardwareComparison
    from toolkit.study.storage.files import Results


def codesign_record(found: HardwareComparison, written: Results) -> dict[str, Any]:
    """Everything as JSON-able data; what was not found is null."""
    import json

    best = found.best
    return {
        "title": found.job.title,
        "points": found.job.space.size,
        "interrupted": found.interrupted,
        "strategies": json.loads(found.strategy_table().to_json(orient="records")),
        "best": None
        if best is None or best.choice is None
        else {**best.plan.record(), **best.choice.record()},
        "proof": None if found.proof is None else proof_record(found),
        "front": None if found.front is None else front_record(found),
        **written.record(),
    }


def codesign_report(found: HardwareComparison, written: Results) -> list[Any]:
    """Lay out the table of strategies and the best hardware."""
    from toolkit.cli.output import aligned
    from toolkit.display import short_energy

    space, given, best = found.job.space, found.job.settings, found.best
    limits = [f"{space.size:,} points", f"{given.mapper_evaluations:,} mappings per layer"]
    limits += [f"fusion {given.fusion}"] if given.fusion != "none" else []
    limits += ["ragged factors"] if given.factors == "ragged" else []
    limits += [f"{given.bypass} bypasses"] if given.bypass != "permitted" else []
    limits += [f"padded {', '.join(given.pad)}"] if given.pad else []
    if space.area_budget_um2 is not None:
        limits.append(f"area up to {space.area_budget_um2 * 1e-6:g} mm²")
    if space.power_budget_mw is not None:
        limits.append(f"power up to {space.power_budget_mw * 1e-3:g} W")
    if space.dram_budget_gb_per_s is not None:
        limits.append(f"DRAM up to {space.dram_budget_gb_per_s:g} GB/s")
    if space.interfaces:
        limits.append("with interfaces to DRAM")
    if free := space.free():
        limits.append(f"{', '.join(free)} at no cost")
    limits += ["interrupted; the same command goes on"] if found.interrupted else []
    report: list[Any] = [
        f"{found.job.title}: {', '.join(limits)}; objective {given.objective}",
        "",
        _table(found),
        "",
    ]
    if best is None or best.choice is None:
        report.append("no point within the budgets was found; expected more samples")
    else:
        choice, objective = best.choice, found.job.objective
        costs = choice.energy_pj, choice.latency_cycles, choice.area_um2
        facts = [(name, str(value)) for name, value in choice.parameters.items()]
        facts += [
            (objective.heading, objective.described(*costs)),
            ("area", f"{choice.area_um2 * 1e-6:.4g} mm², up to {choice.power_mw * 1e-3:.4g} W"),
            ("energy", short_energy(choice.energy_pj)),
            ("latency", f"{choice.latency_cycles:,.0f} cycles"),
        ]
        groups = [len(group) for network in choice.networks for group in network.groups]
        facts += [("fused", f"{sum(groups)} layers in {len(groups)} groups")] if groups else []
        report += [f"Best: {best.plan.strategy}, seed {best.plan.seed}", *aligned(facts)]
    if found.proof is not None:
        report += ["", *_proof_lines(found)]
    if found.front is not None:
        report += ["", *_front_lines(found.front)]
    return [*report, "", *written.lines()]


_CLOSED_BY = {
    "area": "too large",
    "power": "too much power",
    "DRAM": "too much bandwidth of DRAM",
    "unfit": "a layer does not run",
    "bound": "nothing better inside",
    "point": "optimum of the point known",
    "open": "open",
}


def _proof_lines(found: HardwareComparison) -> list[str]:
    """Say what is proved, and what closed how many of the points."""
    proof = found.proof
    assert proof is not None
    objective = found.job.objective
    if proof.best is None:
        head = "no hardware is known to do" if proof.bound < float("inf") else "no hardware does"
    elif proof.proved:
        head = f"proved: no hardware of these ranges has a lower {objective.name}"
    else:
        head = f"no hardware has a {objective.name} more than {proof.gap:.2%} below the best"
    return [head, _points_line(proof.closings(), _CLOSED_BY), *proof.notes]


def _points_line(closings: Mapping[str, tuple[int, int]], closed_by: Mapping[str, str]) -> str:
    closed = ", ".join(
        f"{points:,} in {boxes:,} boxes {closed_by[reason]}"
        for reason, (boxes, points) in closings.items()
    )
    return f"points: {closed}"


def _front_lines(front: FrontProof) -> list[str]:
    """Say what the trade-offs may miss, and what closed how many of the points."""
    if front.miss == float("inf"):
        head = "of some hardware nothing is known yet; expected more seconds"
    else:
        head = (
            f"front: {len(front.points):,} trade-offs of energy, latency and area; whatever "
            "hardware of these ranges costs, one of them exceeds none of the three by more than "
            f"{front.miss:.2%}"
        )
    closed_by = {**_CLOSED_BY, "bound": "no trade-off missed by more"}
    return [head, _points_line(front.closings(), closed_by)]


_COLUMNS = {
    "best": ("best_objective_value", ".5g"),
    "worst": ("worst_objective_value", ".5g"),
    "random\n/ this": ("baseline_ratio", ".3f"),
    "best baseline\n/ this": ("best_baseline_ratio", ".3f"),
    "latency\ncycles": ("latency_cycles", ",.0f"),
    "energy\nmJ": ("energy_pj", ".4g"),
    "area\nmm²": ("area_um2", ".4g"),
    "power\nW": ("power_mw", ".3g"),
    "gap to\nbound": ("gap_fraction", ".2%"),
    "samples": ("samples", ",.0f"),
    "mappings": ("evaluations", ".4g"),
    "seconds": ("seconds", ".3g"),
}
_EDP = {"EDP\nJ·cycle": ("edp_j_cycles", ".5g")}
_FACTORS = {"energy_pj": 1e-9, "area_um2": 1e-6, "power_mw": 1e-3}


def _table(found: HardwareComparison) -> Any:
    import math

    from toolkit.cli.output import empty_table

    objective = found.job.objective
    columns = {
        f"{objective.heading}\n{objective.shown_unit}": ("objective_value", ".5g"),
        **_COLUMNS,
    }
    # Where something else ranks, EDP stands beside it.
    columns |= {head: column for head, column in _EDP.items() if head not in columns}
    table = empty_table()
    table.add_column("strategy\nmedian of seeds")
    for head in columns:
        table.add_column(head, justify="right")
    table.add_column("hardware", overflow="fold")
    ranked = found.strategy_table().sort_values("objective_value", kind="stable")
    for row in ranked.to_dict("records"):
        cells = []
        for column, form in columns.values():
            value = row[column] * _FACTORS.get(column, 1.0)
            cells.append("-" if math.isnan(value) else format(value, form))
        table.add_row(row["strategy"], *cells, row["parameters"])
    return table


def certificate_record(found: HardwareComparison) -> dict[str, Any]:
    """What is proved, with all boxes: first and last value of every parameter, bound, reason.

    Of a front, by how much trade-offs of a box may be missed instead of its bound.
    """
    proof, ranges = found.proof, found.job.space.ranges
    if found.front is not None:
        missed = [
            {
                "values": {name: list(ends) for name, ends in entry.box.values(ranges).items()},
                "miss_fraction": entry.miss if entry.miss < float("inf") else None,
                "closed_by": entry.closing,
            }
            for entry in found.front.boxes
        ]
        return {**front_record(found), "boxes": missed}
    assert proof is not None
    boxes = [
        {
            "values": {name: list(ends) for name, ends in entry.box.values(ranges).items()},
            "bound": entry.bound if entry.bound < float("inf") else None,
            "closed_by": entry.closing,
        }
        for entry in proof.boxes
    ]
    return {**proof_record(found), "boxes": boxes}


def front_record(found: HardwareComparison) -> dict[str, Any]:
    """The trade-offs, by how much others may be missed, and what closed boxes."""
    import json

    front = found.front
    assert front is not None
    return {
        "objective": found.job.settings.objective,
        "miss_fraction": front.miss if front.miss < float("inf") else None,
        "points": json.loads(found.front_table().to_json(orient="records")),
        "closed": _closed(front.closings()),
        "fronts_proved": front.proofs,
        "seconds": front.seconds,
    }


def _closed(closings: Mapping[str, tuple[int, int]]) -> dict[str, dict[str, int]]:
    return {
        reason: {"boxes": boxes, "points": points} for reason, (boxes, points) in closings.items()
    }


def proof_record(found: HardwareComparison) -> dict[str, Any]:
    """What is proved, and how many boxes and points each reason closed."""
    proof = found.proof
    assert proof is not None
    return {
        "objective": found.job.settings.objective,
        "bound": proof.bound if proof.bound < float("inf") else None,
        "best": None if proof.best is None else proof.best.value,
        "gap_fraction": proof.gap if proof.gap < float("inf") else None,
        "proved": proof.proved,
        "closed": _closed(proof.closings()),
        "fronts_proved": proof.proofs,
        "seconds": proof.seconds,
        "notes": list(proof.notes),
    }
