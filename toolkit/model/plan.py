"""What the cost model needs to know of an architecture and a workload, worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from toolkit.arch.architecture import Architecture, check_figures, holds
from toolkit.arch.layout import check_layout
from toolkit.arch.levels import Compute, Fanout, Memory, Spatial
from toolkit.arch.packing import check_bits
from toolkit.arch.ports import passing_traffic
from toolkit.arch.wires import Wires
from toolkit.errors import ArchitectureError
from toolkit.model.conventions import Conventions
from toolkit.model.plan_ports import Port, network_ports, ports_of
from toolkit.workload.kernel import Tensor, Workload


@dataclass(frozen=True, slots=True)
class SpatialFlags:
    """How one spatial level shares the traffic of one tensor, in one direction."""

    level: int
    shared: bool
    selective: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """One tensor on its way between a memory and whatever holds it next inwards.

    Parameters
    ----------
    supplier : int
        Level of the memory that is read (and written, for outputs).
    child : int or None
        Level of the next memory inwards that holds the tensor; None are the
        multiply-accumulate lanes.
    nest : tuple of int
        Supplier and the memories up to the child that bypass the tensor, outermost first; under
        persistent transfers all memories outside the supplier come before.
    reading, writing : tuple of SpatialFlags
        Spatial levels between supplier and child, outermost first, with their support for
        multicast (reading) and for reduction (writing). Old partial sums go to one instance
        alone, so that nothing is lost where these are not multicast.
    places : tuple of int
        Levels at which its words are counted (`toolkit.model.traffic`): the supplier, then every
        fanout with wires, and the level right inside of it.
    """

    supplier: int
    child: int | None
    nest: tuple[int, ...]
    reading: tuple[SpatialFlags, ...]
    writing: tuple[SpatialFlags, ...]
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """One operand: which dimensions index it, who holds it, how it travels.

    The keeper is the memory, inside of others, in which it has to stay as a whole
    (`toolkit.mapping.kept`).
    """

    tensor: Tensor
    relevant: tuple[bool, ...]
    sums: tuple[tuple[tuple[int, int], ...], ...]
    holders: tuple[int, ...]
    keeper: int | None
    transfers: tuple[Transfer, ...]

    @property
    def is_output(self) -> bool:
        """Whether the operand is accumulated rather than only read."""
        return self.tensor.role == "output"


def gates_idle_instances(arch: Architecture, fanout: Fanout, conventions: Conventions) -> bool:
    """Whether instances of a fanout leak only while they are used."""
    if conventions.only_used_memories_leak or arch.leakage.instances == "used":
        return True
    return fanout.power_gating


def leakage_pj_per_cycle(
    arch: Architecture, level: Memory | Compute, conventions: Conventions
) -> float:
    """Leakage of one powered instance."""
    if isinstance(level, Compute) and (
        conventions.only_used_memories_leak or not arch.leakage.macs
    ):
        return 0.0
    return level.leakage_pj_per_cycle


@dataclass(frozen=True)
class Plan:
    """An architecture and a workload, ready to be costed under a set of conventions.

    Parameters
    ----------
    bias_read : bool
        Whether the first visit of an output reads an initial value (a bias) from outside.
    memories : tuple of int
        Level numbers of the memories, outermost first.
    spatial_after : dict of int to tuple of int
        Per memory, the spatial levels up to the next memory.
    listed : tuple of tuple of bool
        Per level and dimension, whether copies over it count: under sequential transfers
        spatial levels overlook dimensions they do not list (such mappings are not valid).
    ports : tuple of (int, Port)
        Level number and port, of all memories, and of networks that words may have to wait for,
        the outermost first.
    """

    arch: Architecture
    workload: Workload
    conventions: Conventions
    bias_read: bool
    memories: tuple[int, ...]
    spatial_after: dict[int, tuple[int, ...]]
    listed: tuple[tuple[bool, ...], ...]
    tensors: tuple[TensorPlan, ...]
    ports: tuple[tuple[int, Port], ...]

    def charged_together(self, level: int) -> int:
        """Words of a memory that cost energy together."""
        memory = self.memory(level)
        whole = memory.whole_wordlines or self.conventions.whole_wordlines
        return memory.values_per_wordline if whole else 1

    def rounds_wordlines(self, memories: Iterable[int]) -> bool:
        """Whether some of these memories are charged for whole wordlines of several words."""
        return any(self.charged_together(m) > 1 for m in memories)

    def has_bursts(self, tensor: TensorPlan) -> bool:
        """Whether a tensor leaves the outermost memory in bursts of several words."""
        outermost = self.memories[0]
        return self.memory(outermost).burst_words > 1 and outermost in tensor.holders

    def spatial_inside(self, transfer: Transfer) -> list[int]:
        """Spatial levels that the loops of a transfer's nest may be split by, up to its child."""
        end = len(self.arch.levels) if transfer.child is None else transfer.child
        between = range(transfer.nest[0] + 1, end)
        return [i for i in between if not isinstance(self.arch.levels[i], Memory)]

    def memory(self, level: int) -> Memory:
        """Return the memory at a level number."""
        return _memory(self.arch, level)

    def passing(self, level: int, port: Port) -> frozenset[str]:
        """Which kinds of traffic a port of a level serves and may pass that level at all."""
        kinds, place = frozenset(port.kinds), self.arch.levels[level]
        if not isinstance(place, Memory) or self.conventions.transfers == "sequential":
            return kinds
        outermost = level == self.memories[0]
        return kinds & set(passing_traffic(place.bypasses, outermost=outermost))

    def multiple_reuses(self, level: int) -> bool:
        """Whether what a memory sends may enjoy stationarity and a sliding window at once."""
        return self.memory(level).multiple_reuses and not self.conventions.single_reuse


