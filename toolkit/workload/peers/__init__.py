"""Workloads in the formats of other tools; FORMATS.md says what carries over and what does not."""

from __future__ import annotations

from collections.abc import Collection

from toolkit.errors import WorkloadError
from toolkit.messages import describe, suggest
from toolkit.workload.kernel import Workload
from toolkit.workload.peers.accelforge import is_einsums, read_einsums
from toolkit.workload.peers.timeloop import is_problem, problem_workload
from toolkit.workload.peers.zigzag import is_layers, layer_workload, read_layers


def peer_workload(data: object, source: str, name: str, layer: str | None) -> Workload | None:
    """Read a workload of Timeloop's or ZigZag's.

    Parameters
    ----------
    data : object
        A file as plain data.
    source : str
        The file, for messages.
    name : str
        Name of the workload, to which that of the layer is added.
    layer : str, optional
        The layer to take; not needed where there is only one.

    Returns
    -------
    Workload or None
        None if the file is not one of theirs.

    Raises
    ------
    WorkloadError
        Naming file, key, value and expectation; if the file has several layers, their names.
    """
    if is_layers(data):
        return _one_layer(data, source, name, layer)
    if is_einsums(data):
        einsums = {einsum.name: einsum for einsum in read_einsums(data, source)}
        chosen = _chosen(einsums, source, layer)
        return einsums[chosen].workload(name if layer is None else f"{name}/{layer}")
    if is_problem(data):
        if layer is not None:
            raise WorkloadError(
                f"holds one problem, no layer {describe(layer)}; leave the name out", source=source
            )
        return problem_workload(data, source, name)
    return None


def _one_layer(data: object, source: str, name: str, layer: str | None) -> Workload:
    layers = {entry.label: entry for entry in read_layers(data, source)}
    chosen = _chosen(layers, source, layer)
    return layer_workload(layers[chosen], source, name if layer is None else f"{name}/{layer}")


def _chosen(names: Collection[str], source: str, layer: str | None) -> str:
    """Find the layer that is asked for, or the only one."""
    if layer is None and len(names) > 1:
        raise WorkloadError(
            f"holds {len(names)} layers where one workload is expected; name one, such as "
            f"{source}:{next(iter(names))}, or read all with load_network. "
            f"Layers: {_listed(names)}",
            source=source,
        )
    if layer is None:
        return next(iter(names))
    if layer not in names:
        raise WorkloadError(
            f"no layer {describe(layer)}{suggest(layer, names)}; expected one of {_listed(names)}",
            source=source,
        )
    return layer


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:40]
    return ", ".join(shown) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
