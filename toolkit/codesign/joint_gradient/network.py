"""Networks as a module of torch: learnable tilings, fusion and hardware, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from toolkit.arch.architecture import Architecture
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.joint_gradient.hardware import Hardware, soft_maximum
from toolkit.codesign.joint_gradient.layers import Gathered, LayerBatch
from toolkit.fusion.group_model import FusionOverhead
from toolkit.fusion.partition.edges import FUSED, FusionEdges, fused_costs
from toolkit.model.cost import BatchCost
from toolkit.search.gradient.layer import (
    DoubleModule,
    RelaxedCosts,
    constant_area,
    drawn_noise,
    expected_costs,
)
from toolkit.search.network import LayerSearch

if TYPE_CHECKING:
    from toolkit.codesign.joint_gradient.rounded import RoundedNetwork

Powers = tuple[float, float, float]


class RelaxedNetwork(DoubleModule):
    """Learnable tilings of all layers of networks, with fusion and hardware where these are given.

    Every start is a whole network, with decisions and hardware of its own.

    Parameters
    ----------
    arch : Architecture
        What the networks run on; of a hardware space the largest.
    batches : sequence of LayerBatch
        All layers with a mapping.
    gathered : Gathered
        Where they come from, and what other layers cost.
    uses : sequence of NetworkWeight
        The networks.
    search : LayerSearch
        With the objective and the conventions of all layers.
    powers : tuple of float
        Exponents of energy, latency and area, which rank what is rounded.
    hardware : Hardware, optional
        Sizes that are learned, or follow from the tilings.
    edges : FusionEdges, optional
        Tensors that may be fused.
    overhead : FusionOverhead
        What fusing two layers costs besides.
    seed : int
        Of noise.

    Attributes
    ----------
    evaluations : int
        Mappings costed so far, real-valued or rounded.
    """

    def __init__(
        self,
        arch: Architecture,
        batches: Sequence[LayerBatch],
        gathered: Gathered,
        uses: Sequence[NetworkWeight],
        search: LayerSearch,
        powers: Powers,
        hardware: Hardware | None = None,
        edges: FusionEdges | None = None,
        overhead: FusionOverhead = FusionOverhead(),  # noqa: B008 - it is frozen
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.arch, self.gathered = arch, gathered
        self.uses, self.search, self.powers = tuple(uses), search, powers
        self.batches = torch.nn.ModuleList(batches)
        self.hardware, self.edges, self.overhead = hardware, edges, overhead
        self._source = torch.Generator().manual_seed(seed)
        self.evaluations = 0

    @property
    def layers(self) -> tuple[tuple[str, ...], ...]:
        """Layers of the networks that each distinct layer stands for, as costs list them."""
        return tuple(names for batch in self.all_batches for names in batch.names)

    @property
    def starts(self) -> int:
        """Networks that are learned side by side."""
        return self.all_batches[0].tilings.starts

    @property
    def mappings(self) -> int:
        """Relaxed mappings that every step costs."""
        return sum(
            len(batch.tilings.logs) * batch.tilings.alternatives.count
            for batch in self.all_batches
        )

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.all_batches[0].counts.device

    @torch.no_grad()
    def decided_fusion(self, temperature: float = 1.0) -> torch.Tensor | None:
        """1 for every tensor that a start would rather fuse, else 0; [starts, edges]."""
        if self.edges is None:
            return None
        return (self.edges.chances(temperature) > FUSED).double()

    @property
    def all_batches(self) -> list[LayerBatch]:
        """Batches of layers."""
        return list(self.batches)  # type: ignore[arg-type]

    def forward(self, temperature: float = 1.0, noise: float = 0.0) -> RelaxedCosts:
        """Cost all starts.

        Parameters
        ----------
        temperature : float
            Divides logits of fusion, loop orders and bypasses: decisions grow firmer, the lower
            it is.
        noise : float
            Gumbel noise that is added to these, in units of its own; anneal it with the
            temperature.

        Raises
        ------
        InputError
            If the temperature is not above 0, or the noise below.
        """
        drawn = drawn_noise(self._source, temperature, noise)
        fused = None if self.edges is None else self.edges.chances(temperature, drawn)
        factors = [batch.tilings.factors() for batch in self.all_batches]
        chances = [
            batch.tilings.alternatives.chances(temperature, drawn) for batch in self.all_batches
        ]
        needs = self._needs(factors, chances, fused)
        logs = None if self.hardware is None else self.hardware(_by_level(self.all_batches, needs))
        energy, latency = self._spent(factors, chances, fused, logs)
        self.evaluations += self.mappings
        counts = torch.cat([batch.counts for batch in self.all_batches])
        total = self.gathered.energy_pj + counts @ energy
        cycles = self.gathered.latency_cycles + counts @ latency
        if fused is not None:
            fusing_pj, fusing_cycles = self.overhead.of(2)
            total = total + fusing_pj * fused.sum(dim=1)
            cycles = cycles + fusing_cycles * fused.sum(dim=1)
        if self.hardware is None or logs is None:
            area = constant_area(self.arch, total)
        else:
            area = self.hardware.area_um2(logs)
        return RelaxedCosts(
            cycles, total, area, latency, energy, self._penalties(needs, logs), logs
        )

    def hardware_of(
        self,
        factors: Sequence[torch.Tensor],
        fused: torch.Tensor | None = None,
        softness: float = 0.0,
    ) -> torch.Tensor:
        """Logarithms of the sizes that tilings of every batch ask for, [starts, parameters]."""
        assert self.hardware is not None
        needs = self._needs(factors, [None] * len(factors), fused)
        logs: torch.Tensor = self.hardware(_by_level(self.all_batches, needs), softness)
        return logs

    def minimal_hardware(self) -> dict[str, torch.Tensor]:
        """The least hardware that runs all layers, with gradients: a soft maximum of the needs.

        Returns
        -------
        dict of str to float64 tensor, shape (starts,)
            Sizes by parameter of the hardware space; without one, instances and words by level.
            `RoundedNetwork.minimal_hardware` tells it exactly, of rounded mappings.
        """
        fused = None if self.edges is None else self.edges.chances()
        factors = [batch.tilings.factors() for batch in self.all_batches]
        chances = [batch.tilings.alternatives.chances() for batch in self.all_batches]
        needs = self._needs(factors, chances, fused, all_levels=True)
        by_level = _by_level(self.all_batches, needs)
        if self.hardware is not None:
            return self.hardware.needed(by_level)
        return {
            self.arch.levels[level].name: soft_maximum(amount.clamp(min=1e-300).log()).exp()
            for level, amount in by_level.items()
        }

    def project_(self) -> None:
        """Return to valid factors and sizes, after a step of an optimiser."""
        for batch in self.all_batches:
            batch.tilings.project_()
        if self.hardware is not None:
            self.hardware.project_()

    @torch.no_grad()
    def recentre_(self) -> None:
        """Measure figures of hardware anew where each start is; its sizes reach further then."""
        if self.hardware is not None:
            logs = self.hardware_of([batch.tilings.factors() for batch in self.all_batches])
            self.hardware.recentre_(logs)

    def round(
        self, search: LayerSearch | None = None, most_layers: int = 4
    ) -> RoundedNetwork | None:
        """Round to valid mappings, a legal partition and hardware, scored by the true model.

        Parameters
        ----------
        search, most_layers
            As `toolkit.codesign.joint_gradient.rounded.round_network` takes them.

        Returns
        -------
        RoundedNetwork or None
            None if some layer has no valid mapping nearby.
        """
        from toolkit.codesign.joint_gradient.rounded import round_network

        return round_network(self, search, most_layers)

    def _needs(
        self,
        factors: Sequence[torch.Tensor],
        chances: Sequence[torch.Tensor | None],
        fused: torch.Tensor | None,
        *,
        all_levels: bool = False,
    ) -> list[dict[int, torch.Tensor]]:
        """What every batch asks of levels, [rows] by level number."""
        sizing = () if self.hardware is None else self.hardware.sizing
        places = {place for place, _ in sizing}
        found = []
        for batch, own, chance in zip(self.all_batches, factors, chances, strict=True):
            tilings = batch.tilings
            levels = tilings.limited_levels if all_levels else tilings.bound_levels
            found.append(
                {
                    level: batch.need(level, own, chance, fused)
                    for level in sorted({*levels, *places})
                }
            )
        return found

    def _spent(
        self,
        factors: Sequence[torch.Tensor],
        chances: Sequence[torch.Tensor | None],
        fused: torch.Tensor | None,
        logs: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy and cycles of one run of each layer, [layers, starts]."""
        energies, latencies = [], []
        arch_at = None if self.hardware is None or logs is None else self.hardware.arch_at(logs)
        for batch, own, chance in zip(self.all_batches, factors, chances, strict=True):
            adjust = None
            if fused is not None:
                saved = batch.saved_words(fused)

                def adjust(
                    cost: BatchCost, saved: torch.Tensor = saved
                ) -> tuple[torch.Tensor, ...]:
                    return fused_costs(cost, saved.repeat(len(cost.energy_pj) // len(saved)))

            spent, cycles = expected_costs(batch.tilings, own, chance, arch_at, adjust)
            energies.append(batch.by_layer(spent) + batch.energies[:, None])
            # The vector unit works at the same time.
            latencies.append(torch.maximum(batch.by_layer(cycles), batch.latencies[:, None]))
        return torch.cat(energies), torch.cat(latencies)

    def _penalties(
        self, needs: Sequence[Mapping[int, torch.Tensor]], logs: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """Penalties of all layers together, [starts] by kind."""
        found: dict[str, torch.Tensor] = {}
        limits = {} if self.hardware is None or logs is None else self.hardware.limits(logs)
        for batch, own in zip(self.all_batches, needs, strict=True):
            most = {level: row.repeat(len(batch.counts)) for level, row in limits.items()}
            kinds = {**batch.tilings.penalties(own, most), "validity": batch.tilings.outside()}
            for kind, rows in kinds.items():
                over = batch.by_layer(rows).sum(dim=0)
                found[kind] = found[kind] + over if kind in found else over
        if self.hardware is not None and logs is not None:
            found["budget"] = self.hardware.over_budget(logs)
        return found


def _by_level(
    batches: Sequence[LayerBatch], needs: Sequence[Mapping[int, torch.Tensor]]
) -> dict[int, torch.Tensor]:
    """What all layers ask of levels, [layers, starts] by level number."""
    levels = sorted(set().union(*needs))
    return {
        level: torch.cat(
            [
                batch.by_layer(own[level])
                for batch, own in zip(batches, needs, strict=True)
                if level in own
            ]
        )
        for level in levels
    }
