"""Learnable fusion: every tensor between two layers is fused with a probability of its own.

A fused tensor is neither written to the outermost memory nor read from it, and a window of it, as
many rows as its reader needs, is kept on the fusion level. Whole groups, their tiles and halos are
left to the exact costs of `toolkit.fusion`, by which what is decided is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolkit.arch.architecture import Architecture
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.tile.residency import fusion_level
from toolkit.model.cost import BatchCost
from toolkit.search.gradient.alternatives import Noise

FUSED = 0.5
"""Probability above which a tensor is fused once that is decided."""


@dataclass(frozen=True)
class FusibleEdge:
    """A tensor between two layers: its words, and those of the window that its reader needs.

    Layers are called as `name_among` says.
    """

    source: str
    target: str
    words: float
    window_words: float


def name_among(networks: int, place: int, name: str) -> str:
    """Name a layer of one of several networks, which may have layers of the same name.

    Examples
    --------
    >>> name_among(1, 0, "conv1"), name_among(2, 1, "conv1")
    ('conv1', '1:conv1')
    """
    return name if networks == 1 else f"{place}:{name}"


class FusionEdges(torch.nn.Module):
    """Chances that tensors between layers are fused.

    Parameters
    ----------
    edges : sequence of FusibleEdge
        Of layers with a workload.
    memory : int
        Which memory is the fusion level, outermost first.
    starts : int
        Decisions that are learned side by side.

    Attributes
    ----------
    logits : Parameter, float64, shape (starts, edges)
        Of fusing each tensor.
    """

    def __init__(self, edges: Sequence[FusibleEdge], memory: int, starts: int) -> None:
        super().__init__()
        self.edges, self.memory = tuple(edges), memory
        self.logits = torch.nn.Parameter(torch.zeros((starts, len(edges)), dtype=torch.float64))

    def __len__(self) -> int:
        return len(self.edges)

    def chances(self, temperature: float = 1.0, noise: Noise | None = None) -> torch.Tensor:
        """Probability that each tensor is fused, with gradients.

        Parameters
        ----------
        temperature : float
            Divides logits: decisions grow firmer, the lower it is.
        noise : Noise, optional
            Adds the difference of two Gumbel variables, which makes them samples.

        Returns
        -------
        float64 tensor, shape (starts, edges)
        """
        logits: torch.Tensor = self.logits
        if noise is not None:
            logits = logits + noise.like(logits) - noise.like(logits)
        return torch.sigmoid(logits / temperature)

    @torch.no_grad()
    def decided(self, start: int) -> list[tuple[str, str]]:
        """Pairs of layers that one start would rather fuse."""
        likely = (self.chances()[start] > FUSED).tolist()
        pairs = zip(self.edges, likely, strict=True)
        return [(edge.source, edge.target) for edge, fused in pairs if fused]

    def words(self, layers: tuple[tuple[str, ...], ...]) -> torch.Tensor:
        """Words to and from the outermost memory that a run of each layer saves per fused edge.

        Parameters
        ----------
        layers : tuple of tuple of str
            Equal layers, of which the mean is taken.

        Returns
        -------
        float64 tensor, shape (layers, edges)
        """
        return self._mean(layers, "words")

    def windows(self, layers: tuple[tuple[str, ...], ...]) -> torch.Tensor:
        """Words of windows on the fusion level while each layer runs, (layers, edges)."""
        return self._mean(layers, "window_words")

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


def fused_costs(cost: BatchCost, saved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Energy in pJ and cycles of layers whose outermost memory moves fewer words, [rows] each."""
    plan, nest = cost.plan, cost.nest
    dram = plan.arch.memories[0]
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
    cycles = torch.maximum(inner, (moved - saved).clamp(min=0) / bandwidth)
    return cost.energy_pj - saved * dram.read_energy_pj, cycles


def fusible_edges(arch: Architecture, graphs: Sequence[FoldedGraph], starts: int) -> FusionEdges:
    """List the edges between mapped layers.

    Raises
    ------
    ArchitectureError
        If no memory of the architecture can hold fused tensors.
    """
    level = fusion_level(arch)
    edges = []
    for place, graph in enumerate(graphs):
        for source, target in graph.edges:
            made, reader = graph.layer_of(source), graph.layer_of(target)
            if made.layer.workload is None or reader.layer.workload is None:
                continue
            sizes = reader.layer.workload.sizes
            rows = max(made.output.shape[-2] if len(made.output.shape) > 1 else 1, 1)
            share = min(sizes.get("R", 1) / rows, 1.0) if "P" in sizes else 1.0
            words = float(made.output.elements)
            ends = [name_among(len(graphs), place, end.layer.name) for end in (made, reader)]
            edges.append(FusibleEdge(ends[0], ends[1], words, words * share))
    names = [memory.name for memory in arch.memories]
    return FusionEdges(edges, names.index(level.name), starts)
