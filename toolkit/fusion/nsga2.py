"""Optuna's NSGA-II over cut edges."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from toolkit.fusion.groups import Group, is_convex, quotient
from toolkit.fusion.objective import GroupModel, Option, value_of
from toolkit.fusion.partition import total_costs

TRIALS = 400
"""Partitions that are tried."""


def nsga2_groups(model: GroupModel, most_layers: int, seed: int) -> tuple[Option, ...]:
    """Try partitions that Optuna's NSGA-II suggests, starting from none and from all cuts.

    A trial says of every edge whether it is cut. What the rest connects becomes a group where
    that is legal and fits; otherwise it is cut up again along its edges, the largest tensors
    staying together as long as possible.
    """
    import optuna

    edges = list(model.graph.edges)
    best: tuple[float, tuple[Option, ...]] | None = None

    def cost(trial: optuna.Trial) -> tuple[float, ...]:
        nonlocal best
        kept = [e for i, e in enumerate(edges) if not trial.suggest_int(f"cut{i}", 0, 1)]
        groups = decode(model, kept, most_layers)
        costs = total_costs(groups)
        if best is None or value_of(costs) < best[0]:
            best = (value_of(costs), groups)
        return costs

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            directions=["minimize"] * (2 if model.objective == "edp" else 1),
            sampler=optuna.samplers.NSGAIISampler(population_size=30, seed=seed),
        )
        for cut in (0, 1):
            study.enqueue_trial({f"cut{i}": cut for i in range(len(edges))})
        study.optimize(cost, n_trials=TRIALS)
    finally:
        optuna.logging.set_verbosity(level)
    return best[1] if best is not None else decode(model, [], most_layers)


def decode(
    model: GroupModel,
    kept: Iterable[tuple[str, str]],
    most_layers: int,
    *,
    by_size: bool = True,
) -> tuple[Option, ...]:
    """A legal partition that keeps as many of the given edges inside of groups as it can.

    Edges are kept one after the other, those of the largest tensors first, or as they come.
    """
    graph = model.graph
    home: dict[str, Group] = {name: frozenset((name,)) for name in graph.names}
    options = {group: _best(model, group) for group in home.values()}
    sizes = {edge: graph.layer_of(edge[0]).output.elements for edge in kept}
    order = sorted(sizes, key=lambda edge: (-sizes[edge], edge)) if by_size else list(sizes)
    for source, target in order:
        a, b = home[source], home[target]
        joint = a | b
        if a is b or len(joint) > most_layers or not is_convex(graph, joint):
            continue
        rest = [group for group in options if group not in (a, b)]
        if not nx.is_directed_acyclic_graph(quotient(graph, [joint, *rest])):
            continue
        option = _best(model, joint)
        if option is None:
            continue
        del options[a], options[b]
        options[joint] = option
        home.update(dict.fromkeys(joint, joint))
    return tuple(option for option in options.values() if option is not None)


def _best(model: GroupModel, group: Group) -> Option | None:
    return min(model.options(group), key=lambda option: value_of(option.costs), default=None)
