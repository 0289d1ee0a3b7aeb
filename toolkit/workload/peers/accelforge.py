"""AccelForge's einsums as workloads; FORMATS.md says what carries over."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from toolkit.errors import WorkloadError
from toolkit.messages import describe, relocated
from toolkit.peer_files import Node
from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload
from toolkit.workload.kinds import MAX_SIZE
from toolkit.workload.structure import structural_kernel

_BOUND = re.compile(r"\s*0\s*<=\s*(\w+)\s*<\s*([0-9]{1,10})\s*", re.ASCII)
_ACCESS = re.compile(r"(\w+)\s*\[([^\[\]]*)\]", re.ASCII)
_SUMMAND = re.compile(
    r"(?:([0-9]{1,10})\s*\*\s*)?([A-Za-z_]\w*)(?:\s*\*\s*([0-9]{1,10}))?", re.ASCII
)
_KEYS = (
    "name", "einsum", "tensor_accesses", "iteration_space_shape", "rank_sizes", "renames",
    "bits_per_value",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Einsum:
    """One einsum of a file.

    Parameters
    ----------
    name : str
        Its name, or that of its output.
    sizes : dict of str to int
        Iterations by rank variable.
    tensors : tuple of Tensor
        With the file's names, the output last.
    place : Node
        Where it stands.
    """

    name: str
    sizes: dict[str, int]
    tensors: tuple[Tensor, ...]
    place: Node

    @property
    def output(self) -> Tensor:
        """What it computes."""
        return self.tensors[-1]

    def workload(self, name: str) -> Workload:
        """Build the workload: a ready-made kernel where it computes the same.

        Raises
        ------
        WorkloadError
            If the tensors make no workload.
        """
        found = structural_kernel(self.sizes, self.tensors, name)
        if found is not None:
            return found
        try:
            return Workload(name, "einsum", self.sizes, self.tensors)
        except WorkloadError as cause:
            source, key = self.place.source, self.place.refuse("").key
            raise relocated(cause, source, key) from None


def is_einsums(data: object) -> bool:
    """Whether a file holds a workload of AccelForge's."""
    workload = data.get("workload") if isinstance(data, Mapping) else None
    return isinstance(workload, Mapping) and "einsums" in workload


def read_einsums(data: object, source: str) -> tuple[Einsum, ...]:
    """Read all einsums of a file.

    Raises
    ------
    WorkloadError
        Naming file, key, value and expectation.
    """
    workload = Node(data, source, WorkloadError).get("workload")
    bounds = _bounds(workload.find("iteration_space_shape", "shape"))
    ranks = _rank_sizes(workload.find("rank_sizes"))
    entries = [_accesses(entry) for entry in workload.get("einsums").items()]
    if not entries:
        raise workload.get("einsums").refuse("expected at least one einsum, got an empty list")
    made = {access.name for accesses in entries for access in accesses if access.output}
    found = []
    for entry, accesses in zip(workload.get("einsums").items(), entries, strict=True):
        found.append(_einsum(entry, accesses, bounds, ranks, made))
    names = [einsum.name for einsum in found]
    for einsum in found:
        if names.count(einsum.name) > 1:
            raise einsum.place.refuse(f"two einsums are called {describe(einsum.name)}")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Access:
    """A tensor in an einsum: its indices, and the rank of each axis if the file names it."""

    name: str
    indices: tuple[Index, ...]
    ranks: tuple[str, ...]
    output: bool


def _einsum(
    entry: Node,
    accesses: list[_Access],
    bounds: Mapping[str, int],
    ranks: Mapping[str, int],
    made: set[str],
) -> Einsum:
    plain = isinstance(entry.value, str)
    own = {} if plain else _bounds(entry.find("iteration_space_shape"))
    sizes_of_ranks = ranks if plain else {**ranks, **_rank_sizes(entry.find("rank_sizes"))}
    known: dict[str, int] = {}
    for access in accesses:
        for index, rank in zip(access.indices, access.ranks, strict=True):
            if len(index) == 1 and index[0].coefficient == 1 and rank in sizes_of_ranks:
                known.setdefault(index[0].dimension, sizes_of_ranks[rank])
    known = {**known, **bounds, **own}
    names = [t.dimension for access in accesses for index in access.indices for t in index]
    for name in names:
        if name not in known:
            raise entry.refuse(
                f"no size of {describe(name)}; expected rank_sizes, or 0 <= {name} < SIZE in "
                "iteration_space_shape"
            )
    outputs = [access for access in accesses if access.output]
    if len(outputs) != 1:
        raise entry.refuse(f"expected one tensor with output: true, found {len(outputs)}")
    operands = [access for access in accesses if not access.output]
    if len(operands) < 2:
        raise entry.refuse(
            "multiplies nothing; a workload is a sum of products of two tensors or more"
        )
    weight = _weight(entry, operands, made)
    roles: dict[str, Role] = {weight: "weight", outputs[0].name: "output"}
    tensors = tuple(
        Tensor(a.name, roles.get(a.name, "input"), a.indices) for a in (*operands, *outputs)
    )
    given = None if plain else entry.find("name")
    name = given.text() if given else outputs[0].name
    return Einsum(name, {n: known[n] for n in dict.fromkeys(names)}, tensors, entry)


