"""Groups that are alike but for names: blocks of a network, solved once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from toolkit.fusion.groups import GroupView
from toolkit.fusion.tile.assumptions import Assumptions
from toolkit.fusion.tile.choice import search_plans
from toolkit.fusion.tile.group_plan import GroupPlan

Signature = tuple[object, ...]


def signature(view: GroupView) -> Signature:
    """All of a group that its plans depend on, tensors and layers by number."""
    number = {name: i for i, name in enumerate(view.tensors)}
    leaving = {tensor.name for tensor in view.leaving}
    return tuple(
        (
            tuple((number[t.name], t.shape) for t in layer.inputs),
            number[layer.output.name],
            layer.output.shape,
            layer.output.name in leaving,
            layer.ranks,
            layer.weight_words,
            layer.constant_words,
            layer.macs > 0,
            layer.operators,
        )
        for layer in view.layers
    )


def renamed(plan: GroupPlan, before: GroupView, after: GroupView) -> GroupPlan:
    """The plan of a group as that of another one with the same signature."""
    names = dict(zip(before.tensors, after.tensors, strict=True))
    layers = {a.name: b.name for a, b in zip(before.layers, after.layers, strict=True)}

    def item(name: str, kind: str) -> str:
        return layers[name] if kind in ("weights", "state") else names[name]

    return replace(
        plan,
        group=after.group,
        loops=tuple(
            replace(
                loop,
                tensor=names[loop.tensor],
                layers=frozenset(layers[name] for name in loop.layers),
                sums=frozenset(layers[name] for name in loop.sums),
                streams=frozenset(layers[name] for name in loop.streams),
            )
            for loop in plan.loops
        ),
        kept=tuple(
            replace(
                kept,
                name=item(kept.name, kept.kind),
                readers=tuple(layers[name] for name in kept.readers),
                during=tuple(layers[name] for name in kept.during),
                between=tuple(layers[name] for name in kept.between),
            )
            for kept in plan.kept
        ),
        halo={names[name]: mode for name, mode in plan.halo.items()},
        made={layers[name]: made for name, made in plan.made.items()},
        homes={names[name]: home for name, home in plan.homes.items()},
    )


@dataclass
class PlanBook:
    """Best plans of groups, each kind of group searched once.

    Parameters
    ----------
    given : Assumptions
        What groups may do.
    share : float
        See `best_plan`.
    exact : bool
        Whether no plan of any group so far moves fewer words than the one found, or than the
        limit that was asked for.
    """

    given: Assumptions
    share: float = 1.0
    exact: bool = True
    _found: dict[Signature, tuple[GroupView, GroupPlan]] = field(default_factory=dict)
    _refused: dict[Signature, float] = field(default_factory=dict)
    _least: dict[Signature, int] = field(default_factory=dict)

    def best(self, view: GroupView, limit: float | None = None) -> GroupPlan | None:
        """As `best_plan`; plans that are known are returned whatever the limit."""
        key = signature(view)
        if key in self._found:
            before, plan = self._found[key]
            return plan if before.group == view.group else renamed(plan, before, view)
        most = float("inf") if limit is None else limit
        if most <= self._refused.get(key, -1.0):
            return None
        found, bound = search_plans(view, self.given, limit, self.share)
        self._least[key] = bound
        self.exact &= bound >= min(most, math.inf if found is None else found.dram_words)
        if found is None:
            self._refused[key] = most
        else:
            self._found[key] = view, found
        return found

    def least(self, view: GroupView) -> int | None:
        """Words that no plan of a group undercuts, as far as is known; None if never asked."""
        return self._least.get(signature(view))
