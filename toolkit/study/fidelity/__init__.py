"""Our numbers beside published ones: rows, agreement, a fitted latency."""

from toolkit.study.fidelity.ordering import Ordering, ordering
from toolkit.study.fidelity.published import PublishedGroup, PublishedResults, read_published
from toolkit.study.fidelity.validation import (
    Agreement,
    agreement,
    agreement_by_kind,
    agreement_table,
)

__all__ = [
    "Agreement",
    "Ordering",
    "PublishedGroup",
    "PublishedResults",
    "agreement",
    "agreement_by_kind",
    "agreement_table",
    "ordering",
    "read_published",
]
