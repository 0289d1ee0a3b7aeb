"""What it runs on: levels, architectures, and their YAML files.

What the package offers is loaded when it is first used: names are listed without the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "architecture": (
        "Architecture",
        "Leakage",
        "VectorUnit",
        "check_bypasses",
        "holds",
        "may_bypass",
    ),
    "constraints": (
        "FactorConstraint",
        "Relation",
        "check_constraints",
        "check_loop_order",
        "parse_constraint",
    ),
    "files": ("arch_definition", "load_arch", "load_arch_file", "load_template"),
    "levels": ("Compute", "Fanout", "Level", "Memory", "Spatial"),
    "packaged": ("arch_names",),
    "ports": ("MemoryPort",),
    "schema": ("ArchitectureFile",),
    "template": ("ArchitectureTemplate",),
    "wires": ("Wires",),
    "writing": ("arch_to_yaml",),
}

__all__ = [
    "Architecture",
    "ArchitectureFile",
    "ArchitectureTemplate",
    "Compute",
    "FactorConstraint",
    "Fanout",
    "Leakage",
    "Level",
    "Memory",
    "MemoryPort",
    "Relation",
    "Spatial",
    "VectorUnit",
    "Wires",
    "arch_definition",
    "arch_names",
    "arch_to_yaml",
    "check_bypasses",
    "check_constraints",
    "check_loop_order",
    "holds",
    "load_arch",
    "load_arch_file",
    "load_template",
    "may_bypass",
    "parse_constraint",
]

if TYPE_CHECKING:
    from toolkit.arch.architecture import (
        Architecture,
        Leakage,
        VectorUnit,
        check_bypasses,
        holds,
        may_bypass,
    )
    from toolkit.arch.constraints import (
        FactorConstraint,
        Relation,
        check_constraints,
        check_loop_order,
        parse_constraint,
    )
    from toolkit.arch.files import arch_definition, load_arch, load_arch_file, load_template
    from toolkit.arch.levels import Compute, Fanout, Level, Memory, Spatial
    from toolkit.arch.packaged import arch_names
    from toolkit.arch.ports import MemoryPort
    from toolkit.arch.schema import ArchitectureFile
    from toolkit.arch.template import ArchitectureTemplate
    from toolkit.arch.wires import Wires
    from toolkit.arch.writing import arch_to_yaml


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
