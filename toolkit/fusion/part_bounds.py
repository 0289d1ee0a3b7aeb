"""Bounds of what the layers of a network take: floors of the cost model, and proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from types import MappingProxyType

from toolkit.arch.architecture import Architecture
from toolkit.cluster import Cluster
from toolkit.errors import DoesNotFitError, ToolkitError
from toolkit.fusion.dram_port import DramPort, PortWords
from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.groups import GroupView
from toolkit.fusion.large_layers import (
    ProofTask,
    cut_roles,
    large_layer,
    leaking,
    parts_energy_pj,
    priced,
    prove_all,
    seen_archs,
)
from toolkit.fusion.layer_costs import LayerCosts
from toolkit.mapping.bounds import whole_tensor_values
from toolkit.model.conventions import Conventions
from toolkit.model.floor import least_cycles, least_energy_pj
from toolkit.model.vector_unit import idle_leakage_pj
from toolkit.processes import available_cores
from toolkit.search.network import lowerings
from toolkit.search.network.vector_layers import layer_parts, layer_vector_cost
from toolkit.search.network.workloads import problem_of
from toolkit.workload.kernel import Workload
from toolkit.workload.network.layer import TensorInfo

_DEAR = 1e9
"""Times the energy of a word, so that nobody takes it from there."""


@dataclass(frozen=True, slots=True)
class LayerLeast:
    """What a layer takes at least, repetitions included: all of its parts, or on its own.

    Parameters
    ----------
    energy_pj : float
        Of parts, but for the words of the outermost memory.
    latency_cycles : float
        One part after the other.
    rate_pj_per_cycle, together_pj : float
        Energy and this rate times the latency take so much together, where more is known of it.
    """

    energy_pj: float
    latency_cycles: float
    rate_pj_per_cycle: float = 0.0
    together_pj: float = 0.0

    def weighted(self, energy: float, cycles: float) -> float:
        """The least of energy and latency, each at its weight.

        Examples
        --------
        >>> known = LayerLeast(1.0, 1.0, rate_pj_per_cycle=4.0, together_pj=9.0)
        >>> LayerLeast(1.0, 1.0).weighted(1.0, 4.0), known.weighted(1.0, 4.0)
        (5.0, 9.0)
        >>> known.weighted(1.0, 2.0), known.weighted(1.0, 8.0)
        (5.0, 13.0)
        """
        rate = self.rate_pj_per_cycle
        apart = energy * self.energy_pj + cycles * self.latency_cycles
        more = self.together_pj - self.energy_pj - rate * self.latency_cycles
        if more <= 0:
            return apart
        # All of what is more is spent where it counts least.
        return apart + more * (min(energy, cycles / rate) if rate else energy)


class PartBounds:
    """Bounds of what layers take, by floors of the cost model and by proofs.

    Parameters
    ----------
    costs : LayerCosts
        What parts cost.
    memories : sequence of str
        Those that tensors of a group can wait on, outermost first.
    seconds : float
        Limit of each proof; 0 for floors alone.
    made : mapping of str to float
        Share of its output that parts of a layer make at least, by the layer's name; all of it
        where nothing is said.

    Attributes
    ----------
    on_proof : callable or None
        Called after each proof with how many there were, of how many.
    """

    def __init__(
        self,
        costs: LayerCosts,
        memories: Sequence[str],
        *,
        seconds: float,
        made: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.costs = costs
        self.made = made
        self.memories = tuple(memories)
        self.seconds = seconds
        self.on_proof: Callable[[int, int], None] | None = None
        self.port = DramPort.of(costs.arch, costs.search.conventions)
        self._weights = None if self.port.weights is None else self.port.weights.name
        self._floors: dict[str, LayerLeast] = {}
        self._proved: dict[ProofTask, float] = {}
        self._asked: set[ProofTask] = set()

    def floor(self, layer: FoldedLayer) -> LayerLeast:
        """Bound a layer by the work of lanes and vector unit, without any search."""
        if layer.name not in self._floors:
            self._floors[layer.name] = self._floor(layer)
        return self._floors[layer.name]

    def rate(self, layers: Sequence[FoldedLayer]) -> float:
        """Energy by latency (pJ per cycle) of layers on their own, as they are mapped.

        Proofs of both together are best where the product of both is, which is nearby. In three
        digits, so that a proof that is kept is found again.
        """
        costs = [self.costs.alone(layer.whole) for layer in layers]
        cycles = fsum(cost.latency_cycles for cost in costs)
        return float(f"{fsum(cost.energy_pj for cost in costs) / cycles:.3g}") if cycles else 0.0

    def least(self, layers: Sequence[FoldedLayer]) -> tuple[LayerLeast, ...]:
        """Bound layers as well as proofs can; what was proved once is remembered."""
        self._prove(large for layer in layers for _, _, large, _ in self._large(layer))
        return tuple(map(self._least, layers))

    def alone(self, layers: Sequence[FoldedLayer], rate: float = 0.0) -> tuple[LayerLeast, ...]:
        """Bound layers on their own, with the words of the outermost memory.

        Parameters
        ----------
        rate : float
            In pJ per cycle: energy and so much of the latency are bounded together.
        """
        whole = [task for layer in layers for task in self._on_their_own(layer, rate)]
        parts = [large for layer in layers for _, _, large, _ in self._large(layer)]
        self._prove([*whole, *parts])
        return tuple(self._alone(layer, rate) for layer in layers)

    def _prove(self, tasks: Iterable[ProofTask]) -> None:
        """Prove what was not asked before; it is remembered."""
        new = [task for task in dict.fromkeys(tasks) if task not in self._asked]
        # Where sums are read by all instances that go on, large layers read more than parts.
        conventions = self._conventions
        if self.seconds > 0 and conventions.transfers != "sequential" and conventions.sums_go_on:
            self._asked.update(new)
            jobs = self.costs.jobs
            self._proved |= prove_all(
                new,
                self._conventions,
                seconds=self.seconds,
                store=self.costs.store,
                jobs=jobs if isinstance(jobs, Cluster) else available_cores(),
                on_proof=self.on_proof,
            )

    def _on_their_own(self, layer: FoldedLayer, rate: float) -> tuple[ProofTask, ...]:
        """All mappings of a layer on its own; none where it is padded, and larger then."""
        arch, search, ways = self.costs.arch, self.costs.search, self._ways(layer)
        try:
            asked = [problem_of(arch, way, search, choose=False).workload for way in ways]
        except ToolkitError:
            return ()
        if any(
            search.padded(way) or way.sizes != a.sizes for way, a in zip(ways, asked, strict=True)
        ):
            return ()
        return tuple(ProofTask(leaking(arch, rate), way) for way in ways)

    def _alone(self, layer: FoldedLayer, rate: float) -> LayerLeast:
        if layer.layer.workload is None:
            cost = self.costs.alone(layer.whole)
            return LayerLeast(cost.energy_pj, cost.latency_cycles)
        arch, least, times = self.costs.arch, self._least(layer), layer.layer.repetitions
        moved = PortWords(
            sum(_used(layer, tensor, self.port) for tensor in layer.inputs),
            words_written(layer),
            layer.weight_words,
        )
        constants = PortWords(weights=layer.constant_words)
        least = LayerLeast(
            least.energy_pj + self.port.energy_pj(moved + constants),
            max(least.latency_cycles, self.port.cycles(moved)),
        )
        tasks = self._on_their_own(layer, rate)
        if not tasks or not self._proved.keys() >= set(tasks):
            return least
        bound = min(self._proved[task] for task in tasks)
        vector = layer_vector_cost(
            arch, self.costs.unit, layer.whole, self._conventions, typed=False
        )
        folded = 0.0 if vector is None else vector.energy_pj
        known = times * (bound + folded)
        if rate:
            return replace(least, rate_pj_per_cycle=rate, together_pj=known)
        return replace(least, energy_pj=max(least.energy_pj, known))

    def _least(self, layer: FoldedLayer) -> LayerLeast:
        floor, given = self.floor(layer), (self._weights, self._made(layer))
        energies = [
            parts_energy_pj(arch, workload, large, share, self._proved[large], *given)
            if large in self._proved
            else 0.0
            for arch, workload, large, share in self._large(layer)
        ]
        if not energies:
            return floor
        times = layer.layer.repetitions
        more = self._made(layer) * (
            times * self._leaking_pj(layer) + self._vector(layer).energy_pj
        )
        proved = times * min(energies) + more
        return replace(floor, energy_pj=max(floor.energy_pj, proved))

    def _leaking_pj(self, layer: FoldedLayer) -> float:
        """What leaks of the array while one repetition of a layer runs at its fastest."""
        if not self._conventions.leakage_until_end:
            return 0.0
        arch = self.costs.arch
        cycles = min(least_cycles(arch, way) for way in self._ways(layer))
        return fsum(idle_leakage_pj(arch, cycles, self._conventions).values())

    def _large(
        self, layer: FoldedLayer
    ) -> Iterator[tuple[Architecture, Workload, ProofTask, float]]:
        """All that has to be bounded for a layer: the least of these holds."""
        for arch in self._archs(layer):
            for workload in self._ways(layer):
                yield (
                    arch,
                    workload,
                    *large_layer(
                        arch, workload, cut_roles(layer), self._weights, self._made(layer)
                    ),
                )

    def _floor(self, layer: FoldedLayer) -> LayerLeast:
        vector, times = self._vector(layer), layer.layer.repetitions
        ways, made = self._ways(layer), self._made(layer)
        if not ways:
            return LayerLeast(made * vector.energy_pj, made * vector.latency_cycles)
        energy = times * min(map(self._floor_pj, ways))
        cycles = times * min(least_cycles(self.costs.arch, way) for way in ways)
        return LayerLeast(
            made * (energy + vector.energy_pj),
            max(made * cycles, made * vector.latency_cycles, self._weight_cycles(layer)),
        )

    def _made(self, layer: FoldedLayer) -> float:
        return self.made.get(layer.name, 1.0)

    def _floor_pj(self, workload: Workload) -> float:
        """Energy next to the lanes, of words that are not the outermost memory's."""
        arch, anywhere = self.costs.arch, [*self.memories]
        # Mappings may choose what these hold.
        anywhere += [memory.name for memory in arch.memories if memory.may_bypass]
        anywhere.append(arch.memories[0].name)
        real, dear = (
            least_energy_pj(machine, workload, self._conventions, anywhere=anywhere)
            for machine in (arch, priced(arch, _DEAR, self._weights))
        )
        if dear <= real:
            return real
        free = priced(arch, 0.0, self._weights)
        return least_energy_pj(free, workload, self._conventions, anywhere=anywhere)

    def _vector(self, layer: FoldedLayer) -> LayerLeast:
        """What the vector unit takes: parts have their shares of its operations and words."""
        outermost = (self.costs.arch.memories[0].name, self._weights)
        found = []
        for arch in self._archs(layer):
            costs = self.costs.vector_costs(layer, arch)
            energy = fsum(
                times * level.energy_pj
                for times, cost in costs
                for level in cost.levels
                if level.level not in outermost
            )
            found.append((energy, fsum(times * cost.latency_cycles for times, cost in costs)))
        energies, cycles = zip(*found, strict=True)
        return LayerLeast(min(energies), min(cycles))

    def _weight_cycles(self, layer: FoldedLayer) -> float:
        """Cycles in which weights come from outside while the layer runs, if they cannot stay."""
        memory = next(m for m in self.costs.arch.memories if m.name == self.memories[0])
        if "weight" not in memory.bypasses or self._conventions.transfers == "sequential":
            return 0.0
        return self.port.cycles(PortWords(weights=layer.weight_words))

    def _archs(self, layer: FoldedLayer) -> tuple[Architecture, ...]:
        alike = layer.layer.workload is not None and not layer.weight_words
        return seen_archs(self.costs.arch, self.memories, operands_alike=alike)

    def _ways(self, layer: FoldedLayer) -> tuple[Workload, ...]:
        workload = layer.layer.workload
        if workload is None:
            return ()
        try:
            return tuple(way.workload for way in lowerings(self.costs.arch, workload))
        except DoesNotFitError:
            return ()

    @property
    def _conventions(self) -> Conventions:
        return self.costs.search.conventions


