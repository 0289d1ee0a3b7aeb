"""Mappings of ZigZag: its mapping YAML and its printed loop orderings in, its YAML out.

Names. The dimensions of a convolution are ``B`` (N), ``G``, ``K`` (M), ``C``, ``OY`` (P), ``OX``
(Q), ``FY`` (R) and ``FX`` (S); with one axis, ``OX`` is P and ``FX`` is R; the channels of a
depthwise convolution are ``G``. Those of a matrix product are what ZigZag reads from ONNX,
``O[d][k] += I[d][c] * W[c][k]``: ``K`` is M, ``C`` is K and ``D`` is N (``B`` too, unless the
product is batched, where ``B`` is B). Other kernels keep their own names. Dimensions of these
lists that the workload lacks may iterate once.

Spatial loops. ``D1`` is the outermost level that may unroll something, ``D2`` the next one, and so
on; a level's own name will do instead. A printed loop ordering does not say which spatial loop
runs where: each goes as far out as dimensions and meshes allow.

Memories. ZigZag cuts one order of loops into memories for each tensor on its own (uneven
mappings); here a memory has the same loops for all tensors it holds.

- A comment ``# at MEMORY`` behind an entry of ``temporal_ordering`` says where the loop is. ZigZag
  skips it; what `mapping_to_zigzag` writes has one on every loop.
- A loop without it goes, innermost loop first, to the innermost memory, no further inside than
  the loop before it, at which the tiles of all tensors held there and further out still fit; one
  that bounds the factor with ``==`` or ``<=`` must admit it, and only adjacent loops of one
  dimension share a memory. Loops that fit nowhere are left to the outermost memory. So does
  ZigZag tensor by tensor, but for the bounds.
- A printed loop ordering (``loop_ordering.txt``) names a memory for each tensor and loop. A loop
  is put on the innermost memory at which all tensors that it indexes are where ZigZag has them;
  if there is none, the mapping is uneven and refused.

Adjacent loops over the same dimension become one. A size of ``*`` is what the other factors leave.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.bypasses import chosen_holds, held
from toolkit.mapping.mapping import IntArray, Mapping, to_arrays
from toolkit.mapping.peers.loops import (
    Loop,
    Names,
    Target,
    assemble,
    merged,
    written_names,
)
from toolkit.mapping.peers.memories import match_memories, memory_positions, tensors_called
from toolkit.mapping.peers.spatial import (
    check_no_hidden_unrolling,
    spatial_positions,
    spread_spatial,
)
from toolkit.messages import describe
from toolkit.workload.kernel import Tensor, Workload
from toolkit.workload.peers.zigzag import ZIGZAG_NAMES
from toolkit.yaml_files import dump_yaml

_TITLE = re.compile(r"Loop ordering for ([^;]*);?.*")
_HEADING = re.compile(r"(Temporal|Spatial) Loops(.*)")
_FOR = re.compile(r"(for|parfor)\s+(\w+)\s+in\s+\[\s*0\s*,\s*([^\s,)]+)\s*\)\s*:(.*)")


def mapping_from_zigzag(
    text: str, arch: Architecture, workload: Workload, *, source: str | None = None
) -> Mapping:
    """Read a mapping from ZigZag's YAML or from a printed loop ordering; see the module.

    Of several entries, the one called like the workload, else like its kind (``Conv``, ``Gemm``),
    else ``default`` is read; of several printed orderings, the one called like the workload.

    Parameters
    ----------
    text : str
        One file.
    arch, workload : Architecture, Workload
        What it maps.
    source : str, optional
        How messages call the text.

    Raises
    ------
    MappingError
        Naming `source`, the line and the loop, if the text is no mapping of `workload` on `arch`.
        Whether its tiles fit is another question: see `toolkit.mapping.violations`.
    """
    target = Target(arch, workload, source)
    names = zigzag_names(workload)
    if is_ordering(text):
        return assemble(target, _ordering_rows(text, target, names))
    from toolkit.mapping.peers.zigzag_yaml import yaml_rows

    return assemble(target, yaml_rows(text, target, names))


def is_ordering(text: str) -> bool:
    """Whether `text` has the heading of a printed loop ordering."""
    return re.search(r"(?m)^(?:Temporal Loops|Loop ordering for )", text) is not None


def zigzag_names(workload: Workload) -> Names:
    """List ZigZag's names of the workload's dimensions.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> {theirs: ours for theirs, ours in zigzag_names(gemm(4, 2, 3)).items() if theirs != "B"}
    {'K': 'M', 'C': 'K', 'D': 'N'}
    """
    table = ZIGZAG_NAMES.get(workload.kernel)
    # A kernel of the user's own may bear any name.
    if table is None or not set(workload.sizes) <= set(table.values()):
        return {d: d for d in workload.dimensions}
    return {theirs: ours if ours in workload.sizes else None for theirs, ours in table.items()}


def mapping_to_zigzag(mapping: Mapping, arch: Architecture, workload: Workload) -> str:
    """Write a mapping as ZigZag's YAML, with the memory of every loop as a comment behind it.

    ZigZag itself reads at most ``D1`` to ``D4`` and allocates the loops anew.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`, a name cannot be written, or it is
        one that ZigZag cannot say: with factors that exceed a size, or bypasses it chooses.
    """
    factors, order = to_arrays(mapping, arch, workload)
    check_no_hidden_unrolling(factors, arch)
    _check_expressible(mapping, factors, arch, workload)
    theirs = written_names(arch, workload, zigzag_names(workload), "ZigZag")
    lines = [
        f"# {_plain(workload.name)} on {_plain(arch.name)}; temporal loops innermost first",
        "- name: default",
        "  spatial_mapping:",
    ]
    for number, position in enumerate(spatial_positions(arch), 1):
        level = arch.levels[position]
        if isinstance(level, Memory):
            continue
        used = [j for j in range(len(theirs)) if factors[position, j] > 1]
        listed = [j for j, d in enumerate(workload.dimensions) if d in level.dimensions]
        # ZigZag notes an array dimension that is not used as one that iterates once, and knows
        # none of one instance.
        if entries := used or (listed[:1] if level.mesh > 1 else []):
            lines.append(f"    D{number}:  # {level.name}")
            lines += [f"      - {theirs[j]}, {factors[position, j]}" for j in entries]
    if lines[-1].endswith("spatial_mapping:"):
        lines[-1] += " {}"
    temporal = [
        f"    - [{_quoted(theirs[j])}, {factors[i, j]}]  # at {arch.levels[i].name}"
        for i in reversed(range(len(arch.levels)))
        if isinstance(arch.levels[i], Memory)
        for j in order[i][::-1]
        if factors[i, j] > 1
    ]
    lines += ["  temporal_ordering:", *temporal] if temporal else ["  temporal_ordering: []"]
    lines += ["  memory_operand_links:", "    O: O", "    W: I2", "    I: I1"]
    return "\n".join(lines) + "\n"


def _check_expressible(
    mapping: Mapping, factors: IntArray, arch: Architecture, workload: Workload
) -> None:
    """Refuse what ZigZag has no words for: it rounds sizes up, and its memories hold what they do.

    Raises
    ------
    MappingError
        Naming the dimension or the memory.
    """
    for column, (dimension, size) in zip(factors.T.tolist(), workload.sizes.items(), strict=True):
        if prod(column) > size:
            raise MappingError(
                f"factors of {dimension} multiply to {prod(column)}, more than its {size}; ZigZag "
                "cuts no tile off, so this cannot be written for it; mappings of perfect factors "
                "can",
                source=workload.name,
                key=f"factors.{dimension}",
            )
    chosen, usual = chosen_holds(mapping, arch, workload), held(arch, workload)
    for memory, row, own in zip(arch.memories, chosen, usual, strict=True):
        if (row != own).any():
            raise MappingError(
                f"{memory.name} leaves out what it holds in {arch.name}; ZigZag says that in the "
                "accelerator, so this cannot be written for it",
                source=arch.name,
                key=f"{memory.name}.bypasses",
            )


def _quoted(name: str) -> str:
    """Quote the names that YAML would read as something else than text."""
    return dump_yaml([name]).strip().removeprefix("[").removesuffix("]")


def _plain(name: str) -> str:
    return name if name.isprintable() else describe(name)


@dataclass(frozen=True, slots=True)
class _Ordering:
    """One printed ordering: numbered lines below its title."""

    name: str
    line: int
    lines: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Column:
    """The tensors whose memories one column names, and those memories once looked up."""

    word: str
    tensors: tuple[Tensor, ...]
    memories: dict[str, int] = field(default_factory=dict)


def _ordering_rows(text: str, target: Target, names: Names) -> list[list[Loop]]:
    """Read the loops of every level, outermost first.

    Raises
    ------
    MappingError
        Naming source, line and loop.
    """
    columns: list[_Column] = []
    temporal: list[tuple[Loop, dict[str, int]]] = []
    spatial: list[Loop] = []
    for number, line in _chosen(text, target).lines:
        if heading := _HEADING.fullmatch(line):
            if heading[1] == "Temporal":
                columns = [
                    _Column(word, tensors_called(target, word, "Temporal Loops", number))
                    for word in heading[2].split()
                ]
        elif found := _FOR.fullmatch(line):
            label = line.partition(":")[0]
            loops = target.loop(names, found[2], found[3], label, number)
            if found[1] == "parfor":
                spatial.extend(loops)
            else:
                temporal.extend(
                    (loop, _memories(target, columns, found[4].split(), loop)) for loop in loops
                )
        elif line.strip("=-"):
            raise target.error(
                f"{describe(line)} is not a loop such as 'for K in [0, 4):' with its memories",
                number,
            )
    rows = _allocated(target, temporal)
    if spatial:
        spread = spread_spatial(target, spatial, spatial_positions(target.arch))
        for position, loops_there in spread.items():
            rows[position] = _united(loops_there)
    return rows


def _chosen(text: str, target: Target) -> _Ordering:
    found: list[_Ordering] = []
    for number, whole in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = whole.strip()
        title = _TITLE.fullmatch(line)
        if title is not None:
            found.append(_Ordering(title[1].strip(), number))
        elif line:
            if not found:
                found.append(_Ordering("", number))
            found[-1].lines.append((number, line))
    named = [ordering for ordering in found if ordering.name == target.workload.name]
    if len(found) == 1 or len(named) == 1:
        return (named or found)[0]
    raise target.error(
        f"{len(named)} of {len(found)} loop orderings are for {target.workload.name}, expected "
        f"one; found {', '.join(describe(o.name) for o in found[:12])}",
        named[1].line if named else None,
    )


def _memories(
    target: Target, columns: list[_Column], words: list[str], loop: Loop
) -> dict[str, int]:
    """Find, for every tensor that the loop indexes, the position of its memory."""
    if len(words) != len(columns) or not words:
        expected = ", ".join(column.word for column in columns) or "a heading 'Temporal Loops'"
        raise target.error(
            f"{loop.text}: {len(words)} memories for {len(columns)} tensors ({expected})",
            loop.line,
        )
    found: dict[str, int] = {}
    for column, word in zip(columns, words, strict=True):
        if word not in column.memories:
            column.memories[word] = match_memories(target, [(word, loop.line)])[word]
        for tensor in column.tensors:
            if loop.dimension in tensor.dimensions:
                found[tensor.name] = column.memories[word]
    return found


def _allocated(target: Target, temporal: list[tuple[Loop, dict[str, int]]]) -> list[list[Loop]]:
    """Put every loop as far inside as the memories of its tensors and the loops inside allow."""
    rows: list[list[Loop]] = [[] for _ in target.arch.levels]
    inside_out = memory_positions(target.arch)[::-1]
    tensors = {tensor.name: tensor for tensor in target.workload.tensors}
    current = 0
    for loop, wanted in reversed(temporal):
        fitting = [
            n
            for n in range(current, len(inside_out))
            if all(
                _home(target, inside_out[n], tensors[name]) == position
                for name, position in wanted.items()
            )
        ]
        if not fitting:
            levels = target.arch.levels
            places = ", ".join(f"{name} in {levels[i].name}" for name, i in wanted.items())
            raise target.error(
                f"{loop.text}: no memory of {target.arch.name} from "
                f"{levels[inside_out[current]].name} outwards can iterate it with {places} "
                "(an uneven mapping); here a memory has the same loops for all tensors",
                loop.line,
            )
        current = fitting[0]
        row = rows[inside_out[current]]
        row[:] = merged([loop, *row])
    return rows


def _home(target: Target, position: int, tensor: Tensor) -> int | None:
    """Position of the memory whose tile of `tensor` grows with a loop at `position`."""
    for i in range(position, -1, -1):
        level = target.arch.levels[i]
        if isinstance(level, Memory) and holds(level, tensor):
            return i
    return None


def _united(loops: list[Loop]) -> list[Loop]:
    """Make one loop of all spatial loops over the same dimension; their order has no meaning."""
    return merged(sorted(loops, key=lambda loop: loop.dimension))
