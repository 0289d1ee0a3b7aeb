"""Which ready-made kernel an einsum computes, whatever its dimensions are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from toolkit.workload.kernel import Index, Tensor, Workload
from toolkit.workload.ready_made import (
    batched_gemm,
    conv2d,
    depthwise_conv2d,
    gemm,
    grouped_conv2d,
)


def structural_kernel(
    sizes: Mapping[str, int], tensors: Sequence[Tensor], name: str
) -> Workload | None:
    """Find the ready-made kernel that is the same loop nest, up to names and order.

    Parameters
    ----------
    sizes : mapping of str to int
        Iterations by dimension.
    tensors : sequence of Tensor
        The operands.
    name : str
        Name of the workload.

    Returns
    -------
    Workload or None
        None where there is none: the dimensions then keep their names.

    Examples
    --------
    >>> from toolkit.workload.files import parse_tensor
    >>> texts = {"input": "A[m, k]", "weight": "B[k, n]", "output": "C[m, n]"}
    >>> tensors = [parse_tensor(text, role) for role, text in texts.items()]
    >>> dict(structural_kernel({"m": 2, "k": 3, "n": 4}, tensors, "w").sizes)
    {'M': 4, 'K': 3, 'N': 2}
    """
    by_role: dict[str, Tensor] = {tensor.role: tensor for tensor in tensors}
    if len(tensors) != 3 or len(by_role) != 3:
        return None
    plain = [index for role in ("weight", "output") for index in by_role[role].indices]
    windows = [index for index in by_role["input"].indices if len(index) == 2]
    others = [index for index in by_role["input"].indices if len(index) != 2]
    if any(len(index) != 1 or index[0].coefficient != 1 for index in (*plain, *others)):
        return None
    inside = {t.dimension for index in windows for t in index}
    groups: dict[tuple[bool, bool, bool], list[str]] = {}
    for dimension in sizes:
        if dimension not in inside:
            member = tuple(
                any(t.dimension == dimension for index in by_role[role].indices for t in index)
                for role in ("weight", "input", "output")
            )
            groups.setdefault((member[0], member[1], member[2]), []).append(dimension)
    found = {key: [sizes[d] for d in dimensions] for key, dimensions in groups.items()}
    filters = found.pop((True, False, True), [])
    batch = found.pop((False, True, True), [])
    summed = found.pop((True, True, False), [])
    shared = found.pop((True, True, True), [])
    if found or max(map(len, (filters, summed, shared))) > 1:
        return None
    if windows:
        return _convolution(by_role, windows, sizes, (filters, batch, summed, shared), name)
    if not (filters and summed) or len(batch) > 3:
        return None
    if shared:
        if len(batch) > 1:
            return None
        return batched_gemm(shared[0], filters[0], summed[0], *(batch or [1]), name=name)
    if len(batch) > 1:
        # Several dimensions of the input alone: positions, over which a window of one moves.
        n, p, q = [None, *batch][-3:]
        return conv2d(filters[0], summed[0], p or 1, q or 1, 1, 1, n=n, name=name)
    return gemm(filters[0], summed[0], *(batch or [1]), name=name)


def _convolution(
    by_role: Mapping[str, Tensor],
    windows: Sequence[Index],
    sizes: Mapping[str, int],
    groups: tuple[list[int], list[int], list[int], list[int]],
    name: str,
) -> Workload | None:
    filters, batch, summed, shared = groups
    moved = {t.dimension for index in by_role["output"].indices for t in index}
    filtered = {t.dimension for index in by_role["weight"].indices for t in index}
    spans, strides, dilations = [], [], []
    for index in windows:
        over = [t for t in index if t.dimension in moved and t.dimension not in filtered]
        within = [t for t in index if t.dimension in filtered and t.dimension not in moved]
        if len(over) != 1 or len(within) != 1:
            return None
        spans.append((sizes[over[0].dimension], sizes[within[0].dimension]))
        strides.append(over[0].coefficient)
        dilations.append(within[0].coefficient)
    if len(windows) != 2 or len(batch) > 1:
        return None
    (p, r), (q, s) = spans
    rest: _Rest = {
        "n": batch[0] if batch and batch[0] > 1 else None,
        "stride": (strides[0], strides[1]),
        "dilation": (dilations[0], dilations[1]),
        "name": name,
    }
    if filters and summed and shared:
        return grouped_conv2d(shared[0], filters[0], summed[0], p, q, r, s, **rest)
    if filters and summed:
        return conv2d(filters[0], summed[0], p, q, r, s, **rest)
    if shared and not filters and not summed:
        return depthwise_conv2d(shared[0], p, q, r, s, **rest)
    return None


class _Rest(TypedDict):
    n: int | None
    stride: tuple[int, int]
    dilation: tuple[int, int]
    name: str
