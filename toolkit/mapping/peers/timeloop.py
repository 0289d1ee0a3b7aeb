"""Mappings of Timeloop: three syntaxes in, its YAML out.

Read are

- the one line of DOSA's published data, levels and loops outermost first, ``X`` and ``Y`` for
  spatial loops: ``L1[WIO] P28 K8 - L0[W] N1 P2 K4X``. ``L0`` is the innermost memory;
- the loop nest that Timeloop's mapper writes (``timeloop-mapper.map.txt``): per level a name with
  the tensors kept there, and loops such as ``for K in [0:4) (Spatial-X)``;
- Timeloop's YAML, a ``mapping:`` list of directives (see `toolkit.mapping.peers.timeloop_yaml`).

What they mean here:

- Levels are our memories. The spatial loops of a level run on the fanout just inside of it; where
  two fanouts follow each other, ``X`` is the outer and ``Y`` the inner one. A level of the nest
  that keeps nothing and only unrolls belongs to the memory above it.
- Dimensions keep their names, but where a workload has M and C and no K, K is M: Timeloop's
  older convolution calls output channels so. The letters of a convolution that the workload
  lacks may iterate once.
- The tensors kept at a level must be those that the architecture holds there, but for those that
  it lets a mapping leave out (``may_bypass``): then the mapping chooses.
- Sizes in brackets are not checked.
- ``K4,3`` (``K4/3``, ``[0:4,3)``) iterates 3 times instead of 4 in its last round, when all loops
  over K outside of it are at their last iteration. That is a tile which is cut off at the size:
  factors reach it instead of multiplying to it. Last rounds must fit the size, as in Timeloop.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.last_rounds import last_rounds
from toolkit.mapping.mapping import IntArray, Mapping, to_arrays
from toolkit.mapping.peers.loops import Loop, Names, Target, assemble, written_names
from toolkit.mapping.peers.memories import left_out, match_memories, memory_positions
from toolkit.mapping.peers.spatial import (
    check_no_hidden_unrolling,
    place_spatial,
    spatial_positions,
)
from toolkit.messages import describe
from toolkit.workload.kernel import Workload
from toolkit.yaml_files import dump_yaml

_Rows = list[list[Loop]]
_Chosen = dict[int, tuple[str, ...] | None]

_LEVEL = re.compile(r"L([0-9]{1,3})\[([A-Za-z]*)\]")
_SHORT_LOOP = re.compile(r"([A-Za-z_]+)([0-9]+)(?:[,/]([0-9]+))?([XY]?)")
# For lines without the blanks and bars around them.
_HEADER = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
_FOR = re.compile(
    r"for\s+(\w+)\s+in\s+\[\s*([0-9]+)\s*:\s*([^\s,/)]+)\s*(?:[,/]\s*([0-9]+)\s*)?\)"
    r"\s*(?:\(\s*Spatial-([XY])\s*\))?"
)
_ROLES = {"weight": "Weights", "input": "Inputs", "output": "Outputs"}
_FILLING = re.compile(r"[-=]*|<<[^<>]*>>")


def mapping_from_timeloop(
    text: str, arch: Architecture, workload: Workload, *, source: str | None = None
) -> Mapping:
    """Read a mapping that is written in one of Timeloop's syntaxes.

    Parameters
    ----------
    text : str
        One mapping.
    arch, workload : Architecture, Workload
        What it maps.
    source : str, optional
        How messages call the text.

    Raises
    ------
    MappingError
        Naming `source`, the line and the level or loop, if the text is no mapping of `workload`
        on `arch`. Whether its tiles fit is another question: see `toolkit.mapping.violations`.
    """
    target = Target(arch, workload, source)
    if is_compact(text):
        return assemble(target, *_compact_rows(text, target))
    if is_nest(text):
        return assemble(target, *_nest_rows(text, target))
    from toolkit.mapping.peers.timeloop_yaml import yaml_mapping

    return yaml_mapping(text, target, timeloop_names(workload))


def mapping_to_timeloop(mapping: Mapping, arch: Architecture, workload: Workload) -> str:
    """Write a mapping as Timeloop's YAML, permutations innermost first.

    The spatial loops of a memory followed by one or two fanouts stand at that memory, with the
    outer fanout left of the ``split`` and the inner one right of it. Where that cannot be said
    (three fanouts, or two that unroll the same dimension) they stand at the fanouts' own names.
    Every memory says what it keeps and bypasses in this mapping, and loops that are cut off say
    how often they turn in their last round.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`, or a name cannot be written.
    """
    factors, order = to_arrays(mapping, arch, workload)
    arch = chosen_arch(arch, workload, mapping)
    check_no_hidden_unrolling(factors, arch)
    last = _last(factors, workload)
    theirs = written_names(arch, workload, timeloop_names(workload), "Timeloop")
    entries: list[dict[str, object]] = []
    for i, level in enumerate(arch.levels):
        if isinstance(level, Memory):
            innermost_first = [theirs[d] for d in order[i][::-1]]
            texts = _texts(factors[i], last[i], theirs)
            entries.append(_loops(level.name, "temporal", texts, innermost_first))
            entries.extend(_spatial(arch, i, factors, last, theirs))
            entries.append(_bypass(level, workload))
    return "# Timeloop mapping; permutations are innermost loop first\n" + dump_yaml(
        {"mapping": entries}
    )


def is_compact(text: str) -> bool:
    """Whether `text` begins like a mapping on one line."""
    return _LEVEL.match(text.lstrip("\ufeff \t\r\n")) is not None


def is_nest(text: str) -> bool:
    """Whether `text` has a loop of Timeloop's mapper on one of its lines."""
    return re.search(r"(?m)^[ \t|]*for\s+\w+\s+in\s+\[[^,:\n]*:", text) is not None


def timeloop_names(workload: Workload) -> Names:
    """List Timeloop's names of the workload's dimensions.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> {theirs: ours for theirs, ours in timeloop_names(gemm(4, 2, 3)).items() if ours}
    {'M': 'M', 'K': 'K', 'N': 'N'}
    """
    names: dict[str, str | None] = {d: d for d in workload.dimensions}
    if "M" in names and "C" in names and "K" not in names:
        names["K"] = "M"
    for letter in "CKMNPQRSGH":
        names.setdefault(letter, None)
    return names


def _compact_rows(text: str, target: Target) -> tuple[_Rows, _Chosen]:
    lines = [(n, line.strip()) for n, line in enumerate(text.lstrip("\ufeff").split("\n"), 1)]
    (number, line), *more = [(n, line) for n, line in lines if line]
    if more:
        raise target.error("expected one mapping on one line, found more text", more[0][0])
    positions = memory_positions(target.arch)
    parts: list[list[str]] = [[]]
    for word in line.split():
        if word == "-":
            parts.append([])
        else:
            parts[-1].append(word)
    heads = [part[0] if part else "" for part in parts]
    expected = [f"L{n}" for n in reversed(range(len(positions)))]
    if [head.partition("[")[0] for head in heads] != expected:
        memories = ", ".join(
            f"{label} {target.arch.levels[i].name}"
            for label, i in zip(expected, positions, strict=True)
        )
        raise target.error(
            f"levels {describe(' '.join(heads))}; expected the {len(positions)} memories of "
            f"{target.arch.name}, outermost first: {memories}",
            number,
        )
    rows: _Rows = [[] for _ in target.arch.levels]
    chosen: _Chosen = {}
    names = timeloop_names(target.workload)
    for part, position in zip(parts, positions, strict=True):
        chosen[position] = _compact_level(target, rows, position, part, names, number)
    return rows, chosen


def _compact_level(
    target: Target, rows: _Rows, position: int, words: list[str], names: Names, line: int
) -> tuple[str, ...] | None:
    """Put the loops of one level on `rows`, and tell what the mapping bypasses there."""
    head, *texts = words
    level = _LEVEL.fullmatch(head)
    if level is None:
        raise target.error(f"{describe(head)} is not a level such as L2[WI]", line)
    memory = target.arch.levels[position]
    chosen = None
    if isinstance(memory, Memory):
        chosen = left_out(target, memory, level[2], head, line)
    spatial: dict[str, list[Loop]] = {"X": [], "Y": []}
    for word in texts:
        found = _SHORT_LOOP.fullmatch(word)
        if found is None:
            raise target.error(f"{head}: {describe(word)} is not a loop such as K4 or K4X", line)
        loops = target.loop(names, found[1], found[2], f"{head} {word}", line, found[3])
        (spatial[found[4]] if found[4] else rows[position]).extend(loops)
    place_spatial(target, rows, position, spatial, head)
    return chosen


class _Level:
    """A level of a loop nest: its header and the loops below it."""

    def __init__(self, name: str, words: list[str], line: int) -> None:
        self.name, self.words, self.line = name, words, line
        self.loops: list[Loop] = []
        self.spatial: dict[str, list[Loop]] = {"X": [], "Y": []}

    @property
    def only_unrolls(self) -> bool:
        """Whether it is a network rather than a memory; one that unrolls nothing is left out."""
        return not self.words and not self.loops


def _nest_rows(text: str, target: Target) -> tuple[_Rows, _Chosen]:
    levels = _nest_levels(text, target)
    known = {target.arch.levels[i].name.casefold() for i in memory_positions(target.arch)}
    memories: list[_Level] = []
    for level in levels:
        if memories and level.only_unrolls and level.name.casefold() not in known:
            for axis, loops in level.spatial.items():
                memories[-1].spatial[axis].extend(loops)
        else:
            memories.append(level)
    names = [level.name for level in memories]
    for i, level in enumerate(memories):
        if level.name in names[:i]:
            raise target.error(f"level {describe(level.name)} appears twice", level.line)
    found = match_memories(target, [(level.name, level.line) for level in memories])
    rows: _Rows = [[] for _ in target.arch.levels]
    chosen: _Chosen = {}
    previous = -1
    for level in memories:
        position = found[level.name]
        memory = target.arch.levels[position]
        if position < previous:
            raise target.error(
                f"level {level.name} is inside of {target.arch.levels[previous].name} here and "
                f"outside of it in {target.arch.name}",
                level.line,
            )
        previous = position
        if isinstance(memory, Memory):
            chosen[position] = left_out(target, memory, level.words, level.name, level.line)
        rows[position].extend(level.loops)
        place_spatial(target, rows, position, level.spatial, level.name)
    return rows, chosen


def _nest_levels(text: str, target: Target) -> list[_Level]:
    names = timeloop_names(target.workload)
    levels: list[_Level] = []
    for number, whole in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = whole.strip(" |\t\r")
        if header := _HEADER.fullmatch(line):
            words = [word.partition(":")[0] for word in header[2].split() if ":" in word]
            levels.append(_Level(header[1].strip(), words, number))
        elif found := _FOR.fullmatch(line):
            if not levels:
                raise target.error(f"{line}: a loop before the first level", number)
            loops = _nest_loop(target, names, found, line, number)
            axis = found[5]
            (levels[-1].spatial[axis] if axis else levels[-1].loops).extend(loops)
        elif not _FILLING.fullmatch(line):
            raise target.error(
                f"{describe(line)} is neither a level such as 'DRAM [ Weights:8 (8) ]' "
                "nor a loop such as 'for K in [0:4)'",
                number,
            )
    return levels


def _nest_loop(
    target: Target, names: Names, found: re.Match[str], text: str, line: int
) -> tuple[Loop, ...]:
    if found[2].strip("0"):
        raise target.error(f"{text}: expected a loop from 0", line)
    return target.loop(names, found[1], found[3], text, line, found[4])


def _last(factors: IntArray, workload: Workload) -> IntArray:
    """Iterations that every loop makes in its last round, by level and dimension."""
    columns = zip(factors.T.tolist(), workload.sizes.values(), strict=True)
    return np.array([last_rounds(column, size) for column, size in columns]).T


def _texts(row: IntArray, last: IntArray, theirs: Sequence[str]) -> str:
    pairs = zip(theirs, row, last, strict=True)
    return " ".join(f"{d}={f}" if f == end else f"{d}={f},{end}" for d, f, end in pairs)


def _loops(name: str, kind: str, factors: str, permutation: Sequence[str]) -> dict[str, object]:
    short = all(len(word) == 1 for word in permutation)
    return {
        "target": name,
        "type": kind,
        "factors": factors,
        "permutation": "".join(permutation) if short else list(permutation),
    }


def _spatial(
    arch: Architecture, memory: int, factors: IntArray, last: IntArray, theirs: Sequence[str]
) -> list[dict[str, object]]:
    inside = spatial_positions(arch, memory)
    numbers = range(len(theirs))
    unrolled = [[d for d in numbers if factors[i, d] > 1] for i in inside]
    if not any(unrolled):
        return []
    if len(inside) > 2 or len(set().union(*unrolled)) < sum(map(len, unrolled)):
        return [
            _loops(arch.levels[i].name, "spatial", _texts(factors[i], last[i], theirs), theirs)
            for i, some in zip(inside, unrolled, strict=True)
            if some
        ]
    # No dimension has more than one loop here, so the product of last rounds is one of them.
    together, ends = factors[list(inside)].prod(axis=0), last[list(inside)].prod(axis=0)
    along_y = set(unrolled[-1]) if len(inside) == 2 else set()
    permutation = sorted(numbers, key=lambda d: d in along_y)
    entry = _loops(
        arch.levels[memory].name,
        "spatial",
        _texts(together, ends, theirs),
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
