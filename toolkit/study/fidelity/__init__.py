"""Our numbers beside published ones: rows, agreement, a fitted latency."""

from toolkit.study.fidelity.gemmini_runs import simulated
from toolkit.study.fidelity.ordering import Ordering, ordering, ordering_by_kind
from toolkit.study.fidelity.published import PublishedGroup, PublishedResults, read_published
from toolkit.study.fidelity.validation import (
    Agreement,
    agreement,
    agreement_by_kind,
    agreement_table,
    layer_kind,
)

__all__ = [
    "Agreement",
    "Ordering",
    "PublishedGroup",
    "PublishedResults",
    "agreement",
    "agreement_by_kind",
    "agreement_table",
    "layer_kind",
    "ordering",
    "ordering_by_kind",
    "read_published",
    "simulated",
]
