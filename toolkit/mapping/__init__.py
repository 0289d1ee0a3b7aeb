"""Mappings: how a workload runs on an architecture, and the space of all of them.

What the package offers is loaded when it is first used: few runs need all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "bounds": ("Footprint",),
    "bypasses": (
        "arch_with_holds",
        "chosen_arch",
        "chosen_holds",
        "may_leave_out",
        "with_bypass_rule",
        "with_holds",
    ),
    "counting": ("SpaceSize", "space_size"),
    "explain": ("violations",),
    "files": ("mapping_from_dict", "mapping_to_dict", "read_mapping", "write_mapping"),
    "fitting": ("Fitted", "fit"),
    "fixed": ("fix_spatial",),
    "loop_nest": ("HeldTile", "NestLevel", "NestLoop", "nest_levels", "render"),
    "mapping": ("LevelMapping", "Mapping", "from_arrays", "to_arrays"),
    "orders": ("OrderRule", "ReuseRule", "admissible_orders", "order_classes"),
    "peers": (
        "MAPPING_FORMATS",
        "MappingFormat",
        "detect_format",
        "mapping_from_text",
        "mapping_to_text",
    ),
    "peers.timeloop": ("mapping_from_timeloop", "mapping_to_timeloop"),
    "peers.zigzag": ("mapping_from_zigzag", "mapping_to_zigzag"),
    "sampling": ("random_loop_orders", "random_tilings", "sample"),
    "space": ("MapSpace",),
    "tilings": ("enumerate_tilings", "neighbours", "start_point"),
}

__all__ = [
    "MAPPING_FORMATS",
    "Fitted",
    "Footprint",
    "HeldTile",
    "LevelMapping",
    "MapSpace",
    "Mapping",
    "MappingFormat",
    "NestLevel",
    "NestLoop",
    "OrderRule",
    "ReuseRule",
    "SpaceSize",
    "admissible_orders",
    "arch_with_holds",
    "chosen_arch",
    "chosen_holds",
    "detect_format",
    "enumerate_tilings",
    "fit",
    "fix_spatial",
    "from_arrays",
    "mapping_from_dict",
    "mapping_from_text",
    "mapping_from_timeloop",
    "mapping_from_zigzag",
    "mapping_to_dict",
    "mapping_to_text",
    "mapping_to_timeloop",
    "mapping_to_zigzag",
    "may_leave_out",
    "neighbours",
    "nest_levels",
    "order_classes",
    "random_loop_orders",
    "random_tilings",
    "read_mapping",
    "render",
    "sample",
    "space_size",
    "start_point",
    "to_arrays",
    "violations",
    "with_bypass_rule",
    "with_holds",
    "write_mapping",
]

if TYPE_CHECKING:
    from toolkit.mapping.bounds import Footprint
    from toolkit.mapping.bypasses import (
        arch_with_holds,
        chosen_arch,
        chosen_holds,
        may_leave_out,
        with_bypass_rule,
        with_holds,
    )
    from toolkit.mapping.counting import SpaceSize, space_size
    from toolkit.mapping.explain import violations
    from toolkit.mapping.files import (
        mapping_from_dict,
        mapping_to_dict,
        read_mapping,
        write_mapping,
    )
    from toolkit.mapping.fitting import Fitted, fit
    from toolkit.mapping.fixed import fix_spatial
    from toolkit.mapping.loop_nest import HeldTile, NestLevel, NestLoop, nest_levels, render
    from toolkit.mapping.mapping import LevelMapping, Mapping, from_arrays, to_arrays
    from toolkit.mapping.orders import OrderRule, ReuseRule, admissible_orders, order_classes
    from toolkit.mapping.peers import (
        MAPPING_FORMATS,
        MappingFormat,
        detect_format,
        mapping_from_text,
        mapping_to_text,
    )
    from toolkit.mapping.peers.timeloop import mapping_from_timeloop, mapping_to_timeloop
    from toolkit.mapping.peers.zigzag import mapping_from_zigzag, mapping_to_zigzag
    from toolkit.mapping.sampling import random_loop_orders, random_tilings, sample
    from toolkit.mapping.space import MapSpace
    from toolkit.mapping.tilings import enumerate_tilings, neighbours, start_point


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
