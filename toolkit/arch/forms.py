"""Forms in which a file may give figures: by bits, bandwidths, ports, layouts, wires."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from toolkit.arch.bitwise import (
    BANDWIDTH_FORMS,
    PORT_BANDWIDTHS,
    Bandwidths,
    PortBandwidth,
    need_word_bits,
    words_per_cycle,
)
from toolkit.arch.levels import Layout
from toolkit.arch.ports import TRAFFIC, MemoryPort
from toolkit.arch.wires import Wires, energies_over_hops
from toolkit.messages import describe, suggest
from toolkit.records import Label, Record
from toolkit.workload.kernel import MAX_BITS

# Far beyond any hardware, and small enough that no cost overflows.
Amount = Annotated[float, Field(ge=0, le=1e15)]

_ONE_WAY = tuple((key,) for form in BANDWIDTH_FORMS if len(form) == 2 for key in form)
_NETWORK_BANDWIDTHS = ((), *BANDWIDTH_FORMS, *_ONE_WAY)
_WIRE_FORMS = (
    (),
    ("unicast_energy_pj",),
    ("unicast_energy_pj", "multicast_energy_pj"),
    ("unicast_energy_pj", "reduction_energy_pj"),
    ("unicast_energy_pj", "multicast_energy_pj", "reduction_energy_pj"),
    ("wire_energy_pj_per_bit_mm", "hop_mm"),
    ("wire_energy_pj_per_bit_hop",),
)


def given_form(entry: Record, what: str, forms: tuple[tuple[str, ...], ...]) -> dict[str, float]:
    """Return the figures of the one form in use, by key in the order of the form."""
    keys = dict.fromkeys(key for form in forms for key in form)
    given = {key: getattr(entry, key) for key in keys if getattr(entry, key) is not None}
    for form in forms:
        if given.keys() == set(form):
            return {key: given[key] for key in form}
    choices = "; or ".join(" with ".join(form) for form in forms if form)
    raise ValueError(f"expected {what} as {choices}; got {', '.join(given) or 'none'}")


def distinct(values: list[str]) -> list[str]:
    """Refuse a list that names something twice."""
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"names {', '.join(repeated)} twice; expected each once")
    return values


_Order = Annotated[list[Label], AfterValidator(distinct), Field(min_length=1)]


def _ports(value: object) -> int | str:
    """Read who shares a port, or how many read-write ports the SRAM of a component has."""
    if value in ("shared", "separate") or (type(value) is int and 1 <= value <= 4):
        return value
    raise ValueError(
        f"{describe(value)} is not shared (one port for what a memory sends and receives) or "
        "separate, nor a mapping of names to ports, nor the number of read-write ports of an SRAM "
        "component, 1 to 4"
    )


def _traffic(kind: str) -> str:
    if kind not in TRAFFIC:
        hint = suggest(kind, TRAFFIC)
        raise ValueError(f"expected some of {', '.join(TRAFFIC)}, got {describe(kind)}{hint}")
    return kind


class PortEntry(PortBandwidth):
    """One of the ports of a memory that names them."""

    serves: Annotated[
        list[Annotated[str, AfterValidator(_traffic)]],
        AfterValidator(distinct),
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _check(self) -> PortEntry:
        if not any(getattr(self, key) is not None for form in PORT_BANDWIDTHS for key in form):
            raise PydanticCustomError(
                "empty_key",
                "this key is required and missing",
                {"key": "bandwidth_words_per_cycle"},
            )
        given_form(self, "bandwidth", PORT_BANDWIDTHS)
        return self

    def port(self, name: str, word_bits: int | None, clock_mhz: float | None) -> MemoryPort:
        """Build the port of a memory whose words have so many bits."""
        ((key, bandwidth),) = given_form(self, "bandwidth", PORT_BANDWIDTHS).items()
        words = words_per_cycle(key, bandwidth, word_bits, clock_mhz)
        return MemoryPort(name, tuple(self.serves), words)


def _port_form(value: object) -> str:
    return "(named)" if isinstance(value, dict) else "(plain)"


Ports = Annotated[
    Annotated[dict[Label, PortEntry], Field(min_length=1), Tag("(named)")]
    | Annotated[int | Literal["shared", "separate"], PlainValidator(_ports), Tag("(plain)")],
    Discriminator(_port_form),
]


class LayoutEntry(Record):
    """A layout that says the order of each role's tensors; others lie as the workload writes."""

    input: _Order = []
    weight: _Order = []
    output: _Order = []


