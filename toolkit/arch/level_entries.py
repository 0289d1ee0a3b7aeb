"""What a level of an architecture file may hold, and the step from there to a level."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, get_args

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

from toolkit.arch.bitwise import BANDWIDTH_FORMS, BitwiseMemory, need_word_bits, words_per_cycle
from toolkit.arch.components import COMPUTES, MEMORIES, Component
from toolkit.arch.constraints import (
    FactorConstraint,
    check_constraints,
    check_loop_order,
    parse_constraint,
)
from toolkit.arch.forms import (
    Amount,
    FigureByBits,
    Mesh,
    Orders,
    PortEntry,
    Ports,
    WireKeys,
    distinct,
    given_form,
    layout_of,
)
from toolkit.arch.levels import Compute, Fanout, Memory, Overlap
from toolkit.errors import ArchitectureError
from toolkit.messages import describe, suggest
from toolkit.records import Label, Record

# What an int64 holds, and far more than any hardware has.
_MAX_INTEGER = 2**63 - 1


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", text):
        raise ValueError(
            f"expected a name of letters, digits and _, a letter first, got {describe(text)}"
        )
    return text


def _loop(text: str) -> str:
    return text if text == "_" else _identifier(text)


def _overlap(value: object) -> object:
    known = get_args(Overlap)
    if value not in known:
        hint = suggest(value, known) if isinstance(value, str) else ""
        raise ValueError(f"expected one of {', '.join(known)}, got {describe(value)}{hint}")
    return value


def _capacity(value: object) -> int | None:
    if value == "unlimited":
        return None
    if type(value) is int and 1 <= value <= _MAX_INTEGER:
        return value
    raise ValueError(f"expected a positive integer below 2^63 or unlimited, got {describe(value)}")


def _constraint(value: object) -> FactorConstraint:
    if not isinstance(value, str):
        raise ValueError(f"expected text such as M == 16, got {describe(value)}")
    try:
        return parse_constraint(value)
    except ArchitectureError as cause:
        raise ValueError(str(cause)) from None


def _order(values: list[str]) -> list[str]:
    try:
        check_loop_order(values)
    except ArchitectureError as cause:
        raise ValueError(str(cause)) from None
    return values


def known_component(text: str, known: tuple[str, ...]) -> str:
    """Refuse what is no component of its kind."""
    if text not in known:
        hint = suggest(text, known)
        raise ValueError(f"expected one of {', '.join(known)}, got {describe(text)}{hint}")
    return text


_Identifier = Annotated[str, AfterValidator(_identifier)]
_Dimensions = Annotated[list[_Identifier], AfterValidator(distinct)]
_LoopOrder = Annotated[list[Annotated[str, AfterValidator(_loop)]], AfterValidator(_order)]
_Constraints = list[Annotated[FactorConstraint, PlainValidator(_constraint)]]

_ENERGY_FORMS = (
    ("access_energy_pj",),
    ("access_energy_pj", "values_per_wordline"),
    ("read_energy_pj", "write_energy_pj"),
    ("read_energy_pj", "write_energy_pj", "values_per_wordline"),
    ("wordline_energy_pj", "values_per_wordline"),
    ("wordline_read_energy_pj", "wordline_write_energy_pj", "values_per_wordline"),
)


class _LevelEntry(Record):
    constraints: _Constraints = []
    area_um2: Amount | None = None

    def _check_constraints(self, dimensions: list[str] | None) -> None:
        try:
            check_constraints(self.constraints, dimensions)
        except ArchitectureError as cause:
            raise ValueError(f"constraints: {cause}") from None


def _check_component(entry: MemoryEntry | ComputeEntry, keys: tuple[str, ...]) -> None:
    """Refuse details of a component where there is none, and a component without its bits."""
    if entry.component is not None and entry.word_bits is None:
        raise ValueError("component: expected word_bits with it")
    for key in keys:
        if entry.component is None and getattr(entry, key) is not None:
            raise ValueError(f"{key}: expected component with it")


def _of(port: str, key: str) -> str:
    """Key of a port of a memory that names them."""
    return f"ports.{port}.{key}"


def component_of(entry: MemoryEntry | ComputeEntry) -> Component | None:
    """Say what a level is made of, if its entry does."""
    if entry.component is None or entry.word_bits is None:
        return None
    if isinstance(entry, ComputeEntry):
        return Component(entry.component, entry.word_bits, entry.accumulator_bits or 32)
    ports = entry.ports if isinstance(entry.ports, int) else entry.sram_ports
    return Component(entry.component, entry.word_bits, ports=ports or 1)


class MemoryEntry(BitwiseMemory, _LevelEntry):
    """A memory; energy and bandwidth may each be given in one of several forms."""

    memory: Label
    capacity_words: Annotated[int | None, PlainValidator(_capacity)] = None
    access_energy_pj: Amount | None = None
    read_energy_pj: Amount | None = None
    write_energy_pj: Amount | None = None
    wordline_energy_pj: Amount | None = None
    wordline_read_energy_pj: Amount | None = None
    wordline_write_energy_pj: Amount | None = None
    values_per_wordline: Mesh | None = None
    leakage_pj_per_cycle: Amount = 0.0
    bypasses: Annotated[list[Label], AfterValidator(distinct)] = []
    may_bypass: Annotated[list[Label], AfterValidator(distinct)] = []
    multiple_buffering: Annotated[float, Field(ge=1, le=1e6)] = 1.0
    multiple_reuses: bool = True
    loop_order: _LoopOrder = []
    overlap: Annotated[Overlap, BeforeValidator(_overlap)] = "always"
    whole_wordlines: bool = False
    layout: Orders | None = None
    component: Annotated[str, AfterValidator(partial(known_component, known=MEMORIES))] | None = (
        None
    )
    ports: Ports | None = None
    sram_ports: Annotated[int, Field(ge=1, le=4)] | None = None

    @model_validator(mode="after")
    def _check(self) -> MemoryEntry:
        self._check_constraints(None)
        if isinstance(self.ports, int) and self.sram_ports is not None:
            raise ValueError("ports: the number of SRAM ports stands in sram_ports already")
        keys = ("ports",) if isinstance(self.ports, int) else ()
        _check_component(self, ("sram_ports", *keys))
        twice = [name for name in self.may_bypass if name in self.bypasses]
        if twice:
            raise ValueError(
                f"may_bypass: {twice[0]} is in bypasses already; expected one of them"
            )
        given_form(self, "energy", _ENERGY_FORMS)
        self._check_bandwidths()
        self._check_capacity()
        self.check_bits()
        if self.whole_wordlines and self.values_per_wordline is None:
            raise ValueError("whole_wordlines: expected values_per_wordline with it")
        if self.layout is not None and not self.burst_keys():
            raise ValueError("layout: expected burst_words, burst_bits or burst_bytes with it")
        return self

    def _check_capacity(self) -> None:
        keys = ("capacity_words", "capacity_bits", "capacity_bytes")
        given = [key for key in keys if key in self.model_fields_set]
        if not given:
            raise PydanticCustomError(
                "empty_key", "this key is required and missing", {"key": "capacity_words"}
            )
        if len(given) > 1:
            raise ValueError(f"expected one of {', '.join(keys)}; got {', '.join(given)}")

    def _energies(self) -> tuple[float, float]:
        figures = tuple(given_form(self, "energy", _ENERGY_FORMS).values())
        values = self.values_per_wordline
        energies = figures if values is None else figures[:-1]
        per_word = self.access_energy_pj is not None or self.read_energy_pj is not None
        words = 1 if per_word or values is None else values
        return energies[0] / words, energies[-1] / words

    @property
    def port_entries(self) -> Mapping[str, PortEntry]:
        """The ports if these have names."""
        return self.ports if isinstance(self.ports, dict) else {}

    def per_second(self) -> list[str]:
        """List the keys in use that need a clock, those of ports, too."""
        ports = self.port_entries.items()
        return [
            *super().per_second(),
            *(_of(name, k) for name, p in ports for k in p.per_second()),
        ]

    def _check_bandwidths(self) -> None:
        for name, port in self.port_entries.items():
            need_word_bits([_of(name, key) for key in port.in_bits()], self.word_bits)
        if not self.port_entries:
            given_form(self, "bandwidth", BANDWIDTH_FORMS)
            return
        for key in dict.fromkeys(key for form in BANDWIDTH_FORMS for key in form):
            if getattr(self, key) is not None:
                raise ValueError(f"{key}: expected none beside ports, which have their own")

    def _bandwidths(self, clock_mhz: float | None) -> tuple[float, float]:
        if self.port_entries:
            return 0.0, 0.0
        given = given_form(self, "bandwidth", BANDWIDTH_FORMS)
        figures = [words_per_cycle(key, x, self.word_bits, clock_mhz) for key, x in given.items()]
        # A shared port spends half of its cycles on reads and half on writes.
        return (figures[0] / 2, figures[0] / 2) if len(figures) == 1 else (figures[0], figures[1])

    def level(self, clock_mhz: float | None = None) -> Memory:
        """Build the level, at the clock of the architecture."""
        read_energy, write_energy = self._energies()
        read_bandwidth, write_bandwidth = self._bandwidths(clock_mhz)
        return Memory(
            name=self.memory,
            capacity_words=self.whole_words() or self.capacity_words,
            read_energy_pj=read_energy,
            write_energy_pj=write_energy,
            read_bandwidth=read_bandwidth,
            write_bandwidth=write_bandwidth,
            leakage_pj_per_cycle=self.leakage_pj_per_cycle,
            bypasses=tuple(self.bypasses),
            multiple_buffering=self.multiple_buffering,
            multiple_reuses=self.multiple_reuses,
            constraints=tuple(self.constraints),
            loop_order=tuple(self.loop_order),
            area_um2=self.area_um2,
            values_per_wordline=self.values_per_wordline or 1,
            shared_port=self.ports == "shared",
            may_bypass=tuple(self.may_bypass),
            ports=tuple(
                port.port(name, self.word_bits, clock_mhz)
                for name, port in self.port_entries.items()
            ),
            word_bits=self.word_bits,
            packed=self.packed is not False,
            overlap=self.overlap,
            whole_wordlines=self.whole_wordlines,
            burst_words=self.words_per_burst(),
            layout=layout_of(self.layout),
        )


class FanoutEntry(WireKeys, _LevelEntry):
    """A spatial fanout."""

    fanout: Label
    mesh: Mesh
    dimensions: Annotated[_Dimensions, Field(min_length=1)]
    multicast: bool = True
    reduction: bool = True
    selective_multicast: bool = False
    selective_reduction: bool = False
    pe_to_pe: bool = False
    power_gating: bool = False

    @model_validator(mode="after")
    def _check(self) -> FanoutEntry:
        self._check_constraints(self.dimensions)
        self.check_wires()
        if self.selective_multicast and not self.multicast:
            raise ValueError("selective_multicast: true needs multicast: true")
        if self.selective_reduction and not self.reduction:
            raise ValueError("selective_reduction: true needs reduction: true")
        for way in ("multicast", "reduction"):
            if getattr(self, f"{way}_energy_pj") is not None and not getattr(self, way):
                raise ValueError(f"{way}_energy_pj: needs {way}: true")
        return self

    def level(self, clock_mhz: float | None = None) -> Fanout:
        """Build the level, at the clock of the architecture."""
        alone = [way for way in ("multicast", "reduction") if not getattr(self, way)]
        return Fanout(
            name=self.fanout,
            mesh=self.mesh,
            dimensions=tuple(self.dimensions),
            multicast=self.multicast,
            reduction=self.reduction,
            selective_multicast=self.selective_multicast,
            selective_reduction=self.selective_reduction,
            pe_to_pe=self.pe_to_pe,
            power_gating=self.power_gating,
            constraints=tuple(self.constraints),
            area_um2=self.area_um2,
            wires=self.wires_of(self.mesh, alone, clock_mhz),
        )


class ComputeEntry(_LevelEntry):
    """The compute level; the energy is one figure, or a table by the bits of the operands."""

    compute: Label
    mac_energy_pj: FigureByBits
    cycles: Mesh = 1
    mesh: Mesh = 1
    dimensions: _Dimensions = []
    leakage_pj_per_cycle: Amount = 0.0
    multicast: bool = True
    reduction: bool = True
    component: Annotated[str, AfterValidator(partial(known_component, known=COMPUTES))] | None = (
        None
    )
    word_bits: Annotated[int, Field(ge=1, le=128)] | None = None
    accumulator_bits: Annotated[int, Field(ge=1, le=256)] | None = None

    @model_validator(mode="after")
    def _check(self) -> ComputeEntry:
        self._check_constraints(self.dimensions)
        table = self.mac_energy_pj if isinstance(self.mac_energy_pj, dict) else {}
        keys = ("accumulator_bits",) if table else ("word_bits", "accumulator_bits")
        _check_component(self, keys)
        if table and self.word_bits is not None and self.word_bits not in table:
            raise ValueError(
                f"mac_energy_pj: no entry for word_bits {self.word_bits}; "
                f"got {', '.join(map(str, table))}"
            )
        return self

    def level(self) -> Compute:
        """Build the level."""
        table: tuple[tuple[int, float], ...] = ()
        if isinstance(self.mac_energy_pj, dict):
            table = tuple(sorted(self.mac_energy_pj.items()))
            energy = dict(table)[self.word_bits or table[-1][0]]
        else:
            energy = self.mac_energy_pj
        return Compute(
            name=self.compute,
            mac_energy_pj=energy,
            cycles=self.cycles,
            mesh=self.mesh,
            dimensions=tuple(self.dimensions),
            leakage_pj_per_cycle=self.leakage_pj_per_cycle,
            constraints=tuple(self.constraints),
            area_um2=self.area_um2,
            multicast=self.multicast,
            reduction=self.reduction,
            word_bits=self.word_bits if table else None,
            energies_by_bits=table,
        )


def _kind(entry: Any) -> str | None:
    kinds = [k for k in ("memory", "fanout", "compute") if isinstance(entry, dict) and k in entry]
    return f"({kinds[0]})" if len(kinds) == 1 else None


LevelEntry = Annotated[
    Annotated[MemoryEntry, Tag("(memory)")]
    | Annotated[FanoutEntry, Tag("(fanout)")]
    | Annotated[ComputeEntry, Tag("(compute)")],
    Discriminator(
        _kind,
        custom_error_type="level_kind",
        custom_error_message="expected a mapping with one of memory, fanout, compute naming it",
    ),
]
