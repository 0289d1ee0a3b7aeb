"""A network on an architecture as a question, and the distinct layers that have to be mapped."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from toolkit.arch.architecture import Architecture
from toolkit.arch.packing import accumulator_bits, operand_bits
from toolkit.arguments import check_integer, check_kind
from toolkit.errors import InputError
from toolkit.mapping.bypasses import Bypass, with_bypass_rule
from toolkit.mapping.space import Factors
from toolkit.model.conventions import EXACT, Conventions
from toolkit.search.network.cost import LayerSearch
from toolkit.search.network.lowering import Lowered
from toolkit.search.network.workloads import Work, nameless, problem_of, work_of
from toolkit.search.objective import Function, Objective, objective_named
from toolkit.search.problem import Problem
from toolkit.workload.network.elementwise import fold_elementwise
from toolkit.workload.network.graph import LayerGraph


@dataclass(frozen=True, eq=False)
class MappedLayer:
    """A workload of a network that is mapped once, however many layers run it.

    Parameters
    ----------
    name : str
        The first layer that runs it; it stands for all of them.
    layers : tuple of str
        All that do.
    way : Lowered
        How: the first of the ways in which the architecture can run it.
    problem : Problem
        Its mappings.
    """

    name: str
    layers: tuple[str, ...]
    way: Lowered
    problem: Problem


@dataclass(frozen=True, eq=False)
class NetworkProblem:
    """How a network runs on an architecture, as `toolkit.map_network` asks it, left open.

    Parameters
    ----------
    graph : LayerGraph
        See `toolkit.load_network`.
    arch : Architecture
        The accelerator.
    objective : str, Objective or callable
        What is minimised of the whole network's energy and latency; utilization is no figure of a
        network.
    conventions : Conventions
        How costs are counted.
    factors : {"perfect", "ragged"}, optional
        Whether factors multiply to the sizes; by default what the conventions say.
    bypass : {"permitted", "free", "fixed"}
        Which tensors mappings may leave out of memories, see `toolkit.make_problem`.
    mapper : LayerSearch, optional
        Maps layers whose mappings are not chosen otherwise; as `search` says by default.
    most_layers : int, optional
        Of a fused group, where fusion is chosen; as `toolkit.fusion.find_partition` by default.
    cache : bool
        Whether mappings that are searched are kept between runs.

    Raises
    ------
    InputError
        If an argument is of another kind or the objective asks for utilization.
    """

    graph: LayerGraph
    arch: Architecture
    objective: str | Objective | Function = "edp"
    conventions: Conventions = EXACT
    factors: Factors | None = None
    bypass: Bypass = "permitted"
    mapper: LayerSearch | None = None
    most_layers: int | None = None
    cache: bool = True

    def __post_init__(self) -> None:
        check_kind(self.graph, LayerGraph, "graph")
        check_kind(self.arch, Architecture, "arch")
        check_kind(self.conventions, Conventions, "conventions")
        if self.mapper is not None:
            check_kind(self.mapper, LayerSearch, "mapper")
        if self.most_layers is not None:
            check_integer(self.most_layers, 1, "most_layers")
        if self.asked.powers[2]:
            raise InputError(
                f"{self.asked} asks for utilization, which a network has none of; expected energy "
                "and latency alone",
                key="objective",
            )
        object.__setattr__(self, "arch", with_bypass_rule(self.arch, self.bypass))

    @cached_property
    def asked(self) -> Objective:
        """What is minimised."""
        return objective_named(self.objective)

    @cached_property
    def search(self) -> LayerSearch:
        """How `toolkit.map_network` would search its layers."""
        return LayerSearch(
            objective=self.asked, conventions=self.conventions, factors=self.factors
        )

    @property
    def title(self) -> str:
        """The network and the architecture, for messages."""
        return f"{self.graph.graph.get('name') or 'network'} on {self.arch.name}"

    @cached_property
    def folded(self) -> LayerGraph:
        """The network with elementwise operators applied on the way out of other layers."""
        arch = self.arch
        return fold_elementwise(self.graph, operand_bits(arch), accumulator_bits(arch))

    @cached_property
    def work(self) -> Work:
        """The ways in which its layers can run.

        Raises
        ------
        DoesNotFitError
            Naming the layer, if it cannot be lowered.
        """
        return work_of(self.folded, self.arch)

    @cached_property
    def mapped(self) -> tuple[MappedLayer, ...]:
        """The distinct workloads, in the order of their first layers.

        Raises
        ------
        DoesNotFitError
            If one has no mapping.
        """
        users: dict[object, list[str]] = {}
        for name, ways in self.work.ways.items():
            users.setdefault(nameless(ways[0].workload), []).append(name)
        found = []
        for names in users.values():
            way = self.work.ways[names[0]][0]
            problem = problem_of(self.arch, way.workload, self.search)
            found.append(MappedLayer(names[0], tuple(names), way, problem))
        return tuple(found)
