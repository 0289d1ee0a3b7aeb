"""Workloads to be mapped: one, through the cache, and the distinct ones of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace

from toolkit.arch.architecture import Architecture
from toolkit.arch.packing import in_passes, multiplier_passes
from toolkit.errors import DoesNotFitError, PrecisionError, ToolkitError
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.search.network.cache import LayerCache
from toolkit.search.network.cost import LayerCost, LayerSearch
from toolkit.search.network.lowering import Lowered, lowerings
from toolkit.search.objective import Objective
from toolkit.search.problem import Problem, chosen_problem, make_problem
from toolkit.workload.bits import bits_suffix
from toolkit.workload.kernel import Workload
from toolkit.workload.network.graph import LayerGraph


def map_workload(
    arch: Architecture,
    workload: Workload,
    search: LayerSearch | None = None,
    *,
    cache: LayerCache | None = None,
) -> LayerCost:
    """Find the best mapping of a workload, or read it from the cache.

    Parameters
    ----------
    arch : Architecture
        What it runs on.
    workload : Workload
        What runs; its name does not matter.
    search : LayerSearch, optional
        How to search; greedily for the least energy-delay product by default.
    cache : LayerCache, optional
        Where results are kept; nowhere by default.

    Returns
    -------
    LayerCost
        Its workload has the name of the one given.

    Raises
    ------
    InputError
        If the workload does not fit the architecture or the search is not as expected.
    """
    wanted = search or LayerSearch()
    if cache is not None:
        found = cache.read(arch, workload, wanted)
        if found is not None:
            return found
    cost = searched(arch, workload, wanted)
    if cache is not None:
        cache.write(arch, workload, wanted, cost)
    return cost


def searched(arch: Architecture, workload: Workload, search: LayerSearch) -> LayerCost:
    """Search without a cache.

    Raises
    ------
    InputError
        As `map_workload` does.
    KeyboardInterrupt
        If the search was interrupted: half a search is no result to keep.
    """
    from toolkit.search.registry import search_mappings

    problem = problem_of(arch, workload, search)
    result = search_mappings(problem, search.strategy, budget=search.limits, seed=search.seed)
    if result.interrupted:
        raise KeyboardInterrupt
    cost = layer_cost(problem, workload, result.mapping)
    return replace(
        cost,
        evaluations=result.evaluations,
        bound=result.bound,
        notes=(*_passes_note(arch, workload), *cost.notes),
        objective=result.objective,
        # The length that searches have by default is no limit that anybody set.
        stopped=result.stopped and search.budget is not None,
    )


def attempted(
    search: LayerSearch, task: tuple[Architecture, Workload]
) -> LayerCost | ToolkitError:
    """Search, or say why there is no mapping: what other processes are asked to do."""
    try:
        return searched(*task, search)
    except (DoesNotFitError, PrecisionError) as cause:
        return cause


def given_cost(
    arch: Architecture, workload: Workload, search: LayerSearch, mapping: Mapping
) -> LayerCost:
    """Cost a mapping that somebody has already, instead of searching for one.

    Parameters
    ----------
    search : LayerSearch
        What is minimised, how costs are counted and sizes padded; nothing is searched.
    mapping : Mapping
        Of the workload as it is padded there.

    Raises
    ------
    DoesNotFitError
        If it is not valid on this architecture.
    InputError
        If it does not describe the workload on these levels.
    """
    problem = chosen_problem(problem_of(arch, workload, search, choose=False), mapping)
    factors, order = to_arrays(mapping, problem.arch, problem.workload)
    if not problem.space.check(factors[None], order[None])[0]:
        raise DoesNotFitError(f"the mapping given for {content_name(workload)} does not fit")
    cost = layer_cost(problem, workload, mapping)
    return replace(cost, notes=(*_passes_note(arch, workload), *cost.notes))


def layer_cost(problem: Problem, workload: Workload, mapping: Mapping) -> LayerCost:
    """Cost one mapping in full, as a search of one evaluation that found it.

    Parameters
    ----------
    problem : Problem
        Whose mapping.
    workload : Workload
        Gives the name; that of the problem is called by its sizes.
    mapping : Mapping
        A valid one.
    """
    from toolkit.model.evaluate import evaluate
    from toolkit.model.lanes import compute_cycles, costed, shape_notes

    conventions = problem.conventions
    evaluation = evaluate(mapping, problem.arch, problem.workload, conventions=conventions)
    lanes = costed(mapping, problem.arch, problem.workload, conventions)
    energy, latency = evaluation.energy_pj, evaluation.latency_cycles
    return LayerCost(
        replace(problem.workload, name=workload.name),
        mapping,
        energy,
        latency,
        compute_cycles(*lanes),
        evaluation.utilization,
        evaluation.energies,
        evaluation.accesses,
        1,
        None,
        (
            *problem.notes,
            *(shape_notes(*lanes) if problem.factors == "perfect" else ()),
        ),
        float(problem.objective.value(energy, latency, evaluation.utilization)),
    )


def _passes_note(arch: Architecture, workload: Workload) -> tuple[str, ...]:
    passes = multiplier_passes(arch, workload)
    if passes == 1:
        return ()
    widest = arch.compute.energies_by_bits[-1][0]
    return (f"wide operands take {passes} passes of multipliers of {widest} bits",)


def problem_of(
    arch: Architecture, workload: Workload, search: LayerSearch, *, choose: bool = True
) -> Problem:
    """State the problem of a search; the workload is called by its sizes.

    Operands wider than the multipliers are multiplied in passes (`in_passes`).

    Parameters
    ----------
    choose : bool
        Whether padded sizes are chosen where that is asked, which takes searches; otherwise they
        are rounded up alone: enough to see that there is a mapping.

    Raises
    ------
    InputError
        As `toolkit.make_problem` does.
    """
    return make_problem(
        in_passes(arch, workload),
        replace(workload, name=content_name(workload)),
        objective=search.objective,
        conventions=search.conventions,
        pad=search.padded(workload) if choose else (),
        factors=search.rule,
        round_up="all" if search.pad else (),
    )


def content_name(workload: Workload) -> str:
    """Name a workload by its sizes and bits, so that equal ones of any name are told alike.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> content_name(gemm(4, 2, 3, name="mine"))
    'gemm:M=4,K=2,N=3'
    """
    sizes = ",".join(f"{dimension}={size}" for dimension, size in workload.sizes.items())
    return f"{workload.kernel}:{sizes}{bits_suffix(workload)}"


@dataclass(frozen=True, slots=True)
class LayerProgress:
    """One more distinct workload is mapped.

    Parameters
    ----------
    done, total : int
        How many are mapped now, of how many.
    layer : str
        The first layer that runs it.
    workload : Workload
        As the architecture runs it.
    cost : LayerCost or None
        What the search found; None if it found nothing, while another lowering may.
    cached : bool
        Whether it was read from the cache.
    """

    done: int
    total: int
    layer: str
    workload: Workload
    cost: LayerCost | None
    cached: bool


@dataclass
class Found:
    """Outcomes of searches by workload, how many there will be, and who wants to know."""

    outcomes: dict[Workload, LayerCost | ToolkitError]
    total: int
    on_layer: Callable[[LayerProgress], None] | None
    searches: int = 0
    evaluations: int = 0
    read_evaluations: int = 0
    cached: set[Workload] = field(default_factory=set)

    def add(
        self, workload: Workload, layer: str, outcome: LayerCost | ToolkitError, *, cached: bool
    ) -> None:
        """Take down one more, and tell of it."""
        self.outcomes[workload] = outcome
        cost = outcome if isinstance(outcome, LayerCost) else None
        spent = cost.evaluations if cost is not None else 0
        if cached:
            self.cached.add(workload)
            self.read_evaluations += spent
        else:
            self.searches += 1
            self.evaluations += spent
        if self.on_layer is not None:
            done = len(self.outcomes)
            self.on_layer(LayerProgress(done, self.total, layer, workload, cost, cached))


@dataclass(frozen=True)
class Work:
    """What must be mapped; `work_of` lists it.

    Parameters
    ----------
    ways : dict
        By the name of a layer, how its workload can run.
    first : dict
        Distinct lowered workloads without names, and the first layer of each.
    places : dict
        By the name of a layer, how messages call it.
    """

    ways: dict[str, tuple[Lowered, ...]]
    first: dict[Workload, str]
    places: dict[str, str]

    def check(self, found: Found) -> None:
        """Raise if some layer has no way left."""
        for name, ways in self.ways.items():
            outcomes = [found.outcomes.get(nameless(way.workload)) for way in ways]
            failed = [outcome for outcome in outcomes if isinstance(outcome, ToolkitError)]
            if len(failed) == len(ways):
                raise _unfit(self.places[name], failed[0])


def work_of(graph: LayerGraph, arch: Architecture) -> Work:
    """List the distinct workloads of a network as an architecture runs them.

    Raises
    ------
    DoesNotFitError
        Naming the layer, if it cannot be lowered.
    """
    ways, first, places = {}, dict[Workload, str](), {}
    source = graph.graph.get("name", "")
    for layer in graph.layers:
        if layer.workload is None:
            continue
        place = f"{source}: " if source else ""
        places[layer.name] = f"{place}layer {layer.name!r} ({layer.operator})"
        try:
            ways[layer.name] = lowerings(arch, layer.workload)
        except ToolkitError as cause:
            raise _unfit(places[layer.name], cause) from None
        for way in ways[layer.name]:
            first.setdefault(nameless(way.workload), layer.name)
    return Work(ways, first, places)


def nameless(workload: Workload) -> Workload:
    """Call a workload by its content, so that equal ones are equal."""
    return replace(workload, name=content_name(workload))


def best_way(
    ways: Iterable[Lowered],
    outcomes: MappingOf[Workload, LayerCost | ToolkitError],
    objective: Objective,
) -> tuple[Lowered, LayerCost] | None:
    """Of the ways in which a workload can run, the best; None if none has a mapping.

    Parameters
    ----------
    outcomes : mapping of Workload to LayerCost or ToolkitError
        Of the searches, by the workload as `nameless` calls it.
    """
    best: tuple[float, Lowered, LayerCost] | None = None
    for way in ways:
        cost = outcomes[nameless(way.workload)]
        if isinstance(cost, LayerCost):
            value = float(objective.value(cost.energy_pj, cost.latency_cycles, cost.utilization))
            if best is None or value < best[0]:
                best = (value, way, cost)
    return None if best is None else best[1:]


def _unfit(place: str, cause: ToolkitError) -> DoesNotFitError:
    return DoesNotFitError(str(cause), source=place)
