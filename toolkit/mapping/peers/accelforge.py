"""Mappings of AccelForge that are one loop nest, in and out.

A mapping of AccelForge's is a list of nodes, outermost first: ``!Storage`` keeps tiles of tensors
in a component, ``!Temporal`` and ``!Spatial`` iterate over tiles of a ``tile_shape`` along a
``rank_variable``, ``!Compute`` ends the list.

Names. Rank variables are our dimensions in small letters. A fanout that is called
``COMPONENT_NAME``, as those that we read from AccelForge's architectures are, is its spatial
dimension ``NAME`` at ``COMPONENT``; any other one is a dimension of what lies directly inside.

Storage. AccelForge fetches a tile again in every iteration of the loops around its ``!Storage``,
even of those that the tensor does not depend on; here a tile stays through the innermost ones of
these, up to the memory that it comes from. So a tensor's ``!Storage`` is written outside of them.
The last ``!Storage`` of a component, be it one of no tensors, is where its own loops begin: the
same memory has the same loops for all of its tensors.

What is written holds the workload, too, whose rank variables the mapping names: with an
architecture it is all that AccelForge asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from toolkit.arch.architecture import Architecture, holds
from toolkit.arch.levels import Memory
from toolkit.errors import MappingError
from toolkit.mapping.bypasses import chosen_arch
from toolkit.mapping.mapping import IntArray, Mapping, to_arrays
from toolkit.mapping.peers.loops import Names, Target, assemble, written_names
from toolkit.mapping.peers.spatial import check_no_hidden_unrolling
from toolkit.workload.kernel import ROLES, Tensor, Workload

_BITS = 8
"""Of values that take a word each: AccelForge has no words."""

_TAKEN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"}


def mapping_from_accelforge(
    text: str, arch: Architecture, workload: Workload, *, source: str | None = None
) -> Mapping:
    """Read a mapping that is one loop nest; see the module.

    Parameters
    ----------
    text : str
        A file with ``mapping``; other sections are not looked at.
    arch, workload : Architecture, Workload
        What it maps.
    source : str, optional
        How messages call the text.

    Raises
    ------
    MappingError
        Naming `source`, the line and the node, if the text is no mapping of `workload` on `arch`.
        Whether its tiles fit is another question: see `toolkit.mapping.violations`.
    """
    from toolkit.mapping.peers.accelforge_nodes import rows_of

    target = Target(arch, workload, source)
    return assemble(target, *rows_of(text, target, accelforge_names(workload)))


def accelforge_names(workload: Workload) -> Names:
    """List AccelForge's names of the workload's dimensions.

    Examples
    --------
    >>> from toolkit.workload import gemm
    >>> accelforge_names(gemm(4, 2, 3))
    {'M': 'M', 'K': 'K', 'N': 'N', 'm': 'M', 'k': 'K', 'n': 'N'}
    """
    names: dict[str, str | None] = {d: d for d in workload.dimensions}
    small = {d.lower(): d for d in workload.dimensions}
    return {**names, **small} if len(small) == len(names) else names


def fanout_names(arch: Architecture, position: int) -> tuple[str, str]:
    """Say what AccelForge calls a fanout: the component that it multiplies, and its dimension.

    Examples
    --------
    >>> from toolkit.arch import load_arch
    >>> gemmini = load_arch("gemmini-ws")
    >>> [level.name for level in gemmini.levels][2:4], fanout_names(gemmini, 2)
    (['Columns', 'Accumulator'], ('Accumulator', 'Columns'))
    """
    name = arch.levels[position].name
    inside = next(
        (x.name for x in arch.levels[position + 1 :] if isinstance(x, Memory)),
        arch.levels[-1].name,
    )
    component, _, dimension = name.rpartition("_")
    if name.startswith(f"{inside}_"):
        component, dimension = inside, name.removeprefix(f"{inside}_")
    return (component, dimension) if component and dimension else (inside, name)


@dataclass(frozen=True, slots=True)
class _Storage:
    component: str
    tensors: tuple[Tensor, ...]

    def lines(self) -> list[str]:
        names = ", ".join(_word(tensor.name) for tensor in self.tensors)
        lines = ["  - !Storage", f"    component: {_word(self.component)}"]
        return [*lines, f"    tensors: [{names}]"]


@dataclass(frozen=True, slots=True)
class _Loop:
    dimension: str
    rank: str
    tile: int
    fanout: tuple[str, str] | None = None

    def lines(self) -> list[str]:
        kind = "Temporal" if self.fanout is None else "Spatial"
        lines = [f"  - !{kind}", f"    rank_variable: {_word(self.rank)}"]
        lines.append(f"    tile_shape: {self.tile}")
        if self.fanout is not None:
            component, name = map(_word, self.fanout)
            lines += [f"    component: {component}", f"    name: {name}"]
        return lines


_Node = _Storage | _Loop


def mapping_to_accelforge(mapping: Mapping, arch: Architecture, workload: Workload) -> str:
    """Write a mapping and its workload as AccelForge's YAML.

    Raises
    ------
    MappingError
        If the mapping does not describe `workload` on `arch`, a name cannot be written, or tiles
        are cut off along a dimension that windows move over, which AccelForge cannot say.
    """
    factors, order = to_arrays(mapping, arch, workload)
    arch = chosen_arch(arch, workload, mapping)
    check_no_hidden_unrolling(factors, arch)
    _check_expressible(factors, workload)
    ranks = written_names(arch, workload, accelforge_names(workload), "AccelForge")
    nodes: list[_Node] = []
    homes: dict[str, _Storage] = {}
    for i, level in enumerate(arch.levels):
        fanout = None if isinstance(level, Memory) else fanout_names(arch, i)
        if isinstance(level, Memory):
            held = tuple(t for t in workload.tensors if holds(level, t))
            _store(nodes, level.name, held, homes)
        nodes += [
            _Loop(workload.dimensions[j], ranks[j], prod(factors[i + 1 :, j].tolist()), fanout)
            for j in order[i].tolist()
            if factors[i, j] > 1
        ]
    lines = [f"# {_plain(workload.name)} on {_plain(arch.name)}", "workload:"]
    lines += [*_einsum(workload, ranks), "mapping:", "  nodes:"]
    lines += [line for node in nodes for line in node.lines()]
    lines += ["  - !Compute", f"    einsum: {_einsum_name(workload)}"]
    lines.append(f"    component: {_word(arch.levels[-1].name)}")
    return "\n".join(lines) + "\n"


def _store(
    nodes: list[_Node], component: str, held: Sequence[Tensor], homes: dict[str, _Storage]
) -> None:
    """Put the tensors of a memory outside of the loops through which its tiles of them stay.

    Parameters
    ----------
    nodes : list of node
        So far; extended.
    component, held : str, sequence of Tensor
        The memory, and what it holds.
    homes : dict of str to _Storage
        By tensor, the last node of the memory around that holds it; brought up to date.
    """
    places: dict[int, list[Tensor]] = {len(nodes): []}
    for tensor in held:
        places.setdefault(_place(nodes, tensor, homes.get(tensor.name)), []).append(tensor)
    for place in sorted(places, reverse=True):
        nodes.insert(place, _Storage(component, tuple(places[place])))
    last = next(x for x in reversed(nodes) if isinstance(x, _Storage))
    homes.update((tensor.name, last) for tensor in held)


def _place(nodes: Sequence[_Node], tensor: Tensor, home: _Storage | None) -> int:
    found = len(nodes)
    for place in reversed(range(len(nodes))):
        node = nodes[place]
        if node is home:
            break
        if isinstance(node, _Loop) and node.fanout is None:
            if node.dimension in tensor.dimensions:
                break
            found = place
    return found


def _check_expressible(factors: IntArray, workload: Workload) -> None:
    """Refuse tiles that are cut off where windows move: AccelForge averages over tiles there.

    Raises
    ------
    MappingError
        Naming the dimension.
    """
    moved = {
        term.dimension
        for tensor in workload.tensors
        for index in tensor.indices
        for term in index
        if len(index) > 1 or term.coefficient > 1
    }
    for column, (dimension, size) in zip(factors.T.tolist(), workload.sizes.items(), strict=True):
        if prod(column) > size and dimension in moved:
            raise MappingError(
                f"factors of {dimension} multiply to {prod(column)}, more than its {size}; "
                "AccelForge cuts no tile off where windows move, so this cannot be written for "
                "it; mappings of perfect factors can",
                source=workload.name,
                key=f"factors.{dimension}",
            )


def _einsum(workload: Workload, ranks: Sequence[str]) -> list[str]:
    """Write the workload, indented, with the same rank variables."""
    called = dict(zip(workload.dimensions, ranks, strict=True))
    lines = ["  iteration_space_shape:"]
    lines += [
        f"    {_word(called[d])}: 0 <= {called[d]} < {size}" for d, size in workload.sizes.items()
    ]
    lines += ["  einsums:", f"  - name: {_einsum_name(workload)}", "    tensor_accesses:"]
    for tensor in workload.tensors:
        lines.append(f"    - name: {_word(tensor.name)}")
        lines.append(f"      projection: {{{_axes(tensor, called)}}}")
        lines.append(f"      bits_per_value: {tensor.bits or _BITS}")
        if tensor.role == "output":
            lines.append("      output: true")
    roles = [t.role for t in workload.tensors]
    named = {t.role: t.name for t in workload.tensors if roles.count(t.role) == 1}
    told = ", ".join(f"{role}: {_word(named[role])}" for role in ROLES if role in named)
    return [*lines, f"    renames: {{{told}}}"]


def _axes(tensor: Tensor, called: dict[str, str]) -> str:
    """Write what indexes a tensor; an axis of one dimension is called like it, in capitals."""
    axes = []
    for index in tensor.indices:
        ranks = [called[term.dimension] for term in index]
        terms = [
            rank if term.coefficient == 1 else f"{term.coefficient} * {rank}"
            for rank, term in zip(ranks, index, strict=True)
        ]
        axis = "".join(ranks).upper()
        axes.append(f"{_word(axis)}: {_word(' + '.join(terms))}")
    return ", ".join(axes)


def _einsum_name(workload: Workload) -> str:
    name = re.sub(r"\W", "_", workload.name, flags=re.ASCII)
    return name if name[:1].isalpha() else f"Einsum_{name}"


def _word(name: str) -> str:
    """Quote what is no name, or what some readers of YAML take for something else than text."""
    plain = re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) and name.lower() not in _TAKEN
    return name if plain else json.dumps(name, ensure_ascii=False)


def _plain(name: str) -> str:
    return name if name.isprintable() else repr(name)
