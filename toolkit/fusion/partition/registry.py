"""All strategies over partitions by name, and the one function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from toolkit.compilation import clock
from toolkit.errors import BoundError, InputError
from toolkit.extras import LateEntry
from toolkit.fusion.group_model import (
    GroupModel,
    LengthBounded,
    Option,
    Sequenced,
    total_costs,
    unfused,
    value_of,
)
from toolkit.fusion.groups import check_partition
from toolkit.fusion.partition.exact import best_ways
from toolkit.fusion.partition.reasons import boundaries_of, why_it_cannot_run
from toolkit.fusion.partition.result import Found, FusionResult, less_hidden
from toolkit.messages import suggest

MOST_LAYERS = 24
"""Default length to which groups are limited: groups to cost grow in number with it. Results say
whether longer ones might be better."""

_ROUNDED = 1e-6
"""Part of a bound that sums of floats may differ by."""

MOST_SEARCHED_AGAIN = 5000
"""Groups up to which a search is repeated with room for all tensors, so that reasons of boundaries
speak of all groups, not of two neighbours alone. It costs as many again, if most of them quickly:
a tenth of the time on mapped networks."""

_SEARCHED_AGAIN = {
    **{name: name for name in ("exact", "segments", "greedy")},
    "nsga2": "greedy",
    "gradient": "exact",
    "joint": "exact",
}
"""The strategy that does so, by that which found the partition: one that is quick and draws no
random numbers."""

FusionStrategy = Callable[[GroupModel, int, int], Found]
"""Takes a model of groups, the most layers of a group, and a seed."""


@dataclass(frozen=True, slots=True)
class FusionEntry(LateEntry[FusionStrategy]):
    """A strategy, loaded as `toolkit.extras.LateEntry` says."""

    key: ClassVar[str] = "fusion"


FUSION_STRATEGIES: dict[str, FusionEntry] = {
    "none": FusionEntry(
        "toolkit.fusion.partition.merging:none",
        "Every layer on its own: the baseline.",
    ),
    "segments": FusionEntry(
        "toolkit.fusion.partition.exact:segments",
        "The best cuts of one order of the layers.",
    ),
    "exact": FusionEntry(
        "toolkit.fusion.partition.exact:exact",
        "Proves the best partition: the cheapest way through the down-sets of the graph.",
    ),
    "greedy": FusionEntry(
        "toolkit.fusion.partition.merging:greedy",
        "Merges the two neighbouring groups whose union gains most, until none gains.",
    ),
    "nsga2": FusionEntry(
        "toolkit.fusion.partition.merging:nsga2",
        "Optuna's NSGA-II over cut edges.",
    ),
    "gradient": FusionEntry(
        "toolkit.fusion.partition.gradient:gradient",
        "Chances of groups and of their tiles, annealed by gradients until they are decisions.",
        extra="torch",
    ),
    "joint": FusionEntry(
        "toolkit.fusion.partition.joint:joint",
        "The same, with real-valued tilings of all layers that descend along.",
        extra="torch",
    ),
}
"""Strategies by name."""


def find_partition(
    model: GroupModel,
    strategy: str = "exact",
    *,
    most_layers: int = MOST_LAYERS,
    seed: int = 0,
    reasons: bool = True,
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
        (`toolkit.fusion.partition.joint`); ``none`` fuses nothing.
    most_layers : int
        Most folded layers of a group.
    seed : int
        Of ``nsga2``, ``gradient`` and ``joint``.
    reasons : bool
        Whether to find out why groups end; without it, the result has no boundaries.

    Raises
    ------
    InputError
        If the strategy is unknown or `most_layers` is not positive.
    MissingPackageError
        If the strategy needs a package that is not installed.
    """
    if strategy not in FUSION_STRATEGIES:
        raise InputError(
            f"unknown fusion strategy {strategy!r}{suggest(strategy, FUSION_STRATEGIES)}; "
            f"there are {', '.join(FUSION_STRATEGIES)}",
            key="fusion",
        )
    if most_layers < 1:
        raise InputError(f"expected at least 1, got {most_layers!r}", key="most_layers")
    search = FUSION_STRATEGIES[strategy].load()
    start = clock()
    found = search(model, most_layers, seed)
    apart = unfused(model)
    if value_of(total_costs(found.groups)) > value_of(total_costs(apart)):
        # Whatever a search does, not to fuse is one of the partitions that it knows.
        found = replace(found, groups=apart)

    def again(roomy: GroupModel) -> tuple[Option, ...]:
        return FUSION_STRATEGIES[_SEARCHED_AGAIN[strategy]].load()(roomy, most_layers, seed).groups

    result = make_result(model, strategy, found, most_layers, start)
    if not reasons:
        return result
    repeats = strategy in _SEARCHED_AGAIN and result.costed <= MOST_SEARCHED_AGAIN
    boundaries = boundaries_of(model, result.groups, most_layers, again if repeats else None)
    return replace(result, boundaries=boundaries)


