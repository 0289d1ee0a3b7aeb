"""What the parts of a layer take together at least: any parts, under any mappings, at any homes.

A group runs a layer in parts of any sizes, each under a mapping of its own, so that the best
mapping of the whole layer bounds nothing: its tiles may fit the array worse than those of a part.
What does is a layer *so large that copies of every part fill it*. A mapping of a part, repeated by
loops at the outermost memory, is a mapping of that layer:

- A further iteration of a loop moves what the part moves, or less, where a tensor stays, windows
  overlap, or a sum goes on. So copies of a part cost no less than the large layer, the least
  energy of which the exact search bounds: ``energy(part) >= energy(large) / copies``.
- Along a dimension of size ``s``, a part of ``p`` fills the ``k * s`` of the large layer in
  ``ceil(k * s / p)`` copies, and takes at least so small a share of its energy. Parts are a grid:
  all of them together take at least the product over dimensions of what any positions that add up
  to ``s`` take along one (`share_of_parts`).
- That share is taken of what exceeds the energy of the multiply-accumulates and of the words that
  no lanes share (`_own_pj`): these are proportional to the multiply-accumulates of a part.
- A part that was padded is a larger part. Sizes that a level is to have exactly are the most that
  it may have, and the outermost memory may do what it wants: parts are fitted to constraints.

- Along a sum, every copy but the first brings back what it adds to (`old_sum_pj`), where parts
  begin with nothing. A group pays for that in all parts but one along each sum, so that this one
  has to be taken off: once for every output.

Nothing leaks in the large layer: what sums that are brought back hold up is not known there.
Windows (R, S, T) are never cut.

**Homes.** Activations are on one of the memories that tensors of a group can wait on, or pass by
where wires lead past it; weights are there or on the outermost memory, and a layer on its own
finds all of them on the latter. Words of the outermost memory cost nothing here, and are counted
for the whole network, each value once: weights from there are then never dearer than weights that
stay anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import combinations, product
from math import fsum, inf, prod

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.constraints import FactorConstraint
from toolkit.arch.levels import Fanout, Level, Memory
from toolkit.arch.packing import mac_energy_pj, sum_bits, words_per_value
from toolkit.cluster import Cluster
from toolkit.errors import ToolkitError
from toolkit.fusion.between_steps import old_sum_pj
from toolkit.fusion.folded import FoldedLayer
from toolkit.fusion.layer_costs import cut_dimension, fused_arch
from toolkit.fusion.tile.residency import Homes
from toolkit.mapping.bounds import whole_tensor_values
from toolkit.model.conventions import Conventions
from toolkit.processes import Jobs, in_processes
from toolkit.search.network import LayerSearch, map_workload
from toolkit.search.network.cache import LayerCache
from toolkit.search.network.cost import LayerCost
from toolkit.search.objective import OBJECTIVES
from toolkit.search.result import Budget
from toolkit.workload.kernel import ROLES, Role, Tensor, Workload

COPIES = 256
"""Sizes of the large layer, in those of the layer along a dimension, while counts are exact."""
MOST_MACS = 2.0**52
"""Multiply-accumulates of a large layer: costs of mappings are exact up to twice as many."""
MOST_POSITIONS = 2**16
"""Of a dimension that is made large: proofs list tile sizes, which take memory."""
MOST_SIZE = 2048
"""Positions up to which all ways to cut them are looked at, for those that lose most."""
FEW = 8
"""Proofs that are not worth starting processes for."""

_WINDOWS = frozenset("RST")
_HEADS: frozenset[Role] = frozenset({"input", "weight", "output"})


@dataclass(frozen=True, slots=True)
class ProofTask:
    """What is to be bounded: the energy of any mapping of a workload on a machine.

    Parameters
    ----------
    arch : Architecture
        Words of its outermost memory are free where the workload is a large layer; where latency
        counts, too, that memory leaks, see `leaking`.
    workload : Workload
        What runs on it.
    """

    arch: Architecture
    workload: Workload


def seen_archs(
    arch: Architecture, memories: Sequence[str], *, operands_alike: bool
) -> tuple[Architecture, ...]:
    """List the machine as parts of a layer may see it, each once.

    Parameters
    ----------
    memories : sequence of str
        Those that tensors of a group can wait on, outermost first.
    operands_alike : bool
        Whether weights are activations, too, and are where the input is.
    """
    found: dict[tuple[object, ...], Architecture] = {}
    first = next(memory for memory in arch.memories if memory.name == memories[0])
    for homes in _homes(memories, first.may_bypass, operands_alike=operands_alike):
        seen = fused_arch(arch, homes)
        found.setdefault(seen.levels, seen)
    passing = {*first.bypasses, *first.may_bypass}
    if not operands_alike:
        passing.discard("weight")
    named = any(set(memory.may_bypass) - set(ROLES) for memory in arch.memories)
    if passing or named:
        # On its own, a layer can do without accesses that it makes where tensors wait.
        found.setdefault(arch.levels, arch)
    return tuple(found.values())


def _homes(
    memories: Sequence[str], may_pass: Collection[str], *, operands_alike: bool
) -> Iterator[Homes]:
    first, inner = memories[0], memories[1:]
    reads, makes = (
        (*memories, *((None,) if role in may_pass else ())) for role in ("input", "output")
    )
    for read, made in product(reads, makes):
        places: list[tuple[Role, str | None]] = [("input", read), ("output", made)]
        if operands_alike:
            places.append(("weight", read))
        levels = [(role, place) for role, place in places if place is not None]
        for count in range(len(inner) + 1):
            for others in combinations(inner, count):
                used = (first, *others)
                if all(place in used for _, place in levels):
                    yield Homes(tuple(levels), used)


def cut_roles(layer: FoldedLayer) -> frozenset[frozenset[Role]]:
    """Say what parts of a layer may be smaller along, by the operands that this indexes.

    Lowered workloads have other dimensions, but these index the same operands.
    """
    workload = layer.layer.workload
    if workload is None:
        return frozenset()
    ranks = ((rank.dimension if rank.axis is None else rank.axis) for rank in layer.ranks)
    cut = {cut_dimension(layer, workload, key) for key in ranks}
    if "B" in cut:
        # Heads that make no whole blocks are told by their rows, of which there may be more.
        cut.add("N")
    return frozenset(_roles(workload, dimension) for dimension in cut)


def _roles(workload: Workload, dimension: str) -> frozenset[Role]:
    return frozenset(t.role for t in workload.tensors if dimension in t.dimensions)


def large_layer(
    arch: Architecture,
    workload: Workload,
    roles: Collection[frozenset[Role]],
    weights: str | None = None,
    made: float = 1.0,
) -> tuple[ProofTask, float]:
    """Make a layer that parts of another one fill, and say what share of its cost parts cost.

    Parameters
    ----------
    arch : Architecture
        As the parts see it.
    workload : Workload
        The whole layer, lowered to the architecture.
    roles : collection of set of role
        What it may be cut along, see `cut_roles`.
    weights : str, optional
        The memory that weights come from, if it is not the outermost one
        (`toolkit.fusion.dram_port.weights_memory`); its words are free, too.
    made : float
        Share of the layer that parts make at least, see `toolkit.fusion.needed`.

    Returns
    -------
    ProofTask
        With `copies_of` times the size along every dimension that can be cut.
    share : float
        Per multiply-accumulate, parts of any size cost so much of what the large layer does.
    """
    cut = [
        d
        for d, size in workload.sizes.items()
        if size > 1 and d not in _WINDOWS and _roles(workload, d) in roles
    ]
    copies = copies_of(workload, cut)
    sizes = {d: size * copies.get(d, 1) for d, size in workload.sizes.items()}
    if _HEADS in roles:
        # Rows of a block of heads may be nearly twice as many as in the whole layer.
        asked = _asked(arch)
        most = {d: 2 * workload.sizes[d] + asked.get(d, 1) - 1 for d in cut}
        share = made * prod(sizes[d] / (sizes[d] + most[d]) for d in cut)
    elif made < 1:
        # How much of it each of them makes is open: the worst size is nearly all of it.
        share = made * prod(sizes[d] / (sizes[d] + workload.sizes[d] - 1) for d in cut)
    else:
        share = prod(share_of_parts(workload.sizes[d], copies[d]) for d in cut)
    dram, *levels = priced(arch, 0.0, weights).levels
    assert isinstance(dram, Memory)
    free = replace(
        dram,
        leakage_pj_per_cycle=0.0,
        capacity_words=None,
        constraints=(),
        read_bandwidth=inf,
        write_bandwidth=inf,
        ports=(),
        burst_words=1,
    )
    loose = (
        replace(level, capacity_words=None, leakage_pj_per_cycle=0.0, constraints=())
        if isinstance(level, Memory) and level.name == weights
        else _without_limits(level)
        for level in levels
    )
    return ProofTask(replace(arch, levels=(free, *loose)), replace(workload, sizes=sizes)), share


@lru_cache(maxsize=4096)
def share_of_parts(size: int, copies: int) -> float:
    """Share of the large layer that parts take at least which together make the whole layer.

    A part of p positions counts as one of the ``ceil(copies * size / p)`` that fill the large
    layer. Parts that divide the layer lose nothing; the worst ones are nearly all of it.

    Examples
    --------
    >>> share_of_parts(4, 1), share_of_parts(7, 100) > 0.995
    (0.75, True)
    """
    if size > MOST_SIZE:
        return copies * size / (copies * size + size - 1)
    positions = np.arange(1, size + 1)
    each = copies / np.ceil(copies * size / positions)
    least = np.zeros(size + 1)
    for whole in range(1, size + 1):
        least[whole] = (each[:whole] + least[whole - 1 :: -1]).min()
    return float(least[size])


def copies_of(workload: Workload, cut: Sequence[str]) -> dict[str, int]:
    """How often a layer fits its large one along each of some dimensions.

    Alike, as the share is largest then, but for those that lists of tile sizes limit.
    """
    copies: dict[str, int] = {}
    left = MOST_MACS / workload.macs
    for number, d in enumerate(sorted(cut, key=workload.sizes.__getitem__, reverse=True)):
        exact = int(left ** (1 / (len(cut) - number)))
        copies[d] = max(1, min(COPIES, exact, MOST_POSITIONS // workload.sizes[d]))
        left /= copies[d]
    return copies


def _asked(arch: Architecture) -> Mapping[str, int]:
    """By dimension, the largest number of iterations that levels together insist on."""
    asked: dict[str, int] = {}
    for level in arch.levels:
        for entry in level.constraints:
            if entry.relation != "<=":
                asked[entry.dimension] = asked.get(entry.dimension, 1) * entry.value
    return asked


def _without_limits(level: Level) -> Level:
    """A level of the large layer: what it insists on is the most it may have; nothing leaks."""
    loose = replace(level, constraints=tuple(_loosened(level.constraints)))
    return loose if isinstance(loose, Fanout) else replace(loose, leakage_pj_per_cycle=0.0)


def _loosened(constraints: Iterable[FactorConstraint]) -> Iterator[FactorConstraint]:
    for entry in constraints:
        if entry.relation != ">=":
            yield replace(entry, relation="<=")


def prove_all(
    tasks: Sequence[ProofTask],
    conventions: Conventions,
    *,
    seconds: float,
    store: LayerCache | None,
    jobs: Jobs,
    on_proof: Callable[[int, int], None] | None = None,
) -> dict[ProofTask, float]:
    """Bound the energy of workloads; those of which nothing is known are left out.

    Parameters
    ----------
    tasks : sequence of ProofTask
        Each once.
    seconds : float
        After which a proof is cut short; its bound holds all the same.
    store : LayerCache, optional
        Where proofs are kept.
    jobs : int or Cluster
        Processes.
    on_proof : callable, optional
        Called after each with how many there were, of how many.
    """
    search = LayerSearch(
        "exact",
        Budget(seconds=seconds),
        objective=OBJECTIVES["energy"],
        conventions=conventions,
        pad=False,
        factors="ragged",
    )
    bounds: dict[ProofTask, float | None] = {}
    left: list[ProofTask] = []

    def know(task: ProofTask, cost: LayerCost | None) -> None:
        bounds[task] = None if cost is None else cost.bound
        if on_proof is not None:
            on_proof(len(bounds), len(tasks))

    for task in tasks:
        known = None if store is None else store.read(task.arch, task.workload, search)
        if known is None:
            left.append(task)
        else:
            know(task, known)
    several = len(left) > FEW or isinstance(jobs, Cluster)
    for place, found in in_processes(partial(_prove, search), left, jobs if several else 1):
        task = left[place]
        if found is not None and store is not None:
            store.write(task.arch, task.workload, search, found)
        know(task, found)
    return {task: bound for task in tasks if (bound := bounds[task]) is not None}


def _prove(search: LayerSearch, task: ProofTask) -> LayerCost | None:
    try:
        return map_workload(task.arch, task.workload, search)
    except (ToolkitError, MemoryError):
        # Too large for exact counts or for its lists, or too short a time to find any mapping.
        return None


def parts_energy_pj(
    arch: Architecture,
    workload: Workload,
    large: ProofTask,
    share: float,
    bound: float,
    weights: str | None = None,
    made: float = 1.0,
) -> float:
    """Energy of all parts of a workload, from a bound of that of its large layer.

    Leakage aside; with that of bringing back sums that go on from part to part.
    """
    own, more = workload.macs * _own_pj(priced(arch, 0.0, weights), workload), 0.0
    scaled = bound * (workload.macs / large.workload.macs)
    if any(large.workload.sizes[d] > workload.sizes[d] for d in workload.reduction_dimensions):
        outputs = whole_tensor_values(workload, workload.output)
        more = outputs * fsum(old_sum_pj(priced(arch, 0.0), workload.output).values())
    return made * own + max(share * max(scaled - own, 0.0) - more, 0.0)


def _own_pj(arch: Architecture, workload: Workload) -> float:
    """Energy of a multiply-accumulate and of the words that are its own."""
    return mac_energy_pj(arch, workload) + sum(
        _own_words_pj(arch, workload, tensor) for tensor in workload.tensors
    )


def _own_words_pj(arch: Architecture, workload: Workload, tensor: Tensor) -> float:
    """Energy of the word that a multiply-accumulate alone takes of a tensor, if there is one.

    Sums are written; how many are read back depends on where they begin.
    """
    for level in reversed(arch.levels[1:]):
        if isinstance(level, Memory):
            if tensor.role in level.may_bypass or tensor.name in level.may_bypass:
                return 0.0
            if holds(level, tensor):
                words = float(words_per_value(level, sum_bits(tensor)))
                written = tensor.role == "output"
                return words * (level.write_energy_pj if written else level.read_energy_pj)
        elif level.mesh > 1:
            return 0.0
    return 0.0


def leaking(arch: Architecture, rate: float) -> Architecture:
    """The architecture whose outermost memory leaks so much more (pJ per cycle).

    Energy is then energy and `rate` times the latency, or less, by conventions in which memories
    leak for as long as they are busy.
    """
    if not rate:
        return arch
    dram, *levels = arch.levels
    assert isinstance(dram, Memory)
    leaked = replace(dram, leakage_pj_per_cycle=dram.leakage_pj_per_cycle + rate)
    return replace(arch, levels=(leaked, *levels))


def priced(arch: Architecture, times: float, weights: str | None = None) -> Architecture:
    """The architecture with the words of its outermost memory at a multiple of their energy.

    And those of the memory that weights come from, if that is another.
    """
    outer = {arch.levels[0].name, weights}
    return replace(
        arch, levels=tuple(_at(x, times) if x.name in outer else x for x in arch.levels)
    )


def _at(level: Level, times: float) -> Level:
    assert isinstance(level, Memory)
    return replace(
        level,
        read_energy_pj=times * level.read_energy_pj,
        write_energy_pj=times * level.write_energy_pj,
    )
