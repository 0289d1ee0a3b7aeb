"""Maps DNN layers on spatial accelerators: workloads, architectures, cost model, search.

Everything below is loaded when it is first used, so that importing the package costs nothing.

Examples
--------
>>> import toolkit
>>> arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2)
>>> problem = toolkit.make_problem(arch, workload)
>>> result = toolkit.search(problem, "random", budget=toolkit.Budget(evaluations=100))
>>> result.evaluations
100
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

from toolkit.version import __version__

_HOMES = {
    "arch": (
        "Architecture",
        "ArchitectureTemplate",
        "Compute",
        "FactorConstraint",
        "Fanout",
        "Leakage",
        "Memory",
        "MemoryPort",
        "VectorUnit",
        "Wires",
        "arch_names",
        "arch_to_yaml",
        "check_bypasses",
        "load_arch",
        "load_template",
    ),
    "arch.technology": ("Technology", "area_table", "area_um2", "read_accelergy"),
    "cluster": ("Cluster",),
    "codesign": (
        "HardwareEvaluator",
        "HardwareSpace",
        "NetworkWeight",
        "hardware_space",
        "minimal_hardware",
    ),
    "compilation": ("warm_up",),
    "errors": ("InputError", "ToolkitError"),
    "mapping": (
        "LevelMapping",
        "MAPPING_FORMATS",
        "MapSpace",
        "Mapping",
        "chosen_arch",
        "fit",
        "fix_spatial",
        "mapping_from_text",
        "mapping_to_text",
        "read_mapping",
        "render",
        "sample",
        "space_size",
        "violations",
        "with_bypass_rule",
        "write_mapping",
    ),
    "model.conventions": (
        "CONVENTIONS",
        "EXACT",
        "FACTORFLOW",
        "STEADY",
        "TIMELOOP",
        "TIMELOOP_4",
        "Conventions",
    ),
    "model.correction": ("latency_correction",),
    "model.evaluate": ("Evaluation", "evaluate"),
    "python_files": ("TrustedPython",),
    "search": (
        "OBJECTIVES",
        "STRATEGIES",
        "Budget",
        "Landscape",
        "Objective",
        "Problem",
        "SearchResult",
        "TracePoint",
        "make_problem",
        "sample_landscape",
    ),
    "search.network": (
        "LayerCost",
        "LayerResult",
        "LayerSearch",
        "NetworkComparison",
        "NetworkResult",
        "compare_networks",
        "map_network",
    ),
    "workload": (
        "Tensor",
        "Term",
        "Workload",
        "batched_gemm",
        "conv1d",
        "conv2d",
        "depthwise_conv2d",
        "gemm",
        "grouped_conv2d",
        "load_workload",
        "transposed_conv2d",
        "with_bits",
        "workload_names",
        "workload_to_yaml",
    ),
    "workload.network": (
        "Layer",
        "LayerGraph",
        "NetworkByHand",
        "TensorInfo",
        "WorkloadUse",
        "load_network",
        "load_networks",
        "network_model",
        "network_names",
        "operator_table",
    ),
}
# The package of strategies can itself be called: `toolkit.search(problem)`.
_MODULES = ("errors", "objectives", "search")

__all__ = [
    "CONVENTIONS",
    "EXACT",
    "FACTORFLOW",
    "MAPPING_FORMATS",
    "OBJECTIVES",
    "STRATEGIES",
    "STEADY",
    "TIMELOOP",
    "TIMELOOP_4",
    "Architecture",
    "ArchitectureTemplate",
    "Budget",
    "Cluster",
    "Compute",
    "Conventions",
    "Evaluation",
    "FactorConstraint",
    "Fanout",
    "HardwareEvaluator",
    "HardwareSpace",
    "InputError",
    "Landscape",
    "Layer",
    "LayerCost",
    "LayerGraph",
    "Leakage",
    "LayerResult",
    "LayerSearch",
    "LevelMapping",
    "MapSpace",
    "Mapping",
    "Memory",
    "MemoryPort",
    "NetworkByHand",
    "NetworkComparison",
    "NetworkResult",
    "NetworkWeight",
    "Objective",
    "Problem",
    "SearchResult",
    "Technology",
    "Tensor",
    "TensorInfo",
    "Term",
    "ToolkitError",
    "TracePoint",
    "TrustedPython",
    "VectorUnit",
    "Wires",
    "Workload",
    "WorkloadUse",
    "__version__",
    "arch_names",
    "arch_to_yaml",
    "area_table",
    "area_um2",
    "batched_gemm",
    "check_bypasses",
    "chosen_arch",
    "compare_networks",
    "conv1d",
    "conv2d",
    "depthwise_conv2d",
    "errors",
    "evaluate",
    "fit",
    "fix_spatial",
    "gemm",
    "grouped_conv2d",
    "hardware_space",
    "latency_correction",
    "load_arch",
    "load_network",
    "load_networks",
    "load_template",
    "load_workload",
    "make_problem",
    "map_network",
    "mapping_from_text",
    "mapping_to_text",
    "minimal_hardware",
    "network_model",
    "network_names",
    "objectives",
    "operator_table",
    "read_accelergy",
    "read_mapping",
    "render",
    "sample",
    "sample_landscape",
    "search",
    "space_size",
    "transposed_conv2d",
    "violations",
    "with_bypass_rule",
    "warm_up",
    "with_bits",
    "workload_names",
    "workload_to_yaml",
    "write_mapping",
]

if TYPE_CHECKING:
    from toolkit import errors, objectives
    from toolkit.arch import (
        Architecture,
        ArchitectureTemplate,
        Compute,
        FactorConstraint,
        Fanout,
        Leakage,
        Memory,
        MemoryPort,
        VectorUnit,
        Wires,
        arch_names,
        arch_to_yaml,
        check_bypasses,
        load_arch,
        load_template,
    )
    from toolkit.arch.technology import Technology, area_table, area_um2, read_accelergy
    from toolkit.cluster import Cluster
    from toolkit.codesign import (
        HardwareEvaluator,
        HardwareSpace,
        NetworkWeight,
        hardware_space,
        minimal_hardware,
    )
    from toolkit.compilation import warm_up
    from toolkit.errors import InputError, ToolkitError
    from toolkit.mapping import (
        MAPPING_FORMATS,
        LevelMapping,
        Mapping,
        MapSpace,
        chosen_arch,
        fit,
        fix_spatial,
        mapping_from_text,
        mapping_to_text,
        read_mapping,
        render,
        sample,
        space_size,
        violations,
        with_bypass_rule,
        write_mapping,
    )
    from toolkit.model.conventions import (
        CONVENTIONS,
        EXACT,
        FACTORFLOW,
        STEADY,
        TIMELOOP,
        TIMELOOP_4,
        Conventions,
    )
    from toolkit.model.correction import latency_correction
    from toolkit.model.evaluate import Evaluation, evaluate
    from toolkit.python_files import TrustedPython
    from toolkit.search.landscape import Landscape, sample_landscape
    from toolkit.search.network import (
        LayerCost,
        LayerResult,
        LayerSearch,
        NetworkComparison,
        NetworkResult,
        compare_networks,
        map_network,
    )
    from toolkit.search.objective import OBJECTIVES, Objective
    from toolkit.search.problem import Problem, make_problem
    from toolkit.search.registry import STRATEGIES, search
    from toolkit.search.result import Budget, SearchResult, TracePoint
    from toolkit.workload import (
        Tensor,
        Term,
        Workload,
        batched_gemm,
        conv1d,
        conv2d,
        depthwise_conv2d,
        gemm,
        grouped_conv2d,
        load_workload,
        transposed_conv2d,
        with_bits,
        workload_names,
        workload_to_yaml,
    )
    from toolkit.workload.network import (
        Layer,
        LayerGraph,
        NetworkByHand,
        TensorInfo,
        WorkloadUse,
        load_network,
        load_networks,
        network_model,
        network_names,
        operator_table,
    )


__getattr__, _, _ = attach(__name__, submodules=_MODULES, submod_attrs=_HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
