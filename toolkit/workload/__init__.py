"""What is computed: kernels, named workloads, specifications and files.

What the package offers is loaded when it is first used: few runs read files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

_HOMES = {
    "bits": ("with_bits",),
    "files": ("format_tensor", "parse_index", "parse_tensor", "read_workload", "workload_to_yaml"),
    "kernel": ("Index", "Role", "Tensor", "Term", "Workload"),
    "kinds": ("KINDS", "Kind", "build_kernel"),
    "load": ("load_workload", "named_workload", "parse_spec", "workload_groups", "workload_names"),
    "ready_made": (
        "batched_gemm",
        "conv1d",
        "conv2d",
        "depthwise_conv2d",
        "gemm",
        "grouped_conv2d",
        "transposed_conv2d",
    ),
}

__all__ = [
    "KINDS",
    "Index",
    "Kind",
    "Role",
    "Tensor",
    "Term",
    "Workload",
    "batched_gemm",
    "build_kernel",
    "conv1d",
    "conv2d",
    "depthwise_conv2d",
    "format_tensor",
    "gemm",
    "grouped_conv2d",
    "load_workload",
    "named_workload",
    "parse_index",
    "parse_spec",
    "parse_tensor",
    "read_workload",
    "transposed_conv2d",
    "with_bits",
    "workload_groups",
    "workload_names",
    "workload_to_yaml",
]

if TYPE_CHECKING:
    from toolkit.workload.bits import with_bits
    from toolkit.workload.files import (
        format_tensor,
        parse_index,
        parse_tensor,
        read_workload,
        workload_to_yaml,
    )
    from toolkit.workload.kernel import Index, Role, Tensor, Term, Workload
    from toolkit.workload.kinds import KINDS, Kind, build_kernel
    from toolkit.workload.load import (
        load_workload,
        named_workload,
        parse_spec,
        workload_groups,
        workload_names,
    )
    from toolkit.workload.ready_made import (
        batched_gemm,
        conv1d,
        conv2d,
        depthwise_conv2d,
        gemm,
        grouped_conv2d,
        transposed_conv2d,
    )


__getattr__, __dir__, _ = attach(__name__, submod_attrs=_HOMES)
