"""The command `toolkit explain`: where energy and cycles go, what binds, what would help."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import toolkit
from toolkit.cli.arguments import (
    AllowPython,
    Arch,
    AsJson,
    BiasRead,
    BypassName,
    Estimates,
    FactorsName,
    MappingFile,
    MappingFormat,
    ObjectiveName,
    PadToMapping,
    WorkloadWords,
    trusted,
)
from toolkit.cli.conventions import ConventionsName, Steady, Switches, read_conventions
from toolkit.cli.evaluate import figures, loop_nest
from toolkit.cli.output import Report, aligned, heading, print_json, print_report
from toolkit.cli.problems import read_mapped
from toolkit.cli.report import PictureFolder, ReportFile, check_pictures, drawings, write_pictures
from toolkit.display import short_energy

if TYPE_CHECKING:
    from toolkit.model.headroom import CapacityUse, Growth, MeshUse
    from toolkit.model.reuse import Movement
    from toolkit.model.words import CycleParts, EnergyPart, Wait
    from toolkit.search.advice import Advice, Costs, Move
    from toolkit.search.explanation import Explanation

WIDTH = 100
"""Columns of the text, as loop nests are about as wide, and longer lines are hard to read."""

_SMALL_SHARE = 0.01
"""Fraction of the energy below which a part is only summed up."""


def explain_mapping(
    arch: Arch,
    workload: WorkloadWords,
    mapping: MappingFile,
    format: MappingFormat = "auto",
    objective: ObjectiveName = "edp",
    conventions: ConventionsName = "exact",
    steady: Steady = False,
    switch: Switches = [],  # noqa: B006 - typer copies it
    factors: FactorsName = None,
    bypass: BypassName = "permitted",
    pad: PadToMapping = [],  # noqa: B006 - typer copies it
    bias_read: BiasRead = False,
    estimates: Estimates = [],  # noqa: B006 - typer copies it
    allow_python: AllowPython = False,
    report: ReportFile = None,
    out: PictureFolder = None,
    json: AsJson = False,
) -> None:
    """Read, evaluate, try every single move, draw, print."""
    from toolkit.cli.explain_record import explain_record
    from toolkit.search.explanation import explained

    check_pictures(report, out)
    problem, read = read_mapped(
        trusted(arch, allow_python),
        [trusted(word, allow_python) for word in workload],
        mapping,
        format,
        objective=objective,
        conventions=read_conventions(conventions, switch, steady=steady),
        pad=pad,
        bias_read=bias_read,
        factors=factors,
        bypass=bypass,
        estimates=estimates,
    )
    explanation = explained(problem, read, factors)  # type: ignore[arg-type]  # It is checked.
    lines = [] if json and report is None else explain_report(explanation)
    written = write_pictures(
        report,
        out,
        f"{problem.workload.name} on {problem.arch.name}, explained",
        lambda: drawings().evaluation_drawings(explanation.evaluation),
        lambda: lines,
    )
    if json:
        print_json({**explain_record(explanation), **written.asked()})
    else:
        print_report([*lines, *written.lines()])


def explain_report(explanation: Explanation) -> Report:
    """Explain a mapping in words, in `WIDTH` columns."""
    problem, evaluation, parts = explanation.problem, explanation.evaluation, explanation.energy
    return [
        *_wrapped(heading(problem), 0),
        *_figure_lines(problem, evaluation),
        "",
        *loop_nest(problem, evaluation),
        f"Where the energy goes: {short_energy(evaluation.energy_pj)}, total of all instances",
        *_energy_lines(parts),
        "",
        "How often each distinct word moves, all instances together, and the loops that repeat it",
        *_movement_lines(parts),
        "",
        *_cycle_lines(evaluation, explanation.cycles),
        "",
        "What binds",
        *_bandwidth_lines(evaluation),
        *_capacity_lines(explanation.capacities),
        *_mesh_lines(explanation.meshes),
        *_constraint_lines(problem, explanation.advice),
        "",
        *_move_lines(problem, explanation.advice),
    ]


def _figure_lines(problem: toolkit.Problem, evaluation: toolkit.Evaluation) -> list[str]:
    texts = aligned(figures(problem, evaluation))
    return [line for text in texts for line in _wrapped(text, 0, 15)]


def _energy_lines(parts: Sequence[EnergyPart]) -> list[str]:
    large = [part for part in parts if part.share >= _SMALL_SHARE]
    small = [part for part in parts if 0 < part.share < _SMALL_SHARE]
    lines = []
    for part in large:
        lines += _item(part.share, short_energy(part.energy_pj), _part_name(part))
        for action in part.actions:
            if action.energy_pj >= _SMALL_SHARE * part.energy_pj:
                kind, words = action.movement.kind, _moved(action.movement)
                text = f"{kind}: {words}, {short_energy(action.energy_pj)}: {action.why}"
                lines += _wrapped(text, 24, 26)
    if small:
        share, energy = sum(p.share for p in small), sum(p.energy_pj for p in small)
        names = "; ".join(_part_name(part) for part in small)
        lines += _item(share, short_energy(energy), f"all else: {names}")
    return lines


def _moved(movement: Movement) -> str:
    """Write how many words move, of how many bits if values have some, and in which bursts."""
    bursts, words = "", movement.charged_words
    if movement.wanted_words is not None:
        bursts, words = f", {words:,.10g} in whole bursts", movement.wanted_words
    if movement.bits is None:
        return f"{movement.words:,} words{bursts}"
    sums = "" if movement.sum_bits is None else f" (partial sums {movement.sum_bits})"
    return (
        f"{movement.words:,} values of {movement.bits} bits{sums} in {words:,.10g} words{bursts}"
    )


def _part_name(part: EnergyPart) -> str:
    if part.tensor is not None:
        return f"{part.level}{' network' * (part.what == 'network')}, {part.tensor}"
    return f"{part.level}, {part.what}"


def _movement_lines(parts: Sequence[EnergyPart]) -> list[str]:
    """Fills of what is read and drains (or else fills) of outputs, memory by memory."""
    rows = []
    for part in parts:
        by_kind = {action.movement.kind: action.movement for action in part.actions}
        movement = by_kind.get("drains", by_kind.get("fills"))
        if movement:
            verb = "leaves" if movement.kind == "drains" else "enters"
            label = f"{movement.tensor} {verb} {movement.level}"
            rows.append((label, f"{movement.times:,.4g} x", _product(movement)))
    label_width = max((len(label) for label, _, _ in rows), default=0)
    times_width = max((len(times) for _, times, _ in rows), default=0)
    indent = 2 + label_width + 2 + times_width + 2
    return [
        line
        for label, times, causes in rows
        for line in _wrapped(
            f"  {label:<{label_width}}  {times:>{times_width}}  {causes}".rstrip(), 0, indent
        )
    ]


def _product(movement: Movement) -> str:
    """Write the factors of how often words move, with the loop behind each."""
    factors = [
        f"{r.times:,.4g} ({r.loop.dimension.lower()} {'over' if r.loop.spatial else 'at'} "
        f"{r.loop.level})"
        for r in movement.repetitions
    ]
    if abs(movement.rest - 1) > 1e-6:
        factors.append(f"{movement.rest:,.4g} ({'windows' if movement.rest > 1 else 'rest'})")
    return f"= {' x '.join(factors)}" if factors else ""


def _cycle_lines(evaluation: toolkit.Evaluation, parts: CycleParts) -> list[str]:
    from toolkit.model.lanes import describe_cut_off

    total = parts.latency_cycles
    step = "cycle" if parts.cycles_per_step == 1 else "cycles"
    rows = [
        (
            parts.ideal_cycles,
            f"ideal: {evaluation.macs:,} MACs on all {parts.lanes:,} lanes, "
            f"{parts.cycles_per_step} {step} each",
        )
    ]
    rows += [
        (lost.cycles, f"idle instances: {lost.level} uses {lost.used} of {lost.mesh}")
        for lost in parts.idle
        if lost.cycles
    ]
    rows += [(cut.cycles, f"last tiles: {describe_cut_off(cut)}") for cut in parts.cut_off]
    rows += [(wait.cycles, f"waits: {_wait_text(wait)}") for wait in parts.waits]
    rows += [
        (
            stall.cycles,
            f"stalls: the {stall.level} {stall.port} ({stall.traffic}) needs "
            f"{stall.needed_bandwidth:.4g} words per cycle and instance to keep up with the "
            f"levels inside, and has {stall.available_bandwidth:.4g}",
        )
        for stall in parts.stalls
    ]
    if not parts.stalls:
        rows.append((0.0, "stalls: every port keeps up with the levels inside"))
    if parts.warm_up_cycles:
        rows.append((parts.warm_up_cycles, "hops: operands go from instance to instance"))
    if parts.rounding_cycles > 1e-6:
        rows.append((parts.rounding_cycles, "rounded up to whole cycles"))
    lines = [f"Where the cycles go: {total:,.0f} cycles of the run"]
    width = max(len(f"{cycles:,.0f}") for cycles, _ in rows)
    for cycles, text in rows:
        lines += _item(cycles / total, f"{cycles:>{width},.0f}", text)
    return lines


def _wait_text(wait: Wait) -> str:
    if wait.what == "first fill":
        return f"the first tiles come to {wait.level} before the levels inside begin"
    if wait.what == "last drain":
        return f"the last tiles leave {wait.level} after the levels inside have ended"
    return f"what {wait.level} gets and sends outwards is not hidden behind the levels inside"


def _bandwidth_lines(evaluation: toolkit.Evaluation) -> list[str]:
    latency = evaluation.latency_cycles
    loads = [
        (port.busy_cycles / latency, f"{use.level} {port.port.name}", port)
        for use in evaluation.movers
        for port in use.ports
    ]
    share, name, port = max(loads, key=lambda load: load[0])
    stalls = any(use.stall_cycles for use in evaluation.movers)
    text = evaluation.bottleneck if stalls else "none: all instances compute without a stall"
    busiest = (
        f"busiest: {name}, transferring {100 * share:.4g} % of the run "
        f"at {port.port.bandwidth:.4g} words per cycle per instance"
    )
    return _labelled("bandwidth", [text, busiest])


def _capacity_lines(uses: Sequence[CapacityUse]) -> list[str]:
    texts = []
    for use in uses:
        percent = 100 * use.used_words / use.usable_words
        texts.append(
            f"{use.level}: {use.used_words:,.0f} of {use.usable_words:,.10g} usable words per "
            f"instance ({percent:.4g} %); {_growths(use.growth, 'words', 'held')}"
        )
    return _labelled("capacity", texts or ["every memory is unlimited"])


def _mesh_lines(uses: Sequence[MeshUse]) -> list[str]:
    texts = [
        f"{use.level}: {use.used:,} of {use.mesh:,} instances; "
        f"{_growths(use.growth, 'instances', 'unrolled')}"
        for use in uses
        if use.mesh > 1 or use.growth
    ]
    return _labelled("mesh", texts or ["there is one instance of everything"])


def _growths(growth: Sequence[Growth], unit: str, verb: str) -> str:
    if not growth:
        return f"nothing more can be {verb} here"

    def step(g: Growth) -> str:
        return f"{g.dimension} x {g.prime}" if g.prime else f"{g.dimension} {g.iterations} times"

    def names(chosen: Iterable[Growth]) -> str:
        return ", ".join(f"{step(g)} ({g.needed:,.0f} {unit})" for g in chosen)

    texts = []
    if any(not g.fits for g in growth):
        texts.append(f"would not fit: {names(g for g in growth if not g.fits)}")
    if any(g.fits for g in growth):
        texts.append(f"would fit: {names(g for g in growth if g.fits)}")
    return "; ".join(texts)


def _constraint_lines(problem: toolkit.Problem, advice: Advice) -> list[str]:
    """Constraints that alone forbid a move that would help."""
    name = problem.objective.label
    texts = []
    for move in advice.blocked:
        if all(rule.kind in ("constraint", "loop order") for rule in move.obstacles):
            rules = "; ".join(rule.text for rule in move.obstacles)
            change = _percent(move.costs.objective, advice.current.objective)
            texts.append(f"{rules}: forbids a move that would change the {name} by {change}")
    return _labelled("constraint", texts or [f"none alone forbids a move that lowers the {name}"])


def _move_lines(problem: toolkit.Problem, advice: Advice) -> list[str]:
    name = problem.objective.label
    tried = f"{advice.tried:,} tried, {advice.valid:,} of them valid"
    now = f"{tried}; {name} now {_value(problem, advice)}"
    lines = _wrapped(f"Which single move would help most ({now})", 0, 2)
    if not advice.best:
        lines += _wrapped(f"No single move improves it: none lowers the {name}.", 2)
        if advice.least:
            change = _change(problem, advice, advice.least.costs)
            lines += _wrapped(f"The best of the valid ones: {advice.least.text}: {change}", 2, 4)
    lines += _numbered(problem, advice, advice.best)
    if advice.blocked:
        lines.append("Forbidden moves that would help: the best for each kind of obstacle")
        lines += _numbered(problem, advice, _best_of_each_kind(advice.blocked))
    else:
        lines.append(f"No forbidden single move would lower the {name} either.")
    if not advice.doublings:
        lines.append("Doubling any one bandwidth leaves this mapping's latency as it is.")
    else:
        lines.append("Doubling one bandwidth, with this mapping")
    for doubling in advice.doublings:
        change = _change(problem, advice, doubling.costs)
        lines += _wrapped(
            f"{doubling.level} {doubling.port} from {doubling.bandwidth:.4g} to "
            f"{2 * doubling.bandwidth:.4g} words per cycle per instance: {change}",
            2,
            4,
        )
    return lines


def _best_of_each_kind(moves: Iterable[Move]) -> list[Move]:
    best: dict[frozenset[str], Move] = {}
    for move in moves:
        best.setdefault(frozenset(rule.kind for rule in move.obstacles), move)
    return list(best.values())


def _numbered(problem: toolkit.Problem, advice: Advice, moves: Iterable[Move]) -> list[str]:
    lines = []
    for number, move in enumerate(moves, 1):
        lines += _wrapped(f"{number}. {move.text}", 2, 5)
        lines += _wrapped(_change(problem, advice, move.costs), 5)
        if move.obstacles:
            lines += _wrapped("; ".join(rule.text for rule in move.obstacles), 5)
    return lines


def _change(problem: toolkit.Problem, advice: Advice, costs: Costs) -> str:
    now = advice.current
    changes = {
        problem.objective.label: (costs.objective, now.objective),
        "energy": (costs.energy_pj, now.energy_pj),
        "latency": (costs.latency_cycles, now.latency_cycles),
    }
    return ", ".join(f"{name} {_percent(new, old)}" for name, (new, old) in changes.items())


def _percent(new: float, old: float) -> str:
    change = 100 * (new / old - 1) if old else 0.0
    return "unchanged" if abs(change) < 1e-7 else f"{change:+.3g} %"


def _value(problem: toolkit.Problem, advice: Advice) -> str:
    value = advice.current.objective
    if problem.objective.name == "energy":
        return short_energy(value)
    if problem.objective.name == "latency":
        return f"{value:,.0f} cycles"
    if problem.objective.name in ("edp", "edp_per_utilization"):
        return f"{value * 1e-12:.6g} J·cycle"
    return f"{value:.6g} {problem.objective.unit}"


def _labelled(label: str, texts: Sequence[str]) -> list[str]:
    lines = []
    for i, text in enumerate(texts):
        first = f"  {label if i == 0 else '':<10}  "
        lines += _wrapped(first + text, 0, 16)
    return lines


def _item(share: float, amount: str, text: str) -> list[str]:
    return _wrapped(f"  {100 * share:6.2f} %  {amount:>9}  {text}", 0, 15 + max(len(amount), 9))


_KEPT_TOGETHER = re.compile(
    r"(?<=\d) (?=%)|(?<= in) (?=0\.\.)|(?<=\w) (?=(?:in 0\.\.|x \d))|(?<= x) (?=\d)"
    r"|(?<=\w) (?=\d+ times \()|(?<=\d) (?=times \()"
)
"""Spaces inside ``50 %``, ``k in 0..4``, ``M x 2`` and ``M 3 times (``."""


def _wrapped(text: str, indent: int, hanging: int | None = None) -> list[str]:
    lines = textwrap.wrap(
        _KEPT_TOGETHER.sub("\xa0", text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hanging is None else hanging),
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]
