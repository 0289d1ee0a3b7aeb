"""How good a result is known to be, in the same words wherever it is said.

Notes
-----
Two percentages tell how far a value V and a proved bound B of it lie apart. V is *within x %* of
the best possible: it exceeds the optimum by at most x = V / B - 1 of it, which may be any number.
The bound lies *y % below* the value: nothing is lower by more than y = 1 - B / V of it, which is
never more than 100 %. Both are rounded up, so that what is written is proved, too.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context

PROVED, STOPPED = "proved optimal", "stopped"

COSTED_IN_FULL = "mappings costed in full; bounds cover the rest"
"""What the evaluations of a strategy are that proves optima by bounds."""

_LEAST_PERCENT = 0.001
"""Less is written as this: no cost model promises more digits."""
_DIGITS = Context(prec=3, rounding=ROUND_CEILING)


def within_best(value: float, bound: float | None) -> float | None:
    """Fraction of the optimum by which a value exceeds it at most.

    Parameters
    ----------
    value : float
        What was found; inf if nothing was.
    bound : float or None
        No value is lower.

    Returns
    -------
    float or None
        0 if and only if the value is proved to be optimal; None if nothing is known, as the
        optimum may be 0 or less.

    Examples
    --------
    >>> within_best(210.0, 100.0), within_best(100.0, 100.0), within_best(5.0, 0.0)
    (1.1, 0.0, None)
    """
    if bound is None or not math.isfinite(value):
        return None
    if value <= bound:
        return 0.0
    fraction = (value - bound) / bound if bound > 0 else math.inf
    return max(fraction, sys.float_info.epsilon) if math.isfinite(fraction) else None


def describe_status(within: float | None, *, stopped: bool = False, short: bool = False) -> str:
    """Say what is known of a result.

    Parameters
    ----------
    within : float or None
        From `within_best`.
    stopped : bool
        Whether the search ended because its budget did, or from the keyboard.
    short : bool
        For a cell of a table whose heading says that it is about the best possible.

    Returns
    -------
    str
        Empty for a search without a bound that ended by itself, of which there is nothing to
        say, be the result optimal or not.

    Examples
    --------
    >>> describe_status(0.0), describe_status(1.0998)
    ('proved optimal', 'within 110 % of the best possible')
    >>> describe_status(1.0998, short=True), describe_status(None, stopped=True)
    ('within 110 %', 'stopped')
    """
    if within is None or not math.isfinite(within):
        return STOPPED if stopped else ""
    if within <= 0:
        return PROVED
    return f"within {_percent(within)} %" + ("" if short else " of the best possible")


def describe_proof(
    value: float, bound: float | None, shown_bound: str, *, stopped: bool = False
) -> str:
    """Say what is known of a result, and from which bound that follows.

    Parameters
    ----------
    value, bound, stopped
        As for `within_best` and `describe_status`.
    shown_bound : str
        The bound in the unit in which the value stands beside it.

    Examples
    --------
    >>> describe_proof(210.0, 100.0, "100 cycles")
    'within 110 % of the best possible; bound 100 cycles, 52.4 % below'
    >>> describe_proof(5.0, None, "", stopped=True), describe_proof(5.0, 0.0, "0 pJ")
    ('stopped; no bound known', 'bound 0 pJ, 100 % below')
    """
    within = within_best(value, bound)
    status = describe_status(within, stopped=stopped)
    if within == 0:
        return status
    if bound is None or not math.isfinite(bound):
        return f"{status}; no bound known" if status else ""
    below = ""
    if 0 <= bound < value < math.inf:
        below = f", {_percent((value - bound) / value)} % below"
    return "; ".join(filter(None, (status, f"bound {shown_bound}{below}")))


def describe_statuses(parts: Sequence[tuple[float | None, bool]]) -> str:
    """Say how many of several results are known to be how good.

    Parameters
    ----------
    parts : sequence of (float or None, bool)
        Of each result what `describe_status` takes: `within` and `stopped`.

    Returns
    -------
    str
        Empty if there is nothing to say of any.

    Examples
    --------
    >>> describe_statuses([(0.0, False), (0.5, True), (0.25, True), (None, True)])
    '1 proved optimal, 2 within 50 % of the best possible, 1 stopped'
    >>> describe_statuses([(0.0, False), (None, False)])
    '1 proved optimal, 1 without a bound'
    """
    known = [within for within, _ in parts if within is not None]
    stopped = sum(within is None and ended for within, ended in parts)
    if not known and not stopped:
        return ""
    named = [
        (known.count(0.0), PROVED),
        (len(known) - known.count(0.0), describe_status(max(known, default=None))),
        (stopped, STOPPED),
        (len(parts) - len(known) - stopped, "without a bound"),
    ]
    return ", ".join(f"{count:,} {words}" for count, words in named if count)


def _percent(fraction: float) -> str:
    percent = max(100 * fraction, _LEAST_PERCENT)
    # What lies beyond nine digits is rounding, which must not lift 7 to 7.01.
    return f"{float(_DIGITS.create_decimal(f'{percent:.9g}')):,.12g}"
