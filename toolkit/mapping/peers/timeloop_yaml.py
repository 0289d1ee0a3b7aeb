"""Timeloop's YAML: a list of directives, each about one level.

A directive names its level (``target``) and what it speaks of (``type``): ``temporal`` and
``spatial`` give ``factors`` (``C=3 K=4``, ``C3 K4``, or a list of either) and a ``permutation``,
innermost loop first; ``bypass``, ``datatype`` or ``dataspace`` give the tensors to ``keep`` and to
``bypass``. ``mapping:`` holds the list, or ``{version, nodes}``; a bare list will do.

Targets are names of our memories, upper or lower case, in any order; a spatial directive may also
name the fanout itself, or what its two axes are called after (``PEs`` for ``PEs_X`` and
``PEs_Y``). Other names are taken to list all memories, one way or the other (see
`toolkit.mapping.peers.timeloop_order`), if they tell no other kinds of memories; a warning says
which stands for which. The ``split`` of a spatial directive tells how many
entries of its permutation unroll along X.

``C=51,13`` iterates 51 times, and 13 times in its last round (Timeloop's imperfect factors, after
Ruby). A factor of 0 is what the other factors of that dimension leave, at one level at most. A
dimension whose factors do not yet multiply to its size gets the rest at the one memory that does
not mention it, if there is only one. Apart from that, factors left out are 1.

What a memory is said to bypass, or to keep, must be what it does in the architecture, or what that
permits a mapping to choose (``may_bypass``); tensors that are not mentioned are where the
architecture has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.mapping import Mapping as ToolkitMapping
from toolkit.mapping.peers.loops import Loop, Names, Target, assemble
from toolkit.mapping.peers.memories import (
    check_kept,
    chosen_bypasses,
    memory_positions,
    tensors_called,
)
from toolkit.mapping.peers.spatial import check_spatial, place_spatial
from toolkit.mapping.peers.timeloop_entries import (
    Entry,
    read_entries,
    read_factors,
    read_permutation,
    read_split,
    read_tensors,
)
from toolkit.mapping.peers.timeloop_order import Positions, read_in_order
from toolkit.messages import shown
from toolkit.peer_files import parse_marked


@dataclass(frozen=True, slots=True)
class _Directive:
    """What one entry says of the loops of a level.

    Parameters
    ----------
    label : str
        How messages call it.
    kind : {"temporal", "spatial"}
        Which loops.
    position : int
        Of the level: a memory, or for spatial loops also a spatial level.
    line : int
        Where it begins.
    factors : mapping of str to int
        By our names of dimensions; 0 stands for what other levels leave.
    permutation : tuple of str
        Our names of dimensions, innermost loop first.
    split : int or None
        How many entries of the permutation unroll along X, the others along Y.
    last : mapping of str to int
        Iterations in the last round, of those dimensions for which the file tells them.
    """

    label: str
    kind: str
    position: int
    line: int
    factors: Mapping[str, int]
    permutation: tuple[str, ...] = ()
    split: int | None = None
    last: Mapping[str, int] = field(default_factory=dict)


def yaml_mapping(text: str, target: Target, names: Names) -> ToolkitMapping:
    """Read a mapping.

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
    document = parse_marked(text, source=target.source or "mapping", error=MappingError)
    entries = [e for e in read_entries(document, target) if not _only_shapes(e, names)]
    fanouts = _fanouts_called(target.arch)
    memories: dict[str, int] = {}
    for entry in entries:
        if entry.kind != "spatial" or entry.name.casefold() not in fanouts:
            memories.setdefault(entry.name, entry.line())

    def read(positions: Positions) -> ToolkitMapping:
        places = [_place(entry, positions, fanouts) for entry in entries]
        _check_once(entries, places, target)
        chosen = {
            i: _chosen(entry, level)
            for entry, i in zip(entries, places, strict=True)
            if entry.kind == "bypass" and isinstance(level := target.arch.levels[i], Memory)
        }
        directives = [
            _directive(entry, i, names)
            for entry, i in zip(entries, places, strict=True)
            if entry.kind != "bypass"
        ]
        return assemble(target, _rows(directives, target), chosen)

    return read_in_order(target, list(memories.items()), read)


def _fanouts_called(arch: Architecture) -> dict[str, int]:
    """Positions of spatial levels by name; of two axes together that of the memory outside."""
    names = [level.name.casefold() for level in arch.levels]
    found = {name: i for i, name in enumerate(names) if not isinstance(arch.levels[i], Memory)}
    for i in memory_positions(arch):
        inside = names[i + 1 : i + 3]
        stem = inside[0].removesuffix("_x") if inside else ""
        if inside == [f"{stem}_x", f"{stem}_y"] and found.keys() >= set(inside):
            found.setdefault(stem, i)
    return found


