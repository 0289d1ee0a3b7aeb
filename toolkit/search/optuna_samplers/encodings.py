"""The encodings: ways to write the mappings of a space as parameters, a row of a table each.

``studies/compare_encodings.py`` measures them; the strategies use what came out best, factors
where sizes are ragged and prime factors where factors multiply to the sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolkit.errors import InputError
from toolkit.mapping.mapping import IntArray
from toolkit.mapping.space import MapSpace
from toolkit.messages import suggest
from toolkit.search.optuna_samplers.alternatives import (
    DivisorChoices,
    InnermostDimensions,
    PrimeShares,
    SizeShares,
    SplitIndex,
)
from toolkit.search.optuna_samplers.coding import Coding, repair_of
from toolkit.search.optuna_samplers.encoding import (
    Genes,
    OrderClasses,
    OrderGenes,
    PrimeLevels,
)
from toolkit.search.optuna_samplers.ragged import FactorChoices

MakeTiling = Callable[..., Genes]
"""Takes a map space, and by keyword whether parameters are to be numbers (``ordered``)."""

MakeOrders = Callable[..., OrderGenes]
"""The same, and second the orders that must be among the choices."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A way to write mappings.

    Parameters
    ----------
    summary : str
        What the parameters are.
    whole, ragged : callable or None
        Makes the tilings where factors multiply to the sizes, and where some sizes are ragged;
        None where it writes none.
    orders : callable
        Makes the loop orders.
    """

    summary: str
    whole: MakeTiling | None
    ragged: MakeTiling | None
    orders: MakeOrders = OrderClasses


ENCODINGS: dict[str, Encoding] = {
    "factors": Encoding(
        "Factors by level and dimension, such as Buffer.M; the outermost free level takes the "
        "rest.",
        DivisorChoices,
        FactorChoices,
    ),
    "primes": Encoding("The level of each prime factor, such as M.2.1.", PrimeLevels, None),
    "shares": Encoding(
        "Small integers by level and dimension that share out the size.", PrimeShares, SizeShares
    ),
    "splits": Encoding("The number of each dimension's split among all.", SplitIndex, None),
    "innermost": Encoding(
        "As the default, but loop orders by their two innermost loops.",
        PrimeLevels,
        FactorChoices,
        InnermostDimensions,
    ),
}
"""Encodings by name."""


def default_encoding(space: MapSpace) -> str:
    """Name the encoding that was measured to be best for a map space."""
    return "factors" if space.ragged.any() else "primes"


def coding_of(
    space: MapSpace,
    known: Sequence[IntArray] = (),
    *,
    ordered: bool = False,
    encoding: str | None = None,
    repaired: bool = True,
) -> Coding:
    """Build the coding of a map space.

    Parameters
    ----------
    space : MapSpace
        Whose mappings.
    known : sequence of int64 arrays, shape (levels, dimensions)
        Loop orders that are among the choices.
    ordered : bool
        Whether all parameters are numbers.
    encoding : str, optional
        A key of `ENCODINGS`; that of `default_encoding` otherwise.
    repaired : bool
        Whether every trial is made a valid mapping; otherwise trials may break rules.

    Raises
    ------
    DoesNotFitError
        If no valid tiling is found.
    InputError
        If there is no such encoding, or it does not write such spaces.
    """
    name = default_encoding(space) if encoding is None else encoding
    if name not in ENCODINGS:
        raise InputError(
            f"unknown encoding {name!r}{suggest(str(name), ENCODINGS)}; expected one of "
            f"{', '.join(ENCODINGS)}",
            key="encoding",
        )
    row = ENCODINGS[name]
    ragged = bool(space.ragged.any())
    make = row.ragged if ragged else row.whole
    if make is None:
        usable = [n for n, e in ENCODINGS.items() if (e.ragged if ragged else e.whole) is not None]
        raise InputError(
            f"{name!r} writes no {'ragged' if ragged else 'perfect'} factors; expected one of "
            f"{', '.join(usable)}",
            key="encoding",
        )
    repair = repair_of(space) if repaired else None
    orders = row.orders(space, known, ordered=ordered)
    return Coding(space, make(space, ordered=ordered), orders, repair)
