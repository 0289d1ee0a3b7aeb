"""Descent of the tilings of all layers together, with the hardware that follows from them.

DOSA's and FA-DOSA's path: factors are real, the cost model is run by torch, and sizes of the
hardware are the largest that any layer's tiles need. The loss is a sum of logarithms of latency,
energy and area; what exceeds ranges and budgets is penalised. Now and then all tilings are
rounded, and the hardware that the rounded ones need is proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.arch.expressions import Number
from toolkit.codesign.evaluation import HardwareCost, NetworkWeight
from toolkit.codesign.joint_gradient.hardware import Hardware, enough, nearest
from toolkit.codesign.joint_gradient.layers import LayerBatch, gather
from toolkit.codesign.joint_gradient.network import RelaxedNetwork
from toolkit.codesign.space import HardwareSpace
from toolkit.fusion.folded import FoldedGraph
from toolkit.fusion.partition.edges import fusible_edges
from toolkit.processes import one_torch_thread

BATCH = 4
"""Variants that descend side by side: the mappings as they are, and shaken ones."""

STEPS, ROUND_EVERY = 12, 4
"""Steps of Adam of a descent, and after how many of them tilings are rounded."""

SHAKE = 0.4
"""Standard deviation of what is added to the logarithms of factors of shaken variants."""

_RATE = 0.25
"""Step of Adam in units of the logarithm of a factor: all steps together cross a factor of 20."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Hardware that a descent arrives at: logarithms of its parameters, and its loss.

    `rounded` tells whether it is what rounded tilings need.
    """

    logs: torch.Tensor
    loss: float
    rounded: bool


class NetworkDescent:
    """Layers of networks that descend together from the mappings of one hardware point.

    Parameters
    ----------
    space : HardwareSpace
        Where hardware may lie.
    cost : HardwareCost
        The point to set out from, and its mappings.
    uses : sequence of NetworkWeight
        The networks.
    powers : tuple of float
        Exponents of energy, latency and area.
    rng : numpy.random.Generator
        Shakes variants.
    graphs : sequence of FoldedGraph
        Of the networks whose layers may be fused, which is decided along with the tilings.
    """

    def __init__(
        self,
        space: HardwareSpace,
        cost: HardwareCost,
        uses: Sequence[NetworkWeight],
        powers: tuple[float, float, float],
        rng: np.random.Generator,
        graphs: Sequence[FoldedGraph] = (),
    ) -> None:
        largest = space.build(space.largest).arch
        edges = fusible_edges(largest, graphs, BATCH) if graphs else None
        gathered = gather(largest, cost.networks, [use.weight for use in uses])
        batches = []
        for layers in gathered.alike():
            factors = np.stack([layer.start[0] for layer in layers]).repeat(BATCH, axis=0)
            order = np.stack([layer.start[1] for layer in layers]).repeat(BATCH, axis=0)
            batches.append(LayerBatch(layers, factors, order, edges=edges))
            batches[-1].tilings.shake_(SHAKE, rng)
        hardware, search = Hardware(space, cost.point.parameters, BATCH), cost.networks[0].search
        self.network = RelaxedNetwork(
            largest, batches, gathered, uses, search, powers, hardware, edges
        )
        self._tilings = [batch.tilings for batch in batches]

    @property
    def mappings(self) -> int:
        """Relaxed mappings that every step costs."""
        return self.network.mappings

    @one_torch_thread()
    def run(self, steps: int = STEPS) -> list[Proposal]:
        """Descend; what every variant arrives at, the lowest loss first."""
        adam = torch.optim.Adam(self.network.parameters(), lr=_RATE, betas=(0.8, 0.95))
        found: list[Proposal] = []
        for step in range(1, steps + 1):
            adam.zero_grad()
            loss, hardware = self.loss(step / steps)
            torch.autograd.backward(loss.sum())
            if step % ROUND_EVERY == 0 or step == steps:
                found += self._proposals(loss, hardware, _temperature(step / steps))
            adam.step()
            self.network.project_()
        # What rounded tilings need comes first: sizes between them only cost.
        return sorted(found, key=lambda proposal: (not proposal.rounded, proposal.loss))

    @torch.no_grad()
    def _proposals(
        self, loss: torch.Tensor, hardware: torch.Tensor, temperature: float
    ) -> list[Proposal]:
        losses = loss.nan_to_num(torch.inf).tolist()
        rounded = [tilings.rounded().factors for tilings in self._tilings]
        factors = [torch.tensor(each.astype(np.float64)) for each in rounded]
        # Decided fusion, and the hard maximum over layers.
        fused = self.network.decided_fusion(temperature)
        needed = self.network.hardware_of(factors, fused)
        return [
            Proposal(logs[b].detach().clone(), losses[b], logs is needed)
            for logs in (needed, hardware)
            for b in range(BATCH)
        ]

    def loss(self, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of every variant [batch], and the hardware that follows [batch, parameters].

        Parameters
        ----------
        progress : float
            From 0 to 1; fusion decisions grow colder.
        """
        costs = self.network(_temperature(progress))
        assert costs.hardware is not None
        return costs.log_cost(self.network.powers) + costs.penalty(), costs.hardware


def _temperature(progress: float) -> float:
    return 1 / (1 + 4 * progress)


def points_near(space: HardwareSpace, proposal: Proposal) -> list[dict[str, Number]]:
    """Points of the space at proposed sizes: those that run what needs them, or the nearest."""
    if not proposal.rounded:
        return [nearest(space, proposal.logs)]
    return [enough(space, proposal.logs)]
