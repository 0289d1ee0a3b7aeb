"""Search for partitions: one function, several strategies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from toolkit.errors import InputError
from toolkit.fusion.exact import MOST_IDEALS, exact_states, segment_states
from toolkit.fusion.groups import check_partition
from toolkit.fusion.ideals import State
from toolkit.fusion.objective import GroupModel, Option, value_of
from toolkit.fusion.partition import FusionResult, boundaries_of, total_costs
from toolkit.records import suggest

MOST_LAYERS = 24
"""Default length to which groups are limited."""


@dataclass(frozen=True)
class Found:
    """What a strategy hands over.

    Parameters
    ----------
    groups : tuple of Option
        One per group, in any order.
    bound : float or None
        A proved lower bound of the objective value, if better than the general one.
    down_sets : int or None
        How many were looked at, if all.
    limited : bool
        Whether longer groups than allowed might be better.
    notes : tuple of str
        What to keep in mind.
    """

    groups: tuple[Option, ...]
    bound: float | None = None
    down_sets: int | None = None
    limited: bool = False
    notes: tuple[str, ...] = ()


FusionStrategy = Callable[[GroupModel, int, int], Found]
"""Takes a model of groups, the most layers of a group, and a seed."""


def _none(model: GroupModel, most_layers: int, seed: int) -> Found:
    return Found(unfused(model))


def _segments(model: GroupModel, most_layers: int, seed: int) -> Found:
    return Found(_best(segment_states(model, most_layers)))


def _exact(model: GroupModel, most_layers: int, seed: int) -> Found:
    result = exact_states(model, most_layers)
    if result is None:
        from toolkit.fusion.greedy import greedy_groups

        tried = [_best(segment_states(model, most_layers)), greedy_groups(model, most_layers)]
        best = min(tried, key=lambda groups: value_of(total_costs(groups)))
        note = f"more than {MOST_IDEALS:,} down-sets: the best of segments and greedy merging"
        return Found(best, notes=(note,))
    states, down_sets = result
    groups = _best(states)
    limited = most_layers < len(model.graph)
    bound = None if limited else value_of(total_costs(groups))
    return Found(groups, bound, down_sets, limited)


def _greedy(model: GroupModel, most_layers: int, seed: int) -> Found:
    from toolkit.fusion.greedy import greedy_groups

    return Found(greedy_groups(model, most_layers))


def _nsga2(model: GroupModel, most_layers: int, seed: int) -> Found:
    from toolkit.fusion.nsga2 import nsga2_groups

    return Found(nsga2_groups(model, most_layers, seed))


def _gradient(model: GroupModel, most_layers: int, seed: int) -> Found:
    from toolkit.fusion.gradient import gradient_groups

    return Found(gradient_groups(model, most_layers, seed))


def _joint(model: GroupModel, most_layers: int, seed: int) -> Found:
    from toolkit.fusion.mapped import MappedModel

    if not isinstance(model, MappedModel):
        raise InputError("'joint' needs a model that maps layers", key="fusion")
    from toolkit.fusion.gradient import require_torch

    require_torch()
    from toolkit.fusion.joint import JointDescent

    found = JointDescent(model, most_layers, seed).descend()
    own = found.value / value_of(total_costs(found.groups)) - 1
    note = (
        f"tilings of {found.parts} parts of layers descended with the decisions; with them alone "
        f"the objective is {own:+.2%} against the model's own mappings, which are shown"
    )
    return Found(found.groups, notes=(note,))


FUSION_STRATEGIES: dict[str, FusionStrategy] = {
    "none": _none,
    "segments": _segments,
    "exact": _exact,
    "greedy": _greedy,
    "nsga2": _nsga2,
    "gradient": _gradient,
    "joint": _joint,
}
"""Strategies by name."""


def find_partition(
    model: GroupModel, strategy: str = "exact", *, most_layers: int = MOST_LAYERS, seed: int = 0
) -> FusionResult:
    """Partition a network into fusion groups.

    Parameters
    ----------
    model : GroupModel
        What groups cost, such as a `toolkit.fusion.TrafficModel`.
    strategy : str
        A key of `FUSION_STRATEGIES`: ``exact`` proves its result among groups of at most
        `most_layers`; ``segments`` cuts one order of the layers; ``greedy`` merges groups while
        that helps; ``nsga2`` lets Optuna cut edges; ``gradient`` anneals probabilities of
        edges (torch); ``joint`` descends the tilings of all layers with them
        (`toolkit.fusion.joint`); ``none`` fuses nothing.
    most_layers : int
        Most folded layers of a group.
    seed : int
        Of ``nsga2``, ``gradient`` and ``joint``.

    Raises
    ------
    InputError
        If the strategy is unknown or `most_layers` is not positive.
    """
    if strategy not in FUSION_STRATEGIES:
        raise InputError(
            f"unknown fusion strategy {strategy!r}{suggest(strategy, FUSION_STRATEGIES)}; "
            f"there are {', '.join(FUSION_STRATEGIES)}",
            key="fusion",
        )
    if most_layers < 1:
        raise InputError(f"expected at least 1, got {most_layers!r}", key="most_layers")
    start = time.perf_counter()
    found = FUSION_STRATEGIES[strategy](model, most_layers, seed)
    return make_result(model, strategy, found, most_layers, start)


def make_result(
    model: GroupModel, strategy: str, found: Found, most_layers: int, start: float
) -> FusionResult:
    """Complete what a strategy found: order, bound, reasons."""
    groups = in_order(model, found.groups)
    value = value_of(total_costs(groups))
    bound = found.bound if found.bound is not None else min(general_bound(model), value)
    costed = model.costed
    return FusionResult(
        strategy,
        model.graph,
        model.objective,
        groups,
        unfused(model),
        boundaries_of(model, groups, most_layers),
        bound,
        costed,
        time.perf_counter() - start,
        found.down_sets,
        most_layers if found.limited else None,
        found.notes,
    )


def _stiff(model: GroupModel, names: list[str]) -> str:
    """Which layers cannot be cut into tiles, so that they need all of their tensors at once."""
    layers = [model.graph.layer_of(name) for name in names]
    stiff = [la for la in layers if all(la.output.shape[a] == 1 for a in la.open_axes)]
    if not stiff:
        return ""
    return "; not to be cut into tiles: " + ", ".join(
        f"{layer.name!r} ({layer.layer.operator})" for layer in stiff
    )


def unfused(model: GroupModel) -> tuple[Option, ...]:
    """Every layer on its own; of several ways, the one with the lowest product."""
    return tuple(
        min(model.options(frozenset((name,))), key=lambda option: value_of(option.costs))
        for name in model.graph.names
    )


def general_bound(model: GroupModel) -> float:
    """What no partition undercuts: the least costs of all layers as one group."""
    return value_of(model.least(frozenset(model.graph.names)))


def in_order(model: GroupModel, groups: tuple[Option, ...]) -> tuple[Option, ...]:
    """Groups in an order in which they can run."""
    by_group = {option.plan.group: option for option in groups}
    return tuple(by_group[group] for group in check_partition(model.graph, by_group))


def _best(states: list[State]) -> tuple[Option, ...]:
    return min(states, key=lambda state: value_of(state.costs)).options()


def cost_partition(model: GroupModel, groups: Iterable[Iterable[str]]) -> FusionResult:
    """Cost a partition that somebody gives, layers that it leaves out on their own.

    Raises
    ------
    InputError
        If a group is not legal (`toolkit.fusion.check_partition`) or cannot run on the fusion
        level; the message names its layers.
    """
    start = time.perf_counter()
    chosen = check_partition(model.graph, groups)
    options = []
    for group in chosen:
        found = model.options(group)
        if not found:
            names = sorted(group, key=model.graph.positions.__getitem__)
            raise InputError(
                f"no tile fits the {model.given.capacity_words:,} words of the fusion level and "
                f"moves fewer words than the layers on their own{_stiff(model, names)}",
                key=f"group {', '.join(map(repr, names))}",
            )
        options.append(min(found, key=lambda option: value_of(option.costs)))
    return make_result(model, "given", Found(tuple(options)), len(model.graph), start)
