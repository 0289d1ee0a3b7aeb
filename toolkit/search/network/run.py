"""Mapping a network: every distinct workload once, in parallel, through the cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from toolkit.arch.architecture import Architecture, VectorUnit
from toolkit.arch.packing import accumulator_bits, operand_bits
from toolkit.arguments import check_kind
from toolkit.compilation import clock
from toolkit.errors import DoesNotFitError, InputError, ToolkitError
from toolkit.mapping.bypasses import Bypass, with_bypass_rule
from toolkit.mapping.mapping import Mapping as LoopMapping
from toolkit.mapping.space import Factors
from toolkit.model.conventions import EXACT, Conventions
from toolkit.model.vector_unit import vector_unit_of
from toolkit.processes import Jobs, available_cores, check_jobs, in_processes
from toolkit.search.network.cache import LayerCache, cache_at
from toolkit.search.network.cost import LayerCost, LayerSearch
from toolkit.search.network.lowering import Lowered
from toolkit.search.network.overlap import overlapped_cycles, task_of
from toolkit.search.network.result import LayerResult, NetworkResult
from toolkit.search.network.vector_layers import layer_vector_cost
from toolkit.search.network.workloads import (
    Found,
    LayerProgress,
    Work,
    attempted,
    best_way,
    given_cost,
    nameless,
    problem_of,
    work_of,
)
from toolkit.search.objective import Function, Objective, objective_named
from toolkit.search.result import Budget
from toolkit.workload.kernel import Workload
from toolkit.workload.network.elementwise import fold_elementwise
from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.layer import Layer


def map_network(
    graph: LayerGraph,
    arch: Architecture,
    strategy: str = "greedy",
    *,
    budget: Budget | None = None,
    objective: str | Objective | Function = "edp",
    conventions: Conventions = EXACT,
    seed: int = 0,
    pad: bool | Collection[str] | str = True,
    factors: Factors | None = None,
    bypass: Bypass = "permitted",
    overlap_vector: bool = False,
    jobs: Jobs | None = None,
    cache: bool | str | os.PathLike[str] = True,
    on_layer: Callable[[LayerProgress], None] | None = None,
) -> NetworkResult:
    """Map every layer of a network, each on the whole accelerator.

    Layers with a workload are searched, identical workloads once, whatever their names. They are
    lowered to the dimensions that the architecture speaks of (`lowerings`), and where there are
    several ways the best by the objective is taken. Elementwise layers of one activation are
    applied on the way out of the layer before them (`toolkit.workload.network.elementwise`);
    all other layers run on the vector unit, or
    move elements, or are free (`toolkit.model.vector_unit`).

    Parameters
    ----------
    graph : LayerGraph
        See `toolkit.load_network`.
    arch : Architecture
        The accelerator.
    strategy : str
        A key of `toolkit.STRATEGIES`.
    budget : Budget, optional
        Limits of each search; those of `toolkit.LayerSearch` by default.
    objective : str, Objective or callable
        What each search minimises.
    conventions : Conventions
        How costs are counted.
    seed : int
        Seed of each search.
    pad : bool or collection of str or "all"
        Whether sizes may be rounded up where constraints do not divide them; or the dimensions
        (of the workloads as the architecture runs them) whose padded size is chosen under the
        objective by short searches before each search, while others are rounded up. The notes of
        a layer say so.
    factors : {"perfect", "ragged"}, optional
        Whether factors multiply to the sizes, or last tiles may be cut off; by default what the
        conventions say, perfect where padded sizes are chosen.
    bypass : {"permitted", "free", "fixed"}
        Which tensors mappings may leave out of memories (see `toolkit.make_problem`); the result
        is on the architecture with that written in.
    overlap_vector : bool
        Whether layers of the vector unit run beside those of the array
        (`toolkit.search.network.overlap`); otherwise layers run one after the other.
    jobs : int or Cluster, optional
        Processes; as many as there are cores by default, or those of a `toolkit.Cluster`. Results
        do not depend on it, unless a budget of seconds binds.
    cache : bool or path-like
        Whether results are kept between runs, and read instead of searched; or in which folder
        (`default_cache_folder` otherwise). Objectives that are functions are not kept.
    on_layer : callable, optional
        Called with the `LayerProgress` after each search.

    Raises
    ------
    DoesNotFitError
        Naming the layer, if it cannot be lowered, or there is no mapping. What can be told
        without a search is told before the first one.
    InputError
        If the strategy, objective, rule of bypasses, seed or number of jobs is not as expected, no
        workload has a dimension of `pad`, or padded sizes are to be chosen for ragged factors.

    Examples
    --------
    >>> import toolkit
    >>> graph = toolkit.LayerGraph.from_layers([])
    >>> toolkit.map_network(graph, toolkit.load_arch("eyeriss")).energy_pj
    0.0
    """
    check_kind(graph, LayerGraph, "graph")
    check_kind(arch, Architecture, "arch")
    check_kind(conventions, Conventions, "conventions")
    arch = with_bypass_rule(arch, bypass)
    graph = fold_elementwise(graph, operand_bits(arch), accumulator_bits(arch))
    start = clock()
    jobs = available_cores() if jobs is None else check_jobs(jobs)
    wanted = LayerSearch(
        strategy, budget, seed, objective_named(objective), conventions, pad, factors
    )
    plan, store = work_of(graph, arch), cache_at(cache)
    _check_padding(plan, wanted)
    found = Found({}, len(plan.first), on_layer)
    for workload, name in plan.first.items():
        cost = store.read(arch, workload, wanted) if store is not None else None
        if cost is not None:
            found.add(workload, name, cost, cached=True)
    reads, warnings = len(found.outcomes), list(graph.warnings)
    if reads < len(plan.first) or not plan.first:
        _check_search(plan, arch, wanted, found)
    pending = [workload for workload in plan.first if workload not in found.outcomes]
    if not _search(plan, arch, wanted, pending, store, jobs, found):
        warnings.append(f"results cannot be kept in {store.folder if store else ''}")
    result = network_result(graph, arch, wanted, plan, found)
    cycles = None
    if overlap_vector:
        tasks = {layer.name: task_of(layer, arch, conventions) for layer in result.layers}
        cycles = overlapped_cycles(graph, tasks)
    return replace(
        result,
        searches=len(pending),
        reads=reads,
        seconds=clock() - start,
        overlapped_cycles=cycles,
        warnings=tuple(warnings),
    )


def given_network(
    graph: LayerGraph,
    arch: Architecture,
    mappings: Sequence[LoopMapping | None],
    search: LayerSearch,
) -> NetworkResult:
    """Cost a network by mappings that somebody has already, instead of searching for them.

    Parameters
    ----------
    graph, arch : LayerGraph, Architecture
        As for `map_network`.
    mappings : sequence of Mapping or None
        As `mappings_of` lists them.
    search : LayerSearch
        What is minimised, how costs are counted and sizes padded; nothing is searched.

    Raises
    ------
    DoesNotFitError
        Naming the layer, if a mapping is not valid on this architecture.
    InputError
        If these are the mappings of other workloads.
    """
    start = clock()
    graph = fold_elementwise(graph, operand_bits(arch), accumulator_bits(arch))
    plan = work_of(graph, arch)
    if len(mappings) != len(plan.first):
        raise InputError(
            f"{len(mappings)} mappings for {len(plan.first)} distinct workloads", key="mappings"
        )
    found = Found({}, len(plan.first), None)
    for (workload, name), mapping in zip(plan.first.items(), mappings, strict=True):
        outcome: LayerCost | ToolkitError = DoesNotFitError("no mapping was given")
        if mapping is not None:
            try:
                outcome = given_cost(arch, workload, search, mapping)
            except DoesNotFitError as cause:
                outcome = cause
        found.add(workload, name, outcome, cached=False)
    plan.check(found)
    result = network_result(graph, arch, search, plan, found)
    return replace(result, searches=found.searches, seconds=clock() - start)


def mappings_of(result: NetworkResult) -> tuple[LoopMapping | None, ...]:
    """List the mappings of a network by its distinct workloads, as `given_network` takes them.

    None stands for ways of lowering that no layer took.
    """
    plan = work_of(result.graph, result.arch)
    taken = {}
    for layer in result.layers:
        for way in plan.ways.get(layer.name, ()):
            if layer.cost is not None and way.how == layer.lowering:
                taken[nameless(way.workload)] = layer.cost.mapping
    return tuple(taken.get(workload) for workload in plan.first)


def network_result(
    graph: LayerGraph, arch: Architecture, search: LayerSearch, plan: Work, found: Found
) -> NetworkResult:
    """Put together what a network costs whose workloads are mapped.

    Parameters
    ----------
    graph : LayerGraph
        With elementwise operators folded.
    search : LayerSearch
        How the best way to run a layer is told.
    plan, found : Work, Found
        What had to be mapped, and what became of it.
    """
    unit, assumed = vector_unit_of(arch)
    typed = graph.precision is not None
    layers = tuple(
        _result(layer, plan.ways.get(layer.name, ()), found, arch, unit, search, typed=typed)
        for layer in graph.layers
    )
    return NetworkResult(
        graph,
        arch,
        search,
        unit,
        assumed,
        layers,
        evaluations=found.evaluations,
        read_evaluations=found.read_evaluations,
        warnings=graph.warnings,
    )


def map_layer(
    layer: Layer,
    arch: Architecture,
    search: LayerSearch | None = None,
    *,
    typed: bool = False,
    cache: bool | str | os.PathLike[str] = True,
) -> LayerResult:
    """Map one layer in this process, as `map_network` does.

    Parameters
    ----------
    layer : Layer
        Of any class.
    arch : Architecture
        The accelerator.
    search : LayerSearch, optional
        How to search; greedily for the least energy-delay product by default.
    typed : bool
        Whether what the vector unit computes and moves has the bits of its types; otherwise each
        value takes a word. The workload has bits of its own.
    cache : bool or path-like
        As for `map_network`.

    Raises
    ------
    DoesNotFitError
        Naming the layer, if it cannot be lowered, or there is no mapping.
    """
    wanted = search or LayerSearch()
    graph = LayerGraph.from_layers([layer])
    plan, store = work_of(graph, arch), cache_at(cache)
    found = Found({}, len(plan.first), None)
    for workload, name in plan.first.items():
        cost = store.read(arch, workload, wanted) if store is not None else None
        outcome = cost or attempted(wanted, (arch, workload))
        if store is not None and cost is None and isinstance(outcome, LayerCost):
            store.write(arch, workload, wanted, outcome)
        found.add(workload, name, outcome, cached=cost is not None)
        plan.check(found)
    unit, _ = vector_unit_of(arch)
    ways = plan.ways.get(layer.name, ())
    return _result(layer, ways, found, arch, unit, wanted, typed=typed)


def _check_padding(plan: Work, search: LayerSearch) -> None:
    if isinstance(search.pad, bool) or not plan.first:
        return
    known = dict.fromkeys(d for workload in plan.first for d in workload.dimensions)
    names = (search.pad,) if isinstance(search.pad, str) else search.pad
    unknown = [repr(name) for name in names if name not in (*known, "all")]
    if unknown:
        raise InputError(
            f"unknown dimension {', '.join(unknown)}; expected 'all' or some of "
            f"{', '.join(known)}",
            key="pad",
        )


def _check_search(plan: Work, arch: Architecture, search: LayerSearch, found: Found) -> None:
    """Find out before any search what cannot be mapped, and note why."""
    from toolkit.search.registry import find_strategy

    find_strategy(search.strategy).load()
    for workload in plan.first:
        if workload not in found.outcomes:
            try:
                problem_of(arch, workload, search, choose=False)
            except ToolkitError as cause:
                found.outcomes[workload] = cause
    plan.check(found)


def _search(
    plan: Work,
    arch: Architecture,
    search: LayerSearch,
    pending: Sequence[Workload],
    store: LayerCache | None,
    jobs: Jobs,
    found: Found,
) -> bool:
    """Search what is pending; tell whether all results could be kept that should be."""
    kept = True
    tasks = [(arch, workload) for workload in pending]
    for place, outcome in in_processes(partial(attempted, search), tasks, jobs):
        workload = pending[place]
        if isinstance(outcome, LayerCost) and store is not None:
            written = store.write(arch, workload, search, outcome)
            kept &= written or search.objective.function is not None
        found.add(workload, plan.first[workload], outcome, cached=False)
        plan.check(found)
    return kept


def _result(
    layer: Layer,
    ways: Sequence[Lowered],
    found: Found,
    arch: Architecture,
    unit: VectorUnit,
    search: LayerSearch,
    *,
    typed: bool,
) -> LayerResult:
    vector = layer_vector_cost(arch, unit, layer, search.conventions, typed=typed)
    best = best_way(ways, found.outcomes, search.objective)
    if best is None:
        return LayerResult(layer, None, vector, layer.repetitions, layer.cost_class)
    way, cost = best
    mapped = replace(cost, workload=replace(cost.workload, name=way.workload.name))
    return LayerResult(
        layer,
        mapped,
        vector,
        layer.repetitions,
        way.how,
        (*way.notes, *cost.notes),
        nameless(way.workload) in found.cached,
    )
