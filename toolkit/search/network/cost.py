"""What layers cost: records of searched workloads for a cache, and the rest on the vector unit."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arguments import check_integer
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.space import Factors
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.tables import LevelEnergy, TensorAccesses
from toolkit.model.vector_unit import VectorCost, movement_cost, vector_cost
from toolkit.search.objective import OBJECTIVES, Objective
from toolkit.search.problem import factors_rule
from toolkit.search.result import Budget
from toolkit.search.status import describe_status, within_best
from toolkit.workload.kernel import Role, Workload
from toolkit.workload.network.layer import Layer


@dataclass(frozen=True)
class LayerSearch:
    """How every layer is searched.

    Parameters
    ----------
    strategy : str
        A key of `toolkit.STRATEGIES`.
    budget : Budget
        Limits of the search of each workload.
    seed : int
        Seed of all randomness, the same for each.
    objective : Objective
        What each search minimises.
    conventions : Conventions
        How costs are counted.
    pad : bool or collection of str or "all"
        Whether sizes may be rounded up where constraints of the architecture do not divide
        them; or the dimensions whose padded size is chosen under the objective, those that a
        workload has (see `toolkit.make_problem`), while others are rounded up.
    factors : {"perfect", "ragged"}, optional
        Whether factors multiply to the sizes, or last tiles may be cut off; by default what the
        conventions say, perfect where padded sizes are chosen.

    Raises
    ------
    InputError
        If the seed is no integer from 0, or padded sizes are to be chosen for ragged factors.
    """

    strategy: str = "greedy"
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    objective: Objective = OBJECTIVES["edp"]
    conventions: Conventions = EXACT
    pad: bool | Collection[str] | str = True
    factors: Factors | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_integer(self.seed, 0, "seed"))
        if not isinstance(self.pad, bool | str):
            object.__setattr__(self, "pad", tuple(self.pad))
        _ = self.rule

    @property
    def rule(self) -> Factors:
        """Which factors are searched."""
        padded = not isinstance(self.pad, bool) and bool(self.pad)
        return factors_rule(self.conventions, self.factors, padded=padded)

    def padded(self, workload: Workload) -> tuple[str, ...]:
        """Dimensions of a workload whose padded size is chosen."""
        if isinstance(self.pad, bool):
            return ()
        names = (self.pad,) if isinstance(self.pad, str) else self.pad
        if "all" in names:
            return workload.dimensions
        return tuple(d for d in workload.dimensions if d in names)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Words of one tensor that the outermost memory holding it moves, in one repetition.

    Parameters
    ----------
    memory, tensor : str
        Which memory, and which operand of the workload.
    role : {"input", "weight", "output"}
        What the operand is.
    reads, writes : int
        Values that leave the memory inwards, and that arrive from inside.
    packed_words : float or None
        Words that they take by their bits; None if each is a word.
    """

    memory: str
    tensor: str
    role: str
    reads: int
    writes: int
    packed_words: float | None = None

    @property
    def words(self) -> int:
        """Reads and writes together, in whole words."""
        if self.packed_words is not None:
            return math.ceil(self.packed_words)
        return self.reads + self.writes


