"""Timeloop's YAML: a list of directives, each about one level.

A directive names its level (``target``) and what it speaks of (``type``): ``temporal`` and
``spatial`` give ``factors`` (``C=3 K=4``, ``C3 K4``, or a list of either) and a ``permutation``,
innermost loop first; ``bypass``, ``datatype`` or ``dataspace`` give the tensors to ``keep`` and to
``bypass``. ``mapping:`` holds the list, or ``{version, nodes}``; a bare list will do.

Targets are names of our memories, upper or lower case, in any order; a spatial directive may also
name the fanout itself. Other names are taken to list all memories, outermost first. The ``split``
of a spatial directive tells how many entries of its permutation unroll along X.

A factor of 0 is what the other factors of that dimension leave, at one level at most. A dimension
whose factors do not yet multiply to its size gets the rest at the one memory that does not mention
it, if there is only one. Apart from that, factors left out are 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.mapping.factors import shown
from toolkit.mapping.mapping import IntArray, Mapping, to_arrays
from toolkit.mapping.peers.loops import Loop, Names, Target, memory_positions, written_names
from toolkit.mapping.peers.marked_yaml import parse_marked
from toolkit.mapping.peers.spatial import (
    check_no_hidden_unrolling,
    check_spatial,
    place_spatial,
    spatial_positions,
)
from toolkit.mapping.peers.timeloop_directives import Directive, read_directives
from toolkit.workload.kernel import Workload
from toolkit.yaml_files import dump_yaml

_ROLES = {"weight": "Weights", "input": "Inputs", "output": "Outputs"}


def yaml_rows(text: str, target: Target, names: Names) -> list[list[Loop]]:
    """Read the loops of every level, outermost first.

    Parameters
    ----------
    text : str
        A YAML document.
    target : Target
        What is read.
    names : mapping
        Timeloop's names of dimensions and ours.

    Raises
    ------
    MappingError
        Naming source, line and directive.
    """
    directives = read_directives(parse_marked(text, target.source), target, names)
    rows: list[list[Loop]] = [[] for _ in target.arch.levels]
    for directive in _complete(directives, target):
        loops = _ordered(directive, target)
        if directive.kind == "temporal":
            rows[directive.position].extend(loops)
        elif isinstance(target.arch.levels[directive.position], Memory):
            along_x = directive.permutation[: directive.split]
            by_axis = {
                "X": [loop for loop in loops if loop.dimension in along_x],
                "Y": [loop for loop in loops if loop.dimension not in along_x],
            }
            if directive.split is None:
                by_axis = {"": loops}
            place_spatial(target, rows, directive.position, by_axis, directive.label)
        else:
            for loop in loops:
                check_spatial(target, directive.position, loop, directive.label)
            rows[directive.position].extend(loops)
    return rows


def _complete(directives: Sequence[Directive], target: Target) -> list[Directive]:
    """Replace factors of 0, and factors that only one memory leaves out, by what is left."""
    factors = [dict(directive.factors) for directive in directives]
    silent = _silent_memories(directives, target)
    everything = [*directives, *silent]
    factors += [{} for _ in silent]
    for dimension, size in target.workload.sizes.items():
        rest = [i for i, given in enumerate(factors) if given.get(dimension) == 0]
        known = prod(given.get(dimension, 1) or 1 for given in factors)
        if len(rest) > 1:
            first, second = (everything[i] for i in rest[:2])
            raise target.error(
                f"{second.label}: the factor 0 of {dimension} stands for the rest, which "
                f"{first.label} on line {first.line} already has",
                second.line,
            )
        if rest and size % known:
            place = everything[rest[0]]
            raise target.error(
                f"{place.label}: the other factors of {dimension} multiply to "
                f"{shown(known)}, which does not divide {dimension} = {size}",
                place.line,
            )
        if not rest and known < size and size % known == 0:
            rest = [
                i
                for i, directive in enumerate(everything)
                if directive.kind == "temporal" and dimension not in factors[i]
            ]
        if len(rest) == 1:
            factors[rest[0]][dimension] = size // known
    return [
        Directive(d.label, d.kind, d.position, d.line, given, d.permutation, d.split)
        for d, given in zip(everything, factors, strict=True)
    ]


def _silent_memories(directives: Sequence[Directive], target: Target) -> list[Directive]:
    spoken = {d.position for d in directives if d.kind == "temporal"}
    levels = target.arch.levels
    return [
        Directive(f"{levels[i].name} temporal", "temporal", i, 1, {})
        for i in memory_positions(target.arch)
        if i not in spoken
    ]


def _ordered(directive: Directive, target: Target) -> list[Loop]:
    """List the loops of more than one iteration, outermost first."""
    given = {d: factor for d, factor in directive.factors.items() if factor > 1}
    missing = [d for d in given if d not in directive.permutation]
    if missing and len(given) > 1 and directive.kind == "temporal":
        raise target.error(
            f"{directive.label}: {', '.join(missing)} missing from the permutation, but every "
            "dimension that iterates more than once must be listed, innermost first",
            directive.line,
        )
    order = [*directive.permutation, *missing]
    return [
        Loop(d, given[d], f"{directive.label} {d}={given[d]}", directive.line)
        for d in reversed(order)
        if d in given
    ]


def yaml_text(mapping: Mapping, arch: Architecture, workload: Workload, names: Names) -> str:
    """Write a mapping as a document that `yaml_rows` reads back.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`, or a name cannot be written.
    """
    factors, order = to_arrays(mapping, arch, workload)
    check_no_hidden_unrolling(factors, arch)
    theirs = written_names(arch, workload, names, "Timeloop")
    entries: list[dict[str, object]] = []
    for i, level in enumerate(arch.levels):
        if isinstance(level, Memory):
            innermost_first = [theirs[d] for d in order[i][::-1]]
            entries.append(_loops(level.name, "temporal", factors[i], theirs, innermost_first))
            entries.extend(_spatial(arch, i, factors, theirs))
            entries.append(_bypass(level, workload))
    return "# Timeloop mapping; permutations are innermost loop first\n" + dump_yaml(
        {"mapping": entries}
    )


def _loops(
    name: str, kind: str, row: IntArray, theirs: Sequence[str], permutation: Sequence[str]
) -> dict[str, object]:
    short = all(len(word) == 1 for word in permutation)
    return {
        "target": name,
        "type": kind,
        "factors": " ".join(f"{d}={factor}" for d, factor in zip(theirs, row, strict=True)),
        "permutation": "".join(permutation) if short else list(permutation),
    }


def _spatial(
    arch: Architecture, memory: int, factors: IntArray, theirs: Sequence[str]
) -> list[dict[str, object]]:
    inside = spatial_positions(arch, memory)
    numbers = range(len(theirs))
    unrolled = [[d for d in numbers if factors[i, d] > 1] for i in inside]
    if not any(unrolled):
        return []
    if len(inside) > 2 or len(set().union(*unrolled)) < sum(map(len, unrolled)):
        return [
            _loops(arch.levels[i].name, "spatial", factors[i], theirs, theirs)
            for i, some in zip(inside, unrolled, strict=True)
            if some
        ]
    together = factors[list(inside)].prod(axis=0)
    along_y = set(unrolled[-1]) if len(inside) == 2 else set()
    permutation = sorted(numbers, key=lambda d: d in along_y)
    entry = _loops(
        arch.levels[memory].name,
        "spatial",
        together,
        theirs,
        [theirs[d] for d in permutation],
    )
    return [entry | {"split": len(theirs) - len(along_y)}]


def _bypass(memory: Memory, workload: Workload) -> dict[str, object]:
    roles = [tensor.role for tensor in workload.tensors]
    words = {
        tensor.name: _ROLES[tensor.role] if roles.count(tensor.role) == 1 else tensor.name
        for tensor in workload.tensors
    }
    kept = [words[t.name] for t in workload.tensors if holds(memory, t)]
    bypassed = [words[t.name] for t in workload.tensors if not holds(memory, t)]
    return {"target": memory.name, "type": "bypass", "keep": kept, "bypass": bypassed}
