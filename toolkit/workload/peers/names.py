"""Ready-made kernels in the clothes of other tools."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.workload.kernel import Tensor, Workload
from toolkit.workload.kinds import KINDS, build_kernel

_PLANE = {"B": "N", "K": "M", "C": "C", "OX": "Q", "OY": "P", "FX": "S", "FY": "R"}

ZIGZAG_NAMES: Mapping[str, Mapping[str, str]] = {
    "gemm": {"B": "N", "K": "M", "C": "K", "D": "N"},
    "batched-gemm": {"B": "B", "K": "M", "C": "K", "D": "N"},
    "conv": {**_PLANE, "G": "G"},
    "grouped-conv": {**_PLANE, "G": "G"},
    "depthwise-conv": {**_PLANE, "C": "", "G": "C"},
    "conv1d": {"B": "N", "K": "M", "C": "C", "OX": "P", "FX": "R", "OY": "", "FY": "", "G": ""},
}
"""By kernel, ZigZag's names of dimensions and ours; empty where ours has none."""

OWN_NAMES: Mapping[str, Mapping[str, str]] = {
    kernel: {dimension: dimension for dimension in (*kind.dimensions, "N")}
    for kernel, kind in KINDS.items()
}
"""By kernel, our own names."""


def ready_made(
    sizes: Mapping[str, int],
    tensors: tuple[Tensor, ...],
    names: Mapping[str, Mapping[str, str]],
    name: str | None,
) -> Workload | None:
    """Find the ready-made kernel that computes the same.

    Parameters
    ----------
    sizes : mapping of str to int
        Iterations by a peer's name of the dimension.
    tensors : tuple of Tensor
        With the peer's dimensions, in which a batch of 1 may be missing.
    names : mapping
        By kernel, the peer's names of dimensions and ours.
    name : str, optional
        Name of the workload; its specification if left out.

    Returns
    -------
    Workload or None
        None if there is none.

    Examples
    --------
    >>> from toolkit.workload.files import parse_tensor
    >>> texts = {"output": "O[B, K]", "input": "I[B, C]", "weight": "W[C, K]"}
    >>> tensors = tuple(parse_tensor(text, role) for role, text in texts.items())
    >>> ready_made({"B": 3, "K": 4, "C": 2}, tensors, ZIGZAG_NAMES, None).name
    'gemm:M=4,K=2,N=3'
    """
    for kernel, form in names.items():
        found = _as_kernel(kernel, form, sizes, tensors, name)
        if found is not None:
            return found
    return None


def _as_kernel(
    kernel: str,
    form: Mapping[str, str],
    sizes: Mapping[str, int],
    tensors: tuple[Tensor, ...],
    name: str | None,
) -> Workload | None:
    kind = KINDS[kernel]
    ours: dict[str, str] = {}
    # A dimension of size 1 goes if the kernel has no other use for it.
    for dimension, size in sorted(sizes.items(), key=lambda item: item[1] == 1):
        named = form.get(dimension, "")
        if named in kind.keys and named not in ours.values():
            ours[dimension] = named
        elif size > 1:
            return None
    values = {ours[dimension]: size for dimension, size in sizes.items() if dimension in ours}
    if not set(kind.dimensions) <= values.keys():
        return None
    if "N" not in kind.dimensions and values.get("N") == 1:
        del values["N"]
    known = {theirs: named for theirs, named in ours.items() if named in values}
    steps = {
        f"{known[term.dimension]}{word}": term.coefficient
        for tensor in tensors
        for index in tensor.indices
        if len(index) > 1
        for term in index
        if term.dimension in known
        for word in ("stride", "dilation")
    }
    values.update((key, step) for key, step in steps.items() if key in kind.keys)
    candidate = build_kernel(kernel, values, name=name)
    same = {dimension: dimension for dimension in candidate.sizes}
    return candidate if _shape(tensors, known) == _shape(candidate.tensors, same) else None


_Axis = list[tuple[str, int]]


def _shape(tensors: tuple[Tensor, ...], names: Mapping[str, str]) -> list[tuple[str, list[_Axis]]]:
    """Tensors without their names and without the order of their axes, to be compared."""
    shapes: list[tuple[str, list[_Axis]]] = []
    for tensor in tensors:
        axes = (
            sorted((names[t.dimension], t.coefficient) for t in index if t.dimension in names)
            for index in tensor.indices
        )
        shapes.append((tensor.role, sorted(axis for axis in axes if axis)))
    return sorted(shapes)
