"""The parts of an evaluation as plain records, and the tables and JSON made of them.

Every figure is named by its unit and its scope: ``total`` sums over the instances used and the
whole run, ``per_instance`` is one instance's, ``of_run`` counts the cycles of the run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class TensorAccesses:
    """What all instances of one memory move of one tensor, in words, over the whole run.

    Parameters
    ----------
    level, tensor : str
        The memory and what it holds.
    instances : int
        Instances of the memory that the mapping uses.
    reads : int
        Words sent inwards (for outputs: partial sums that come back).
    updates : int
        Words of outputs received from inside.
    fills : int
        Words received from outside (for outputs: partial sums that come back).
    drains : int
        Words of outputs sent outwards.
    energy_pj : float
        Of reads and drains at the read energy, of updates and fills at the write energy.
    """

    level: str
    tensor: str
    instances: int
    reads: int
    updates: int
    fills: int
    drains: int
    energy_pj: float

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        return {
            "level": self.level,
            "tensor": self.tensor,
            "used_instances": self.instances,
            "reads_total_words": self.reads,
            "updates_total_words": self.updates,
            "fills_total_words": self.fills,
            "drains_total_words": self.drains,
            "energy_total_pj": self.energy_pj,
        }


@dataclass(frozen=True, slots=True)
class PortUse:
    """How one port of a memory keeps up; bandwidths in words per cycle and instance.

    Parameters
    ----------
    busy_cycles : float
        Cycles of the run in which the port of one instance transfers words.
    limited_cycles : float
        Cycles of the run if the levels inside and this port alone counted: never less than
        what the levels inside take (``read_drain_cycles`` and ``fill_update_cycles`` of
        `toolkit.model.cost.MemoryTiming`).
    inward_bandwidth, outward_bandwidth : float
        Needed for no stall by the traffic with the levels inside (reads or updates) and with
        the memory outside (drains or fills).
    bandwidth : float
        Available.
    """

    busy_cycles: float
    limited_cycles: float
    inward_bandwidth: float
    outward_bandwidth: float
    bandwidth: float

    @property
    def ideal_bandwidth(self) -> float:
        """Words per cycle and instance that the port would have to move for no stall."""
        return self.inward_bandwidth + self.outward_bandwidth


@dataclass(frozen=True, slots=True)
class PortLoad:
    """What one port of one instance of a memory has to move, and what it can.

    Parameters
    ----------
    name, traffic : str
        Which port, and what passes it.
    needed_bandwidth, available_bandwidth : float
        Words per cycle and instance, needed for no stall and available.
    busy_cycles : float
        Cycles of the run in which the port of one instance transfers words.
    limited_cycles : float
        Cycles of the run if the levels inside and this port alone counted.
    """

    name: str
    traffic: str
    needed_bandwidth: float
    available_bandwidth: float
    busy_cycles: float
    limited_cycles: float


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
    stall_cycles : float
        Cycles of the run by which the slower port exceeds the levels inside.
    read_port, write_port : PortUse
        Reads and drains share the one, updates and fills the other.
    shared_port : bool
        Whether both are the same port, with the bandwidths of both together.
    """

    level: str
    instances: int
    words: int
    capacity_words: int | None
    usable_words: float | None
    stall_cycles: float
    read_port: PortUse
    write_port: PortUse
    shared_port: bool = False

    def sharing_ports(self) -> MemoryUse:
        """Describe the same traffic where one port serves what goes out and what comes in."""
        read, write = self.read_port, self.write_port
        both = read.bandwidth + write.bandwidth
        busy = 0.0
        if math.isfinite(both):
            words = read.busy_cycles * read.bandwidth + write.busy_cycles * write.bandwidth
            busy = words / both
        return replace(
            self,
            read_port=replace(read, busy_cycles=busy, bandwidth=both),
            write_port=replace(write, busy_cycles=busy, bandwidth=both),
            shared_port=True,
        )

    @property
    def ports(self) -> tuple[PortLoad, ...]:
        """The ports of one instance: one if they are shared, otherwise two."""
        read, write = self.read_port, self.write_port
        if self.shared_port:
            needed = read.ideal_bandwidth + write.ideal_bandwidth
            loads = [("port", "reads, drains, updates and fills", needed, read)]
        else:
            loads = [
                ("read port", "reads and drains", read.ideal_bandwidth, read),
                ("write port", "updates and fills", write.ideal_bandwidth, write),
            ]
        return tuple(
            PortLoad(name, traffic, needed, p.bandwidth, p.busy_cycles, p.limited_cycles)
            for name, traffic, needed, p in loads
        )

    @property
    def capacity_used(self) -> float | None:
        """Fraction of the usable words that the tiles take; None if unlimited."""
        return None if self.usable_words is None else self.words / self.usable_words

    def row(self) -> dict[str, Any]:
        """One row of a table, or one object of JSON."""
        used = self.capacity_used
        read, write = self.read_port, self.write_port
        per_cycle = "words_per_cycle_per_instance"
        return {
            "level": self.level,
            "used_instances": self.instances,
            "used_words_per_instance": self.words,
            "capacity_words_per_instance": self.capacity_words,
            "usable_words_per_instance": self.usable_words,
            "capacity_used_percent": None if used is None else 100 * used,
            "shared_port": self.shared_port,
            "read_port_busy_cycles_per_instance": read.busy_cycles,
            "write_port_busy_cycles_per_instance": write.busy_cycles,
            "read_port_limited_cycles_of_run": read.limited_cycles,
            "write_port_limited_cycles_of_run": write.limited_cycles,
            "stall_cycles_of_run": self.stall_cycles,
            f"ideal_read_{per_cycle}": read.inward_bandwidth,
            f"ideal_drain_{per_cycle}": read.outward_bandwidth,
            f"available_read_port_{per_cycle}": read.bandwidth,
            f"ideal_update_{per_cycle}": write.inward_bandwidth,
            f"ideal_fill_{per_cycle}": write.outward_bandwidth,
            f"available_write_port_{per_cycle}": write.bandwidth,
        }


@dataclass(frozen=True, slots=True)
class LevelEnergy:
    """Energy of one level over all instances and the whole run.

    Parameters
    ----------
    level : str
        A memory or the compute level.
    access_pj : float
        Of all accesses, or of all multiply-accumulates.
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
    for name in rows[0]:
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
