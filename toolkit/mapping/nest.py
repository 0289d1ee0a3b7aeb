"""A mapping as the loop nest that it stands for."""

from __future__ import annotations

from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Compute, Memory
from toolkit.mapping.footprint import Footprint, check_footprint, exact_tensor_words
from toolkit.mapping.mapping import Mapping, to_arrays
from toolkit.workload.kernel import Index, Tensor, Workload

_INDENT = "  "


def render(
    mapping: Mapping,
    arch: Architecture,
    workload: Workload,
    *,
    footprint: Footprint = "distinct",
) -> str:
    """Write a mapping as a readable loop nest.

    Every memory opens with the tensors it holds and the words of their tiles there, followed
    by its loops, outermost first; loops of one iteration are left out.

    Parameters
    ----------
    mapping : Mapping
        What to show; it need not be valid.
    arch, workload : Architecture, Workload
        What it maps.
    footprint : {"distinct", "stride_blind", "bounding"}
        How tiles are counted.

    Returns
    -------
    str
        Lines of text, the last one ended.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`.
    PrecisionError
        If a window is too wide to be counted by enumeration.
    """
    check_footprint(footprint)
    factors, order = to_arrays(mapping, arch, workload)
    names = workload.dimensions
    lines: list[str] = []
    depth = 0
    for i, level in enumerate(arch.levels):
        extents = [prod(column) for column in factors[i:].T.tolist()]
        loops = [(names[d], int(factors[i, d])) for d in order[i] if factors[i, d] > 1]
        if isinstance(level, Memory):
            lines.append(_INDENT * depth + _heading(level, workload, extents, footprint))
        else:
            used = prod(factor for _, factor in loops)
            lines.append(_INDENT * depth + f"{level.name}: {used} of {level.mesh} instances")
        word = "for" if isinstance(level, Memory) else "parallel-for"
        for dimension, factor in loops:
            depth += 1
            lines.append(_INDENT * depth + f"{word} {dimension.lower()} in 0..{factor}")
        depth += 1
        if isinstance(level, Compute):
            lines.append(_INDENT * depth + _statement(workload))
    return "\n".join(lines) + "\n"


def _heading(memory: Memory, workload: Workload, extents: list[int], footprint: Footprint) -> str:
    held = []
    total = 0
    for tensor in workload.tensors:
        if holds(memory, tensor):
            words = exact_tensor_words(tensor, extents, workload.dimensions, footprint)
            total += words
            held.append(f"{tensor.name} {words:,}")
    capacity = "unlimited" if memory.capacity_words is None else f"{memory.capacity_words:,}"
    copies = memory.multiple_buffering
    times = f" x {copies:g} copies" if copies != 1 else ""
    tensors = " + ".join(held) or "nothing"
    words_text = f" = {total:,}" if len(held) > 1 else ""
    return f"{memory.name}: {tensors}{words_text}{times} of {capacity} words"


def _statement(workload: Workload) -> str:
    inputs = " * ".join(_access(t) for t in workload.tensors if t.role != "output")
    return f"{_access(workload.output)} += {inputs}"


def _access(tensor: Tensor) -> str:
    return f"{tensor.name}[{', '.join(_subscript(index) for index in tensor.indices)}]"


def _subscript(index: Index) -> str:
    return " + ".join(
        term.dimension.lower()
        if term.coefficient == 1
        else f"{term.coefficient}*{term.dimension.lower()}"
        for term in index
    )
