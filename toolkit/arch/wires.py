"""The wires of a fanout: what words cost on their way to its instances and back, and how fast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from toolkit.arguments import store_plain_numbers


@dataclass(frozen=True, slots=True)
class Wires:
    """Figures of the network of one fanout.

    Parameters
    ----------
    unicast_energy_pj : float
        Of a word that one instance gets alone, or sends back alone.
    multicast_energy_pj : float
        Of a word that several instances get at once, for each of them.
    reduction_energy_pj : float
        Of a partial sum that is added to those of other instances on the way back, for each of
        them.
    read_bandwidth, write_bandwidth : float
        Words per cycle that one network takes from outside towards its instances, and that it
        hands back.
    word_bits : int or None
        Bits of a word; None if a word is one value of any tensor.

    Examples
    --------
    >>> import toolkit
    >>> toolkit.Wires(unicast_energy_pj=0.1).read_bandwidth
    inf
    """

    unicast_energy_pj: float = 0.0
    multicast_energy_pj: float = 0.0
    reduction_energy_pj: float = 0.0
    read_bandwidth: float = math.inf
    write_bandwidth: float = math.inf
    word_bits: int | None = None

    def __post_init__(self) -> None:
        store_plain_numbers(self)

    @property
    def energies(self) -> tuple[float, float, float]:
        """Of a word by unicast, multicast and reduction."""
        return self.unicast_energy_pj, self.multicast_energy_pj, self.reduction_energy_pj


def energies_over_hops(pj_per_hop: float, mesh: int) -> tuple[float, float, float]:
    """Energies of a word by unicast, multicast and reduction if its instances stand in a row.

    A word for one of them passes ``(mesh + 1) / 2`` hops on average; in a multicast, and in a
    reduction, each instance hands on to its neighbour, so that a word takes one hop for each.

    Parameters
    ----------
    pj_per_hop : float
        Of a word from one instance to the next.
    mesh : int
        Instances.

    Examples
    --------
    >>> energies_over_hops(2.0, 15)
    (16.0, 2.0, 2.0)
    """
    return pj_per_hop * (mesh + 1) / 2, pj_per_hop, pj_per_hop


def impossible_wires(wires: Wires) -> Iterator[tuple[str, float, str]]:
    """Name the figures that no wires have, with their values and what to expect."""
    for name in (field.name for field in fields(wires)):
        value = getattr(wires, name)
        # Negated, so that what is not a number does not pass.
        if name.endswith("_pj") and not value >= 0:
            yield f"wires.{name}", value, "0 or more"
        elif name.endswith("_bandwidth") and not value > 0:
            yield f"wires.{name}", value, "more than 0"
    if wires.word_bits is not None and not wires.word_bits >= 1:
        yield "wires.word_bits", wires.word_bits, "1 or more"
