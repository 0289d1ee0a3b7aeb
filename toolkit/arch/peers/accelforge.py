"""AccelForge's architectures, where they are one hierarchy; FORMATS.md says what carries over.

Its units are SI and bits: J per action, actions per second, bits of a memory. A cycle here is one
operation of the compute unit, a word has the bits of the parameter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from toolkit.arch.expressions import parse_expression
from toolkit.arch.levels import UNLIMITED_BANDWIDTH
from toolkit.arch.parameters import complete_settings
from toolkit.arch.peers.accelforge_sets import tensors_in
from toolkit.arch.peers.estimates import MAC_PJ, estimated_pj
from toolkit.errors import ArchitectureError
from toolkit.messages import describe
from toolkit.peer_files import Node
from toolkit.workload.kernel import ROLES

PARAMETERS = {"bits": 8, "default_energies": 0}
"""Bits of a value, which in AccelForge workloads give, and the consent to estimated energies."""

_TAGS = ("!Memory", "!Compute", "!Container")
_SECTIONS = (
    "arch", "workload", "renames", "mapper", "variables", "config", "version", "mapping", "model",
)  # fmt: skip
_KEYS = (
    "name", "size", "leak_power", "area", "tensors", "actions", "spatial", "total_latency",
    "component_class", "enabled", "bits_per_action", "extra_attributes_for_component_model",
    "total_leak_power", "total_area", "n_parallel_instances", "bits_per_value",
)  # fmt: skip
_SEPARATE = re.compile(r"max\(\s*a\.n_calls\s*/\s*a\.throughput\s+for\s+a\s+in\s+actions\s*\)")
_VALUE_BITS = re.compile(r"(\w+)\.bits_per_value(?:\s+if\s+\1\s+else\s+[01])?")
_LENGTH = re.compile(r"len\(\s*All\s*\)\s*(==|<=|>=|<|>|!=)\s*([0-9])")
# Dimensions of ready-made kernels that index tensors of a role.
_INDEXING = {
    "weight": {"M", "C", "R", "S", "K", "G", "B"},
    "input": {"C", "K", "P", "Q", "R", "S", "N", "G", "B"},
    "output": {"M", "P", "Q", "N", "G", "B"},
}
_WORDS = ("N", "B", "G", "M", "K", "C", "P", "Q", "R", "S")


def accelforge_architecture(
    data: object, source: str, given: Mapping[str, object]
) -> dict[str, object]:
    """Read an architecture as the plain data of a file of ours.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation.
    """
    values = complete_settings(given, PARAMETERS, source)
    if not 1 <= values["bits"] <= 64:
        raise ArchitectureError(
            f"expected 1 to 64 bits, got {values['bits']}", source=source, key="bits"
        )
    document = Node(data, source, ArchitectureError)
    document.check_keys(_SECTIONS)
    parts = list(_parts(document.get("arch").get("nodes")))
    computes = [i for i, part in enumerate(parts) if part.tag == "!Compute"]
    if computes != [len(parts) - 1] or parts[0].tag != "!Memory":
        names = ", ".join(parts[i].name for i in computes) or "none"
        raise document.get("arch").refuse(
            f"expected a memory outermost and one compute unit, innermost, found {names}"
        )
    builder = _Builder(values["bits"], bool(values["default_energies"]), parts)
    levels = builder.levels()
    stem = source.partition(" (")[0].replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    return {
        "name": stem or "accelforge",
        "description": "; ".join(("read from AccelForge's architecture", *builder.notes)),
        "levels": levels,
    }


@dataclass(frozen=True, slots=True)
class _Part:
    tag: str
    name: str
    node: Node


def _parts(nodes: Node) -> Iterator[_Part]:
    for entry in nodes.items():
        tags = list(entry.value) if isinstance(entry.value, dict) else []
        tag = tags[0] if len(tags) == 1 else ""
        node = Node(
            entry.value[tag] if tag and isinstance(entry.value, dict) else None,
            entry.source,
            entry.error,
            entry.path,
        )
        if tag == "!Hierarchical":
            yield from _parts(node.get("nodes"))
            continue
        if tag not in _TAGS:
            raise entry.refuse(
                f"{tag or describe(entry.value)} is not part of one hierarchy of memories; "
                f"expected {', '.join(_TAGS)} or !Hierarchical"
            )
        node.check_keys(_KEYS)
        if _enabled(node):
            yield _Part(tag, node.get("name").text(), node)


def _enabled(node: Node) -> bool:
    """Whether a node is there for products of two tensors, which have three."""
    enabled = node.find("enabled")
    if enabled is None or isinstance(enabled.value, bool):
        return enabled is None or enabled.flag()
    match = _LENGTH.fullmatch(enabled.text().strip())
    if match is None:
        raise enabled.refuse(
            f"expected true, false or such as len(All) == 3, got {describe(enabled.value)}"
        )
    count = int(match[2])
    return {
        "==": count == 3, "!=": count != 3, "<=": count >= 3, ">=": count <= 3,
        "<": count > 3, ">": count < 3,
    }[match[1]]  # fmt: skip


class _Builder:
    """Build levels from the nodes of one hierarchy."""

    def __init__(self, bits: int, default_energies: bool, parts: list[_Part]) -> None:
        self._bits = bits
        self._default = default_energies
        self._parts = parts
        self._kept: dict[str, frozenset[str] | None] = {}
        compute = _action(parts[-1].node, "compute")
        rate = _number(compute.find("throughput"), math.inf) if compute is not None else math.inf
        self._per_second = rate if math.isfinite(rate) and rate > 0 else 1.0
        self.notes: list[str] = []

    def levels(self) -> list[dict[str, object]]:
        """Build all levels, outermost first."""
        levels: list[dict[str, object]] = []
        for part in self._parts:
            fanouts = list(self._fanouts(part))
            if fanouts and not levels:
                raise part.node.refuse("expected one instance of what is outermost")
            levels += fanouts
            if part.tag == "!Memory":
                levels.append(self._memory(part, outermost=not levels))
            elif part.tag == "!Compute":
                levels.append({"compute": part.name, "mac_energy_pj": self._mac_pj(part)})
        return levels

    def _fanouts(self, part: _Part) -> Iterator[dict[str, object]]:
        spatial = part.node.find("spatial")
        for entry in spatial.items() if spatial else ():
            entry.check_keys(
                (
                    "name",
                    "fanout",
                    "reuse",
                    "may_reuse",
                    "min_usage",
                    "power_gateable",
                    "usage_scale",
                )
            )
            mesh = Node(
                _number(entry.get("fanout"), 1.0),
                entry.source,
                entry.error,
                (*entry.path, "fanout"),
            ).integer(1, 2**31)
            allowed = self._unrolled(entry)
            if not allowed:
                raise entry.refuse("its reuse leaves no dimension to unroll")
            if mesh > 1:
                yield {
                    "fanout": f"{part.name}_{entry.get('name').text()}",
                    "mesh": mesh,
                    "dimensions": allowed,
                    # Said although they follow, so that the design names all that it knows of.
                    "constraints": [f"{word} == 1" for word in _WORDS if word not in allowed],
                }

    def _unrolled(self, entry: Node) -> list[str]:
        """Dimensions over which all tensors that must be reused stay the same."""
        reuse, may = entry.find("reuse"), entry.find("may_reuse")
        must = tensors_in(reuse, self._kept) if reuse else frozenset[str]()
        excluded = {d for role in must for d in _INDEXING[role]}
        allowed = [d for d in _WORDS if d not in excluded]
        if may is None:
            # Others are sent to every instance for itself.
            shared = must if reuse else frozenset(ROLES)
        else:
            shared = tensors_in(may, self._kept)
        if reuse is None and shared != frozenset(ROLES):
            alone = [role for role in ROLES if role not in shared]
            allowed = [d for d in allowed if all(d in _INDEXING[role] for role in alone)]
        return allowed

    def _memory(self, part: _Part, *, outermost: bool) -> dict[str, object]:
        node = part.node
        kept, optional = self._held(part)
        if outermost and kept | optional != frozenset(ROLES):
            raise node.refuse("the outermost memory has to hold all tensors")
        self._kept[part.name] = None if optional and not outermost else kept | optional
        words = self._capacity(node)
        level: dict[str, object] = {
            "memory": part.name,
            "capacity_words": "unlimited" if words is None else words,
            **self._energies(part, words),
            **self._bandwidths(part),
        }
        bypasses = [role for role in ROLES if role not in kept | optional]
        free = [role for role in ROLES if role in optional]
        if bypasses:
            level["bypasses"] = bypasses
        if free and not outermost:
            level["may_bypass"] = free
        leak = _number(node.find("leak_power"), 0.0)
        if leak:
            level["leakage_pj_per_cycle"] = leak * 1e12 / self._per_second
        area = _number(node.find("area"), 0.0)
        if area:
            level["area_um2"] = area * 1e12
        return level

    def _held(self, part: _Part) -> tuple[frozenset[str], frozenset[str]]:
        """Tensors that a memory keeps, and those that a mapping may keep there."""
        tensors = part.node.find("tensors")
        if tensors is None:
            return frozenset(), frozenset(ROLES)
        tensors.check_keys(("keep", "may_keep", "tile_shape", "no_refetch_from_above", "back"))
        keep, may = tensors.find("keep"), tensors.find("may_keep")
        kept = tensors_in(keep, self._kept) if keep else frozenset[str]()
        if may is not None:
            return kept, tensors_in(may, self._kept) - kept
        return kept, frozenset() if keep else frozenset(ROLES)

    def _capacity(self, node: Node) -> int | None:
        size = node.get("size")
        if isinstance(size.value, str) and _VALUE_BITS.fullmatch(size.value.strip()):
            return 1
        bits = _number(size, 0.0)
        if math.isinf(bits):
            return None
        if bits < self._bits:
            raise size.refuse(f"{bits:g} bits hold no value of {self._bits} bits")
        return int(bits) // self._bits

    def _energies(self, part: _Part, words: int | None) -> dict[str, object]:
        if _costs_nothing(part.node):
            return {"access_energy_pj": 0.0}
        found = {}
        for name in ("read", "write"):
            action = _action(part.node, name)
            energy = action.find("energy") if action is not None else None
            if energy is not None and action is not None:
                scale = self._bits / self._bits_per_action(part.node, action)
                found[f"{name}_energy_pj"] = _number(energy, 0.0) * 1e12 * scale
        if len(found) == 2:
            return {**found}
        if not self._default:
            raise part.node.refuse(
                f"no energy for {describe(part.name)}: AccelForge takes it from a component "
                "model; give energy of read and write, or accept estimates with the parameter "
                "default_energies=1"
            )
        return {"access_energy_pj": estimated_pj(words, self._bits)}

    def _mac_pj(self, part: _Part) -> float:
        action = _action(part.node, "compute")
        energy = action.find("energy") if action is not None else None
        if energy is not None:
            return _number(energy, 0.0) * 1e12
        if _costs_nothing(part.node):
            return 0.0
        if not self._default:
            raise part.node.refuse(
                f"no energy for {describe(part.name)}: give energy of compute, or accept "
                "estimates with the parameter default_energies=1"
            )
        return MAC_PJ

    def _bandwidths(self, part: _Part) -> dict[str, object]:
        rates = []
        for name in ("read", "write"):
            action = _action(part.node, name)
            given = action.find("throughput") if action is not None else None
            rate = _number(given, math.inf) if given is not None else math.inf
            width = self._bits_per_action(part.node, action) if action is not None else 1.0
            words = rate * width / self._bits / self._per_second
            rates.append(min(words, UNLIMITED_BANDWIDTH))
        latency = part.node.find("total_latency")
        separate = latency is not None and _SEPARATE.fullmatch(str(latency.value).strip())
        if latency is not None and not separate:
            self.notes.append(f"{part.name}: its total_latency is not carried over")
            rates = [UNLIMITED_BANDWIDTH, UNLIMITED_BANDWIDTH]
        elif not separate and min(rates) < UNLIMITED_BANDWIDTH:
            # Reads and writes take turns; where they differ, both take as long as the slower.
            return {"bandwidth_words_per_cycle": min(rates), "ports": "shared"}
        return {
            "read_bandwidth_words_per_cycle": rates[0],
            "write_bandwidth_words_per_cycle": rates[1],
        }

    def _bits_per_action(self, node: Node, action: Node) -> float:
        given = action.find("bits_per_action") or node.find("bits_per_action")
        bits = _number(given, 1.0)
        if bits <= 0:
            raise action.refuse(f"expected bits per action above 0, got {bits:g}")
        return bits


def _costs_nothing(node: Node) -> bool:
    """Whether its component model is the one without energy, and no action says otherwise."""
    model = node.find("component_class")
    actions = node.find("actions")
    told = [a for a in (actions.items() if actions else ()) if a.find("energy") is not None]
    return model is not None and model.value == "Dummy" and not told


def _action(node: Node, name: str) -> Node | None:
    actions = node.find("actions")
    for entry in actions.items() if actions else ():
        if entry.get("name").value == name:
            return entry
    return None


def _number(node: Node | None, missing: float) -> float:
    """Read a number, inf, or arithmetic without names."""
    if node is None:
        return missing
    if isinstance(node.value, str):
        if node.value.strip() in ("inf", ".inf"):
            return math.inf
        try:
            return float(parse_expression(node.value).value({}))
        except (ValueError, KeyError):
            raise node.refuse(
                f"expected a number, inf or arithmetic, got {describe(node.value)}"
            ) from None
    if isinstance(node.value, float) and math.isinf(node.value) and node.value > 0:
        return math.inf
    return node.number(0.0, 1e30)