def _layout_form(value: object) -> str:
    return "(roles)" if isinstance(value, dict) else "(all)"


Orders = Annotated[
    Annotated[LayoutEntry, Tag("(roles)")] | Annotated[_Order, Tag("(all)")],
    Discriminator(_layout_form),
]
"""Dimensions, outermost first: one order for the tensors of all roles, or one each."""


def layout_of(entry: Orders | None) -> Layout:
    """Build a layout from either form."""
    if entry is None:
        return Layout()
    if isinstance(entry, LayoutEntry):
        return Layout(tuple(entry.input), tuple(entry.weight), tuple(entry.output))
    order = tuple(entry)
    return Layout(order, order, order)


class WireKeys(Bandwidths):
    """Keys of a fanout that say what its network costs; ``word_bits`` are those of its words."""

    unicast_energy_pj: Amount | None = None
    multicast_energy_pj: Amount | None = None
    reduction_energy_pj: Amount | None = None
    wire_energy_pj_per_bit_mm: Amount | None = None
    hop_mm: Amount | None = None
    wire_energy_pj_per_bit_hop: Amount | None = None

    def check_wires(self) -> None:
        """Refuse figures that do not go together.

        Raises
        ------
        ValueError
            Naming the keys.
        """
        energies = given_form(self, "energy of wires", _WIRE_FORMS)
        bandwidths = given_form(self, "bandwidth", _NETWORK_BANDWIDTHS)
        per_bit = [key for key in energies if "_per_bit_" in key]
        need_word_bits([*per_bit, *self.in_bits()], self.word_bits)
        if self.word_bits is not None and not energies and not bandwidths:
            raise ValueError("word_bits: expected an energy or a bandwidth of wires with it")

    def wires_of(
        self, mesh: int, alone: Collection[str], clock_mhz: float | None = None
    ) -> Wires | None:
        """Work the figures out; None if no key is given.

        Parameters
        ----------
        mesh : int
            Instances.
        alone : collection of str
            Ways, ``multicast`` or ``reduction``, in which each instance is served on its own.
        clock_mhz : float, optional
            Of the architecture, where bandwidths are per second.
        """
        energies = given_form(self, "energy of wires", _WIRE_FORMS)
        bandwidths = given_form(self, "bandwidth", _NETWORK_BANDWIDTHS)
        if not energies and not bandwidths:
            return None
        found = {key: value for key, value in energies.items() if key.endswith("energy_pj")}
        if energies and not found:
            per_bit = energies.get("wire_energy_pj_per_bit_hop")
            if per_bit is None:
                per_bit = energies["wire_energy_pj_per_bit_mm"] * energies["hop_mm"]
            names = ("unicast_energy_pj", "multicast_energy_pj", "reduction_energy_pj")
            hops = energies_over_hops(per_bit * (self.word_bits or 1), mesh)
            found = dict(zip(names, hops, strict=True))
        for way in ("multicast", "reduction") if found else ():
            if way in alone or f"{way}_energy_pj" not in found:
                found[f"{way}_energy_pj"] = found["unicast_energy_pj"]
        words = {
            key.partition("bandwidth_")[0]: words_per_cycle(key, x, self.word_bits, clock_mhz)
            for key, x in bandwidths.items()
        }
        half = words.get("", math.inf) / 2
        for way in ("read_", "write_"):
            found[f"{way}bandwidth"] = words.get(way, half)
        return Wires(**found, word_bits=self.word_bits)


_MAX_MESH = 2**31
Mesh = Annotated[int, Field(ge=1, le=_MAX_MESH)]


def _figure_or_table(value: object) -> str:
    return "(table)" if isinstance(value, dict) else "(number)"


def _by_bits(table: dict[str, object]) -> dict[int, object]:
    for key in table:
        if not re.fullmatch(r"[1-9][0-9]{0,3}", str(key)) or int(key) > MAX_BITS:
            raise ValueError(
                f"expected bits of an operand, 1 to {MAX_BITS}, as keys, got {describe(key)}"
            )
    return {int(key): value for key, value in table.items()}


FigureByBits = Annotated[
    Annotated[Amount, Tag("(number)")]
    | Annotated[dict[int, Amount], Field(min_length=1), BeforeValidator(_by_bits), Tag("(table)")],
    Discriminator(_figure_or_table),
]
