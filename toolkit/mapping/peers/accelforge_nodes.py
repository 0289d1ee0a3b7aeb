"""The nodes of AccelForge's mappings: on which levels their loops are, and what is kept where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.last_rounds import last_rounds
from toolkit.mapping.peers.accelforge import fanout_names
from toolkit.mapping.peers.loops import Loop, Names, Target, merged
from toolkit.mapping.peers.memories import left_out, match_memories, tensors_called
from toolkit.mapping.peers.spatial import check_spatial, place_spatial, spatial_positions
from toolkit.messages import KeyPath, describe
from toolkit.peer_files import ACCELFORGE_NODES, MarkedYaml, parse_marked
from toolkit.workload.kernel import Tensor

_KEYS = {
    "!Storage": ("component", "tensors", "persistent", "text"),
    "!Temporal": ("rank_variable", "tile_shape", "initial_tile_shape", "text"),
    "!Spatial": (
        "rank_variable", "tile_shape", "initial_tile_shape", "component", "name", "text",
    ),
    "!Compute": ("einsum", "component", "text"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Node:
    """One node: its tag, its keys, and the line where it begins."""

    tag: str
    data: dict[str, object]
    line: int

    def text(self, key: str) -> str:
        value = self.data.get(key)
        return value if isinstance(value, str) else "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the memories of a list of nodes are.

    Parameters
    ----------
    of : dict of str to int
        Position among the levels by component.
    ends : dict of int to int
        By position, the place of its last ``!Storage``, behind which its own loops begin.
    """

    of: dict[str, int]
    ends: dict[int, int]

    def around(self, place: int) -> int | None:
        """Position of the innermost memory around a place."""
        return max((i for i, end in self.ends.items() if end < place), default=None)


def rows_of(
    text: str, target: Target, names: Names
) -> tuple[list[list[Loop]], dict[int, tuple[str, ...] | None]]:
    """Read the loops of every level, outermost first, and what the mapping bypasses.

    Parameters
    ----------
    text : str
        A YAML document.
    target : Target
        What is read.
    names : mapping
        AccelForge's names of dimensions and ours.

    Raises
    ------
    MappingError
        Naming source, line and node.
    """
    document = parse_marked(text, source=target.source or "mapping", error=MappingError)
    nodes = _nodes(document, target)
    places, loops = _memories(nodes, target), _loops(nodes, target, names)
    _check_stays(nodes, places, loops, target)
    return _rows(nodes, places, loops, target), _chosen(nodes, places, target)


def _nodes(document: MarkedYaml, target: Target) -> list[_Node]:
    data: object = document.data
    path: KeyPath = ()
    for key in ("mapping", "nodes"):
        if not isinstance(data, dict) or key not in data:
            raise target.error(
                f"expected nodes under mapping, got {describe(data)}", document.line(*path)
            )
        data, path = data[key], (*path, key)
    found = list(_listed(data, path, document, target))
    computes = [i for i, node in enumerate(found) if node.tag == "!Compute"]
    if not found or computes != [len(found) - 1]:
        raise target.error("expected nodes that end with their one !Compute", document.line(*path))
    return found[:-1]


def _listed(data: object, path: KeyPath, document: MarkedYaml, target: Target) -> Iterator[_Node]:
    if not isinstance(data, list):
        raise target.error(f"expected a list of nodes, got {describe(data)}", document.line(*path))
    for i, entry in enumerate(data):
        line = document.line(*path, i)
        tag, value = next(iter(entry.items())) if isinstance(entry, dict) and entry else ("", None)
        if tag == "!Nested" and isinstance(value, dict):
            yield from _listed(value.get("nodes"), (*path, i, "nodes"), document, target)
            continue
        if tag in ACCELFORGE_NODES and tag not in _KEYS:
            raise target.error(
                f"{tag} is not part of one loop nest; expected {', '.join(_KEYS)}", line
            )
        if tag not in _KEYS or not isinstance(value, dict):
            raise target.error(
                f"expected a node such as !Temporal {{rank_variable: m, tile_shape: 4}}, got "
                f"{describe(entry)}",
                line,
            )
        for key in value:
            if key not in _KEYS[tag]:
                raise target.error(
                    f"{tag}: unknown key {describe(key)}; expected {', '.join(_KEYS[tag])}", line
                )
        yield _Node(tag, value, line)


def _memories(nodes: Sequence[_Node], target: Target) -> _Places:
    lines: dict[str, int] = {}
    for node in nodes:
        if node.tag == "!Storage":
            lines.setdefault(node.text("component"), node.line)
    found = match_memories(target, list(lines.items()))
    ends: dict[int, int] = {}
    for place, node in enumerate(nodes):
        if node.tag == "!Storage":
            ends[found[node.text("component")]] = place
    for outer, inner in pairwise(sorted(ends)):
        if ends[outer] > ends[inner]:
            levels = target.arch.levels
            raise target.error(
                f"{levels[outer].name} is inside of {levels[inner].name} here and outside of it "
                f"in {target.arch.name}",
                nodes[ends[outer]].line,
            )
    return _Places(found, ends)


