"""Why a memory moves as many words of a tensor as it does, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable

from toolkit.arch.levels import Memory
from toolkit.model.evaluate import Evaluation
from toolkit.model.reuse import Loop, Movement, Repetition

_CLOSE = 1e-6
"""Ratios this close to 1 are written as equal."""


def why(evaluation: Evaluation, movement: Movement, *, again: bool = False) -> str:
    """Say in words why a memory moves as many words of a tensor as it does.

    Parameters
    ----------
    again : bool
        Whether the loops behind it have been explained just before.

    Returns
    -------
    str
        A phrase such as ``each of 3,145,728 distinct words 16 times: n in 0..16 at DRAM does
        not index it but stands outside k in 0..8 at DRAM, which does``.
    """
    if feeds_lanes(movement):
        text = _per_mac(evaluation, movement)
    else:
        text = _per_word(evaluation, movement, again)
    if movement.returning and not evaluation.bias_read and movement.rest < 1 - _CLOSE:
        text += "; an output's first visit starts from zero, nothing comes back"
    return text


def feeds_lanes(movement: Movement) -> bool:
    """Whether the words go straight to the multiply-accumulate lanes, or come from them."""
    return movement.child is None and movement.kind in ("reads", "updates")


def _per_mac(evaluation: Evaluation, movement: Movement) -> str:
    """What the multiply-accumulate lanes ask for directly; they hold nothing themselves."""
    what = "partial sum" if _is_output(evaluation, movement) else "word"
    visits = math.prod(r.times for r in movement.repetitions) * movement.distinct_words
    macs = evaluation.macs / (visits if movement.returning else movement.words)
    if movement.kind == "updates":
        verb = "every MAC adds one partial sum"
        served = f"the sum of {_ratio(macs)} MACs at a time"
    else:
        verb = f"every MAC reads one {what}"
        served = f"each {what} read serves {_ratio(macs)} MACs at once"
    if abs(macs - 1) < _CLOSE:
        return verb
    shared = [
        loop
        for loop in _spatial_inside(evaluation, movement)
        if loop.dimension not in _indexing(evaluation, movement)
    ]
    return f"{served} ({_list(_spatial(x) for x in shared)})" if shared else served


def _per_word(evaluation: Evaluation, movement: Movement, again: bool) -> str:
    output = _is_output(evaluation, movement)
    size = f"{movement.distinct_words:,}"
    subject = f"each of {size} outputs" if output else f"each of {size} distinct words"
    if movement.times == 1 and not movement.repetitions:
        return f"{subject} once"
    reasons = (
        ["the same loops"]
        if again and movement.repetitions
        else _reasons(movement, seeds_all=evaluation.conventions.seeds_all)
    )
    rest = "" if movement.returning else _rest(evaluation, movement)
    if rest:
        reasons.append(rest)
    times = f"{_ratio(movement.times)} times"
    if _ratio(movement.times) == "1":
        times = "once" if movement.times == 1 else "about once"
    text = f"{subject} {times}"
    return f"{text}: {'; '.join(reasons)}" if reasons else text


def _rest(evaluation: Evaluation, movement: Movement) -> str:
    if abs(movement.rest - 1) < _CLOSE:
        return ""
    tensor = next(t for t in evaluation.workload.tensors if t.name == movement.tensor)
    windows = any(len(index) > 1 for index in tensor.indices)
    if windows and movement.rest > 1:
        gaps = ", gaps included" if evaluation.conventions.overestimate_windows else ""
        return f"windows that overlap move more than once{gaps} (x {_ratio(movement.rest)})"
    return f"x {_ratio(movement.rest)} as the {evaluation.conventions.name} conventions count"


def _reasons(movement: Movement, *, seeds_all: bool) -> list[str]:
    """Group loops that repeat words for the same reason; old sums may go to one instance alone."""
    groups: dict[tuple[str, Loop | None], list[Repetition]] = {}
    for repetition in movement.repetitions:
        spatial = repetition.loop.spatial
        key = ("spatial" if spatial else "temporal", repetition.outside_of)
        groups.setdefault(key, []).append(repetition)
    return [
        _spatial_reason(movement, group, seeds_all=seeds_all)
        if kind == "spatial"
        else _reason(movement, group, inner)
        for (kind, inner), group in groups.items()
    ]


def _spatial_reason(movement: Movement, group: list[Repetition], *, seeds_all: bool) -> str:
    loops = _list(_spatial(r.loop) for r in group)
    if movement.kind in ("updates", "drains") or movement.returning:
        text = f"{loops} accumulate{_s(group)} partial sums of the same outputs side by side"
        return text if seeds_all or not movement.returning else f"{text}, of which one goes on"
    copies = "hold copies" if movement.kind == "fills" else "are sent their own copies"
    return f"instances along {loops} {copies}"


def _reason(movement: Movement, group: list[Repetition], inner: Loop | None) -> str:
    loops = _list(_temporal(r.loop) for r in group)
    text = f"{loops} do{'es' if len(group) == 1 else ''} not index it"
    exact = all(abs(r.times / r.loop.iterations - 1) < _CLOSE for r in group)
    if not exact:
        text += f" (x {_ratio(math.prod(r.times for r in group))})"
    if inner is None:
        return f"{text}, yet every iteration moves it anew"
    return f"{text} but stand{_s(group)} outside {_temporal(inner)}, which does"


def _s(group: list[Repetition]) -> str:
    return "s" if len(group) == 1 else ""


def _temporal(loop: Loop) -> str:
    return f"{loop.dimension.lower()} in 0..{loop.iterations} at {loop.level}"


def _spatial(loop: Loop) -> str:
    return f"{loop.dimension.lower()} in 0..{loop.iterations} over {loop.level}"


def _is_output(evaluation: Evaluation, movement: Movement) -> bool:
    return movement.tensor == evaluation.workload.output.name


def _indexing(evaluation: Evaluation, movement: Movement) -> tuple[str, ...]:
    tensor = next(t for t in evaluation.workload.tensors if t.name == movement.tensor)
    return tensor.dimensions


def _spatial_inside(evaluation: Evaluation, movement: Movement) -> list[Loop]:
    names = [level.name for level in evaluation.arch.levels]
    first = names.index(movement.level) + 1
    return [
        Loop(level.name, dimension, factor, True)
        for level, entry in zip(
            evaluation.arch.levels[first:], evaluation.mapping.levels[first:], strict=True
        )
        if not isinstance(level, Memory)
        for dimension, factor in entry.factors
        if factor > 1
    ]


def _list(texts: Iterable[str]) -> str:
    *first, last = texts
    return f"{', '.join(first)} and {last}" if first else last


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if abs(value - round(value)) < _CLOSE * value else f"{value:,.4g}"
