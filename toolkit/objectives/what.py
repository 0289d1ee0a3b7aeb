"""What can be asked: a layer's mapping, a network on an architecture, hardware for networks."""

from __future__ import annotations

from toolkit.codesign.problem import HardwareProblem
from toolkit.errors import InputError
from toolkit.messages import describe
from toolkit.search.network.problem import NetworkProblem
from toolkit.search.problem import Problem

__all__ = ["HardwareProblem", "NetworkProblem", "What", "check_choose", "check_what"]

What = Problem | NetworkProblem | HardwareProblem

CHOICES: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Problem: (("mappings",), ("mappings",)),
    NetworkProblem: (("mappings", "fusion"), ("mappings",)),
    HardwareProblem: (("hardware", "mappings", "fusion"), ("hardware",)),
}
"""By what is asked: all that may be chosen, and what is by default."""


def check_what(what: object) -> What:
    """Refuse what is no question.

    Raises
    ------
    InputError
        Saying what there is.
    """
    if isinstance(what, What):
        return what
    raise InputError(
        "expected a Problem (toolkit.make_problem), a NetworkProblem or a HardwareProblem "
        f"(toolkit.objectives), got {describe(what)}",
        key="what",
    )


def check_choose(what: What, choose: object) -> tuple[str, ...]:
    """Read what trials choose: those names in the order of the table.

    Raises
    ------
    InputError
        If something else is asked for, or hardware is left out of a question about it.
    """
    known, usual = CHOICES[type(what)]
    if choose is None:
        return usual
    given = (choose,) if isinstance(choose, str) else choose
    names = tuple(given) if isinstance(given, tuple | list | set | frozenset) else ()
    if not names or any(name not in known for name in names):
        raise InputError(
            f"expected some of {', '.join(known)}, got {describe(choose)}", key="choose"
        )
    if isinstance(what, HardwareProblem) and "hardware" not in names:
        raise InputError(
            "expected hardware among them; without it, ask about a NetworkProblem on one "
            f"architecture, got {describe(choose)}",
            key="choose",
        )
    return tuple(name for name in known if name in names)
