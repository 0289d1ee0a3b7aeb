"""Mappings that a strategy brings along with a hardware point, by which the point is scored.

They are an attribute of the trial, so that whoever scores it, or takes it over, has them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from toolkit.mapping.mapping import LevelMapping
from toolkit.mapping.mapping import Mapping as LoopMapping

BROUGHT = "mappings"
"""Attribute of a trial that holds them."""

NetworkMappings = tuple[LoopMapping | None, ...]
"""Of one network, as `toolkit.search.network.mappings_of` lists them."""


def write_brought(networks: Sequence[NetworkMappings]) -> str:
    """Write the mappings of all networks as text.

    Examples
    --------
    >>> mapping = LoopMapping((LevelMapping("DRAM", (("M", 4),), ("M",)),))
    >>> read_brought(write_brought([(mapping, None)])) == ((mapping, None),)
    True
    """
    return json.dumps(
        [[None if each is None else asdict(each)["levels"] for each in one] for one in networks],
        separators=(",", ":"),
    )


def read_brought(text: str) -> tuple[NetworkMappings, ...]:
    """Read what `write_brought` wrote."""
    return tuple(
        tuple(
            None
            if levels is None
            else LoopMapping(
                tuple(
                    LevelMapping(
                        level["level"],
                        tuple((dimension, factor) for dimension, factor in level["factors"]),
                        tuple(level["order"]),
                        None if level["bypasses"] is None else tuple(level["bypasses"]),
                    )
                    for level in levels
                )
            )
            for levels in one
        )
        for one in json.loads(text)
    )
