"""How a mapping is written as the parameters of a trial, and read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from toolkit.mapping.mapping import IntArray
from toolkit.mapping.sampling import random_tilings
from toolkit.mapping.space import MapSpace
from toolkit.search.evaluator import ArrayPair, Start
from toolkit.search.optuna_samplers.encoding import Genes, OrderGenes, Parameters
from toolkit.search.optuna_samplers.ragged import RaggedRepair
from toolkit.search.optuna_samplers.repairs import Repair, TilingRepair

Written = dict[str, Any]
"""Values of the parameters of a trial, by name."""


@dataclass(frozen=True)
class Coding:
    """How a mapping is written as the parameters of a trial.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    tiling : Genes
        One half.
    orders : OrderGenes
        The other.
    repair : TilingRepair or None
        Makes every tiling valid; without it trials may fall short.
    """

    space: MapSpace
    tiling: Genes
    orders: OrderGenes
    repair: TilingRepair | None

    @cached_property
    def parameters(self) -> Parameters:
        """All that Optuna chooses; empty if there is a single mapping."""
        return {**self.tiling.parameters, **self.orders.parameters}

    @cached_property
    def _genes(self) -> list[tuple[str, dict[Any, int] | None]]:
        """Names, and the genes of values; None where these are the genes themselves."""
        return [
            (
                name,
                {value: gene for gene, value in enumerate(known.choices)}
                if isinstance(known, CategoricalDistribution)
                else None,
            )
            for name, known in self.parameters.items()
        ]

    def space_of(self, mapping: Sequence[IntArray]) -> MapSpace:
        """All mappings, whichever one is asked about."""
        del mapping
        return self.space

    def decode(self, trials: Sequence[Mapping[str, Any]]) -> ArrayPair:
        """Read factors and orders [batch, levels, dimensions] from trials' parameters."""
        factors, order = self.unrepaired(trials)
        return factors if self.repair is None else self.repair.apply(factors), order

    def unrepaired(self, trials: Sequence[Mapping[str, Any]]) -> ArrayPair:
        """Read them as they are written, valid or not."""
        rows = [
            [row[name] if genes is None else genes[row[name]] for name, genes in self._genes]
            for row in trials
        ]
        genes = np.array(rows, dtype=np.int64).reshape(len(trials), len(self.parameters))
        width = len(self.tiling.parameters)
        return self.tiling.decode(genes[:, :width]), self.orders.decode(genes[:, width:])

    def encode(self, factors: IntArray, order: IntArray) -> list[Written]:
        """Write mappings [batch, levels, dimensions] as trials' parameters."""
        genes = [self.tiling.encode(factors), self.orders.encode(order, factors)]
        return self._written(np.concatenate(genes, axis=1))

    def _written(self, genes: IntArray) -> list[Written]:
        """Write genes [batch, parameters] as trials' parameters."""
        known = self.parameters
        return [
            {name: value_of(known[name], gene) for name, gene in zip(known, row, strict=True)}
            for row in genes.tolist()
        ]

    def written(self, start: Start) -> Written:
        """Write one mapping that leaves out nothing optional."""
        return self.encode(start[0][None], start[1][None])[0]

    def starts(self, count: int, known: Sequence[Start], seed: int) -> list[Written]:
        """Choose where to set out from.

        Parameters
        ----------
        count : int
            How many; more if more are known.
        known : sequence of Start
            Mappings to begin with, if the coding can express them.
        seed : int
            Of the random mappings that come after these and one with large outer tiles.
        """
        rng = np.random.default_rng(seed)
        found: list[Written] = []
        for factors, order, choice in known:
            if choice:
                continue
            written = self.encode(factors[None], order[None])
            read = self.decode(written)
            memories = self.space.memory_levels
            if (read[0] == factors).all() and (read[1][:, memories] == order[memories]).all():
                found += written
        outermost = len(found)
        found += self.random(max(count - len(found), 1), rng)
        if self.repair is not None:
            first = self.tiling.encode(self.repair.anchor[None])[0].tolist()
            first += [0] * len(self.orders.parameters)
            found[outermost] = self._written(np.array([first], dtype=np.int64))[0]
        return found

    def random(self, count: int, rng: np.random.Generator) -> list[Written]:
        """Draw valid mappings, as trials' parameters."""
        genes = self.tiling.encode(random_tilings(self.space, count, rng))
        choices = self.orders.parameters.values()
        picks = [rng.integers(len(range_of(choice)), size=(count, 1)) for choice in choices]
        return self._written(np.concatenate([genes, *picks], axis=1))


class AnyCoding(Protocol):
    """What drivers and objectives ask of a coding; see `Coding`."""

    @property
    def parameters(self) -> Parameters:
        """All that Optuna chooses; empty if there is a single mapping."""
        ...

    def decode(self, trials: Sequence[Mapping[str, Any]], /) -> tuple[IntArray, ...]:
        """Read factors, orders and, if any, choices of bypasses from trials' parameters."""
        ...

    def written(self, start: Start, /) -> Written:
        """Write one mapping."""
        ...

    def starts(self, count: int, known: Sequence[Start], seed: int, /) -> list[Written]:
        """Choose where to set out from, what is known first."""
        ...

    def random(self, count: int, rng: np.random.Generator, /) -> list[Written]:
        """Draw valid mappings, as trials' parameters."""
        ...

    def space_of(self, mapping: Sequence[IntArray], /) -> MapSpace:
        """All mappings with the choice of one."""
        ...


def range_of(choice: BaseDistribution) -> range:
    """Genes that a parameter offers."""
    if isinstance(choice, CategoricalDistribution):
        return range(len(choice.choices))
    assert isinstance(choice, IntDistribution)
    return range(choice.low, choice.high + 1)


def value_of(choice: BaseDistribution, gene: int) -> Any:
    """Value of a gene."""
    return choice.choices[gene] if isinstance(choice, CategoricalDistribution) else gene


def repair_of(space: MapSpace) -> TilingRepair:
    """Build what makes tilings of a map space valid.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    """
    return RaggedRepair(space) if space.ragged.any() else Repair(space)


def mapping_start(arrays: Sequence[IntArray], row: int = 0) -> Start:
    """One of the mappings that a coding decoded, and its choice of bypasses."""
    factors, order, *choice = (array[row] for array in arrays)
    return factors, order, int(choice[0]) if choice else 0