def compulsory_words(view: GroupView, port: DramPort) -> PortWords:
    """Words that layers of a group read from outside and write there, however they run."""
    leaving = {tensor.name for tensor in view.leaving}
    return PortWords(
        sum(words_read(view, tensor, port) for tensor in view.external),
        sum(words_written(x) for x in view.layers if x.output.name in leaving),
        sum(layer.weight_words + layer.constant_words for layer in view.layers),
    )


def constants_beside(view: GroupView) -> PortWords:
    """Those of the words that layers on their own read in no cycles beside others.

    What is folded into a product reads its constants while the array reads its operands: such a
    layer takes as long as the array or the vector unit (`LayerResult.latency_cycles`).
    """
    folded = (x.constant_words for x in view.layers if x.layer.workload is not None)
    return PortWords(weights=sum(folded))


def words_read(view: GroupView, tensor: TensorInfo, port: DramPort) -> int:
    """Words of a tensor that are read where it comes from outside of a group.

    Layers on their own read no more than they use: a stride may leave out some of it.
    """
    return max(_used(layer, tensor, port) for layer in view.readers[tensor.name])


def _used(layer: FoldedLayer, tensor: TensorInfo, port: DramPort) -> int:
    """Words of an input that a layer uses at least: the others may be all of what it reads.

    On its own it has a second operand where weights are, which may be a memory of their own.
    """
    first, workload = layer.layer, layer.layer.workload
    if workload is None:
        counts = [v.count for v in layer_parts(first).moved.get("input", ())]
    else:
        data = ("input",) if layer.weight_words or port.weights else ("input", "weight")
        counts = [whole_tensor_values(workload, t) for t in workload.tensors if t.role in data]
    others = sum(t.elements for t in layer.inputs if t.name != tensor.name)
    return min(tensor.elements, max(first.repetitions * sum(counts) - others, 0))


def words_written(layer: FoldedLayer) -> int:
    """Words of its output that a layer writes at least."""
    first, workload = layer.layer, layer.layer.workload
    if workload is None:
        values = sum(v.count for v in layer_parts(first).moved.get("output", ()))
    else:
        values = whole_tensor_values(workload, workload.output)
    return min(layer.output.elements, first.repetitions * values)
