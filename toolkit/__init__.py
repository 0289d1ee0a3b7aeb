"""Maps DNN layers on spatial accelerators: workloads, architectures, cost model, search.

Everything below is loaded when it is first used, so that importing the package costs nothing.

Examples
--------
>>> import toolkit
>>> arch, workload = toolkit.load_arch("eyeriss"), toolkit.gemm(8, 4, 2)
>>> problem = toolkit.make_problem(arch, workload)
>>> result = toolkit.search_mappings(problem, "random", budget=toolkit.Budget(evaluations=100))
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
    "cli.list": ("listing",),
    "cli.show": ("definition",),
    "cli.site.building": ("build_docs",),
    "cluster": ("Cluster",),
    "codesign": (
        "HardwareEvaluator",
        "HardwareSpace",
        "NetworkWeight",
        "hardware_space",
        "minimal_hardware",
    ),
    "codesign.job": ("JobSettings",),
    "compilation": ("warm_up",),
    "errors": ("InputError", "ToolkitError"),
    "fusion": ("FusionResult",),
    "fusion.fusing": ("fuse",),
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
        "Explanation",
        "Landscape",
        "Objective",
        "Problem",
        "SearchResult",
        "TracePoint",
        "explain",
        "make_problem",
        "map",
        "sample_landscape",
        "search_mappings",
    ),
    "search.space_size": ("problem_size",),
    "search.network": (
        "LayerCost",
        "LayerResult",
        "LayerSearch",
        "NetworkComparison",
        "NetworkResult",
        "compare_networks",
        "map_network",
    ),
    "study.compare.comparison": ("compare",),
    "study.hardware.asked": ("join_studies", "search_hardware"),
    "study.hardware.shared": ("serve_proxy",),
    "study.storage.dashboard": ("open_dashboard",),
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
_MODULES = ("errors", "objectives")

__all__ = [
    "CONVENTIONS",
    "EXACT",
    "FACTORFLOW",
    "MAPPING_FORMATS",
    "OBJECTIVES",
    "STEADY",
    "STRATEGIES",
    "TIMELOOP",
    "TIMELOOP_4",
    "Architecture",
    "ArchitectureTemplate",
    "Budget",
    "Cluster",
    "Compute",
    "Conventions",
    "Evaluation",
    "Explanation",
    "FactorConstraint",
    "Fanout",
    "FusionResult",
    "HardwareEvaluator",
    "HardwareSpace",
    "InputError",
    "JobSettings",
    "Landscape",
    "Layer",
    "LayerCost",
    "LayerGraph",
    "LayerResult",
    "LayerSearch",
    "Leakage",
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
    "build_docs",
    "check_bypasses",
    "chosen_arch",
    "compare",
    "compare_networks",
    "conv1d",
    "conv2d",
    "definition",
    "depthwise_conv2d",
    "errors",
    "evaluate",
    "explain",
    "fit",
    "fix_spatial",
    "fuse",
    "gemm",
    "grouped_conv2d",
    "hardware_space",
    "join_studies",
    "latency_correction",
    "listing",
    "load_arch",
    "load_network",
    "load_networks",
    "load_template",
    "load_workload",
    "make_problem",
    "map",
    "map_network",
    "mapping_from_text",
    "mapping_to_text",
    "minimal_hardware",
    "network_model",
    "network_names",
    "objectives",
    "open_dashboard",
    "operator_table",
    "problem_size",
    "read_accelergy",
    "read_mapping",
    "render",
    "sample",
    "sample_landscape",
    "search_hardware",
    "search_mappings",
    "serve_proxy",
    "space_size",
    "transposed_conv2d",
    "violations",
    "warm_up",
    "with_bits",
    "with_bypass_rule",
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
    from toolkit.cli.list import listing
    from toolkit.cli.show import definition
    from toolkit.cli.site.building import build_docs
    from toolkit.cluster import Cluster
    from toolkit.codesign import (
        HardwareEvaluator,
        HardwareSpace,
        NetworkWeight,
        hardware_space,
        minimal_hardware,
    )
    from toolkit.codesign.job import JobSettings
    from toolkit.compilation import warm_up
    from toolkit.errors import InputError, ToolkitError
    from toolkit.fusion.fusing import fuse
    from toolkit.fusion.partition.result import FusionResult
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
    from toolkit.search.asked import map
    from toolkit.search.explanation import Explanation, explain
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
    from toolkit.search.registry import STRATEGIES, search_mappings
    from toolkit.search.result import Budget, SearchResult, TracePoint
    from toolkit.search.space_size import problem_size
    from toolkit.study.compare.comparison import compare
    from toolkit.study.hardware.asked import join_studies, search_hardware
    from toolkit.study.hardware.shared import serve_proxy
    from toolkit.study.storage.dashboard import open_dashboard
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
