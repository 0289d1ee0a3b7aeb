"""Timeloop's constraints on levels: kept tensors, factors, permutations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toolkit.arch.constraints import FactorConstraint, Relation
from toolkit.arch.peers.timeloop_tree import Part
from toolkit.errors import InputError
from toolkit.messages import describe
from toolkit.peer_files import Node
from toolkit.workload.kernel import ROLES
from toolkit.workload.peers.timeloop import role_of

_FACTOR = re.compile(r"([A-Za-z]\w*?)(==|<=|>=|=|)([0-9]{1,10})", re.ASCII)
_TYPES = {"datatype": "dataspace", "bypass": "dataspace", "bypassing": "dataspace"}
_ALL_DIMENSIONS = r"len\(spec\.problem\.instance\)"
_MOST_DIMENSIONS = 1000
# Bounds on the search and not on the hardware.
_LOOSE = ("utilization", "max_overbooked_proportion", "parallelism")


@dataclass(frozen=True, slots=True)
class Loops:
    """Bounds on the loops of a level, with Timeloop's names of dimensions.

    Parameters
    ----------
    factors : tuple of FactorConstraint
        Those of a known value; a factor of 0 (what is left) bounds nothing.
    permutation : tuple of str
        Innermost first.
    split : int or None
        How many entries of a spatial permutation lie along X.
    only : bool
        Whether all other factors are 1.
    maximized : bool
        Whether Timeloop's front end would choose more factors, the largest that fit.
    """

    factors: tuple[FactorConstraint, ...] = ()
    permutation: tuple[str, ...] = ()
    split: int | None = None
    only: bool = False
    maximized: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All dimensions that are mentioned."""
        return (*(factor.dimension for factor in self.factors), *self.permutation)


@dataclass(frozen=True, slots=True)
class Constraints:
    """What is said about one level."""

    keep: tuple[str, ...] | None = None
    keep_only: bool = False
    bypass: tuple[str, ...] = ()
    temporal: Loops = Loops()
    spatial: Loops = Loops()


def constraints_of(part: Part, targets: Sequence[Node]) -> Constraints:
    """Collect the constraints at a part and those that target it from a list.

    Raises
    ------
    InputError
        Naming file, key, value and expectation.
    """
    found = _Collected()
    inline = part.node.find("constraints")
    if inline is not None:
        inline.check_keys(("dataspace", "temporal", "spatial", *_LOOSE))
        for kind in ("dataspace", "temporal", "spatial"):
            directive = inline.find(kind)
            if directive is not None:
                found.add(kind, directive)
    names = (part.name.casefold(), f"inter_{part.name}_spatial".casefold())
    for directive in targets:
        target = directive.get("target", "name").text()
        if target.casefold() not in names:
            continue
        kind = directive.get("type").text()
        kind = _TYPES.get(kind, kind)
        if kind not in _LOOSE:
            found.add(kind, directive)
    return found.constraints()


def check_targets(parts: Iterable[Part], targets: Sequence[Node]) -> None:
    """Refuse constraints on a level that is not there."""
    known = {name for part in parts for name in (part.name, f"inter_{part.name}_spatial")}
    folded = {name.casefold() for name in known}
    for directive in targets:
        target = directive.get("target", "name")
        if target.text().casefold() not in folded:
            names = sorted(name for name in known if not name.startswith("inter_"))
            raise target.refuse(
                f"no level is called {describe(target.value)}; expected one of {', '.join(names)}"
            )


