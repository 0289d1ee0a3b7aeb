"""What parts of layers cost: workloads of their own, mapped by the single-layer search.

A fused layer is mapped on the architecture as it sees it: its operands on chip as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import ceil, fsum

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Memory
from toolkit.errors import DoesNotFitError, ToolkitError
from toolkit.fusion.axes import axis_rule, channels_last
from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.tile.group_plan import Part, extent_of, share_of
from toolkit.fusion.tile.residency import Homes
from toolkit.model.evaluate import evaluate
from toolkit.model.vector_unit import (
    VectorCost,
    movement_cost,
    vector_cost,
    vector_unit_of,
)
from toolkit.processes import Jobs, in_processes
from toolkit.search.network import LayerSearch, lowerings
from toolkit.search.network.cache import cache_at
from toolkit.search.network.cost import LayerCost
from toolkit.search.network.result import LayerResult
from toolkit.search.network.vector_layers import in_words, layer_parts, layer_vector_cost
from toolkit.search.network.workloads import attempted, best_way, nameless
from toolkit.search.status import describe_statuses
from toolkit.workload.kernel import ROLES, Role, Workload
from toolkit.workload.network.layer import Layer

NOT_FUSED = Homes()
"""All operands on DRAM: the layer on its own."""

_CONV_POSITIONS = {3: ("P",), 4: ("P", "Q"), 5: ("O", "P", "Q")}


def tile_workload(layer: FoldedLayer, part: Part) -> Workload | None:
    """The workload of a part of a layer; None if the layer has no workload.

    Examples
    --------
    >>> from toolkit.fusion.folding import fold
    >>> from toolkit.workload import conv2d
    >>> from toolkit.workload.network import Layer, LayerGraph, TensorInfo
    >>> x, y = TensorInfo("x", (1, 4, 8, 8), "int8"), TensorInfo("y", (1, 2, 8, 8), "int8")
    >>> conv = Layer("c", "Conv", "einsum", (x,), (), (y,), workload=conv2d(2, 4, 8, 8, 1, 1))
    >>> graph = fold(LayerGraph.from_layers([conv], inputs=[x], outputs=[y]))
    >>> tile_workload(graph.layer_of("c"), ((2, 3),)).name
    'conv:M=2,P=3,Q=8,C=4,R=1,S=1'
    """
    workload = layer.layer.workload
    if workload is None or not part:
        return workload
    sizes = dict(workload.sizes)
    for key, size in part:
        dimension = cut_dimension(layer, workload, key)
        whole = extent_of(layer, key)
        if dimension == "B":
            # Blocks of masked attention are no heads: what these leave over is in their rows.
            groups = sizes.get("B", 1) * size
            blocks = max(groups // whole, 1)
            sizes["N"] = -(-sizes["N"] * groups // (whole * blocks))
            sizes |= {"B": blocks} if "B" in sizes else {}
        else:
            # Rows of several sequences are one dimension of the workload.
            sizes[dimension] = -(-sizes[dimension] * size // whole)
    name = workload.name
    for dimension, size in sizes.items():
        name = name.replace(f"{dimension}={workload.sizes[dimension]}", f"{dimension}={size}", 1)
    return replace(workload, name=name, sizes=sizes)


def cut_dimension(layer: FoldedLayer, workload: Workload, axis: int | str) -> str:
    """The dimension of a workload that parts are smaller along, by output axis or by name."""
    rank = len(layer.output.shape)
    if isinstance(axis, str):
        return axis
    columns = any(r.axis == axis and r.weights for r in layer.ranks)
    if "conv" in workload.kernel:
        if axis == 0:
            return "N"
        if columns:
            return "M" if "M" in workload.sizes else "C"
        return _CONV_POSITIONS[rank][axis - (1 if channels_last(layer.layer) else 2)]
    if columns and axis < rank - 1 and "B" in workload.sizes:
        return "B"
    operands = axis_rule(layer.layer).links[:2]
    if columns or (len(operands) > 1 and axis == rank - 1):
        return "M"
    if axis < rank - 2 and len(operands) > 1:
        # Where only one operand has the axis, the other is broadcast along it.
        first, second = (axis in links for links in operands)
        if first and second:
            return "B"
        return "N" if first else "M"
    return "N"


@dataclass(frozen=True)
class PartCost:
    """What a part of a layer costs, repetitions included.

    Parameters
    ----------
    levels : mapping of str to float
        Energy in pJ by level and of the vector unit.
    latency_cycles : float
        The longer of array and vector unit.
    words : mapping of role to int
        Words that the outermost memory moves; none of operands that are on the fusion level.
    again_words : int
        Those of them that are partial sums which are read back.
    """

    levels: Mapping[str, float]
    latency_cycles: float
    words: Mapping[Role, int]
    again_words: int = 0

    @property
    def energy_pj(self) -> float:
        """Energy of array, memories and vector unit."""
        return fsum(self.levels.values())


class LayerCosts:
    """Costs of parts of folded layers on one architecture.

    Parameters
    ----------
    arch : Architecture
        What they run on.
    search : LayerSearch, optional
        How layers on their own and parts of fused ones are mapped alike; as `toolkit.map_network`
        maps them by default.
    cache : bool or path-like
        Where results are kept between runs; see `toolkit.map_network`.
    jobs : int or Cluster
        Processes in which `prepare` searches; results do not depend on it.

    Attributes
    ----------
    on_search : callable or None
        Called before each search or look into the cache, with its number and the layer's name.
    store : LayerCache or None
        Where results are kept.
    evaluations : int
        Mappings that all results so far had cost, be they searched or read.
    """

    def __init__(
        self,
        arch: Architecture,
        search: LayerSearch | None = None,
        *,
        cache: bool | str | os.PathLike[str] = True,
        jobs: Jobs = 1,
    ) -> None:
        self.arch = arch
        self.jobs = jobs
        self.search = search or LayerSearch()
        self.unit = vector_unit_of(arch)[0]
        self.on_search: Callable[[int, str], None] | None = None
        self.evaluations = 0
        self.store = cache_at(cache)
        self._archs: dict[Homes, Architecture] = {NOT_FUSED: arch}
        self._known: dict[tuple[str, Part, Homes], PartCost] = {}
        self._mapped: dict[tuple[object, ...], LayerCost] = {}
        self._ahead: dict[tuple[object, ...], LayerCost | ToolkitError] = {}

    @property
    def status(self) -> str:
        """What is known of all mappings so far: how many are optimal, and so on."""
        costs = self._mapped.values()
        return describe_statuses([(cost.within_fraction, cost.stopped) for cost in costs])

    def prepare(self, wanted: Iterable[tuple[FoldedLayer, Part, Homes]]) -> None:
        """Search side by side for mappings that will be asked for, where there are processes.

        What is found counts, and is kept, when it is asked for: then all is as if it had been
        searched one by one.
        """
        if self.jobs == 1:
            return
        tasks: dict[tuple[object, ...], tuple[Architecture, Workload]] = {}
        for layer, part, homes in wanted:
            workload, arch = tile_workload(layer, part), self.arch_for(homes)
            if workload is None or _key(workload, arch) in self._mapped:
                continue
            with suppress(ToolkitError):  # Which is said of the layer when it is asked for.
                for way in lowerings(arch, workload):
                    tasks.setdefault(_key(way.workload, arch), (arch, way.workload))
        tasks = {key: task for key, task in tasks.items() if key not in self._ahead}
        if self.store is not None:
            kept = self.store
            tasks = {k: t for k, t in tasks.items() if kept.read(*t, self.search) is None}
        keys = list(tasks)
        call = partial(attempted, self.search)
        for place, outcome in in_processes(call, list(tasks.values()), self.jobs):
            self._ahead[keys[place]] = outcome

    def cost(self, layer: FoldedLayer, part: Part, homes: Homes) -> PartCost:
        """Cost of a part of a layer some of whose operands are on chip.

        Raises
        ------
        DoesNotFitError
            If it cannot be mapped; the message names the layer.
        """
        key = (layer.name, part, homes)
        if key not in self._known:
            self._known[key] = self._cost(layer, part, homes)
        return self._known[key]

    def alone(self, layer: Layer, *, typed: bool = False) -> LayerResult:
        """Cost of a layer that is not fused, to the digit what `toolkit.map_network` says.

        Parameters
        ----------
        layer : Layer
            With what is folded into it.
        typed : bool
            Whether what the vector unit computes and moves has the bits of its types; otherwise
            each value takes a word. The workload has bits of its own.

        Raises
        ------
        DoesNotFitError
            If it cannot be mapped; the message names the layer.
        """
        cost = None
        if layer.workload is not None:
            cost = self._map(layer.name, layer.workload, self.arch)
        vector = layer_vector_cost(
            self.arch, self.unit, layer, self.search.conventions, typed=typed
        )
        return LayerResult(layer, cost, vector, layer.repetitions)

    def held_words(self, layer: Layer, memory: Memory) -> int | None:
        """Words of a memory that a layer on its own takes, all copies together; None if unknown.

        Unknown is what the vector unit keeps of layers without a workload.
        """
        found = self.alone(layer).cost
        if found is None:
            return None
        cost = evaluate(
            found.mapping, self.arch, found.workload, conventions=self.search.conventions
        )
        use = next((use for use in cost.memories if use.level == memory.name), None)
        return 0 if use is None else ceil(use.words * memory.multiple_buffering)

    def arch_for(self, homes: Homes) -> Architecture:
        """The architecture as a layer with these operands on the fusion level sees it."""
        if homes not in self._archs:
            self._archs[homes] = fused_arch(self.arch, homes)
        return self._archs[homes]

    def mapped(
        self, layer: FoldedLayer, part: Part, homes: Homes
    ) -> tuple[Architecture, LayerCost] | None:
        """The mapping of a part, and the architecture that it is on; None without a workload."""
        workload = tile_workload(layer, part)
        arch = self.arch_for(homes)
        return None if workload is None else (arch, self._map(layer.name, workload, arch))

    def laid_out(self, layer: FoldedLayer) -> bool:
        """Whether a lowering of a layer copies what its windows share.

        On its own, such a layer reads the copies where its input is. Fused, it reads them from
        the fusion level, to which the input itself was brought.
        """
        workload = layer.layer.workload
        return workload is not None and any(way.copies for way in lowerings(self.arch, workload))

    def _cost(self, layer: FoldedLayer, part: Part, homes: Homes) -> PartCost:
        share, arch = share_of(layer, part), self.arch_for(homes)
        workload = tile_workload(layer, part)
        levels: dict[str, float] = {}
        words: dict[Role, int] = {"input": 0, "weight": 0, "output": 0}
        latency = operation_cycles = 0.0
        again = 0
        times = layer.layer.repetitions
        if workload is not None:
            mapped = self._map(layer.name, workload, arch)
            latency = times * mapped.latency_cycles
            for energy in mapped.levels:
                levels[energy.level] = times * energy.energy_pj
            for traffic in mapped.dram:
                if traffic.role not in homes.roles:
                    words[traffic.role] += times * traffic.words  # type: ignore[index]
                    again += times * traffic.read_words if traffic.role == "output" else 0
        for repeated, vector in self.vector_costs(layer, arch, share):
            operation_cycles = repeated * vector.latency_cycles
            for energy in vector.levels:
                before = levels.get(energy.level, 0.0)
                levels[energy.level] = before + times * energy.energy_pj
            if not homes.levels:
                words["input"] += times * vector.dram_reads
                words["output"] += times * vector.dram_writes
        return PartCost(levels, max(latency, operation_cycles), words, again)

    def vector_costs(
        self, layer: FoldedLayer, arch: Architecture, share: Fraction = Fraction(1)
    ) -> list[tuple[int, VectorCost]]:
        """What a share of a layer asks of the vector unit: times, and cost of each."""
        cost = self._vector(layer.whole, arch, share)
        return [] if cost is None else [(layer.layer.repetitions, cost)]

    def _vector(self, layer: Layer, arch: Architecture, share: Fraction) -> VectorCost | None:
        """What one repetition of a part asks of the vector unit; it takes what passes by."""
        parts = layer_parts(layer)
        if parts.operations is None:
            return None
        # Fusion counts a word for every value.
        words = in_words(parts.moved, share)
        if parts.only_moves:
            return movement_cost(arch, words, conventions=self.search.conventions)
        operations = ceil(parts.operations * share)
        return vector_cost(arch, self.unit, operations, words, conventions=self.search.conventions)

    def know(self, workload: Workload, cost: LayerCost) -> None:
        """Take a mapping from elsewhere for a workload on its own, instead of a search."""
        self._mapped[_key(workload, self.arch)] = cost

    def _map(self, name: str, workload: Workload, arch: Architecture) -> LayerCost:
        key = _key(workload, arch)
        if key not in self._mapped:
            if self.on_search is not None:
                self.on_search(len(self._mapped) + 1, name)
            self._mapped[key] = self._best(name, workload, arch)
        return self._mapped[key]

    def _best(self, name: str, workload: Workload, arch: Architecture) -> LayerCost:
        ways = lowerings(arch, workload)
        outcomes = {nameless(way.workload): self._search(arch, way.workload) for way in ways}
        best = best_way(ways, outcomes, self.search.objective)
        if best is None:
            failed = next(iter(outcomes.values()))
            raise DoesNotFitError(str(failed), source=f"layer {name!r}")
        return best[1]

    def _search(self, arch: Architecture, workload: Workload) -> LayerCost | ToolkitError:
        """Search, unless that was done before, or say why there is no mapping."""
        found = None if self.store is None else self.store.read(arch, workload, self.search)
        if found is None:
            ahead = self._ahead.pop(_key(workload, arch), None)
            outcome = attempted(self.search, (arch, workload)) if ahead is None else ahead
            if isinstance(outcome, ToolkitError):
                return outcome
            found = outcome
            if self.store is not None:
                self.store.write(arch, workload, self.search, found)
        self.evaluations += found.evaluations
        return found


def _key(workload: Workload, arch: Architecture) -> tuple[object, ...]:
    """What two parts that need one mapping between them have in common."""
    return (workload.kernel, tuple(workload.sizes.items()), workload.tensors, arch.levels)


def fused_arch(arch: Architecture, homes: Homes) -> Architecture:
    """The architecture for a layer some of whose operands are on chip as a whole.

    Memories outside of an operand's home bypass it, and its home holds it whatever it holds
    otherwise. Memories that the group uses have no capacity here, because all that a group keeps
    on them is counted at once, and other tensors pass them by: no room is set aside for those.

    Parameters
    ----------
    homes : Homes
        Which operand is where.
    """
    places = {level.name: place for place, level in enumerate(arch.levels)}
    levels = list(arch.levels)
    for place, level in enumerate(arch.levels):
        if not isinstance(level, Memory):
            continue
        bypasses = list(level.bypasses)
        for role, home in homes.levels:
            elsewhere = level.name in homes.used and home != level.name
            if (place < places[home] or elsewhere) and role not in bypasses:
                bypasses.append(role)
            elif home == level.name and role in bypasses:
                bypasses.remove(role)
        if level.name in homes.used:
            # What has no home on chip passes by: no room is set aside for it.
            gone = (role for role in ROLES if role not in homes.roles)
            bypasses += [role for role in gone if role not in bypasses]
            level = replace(level, capacity_words=None)
        # What is to be there stays there: no mapping may choose to leave it out.
        kept = {role for role, home in homes.levels if home == level.name}
        free = tuple(x for x in level.may_bypass if x in ROLES and x not in kept)
        levels[place] = replace(level, bypasses=tuple(bypasses), may_bypass=free)
    return replace(arch, levels=tuple(levels))
