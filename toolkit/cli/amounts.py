"""Numbers with units among the options of commands."""

from __future__ import annotations

from toolkit.arch.quantities import Kind, in_unit
from toolkit.errors import InputError


def read_amount(option: str, text: str, kind: Kind, plain: float) -> float:
    """Read a number, or one with a unit, that an option was given.

    Parameters
    ----------
    option, text : str
        ``--clock`` and ``800MHz``.
    kind : str
        What it has to be an amount of.
    plain : float
        What a number without a unit stands for.

    Raises
    ------
    InputError
        Naming the option, if it is something else.

    Examples
    --------
    >>> read_amount("--clock", "800MHz", "hertz", 1e9)
    800000000.0
    """
    try:
        return in_unit(text, kind, plain)
    except ValueError as cause:
        raise InputError(str(cause), source=option) from None