def _weight(entry: Node, operands: list[_Access], made: set[str]) -> str:
    """Find the weight: as renamed, else what no other einsum makes, else the second operand."""
    renames = None if isinstance(entry.value, str) else entry.find("renames")
    told = renames.find("weight") if renames is not None else None
    if told is not None and isinstance(told.value, str):
        if told.value not in [access.name for access in operands]:
            raise told.refuse(f"no operand is called {describe(told.value)}")
        return told.value
    given = [access.name for access in operands if access.name not in made]
    return given[0] if len(given) == 1 else operands[1].name


def _accesses(entry: Node) -> list[_Access]:
    if isinstance(entry.value, str):
        return _written(entry, entry.value)
    entry.check_keys(_KEYS)
    text = entry.find("einsum")
    if text is not None:
        return _written(text, text.text())
    return [_access(access) for access in entry.get("tensor_accesses").items()]


def _written(place: Node, text: str) -> list[_Access]:
    """Read ``T1[m, n1] = T0[m, n0] * W0[n0, n1]``."""
    left, equals, right = text[:10_000].partition("=")
    output = _ACCESS.fullmatch(left.strip())
    factors = [_ACCESS.fullmatch(word.strip()) for word in _factors(right)]
    if not equals or output is None or None in factors:
        raise place.refuse(
            f"expected such as T1[m, n1] = T0[m, n0] * W0[n0, n1], got {describe(text)}"
        )
    matches = [*(match for match in factors if match), output]
    return [
        _indexed(place, match[1], [_axis(part) for part in match[2].split(",")], match is output)
        for match in matches
    ]


def _factors(text: str) -> list[str]:
    """Split at the asterisks that stand outside of brackets."""
    return re.split(r"\*(?![^\[]*\])", text)


def _axis(part: str) -> tuple[str, str]:
    """Rank and expression of ``H: p0 * 2 + r0``, or of ``m``, whose rank is ``M``."""
    rank, colon, expression = part.partition(":")
    return (rank.strip(), expression) if colon else (part.strip().upper(), part)


def _access(node: Node) -> _Access:
    node.check_keys(("name", "projection", "output", "bits_per_value", "persistent", "density"))
    projection = node.get("projection")
    if isinstance(projection.value, dict):
        axes = [(rank, str(text)) for rank, text in projection.value.items()]
    else:
        axes = [(item.text().upper(), item.text()) for item in projection.items()]
    output = node.find("output")
    written = output is not None and output.flag()
    return _indexed(projection, node.get("name").name(), axes, written)


def _indexed(place: Node, name: str, axes: list[tuple[str, str]], output: bool) -> _Access:
    indices = tuple(_index(place, text) for _, text in axes)
    return _Access(name, indices, tuple(rank for rank, _ in axes), output)


def _index(place: Node, text: str) -> Index:
    terms = []
    for part in text.split("+"):
        match = _SUMMAND.fullmatch(part.strip())
        coefficient = int((match and (match[1] or match[3])) or 1)
        if match is None or (match[1] and match[3]) or not 1 <= coefficient <= MAX_SIZE:
            raise place.refuse(
                f"expected a sum of rank variables such as 2 * p + r, got {describe(text)}"
            )
        terms.append(Term(match[2], coefficient))
    return tuple(terms)


def _bounds(node: Node | None) -> dict[str, int]:
    """Read ``0 <= m < 128``, in a list or by name."""
    if node is None:
        return {}
    if isinstance(node.value, dict):
        entries = [
            replace(node, value=node.value[key], path=(*node.path, key))
            for key in node.keys()  # noqa: SIM118
        ]
    else:
        entries = list(node.items())
    found = {}
    for entry in entries:
        match = _BOUND.fullmatch(entry.text())
        if match is None or not 1 <= int(match[2]) <= MAX_SIZE:
            raise entry.refuse(
                f"expected bounds such as 0 <= m < 128, got {describe(entry.value)}"
            )
        found[match[1]] = int(match[2])
    return found


def _rank_sizes(node: Node | None) -> dict[str, int]:
    if node is None:
        return {}
    return {key: node.get(key).integer(1, MAX_SIZE) for key in node.keys()}  # noqa: SIM118
