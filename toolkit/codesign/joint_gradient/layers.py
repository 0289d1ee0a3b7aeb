"""Layers of networks as modules of torch: those that the cost model treats alike, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from toolkit.arch.architecture import Architecture
from toolkit.fusion.partition.edges import FusionEdges, name_among
from toolkit.mapping.mapping import IntArray, to_arrays
from toolkit.mapping.space import Factors
from toolkit.search.gradient.alternatives import Alternatives
from toolkit.search.gradient.tilings import Start, Tilings
from toolkit.search.network import NetworkResult
from toolkit.search.problem import Problem, make_problem
from toolkit.workload.network import LayerGraph


@dataclass(eq=False)
class DistinctLayer:
    """One distinct layer of networks, and how often it runs.

    Parameters
    ----------
    problem : Problem
        On the largest hardware.
    start : tuple of int64 array, shape (levels, dimensions)
        Factors and loop orders of a mapping that is known.
    energy_pj, latency_cycles : float
        Of its part on the vector unit.
    count : float
        How often it runs, weighted.
    names : list of str
        Layers of the networks that it stands for, as
        `toolkit.fusion.partition.edges.name_among` calls them.
    """

    problem: Problem
    start: Start
    energy_pj: float
    latency_cycles: float
    count: float
    names: list[str]

    def on(self, arch: Architecture) -> Problem:
        """The same question on other hardware of the same levels.

        Raises
        ------
        DoesNotFitError
            If it has no mapping there.
        """
        given = self.problem
        return make_problem(
            arch,
            given.workload,
            objective=given.objective,
            conventions=given.conventions,
            factors=given.factors,
        )


@dataclass(frozen=True, eq=False)
class Gathered:
    """Layers of networks: those with a mapping, and what the others cost.

    Parameters
    ----------
    layers : tuple of DistinctLayer
        Each once.
    energy_pj, latency_cycles : float
        Of all layers without a mapping, weighted.
    graphs : tuple of LayerGraph
        The networks, as they are mapped.
    """

    layers: tuple[DistinctLayer, ...]
    energy_pj: float
    latency_cycles: float
    graphs: tuple[LayerGraph, ...]

    def alike(self) -> list[list[DistinctLayer]]:
        """Lists of layers whose tensors are indexed alike."""
        found: dict[object, list[DistinctLayer]] = {}
        for layer in self.layers:
            workload = layer.problem.workload
            found.setdefault((workload.tensors, workload.dimensions), []).append(layer)
        return list(found.values())


def gather(
    largest: Architecture,
    networks: Sequence[NetworkResult],
    weights: Sequence[float],
    factors: Factors = "perfect",
) -> Gathered:
    """Gather the mapped layers of networks.

    Parameters
    ----------
    largest : Architecture
        The largest hardware: bounds of factors follow from it.
    networks : sequence of NetworkResult
        Mappings to set out from.
    weights : sequence of float
        Of the networks.
    factors : {"perfect", "ragged"}
        Whether rounded factors multiply to the sizes, or last tiles may be cut off.
    """
    found: dict[object, DistinctLayer] = {}
    energy = latency = 0.0
    for place, (weight, network) in enumerate(zip(weights, networks, strict=True)):
        for layer in network.layers:
            times = weight * layer.repetitions
            vector_pj = layer.vector.energy_pj if layer.vector is not None else 0.0
            cycles = layer.vector.latency_cycles if layer.vector is not None else 0.0
            if layer.cost is None:
                energy, latency = energy + times * vector_pj, latency + times * cycles
                continue
            workload = replace(layer.cost.workload, name="")
            key = (workload, layer.cost.mapping, vector_pj, cycles)
            if key not in found:
                problem = make_problem(
                    largest,
                    workload,
                    objective=network.search.objective,
                    conventions=network.search.conventions,
                    factors=factors,
                    round_up="all",
                )
                start = to_arrays(layer.cost.mapping, problem.arch, problem.workload)
                found[key] = DistinctLayer(problem, start, vector_pj, cycles, 0.0, [])
            found[key].count += times
            found[key].names.append(name_among(len(networks), place, layer.name))
    graphs = tuple(network.graph for network in networks)
    return Gathered(tuple(found.values()), energy, latency, graphs)


class LayerBatch(torch.nn.Module):
    """Distinct layers whose tensors are indexed alike, in several starts, with their vector parts.

    Parameters
    ----------
    layers : sequence of DistinctLayer
        Alike.
    factors, order : int64 array, shape (layers * starts, levels, dimensions)
        Where tilings set out.
    alternatives : Alternatives, optional
        As `Tilings` takes them.
    edges : FusionEdges, optional
        Tensors that may be fused.

    Attributes
    ----------
    counts, energies, latencies : float64 tensor, shape (layers,)
        How often each layer runs, and what its vector part costs in pJ and cycles.
    names : tuple of tuple of str
        Layers of the networks that each stands for.
    """

    counts: torch.Tensor
    energies: torch.Tensor
    latencies: torch.Tensor
    saved: torch.Tensor
    held: torch.Tensor

    def __init__(
        self,
        layers: Sequence[DistinctLayer],
        factors: IntArray,
        order: IntArray,
        alternatives: Alternatives | None = None,
        edges: FusionEdges | None = None,
    ) -> None:
        super().__init__()
        self.tilings = Tilings([layer.problem for layer in layers], factors, order, alternatives)
        self.names = tuple(tuple(layer.names) for layer in layers)
        self.place = None if edges is None else self._place(edges.memory)
        columns = {
            "counts": [layer.count for layer in layers],
            "energies": [layer.energy_pj for layer in layers],
            "latencies": [layer.latency_cycles for layer in layers],
        }
        for name, values in columns.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))
        none = torch.zeros((len(layers), 0), dtype=torch.float64)
        self.register_buffer("saved", none if edges is None else edges.words(self.names))
        self.register_buffer("held", none if edges is None else edges.windows(self.names))

    def by_layer(self, rows: torch.Tensor) -> torch.Tensor:
        """Values of rows as [layers, starts]."""
        return rows.reshape(len(self.counts), -1)

    def saved_words(self, chance: torch.Tensor) -> torch.Tensor:
        """Words to and from the outermost memory that fusion saves each row, [rows]."""
        return (self.saved @ chance.T).reshape(-1)

    def need(
        self,
        level: int,
        factors: torch.Tensor,
        chances: torch.Tensor | None,
        fused: torch.Tensor | None,
    ) -> torch.Tensor:
        """Instances or usable words that tilings and fused windows ask of a level, [rows]."""
        amount = self.tilings.need(level, factors, chances)
        if fused is not None and level == self.place:
            amount = amount + (self.held @ fused.T).reshape(-1)
        return amount

    def _place(self, memory: int) -> int:
        return int(self.tilings.problems[0].space.memory_levels[memory])
