"""The components of Timeloop's architectures (v0.2 to v0.4), outermost first."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from toolkit.arch.peers.timeloop_dense import SPARSE_HINT
from toolkit.messages import describe
from toolkit.peer_files import Node

Kind = Literal["memory", "compute", "container"]

_COMPUTE = re.compile("mac(?!ro)|compute")
_NETWORK = re.compile("noc|network|wire|legacy|reductiontree|multicast|crossbar")
_STORAGE = re.compile(r"dram|sram|buffer|storage|memory|cache|scratch|(?:\b|_)(?:reg|rf)")
_SIZES = ("depth", "memory_depth", "data_storage_depth", "entries", "sizeKB")
_NAME = re.compile(r"([^\[\]]+?)\s*(?:\[\s*([0-9]+)\s*\.\.\s*([0-9]+)\s*\])?\s*")


@dataclass(frozen=True, slots=True)
class Part:
    """A memory, the compute unit, or a container that only replicates what is inside.

    Parameters
    ----------
    kind : {"memory", "compute", "container"}
        What it is.
    name : str
        Without the range of its instances.
    node : Node
        Where it stands.
    mesh : (int, int)
        Instances along X and Y for each one of the part before.
    outer : str
        Name of the part whose spatial constraints bind `mesh`.
    attributes : tuple of Node
        Its own attributes, then those of the containers around it.
    category : str
        Its class, in lower case.
    siblings : tuple of Node
        What lies in parallel branches: the tensors kept there are not kept here.
    """

    kind: Kind
    name: str
    node: Node
    mesh: tuple[int, int]
    outer: str
    attributes: tuple[Node, ...] = ()
    category: str = ""
    siblings: tuple[Node, ...] = field(default=(), repr=False)

    def find(self, *names: str) -> Node | None:
        """Look up an attribute under any of its names; those of containers hold inside."""
        for attributes in self.attributes:
            found = attributes.find(*names)
            if found is not None:
                return found
        return None

    def own(self, *names: str) -> Node | None:
        """Look up an attribute of the component itself."""
        return self.attributes[0].find(*names) if self.attributes else None


def read_parts(architecture: Node) -> list[Part]:
    """List the parts of an architecture of any version, outermost first.

    Parameters
    ----------
    architecture : Node
        What stands at ``architecture``, or in the oldest form at ``arch``.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation.
    """
    if architecture.path == ("arch",):
        return list(_relative(_oldest(architecture)))
    if architecture.find("nodes") is not None:
        architecture.check_keys(("version", "nodes", "name"))
        return list(_nodes(architecture.get("nodes"), (), ()))
    architecture.check_keys(("version", "subtree", "local", "name", "attributes"))
    return _shortly_named(list(_relative(_subtree(architecture, (), 1))))


def _shortly_named(parts: list[Part]) -> list[Part]:
    """Call components of flattened files as their trees did, where that tells them apart."""
    short = {part.name: part.name.rpartition(".")[2] for part in parts}
    if len(set(short.values())) < len(parts):
        return parts
    return [
        replace(part, name=short[part.name], outer=short.get(part.outer, part.outer))
        for part in parts
    ]


def _nodes(nodes: Node, inherited: tuple[Node, ...], siblings: tuple[Node, ...]) -> Iterator[Part]:
    """Walk version 0.4: every node is inside of those before it."""
    for entry in nodes.items():
        tag, node = _tagged(entry)
        if tag in ("!Hierarchical", "!Pipelined"):
            yield from _nodes(node.get("nodes"), inherited, siblings)
        elif tag == "!Parallel":
            yield from _branches(node, inherited, siblings)
        elif tag != "!Nothing":
            part = _part(tag, node, inherited, siblings)
            if part is not None:
                yield part
            if tag == "!Container":
                own = node.find("attributes")
                inherited = (own, *inherited) if own else inherited


def _tagged(entry: Node) -> tuple[str, Node]:
    tags = entry.keys() if isinstance(entry.value, dict) else []
    if len(tags) != 1 or not tags[0].startswith("!"):
        raise entry.refuse(
            "expected a node with a tag, such as !Component, !Container or !Parallel"
        )
    value = entry.value[tags[0]] if isinstance(entry.value, dict) else None
    return tags[0], Node({} if value is None else value, entry.source, entry.error, entry.path)


def _branches(
    node: Node, inherited: tuple[Node, ...], siblings: tuple[Node, ...]
) -> Iterator[Part]:
    branches = list(node.get("nodes").items())
    for branch in branches:
        others = tuple(other for other in branches if other is not branch)
        alone = Node([branch.value], branch.source, branch.error, branch.path[:-1])
        for part in _nodes(alone, inherited, (*siblings, *others)):
            if part.mesh != (1, 1):
                raise part.node.refuse(
                    "instances inside of one branch of !Parallel cannot be told from those of "
                    "the others in one hierarchy; expected spatial in front of !Parallel"
                )
            yield part


def _part(
    tag: str, node: Node, inherited: tuple[Node, ...], siblings: tuple[Node, ...]
) -> Part | None:
    node.check_keys(
        ("name", "class", "subclass", "attributes", "spatial", "constraints", "enabled",
         "required_actions", "area_scale", "energy_scale", "sparse_optimizations")
    )  # fmt: skip
    _refuse_sparse(node)
    name, count = _name(node)
    mesh = _spatial(node.find("spatial"))
    if count > 1:
        if mesh != (1, 1):
            raise node.refuse("has a range of instances and spatial as well; expected one of them")
        mesh = (count, 1)
    if tag == "!Container":
        return Part("container", name, node, mesh, name)
    kind, category = _kind(node)
    if kind is None:
        return None
    return Part(kind, name, node, mesh, name, (_attributes(node), *inherited), category, siblings)


def _refuse_sparse(node: Node) -> None:
    sparse = node.find("sparse_optimizations")
    if sparse is not None and sparse.value not in ([], {}):
        raise sparse.refuse(SPARSE_HINT)


def _spatial(spatial: Node | None) -> tuple[int, int]:
    if spatial is None:
        return (1, 1)
    spatial.check_keys(("meshX", "meshY"))
    x, y = spatial.find("meshX"), spatial.find("meshY")
    return (x.integer(1, 2**31) if x else 1, y.integer(1, 2**31) if y else 1)


@dataclass(frozen=True, slots=True)
class _Absolute:
    """A part with all of its instances; `told` is whether the file says how they are laid out."""

    part: Part
    mesh: tuple[int, int]
    told: bool

    @property
    def instances(self) -> int:
        return math.prod(self.mesh)


def _oldest(arch: Node) -> Iterator[_Absolute]:
    """Walk the form before v0.2: memories innermost first, attributes beside the names."""
    arch.check_keys(("storage", "arithmetic", "version", "name"))
    for node in reversed(list(arch.get("storage").items())):
        words = [found.text() for found in (node.find("technology"), node.find("class")) if found]
        name, count = _name(node)
        part = Part("memory", name, node, (1, 1), name, (node,), " ".join(words).lower())
        yield _absolute(part, count)
    node = arch.get("arithmetic")
    name, count = _name(node) if node.find("name") else ("MAC", 1)
    part = Part("compute", name, node, (1, 1), name, (node,))
    yield _absolute(part, count)


def _subtree(tree: Node, inherited: tuple[Node, ...], instances: int) -> Iterator[_Absolute]:
    """Walk version 0.3, where all counts of instances are those of the whole design."""
    own = tree.find("attributes")
    inherited = (own, *inherited) if own else inherited
    local, inner = tree.find("local"), tree.find("subtree")
    found = [
        entry
        for node in (local.items() if local else ())
        if (entry := _local(node, inherited, instances)) is not None
    ]
    # Flattened files list components in any order, and call each by all that it lies in. Beside
    # memories a compute unit is the innermost, wherever it stands.
    found.sort(key=lambda e: (e.part.name.count("."), e.part.kind == "compute"))
    yield from found
    trees = list(inner.items()) if inner else []
    if len(trees) > 1:
        raise trees[1].refuse("a second subtree begins; expected one chain of levels")
    for branch in trees:
        branch.check_keys(("name", "attributes", "local", "subtree", "version"))
        yield from _subtree(branch, inherited, instances * _name(branch)[1])


def _local(node: Node, inherited: tuple[Node, ...], instances: int) -> _Absolute | None:
    node.check_keys(("name", "class", "subclass", "attributes", "required_actions", "enabled"))
    name, count = _name(node)
    kind, category = _kind(node)
    if kind is None:
        return None
    attributes = (_attributes(node), *inherited)
    part = Part(kind, name, node, (1, 1), name, attributes, category)
    return _absolute(part, instances * count)


def _absolute(part: Part, instances: int) -> _Absolute:
    """Lay the instances out along X and Y; without a mesh all of them lie along X."""
    given = part.own("instances")
    total = given.integer(1, 2**40) if given else instances
    x, y = part.own("meshX"), part.own("meshY")
    if x is None and y is None:
        return _Absolute(part, (total, 1), total == 1)
    width = x.integer(1, 2**31) if x else total // (y.integer(1, 2**31) if y else 1)
    height = y.integer(1, 2**31) if y else total // width
    if width * height != total:
        raise part.node.refuse(
            f"meshX {width} times meshY {height} is not the {total} instances of {part.name}"
        )
    return _Absolute(part, (width, height), True)


def _laid_out(parts: Iterator[_Absolute]) -> Iterator[_Absolute]:
    """Lay out what the file does not as the parts beside it, of which there are as many."""
    for _, run in itertools.groupby(parts, key=lambda entry: entry.instances):
        entries = list(run)
        told = {entry.mesh for entry in entries if entry.told}
        only = told.pop() if len(told) == 1 else None
        for entry in entries:
            yield entry if entry.told or only is None else _Absolute(entry.part, only, True)


def _relative(parts: Iterator[_Absolute]) -> Iterator[Part]:
    """Turn counts of the whole design into counts for each instance of the level outside."""
    before: _Absolute | None = None
    for entry in _laid_out(parts):
        part = entry.part
        outer, mesh = (before.part.name, before.mesh) if before else ("", (1, 1))
        ratios = tuple(inside // outside for inside, outside in zip(entry.mesh, mesh, strict=True))
        if (ratios[0] * mesh[0], ratios[1] * mesh[1]) != entry.mesh:
            raise part.node.refuse(
                f"{entry.mesh[0]}x{entry.mesh[1]} instances do not divide among the "
                f"{mesh[0]}x{mesh[1]} of {outer}"
            )
        yield Part(
            part.kind,
            part.name,
            part.node,
            (ratios[0], ratios[1]),
            outer,
            part.attributes,
            part.category,
        )
        before = entry


def _name(node: Node) -> tuple[str, int]:
    """Split ``PE[0..167]`` into the name and the number of instances.

    Names in flattened files tell all that a component lies in: ``chip.PE[0..167].buffer``.
    """
    name = node.get("name")
    names: list[str] = []
    instances = 1
    for segment in re.split(r"\.(?!\.)(?<!\.\.)", name.text()):
        match = _NAME.fullmatch(segment)
        if not match:
            raise name.refuse(f"expected a name, or such as PE[0..15], got {describe(name.value)}")
        names.append(match[1])
        if match[2] is not None:
            first, last = int(match[2][:12]), int(match[3][:12])
            if last < first:
                raise name.refuse(f"expected a range that rises, got {describe(name.value)}")
            instances *= last - first + 1
    return ".".join(names), instances


def _attributes(node: Node) -> Node:
    found = node.find("attributes")
    return found if found is not None else Node({}, node.source, node.error, node.path)


def _kind(node: Node) -> tuple[Kind | None, str]:
    """Tell memories and compute units by their class; None for networks and disabled parts."""
    enabled = node.find("enabled")
    if enabled is not None and not enabled.flag():
        return None, ""
    words = [found.text() for found in (node.find("class"), node.find("subclass")) if found]
    category = " ".join(words).lower()
    if _COMPUTE.search(category):
        return "compute", category
    if _NETWORK.search(category):
        return None, category
    attributes = _attributes(node)
    if _STORAGE.search(category) or attributes.find(*_SIZES) is not None:
        return "memory", category
    raise node.get("class").refuse(
        f"{describe(category)} is not known as a class of memories, networks or compute units "
        "(such as DRAM, SRAM, regfile, smartbuffer_SRAM, XY_NoC, intmac)"
    )


def constraint_targets(data: Mapping[str, object], source: Node) -> list[Node]:
    """Collect the directives of all lists of constraints beside the architecture."""
    found: list[Node] = []
    for name in ("architecture_constraints", "mapspace_constraints", "constraints", "mapspace"):
        section = source.find(name)
        if section is None:
            continue
        if isinstance(section.value, dict):
            targets = section.find("targets", "constraints")
            entries = targets.items() if targets else iter(())
        else:
            entries = section.items()
        for entry in entries:
            found += _directives(entry)
    return found


def _directives(entry: Node) -> Iterator[Node]:
    """Split what an old file says of one level: ``constraints``, each with ``attributes``."""
    inner = entry.find("constraints")
    if inner is None:
        yield entry
        return
    target = entry.get("target", "name").value
    for directive in inner.items():
        directive.check_keys(("type", "attributes"))
        attributes = directive.find("attributes")
        given = attributes.value if attributes else {}
        if isinstance(given, dict):
            value = {"target": target, "type": directive.get("type").value, **given}
            yield Node(value, directive.source, directive.error, directive.path)
