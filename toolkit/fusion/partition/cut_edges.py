"""Partitions as parameters: of two layers that share a tensor, whether they are cut apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from toolkit.arguments import check_integer
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.groups import check_partition, siblings
from toolkit.search.optuna_samplers.encoding import Parameters, choice


@dataclass(frozen=True)
class CutEdges:
    """How partitions of a network are written.

    A parameter such as ``conv1 > conv2.cut`` is true where a tensor leaves one group for another;
    those of two readers of one tensor are named ``conv2 + conv3.cut``. What is not cut becomes a
    group as far as that is legal and fits (`toolkit.fusion.partition.merging.decode`).

    Parameters
    ----------
    graph : FoldedGraph
        The network.
    numbers : bool
        Whether parameters are 0 and 1, for samplers that know numbers only.
    """

    graph: FoldedGraph
    numbers: bool = False

    @cached_property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Layers that share a tensor, by the name of their parameter."""
        made = {f"{a} > {b}.cut": (a, b) for a, b in self.graph.edges}
        return made | {f"{a} + {b}.cut": (a, b) for a, b, _ in siblings(self.graph)}

    @cached_property
    def parameters(self) -> Parameters:
        """All that is chosen."""
        return dict.fromkeys(self.pairs, choice((False, True), ordered=self.numbers))

    def kept(self, params: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Pairs that are not cut apart."""
        return [pair for name, pair in self.pairs.items() if not params[name]]

    def uniform(self, cut: bool) -> dict[str, Any]:
        """Cut everything, or nothing."""
        return dict.fromkeys(self.pairs, int(cut) if self.numbers else cut)

    def written(self, groups: Iterable[Iterable[str]]) -> dict[str, Any]:
        """Write a partition; layers that it leaves out are on their own.

        Raises
        ------
        InputError
            If it is not legal.
        """
        chosen = check_partition(self.graph, groups)
        home = {name: place for place, group in enumerate(chosen) for name in group}
        cut = {name: home[a] != home[b] for name, (a, b) in self.pairs.items()}
        return {name: int(one) if self.numbers else one for name, one in cut.items()}


def check_most_layers(most_layers: object) -> int:
    """Refuse groups of no layer.

    Raises
    ------
    InputError
        If it is no integer from 1.
    """
    return check_integer(most_layers, 1, "most_layers")