def make_result(
    model: GroupModel, strategy: str, found: Found, most_layers: int, start: float
) -> FusionResult:
    """Complete what a strategy found: order and bound; no reasons yet."""
    groups = in_order(model, found.groups)
    sequence = model.in_sequence(groups) if isinstance(model, Sequenced) else None
    costs = total_costs(groups)
    if sequence is not None:
        by_group = {option.plan.group: option for option in groups}
        groups = tuple(by_group[entry.group] for entry in sequence.groups)
        costs = less_hidden(model.objective, costs, sequence.hidden_cycles)
    value = value_of(costs)
    general = value_of(model.bound) if found.bound is None else found.bound
    _check_bound(value, general)
    within = _bound_within(model, most_layers)
    if within is not None:
        _check_bound(value, within)
        within = min(max(within, general), value)
    costed, seconds = model.costed, clock() - start
    return FusionResult(
        strategy,
        model.graph,
        model.objective,
        groups,
        unfused(model),
        (),
        min(general, value),
        costed,
        seconds,
        found.down_sets,
        most_layers if found.limited else None,
        found.notes,
        found.chances,
        found.exact_value,
        model.given,
        sequence,
        within,
        None if within is None else most_layers,
    )


def _check_bound(value: float, bound: float) -> None:
    if value < bound * (1 - _ROUNDED):
        raise BoundError(
            f"groups were found that cost {value:.10g}, where {bound:.10g} is proved to be the "
            "least: the proof is wrong, please report it"
        )


def _bound_within(model: GroupModel, most_layers: int) -> float | None:
    """The bound of groups of limited length, where none of groups of any length is proved."""
    longest = len(model.graph)
    if not isinstance(model, LengthBounded) or most_layers >= longest:
        return None
    if model.bound_within(longest) is not None:
        return None
    known = model.bound_within(most_layers)
    return None if known is None else value_of(known)


def in_order(model: GroupModel, groups: tuple[Option, ...]) -> tuple[Option, ...]:
    """Groups in an order in which they can run."""
    by_group = {option.plan.group: option for option in groups}
    return tuple(by_group[group] for group in check_partition(model.graph, by_group))


def cost_partition(model: GroupModel, groups: Iterable[Iterable[str]]) -> FusionResult:
    """Cost a partition that somebody gives, layers that it leaves out on their own.

    Raises
    ------
    InputError
        If a group is not legal (`toolkit.fusion.check_partition`) or cannot run on the fusion
        level; the message names its layers.
    """
    start = clock()
    chosen = check_partition(model.graph, groups)
    for group in chosen:
        if not model.options(group):
            names = sorted(group, key=model.graph.positions.__getitem__)
            raise InputError(
                why_it_cannot_run(model, group), key=f"group {', '.join(map(repr, names))}"
            )
    found = Found(best_ways(model, chosen))
    result = make_result(model, "given", found, len(model.graph), start)
    return replace(result, boundaries=boundaries_of(model, result.groups, len(model.graph)))
