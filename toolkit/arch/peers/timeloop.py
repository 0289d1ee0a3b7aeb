"""Timeloop's architecture YAML (v0.2 to v0.4); FORMATS.md says what carries over.

The tree of a file is flattened into parts (`timeloop_tree`), constraints are read for each
(`timeloop_constraints`), and so are its figures, from the file or from Accelergy's tables
(`timeloop_figures`); here they become levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.arch.parameters import complete_settings
from toolkit.arch.peers.timeloop_constraints import (
    Constraints,
    Loops,
    check_targets,
    constraints_of,
    kept_in,
)
from toolkit.arch.peers.timeloop_dense import SPARSE_HINT, dense
from toolkit.arch.peers.timeloop_expressions import evaluated
from toolkit.arch.peers.timeloop_figures import (
    Tables,
    bandwidths,
    compute_energies,
    memory_energies,
    memory_figures,
)
from toolkit.arch.peers.timeloop_tree import Part, constraint_targets, read_parts
from toolkit.errors import ArchitectureError
from toolkit.peer_files import Node
from toolkit.workload.kernel import ROLES
from toolkit.workload.peers.timeloop import our_dimensions

PARAMETERS = {"default_energies": 0, "dense": 0}
"""The consents to estimated energies where the files give none, and to a sparse accelerator as
the dense one that it is without what it saves on zeros."""

_WORDS = ("N", "B", "G", "M", "K", "C", "P", "Q", "R", "S")
_SECTIONS = (
    "architecture",
    "arch",
    "architecture_constraints",
    "mapspace_constraints",
    "constraints",
    "mapspace",
    "problem",
    "mapping",
    "mapper",
    "ERT",
    "ART",
    "ERT_summary",
    "ART_summary",
    "components",
    "compound_components",
    "variables",
    "globals",
    "sparse_optimizations",
    "dumped_by_timeloop_front_end",
)


def timeloop_architecture(
    data: object, source: str, given: Mapping[str, object]
) -> dict[str, object]:
    """Read an architecture as the plain data of a file of ours.

    Parameters
    ----------
    data : object
        One file, or several merged, as plain data.
    source : str
        The files, for messages.
    given : mapping
        Values for some of `PARAMETERS`.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation.
    """
    values = complete_settings(given, PARAMETERS, source)
    document = Node(evaluated(dense(data) if values["dense"] else data), source, ArchitectureError)
    root = document.find("architecture") or document.get("arch")
    document.check_keys(_SECTIONS)
    sparse = document.find("sparse_optimizations")
    if sparse is not None and sparse.value not in ([], {}, {"targets": []}):
        raise sparse.refuse(SPARSE_HINT)
    parts = read_parts(root)
    _check_order(parts, root)
    targets = constraint_targets({}, document)
    check_targets(parts, targets)
    constraints = [constraints_of(part, targets) for part in parts]
    builder = _Builder(document, parts, constraints, bool(values["default_energies"]))
    levels = builder.levels()
    return {
        "name": _design_name(root, source),
        "description": "; ".join(
            (
                "read from Timeloop's architecture YAML",
                *(["dense: without what it saves on zeros"] if values["dense"] else []),
                *builder.notes,
            )
        ),
        "levels": levels,
    }


def _check_order(parts: Sequence[Part], architecture: Node) -> None:
    computes = [i for i, part in enumerate(parts) if part.kind == "compute"]
    if computes != [len(parts) - 1]:
        names = ", ".join(parts[i].name for i in computes)
        raise architecture.refuse(
            f"expected exactly one compute unit, innermost, found {names or 'none'}"
        )
    first = next(part for part in parts if part.kind != "container")
    if first.kind != "memory":
        raise architecture.refuse("expected a memory outermost, found only a compute unit")


def _design_name(architecture: Node, source: str) -> str:
    """Take the name of the outermost container that is not just the system, else of the file."""
    given = architecture.find("name")
    stem = source.split("+")[0].replace("\\", "/").rpartition("/")[2]
    for ending in (".yaml", ".yml", ".arch"):
        stem = stem.removesuffix(ending)
    return given.text() if given is not None else stem or "timeloop"


class _Builder:
    """Build levels from parts, their constraints and the tables of energies."""

    def __init__(
        self,
        document: Node,
        parts: Sequence[Part],
        constraints: Sequence[Constraints],
        default_energies: bool,
    ) -> None:
        self._parts = parts
        self._constraints = dict(zip((part.name for part in parts), constraints, strict=True))
        if len(self._constraints) < len(parts):
            names = [part.name for part in parts]
            repeated = next(name for name in names if names.count(name) > 1)
            raise document.refuse(f"two levels are called {repeated!r}")
        self._tables = Tables(document)
        self.notes = [
            f"{name}: maximize_dims is left to the search"
            for name, found in self._constraints.items()
            if found.temporal.maximized or found.spatial.maximized
        ]
        self._default = default_energies
        mentioned = _problem_dimensions(document)
        named = {d for c in constraints for d in (*c.temporal.names, *c.spatial.names)}
        self._names = our_dimensions({*mentioned, *named})
        ours = [self._names[d] for d in (*mentioned, *sorted(named - set(mentioned)))]
        self._dimensions = list(dict.fromkeys(ours if mentioned else (*_WORDS, *ours)))

    def levels(self) -> list[dict[str, object]]:
        """Build all levels, outermost first."""
        levels: list[dict[str, object]] = []
        dropped: set[str] = set()
        for part in self._parts:
            if part.mesh != (1, 1):
                if not levels:
                    raise part.node.refuse("expected one instance of what is outermost")
                levels += self._fanouts(part, dropped)
            if part.kind == "memory":
                level = self._memory(part)
                if level is None:
                    dropped.add(part.name)
                else:
                    if not levels:  # Nothing outside of it could supply a tensor.
                        level.pop("may_bypass", None)
                    levels.append(level)
            elif part.kind == "compute":
                energies = compute_energies(part, self._tables, self._default)
                levels.append({"compute": part.name, **energies, **self._area(part)})
        return levels

    def _fanouts(self, part: Part, dropped: set[str]) -> list[dict[str, object]]:
        if part.kind == "container" or part.outer in dropped:
            name = part.outer
        elif part.outer == part.name:
            name = f"inter_{part.name}_spatial"
        else:
            name = f"{part.outer}_fanout"
        spatial = self._constraints[part.outer].spatial if part.outer else Loops()
        axes = [axis for axis, mesh in zip("XY", part.mesh, strict=True) if mesh > 1]
        levels = []
        for axis, mesh in zip("XY", part.mesh, strict=True):
            if mesh > 1:
                allowed, bounds = self._unrolled(spatial, axis if len(axes) > 1 else None)
                if not allowed:
                    raise part.node.refuse(
                        f"its constraints leave no dimension to unroll along {axis}"
                    )
                level: dict[str, object] = {
                    "fanout": f"{name}_{axis}" if len(axes) > 1 else name,
                    "mesh": mesh,
                    "dimensions": allowed,
                }
                if bounds:
                    level["constraints"] = bounds
                levels.append(level)
        return levels

    def _unrolled(self, spatial: Loops, axis: str | None) -> tuple[list[str], list[str]]:
        """Dimensions that may be unrolled along an axis (None: the only one), and their bounds."""
        ones = {c.dimension for c in spatial.factors if c.relation != ">=" and c.value == 1}
        excluded = {self._names[d] for d in ones}
        if spatial.only:
            excluded |= self._unmentioned(spatial)
        if axis is not None and spatial.split is not None:
            along = (spatial.permutation[: spatial.split], spatial.permutation[spatial.split :])
            excluded |= {self._names[d] for d in along[1 if axis == "X" else 0]}
        allowed = [d for d in self._dimensions if d not in excluded]
        split = axis is not None and spatial.split is None
        # Said although they follow, so that the design names every dimension it knows of.
        bounds = [f"{self._names[d]} == 1" for d in dict.fromkeys(spatial.names) if d in ones]
        for constraint in spatial.factors:
            dimension = self._names[constraint.dimension]
            # Spread over two axes, only an upper bound holds for each of them.
            if dimension in allowed and not (split and constraint.relation == ">="):
                relation = "<=" if split else constraint.relation
                bounds.append(f"{dimension} {relation} {constraint.value}")
        return allowed, bounds

    def _memory(self, part: Part) -> dict[str, object] | None:
        """Build a memory; None for one that holds nothing and only shapes the hierarchy."""
        constraints = self._constraints[part.name]
        bypasses = self._bypasses(part, constraints)
        if "dummy" in part.category or set(ROLES) <= set(bypasses):
            return None
        figures = memory_figures(part)
        if figures.note:
            self.notes.append(f"{part.name}: {figures.note}")
        if figures.capacity_words == 0:
            if not constraints.keep:
                return None  # Nothing fits, so that every mapping bypasses it.
            raise part.node.refuse("holds no word, but its constraints keep tensors in it")
        unlimited = figures.capacity_words is None
        only_outputs = {"input", "weight"} <= set(bypasses)
        read, write = bandwidths(part)
        level: dict[str, object] = {
            "memory": part.name,
            "capacity_words": "unlimited" if unlimited else figures.capacity_words,
            **memory_energies(part, figures, self._tables, only_outputs, self._default),
            "read_bandwidth_words_per_cycle": read,
            "write_bandwidth_words_per_cycle": write,
            **({"bypasses": bypasses} if bypasses else {}),
            **({"may_bypass": free} if (free := _free(constraints, bypasses)) else {}),
            **({"values_per_wordline": figures.block} if figures.block > 1 else {}),
            **self._area(part),
            **self._temporal(constraints.temporal),
        }
        buffering = part.own("multiple_buffering")
        if buffering is not None and buffering.number(1, 1e6) != 1:
            level["multiple_buffering"] = buffering.number(1, 1e6)
        return level

    def _bypasses(self, part: Part, constraints: Constraints) -> list[str]:
        found = dict.fromkeys(constraints.bypass)
        kept = constraints.keep or ()
        for sibling in part.siblings:
            found.update(
                dict.fromkeys(
                    kept_in(Node([sibling.value], sibling.source, sibling.error, sibling.path))
                )
            )
        if constraints.keep_only:
            found.update(dict.fromkeys(ROLES))
        return [name for name in found if name not in kept]

    def _temporal(self, temporal: Loops) -> dict[str, object]:
        level: dict[str, object] = {}
        bounds = [f"{self._names[c.dimension]} {c.relation} {c.value}" for c in temporal.factors]
        if temporal.only:
            bounds += [f"{d} == 1" for d in self._dimensions if d in self._unmentioned(temporal)]
        if bounds:
            level["constraints"] = bounds
        ones = {c.dimension for c in temporal.factors if c.relation == "==" and c.value == 1}
        order = [self._names[d] for d in temporal.permutation[::-1] if d not in ones]
        if len(order) > 1:
            level["loop_order"] = order
        return level

    def _unmentioned(self, loops: Loops) -> set[str]:
        """Dimensions of which the factors of a level say nothing."""
        return set(self._dimensions) - {self._names[c.dimension] for c in loops.factors}

    def _area(self, part: Part) -> dict[str, object]:
        area = self._tables.area(part)
        return {} if area is None else {"area_um2": area}


def _free(constraints: Constraints, bypasses: Sequence[str]) -> list[str]:
    """Roles that constraints neither keep nor bypass: Timeloop leaves them to the mapping."""
    kept = constraints.keep or ()
    if not set(kept) <= set(ROLES):  # Who keeps a tensor by name says nothing of its role.
        return []
    return [role for role in ROLES if role not in kept and role not in bypasses]


def _problem_dimensions(document: Node) -> list[str]:
    problem = document.find("problem")
    shape = problem.find("shape") if problem is not None else None
    if shape is None or not isinstance(shape.value, dict):
        return []
    return [entry.name() for entry in shape.get("dimensions").items()]
