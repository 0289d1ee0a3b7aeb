"""ZigZag's accelerator YAML (3.x) as an architecture; FORMATS.md says what carries over.

A file is checked as a record (`zigzag_schema`) and translated here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from toolkit.arch.levels import UNLIMITED_BANDWIDTH
from toolkit.arch.parameters import complete_settings
from toolkit.arch.peers.stream import only_holds
from toolkit.arch.peers.zigzag_schema import Accelerator, Array, Memory, Operand, Port
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, format_key
from toolkit.records import validate
from toolkit.workload.peers.zigzag import ZIGZAG_NAMES

PARAMETERS = {"input_bits": 8, "weight_bits": 8, "output_bits": 16, "nest": 0}
"""Bits of the operands, which in ZigZag the workloads give, and the consent to nest the levels."""

_ROLES = {"I1": "input", "I2": "weight", "O": "output"}
_BITS = {"I1": "input_bits", "I2": "weight_bits", "O": "output_bits"}
# Our names of dimensions, and ZigZag's: of its own kernels, and of loops that it only numbers.
_WORDS = (
    *("N", "B", "G", "M", "K", "C", "P", "Q", "R", "S"),
    *("D", "H", "T", "OY", "OX", "FY", "FX", "D0", "D1", "D2", "D3"),
)


def accelerator(data: object, source: str, given: Mapping[str, object]) -> dict[str, object]:
    """Read an accelerator as the plain data of a file of ours.

    Parameters
    ----------
    data : object
        The file as plain data.
    source : str
        The file, for messages.
    given : mapping
        Values for some of `PARAMETERS`.

    Raises
    ------
    ArchitectureError
        Naming file, key, value and expectation.
    """
    values = complete_settings(given, PARAMETERS, source)
    for name in ("input_bits", "weight_bits", "output_bits"):
        if not 1 <= values[name] <= 64:
            raise ArchitectureError(
                f"expected 1 to 64 bits, got {values[name]}", source=source, key=name
            )
    if only_holds(data):
        raise ArchitectureError(
            "holds memory and no multipliers; join it behind a core, such as "
            f"core.yaml+{source.rpartition('/')[2]}",
            source=source,
            key="operational_array.sizes",
        )
    read = validate(Accelerator, data, source=source, error=ArchitectureError)
    array = read.operational_array
    if "input_bits" not in given and len(array.input_precision) == 2:
        values["input_bits"] = array.input_precision[0]
    if "weight_bits" not in given and len(array.input_precision) == 2:
        values["weight_bits"] = array.input_precision[1]
    values.update((name, b) for name, b in read.precisions.items() if name not in given)
    allowed = _dataflows(read, source)
    levels: list[dict[str, object]] = []
    unrolled: set[str] = set()
    for name in _outermost_first(read.memories, array):
        memory = read.memories[name]
        replicated = {d for d in array.dimensions if d not in memory.served_dimensions}
        if not values["nest"]:
            _check_nested(name, memory, unrolled, not levels, array, source)
        if levels:
            levels += _fanouts(array, replicated - unrolled, allowed)
            unrolled |= replicated
        levels.append(_level(name, memory, not levels, values, source))
    levels += _fanouts(array, set(array.dimensions) - unrolled, allowed)
    levels.append({"compute": "MAC", "mac_energy_pj": array.unit_energy})
    return {
        "name": read.name,
        "description": f"read from ZigZag's {describe(read.name)}{_for_operators(read)}",
        "levels": levels,
    }


def _for_operators(read: Accelerator) -> str:
    """Name the operators that a core of Stream's is kept for."""
    return f", which computes {', '.join(read.operator_types)}" if read.operator_types else ""


def _outermost_first(memories: Mapping[str, Memory], array: Array) -> list[str]:
    """Order memories so that those with fewer instances are further out, chains permitting.

    ZigZag lists them innermost first, which binds only memories that share an operand.
    """
    waiting = list(memories)[::-1]
    ordered: list[str] = []
    while waiting:
        free = [
            name
            for i, name in enumerate(waiting)
            if not any(
                set(memories[name].operands) & set(memories[o].operands) for o in waiting[:i]
            )
        ]
        chosen = min(free, key=lambda name: _instances(memories[name], array))
        ordered.append(chosen)
        waiting.remove(chosen)
    return ordered


def _instances(memory: Memory, array: Array) -> int:
    served = memory.served_dimensions
    sizes = zip(array.dimensions, array.sizes, strict=True)
    return math.prod(size for dimension, size in sizes if dimension not in served)


def _check_nested(
    name: str, memory: Memory, unrolled: set[str], outermost: bool, array: Array, source: str
) -> None:
    """Refuse a memory whose instances do not nest in those of the memories further out."""
    served = set(memory.served_dimensions)
    if outermost and served != set(array.dimensions):
        problem = (
            f"serves {', '.join(sorted(served)) or 'no dimension'} and not all of "
            f"{', '.join(array.dimensions)}, but our outermost memory has one instance. The "
            "parameter nest=1 takes it as one"
        )
    elif not outermost and served & unrolled:
        problem = (
            f"one instance serves all of {', '.join(sorted(served & unrolled))}, over which a "
            "memory placed further out is replicated, but our levels nest. The parameter nest=1 "
            "gives the memory an instance for each, which costs more writes and reads of it"
        )
    else:
        return
    raise ArchitectureError(
        problem, source=source, key=format_key(("memories", name, "served_dimensions"))
    )


