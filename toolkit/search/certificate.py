"""Certificates: what the search behind a bound covered, and by which rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a proof looked at: every mapping belongs to exactly one choice of spatial factors.

    Parameters
    ----------
    spatial_choices : int
        All of them: the sum of the next six. Those that there was no time to list count as one.
    empty : int
        Hold no valid mapping.
    by_compulsory_traffic, by_least_energy, by_least_latency : int
        Cannot be better: if every transfer moved each value once; by the least energy (then
        also the least cycles of every port) of all their mappings, found as shortest paths.
        A choice whose mapping of least energy has no stalls counts under least energy too.
    by_labels : int
        Searched for every mapping that might be better.
    unfinished : int
        Time or memory did not suffice; 0 for a proof.
    labels, not_worthwhile, undercut : int
        Partial mappings of these searches; those left out because no way to complete them could
        be better, and those that another one with the same future undercut in all costs.
    enumerated : int
        Mappings costed one by one where the words of a transfer do not decompose.
    """

    spatial_choices: int
    empty: int
    by_compulsory_traffic: int
    by_least_energy: int
    by_least_latency: int
    by_labels: int
    unfinished: int
    labels: int
    not_worthwhile: int
    undercut: int
    enumerated: int