def make_plan(
    arch: Architecture, workload: Workload, conventions: Conventions, *, bias_read: bool = False
) -> Plan:
    """Work out everything that does not depend on the mapping.

    Raises
    ------
    ArchitectureError
        If no memory holds one of the tensors, so that nothing could supply or keep it, the layout
        of the outermost one is none of the tensors', or no hardware has one of the figures.
    DoesNotFitError
        If values do not fit the words or the bursts of one.
    """
    check_figures(arch)
    check_bits(arch, workload)
    check_layout(arch, workload)
    _check_wires(arch, conventions)
    _check_bursts(arch, conventions)
    memories = tuple(i for i, level in enumerate(arch.levels) if isinstance(level, Memory))
    spatial_after = {
        m: tuple(range(m + 1, stop))
        for m, stop in zip(memories, (*memories[1:], len(arch.levels)), strict=True)
    }
    plans = tuple(
        _tensor_plan(tensor, arch, workload, conventions, memories) for tensor in workload.tensors
    )
    listed = tuple(
        tuple(
            conventions.transfers != "sequential"
            or isinstance(level, Memory)
            or d in level.dimensions
            for d in workload.dimensions
        )
        for level in arch.levels
    )
    ports = tuple(
        (i, port)
        for i, level in enumerate(arch.levels)
        if not isinstance(level, Compute)
        for port in (
            ports_of(level, conventions) if isinstance(level, Memory) else network_ports(level)
        )
    )
    _check_served(arch, plans, ports)
    return Plan(
        arch, workload, conventions, bias_read, memories, spatial_after, listed, plans, ports
    )


def _check_wires(arch: Architecture, conventions: Conventions) -> None:
    """Refuse to cost wires where nothing says how many words cross them."""
    for i, level in enumerate(arch.levels):
        if isinstance(level, Fanout) and level.wires and conventions.transfers == "sequential":
            raise ArchitectureError(
                f"{level.name} has wires, and the conventions {conventions.name} do not say what "
                "crosses a fanout; expected conventions exact or timeloop, or no keys of wires",
                source=arch.name,
                key=f"levels[{i}]",
            )


def _check_bursts(arch: Architecture, conventions: Conventions) -> None:
    """Refuse bursts where nothing says which tile is sent at once."""
    if arch.memories[0].burst_words > 1 and conventions.transfers == "sequential":
        raise ArchitectureError(
            f"{arch.memories[0].name} has bursts, and the conventions {conventions.name} do not "
            "say which words leave it at once; expected conventions exact or timeloop, or no "
            "bursts",
            source=arch.name,
            key="levels[0].burst_words",
        )


