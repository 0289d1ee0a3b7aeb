"""One mapping's cost in full: counts, energy, latency, area, and what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout
from toolkit.arguments import check_kind
from toolkit.display import code_html, object_html, short_energy, shortened, table_html
from toolkit.errors import MappingError
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.explain import broken_products, violations
from toolkit.mapping.files import mapping_to_dict
from toolkit.mapping.loop_nest import render
from toolkit.mapping.mapping import IntArray, Mapping, to_arrays
from toolkit.mapping.space import MapSpace
from toolkit.model.breakdown import (
    check_magnitude,
    energy_sum,
    finite,
    finite_cost,
    hop_cycles,
    level_energies,
    memory_uses,
    network_uses,
    tensor_accesses,
)
from toolkit.model.conventions import EXACT, Conventions, map_space
from toolkit.model.cost import BatchCost, batch_cost
from toolkit.model.lanes import shape_notes
from toolkit.model.plan import make_plan
from toolkit.model.tables import (
    LevelEnergy,
    MemoryUse,
    NetworkUse,
    TensorAccesses,
    plain,
    table,
)
from toolkit.workload.kernel import Workload

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evaluation:
    """What one mapping costs; made by `evaluate`.

    Parameters
    ----------
    arch, workload, mapping : Architecture, Workload, Mapping
        What was evaluated; memories of the architecture bypass what the mapping chooses.
    conventions : Conventions
        How it was counted.
    bias_read : bool
        Whether the first visit of an output reads an initial value from outside.
    energy_pj : float
        Accesses, multiply-accumulates and leakage: the correctly rounded sum of `energies`.
    latency_cycles : float
        Of the whole run.
    utilization : float
        Fraction of the instances used, over all spatial levels.
    area_um2 : float or None
        Of all physical instances, used or not: every memory and the compute level count once per
        instance (the product of the meshes of the fanouts outside), the network of a fanout once
        per instance of what it hangs from. None if no level gives an area; `notes` name the
        levels that lack one.
    macs : int
        Multiply-accumulates.
    violations : tuple of str
        Rules of the map space that the mapping breaks; empty if it is valid.
    bottleneck : str
        What determines the latency, in words.
    notes : tuple of str
        What to keep in mind about these numbers.
    accesses : tuple of TensorAccesses
        Per memory and tensor that it holds (or, where the conventions say so, is charged for).
    memories : tuple of MemoryUse
        Per memory, outermost first.
    energies : tuple of LevelEnergy
        Per memory, per fanout with wires, and for the compute level.
    networks : tuple of NetworkUse
        Per fanout with wires, outermost first.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> problem = best.problem
    >>> evaluation = toolkit.evaluate(best.mapping, problem.arch, problem.workload)
    >>> evaluation.macs, evaluation.latency_cycles == best.latency_cycles
    (64, True)
    """

    arch: Architecture
    workload: Workload
    mapping: Mapping
    conventions: Conventions
    bias_read: bool
    energy_pj: float
    latency_cycles: float
    utilization: float
    area_um2: float | None
    macs: int
    violations: tuple[str, ...]
    bottleneck: str
    notes: tuple[str, ...]
    accesses: tuple[TensorAccesses, ...]
    memories: tuple[MemoryUse, ...]
    energies: tuple[LevelEnergy, ...]
    networks: tuple[NetworkUse, ...] = ()

    def __repr__(self) -> str:
        what = f"{self.workload.name} on {self.arch.name}"
        return f"<Evaluation {shortened(what)}: {self._costs}>"

    def _repr_html_(self) -> str:
        """For notebooks: the main figures, the loop nest, a row per level."""
        facts = [
            ("energy", short_energy(self.energy_pj, 6)),
            ("latency", f"{self.latency_cycles:,.0f} cycles"),
            ("EDP", f"{self.edp_pj_cycles * 1e-12:.6g} J·cycle"),
            ("utilization", f"{self.utilization:.2%}"),
            ("bottleneck", self.bottleneck),
            *(("breaks", rule) for rule in self.violations),
            *(("note", note) for note in self.notes),
        ]
        busy = {
            use.level: max(port.busy_cycles for port in use.ports) / self.latency_cycles
            for use in self.movers
            if self.latency_cycles
        }
        rows = [
            (
                entry.level,
                short_energy(entry.energy_pj),
                f"{entry.share:.2%}",
                f"{busy[entry.level]:.1%}" if entry.level in busy else "",
            )
            for entry in self.energies
        ]
        heads = ("level", "energy", "of it all", "busiest port")
        nest = render(
            self.mapping,
            self.arch,
            self.workload,
            footprint=self.conventions.window_footprint,
            outermost_supplies=self.conventions.charge_bypassing_outermost,
        )
        table_of_levels = table_html(heads, rows, (True, False, False, False))
        title = f"{self.workload.name} on {self.arch.name}"
        return object_html(title, facts, code_html(nest), table_of_levels)

    @property
    def _costs(self) -> str:
        """Energy, latency and what is used, in a few words."""
        cycles = f"{self.latency_cycles:,.0f} cycles"
        return f"{short_energy(self.energy_pj)}, {cycles}, {self.utilization:.1%} used"

    @property
    def movers(self) -> tuple[MemoryUse | NetworkUse, ...]:
        """Memories and networks of limited bandwidth, which may stall, outermost first."""
        places = {level.name: i for i, level in enumerate(self.arch.levels)}
        networks = [network for network in self.networks if network.ports]
        return tuple(sorted((*self.memories, *networks), key=lambda use: places[use.level]))

    @property
    def valid(self) -> bool:
        """Whether the mapping breaks no rule."""
        return not self.violations

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.latency_cycles

    @property
    def flops(self) -> int:
        """Twice the MACs; times all strides and dilations if the conventions count them."""
        flops = 2 * self.macs
        if self.conventions.flops_count_coefficients:
            for tensor in self.workload.tensors:
                flops *= math.prod(term.coefficient for index in tensor.indices for term in index)
        return flops

    @property
    def utilized_flops_per_edp(self) -> float:
        """FLOPs per pJ·cycle, times the utilization: what FactorFlow maximises (its "Wart").

        Infinite if nothing costs energy. FactorFlow's setting without utilization in the Wart
        is ``flops / edp_pj_cycles``.
        """
        edp = self.edp_pj_cycles
        return self.flops / edp * self.utilization if edp > 0 else math.inf

    def access_table(self) -> pd.DataFrame:
        """Tabulate the accesses: a row per memory and tensor it holds.

        All columns but ``used_instances`` are totals over the instances and the whole run.
        """
        return table(self.accesses)

    def level_table(self) -> pd.DataFrame:
        """Tabulate the memories: space, and how their ports keep up; a row per memory.

        Columns say whether they are of one instance or of the whole run. Missing: no limit.
        """
        return table(self.memories)

    def port_table(self) -> pd.DataFrame:
        """Tabulate ports of memories and networks: a row per port, or set that shares a load."""
        return table([port for use in self.movers for port in use.ports])

    def network_table(self) -> pd.DataFrame:
        """Tabulate what crosses fanouts with wires: a row per fanout and tensor."""
        return table([crossing for network in self.networks for crossing in network.crossings])

    def energy_table(self) -> pd.DataFrame:
        """Tabulate energy: a row per memory and one for compute.

        `math.fsum` of ``energy_total_pj`` is `energy_pj`.
        """
        return table(self.energies)

    def to_dict(self) -> dict[str, Any]:
        """Write everything as JSON-able data; None stands for unlimited or not given.

        Keys carry units. ``total`` sums over all instances and the whole run, and the entries of
        ``accesses``, ``memories`` and ``energies`` are the rows of the tables.
        """
        return {
            "arch": self.arch.name,
            "workload": self.workload.name,
            "conventions": self.conventions.name,
            "bias_read": self.bias_read,
            "mapping": mapping_to_dict(self.mapping),
            "valid": self.valid,
            "violations": list(self.violations),
            "energy_total_pj": self.energy_pj,
            "latency_cycles": self.latency_cycles,
            "edp_pj_cycles": self.edp_pj_cycles,
            "utilization_fraction": self.utilization,
            "area_total_um2": self.area_um2,
            "macs": self.macs,
            "bottleneck": self.bottleneck,
            "notes": list(self.notes),
            "accesses": [plain(record) for record in self.accesses],
            "memories": [plain(record) for record in self.memories],
            "ports": [plain(port) for use in self.movers for port in use.ports],
            "networks": [plain(row) for network in self.networks for row in network.crossings],
            "energies": [plain(record) for record in self.energies],
        }


def evaluate(
    mapping: Mapping,
    arch: Architecture,
    workload: Workload,
    *,
    conventions: Conventions = EXACT,
    bias_read: bool = False,
) -> Evaluation:
    """Work out what a mapping costs and which rules it breaks.

    Parameters
    ----------
    mapping : Mapping
        It may exceed capacities, meshes and constraints (see `Evaluation.violations`), but its
        factors must multiply to the sizes or, where the conventions are not sequential, reach
        them.
    arch, workload : Architecture, Workload
        What runs on what.
    conventions : Conventions
        How costs are counted.
    bias_read : bool
        Whether the first visit of an output reads an initial value from outside.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`, or chooses bypasses that this does
        not permit.
    ArchitectureError
        If no memory holds one of the tensors.
    PrecisionError
        If the MACs, a count or the span of an index exceed 2^53, or a cost is not finite.
    InputError
        If an argument is of another kind.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> problem = best.problem
    >>> evaluation = toolkit.evaluate(best.mapping, problem.arch, problem.workload)
    >>> evaluation.edp_pj_cycles == best.edp_pj_cycles
    True
    """
    check_kind(conventions, Conventions, "conventions")
    factors, order = to_arrays(mapping, arch, workload)
    arch = chosen_arch(arch, workload, mapping)
    space = map_space(arch, workload, conventions, conventions.counted_factors)
    _check_products(space, factors)
    check_magnitude(workload)
    plan = make_plan(arch, workload, conventions, bias_read=bias_read)
    area, notes = _area(arch)
    # What overflows is found by name instead.
    with np.errstate(all="ignore"):
        cost = batch_cost(plan, factors[None].astype(np.float64), order[None])
        accesses = tensor_accesses(cost)
        memories = memory_uses(cost, space, factors)
        energies = level_energies(cost)
        networks = network_uses(cost)
    return Evaluation(
        arch,
        workload,
        mapping,
        conventions,
        bias_read,
        finite(energy_sum([entry.energy_pj for entry in energies]), "the energy", workload),
        finite_cost(cost, cost.latency_cycles, "the latency"),
        finite_cost(cost, cost.utilization, "the utilization"),
        area if area is None else finite(area, "the area", workload),
        workload.macs,
        violations(space, mapping),
        _bottleneck(arch, (*memories, *networks), cost),
        (*notes, *shape_notes(cost, factors)),
        accesses,
        memories,
        energies,
        networks,
    )


def _check_products(space: MapSpace, factors: IntArray) -> None:
    for _, dimension, problem in broken_products(space, factors.tolist()):
        raise MappingError(problem, source=space.workload.name, key=f"factors.{dimension}")


def _area(arch: Architecture) -> tuple[float | None, tuple[str, ...]]:
    areas, missing, instances = [], [], 1.0
    for level in arch.levels:
        if level.area_um2 is None:
            missing.append(level.name)
        else:
            areas.append(level.area_um2 * instances)
        if isinstance(level, Fanout):
            instances *= level.mesh
    if not areas:
        return None, ()
    if arch.vector_unit is not None and arch.vector_unit.area_um2 is not None:
        areas.append(arch.vector_unit.area_um2)
    notes = (f"the area lacks {', '.join(missing)}: no area given",) if missing else ()
    return sum(areas), notes


def _bottleneck(
    arch: Architecture, uses: tuple[MemoryUse | NetworkUse, ...], cost: BatchCost
) -> str:
    """Name the outermost memory or network that stalls: it replaces all delays inside it."""
    places = {level.name: i for i, level in enumerate(arch.levels)}
    slow = [use for use in uses if use.stall_cycles > 0]
    stalling = min(slow, key=lambda use: places[use.level], default=None)
    if stalling is None:
        text = f"{arch.compute.name}: no memory stalls"
    else:
        use = stalling.slowest_port
        text = (
            f"{stalling.level} {use.port.name}: {use.port.traffic} need "
            f"{use.needed_bandwidth:.4g} words per cycle and instance, "
            f"{use.port.bandwidth:.4g} available"
        )
    hops = hop_cycles(cost)
    return f"{text}; plus {hops:,.10g} cycles of hops" if hops else text