class _Collected:
    """Constraints on one level while its directives are read."""

    def __init__(self) -> None:
        self._keep: tuple[str, ...] | None = None
        self._only = False
        self._bypass: tuple[str, ...] = ()
        self._loops = {"temporal": Loops(), "spatial": Loops()}

    def add(self, kind: str, directive: Node) -> None:
        """Take one directive."""
        if kind == "dataspace":
            self._add_dataspace(directive)
        elif kind in self._loops:
            loops = _loops(directive)
            before = self._loops[kind]
            self._loops[kind] = Loops(
                (*before.factors, *loops.factors),
                loops.permutation or before.permutation,
                loops.split if loops.split is not None else before.split,
                before.only or loops.only,
                before.maximized or loops.maximized,
            )
        else:
            raise directive.get("type").refuse(
                f"expected dataspace, temporal or spatial, got {describe(kind)}"
            )

    def _add_dataspace(self, directive: Node) -> None:
        directive.check_keys(
            ("type", "target", "name", "keep", "keep_only", "bypass", "bypass_only")
        )
        keep, only = directive.find("keep"), directive.find("keep_only")
        for given in (keep, only):
            if given is not None:
                self._keep = (*(self._keep or ()), *_tensors(given))
        self._only = self._only or only is not None
        bypass, alone = directive.find("bypass"), directive.find("bypass_only")
        for given in (bypass, alone):
            if given is not None:
                self._bypass = (*self._bypass, *_tensors(given))
        if alone is not None:
            others = [role for role in ROLES if role not in self._bypass]
            self._keep = (*(self._keep or ()), *others)

    def constraints(self) -> Constraints:
        """Say all that was collected."""
        return Constraints(
            self._keep, self._only, self._bypass, self._loops["temporal"], self._loops["spatial"]
        )


def kept_in(branch: Node) -> tuple[str, ...]:
    """Tensors that the nodes of a parallel branch keep."""
    kept: tuple[str, ...] = ()
    value = branch.value
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        for inside in entry.values():
            node = Node(inside, branch.source, branch.error, branch.path)
            if not isinstance(inside, dict):
                continue
            nested, constraints = node.find("nodes"), node.find("constraints")
            if nested is not None:
                kept += kept_in(nested)
            dataspace = constraints.find("dataspace") if constraints else None
            for word in ("keep", "keep_only"):
                given = dataspace.find(word) if dataspace else None
                kept += _tensors(given) if given else ()
    return kept


def _tensors(node: Node) -> tuple[str, ...]:
    """Read names of tensors as roles where they tell one, else as they are."""
    if isinstance(node.value, str):
        words = [word for word in re.split(r"[\s,]+", node.value) if word]
    else:
        words = [entry.text() for entry in node.items()]
    return tuple(dict.fromkeys(role_of(word) or word for word in words))


def _loops(directive: Node) -> Loops:
    directive.check_keys(
        ("type", "target", "name", "factors", "factors_only", "permutation", "split",
         "maximize_dims", "maximize_dims_capacity")
    )  # fmt: skip
    factors, permutation = directive.find("factors"), directive.find("permutation")
    split, only = directive.find("split"), directive.find("factors_only")
    return Loops(
        (*(_factors(factors) if factors else ()), *(_factors(only) if only else ())),
        _permutation(permutation) if permutation else (),
        _split(split) if split else None,
        only is not None,
        directive.find("maximize_dims") is not None,
    )


def _split(node: Node) -> int:
    """How many entries lie along X; Timeloop's own files call all of them by an expression."""
    if isinstance(node.value, str) and re.fullmatch(_ALL_DIMENSIONS, node.value.strip()):
        return _MOST_DIMENSIONS
    return node.integer(0, _MOST_DIMENSIONS)


def _words(node: Node) -> list[tuple[str, Node]]:
    if isinstance(node.value, str):
        text = re.sub(r"\s*(<=|>=|=+)\s*", r"\1", node.value)
        return [(word, node) for word in re.split(r"[\s,]+", text) if word]
    return [(re.sub(r"\s+", "", entry.text()), entry) for entry in node.items()]


def _factors(node: Node) -> tuple[FactorConstraint, ...]:
    found = []
    for word, place in _words(node):
        match = _FACTOR.fullmatch(word)
        if not match:
            raise _refused(place, "factors such as C=4, M<=8 or S1", word)
        relations: dict[str, Relation] = {"<=": "<=", ">=": ">="}
        if int(match[3]) > 0:
            relation = relations.get(match[2], "==")
            found.append(FactorConstraint(match[1], relation, int(match[3])))
    return tuple(found)


def _permutation(node: Node) -> tuple[str, ...]:
    words = _words(node)
    if isinstance(node.value, str) and "," not in node.value:
        # Without commas every letter is a dimension, and blanks only group them.
        words = [(letter, node) for word, _ in words for letter in word]
    for word, place in words:
        if not re.fullmatch(r"[A-Za-z]\w*", word, re.ASCII):
            raise _refused(place, "dimensions", word)
    return tuple(dict.fromkeys(word for word, _ in words))


def _refused(node: Node, expected: str, word: str) -> InputError:
    return node.refuse(f"expected {expected}, got {describe(word)}")
