"""What fusing neighbouring layers would save, per edge, as a relaxed decision.

Every tensor that one mapped layer makes and another reads is fused with a probability. A fused
tensor is neither written to the outermost memory nor read from it, and a window of it, as many
rows as its reader needs, is kept on the fusion level. Whole groups, their tiles and halos are
left to the exact costs of `toolkit.fusion`, by which every rounded point is scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from toolkit.arch.levels import Memory
from toolkit.codesign.space import HardwareSpace
from toolkit.fusion import FoldedGraph, fusion_level
from toolkit.model.cost import BatchCost


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
        inner = nest.levels[len(plan.arch.levels) - 1].temporal * plan.arch.compute.cycles
        outermost = plan.memories[0]
        for place in plan.memories[1:]:
            inner = torch.maximum(inner, nest.levels[place].busy_cycles)
        moved: Any = sum(
            entry.reads + entry.updates + entry.fills + entry.drains
            for (memory, _), entry in cost.accesses.items()
            if memory == outermost
        )
        bandwidth: Any = dram.read_bandwidth + dram.write_bandwidth
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
