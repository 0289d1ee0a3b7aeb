"""What mapping a network takes: its distinct workloads, and what was found of them so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from toolkit.arch.architecture import Architecture
from toolkit.errors import DoesNotFitError, ToolkitError
from toolkit.search.network.cost import LayerCost
from toolkit.search.network.lowering import Lowered, lowerings
from toolkit.search.network.single import content_name
from toolkit.workload.kernel import Workload
from toolkit.workload.network.graph import LayerGraph


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


def _unfit(place: str, cause: ToolkitError) -> DoesNotFitError:
    return DoesNotFitError(str(cause), source=place)
