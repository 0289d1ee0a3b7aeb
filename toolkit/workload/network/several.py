"""Several models, with sizes of dynamic dimensions that some of them have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from toolkit.workload.network.graph import LayerGraph
from toolkit.workload.network.load import load_network
from toolkit.workload.network.shapes import UnknownDimensionError
from toolkit.workload.network.sources import ModelSource, source_of


def load_networks(
    models: Sequence[ModelSource],
    dims: Mapping[str, int] | None = None,
    load: Callable[[ModelSource, Mapping[str, int]], LayerGraph] = load_network,
) -> tuple[LayerGraph, ...]:
    """Read several models.

    Parameters
    ----------
    models : sequence of path-like or ModelProto
        As `load_network` takes them.
    dims : mapping of str to int, optional
        Sizes of dynamic dimensions, each for all models that have it: at least one must.
    load : callable
        What reads one: `load_network`, with options bound where there are any.

    Raises
    ------
    WorkloadError
        As `load_network`.

    Examples
    --------
    >>> import toolkit
    >>> [graph.macs for graph in toolkit.load_networks(["alexnet"])]
    [714188480]
    """
    used: set[str] = set()
    refused: dict[str, UnknownDimensionError] = {}
    graphs = []
    for model in models:
        # Layers in ZigZag's form have no dynamic dimensions.
        static = Path(source_of(model)).suffix.lower() in (".yaml", ".yml")
        own, graph = {} if static else dict(dims or {}), None
        while graph is None:
            try:
                graph = load(model, own)
            except UnknownDimensionError as cause:
                refused[cause.name] = cause
                del own[cause.name]
        graphs.append(graph)
        used.update(own)
    for name, refusal in refused.items():
        if name not in used:
            raise refusal
    return tuple(graphs)
