"""How a proof of optimality is told: what the search covered, and by which rule."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.search import SearchResult

_RULES = (
    ("by_compulsory_traffic", "compulsory traffic"),
    ("by_least_energy", "least energy"),
    ("by_least_latency", "least latency"),
    ("by_labels", "searched"),
    ("empty", "empty"),
    ("unfinished", "unfinished"),
)


def proof_record(result: SearchResult) -> dict[str, Any] | None:
    """Describe the certificate of a result, None where it has none.

    ``tilings_covered`` is counted once more here, along the paths that the search follows, if
    it was finished.
    """
    if result.certificate is None:
        return None
    record: dict[str, Any] = asdict(result.certificate)
    if not result.certificate.enumerated and not result.certificate.unfinished:
        tilings, orders = _covered(result)
        record |= {"tilings_covered": tilings, "orders_per_tiling": orders}
    return record


def proof_facts(result: SearchResult) -> list[tuple[str, str]]:
    """Tell the bound of a result, and what the search behind it covered, for people."""
    if result.bound is None:
        return []
    unit = result.problem.objective.unit
    if result.proved:
        state = "proved optimal"
    else:
        gap = 100 * (result.objective / result.bound - 1) if result.bound > 0 else math.inf
        state = f"best possible {result.bound:.6g} {unit}, at most {gap:.3g} % lower"
    facts = [("bound", state)]
    certificate = result.certificate
    if certificate is None:
        return facts
    if certificate.enumerated:
        return [*facts, ("proof", f"{certificate.enumerated:,} mappings costed one by one")]
    counts = [(getattr(certificate, key), name) for key, name in _RULES]
    rules = ", ".join(f"{count:,} {name}" for count, name in counts if count)
    if not certificate.unfinished:
        tilings, orders = _covered(result)
        facts.append(("covers", f"{tilings:,} tilings × {orders:,} loop orders"))
    return [
        *facts,
        ("proof", f"{certificate.spatial_choices:,} choices of spatial factors: {rules}"),
    ]


def _covered(result: SearchResult) -> tuple[int, int]:
    from toolkit.search.exact import covered_tilings

    orders = math.prod(rule.admissible for rule in result.problem.space.order_rules)
    return covered_tilings(result.problem), orders
