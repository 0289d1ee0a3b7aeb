"""The mappings of a network's layers as parameters of a trial, on any hardware and for any part.

Parameters are those of the layers as they are on one architecture. Parts of layers, and layers on
hardware of other sizes, take the same factors rounded to what is valid there.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from toolkit.errors import InputError
from toolkit.mapping.mapping import IntArray, Mapping
from toolkit.mapping.rounding import Rounding
from toolkit.messages import describe
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.network.cost import LayerCost
from toolkit.search.network.problem import MappedLayer, NetworkProblem
from toolkit.search.network.result import NetworkResult
from toolkit.search.optuna_samplers.chosen import problem_coding
from toolkit.search.optuna_samplers.coding import AnyCoding, mapping_start
from toolkit.search.optuna_samplers.encoding import Parameters
from toolkit.search.optuna_samplers.mapping_objective import MappingObjective
from toolkit.search.optuna_samplers.repairs import valid_tiling
from toolkit.search.problem import Problem
from toolkit.search.result import Budget


@dataclass(frozen=True, eq=False)
class TrialMappings:
    """How the mappings of all distinct layers are written as parameters.

    Those of a layer are called after it: ``layer1.0/conv1.Buffer.order``.

    Parameters
    ----------
    network : NetworkProblem
        The network on the architecture that ranges of parameters are taken from.
    numbers : bool
        Whether all parameters are numbers.
    encoding : str, optional
        A key of `toolkit.search.optuna_samplers.encodings.ENCODINGS`.
    repaired : bool
        Whether every mapping is made valid.
    """

    network: NetworkProblem
    numbers: bool = False
    encoding: str | None = None
    repaired: bool = True
    _roundings: dict[object, tuple[Rounding, IntArray]] = field(
        default_factory=dict, init=False, repr=False
    )

    @cached_property
    def codings(self) -> dict[str, AnyCoding]:
        """The coding of each distinct layer, by its name."""
        return {
            layer.name: problem_coding(
                layer.problem,
                ordered=self.numbers,
                encoding=self.encoding,
                repaired=self.repaired,
            )
            for layer in self.network.mapped
        }

    @cached_property
    def first_of(self) -> dict[str, str]:
        """By the name of a layer, that of the distinct one that stands for it."""
        return {name: layer.name for layer in self.network.mapped for name in layer.layers}

    def mapped(self, layer: str) -> MappedLayer:
        """The distinct layer that stands for a layer.

        Raises
        ------
        InputError
            If it is not mapped.
        """
        for own in self.network.mapped:
            if layer in own.layers:
                return own
        known = ", ".join(self.first_of)
        raise InputError(f"no layer {layer!r} is mapped; expected one of {known}", key="layer")

    @cached_property
    def parameters(self) -> Parameters:
        """All that is chosen."""
        return {
            f"{name}.{own}": known
            for name, coding in self.codings.items()
            for own, known in coding.parameters.items()
        }

    def arrays(self, layer: str, params: MappingOf[str, Any]) -> tuple[IntArray, ...]:
        """Read a distinct layer's mapping, a batch of one, where the network was asked about."""
        coding = self.codings[layer]
        return coding.decode([{own: params[f"{layer}.{own}"] for own in coding.parameters}])

    def start(self, layer: str, params: MappingOf[str, Any], problem: Problem) -> Start:
        """Read a layer's mapping and round it to what is valid in another problem.

        Parameters
        ----------
        layer : str
            Any that is mapped.
        problem : Problem
            Of the same levels and dimensions.
        """
        own = self.mapped(layer)
        factors, order, choice = mapping_start(self.arrays(own.name, params))
        left = dict(enumerate(own.problem.choices.names))
        out = {pair for bit, pair in left.items() if choice >> bit & 1}
        wanted = sum(1 << bit for bit, pair in enumerate(problem.choices.names) if pair in out)
        number = int(problem.choices.mended(np.array([wanted]))[0]) if problem.choices else 0
        chosen = problem.choices.problem_of(number) if number else problem
        space = chosen.space
        if not space.check(factors[None], order[None])[0]:
            key = (problem.workload, problem.arch.levels, number)
            if key not in self._roundings:
                self._roundings[key] = Rounding(space), valid_tiling(space)
            rounding, anchor = self._roundings[key]
            rounded, valid = rounding.round(np.log(factors[None].astype(np.float64)))
            factors = rounded[0] if valid[0] else anchor
            order = order.copy()
            for rule, level in zip(space.order_rules, space.memory_levels, strict=True):
                if not rule.check(order[None, level])[0]:
                    order[level] = rule.complete(())
        return factors, order, number

    def params(self, known: NetworkResult | MappingOf[str, Mapping]) -> dict[str, Any]:
        """Write mappings as parameters.

        Parameters
        ----------
        known : NetworkResult or mapping of str to Mapping
            Of `toolkit.map_network`, or by layer; those left out are up to the sampler.

        Raises
        ------
        InputError
            If a mapping is not valid, the encoding cannot express it, or its layer is not mapped.
        """
        if isinstance(known, NetworkResult):
            costs = {layer.name: layer.cost for layer in known.layers}
            given = {n: cost.mapping for n, cost in costs.items() if isinstance(cost, LayerCost)}
        elif isinstance(known, MappingOf):
            given = dict(known)
        else:
            raise InputError(
                "expected what toolkit.map_network returns, or mappings by the names of layers, "
                f"got {describe(known)}",
                key="mappings",
            )
        written: dict[str, Any] = {}
        for name, mapping in given.items():
            own = self.mapped(name)
            alone = MappingObjective(Evaluator(own.problem, Budget()), self.codings[own.name])
            try:
                values = alone.params(mapping)
            except InputError as cause:
                raise InputError(cause.message, source="mappings", key=name) from None
            # Of layers that run the same, the first one stands for all.
            written = {f"{own.name}.{key}": value for key, value in values.items()} | written
        return written

    def mapping(self, layer: str, params: MappingOf[str, Any], problem: Problem) -> Mapping:
        """Read a layer's mapping, rounded to what is valid in a problem as `start` does it."""
        return problem.choices.mapping(*self.start(layer, params, problem))

    def starts(self, count: int, seed: int) -> list[dict[str, Any]]:
        """Choose where to set out from: large outer tiles everywhere, then random mappings."""
        seeds = np.random.default_rng(seed).integers(2**32, size=len(self.codings)).tolist()
        columns = [
            [
                {f"{name}.{own}": value for own, value in row.items()}
                for row in coding.starts(count, (), one)
            ]
            for (name, coding), one in zip(self.codings.items(), seeds, strict=True)
        ]
        return [
            {k: v for part in parts for k, v in part.items()}
            for parts in zip(*columns, strict=True)
        ]
