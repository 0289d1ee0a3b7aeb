"""Studies: our numbers beside published ones, statistics of agreement, pictures."""

from toolkit.study.agreement import Agreement, agreement, agreement_by_kind, agreement_table
from toolkit.study.published import PublishedGroup, PublishedResults, read_published

__all__ = [
    "Agreement",
    "PublishedGroup",
    "PublishedResults",
    "agreement",
    "agreement_by_kind",
    "agreement_table",
    "read_published",
]
