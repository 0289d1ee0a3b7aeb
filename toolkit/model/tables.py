"""The parts of an evaluation as plain records, and the tables and JSON made of them.

Every figure is named by its unit and its scope: ``total`` sums over the instances used and the
whole run, ``per_instance`` is one instance's, ``of_run`` counts the cycles of the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from toolkit.arch.ports import TRAFFIC
from toolkit.model.plan_ports import Port

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TensorAccesses:
    """What all instances of one memory move of one tensor over the whole run, value by value.

    A value is a word, unless the workload says how many bits it has.

    Parameters
    ----------
    level, tensor : str
        The memory and what it holds.
    instances : int
        Instances of the memory that the mapping uses.
    reads : int
        Sent inwards (for outputs: partial sums that come back).
    updates : int
        Outputs received from inside.
    fills : int
        Received from outside (for outputs: partial sums that come back).
    drains : int
        Outputs sent outwards.
    energy_pj : float
        Of reads and drains at the read energy, of updates and fills at the write energy.
    bits, sum_bits : int or None
        Of a value, and of a partial sum if it has others.
    words : float or None
        Words of this memory that all these values take; None if the workload says no bits.
    fetched_words : float or None
        Words of all bursts that these lie in; None if the memory moves single words.
    """

    level: str
    tensor: str
    instances: int
    reads: int
    updates: int
    fills: int
    drains: int
    energy_pj: float
    bits: int | None = None
    sum_bits: int | None = None
    words: float | None = None
    fetched_words: float | None = None

    @property
    def bits_text(self) -> str:
        """Bits of a value, as people read them; empty if it has none."""
        if self.bits is None:
            return ""
        return f"{self.bits}" if self.sum_bits is None else f"{self.bits}, sums {self.sum_bits}"

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        unit = "words" if self.words is None else "values"
        row: dict[str, Any] = {
            "level": self.level,
            "tensor": self.tensor,
            "used_instances": self.instances,
            f"reads_total_{unit}": self.reads,
            f"updates_total_{unit}": self.updates,
            f"fills_total_{unit}": self.fills,
            f"drains_total_{unit}": self.drains,
        }
        if self.words is not None:
            sums = self.bits if self.sum_bits is None else self.sum_bits
            row |= {"bits": self.bits, "sum_bits": sums, "moved_total_words": self.words}
        if self.fetched_words is not None:
            row["fetched_total_words"] = self.fetched_words
        return {**row, "energy_total_pj": self.energy_pj}


@dataclass(frozen=True, slots=True)
class PortUse:
    """What one port of one instance of a memory has to move, and what it can.

    Parameters
    ----------
    level : str
        The memory, or the fanout of a network.
    port : Port
        Which port, or which of them that share a load: name, what passes, and bandwidth.
    needed_bandwidth : float
        Words per cycle and instance needed for no stall.
    busy_cycles : float
        Cycles of the run in which the port of one instance transfers words.
    limited_cycles : float
        Cycles of the run if the levels inside and this port alone counted: never less than
        what the levels inside take.
    """

    level: str
    port: Port
    needed_bandwidth: float
    busy_cycles: float
    limited_cycles: float

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        per_cycle = "words_per_cycle_per_instance"
        return {
            "level": self.level,
            "port": self.port.name,
            "traffic": self.port.traffic,
            f"available_{per_cycle}": self.port.bandwidth,
            f"needed_{per_cycle}": self.needed_bandwidth,
            "busy_cycles_per_instance": self.busy_cycles,
            "limited_cycles_of_run": self.limited_cycles,
        }


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """How one memory is used.

    Parameters
    ----------
    level : str
        The memory.
    instances : int
        Instances that the mapping uses.
    words : int
        Footprint: words that the tiles of one instance take, one copy of each.
    capacity_words : int or None
        Words of one instance; None is unlimited.
    usable_words : float or None
        Capacity over the copies that multiple buffering keeps; None is unlimited.
    fill_cycles, drain_cycles, exposed_cycles : float
        Cycles of the run that the levels inside wait for its first tiles, for the last ones to
        leave, and for all that it gets and sends, where nothing hides that.
    stall_cycles : float
        Cycles of the run by which the slowest port exceeds the levels inside and these waits.
    ports : tuple of PortUse
        One port for everything, or the one for reads and drains and the one for updates and
        fills, or those named and what several of these carry together.
    ideal_bandwidth : mapping of str to float
        Words per cycle and instance of ``read``, ``drain``, ``update`` and ``fill`` traffic
        without any stall.
    """

    level: str
    instances: int
    words: int
    capacity_words: int | None
    usable_words: float | None
    fill_cycles: float
    drain_cycles: float
    exposed_cycles: float
    stall_cycles: float
    ports: tuple[PortUse, ...]
    ideal_bandwidth: Mapping[str, float]

    @property
    def slowest_port(self) -> PortUse:
        """The port that the levels inside wait for most."""
        return max(self.ports, key=lambda use: use.limited_cycles)

    @property
    def capacity_used(self) -> float | None:
        """Fraction of the usable words that the tiles take; None if unlimited."""
        return None if self.usable_words is None else self.words / self.usable_words

    @property
    def directions(self) -> tuple[PortUse, PortUse] | None:
        """The port of what it sends and that of what it receives, or the only one; else None."""
        first, *more = self.ports
        if not more:
            return first, first
        sends = set(first.port.kinds) <= set(TRAFFIC[:2])
        receives = set(self.ports[-1].port.kinds) <= set(TRAFFIC[2:])
        return (first, more[0]) if len(more) == 1 and sends and receives else None

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON; more than two ports are rows of `PortUse`."""
        used = self.capacity_used
        per_cycle = "words_per_cycle_per_instance"
        both = [
            (None, None, None)
            if use is None
            else (use.busy_cycles, use.limited_cycles, use.port.bandwidth)
            for use in self.directions or (None, None)
        ]
        (read_busy, read_limited, read), (write_busy, write_limited, write) = both
        return {
            "level": self.level,
            "used_instances": self.instances,
            "used_words_per_instance": self.words,
            "capacity_words_per_instance": self.capacity_words,
            "usable_words_per_instance": self.usable_words,
            "capacity_used_percent": None if used is None else 100 * used,
            "shared_port": len(self.ports) == 1,
            "read_port_busy_cycles_per_instance": read_busy,
            "write_port_busy_cycles_per_instance": write_busy,
            "read_port_limited_cycles_of_run": read_limited,
            "write_port_limited_cycles_of_run": write_limited,
            "first_fill_cycles_of_run": self.fill_cycles,
            "last_drain_cycles_of_run": self.drain_cycles,
            "exposed_cycles_of_run": self.exposed_cycles,
            "stall_cycles_of_run": self.stall_cycles,
            f"ideal_read_{per_cycle}": self.ideal_bandwidth["read"],
            f"ideal_drain_{per_cycle}": self.ideal_bandwidth["drain"],
            f"available_read_port_{per_cycle}": read,
            f"ideal_update_{per_cycle}": self.ideal_bandwidth["update"],
            f"ideal_fill_{per_cycle}": self.ideal_bandwidth["fill"],
            f"available_write_port_{per_cycle}": write,
        }


