"""Routers of mixtures of experts that graphs write out: how many tokens each expert gets.

Exporters write, for every expert, NonZero of the mask that says which tokens go there: a size that
depends on data. From TopK to that mask the values say which router they come from, so that the
experts are given equal shares of the tokens; those that get none are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from toolkit.workload.network.layer import Layer, TensorInfo, may_be_learned
from toolkit.workload.network.operators import OPERATORS, Call
from toolkit.workload.network.operators.experts import expert_shares
from toolkit.workload.network.values import Routing, Value, empty, is_mask

_MASKS = ("OneHot", "Equal", "ScatterElements")
"""Operators that make a mask of the experts' numbers."""

_UPDATES = {"ScatterND": 2, "ScatterElements": 2, "Scatter": 2}


@dataclass
class Loop:
    """A loop while its body is walked.

    Parameters
    ----------
    count : int
        Iterations that the file asks for.
    runs : int
        How often the body has work: for the experts that run, if it goes over experts.
    """

    count: int
    runs: int


class Routers:
    """Routers of one model, and how many of their experts have been met.

    Parameters
    ----------
    chosen : int or None
        Experts per token, whatever the file says.
    """

    def __init__(self, chosen: int | None = None) -> None:
        self.chosen = chosen
        self.idle: dict[str, dict[str, TensorInfo]] = {}
        self._met: dict[str, int] = {}
        self._loops: list[Loop] = []

    @contextmanager
    def loop_of(self, count: int) -> Iterator[Loop]:
        """Say that a body is walked once that runs several times."""
        self._loops.append(Loop(count, count))
        try:
            yield self._loops[-1]
        finally:
            self._loops.pop()

    def after(self, call: Call, made: Sequence[Value]) -> list[Value]:
        """Mark what a node made with the router that it depends on."""
        if call.operator == "TopK" and len(made) == 2:
            return [made[0], replace(made[1], routing=self._router(call, made[1]))]
        found = next((v.routing for v in call.inputs if v is not None and v.routing), None)
        if found is None:
            return list(made)
        if found.is_idle:
            self._note_weights(call, found.router)
            return [replace(v, routing=found) if 0 in v.shape else v for v in made]
        if any(value.routing is not None for value in made):
            return list(made)
        if not found.is_mask and call.operator in _MASKS:
            found = replace(found, is_mask=_over_experts(call, made[0], found))
        return [replace(value, routing=found) for value in made]

    def _router(self, call: Call, indices: Value) -> Routing | None:
        shape = call.shape(0)
        axis = call.integer("axis", -1)
        if not shape or axis not in (-1, len(shape) - 1):
            return None
        chosen = indices.shape[-1]
        tokens = indices.info.elements // chosen if chosen else 0
        most = min(self.chosen or chosen, shape[-1])
        return Routing(call.name, tokens, most, shape[-1]) if tokens else None

    def positions(self, call: Call, name: str) -> Value | None:
        """What NonZero finds in the mask of a router; None if that is none of a router's.

        Masks of single experts are met in their order.
        """
        value = call.input(0)
        found = value.routing
        if call.operator != "NonZero" or found is None or not found.is_mask:
            return None
        elements, rank = value.info.elements, max(len(value.shape), 1)
        if elements == found.experts:
            count = min(found.experts, found.assignments)
        elif elements >= found.experts * found.tokens:
            count = found.assignments
        else:
            count = self._of_one(found)
        info = TensorInfo(name, (rank, count), "int64")
        if count:
            running = min(found.experts, found.assignments)
            call.given.warn(
                f"the {found.tokens} tokens that {found.router!r} routes are spread evenly over "
                f"its {found.experts} experts, of which {running} run"
            )
            return Value(info)
        return replace(empty(info), routing=replace(found, is_idle=True))

    def _of_one(self, found: Routing) -> int:
        """Tokens of the next expert."""
        if self._loops and self._loops[-1].count == found.experts:
            # One iteration stands for all: as many that run as give all tokens in equal shares.
            most = min(found.experts, found.assignments)
            runs = next(n for n in range(most, 0, -1) if found.assignments % n == 0)
            runs = runs if 2 * runs > most else most
            self._loops[-1].runs = runs
            return -(-found.assignments // runs)
        place = self._met.get(found.router, 0)
        self._met[found.router] = place + 1
        for share in expert_shares(found.assignments, found.experts):
            if place < share.experts:
                return share.tokens
            place -= share.experts
        return 0

    def _note_weights(self, call: Call, router: str) -> None:
        """Remember what was learned for experts that get no token."""
        rule = OPERATORS.get(call.operator)
        if rule is None or rule.cost_class in ("movement", "view"):
            return
        for value in call.inputs:
            if value is None or not value.constant or value.info.elements < 2 or is_mask(value):
                continue
            for tensor in value.stored:
                if may_be_learned(tensor.dtype):
                    self.idle.setdefault(router, {})[tensor.name] = tensor

    def with_idle_weights(self, layers: Sequence[Layer]) -> list[Layer]:
        """Count weights of experts that get no token among the parameters of their router."""
        return [
            replace(layer, parameters=(*layer.parameters, *self.idle.get(layer.name, {}).values()))
            if layer.name in self.idle
            else layer
            for layer in layers
        ]


def _over_experts(call: Call, made: Value, found: Routing) -> bool:
    """Whether a mask has an axis of experts, or is that of a single one."""
    if call.operator == "Equal":
        other = next((v for v in call.inputs if v is not None and v.constant), None)
        return other is not None and other.info.elements in (1, found.experts)
    return found.experts in made.shape


def nothing_to_add(call: Call) -> bool:
    """Whether a scatter has no updates, so that it hands on what it was given."""
    place = _UPDATES.get(call.operator)
    return place is not None and call.has(place) and 0 in call.input(place).shape