def _loops(nodes: Sequence[_Node], target: Target, names: Names) -> dict[int, Loop]:
    """Read the loops of more than one iteration, by their places."""
    tiles, found = dict(target.workload.sizes), dict[int, Loop]()
    for place, node in enumerate(nodes):
        if node.tag == "!Storage":
            continue
        rank, shape = node.text("rank_variable"), node.data.get("tile_shape")
        text = f"{node.tag} over {rank} in tiles of {describe(shape)}"
        if node.data.get("initial_tile_shape") is not None:
            raise target.error(f"{text}: initial_tile_shape has no meaning here", node.line)
        tile = target.factor(shape, text, node.line)
        dimension = target.dimension(names, rank, text, node.line)
        assert dimension is not None, "all of AccelForge's names are of dimensions"
        around = tiles[dimension]
        cut_off = around % tile != 0 and around != target.workload.sizes[dimension]
        if tile > around or cut_off:
            raise target.error(
                f"{text}: the tiles around it have {around}; expected a divisor", node.line
            )
        tiles[dimension] = tile
        if tile < around:
            found[place] = Loop(dimension, -(-around // tile), text, node.line)
    for dimension, tile in tiles.items():
        if tile > 1:
            raise target.error(
                f"no loop over {dimension} has tiles of 1; the innermost ones have {tile}"
            )
    return _with_last_rounds(found, target)


def _with_last_rounds(loops: dict[int, Loop], target: Target) -> dict[int, Loop]:
    """Tell the last rounds of loops whose tiles do not divide the size."""
    found = dict(loops)
    for dimension, size in target.workload.sizes.items():
        along = {place: loop for place, loop in loops.items() if loop.dimension == dimension}
        factors = [loop.factor for loop in along.values()]
        if prod(factors) > size:
            last = last_rounds(factors, size)
            for (place, loop), rounds in zip(along.items(), last, strict=True):
                found[place] = replace(loop, last=rounds)
    return found


def _rows(
    nodes: Sequence[_Node], places: _Places, loops: dict[int, Loop], target: Target
) -> list[list[Loop]]:
    rows: list[list[Loop]] = [[] for _ in target.arch.levels]
    anywhere: dict[int, list[Loop]] = {}
    for place, loop in loops.items():
        memory = places.around(place)
        if memory is None:
            raise target.error(f"{loop.text} is outside of all memories", loop.line)
        if nodes[place].tag == "!Spatial":
            position = _fanout(nodes[place], memory, target)
            if position is None:
                anywhere.setdefault(memory, []).append(loop)
            else:
                check_spatial(target, position, loop, target.arch.levels[position].name)
                rows[position].append(loop)
            continue
        between = range(places.ends[memory] + 1, place)
        if any(i in loops and nodes[i].tag == "!Spatial" for i in between):
            raise target.error(
                f"{loop.text} is inside of a spatial loop that no memory is inside of; expected "
                f"it outside, or a !Storage, be it with tensors: []",
                loop.line,
            )
        rows[memory].append(loop)
    for memory, spatial in anywhere.items():
        place_spatial(target, rows, memory, {"": spatial}, target.arch.levels[memory].name)
    return [merged(row) for row in rows]


def _fanout(node: _Node, memory: int, target: Target) -> int | None:
    """Position of the fanout inside of a memory that a spatial loop names, if there is one."""
    named = node.text("component"), node.text("name")
    found = [
        i
        for i in spatial_positions(target.arch, memory)
        if fanout_names(target.arch, i) == named or target.arch.levels[i].name == named[1]
    ]
    return found[0] if len(found) == 1 else None


def _tensors(node: _Node, target: Target) -> Iterator[Tensor]:
    given = node.data.get("tensors")
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise target.error(
            f"!Storage in {node.text('component')}: expected a list of tensors, got "
            f"{describe(given)}",
            node.line,
        )
    for word in given:
        yield from tensors_called(target, word, f"!Storage in {node.text('component')}", node.line)


def _check_stays(
    nodes: Sequence[_Node], places: _Places, loops: dict[int, Loop], target: Target
) -> None:
    """Refuse tiles that are kept outside of loops of the memory around, if these index them."""
    for place, node in enumerate(nodes):
        if node.tag != "!Storage":
            continue
        component = node.text("component")
        end = places.ends[places.of[component]]
        inside = [x for i, x in loops.items() if place < i < end and nodes[i].tag == "!Temporal"]
        for tensor in _tensors(node, target):
            crossed = next((x for x in inside if x.dimension in tensor.dimensions), None)
            if crossed is not None:
                raise target.error(
                    f"{component} keeps {tensor.name} outside of {crossed.text} (line "
                    f"{crossed.line}) and others inside of it (an uneven mapping); here a memory "
                    "has the same loops for all tensors",
                    node.line,
                )


def _chosen(
    nodes: Sequence[_Node], places: _Places, target: Target
) -> dict[int, tuple[str, ...] | None]:
    """Read what the mapping bypasses, by position of the memory."""
    found: dict[int, tuple[str, ...] | None] = {}
    for i, level in enumerate(target.arch.levels):
        if isinstance(level, Memory):
            own = [x for x in nodes if x.tag == "!Storage" and places.of[x.text("component")] == i]
            words = [tensor.name for node in own for tensor in _tensors(node, target)]
            line = own[-1].line if own else 1
            found[i] = left_out(target, level, words, f"!Storage in {level.name}", line)
    return found
