"""What it runs on: levels, architectures, and their YAML files."""

from toolkit.arch.architecture import Architecture, VectorUnit, check_bypasses, holds
from toolkit.arch.files import (
    arch_definition,
    arch_names,
    arch_to_yaml,
    load_arch,
    load_arch_file,
    load_template,
)
from toolkit.arch.levels import (
    Compute,
    FactorConstraint,
    Fanout,
    Level,
    Memory,
    Relation,
    Spatial,
    check_constraints,
    check_loop_order,
    parse_constraint,
)
from toolkit.arch.schema import ArchitectureFile
from toolkit.arch.template import ArchitectureTemplate

__all__ = [
    "Architecture",
    "ArchitectureFile",
    "ArchitectureTemplate",
    "Compute",
    "FactorConstraint",
    "Fanout",
    "Level",
    "Memory",
    "Relation",
    "Spatial",
    "VectorUnit",
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
    "parse_constraint",
]