def _check_served(
    arch: Architecture, tensors: Sequence[TensorPlan], ports: Sequence[tuple[int, Port]]
) -> None:
    """Refuse memories without a port for what the transfers move through them."""
    served = {(m, kind) for m, port in ports for kind in port.kinds}
    for tensor in tensors:
        for transfer in tensor.transfers:
            passing = [(transfer.supplier, "reads")]
            if tensor.is_output:
                passing.append((transfer.supplier, "updates"))
            if transfer.child is not None:
                passing.append((transfer.child, "fills"))
                if tensor.is_output:
                    passing.append((transfer.child, "drains"))
            for m, kind in passing:
                if (m, kind) not in served:
                    raise ArchitectureError(
                        f"{kind} of {tensor.tensor.name} pass {arch.levels[m].name}, and no port "
                        "serves them; expected one that does",
                        source=arch.name,
                        key=f"levels[{m}].ports",
                    )


def _tensor_plan(
    tensor: Tensor,
    arch: Architecture,
    workload: Workload,
    conventions: Conventions,
    memories: tuple[int, ...],
) -> TensorPlan:
    position = {d: i for i, d in enumerate(workload.dimensions)}
    holders = tuple(m for m in memories if holds(_memory(arch, m), tensor))
    suppliers = list(holders)
    if conventions.charge_bypassing_outermost:
        if len(memories) > 1 and not set(memories[:2]) & set(holders):
            suppliers.insert(0, memories[0])
    elif not holders:
        lost = "can supply it"
        if tensor.role == "output":
            lost = "keeps the output at the end"
        raise ArchitectureError(
            f"no memory holds the tensor {tensor.name!r}, so nothing {lost}",
            source=arch.name,
            key="bypasses",
        )
    supplied = conventions.charge_bypassing_outermost or holders[0] == memories[0]
    dims = set(tensor.dimensions)
    return TensorPlan(
        tensor,
        tuple(d in dims for d in workload.dimensions),
        tuple(
            tuple((position[term.dimension], term.coefficient) for term in index)
            for index in tensor.indices
        ),
        holders,
        None if supplied else holders[0],
        tuple(_transfer(s, holders, memories, arch, conventions, tensor) for s in suppliers),
    )


def _memory(arch: Architecture, level: int) -> Memory:
    memory = arch.levels[level]
    if not isinstance(memory, Memory):
        raise ArchitectureError(f"level {level} is not a memory", source=arch.name)
    return memory


def _transfer(
    supplier: int,
    holders: tuple[int, ...],
    memories: tuple[int, ...],
    arch: Architecture,
    conventions: Conventions,
    tensor: Tensor,
) -> Transfer:
    child = next((h for h in holders if h > supplier), None)
    end = len(arch.levels) if child is None else child
    inside = [(i, arch.levels[i]) for i in range(supplier + 1, end)]
    between = [(i, level) for i, level in inside if not isinstance(level, Memory)]
    outermost = memories[0] if conventions.transfers == "persistent" else supplier
    wired = [i for i, level in between if isinstance(level, Fanout) and level.wires is not None]
    places = sorted({place for i in wired for place in (i, i + 1)})
    reading = [SpatialFlags(i, *sharing(x, conventions, written=False)) for i, x in between]
    writing = [SpatialFlags(i, *sharing(x, conventions, written=True)) for i, x in between]
    if tensor.role == "output" and conventions.sums_go_on:
        reading = [replace(flags, shared=True) for flags in reading]
    return Transfer(
        supplier,
        child,
        tuple(m for m in memories if outermost <= m < end),
        tuple(reading),
        tuple(writing),
        (supplier, *places),
    )


def wire_energies(level: Fanout) -> tuple[float, float, float]:
    """Energies of a word (pJ) that crosses a fanout by unicast, multicast and reduction."""
    wires = level.wires or Wires()
    alone, together, summed = wires.energies
    return alone, together if level.multicast else alone, summed if level.reduction else alone


def sharing(level: Spatial, conventions: Conventions, *, written: bool) -> tuple[bool, bool]:
    """Whether one transfer serves all instances of a spatial level, and value by value."""
    shared = level.reduction if written else level.multicast
    if isinstance(level, Compute):
        return shared and conventions.shares_at_lanes, False
    selective = level.selective_reduction if written else level.selective_multicast
    return shared, selective and (shared or not conventions.selective_needs_multicast)