@dataclass(frozen=True, slots=True)
class Crossing:
    """Values of one tensor that cross a fanout, of all its networks, over the whole run.

    A value is a word, unless the workload says how many bits it has.

    Parameters
    ----------
    level, tensor : str
        The fanout and what crosses it.
    sent, delivered : int
        What its networks take in, and what its instances get: a value that several get at once
        counts for each of them.
    collected, returned : int
        Outputs that its instances send back, and that its networks hand on.
    energy_pj : float
        Of what is delivered and collected.
    words : float or None
        Words on the wires that this takes; None if the workload says no bits.
    """

    level: str
    tensor: str
    sent: int
    delivered: int
    collected: int
    returned: int
    energy_pj: float
    words: float | None = None

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        unit = "words" if self.words is None else "values"
        row: dict[str, Any] = {
            "level": self.level,
            "tensor": self.tensor,
            f"sent_total_{unit}": self.sent,
            f"delivered_total_{unit}": self.delivered,
            f"collected_total_{unit}": self.collected,
            f"returned_total_{unit}": self.returned,
        }
        if self.words is not None:
            row["crossing_total_words"] = self.words
        return {**row, "energy_total_pj": self.energy_pj}


@dataclass(frozen=True, slots=True)
class NetworkUse:
    """How the networks of one fanout with wires are used.

    Parameters
    ----------
    level : str
        The fanout.
    stall_cycles : float
        Cycles of the run by which the slower way exceeds the levels inside.
    ports : tuple of PortUse
        The ways inwards and outwards, if their bandwidth is limited.
    crossings : tuple of Crossing
        By tensor.
    """

    level: str
    stall_cycles: float
    ports: tuple[PortUse, ...]
    crossings: tuple[Crossing, ...]

    @property
    def slowest_port(self) -> PortUse:
        """The way that the levels inside wait for most."""
        return max(self.ports, key=lambda use: use.limited_cycles)


@dataclass(frozen=True, slots=True)
class LevelEnergy:
    """Energy of one level over all instances and the whole run.

    Parameters
    ----------
    level : str
        A memory, a fanout with wires or the compute level.
    access_pj : float
        Of all accesses, of all words on wires, or of all multiply-accumulates.
    leakage_pj : float
        Of all powered instances.
    share : float
        Fraction of the energy of all levels.
    """

    level: str
    access_pj: float
    leakage_pj: float
    share: float

    @property
    def energy_pj(self) -> float:
        """Accesses and leakage together."""
        return self.access_pj + self.leakage_pj

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        return {
            "level": self.level,
            "access_energy_total_pj": self.access_pj,
            "leakage_energy_total_pj": self.leakage_pj,
            "energy_total_pj": self.energy_pj,
            "share_percent": 100 * self.share,
        }


class Row(Protocol):
    """A record that can be one row of a table."""

    def row(self) -> dict[str, Any]:
        """Values by name of the column."""
        ...


def table(records: Sequence[Row]) -> pd.DataFrame:
    """Make a table with one row per record; what does not apply is missing (NA).

    Integers stay integers even where a column misses values.
    """
    import pandas as pd

    rows = [record.row() for record in records]
    columns = {}
    for name in rows[0] if rows else ():
        values = [row[name] for row in rows]
        if None not in values:
            columns[name] = pd.Series(values)
        elif all(isinstance(value, int | None) for value in values):
            columns[name] = pd.Series(values, dtype="Int64")
        else:
            columns[name] = pd.Series(values, dtype="Float64")
    return pd.DataFrame(columns)


def plain(record: Row) -> dict[str, Any]:
    """Write a record as JSON-able data, named as in tables; what has no limit becomes None."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.row().items()
    }