def _place(entry: Entry, memories: Positions, fanouts: Positions) -> int:
    """Position of the level that a directive is about."""
    position = memories.get(entry.name, -1)
    if entry.kind == "spatial":
        position = fanouts.get(entry.name.casefold(), position)
    return position


def _check_once(entries: Sequence[Entry], places: Sequence[int], target: Target) -> None:
    """Refuse a second directive of a kind for a level."""
    seen: dict[tuple[int, str], int] = {}
    for entry, position in zip(entries, places, strict=True):
        line, key = entry.line(), (position, entry.kind)
        if key in seen:
            raise target.error(
                f"{entry.label}: a second {entry.kind} directive for "
                f"{target.arch.levels[position].name}, after line {seen[key]}",
                line,
            )
        seen[key] = line


def _directive(entry: Entry, position: int, names: Names) -> _Directive:
    factors = read_factors(entry, names)
    return _Directive(
        entry.label,
        entry.kind,
        position,
        entry.line(),
        factors.factors,
        read_permutation(entry, names),
        read_split(entry),
        factors.last,
    )


def _rows(directives: Sequence[_Directive], target: Target) -> list[list[Loop]]:
    """Put the loops of all directives on their levels, outermost first."""
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


def _complete(directives: Sequence[_Directive], target: Target) -> list[_Directive]:
    """Replace factors of 0, and factors that only one memory leaves out, by what is left."""
    spoken = {d.position for d in directives if d.kind == "temporal"}
    silent = [
        _Directive(f"{target.arch.levels[i].name} temporal", "temporal", i, 1, {})
        for i in memory_positions(target.arch)
        if i not in spoken
    ]
    everything = [*directives, *silent]
    factors = [dict(directive.factors) for directive in everything]
    for dimension, size in target.workload.sizes.items():
        rest = [i for i, given in enumerate(factors) if given.get(dimension) == 0]
        cut_off = [directive for directive in everything if dimension in directive.last]
        if rest and cut_off:
            raise target.error(
                f"{everything[rest[0]].label}: the factor 0 of {dimension} stands for the rest, "
                f"which is not unique beside a last round at {cut_off[0].label}",
                everything[rest[0]].line,
            )
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
        if not rest and not cut_off and known < size and size % known == 0:
            rest = [
                i
                for i, directive in enumerate(everything)
                if directive.kind == "temporal" and dimension not in factors[i]
            ]
        if len(rest) == 1:
            factors[rest[0]][dimension] = size // known
    return [replace(d, factors=given) for d, given in zip(everything, factors, strict=True)]


def _ordered(directive: _Directive, target: Target) -> list[Loop]:
    """List the loops of more than one iteration, outermost first."""
    last = directive.last
    given = {d: f for d, f in directive.factors.items() if f > 1 or last.get(d, 1) > 1}
    missing = [d for d in given if d not in directive.permutation]
    if missing and len(given) > 1 and directive.kind == "temporal":
        raise target.error(
            f"{directive.label}: {', '.join(missing)} missing from the permutation, but every "
            "dimension that iterates more than once must be listed, innermost first",
            directive.line,
        )
    order = [*directive.permutation, *missing]
    return [
        Loop(d, given[d], _text(directive, d), directive.line, last.get(d))
        for d in reversed(order)
        if d in given
    ]


def _text(directive: _Directive, dimension: str) -> str:
    last = f",{directive.last[dimension]}" if dimension in directive.last else ""
    return f"{directive.label} {dimension}={directive.factors[dimension]}{last}"


def _only_shapes(entry: Entry, names: Names) -> bool:
    """Whether a directive says of a fanout that it holds nothing and loops over nothing.

    Timeloop's front end has a storage without tensors for every fanout of its own.
    """
    arch, name = entry.target.arch, entry.name.casefold()
    of_memory = any(memory.name.casefold() == name for memory in arch.memories)
    if entry.kind == "spatial" or of_memory or name not in _fanouts_called(arch):
        return False
    if entry.kind == "temporal":
        return all(factor == 1 for factor in read_factors(entry, names).factors.values())
    return not entry.data.get("keep")


def _chosen(entry: Entry, memory: Memory) -> tuple[str, ...] | None:
    """Read what a directive leaves out at a memory beyond the architecture."""
    target, line = entry.target, entry.line("bypass")
    kept = check_kept(target, memory, read_tensors(entry, "keep"), entry.label, entry.line("keep"))
    missing = {
        tensor.name: f"bypasses {word} at"
        for word in read_tensors(entry, "bypass")
        for tensor in tensors_called(target, word, entry.label, line)
        if holds(memory, tensor)
    }
    chosen = chosen_bypasses(target, memory, missing, entry.label, line)
    for name in missing:
        if name in kept:
            raise target.error(f"{entry.label}: keeps and bypasses {name}", line)
    return chosen
