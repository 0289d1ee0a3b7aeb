"""Partitions by merging neighbouring groups: none, the best pair first, or as Optuna says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import networkx as nx

from toolkit.fusion.group_model import GroupModel, Option, total_costs, unfused, value_of
from toolkit.fusion.groups import Group, is_convex, quotient, shared_words
from toolkit.fusion.partition.result import Found

TRIALS, POPULATION = 400, 30
"""Partitions that NSGA-II tries, and how many of them make a generation: a dozen generations.
Groups are costed once each, so that later trials mostly cost Optuna's own time."""


def none(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Merge nothing."""
    return Found(unfused(model))


def greedy(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Merge as `greedy_groups` does."""
    return Found(greedy_groups(model, most_layers))


def greedy_groups(model: GroupModel, most_layers: int) -> tuple[Option, ...]:
    """Merge neighbouring groups, best gain first, until none gains.

    The start is every layer on its own, run in another way where that gains, so that the result
    is no worse than not fusing.
    """
    options = {option.plan.group: option for option in unfused(model)}
    for group, own in list(options.items()):
        rest = [t - x for t, x in zip(total_costs([*options.values()]), own.costs, strict=True)]
        other = _cheapest(model, group, rest)
        if other is not None and _value(rest, other) < _value(rest, own):
            options[group] = other
    while True:
        total = [sum(column) for column in zip(*(o.costs for o in options.values()), strict=True)]
        best: tuple[float, Group, Group, Option] | None = None
        for a, b in _neighbours(model, list(options), most_layers):
            apart = [x + y for x, y in zip(options[a].costs, options[b].costs, strict=True)]
            rest = [t - x for t, x in zip(total, apart, strict=True)]
            joint = _cheapest(model, a | b, rest, apart)
            if joint is None:
                continue
            value = _value(rest, joint)
            if value < value_of(total) and (best is None or value < best[0]):
                best = (value, a, b, joint)
        if best is None:
            return tuple(options.values())
        _, a, b, joint = best
        del options[a], options[b]
        options[a | b] = joint


def _cheapest(
    model: GroupModel,
    group: Group,
    rest: list[float] | None = None,
    apart: list[float] | None = None,
) -> Option | None:
    """The option that goes best with what the rest costs; below what its parts cost apart."""
    base = rest or [0.0, 0.0]
    limit = apart[0] if apart is not None and len(apart) == 1 else None
    return min(
        model.options(group, limit),
        key=lambda option: _value(base, option),
        default=None,
    )


def _value(rest: Sequence[float], option: Option) -> float:
    """The objective value of one group beside the costs of the rest."""
    return value_of([r + c for r, c in zip(rest, option.costs, strict=False)])


def _neighbours(
    model: GroupModel, groups: list[Group], most_layers: int
) -> list[tuple[Group, Group]]:
    """Pairs that may be merged: no path leads from one to the other through a third."""
    order = quotient(model.graph, groups)
    home = {name: i for i, group in enumerate(groups) for name in group}
    pairs = {*order.edges}
    for a, b in model.graph.neighbourhood.edges:
        pair = tuple(sorted((home[a], home[b])))
        if pair[0] != pair[1] and pair[::-1] not in pairs:
            pairs.add(pair)
    after = {group: nx.descendants(order, group) for group in order}
    before = {group: nx.ancestors(order, group) for group in order}
    return [
        (groups[a], groups[b])
        for a, b in sorted(pairs)
        if len(groups[a]) + len(groups[b]) <= most_layers
        and not after[a] & before[b]
        and not after[b] & before[a]
    ]


def nsga2(model: GroupModel, most_layers: int, seed: int) -> Found:
    """Try partitions that Optuna's NSGA-II suggests, starting from none and from all cuts.

    A trial says of every two layers that share a tensor whether they are cut apart. What the rest
    connects becomes a group where that is legal and fits; otherwise it is cut up again, the
    largest tensors staying together as long as possible.
    """
    import optuna

    from toolkit.fusion.partition.optuna_objective import PartitionObjective
    from toolkit.quiet import quiet_optuna

    objective = PartitionObjective(
        model, most_layers, numbers=True, costs_apart=model.objective == "edp"
    )
    with quiet_optuna():
        study = optuna.create_study(
            directions=objective.directions,
            sampler=optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed),
        )
        for cut in (False, True):
            study.enqueue_trial(objective.cuts.uniform(cut))
        study.optimize(objective, n_trials=TRIALS)
    return Found(objective.best)


def decode(
    model: GroupModel, kept: Iterable[tuple[str, str]], most_layers: int
) -> tuple[Option, ...]:
    """A legal partition that keeps as many of the given pairs together as it can.

    Layers that share a tensor are kept together one pair after the other, those that share most
    words first.
    """
    graph = model.graph
    home: dict[str, Group] = {name: frozenset((name,)) for name in graph.names}
    options = {group: _cheapest(model, group) for group in home.values()}
    sizes = {pair: shared_words(graph, *pair) for pair in kept}
    for source, target in sorted(sizes, key=lambda edge: (-sizes[edge], edge)):
        a, b = home[source], home[target]
        joint = a | b
        if a is b or len(joint) > most_layers or not is_convex(graph, joint):
            continue
        rest = [group for group in options if group not in (a, b)]
        if not nx.is_directed_acyclic_graph(quotient(graph, [joint, *rest])):
            continue
        option = _cheapest(model, joint)
        if option is None:
            continue
        del options[a], options[b]
        options[joint] = option
        home.update(dict.fromkeys(joint, joint))
    return tuple(option for option in options.values() if option is not None)
