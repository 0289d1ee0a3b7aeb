"""What layers of networks cost at best on some hardware: fronts that are proved, and bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from toolkit.arch.architecture import Architecture
from toolkit.arch.layout import check_layout
from toolkit.arch.levels import Level
from toolkit.arch.packing import accumulator_bits, in_passes, operand_bits
from toolkit.cluster import Connected
from toolkit.codesign.evaluation import NetworkWeight
from toolkit.codesign.exact.hulls import lower_hull, product_hull
from toolkit.codesign.exact.part_figures import CONSTRAINT, MESH, numbers_of, with_numbers
from toolkit.errors import DoesNotFitError
from toolkit.mapping.mapping import FloatArray, Mapping
from toolkit.mapping.space import Factors
from toolkit.model.conventions import Conventions
from toolkit.model.vector_unit import vector_unit_of
from toolkit.processes import Jobs, in_processes
from toolkit.search.evaluator import Evaluator, Start
from toolkit.search.exact import prove
from toolkit.search.network.cost import LayerSearch
from toolkit.search.network.vector_layers import layer_vector_cost
from toolkit.search.network.workloads import nameless, problem_of, work_of
from toolkit.search.objective import OBJECTIVES
from toolkit.search.problem import Problem
from toolkit.search.result import Budget
from toolkit.workload.kernel import Workload
from toolkit.workload.network import Layer
from toolkit.workload.network.elementwise import fold_elementwise

FRONT = OBJECTIVES["energy,latency"]
SHARE = 0.25
"""Of the time for one front, what each bound beside it may take."""
MOST_KNOWN = 2_000
"""Fronts that are kept for other boxes with the same corner, before all are forgotten."""


@dataclass(frozen=True, eq=False)
class Front:
    """The best trade-offs of all mappings of one workload, or a hull below them.

    Parameters
    ----------
    costs : float64 array, shape (trade-offs, 2)
        Energies (pJ) and latencies (cycles) by rising energy.
    starts : tuple of Start
        Mappings with these costs, one each, as arrays; others, if not `complete`.
    problem : Problem or None
        Of these mappings; None if there is none to tell.
    complete : bool
        Whether all of this is what mappings cost. Otherwise no mapping lies below its hull.
    """

    costs: FloatArray
    starts: tuple[Start, ...]
    problem: Problem | None
    complete: bool

    @cached_property
    def _corners(self) -> NDArray[np.intp]:
        return lower_hull(self.costs)

    @property
    def hull(self) -> FloatArray:
        """Lower hull of the trade-offs, which no mapping lies below; by rising energy."""
        return np.asarray(self.costs[self._corners])

    @property
    def best_starts(self) -> tuple[Start, ...]:
        """Mappings at the corners of the hull; all that there are, if not `complete`."""
        if not self.complete:
            return self.starts
        return tuple(self.starts[corner] for corner in self._corners.tolist())

    @classmethod
    def below(cls, energy_pj: float, latency_cycles: float) -> Front:
        """The front of which no more is known than bounds of both costs."""
        return cls(np.array([[energy_pj, latency_cycles]]), (), None, complete=False)

    def mapping(self, place: int) -> Mapping:
        """The mapping of one of the trade-offs of a complete front."""
        assert self.problem is not None
        return self.problem.choices.mapping(*self.starts[place])


@dataclass(frozen=True, eq=False)
class Demand:
    """A layer, and how often it runs in the mix of networks.

    Parameters
    ----------
    layer : Layer
        With what is folded into it.
    network : int
        Which network it belongs to.
    ways : tuple of Workload
        How its workload can run, if it has one.
    count : float
        Repetitions in one run of its network.
    typed : bool
        Whether values that the vector unit takes have the bits of their types.
    """

    layer: Layer
    network: int
    ways: tuple[Workload, ...]
    count: int
    typed: bool

    def beside(self, arch: Architecture, conventions: Conventions) -> tuple[float, float]:
        """Energy (pJ) and cycles of one repetition beside the array: on the vector unit."""
        unit, _ = vector_unit_of(arch)
        cost = layer_vector_cost(arch, unit, self.layer, conventions, typed=self.typed)
        return (0.0, 0.0) if cost is None else (cost.energy_pj, cost.latency_cycles)


def demands_of(networks: Sequence[NetworkWeight], arch: Architecture) -> tuple[Demand, ...]:
    """List the layers of networks as an architecture runs them (`toolkit.map_network`).

    Raises
    ------
    DoesNotFitError
        Naming a layer that cannot be lowered.
    """
    found = []
    for number, use in enumerate(networks):
        graph = fold_elementwise(use.graph, operand_bits(arch), accumulator_bits(arch))
        ways = work_of(graph, arch).ways
        typed = graph.precision is not None
        for layer in graph.layers:
            lowered = tuple(nameless(way.workload) for way in ways.get(layer.name, ()))
            found.append(Demand(layer, number, lowered, layer.repetitions, typed))
    return tuple(found)


@dataclass(eq=False)
class Proofs:
    """Proves fronts of workloads, each once per hardware.

    Parameters
    ----------
    conventions : Conventions
        How costs are counted.
    factors : {"perfect", "ragged"}
        Which tile factors mappings may have.
    layer_seconds : float or None
        Longest time for one front; what is known by then is a bound.
    fits_vary : bool
        Whether workloads and constraints are fitted otherwise where meshes differ.
    jobs : int or Cluster
        Processes in which `prepare` proves.
    """

    conventions: Conventions
    factors: Factors | None
    layer_seconds: float | None = None
    fits_vary: bool = False
    jobs: Jobs = 1
    proofs: int = field(default=0, init=False)
    _known: dict[tuple[object, ...], Front | None] = field(
        default_factory=dict, init=False, repr=False
    )
    _fitted: dict[tuple[object, ...], Problem] = field(
        default_factory=dict, init=False, repr=False
    )
    _ahead: dict[tuple[object, ...], Front | None] = field(
        default_factory=dict, init=False, repr=False
    )

    def stated(self, arch: Architecture, workload: Workload) -> Problem:
        """State the problem of a front.

        Raises
        ------
        DoesNotFitError
            If there is no mapping.
        """
        search = LayerSearch(
            "exact", objective=FRONT, conventions=self.conventions, factors=self.factors
        )
        return problem_of(arch, workload, search)

    def fitted(self, arch: Architecture, workload: Workload) -> Problem:
        """The same as `stated`, for hardware of a kind of which all has the same fit.

        Constraints are fitted once per kind; that there is no mapping need not be noticed.

        Raises
        ------
        DoesNotFitError
            If there is no mapping.
        """
        passed = in_passes(arch, workload)
        taken = [numbers_of(level) for level in passed.levels]
        sizes = [
            [x for name, x in own.items() if name == MESH or name.startswith(CONSTRAINT)]
            for own, _ in taken
            if self.fits_vary
        ]
        key = (workload, tuple(rest for _, rest in taken), arch.leakage, str(sizes))
        known = self._fitted.get(key)
        if known is None:
            self._fitted[key] = known = self.stated(arch, workload)
        levels = tuple(
            cast(Level, with_numbers(level, own))
            for level, (own, _) in zip(known.arch.levels, taken, strict=True)
        )
        arch = replace(known.arch, levels=levels)
        check_layout(arch, known.workload)
        return replace(known, arch=arch)

    def front(
        self, arch: Architecture, workload: Workload, starts: Sequence[Start] = ()
    ) -> Front | None:
        """Prove the front of a workload; None if it has no mapping.

        Parameters
        ----------
        starts : sequence of Start
            Mappings that are likely to be good.
        """
        bare, key = _bare(arch), _key(arch, workload)
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            try:
                problem = self.fitted(bare, workload)
                self.proofs += 1
                if key in self._ahead:
                    ahead = self._ahead.pop(key)
                    found = None if ahead is None else replace(ahead, problem=problem)
                else:
                    found = self.proved(problem, starts)
                self._known[key] = found
            except DoesNotFitError:
                self._known[key] = None
        return self._known[key]

    def prepare(
        self, arch: Architecture, wanted: Sequence[tuple[Workload, Sequence[Start]]]
    ) -> None:
        """Prove fronts side by side that `front` is likely to be asked for, likeliest first.

        There are as many as there are processes. Those that are never asked for are lost.

        Parameters
        ----------
        arch : Architecture
            Of all of them.
        wanted : sequence of (Workload, sequence of Start)
            As `front` will be given them.
        """
        count = self.jobs.workers if isinstance(self.jobs, Connected) else self.jobs
        if not isinstance(count, int) or count < 2:
            return
        bare, tasks = _bare(arch), dict[tuple[object, ...], tuple[Problem, Sequence[Start]]]()
        for workload, starts in wanted[:count]:
            key = _key(arch, workload)
            if key not in self._known and key not in self._ahead:
                with suppress(DoesNotFitError):
                    tasks[key] = self.fitted(bare, workload), starts
        if len(tasks) < 2:
            return
        alone = Proofs(self.conventions, self.factors, self.layer_seconds)
        keys = list(tasks)
        for place, front in in_processes(
            partial(_proved_apart, alone), list(tasks.values()), self.jobs
        ):
            self._ahead[keys[place]] = front

    def proved(self, problem: Problem, starts: Sequence[Start]) -> Front | None:
        """Prove the front of a problem, whatever was proved before.

        Raises
        ------
        DoesNotFitError
            If there is no mapping.
        """
        evaluator = self._evaluator(problem, starts)
        bound, certificate = prove(evaluator)
        found = evaluator.front
        assert found is not None
        known = [
            (f, o, int(c))
            for f, o, c in zip(found.factors, found.orders, found.choices, strict=True)
        ]
        if certificate.unfinished:
            hull = product_hull(*self._least(problem, starts), bound)
            return Front(hull, tuple(known), problem, complete=False)
        if not len(found.costs):
            return None
        return Front(found.costs, tuple(known), problem, complete=True)

    def least_energy_pj(
        self, arch: Architecture, workload: Workload, starts: Sequence[Start]
    ) -> float:
        """Bound the energy of all mappings of a workload; inf if there are none."""
        self.proofs += 1
        try:
            problem = replace(self.fitted(arch, workload), objective=OBJECTIVES["energy"])
            return prove(self._evaluator(problem, starts, share=SHARE))[0]
        except DoesNotFitError:
            return math.inf

    def _evaluator(
        self, problem: Problem, starts: Sequence[Start], share: float = 1.0
    ) -> Evaluator:
        """An evaluator that has seen mappings that are likely to be good.

        It has that share of the time for one layer.
        """
        seconds = None if self.layer_seconds is None else share * self.layer_seconds
        evaluator = _Warm(problem, Budget(seconds=seconds), warm_starts=starts)
        if starts:
            factors, orders = (np.stack([start[i] for start in starts]) for i in (0, 1))
            evaluator.evaluate(factors, orders, np.array([start[2] for start in starts]))
        return evaluator

    def _least(self, problem: Problem, starts: Sequence[Start]) -> tuple[float, float]:
        """Bounds of energy (pJ) and latency (cycles), each by itself."""
        found = []
        for name in ("energy", "latency"):
            alone = replace(problem, objective=OBJECTIVES[name])
            found.append(prove(self._evaluator(alone, starts, share=SHARE))[0])
        return found[0], found[1]


def _bare(arch: Architecture) -> Architecture:
    """Leave out what does not matter on the array: areas and the vector unit."""
    levels = tuple(replace(level, area_um2=None) for level in arch.levels)
    return replace(arch, levels=levels, vector_unit=None)


def _key(arch: Architecture, workload: Workload) -> tuple[object, ...]:
    return _bare(arch).levels, arch.leakage, workload


def _proved_apart(proofs: Proofs, task: tuple[Problem, Sequence[Start]]) -> Front | None:
    """Prove a front in another process, which need not send the problem back."""
    try:
        front = proofs.proved(*task)
    except DoesNotFitError:
        return None
    return None if front is None else replace(front, problem=None)


class _Warm(Evaluator):
    """An evaluator whose starts are all that a proof needs before it begins."""

    @property
    def is_part(self) -> bool:  # type: ignore[override]
        """Whether a proof need not look for a first mapping."""
        return bool(self.starts)
