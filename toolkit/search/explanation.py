"""What a mapping's energy and cycles are spent on, what binds, and which move would help."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from toolkit.arch.architecture import Architecture
from toolkit.display import MOST_ROWS, object_html, short_energy, shortened, table_html
from toolkit.mapping.bypasses import Bypass
from toolkit.mapping.explain import violations
from toolkit.mapping.mapping import Mapping
from toolkit.mapping.space import Factors
from toolkit.model.conventions import Conventions
from toolkit.model.evaluate import Evaluation, evaluate
from toolkit.model.headroom import CapacityUse, MeshUse, capacity_uses, mesh_uses
from toolkit.model.words import CycleParts, EnergyPart, cycle_parts, energy_parts
from toolkit.search.advice import Advice, advise
from toolkit.search.asked import ask
from toolkit.search.objective import Function, Objective
from toolkit.search.problem import Problem
from toolkit.workload.kernel import Workload

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Explanation:
    """Everything that ``toolkit explain`` tells, as records; each is worked out when it is read.

    Parameters
    ----------
    problem : Problem
        What the mapping solves.
    evaluation : Evaluation
        What the mapping costs.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> why = toolkit.explain(best.mapping, "eyeriss", "gemm:M=8,K=4,N=2")
    >>> why.cycles.ideal_cycles
    0.38095238095238093
    """

    problem: Problem
    evaluation: Evaluation

    def __repr__(self) -> str:
        costs = f"{short_energy(self.evaluation.energy_pj)}, "
        costs += f"{self.evaluation.latency_cycles:,.0f} cycles"
        return f"<Explanation {self._title}: {costs}, {self.evaluation.bottleneck}>"

    def _repr_html_(self) -> str:
        """For notebooks: where energy and cycles go, and the single moves that help most."""
        energy = [
            (
                part.level,
                part.tensor or part.what,
                short_energy(part.energy_pj),
                f"{part.share:.1%}",
            )
            for part in self.energy
        ]
        cycles = self.cycles
        whole, parts = cycles.latency_cycles or 1.0, {"work": cycles.ideal_cycles, **cycles.lost}
        spent = [(name, f"{n:,.0f}", f"{n / whole:.1%}") for name, n in parts.items()]
        heads = ("level", "what", "energy", "of it all")
        return object_html(
            self._title,
            [("bottleneck", self.evaluation.bottleneck)],
            table_html(heads, energy, [True, True, False, False], MOST_ROWS),
            table_html(("cycles", "", "of them all"), spent, [True, False, False]),
        )

    @property
    def _title(self) -> str:
        name = f"{self.problem.workload.name} on {self.problem.arch.name}"
        return shortened(name)

    @cached_property
    def energy(self) -> Sequence[EnergyPart]:
        """Energy by level and tensor, the largest part first, and what repeats its words."""
        return energy_parts(self.evaluation)

    @cached_property
    def cycles(self) -> CycleParts:
        """Cycles of ideal work, idle instances, waits and stalls: together the latency."""
        return cycle_parts(self.evaluation)

    @cached_property
    def capacities(self) -> Sequence[CapacityUse]:
        """What memories have room for."""
        return capacity_uses(self.evaluation, self.problem.factors)

    @cached_property
    def meshes(self) -> Sequence[MeshUse]:
        """What fanouts have instances for."""
        return mesh_uses(self.evaluation, self.problem.factors)

    @cached_property
    def advice(self) -> Advice:
        """What single moves, and twice the bandwidths, would change."""
        return advise(self.problem, self.evaluation.mapping)


def explain(
    mapping: Mapping,
    arch: Architecture | str,
    workload: Workload | str,
    *,
    objective: str | Objective | Function = "edp",
    conventions: Conventions | str = "exact",
    bias_read: bool = False,
    factors: Factors | None = None,
    bypass: Bypass = "permitted",
) -> Explanation:
    """Tell where a mapping's energy and cycles go, what binds, and which single move would help.

    Parameters
    ----------
    mapping : Mapping
        A valid one, of `workload` on `arch`.
    arch, workload : Architecture, Workload or str
        As `toolkit.map` takes them.
    objective : str, Objective or callable
        What moves are judged by.
    conventions : Conventions or str
        How costs are counted.
    bias_read : bool
        Whether the first visit of an output reads an initial value.
    factors : {"perfect", "ragged"}, optional
        Factors that moves try; by default what the conventions say, ragged if the mapping's are.
    bypass : {"permitted", "free", "fixed"}
        What a mapping may leave out, see `toolkit.make_problem`.

    Raises
    ------
    ArchitectureError, WorkloadError, InputError
        If something is unknown or of another kind.
    MappingError
        If it is no mapping of these.

    Examples
    --------
    >>> import toolkit
    >>> best = toolkit.map("eyeriss", "gemm:M=8,K=4,N=2", evaluations=100)
    >>> why = toolkit.explain(best.mapping, "eyeriss", "gemm:M=8,K=4,N=2")
    >>> why.energy[0].level, why.cycles.latency_cycles == best.latency_cycles
    ('DRAM', True)
    """
    problem = ask(
        arch,
        workload,
        objective=objective,
        conventions=conventions,
        bias_read=bias_read,
        factors=factors or _countable(conventions),
        bypass=bypass,
    )
    return explained(problem, mapping, factors)


def _countable(conventions: Conventions | str) -> Factors | None:
    """Any factors that the conventions can count."""
    from toolkit.search.asked import conventions_of

    return None if conventions_of(conventions).transfers == "sequential" else "ragged"


def explained(problem: Problem, mapping: Mapping, factors: Factors | None = None) -> Explanation:
    """Explain a mapping of a problem.

    Parameters
    ----------
    problem : Problem
        What it solves, with factors that may be ragged where it has any such.
    mapping : Mapping
        A valid one.
    factors : {"perfect", "ragged"}, optional
        Factors that moves try; by default what the conventions say, ragged if the mapping's are.
    """
    if factors is None:
        whole = replace(problem, factors="perfect")
        ragged = bool(violations(whole.space, mapping))
        chosen = problem.factors if ragged else problem.conventions.factors
        problem = replace(problem, factors=chosen)
    evaluation = evaluate(
        mapping,
        problem.arch,
        problem.workload,
        conventions=problem.conventions,
        bias_read=problem.bias_read,
    )
    return Explanation(problem, evaluation)
