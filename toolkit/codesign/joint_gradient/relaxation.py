"""What descends besides hardware: tilings of all layers, and whether neighbours are fused.

Layers that the cost model treats alike are batches, side by side.

Every tensor that one mapped layer makes and another reads is fused with a probability. A fused
tensor is neither written to the outermost memory nor read from it, and a window of it, as many
rows as its reader needs, is kept on the fusion level. Whole groups, their tiles and halos are
left to the exact costs of `toolkit.fusion`, by which every rounded point is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.codesign.evaluation import HardwareCost
from toolkit.codesign.space import HardwareSpace
from toolkit.fusion import FoldedGraph, fusion_level
from toolkit.mapping.mapping import IntArray, to_arrays
from toolkit.mapping.rounding import Rounding
from toolkit.model.cost import BatchCost
from toolkit.search.gradient.descent import Simplex, make_simplex, memory_words
from toolkit.search.problem import Problem, make_problem


@dataclass(eq=False)
class _Entry:
    """One distinct layer, and how often it runs."""

    problem: Problem
    factors: IntArray
    order: IntArray
    energy_pj: float
    latency_cycles: float
    count: float
    names: list[str]


@dataclass(eq=False)
class LayerBatch:
    """Distinct layers whose tensors are indexed alike, each in several variants.

    Row ``layer * variants + variant`` of all arrays is one tiling.

    Parameters
    ----------
    problem : Problem
        Of the first layer on the largest hardware; only sizes differ.
    rounding : tuple of Rounding
        Of every layer.
    simplex : Simplex
        Of every row.
    order : int64 tensor, shape (rows, levels, dimensions)
        Loop orders, which stay.
    logs : float64 tensor, shape (rows, levels, dimensions)
        Logarithms of factors, with gradients.
    counts, energies, latencies : float64 tensor, shape (layers,)
        How often each runs, and what its vector part costs in pJ and cycles.
    names : tuple of tuple of str
        Layers of the network that each stands for.
    """

    problem: Problem
    rounding: tuple[Rounding, ...]
    simplex: Simplex
    order: torch.Tensor
    logs: torch.Tensor
    counts: torch.Tensor
    energies: torch.Tensor
    latencies: torch.Tensor
    names: tuple[tuple[str, ...], ...]

    def tangent(self) -> None:
        """Take from the gradient what would leave the plane on which sums hold."""
        gradient = self.logs.grad
        if gradient is None:
            return
        gradient.nan_to_num_(0.0, 0.0, 0.0)
        free = (self.simplex.lower < self.simplex.upper).to(gradient.dtype)
        mean = (gradient * free).sum(dim=1) / free.sum(dim=1).clamp(min=1)
        gradient.copy_((gradient - mean[:, None]) * free)

    def project(self) -> None:
        """Return to the simplex."""
        self.logs.copy_(self.simplex.project(self.logs))

    def rounded(self) -> torch.Tensor:
        """Factors of valid tilings nearby, on the largest hardware."""
        rows = self.logs.detach().numpy()
        parts = np.split(rows, len(self.rounding))
        found = [one.round(part)[0] for one, part in zip(self.rounding, parts, strict=True)]
        return torch.tensor(np.concatenate(found).astype(np.float64))

    def excess(self, factors: torch.Tensor) -> torch.Tensor:
        """Penalty for what exceeds even the largest hardware, [rows]."""
        space = self.problem.space
        over = torch.zeros_like(factors[:, 0, 0])
        for level in space.spatial_levels.tolist():
            over = over + _penalty(factors[:, level].prod(dim=1) / float(space.mesh[level]))
        for m in range(len(space.memory_levels)):
            if space.word_limits[m] is not None:
                words = memory_words(space, m, factors)
                over = over + _penalty(words / float(space.capacity[m]))
        return over


def gather(
    largest: Architecture,
    cost: HardwareCost,
    weights: Sequence[float],
    variants: int,
    rng: np.random.Generator,
    shake: float,
) -> tuple[list[LayerBatch], float, float]:
    """Gather the mapped layers of networks.

    Parameters
    ----------
    largest : Architecture
        The largest hardware: bounds of factors follow from it.
    cost : HardwareCost
        Mappings to set out from.
    weights : sequence of float
        Of the networks.
    variants : int
        Of every layer; the first as it is, the others shaken.
    rng : numpy.random.Generator
        Shakes.
    shake : float
        Standard deviation of what is added to logarithms of factors.

    Returns
    -------
    batches : list of LayerBatch
    energy_pj, latency_cycles : float
        Of layers without a mapping.
    """
    found: dict[object, _Entry] = {}
    energy = latency = 0.0
    for weight, network in zip(weights, cost.networks, strict=True):
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
                problem = make_problem(largest, workload, factors="perfect", round_up="all")
                arrays = to_arrays(layer.cost.mapping, problem.arch, problem.workload)
                found[key] = _Entry(problem, *arrays, vector_pj, cycles, 0.0, [])
            found[key].count += times
            found[key].names.append(layer.name)
    alike: dict[object, list[_Entry]] = {}
    for entry in found.values():
        workload = entry.problem.workload
        alike.setdefault((workload.tensors, workload.dimensions), []).append(entry)
    batches = [_batch(entries, variants, rng, shake) for entries in alike.values()]
    return batches, energy, latency


def _batch(
    entries: Sequence[_Entry], variants: int, rng: np.random.Generator, shake: float
) -> LayerBatch:
    parts = [make_simplex(entry.problem.space) for entry in entries]

    def rows(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack(list(tensors)).repeat_interleave(variants, dim=0)

    simplex = Simplex(
        rows([part.lower for part in parts]),
        rows([part.upper for part in parts]),
        rows([part.total for part in parts]),
    )
    logs = rows([torch.tensor(np.log(entry.factors.astype(np.float64))) for entry in entries])
    shaken = torch.tensor(rng.normal(0.0, shake, tuple(logs.shape)))
    shaken[::variants] = 0.0

    def column(values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(list(values), dtype=torch.float64)

    return LayerBatch(
        entries[0].problem,
        tuple(Rounding(entry.problem.space) for entry in entries),
        simplex,
        rows([torch.tensor(entry.order) for entry in entries]),
        simplex.project(logs + shaken).requires_grad_(),
        column([entry.count for entry in entries]),
        column([entry.energy_pj for entry in entries]),
        column([entry.latency_cycles for entry in entries]),
        tuple(tuple(entry.names) for entry in entries),
    )


def _penalty(ratio: torch.Tensor) -> torch.Tensor:
    over = ratio.clamp(min=1e-300).log().clamp(min=0)
    return 2 * over + 2 * over**2


@dataclass(frozen=True)
class FusibleEdge:
    """A tensor between two layers: its words, and those of the window that its reader needs."""

    source: str
    target: str
    words: float
    window_words: float


@dataclass(frozen=True, eq=False)
class EdgeSavings:
    """Edges of all networks, and the memory that would hold fused tensors.

    Parameters
    ----------
    edges : tuple of FusibleEdge
        Of layers with a workload.
    memory : int
        Which memory is the fusion level, outermost first.
    """

    edges: tuple[FusibleEdge, ...]
    memory: int

    def __len__(self) -> int:
        return len(self.edges)

    def saved_words(
        self, layers: tuple[tuple[str, ...], ...], chance: torch.Tensor
    ) -> torch.Tensor:
        """Words to and from the outermost memory that a run of each layer saves.

        Parameters
        ----------
        layers : tuple of tuple of str
            Equal layers, of which the mean is taken.
        chance : float64 tensor, shape (variants, edges)
            That each edge is fused.

        Returns
        -------
        float64 tensor, shape (layers, variants)
        """
        return self._mean(layers, "words") @ chance.T

    def held_words(
        self, layers: tuple[tuple[str, ...], ...], chance: torch.Tensor
    ) -> torch.Tensor:
        """Words of windows on the fusion level while each layer runs, (layers, variants)."""
        return self._mean(layers, "window_words") @ chance.T

    def _mean(self, layers: tuple[tuple[str, ...], ...], what: str) -> torch.Tensor:
        return torch.tensor(
            [
                [
                    getattr(edge, what)
                    * sum((edge.source == n) + (edge.target == n) for n in names)
                    / len(names)
                    for edge in self.edges
                ]
                for names in layers
            ],
            dtype=torch.float64,
        )

    def latency(self, cost: BatchCost, saved: torch.Tensor, dram: Memory) -> torch.Tensor:
        """Cycles of layers whose outermost memory moves fewer words, [rows]."""
        plan, nest = cost.plan, cost.nest
        inner = nest.levels[-1].temporal * plan.arch.compute.cycles
        outermost = plan.memories[0]
        for place in {place for place, _ in plan.ports} - {outermost}:
            inner = torch.maximum(inner, nest.levels[place].busy_cycles)
        moved: Any = sum(
            entry.reads + entry.updates + entry.fills + entry.drains
            for (memory, _), entry in nest.moved.items()
            if memory == outermost
        )
        bandwidth: Any = dram.bandwidth
        return torch.maximum(inner, (moved - saved).clamp(min=0) / bandwidth)


def edge_savings(space: HardwareSpace, graphs: list[FoldedGraph]) -> EdgeSavings:
    """List the edges between mapped layers.

    Raises
    ------
    ArchitectureError
        If no memory of the template can hold fused tensors.
    """
    arch = space.build(space.largest).arch
    level = fusion_level(arch)
    edges = []
    for graph in graphs:
        for source, target in graph.edges:
            made, reader = graph.layer_of(source), graph.layer_of(target)
            if made.layer.workload is None or reader.layer.workload is None:
                continue
            sizes = reader.layer.workload.sizes
            rows = max(made.output.shape[-2] if len(made.output.shape) > 1 else 1, 1)
            share = min(sizes.get("R", 1) / rows, 1.0) if "P" in sizes else 1.0
            words = float(made.output.elements)
            edges.append(FusibleEdge(made.layer.name, reader.layer.name, words, words * share))
    names = [memory.name for memory in arch.memories]
    return EdgeSavings(tuple(edges), names.index(level.name))
