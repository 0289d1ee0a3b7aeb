"""How layers are searched, and what a searched workload costs: the record that caches keep."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from toolkit.arguments import check_integer
from toolkit.display import short_energy, shortened
from toolkit.mapping.bounds import whole_tensor_values
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.space import Factors
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.tables import LevelEnergy, TensorAccesses
from toolkit.search.objective import OBJECTIVES, Objective
from toolkit.search.problem import factors_rule
from toolkit.search.registry import STRATEGIES
from toolkit.search.result import Budget
from toolkit.search.status import describe_status, within_best
from toolkit.workload.kernel import Tensor, Workload

LAYER_EVALUATIONS = 100_000
"""Mappings per workload by default, on its own and in fusion groups alike. Without a limit greedy
searches of the layers of CNNs and transformers end 0 to 2.5 % lower, in ten times the time;
10,000 end 0 to 2 % higher."""


@dataclass(frozen=True)
class LayerSearch:
    """How every layer is searched.

    Parameters
    ----------
    strategy : str
        A key of `toolkit.STRATEGIES`.
    budget : Budget, optional
        Limits of the search of each workload; see `limits` for the default.
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

    Examples
    --------
    >>> import toolkit
    >>> toolkit.LayerSearch("random", toolkit.Budget(evaluations=100)).seed
    0
    """

    strategy: str = "greedy"
    budget: Budget | None = None
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
    def limits(self) -> Budget:
        """The budget; by default `LAYER_EVALUATIONS`, and no limit to what ends with a proof.

        Examples
        --------
        >>> LayerSearch("greedy").limits.evaluations, LayerSearch("exact").limits.evaluations
        (100000, None)
        """
        if self.budget is not None:
            return self.budget
        entry = STRATEGIES.get(self.strategy)
        unlimited = entry is not None and entry.proves
        return Budget() if unlimited else Budget(evaluations=LAYER_EVALUATIONS)

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
    """What one tensor moves at the outermost memory that holds it, in one repetition.

    Parameters
    ----------
    memory, tensor : str
        Which memory, and which operand of the workload.
    role : {"input", "weight", "output"}
        What the operand is.
    reads, writes : int
        Values that leave the memory inwards, and that arrive from inside.
    read_words, written_words : int
        Whole words that they take: as many as values, if nobody knows their bits.
    """

    memory: str
    tensor: str
    role: str
    reads: int
    writes: int
    read_words: int
    written_words: int

    @property
    def words(self) -> int:
        """Words read and written."""
        return self.read_words + self.written_words


def _traffic(row: TensorAccesses, tensor: Tensor, results: int) -> Traffic:
    """Traffic of a tensor, its words told apart by the bits of what is read and written."""
    reads, writes = row.reads, row.updates
    if row.words is None:
        return Traffic(row.level, tensor.name, tensor.role, reads, writes, reads, writes)
    # Partial sums come back; of what arrives as many are complete as there are results.
    bits, sums = row.bits or 1, row.sum_bits or row.bits or 1
    read_bits = reads * (sums if tensor.role == "output" else bits)
    complete = min(results, writes)
    written_bits = complete * bits + (writes - complete) * sums
    total = read_bits + written_bits
    read_words = math.ceil(row.words * read_bits / total) if total else 0
    written = math.ceil(row.words * written_bits / total) if total else 0
    return Traffic(row.level, tensor.name, tensor.role, reads, writes, read_words, written)


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
        Whether a limit of the budget that somebody set ended the search.

    Examples
    --------
    >>> import toolkit
    >>> network = toolkit.NetworkByHand("one layer")
    >>> network.add_layer("one", toolkit.conv2d(4, 4, 8, 8, 3, 3))
    >>> quick = toolkit.Budget(evaluations=20)
    >>> arch = toolkit.load_arch("eyeriss-conv")
    >>> found = toolkit.map_network(network.graph(), arch, budget=quick, jobs=1, cache=False)
    >>> cost = found.layers[0].cost
    >>> cost.latency_cycles > 0, cost.evaluations
    (True, 20)
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

    def __repr__(self) -> str:
        costs = f"{short_energy(self.energy_pj)}, {self.latency_cycles:,.0f} cycles"
        known = f", {self.status}" if self.status else ""
        return f"<LayerCost {shortened(self.workload.name)}: {costs}{known}>"

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
                rows.append(_traffic(row, tensor, whole_tensor_values(self.workload, tensor)))
        return tuple(rows)

    @property
    def dram_words(self) -> int:
        """Words that the outermost memories move, all tensors together."""
        return sum(traffic.words for traffic in self.dram)
