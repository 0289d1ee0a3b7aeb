"""What the layers of a network cost on an architecture, one by one and together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.display import MOST_ROWS, object_html, short_energy, shortened, table_html
from toolkit.mapping.files import mapping_to_dict
from toolkit.model.vector_unit import VectorCost
from toolkit.search.network.cost import LayerCost, LayerSearch
from toolkit.search.status import describe_statuses
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LayerResult:
    """What a layer of a network costs, all its repetitions together.

    Parameters
    ----------
    layer : Layer
        Of the network.
    cost : LayerCost or None
        Of one repetition of its workload; None if it has none.
    vector : VectorCost or None
        Of one repetition of its operations on the vector unit, or of what it moves; None if it
        does neither.
    repetitions : int
        How often `cost` and `vector` are paid.
    lowering : str
        How the layer became the workload of `cost`: ``direct``, ``im2col``, ...; otherwise its
        cost class.
    notes : tuple of str
        What lowering and fitting changed or assumed.
    cached : bool
        Whether `cost` was read from the cache.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> quick = toolkit.Budget(evaluations=20)
    >>> arch = toolkit.load_arch("eyeriss-conv")
    >>> found = toolkit.map_network(network.graph(), arch, budget=quick, jobs=1, cache=False)
    >>> result = found.layers[0]
    >>> result.layer.name, result.cost.status
    ('one', 'stopped')
    """

    layer: Layer
    cost: LayerCost | None = None
    vector: VectorCost | None = None
    repetitions: int = 1
    lowering: str = ""
    notes: tuple[str, ...] = ()
    cached: bool = False

    def __repr__(self) -> str:
        costs = f"{short_energy(self.energy_pj)}, {self.latency_cycles:,.0f} cycles"
        return f"<LayerResult {shortened(self.name)}: {costs}>"

    def _repr_html_(self) -> str:
        """For notebooks: what the layer costs, and the energy of every level."""
        facts = [
            ("operator", self.layer.operators),
            ("times", f"{self.repetitions:,}"),
            ("energy", short_energy(self.energy_pj, 6)),
            ("latency", f"{self.latency_cycles:,.0f} cycles"),
            *(("note", note) for note in self.notes),
        ]
        whole = self.energy_pj or 1.0
        rows = [
            (level, short_energy(energy), f"{energy / whole:.2%}")
            for level, energy in self.level_energies().items()
        ]
        table = table_html(("level", "energy", "of it all"), rows, (True, False, False))
        return object_html(self.name, facts, table)

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.layer.name

    @property
    def energy_pj(self) -> float:
        """Energy of all repetitions, array and vector unit together."""
        parts = [part.energy_pj for part in (self.cost, self.vector) if part is not None]
        return self.repetitions * math.fsum(parts)

    @property
    def latency_cycles(self) -> float:
        """Cycles of all repetitions.

        A vector unit that rescales outputs as they leave the array works at the same time.
        """
        parts = [part.latency_cycles for part in (self.cost, self.vector) if part is not None]
        return self.repetitions * max(parts, default=0.0)

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product of the layer."""
        return self.energy_pj * self.latency_cycles

    @property
    def dram_reads(self) -> int:
        """Words read from the outermost memories, all repetitions together."""
        array = sum(t.read_words for t in self.cost.dram) if self.cost else 0
        return self.repetitions * (array + (self.vector.dram_reads if self.vector else 0))

    @property
    def dram_writes(self) -> int:
        """Words written to the outermost memories, all repetitions together."""
        array = sum(t.written_words for t in self.cost.dram) if self.cost else 0
        return self.repetitions * (array + (self.vector.dram_writes if self.vector else 0))

    @property
    def dram_words(self) -> int:
        """Words read from and written to the outermost memories."""
        return self.dram_reads + self.dram_writes

    def level_energies(self) -> dict[str, float]:
        """Energy in pJ per level and of the vector unit, all repetitions together."""
        energies: dict[str, float] = {}
        for part in (self.cost, self.vector):
            for entry in part.levels if part is not None else ():
                energy = self.repetitions * entry.energy_pj
                energies[entry.level] = energies.get(entry.level, 0.0) + energy
        return energies

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON; words and costs are of all repetitions."""
        layer, cost = self.layer, self.cost
        return {
            "layer": layer.name,
            "operator": layer.operators,
            "class": layer.cost_class,
            "lowering": self.lowering,
            "workload": cost.workload.name if cost else "",
            "repetitions": self.repetitions,
            "macs": layer.macs,
            "vector_operations": layer.operations,
            "weights": sum(part.weight_elements for part in (layer, *layer.folded)),
            "energy_total_pj": self.energy_pj,
            "latency_cycles": self.latency_cycles,
            "edp_pj_cycles": self.edp_pj_cycles,
            "utilization_fraction": cost.utilization if cost else None,
            "compute_cycles": self.repetitions * cost.compute_cycles if cost else None,
            "dram_read_words": self.dram_reads,
            "dram_write_words": self.dram_writes,
            "status": cost.status if cost else "",
            "within_fraction": cost.within_fraction if cost else None,
            "cached": self.cached,
            "notes": "; ".join(self.notes),
        }


@dataclass(frozen=True)
class NetworkResult:
    """What a network costs on an architecture.

    Parameters
    ----------
    graph : LayerGraph
        The network.
    arch : Architecture
        What it runs on.
    search : LayerSearch
        How each distinct workload was searched.
    vector_unit : VectorUnit
        What computes the layers without a workload.
    vector_unit_assumed : bool
        Whether the architecture does not describe one, so that a default was taken.
    layers : tuple of LayerResult
        Each after those that it reads from.
    searches : int
        Distinct workloads that were searched now.
    evaluations : int
        Mappings that those searches costed.
    reads : int
        Distinct workloads whose results were read from the cache.
    read_evaluations : int
        Mappings that the searches of those results had costed.
    seconds : float
        Wall-clock time.
    overlapped_cycles : float or None
        Cycles of the network where the vector unit works beside the array; None if layers run one
        after the other.
    warnings : tuple of str
        What had to be assumed, one sentence each, those of the network among them.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> quick = toolkit.Budget(evaluations=20)
    >>> arch = toolkit.load_arch("eyeriss-conv")
    >>> found = toolkit.map_network(network.graph(), arch, budget=quick, jobs=1, cache=False)
    >>> found.latency_cycles > 0, len(found.layers)
    (True, 1)
    """

    graph: LayerGraph
    arch: Architecture
    search: LayerSearch
    vector_unit: VectorUnit
    vector_unit_assumed: bool
    layers: tuple[LayerResult, ...]
    searches: int = 0
    evaluations: int = 0
    reads: int = 0
    read_evaluations: int = 0
    seconds: float = 0.0
    overlapped_cycles: float | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<NetworkResult {self._title}: {len(self.layers)} layers, {self._costs}>"

    def _repr_html_(self) -> str:
        """For notebooks: totals, and a row per layer that costs something."""
        facts = [
            ("energy", short_energy(self.energy_pj, 6)),
            ("latency", f"{self.latency_cycles:,.0f} cycles"),
            ("EDP", f"{self.edp_pj_cycles * 1e-12:.6g} J·cycle"),
            ("utilization", f"{self.utilization:.2%} of the peak"),
            ("DRAM", f"{self.dram_reads:,} words read, {self.dram_writes:,} written"),
            *([("mappings", self.status)] if self.status else []),
            *(("note", warning) for warning in self.warnings),
        ]
        heads = ("layer", "operator", "times", "energy", "of it all", "cycles", "of them all")
        energy, cycles = self.energy_pj or 1.0, self.latency_cycles or 1.0
        rows = [
            (
                layer.name,
                layer.layer.operators,
                f"{layer.repetitions:,}",
                short_energy(layer.energy_pj),
                f"{layer.energy_pj / energy:.2%}",
                f"{layer.latency_cycles:,.0f}",
                f"{layer.latency_cycles / cycles:.2%}",
            )
            for layer in self.layers
            if layer.cost or layer.vector
        ]
        left = [True, True] + [False] * 5
        return object_html(self._title, facts, table_html(heads, rows, left, MOST_ROWS))

    @property
    def _title(self) -> str:
        name = self.graph.graph.get("name") or "network"
        return f"{name} on {self.arch.name}"

    @property
    def _costs(self) -> str:
        return f"{short_energy(self.energy_pj)}, {self.latency_cycles:,.0f} cycles"

    def __getitem__(self, name: str) -> LayerResult:
        """Return the result of a layer, by name."""
        for result in self.layers:
            if result.name == name:
                return result
        raise KeyError(name)

    @property
    def energy_pj(self) -> float:
        """Energy of all layers."""
        return math.fsum(layer.energy_pj for layer in self.layers)

    @property
    def latency_cycles(self) -> float:
        """Cycles of all layers: one after the other, or as the vector unit overlaps."""
        if self.overlapped_cycles is not None:
            return self.overlapped_cycles
        return math.fsum(layer.latency_cycles for layer in self.layers)

    @property
    def edp_pj_cycles(self) -> float:
        """Energy of the network times its latency (not the sum over layers)."""
        return self.energy_pj * self.latency_cycles

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the network, without those on padding of sizes."""
        return sum(result.layer.macs for result in self.layers)

    @property
    def dram_reads(self) -> int:
        """Words read from the outermost memories."""
        return sum(layer.dram_reads for layer in self.layers)

    @property
    def dram_writes(self) -> int:
        """Words written to the outermost memories."""
        return sum(layer.dram_writes for layer in self.layers)

    @property
    def dram_bytes(self) -> float | None:
        """Bytes that the outermost memories move; None if they do not say how long words are."""
        return self._bytes(self.dram_reads + self.dram_writes)

    def _bytes(self, words: int) -> float | None:
        outer = {t.memory for layer in self.layers if layer.cost for t in layer.cost.dram}
        outer.add(self.arch.memories[0].name)
        bits = {memory.word_bits for memory in self.arch.memories if memory.name in outer}
        word_bits = bits.pop() if len(bits) == 1 else None
        return None if word_bits is None else words * word_bits / 8

    @property
    def peak_macs_per_cycle(self) -> float:
        """Multiply-accumulates per cycle of the whole array."""
        compute = self.arch.compute
        instances = math.prod(fanout.mesh for fanout in self.arch.fanouts)
        return instances * compute.mesh / compute.cycles

    @property
    def utilization(self) -> float:
        """Fraction of the peak that the network's multiply-accumulates reach over all cycles."""
        return self._of_peak(self.macs, self.latency_cycles)

    def _of_peak(self, macs: int, cycles: float) -> float:
        return macs / (cycles * self.peak_macs_per_cycle) if cycles else 0.0

    @property
    def status(self) -> str:
        """What is known of the mappings, each on its own: how many are optimal, and so on.

        Layers that are all optimal need not make the lowest EDP of the network.
        """
        costs = [layer.cost for layer in self.layers if layer.cost is not None]
        return describe_statuses([(cost.within_fraction, cost.stopped) for cost in costs])

    def level_energies(self) -> dict[str, float]:
        """Energy in pJ per level and of the vector unit, all layers together."""
        parts: dict[str, list[float]] = {level.name: [] for level in self.arch.levels}
        for layer in self.layers:
            for name, energy in layer.level_energies().items():
                parts.setdefault(name, []).append(energy)
        return {name: math.fsum(energies) for name, energies in parts.items() if energies}

    def rows(self) -> list[dict[str, Any]]:
        """One row per layer, as in `table`; None where something does not apply."""
        return [
            {
                **layer.row(),
                "dram_bytes": self._bytes(layer.dram_words),
                "peak_fraction": self._of_peak(layer.layer.macs, layer.latency_cycles),
            }
            for layer in self.layers
        ]

    def totals(self) -> dict[str, Any]:
        """Sums over all layers, named as the columns of `table`."""
        return {
            "layers": len(self.layers),
            "mapped_layers": sum(layer.cost is not None for layer in self.layers),
            "macs": self.macs,
            "vector_operations": sum(layer.layer.operations for layer in self.layers),
            "parameters": self.graph.parameters,
            "energy_total_pj": self.energy_pj,
            "latency_cycles": self.latency_cycles,
            "edp_pj_cycles": self.edp_pj_cycles,
            "peak_fraction": self.utilization,
            "dram_read_words": self.dram_reads,
            "dram_write_words": self.dram_writes,
            "dram_bytes": self.dram_bytes,
        }

    def table(self) -> pd.DataFrame:
        """One row per layer, each after those that it reads from.

        Returns
        -------
        DataFrame
            Columns ``layer``, ``operator``, ``class``, ``lowering`` (how it became the workload
            that was mapped), ``workload``, ``repetitions``, ``macs``, ``vector_operations``,
            ``weights`` (elements of constant operands), ``energy_total_pj``,
            ``latency_cycles``, ``edp_pj_cycles``, ``utilization_fraction`` (instances used),
            ``compute_cycles`` (without stalls), ``dram_read_words``, ``dram_write_words``,
            ``status`` and ``within_fraction`` (what is known of the mapping, and by which
            fraction of the optimum it exceeds that at most), ``cached``, ``notes``, ``dram_bytes``
            (where the architecture says how long words are) and ``peak_fraction``
            (multiply-accumulates per cycle over the array's peak). Figures are of all repetitions.
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def total_table(self) -> pd.DataFrame:
        """`totals` as one row."""
        import pandas as pd

        return pd.DataFrame([self.totals()])

    def level_table(self) -> pd.DataFrame:
        """Energy per level and of the vector unit: ``level``, ``energy_total_pj``, ``share``."""
        import pandas as pd

        energies, total = self.level_energies(), self.energy_pj
        rows = [(name, pj, pj / total if total else 0.0) for name, pj in energies.items()]
        return pd.DataFrame(rows, columns=["level", "energy_total_pj", "share"])

    def to_dict(self) -> dict[str, Any]:
        """Write everything as JSON-able data, mappings included."""
        unit = self.vector_unit
        return {
            "network": self.graph.graph.get("name", ""),
            "arch": self.arch.name,
            "strategy": self.search.strategy,
            "objective": self.search.objective.name,
            "conventions": self.search.conventions.name,
            "factors": self.search.rule,
            "seed": self.search.seed,
            "vector_unit": {
                "lanes": unit.lanes,
                "operation_energy_pj": unit.operation_energy_pj,
                "memory": unit.memory,
                "assumed": self.vector_unit_assumed,
            },
            "searches": self.searches,
            "evaluations": self.evaluations,
            "cached_searches": self.reads,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "overlap_vector": self.overlapped_cycles is not None,
            "status": self.status,
            "totals": self.totals(),
            "levels": self.level_energies(),
            "layers": [
                {**row, "mapping": mapping_to_dict(layer.cost.mapping) if layer.cost else None}
                for row, layer in zip(self.rows(), self.layers, strict=True)
            ],
        }