def _fanouts(
    array: Array, dimensions: set[str], allowed: Mapping[str, list[str]]
) -> list[dict[str, object]]:
    levels: list[dict[str, object]] = []
    for dimension, size in zip(array.dimensions, array.sizes, strict=True):
        if dimension in dimensions:
            level: dict[str, object] = {
                "fanout": dimension,
                "mesh": size,
                "dimensions": allowed.get(dimension, list(_WORDS)),
            }
            if dimension in array.systolic_dimensions:
                level["pe_to_pe"] = True
            levels.append(level)
    return levels


def _dataflows(read: Accelerator, source: str) -> dict[str, list[str]]:
    """Our names of the dimensions that each array dimension may unroll."""
    found = {}
    for array_dimension, loops in read.dataflows.items():
        names: dict[str, None] = {}
        for loop in loops:
            match = re.fullmatch(r"\s*([A-Z]+)\s*,\s*[0-9]+\s*", loop)
            if not match:
                raise ArchitectureError(
                    f"expected such as 'K, 32', got {describe(loop)}",
                    source=source,
                    key=format_key(("dataflows", array_dimension)),
                )
            ours = [form[match[1]] for form in ZIGZAG_NAMES.values() if form.get(match[1])]
            names.update(dict.fromkeys(ours or [match[1]]))
        found[array_dimension] = list(names)
    return found


def _level(
    name: str, memory: Memory, outermost: bool, values: Mapping[str, int], source: str
) -> dict[str, object]:
    word = _word_bits(memory, values)
    traffic = _traffic(name, memory, source)
    if not traffic.writes and not outermost:
        raise ArchitectureError(
            "no port allows writing from further out (fh) or further in (fl)",
            source=source,
            key=format_key(("memories", name, "ports")),
        )
    if memory.size < word:
        raise ArchitectureError(
            f"{memory.size} bits hold no value of {word} bits; see the parameters "
            f"{', '.join(PARAMETERS)}",
            source=source,
            key=format_key(("memories", name, "size")),
        )
    level: dict[str, object] = {
        "memory": name,
        "capacity_words": memory.size // word,
        "read_energy_pj": (memory.r_cost or 0.0) * word / traffic.read_width,
        "write_energy_pj": (memory.w_cost or 0.0) * word / traffic.write_width,
        "read_bandwidth_words_per_cycle": traffic.reads / word,
        "write_bandwidth_words_per_cycle": traffic.writes / word or UNLIMITED_BANDWIDTH,
        "bypasses": [role for word_, role in _ROLES.items() if word_ not in memory.operands],
    }
    if traffic.granule > word:
        level["values_per_wordline"] = traffic.granule // word
    if memory.force_double_buffering:
        level["multiple_buffering"] = 2.0
    return level


def _word_bits(memory: Memory, values: Mapping[str, int]) -> int:
    """Bits of a word: of the widest operand held but the output, which is narrow when finished."""
    inputs: list[Operand] = [word for word in memory.operands if word != "O"]
    operands = inputs or memory.operands
    return max(values[_BITS[word]] for word in operands)


class _Traffic(NamedTuple):
    """Bits per cycle read and written, bits of one access of each kind, and least bits at once."""

    reads: float
    writes: float
    read_width: int
    write_width: int
    granule: int


def _traffic(name: str, memory: Memory, source: str) -> _Traffic:
    used = _uses(name, memory, source)
    reads = writes = 0.0
    widths: dict[str, list[int]] = {"read": [], "write": []}
    for kinds, width in used:
        share = width / len(kinds)
        reads += share if "read" in kinds else 0.0
        writes += share if "write" in kinds else 0.0
        for kind in kinds:
            widths[kind].append(width)
    if not reads:
        raise ArchitectureError(
            "no port allows reading from further in (tl)",
            source=source,
            key=format_key(("memories", name, "ports")),
        )
    # Where ports differ, the costs are those of the narrowest: they cannot come out too low.
    read_width = min(widths["read"])
    least = [port.bandwidth_min for port in memory.ports if isinstance(port, Port)]
    granule = min(least, default=memory.min_r_granularity or 1)
    write_width = min(widths["write"], default=read_width)
    return _Traffic(reads, writes, read_width, write_width, granule)


def _uses(name: str, memory: Memory, source: str) -> list[tuple[tuple[str, ...], int]]:
    """Directions and bits per cycle of every port that is used."""
    directions: dict[str, set[str]] = {}
    widths: dict[str, int] = {}
    for i, port in enumerate([*memory.ports]):
        if isinstance(port, Port):
            place = format_key(("memories", name, "ports", i, "allocation"))
            directions.setdefault(port.name, set()).update(_directions(port, place, source))
            widths[port.name] = port.bandwidth_max
            continue
        for direction, port_name in dict(port).items():
            reading = direction in ("tl", "th")
            width = memory.r_bw if reading else memory.w_bw
            if width is None:
                raise ArchitectureError(
                    f"this key is required and missing: {'r_bw' if reading else 'w_bw'}, or "
                    "ports with bandwidth_max",
                    source=source,
                    key=format_key(("memories", name)),
                )
            directions.setdefault(port_name, set()).add(direction)
            widths[port_name] = width
    return [(_kinds(found), widths[port]) for port, found in directions.items() if found]


def _directions(port: Port, place: str, source: str) -> set[str]:
    given = {text.rpartition(",")[2].strip() for text in port.allocation}
    wrong = given & ({"fh", "fl"} if port.type == "read" else {"tl", "th"})
    if port.type != "read_write" and wrong:
        raise ArchitectureError(
            f"a port of type {port.type} cannot do {', '.join(sorted(wrong))}",
            source=source,
            key=place,
        )
    return given


def _kinds(directions: set[str]) -> tuple[str, ...]:
    kinds = (("read", {"tl", "th"}), ("write", {"fh", "fl"}))
    return tuple(kind for kind, ways in kinds if ways & directions)
