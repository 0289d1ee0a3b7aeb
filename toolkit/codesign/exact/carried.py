"""Bounds that are carried from one box to its parts, with what dearer figures add to them.

A mapping that is valid on hardware of a part is valid on that of the whole, and costs no less than
was proved there. What it costs more is words times what each has become dearer: of every memory
the least words that any mapping moves there are known (`Least`), so the least costs of all
mappings rise by at least the sum of these. In the same way energy rises by what leaks more in
every cycle, and by multiply-accumulates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.arch.architecture import Architecture
from toolkit.arch.levels import Fanout
from toolkit.arch.packing import in_passes, mac_energy_pj
from toolkit.codesign.exact.hulls import lower_hull
from toolkit.codesign.exact.layers import Front
from toolkit.mapping.mapping import FloatArray
from toolkit.model.conventions import Conventions
from toolkit.model.plan import gates_idle_instances, leakage_pj_per_cycle
from toolkit.workload.kernel import Workload


@dataclass(frozen=True)
class Prices:
    """What words, multiply-accumulates and cycles cost a workload on some hardware.

    Parameters
    ----------
    words_pj : dict of str to (float, float)
        Of a word read from a memory, and of one written to it.
    mac_pj : float
        Of all multiply-accumulates.
    leaking_pj : dict of str to float
        Of a cycle, by level: of the instances that leak whatever a mapping uses.
    """

    words_pj: Mapping[str, tuple[float, float]]
    mac_pj: float
    leaking_pj: Mapping[str, float]


def prices_of(arch: Architecture, workload: Workload, conventions: Conventions) -> Prices:
    """Look up what a workload pays."""
    arch = in_passes(arch, workload)
    words = {m.name: (m.read_energy_pj, m.write_energy_pj) for m in arch.memories}
    leaking: dict[str, float] = {}
    instances = 1
    for level in arch.levels:
        if isinstance(level, Fanout):
            gated = gates_idle_instances(arch, level, conventions)
            instances *= 1 if gated else level.mesh
        elif conventions.leakage_until_end and not conventions.only_used_memories_leak:
            leaking[level.name] = instances * leakage_pj_per_cycle(arch, level, conventions)
    return Prices(words, workload.macs * mac_energy_pj(arch, workload), leaking)


@dataclass(frozen=True)
class Least:
    """The least that mappings move at one memory.

    Parameters
    ----------
    read_pj, written_pj : float
        Energies per word for which that was proved.
    energy_pj : float
        Least energy of all words at these.
    """

    read_pj: float
    written_pj: float
    energy_pj: float

    def added_pj(self, before: tuple[float, float], now: tuple[float, float]) -> float:
        """What mappings cost more at least where words cost so much more."""
        shares = [
            (new - old) / unit
            for old, new, unit in zip(before, now, (self.read_pj, self.written_pj), strict=True)
            if unit > 0
        ]
        return max(min(shares, default=0.0), 0.0) * self.energy_pj


@dataclass(frozen=True, eq=False)
class Carried:
    """What is known of a workload on relaxed hardware.

    Parameters
    ----------
    front : Front or None
        As it was proved; None if there is no mapping.
    prices : Prices
        Of the hardware that it was proved on.
    """

    front: Front | None
    prices: Prices

    def on(self, now: Prices, least: Mapping[str, Least]) -> FloatArray | None:
        """A hull below all mappings on hardware that is no better: corners by rising energy."""
        if self.front is None:
            return None
        before, hull = self.prices, self.front.hull
        added = max(now.mac_pj - before.mac_pj, 0.0)
        for name, known in least.items():
            added += known.added_pj(before.words_pj[name], now.words_pj[name])
        leaking = sum(
            max(now.leaking_pj[name] - old, 0.0) for name, old in before.leaking_pj.items()
        )
        if not added and not leaking:
            return hull
        risen = hull + np.stack([added + leaking * hull[:, 1], np.zeros(len(hull))], axis=1)
        # Where cycles leak, a corner of less energy may have come to lie behind one of fewer.
        return risen[lower_hull(risen)]


def ratio(upper: float, lower: float) -> float:
    """Natural logarithm of one value over another; inf where there is none.

    Examples
    --------
    >>> ratio(2.0, 2.0), ratio(float("inf"), 1.0)
    (0.0, inf)
    """
    if upper == lower:
        return 0.0
    return math.log(upper / lower) if 0 < lower < math.inf and upper < math.inf else math.inf
