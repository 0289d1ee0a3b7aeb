"""What lies between a network that is mapped layer by layer and its fused groups, step by step.

`toolkit.map_network` gives values the bits of their types; fusion counts a word for every value.
Layers on their own read the copies that an im2col makes from DRAM; fused ones make them on chip.
Each of these is a step with its own amount, so that what is left is what the groups save.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import fsum
from typing import Any

from toolkit.arch.packing import accumulator_bits, operand_bits
from toolkit.errors import DoesNotFitError
from toolkit.fusion.group_model import Option
from toolkit.fusion.mapped import MappedModel
from toolkit.fusion.partition.exact import best_ways
from toolkit.fusion.partition.result import FusionResult
from toolkit.workload.network.elementwise import fold_elementwise
from toolkit.workload.network.graph import LayerGraph


@dataclass(frozen=True)
class Totals:
    """What a whole network costs.

    Parameters
    ----------
    energy_pj, latency_cycles : float
        Of one run.
    dram_words : int
        Words that the outermost memory moves.
    """

    energy_pj: float
    latency_cycles: float
    dram_words: int

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles

    def row(self) -> dict[str, float]:
        """By name, for tables."""
        return {**asdict(self), "edp_pj_cycles": self.edp_pj_cycles}


@dataclass(frozen=True)
class Step:
    """One thing that changes on the way to fused groups.

    Parameters
    ----------
    name : {"alone", "words", "windows", "groups", "prefetch"}
        Which.
    detail : str
        What changes, in words.
    before : Totals or None
        Those that it changes; None for the first step, which is where the way begins.
    after : Totals
        Those of the network from then on.
    """

    name: str
    detail: str
    before: Totals | None
    after: Totals

    @property
    def change(self) -> dict[str, float] | None:
        """What it adds to each of the totals; None for the first step."""
        if self.before is None:
            return None
        before = self.before.row()
        return {key: value - before[key] for key, value in self.after.row().items()}

    def record(self) -> dict[str, Any]:
        """As JSON-able data."""
        return {
            "step": self.name,
            "detail": self.detail,
            **self.after.row(),
            "change": self.change,
        }


def steps_to_fused(
    model: MappedModel, result: FusionResult, network: LayerGraph | None = None
) -> tuple[Step, ...]:
    """List what leads from layers on their own to a partition; what changes nothing is left out.

    Parameters
    ----------
    model : MappedModel
        Which found the partition.
    result : FusionResult
        The partition.
    network : LayerGraph, optional
        What was folded, with the bits of its values. Where it is given, the first step is what
        `toolkit.map_network` says of it on the same architecture under the same search.

    Returns
    -------
    tuple of Step
        Each begins where the one before it ended; the last one ends at what the partition costs.
    """
    unfused, fused = _totals(model, result.unfused), _totals(model, result.groups)
    mapped = None if network is None else _mapped(model, network)
    if mapped in (None, unfused):
        steps = [Step("alone", "each layer on its own", None, unfused)]
    else:
        steps = [
            Step("alone", "each layer on its own, bits as given", None, mapped or unfused),
            Step("words", "every value takes a word, as fusion counts", mapped, unfused),
        ]
    groups = sum(len(group) > 1 for group in result.partition)
    copied = _copied(model)
    if copied and any(option.plan.staged for option in result.groups):
        singles = [frozenset((name,)) for name in model.graph.names]
        staged = _totals(model, best_ways(model, singles)) if groups else fused
        detail = (
            f"copies for the windows (im2col) of {copied} layers may be made from "
            f"{model.memory.name}, not in {model.arch.memories[0].name}"
        )
        steps.append(Step("windows", detail, unfused, staged))
    if groups:
        detail = f"{groups} groups keep tensors between layers on chip"
        steps.append(Step("groups", detail, steps[-1].after, fused))
    if result.hidden_cycles:
        detail = "prefetch: first loads and last stores are hidden under neighbouring groups"
        hidden = replace(fused, latency_cycles=fused.latency_cycles - result.hidden_cycles)
        steps.append(Step("prefetch", detail, fused, hidden))
    return tuple(step for step in steps if step.before != step.after)


def _copied(model: MappedModel) -> int:
    """Layers that a lowering makes read copies."""
    return sum(model.costs.laid_out(layer) for layer in model.graph.layers)


def _totals(model: MappedModel, options: Sequence[Option]) -> Totals:
    costs = [model.cost(option.plan) for option in options]
    return Totals(
        fsum(cost.energy_pj for cost in costs),
        fsum(cost.latency_cycles for cost in costs),
        sum(cost.plan.dram_words for cost in costs),
    )


def _mapped(model: MappedModel, network: LayerGraph) -> Totals | None:
    """What `toolkit.map_network` says of a network; None if it has no mapping with its bits."""
    arch = model.arch
    graph = fold_elementwise(network, operand_bits(arch), accumulator_bits(arch))
    typed = graph.precision is not None
    try:
        found = [model.costs.alone(layer, typed=typed) for layer in graph.layers]
    except DoesNotFitError:
        return None
    return Totals(
        fsum(layer.energy_pj for layer in found),
        fsum(layer.latency_cycles for layer in found),
        sum(layer.dram_words for layer in found),
    )
