"""Forms in which a file may give bandwidths, ports of memories and wires of fanouts."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, PlainValidator, Tag

from toolkit.arch.levels import UNLIMITED_BANDWIDTH
from toolkit.arch.ports import TRAFFIC
from toolkit.arch.wires import Wires, energies_over_hops
from toolkit.messages import describe, suggest
from toolkit.records import Label, Record

# Far beyond any hardware, and small enough that no cost overflows.
Amount = Annotated[float, Field(ge=0, le=1e15)]
Bandwidth = Annotated[float, Field(ge=1e-9, le=2 * UNLIMITED_BANDWIDTH)]

BANDWIDTH_FORMS = (
    ("bandwidth_words_per_cycle",),
    ("read_bandwidth_words_per_cycle", "write_bandwidth_words_per_cycle"),
)
_NETWORK_BANDWIDTHS = (
    (),
    ("bandwidth_words_per_cycle",),
    ("read_bandwidth_words_per_cycle",),
    ("write_bandwidth_words_per_cycle",),
    ("read_bandwidth_words_per_cycle", "write_bandwidth_words_per_cycle"),
)
_WIRE_FORMS = (
    (),
    ("unicast_energy_pj",),
    ("unicast_energy_pj", "multicast_energy_pj"),
    ("unicast_energy_pj", "reduction_energy_pj"),
    ("unicast_energy_pj", "multicast_energy_pj", "reduction_energy_pj"),
    ("wire_energy_pj_per_bit_mm", "hop_mm", "word_bits"),
    ("wire_energy_pj_per_bit_hop", "word_bits"),
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


class PortEntry(Record):
    """One of the ports of a memory that names them."""

    serves: Annotated[
        list[Annotated[str, AfterValidator(_traffic)]],
        AfterValidator(distinct),
        Field(min_length=1),
    ]
    bandwidth_words_per_cycle: Bandwidth


def _port_form(value: object) -> str:
    return "(named)" if isinstance(value, dict) else "(plain)"


Ports = Annotated[
    Annotated[dict[Label, PortEntry], Field(min_length=1), Tag("(named)")]
    | Annotated[int | Literal["shared", "separate"], PlainValidator(_ports), Tag("(plain)")],
    Discriminator(_port_form),
]


class WireKeys(Record):
    """Keys of a fanout that say what its network costs."""

    unicast_energy_pj: Amount | None = None
    multicast_energy_pj: Amount | None = None
    reduction_energy_pj: Amount | None = None
    wire_energy_pj_per_bit_mm: Amount | None = None
    hop_mm: Amount | None = None
    wire_energy_pj_per_bit_hop: Amount | None = None
    word_bits: Annotated[int, Field(ge=1, le=4096)] | None = None
    bandwidth_words_per_cycle: Bandwidth | None = None
    read_bandwidth_words_per_cycle: Bandwidth | None = None
    write_bandwidth_words_per_cycle: Bandwidth | None = None

    def wires_of(self, mesh: int, alone: Collection[str]) -> Wires | None:
        """Work the figures out; None if no key is given.

        Parameters
        ----------
        mesh : int
            Instances.
        alone : collection of str
            Ways, ``multicast`` or ``reduction``, in which each instance is served on its own.
        """
        energies = given_form(self, "energy of wires", _WIRE_FORMS)
        bandwidths = given_form(self, "bandwidth", _NETWORK_BANDWIDTHS)
        if not energies and not bandwidths:
            return None
        found = {key: value for key, value in energies.items() if key.endswith("energy_pj")}
        if "word_bits" in energies:
            bits = energies["word_bits"]
            per_bit = energies.get("wire_energy_pj_per_bit_hop")
            if per_bit is None:
                per_bit = energies["wire_energy_pj_per_bit_mm"] * energies["hop_mm"]
            names = ("unicast_energy_pj", "multicast_energy_pj", "reduction_energy_pj")
            hops = energies_over_hops(per_bit * bits, mesh)
            found = dict(zip(names, hops, strict=True))
        for way in ("multicast", "reduction") if found else ():
            if way in alone or f"{way}_energy_pj" not in found:
                found[f"{way}_energy_pj"] = found["unicast_energy_pj"]
        if bandwidths:
            half = bandwidths.get("bandwidth_words_per_cycle", math.inf) / 2
            for way in ("read", "write"):
                key = f"{way}_bandwidth_words_per_cycle"
                found[f"{way}_bandwidth"] = bandwidths.get(key, half)
        return Wires(**found)
