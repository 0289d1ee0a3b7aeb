"""Quantities as people read them: rounded, in the unit that suits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.display import energy_unit, shown_unit
from toolkit.search.status import describe_proof

if TYPE_CHECKING:
    from toolkit.search.objective import Objective


def short_bytes(count: float) -> str:
    """Write a number of bytes in the unit that suits it.

    Examples
    --------
    >>> short_bytes(1_048_576), short_bytes(12)
    ('1.049 MB', '12 bytes')
    """
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"


def binary_bytes(count: float) -> str:
    """Write a number of bytes in units of 1,024, as sizes of memories are.

    Examples
    --------
    >>> binary_bytes(65536), binary_bytes(1.5), binary_bytes(8 * 2.0**30)
    ('64 KiB', '1.5 B', '8 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"


def format_value(value: float, objective: Objective) -> str:
    """Write a value of an objective with its unit.

    Examples
    --------
    >>> from toolkit.search import OBJECTIVES
    >>> format_value(3e12, OBJECTIVES["edp"]), format_value(80.0, OBJECTIVES["latency"])
    ('edp 3 J·cycle', 'latency 80 cycles')
    """
    return f"{objective} {plain_value(value, objective)}"


def plain_value(value: float, objective: Objective) -> str:
    """Write a value of an objective with its unit, without its name.

    Examples
    --------
    >>> from toolkit.search import OBJECTIVES
    >>> plain_value(3e12, OBJECTIVES["edp"])
    '3 J·cycle'
    """
    number, unit = scaled(value, objective)
    return f"{number:.6g} {unit}".rstrip()


def proof_of(
    value: float, bound: float | None, objective: Objective, *, stopped: bool = False
) -> str:
    """Say what is known of a value of an objective, and from which bound that follows.

    Examples
    --------
    >>> from toolkit.search import OBJECTIVES
    >>> proof_of(80.0, 72.0, OBJECTIVES["latency"])
    'within 11.2 % of the best possible; bound 72 cycles, 10 % below'
    """
    shown = "" if bound is None else plain_value(bound, objective)
    return describe_proof(value, bound, shown, stopped=stopped)


_CYCLES = {
    "billions of cycles": 1e9,
    "millions of cycles": 1e6,
    "thousands of cycles": 1e3,
    "cycles": 1.0,
}


def cycles_unit(most: float) -> tuple[str, float]:
    """Choose the unit that suits numbers of cycles, and how many of them it has.

    Examples
    --------
    >>> cycles_unit(3.2e7), cycles_unit(12)
    (('millions of cycles', 1000000.0), ('cycles', 1.0))
    """
    return next((unit for unit in _CYCLES.items() if most >= unit[1]), ("cycles", 1.0))


_LARGE = (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))


def common_unit(value: float, unit: str) -> tuple[float, str]:
    """Choose one unit for many values, of which this one is the least.

    Returns
    -------
    float
        How many of the given unit it has.
    str
        What it is called.

    Examples
    --------
    >>> [common_unit(3.2e7, unit) for unit in ("pJ", "pJ*cycles", "cycles", "pJ^2")]
    [(1000000.0, 'µJ'), (1000000.0, 'µJ·cycle'), (1000000.0, 'Mcycles'), (1.0, 'pJ^2')]
    >>> common_unit(3.2e15, "pJ*cycles")
    (1000000000000000.0, 'kJ·cycle')
    """
    if unit == "cycles":
        prefix, size = next((u for u in _LARGE if value >= u[1]), _LARGE[-1])
        return size, f"{prefix}cycles"
    if unit not in ("pJ", "pJ*cycles"):
        return 1.0, unit
    name, size = energy_unit(value)
    if value >= 1e12:
        prefix, many = next((u for u in _LARGE if value >= 1e12 * u[1]), _LARGE[-1])
        name, size = f"{prefix}J", 1e12 * many
    return size, name if unit == "pJ" else f"{name}·cycle"


def scaled(value: float, objective: Objective) -> tuple[float, str]:
    """Convert a value of an objective to the unit that people read, and name that."""
    return shown_unit(value, objective.unit)