@dataclass(frozen=True)
class LayerCost:
    """What one repetition of a workload costs under the best mapping found.

    Parameters
    ----------
    workload : Workload
        As it was mapped: lowered to the architecture, and padded where that was needed.
    mapping : Mapping
        Valid for `workload` on the architecture, of which constraints that exceed the workload
        are shrunk (`toolkit.make_problem`).
    energy_pj, latency_cycles : float
        Of one repetition.
    compute_cycles : float
        Cycles of the compute level alone, without any stall.
    utilization : float
        Fraction of the instances used, over all spatial levels.
    levels : tuple of LevelEnergy
        Energy per memory and of the compute level, outermost first.
    accesses : tuple of TensorAccesses
        Reads, updates, fills and drains per memory and tensor.
    evaluations : int
        Mappings that the search costed.
    bound : float or None
        No mapping has a lower objective value, if the strategy proved one.
    notes : tuple of str
        What fitting the architecture to the workload changed, such as padding.
    objective : float or None
        Value of what was minimised, to hold against `bound`.
    stopped : bool
        Whether a limit of the budget ended the search.
    """

    workload: Workload
    mapping: Mapping
    energy_pj: float
    latency_cycles: float
    compute_cycles: float
    utilization: float
    levels: tuple[LevelEnergy, ...]
    accesses: tuple[TensorAccesses, ...]
    evaluations: int
    bound: float | None = None
    notes: tuple[str, ...] = ()
    objective: float | None = None
    stopped: bool = False

    @property
    def within_fraction(self) -> float | None:
        """Fraction of the optimum by which the value exceeds it at most; None if unknown."""
        return None if self.objective is None else within_best(self.objective, self.bound)

    @property
    def status(self) -> str:
        """What is known of the mapping, as `toolkit.SearchResult` says it."""
        return describe_status(self.within_fraction, stopped=self.stopped)

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product of one repetition."""
        return self.energy_pj * self.latency_cycles

    @property
    def dram(self) -> tuple[Traffic, ...]:
        """Traffic of every tensor at the outermost memory that holds it."""
        rows = []
        for tensor in self.workload.tensors:
            row = next((a for a in self.accesses if a.tensor == tensor.name), None)
            if row is not None:
                reads, writes = row.reads, row.updates
                traffic = Traffic(row.level, tensor.name, tensor.role, reads, writes, row.words)
                rows.append(traffic)
        return tuple(rows)

    @property
    def dram_words(self) -> int:
        """Words that the outermost memories move, all tensors together."""
        return sum(traffic.words for traffic in self.dram)


def layer_vector_cost(
    arch: Architecture, unit: VectorUnit, layer: Layer, conventions: Conventions
) -> VectorCost | None:
    """Cost one repetition of what a layer computes on the vector unit, or moves.

    Activations and constants are read once each and results written once, also where an
    operator goes over them several times: the unit keeps what it needs. Layers that only move
    elements read and write as many as they move. Operations of a layer that has a workload, such
    as rescaling its outputs, take what passes by. Views are free: the result is None.
    """
    operations = layer.elements * layer.operations_per_element
    if layer.workload is not None:
        if not operations:
            return None
        return vector_cost(arch, unit, operations, {}, conventions=conventions)
    if layer.cost_class == "view":
        return None
    if only_moves(layer):
        return movement_cost(arch, moved_words(layer), conventions=conventions)
    return vector_cost(arch, unit, operations, operand_words(layer), conventions=conventions)


def only_moves(layer: Layer) -> bool:
    """Whether a layer moves elements and does nothing to them."""
    return layer.cost_class == "movement" and not layer.elements * layer.operations_per_element


def operand_words(layer: Layer) -> dict[Role, int]:
    """Words that one repetition of an operation reads and writes."""
    gates = _gates(layer)
    if gates:
        # The tensors are those of all time steps; a step takes its own part of both products.
        return {"input": 2 * gates * layer.elements, "output": layer.elements}
    return {
        "input": sum(t.elements for t in {t.name: t for t in layer.inputs}.values()),
        "weight": layer.weight_elements,
        "output": sum(tensor.elements for tensor in layer.outputs),
    }


def moved_words(layer: Layer) -> dict[Role, int]:
    """Words that one repetition of a movement reads and writes."""
    data = sum(tensor.elements for tensor in layer.inputs)
    constant = layer.weight_elements
    if not constant:
        return {"input": layer.elements, "output": layer.elements}
    return {
        "input": min(data, layer.elements),
        "weight": min(constant, layer.elements),
        "output": layer.elements,
    }


def _gates(layer: Layer) -> int:
    """Gates per state of a recurrent cell; 0 for any other layer."""
    from toolkit.workload.network.operators.products import GATES

    return GATES.get(layer.operator, 0) if layer.cost_class == "elementwise" else 0
