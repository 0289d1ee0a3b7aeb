"""The vector unit: what computes all that is no sum of products."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.records import store_plain_numbers


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """A unit for elementwise operations, pooling, reductions and normalizations.

    Parameters
    ----------
    lanes : int
        Operations per cycle.
    operation_energy_pj : float
        Energy of one operation on one element.
    memory : str
        The memory level that feeds it: operands come from there, results go there.
    """

    lanes: int
    operation_energy_pj: float
    memory: str

    def __post_init__(self) -> None:
        store_plain_numbers(self)
